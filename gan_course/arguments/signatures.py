"""Puts the converters in front of functions, after the hints in their signatures."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gan_course.arguments import kinds
from gan_course.arguments.kinds import (
    Converter,
    batch,
    device,
    flag,
    folder,
    number,
    path,
    refuse,
    tensor,
    test,
    text,
    whole,
)

Function = TypeVar("Function", bound=Callable[..., Any])

# ------------------------------------------------------------------------------------------ from hints to converters

PLAIN: dict[Any, Converter] = {
    int: whole(), float: number(), bool: flag, str: text, Tensor: tensor, Path: folder, torch.device: device
}  # fmt: skip


def converter(hint: Any) -> Converter | None:
    """What guards an argument with this type hint; ``None`` where anything goes."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return inner[1]
    if hint in PLAIN:
        return PLAIN[hint]
    if origin in (types.UnionType, typing.Union):
        return _one_of(inner)
    if origin is collections.abc.Callable:
        return test(callable, "a function", "pass it without calling it")
    if origin is not None and isinstance(origin, type) and issubclass(origin, collections.abc.Iterable):
        return _several(origin, inner)
    if hint is Any or not isinstance(hint, type) or hint is object:
        return None
    if getattr(hint, "_is_protocol", False):
        wanted = list(inspect.get_annotations(hint))
        return test(lambda x: all(hasattr(x, n) for n in wanted), f"a {hint.__name__.lower()}", "load or build one")
    return test(lambda x: isinstance(x, hint), f"a {hint.__name__}", f"build a {hint.__name__} first")


def _one_of(hints: Sequence[Any]) -> Converter | None:
    """The first converter that takes the value; where none does, the first one's words."""
    if set(hints) - {type(None)} == {str, Path}:
        hints = [Annotated[Any, path], *(h for h in hints if h is type(None))]
    converters = [converter(h) for h in hints if h is not type(None)]
    if any(c is None for c in converters):
        return None
    chain = [c for c in converters if c is not None]
    if len(chain) == 1:
        return functools.partial(_optional, chain[0]) if type(None) in hints else chain[0]

    def convert(name: str, value: Any) -> Any:
        if value is None and type(None) in hints:
            return None
        for other in chain[1:]:
            try:
                return other(name, value)
            except ValueError:
                pass
        return chain[0](name, value)

    return convert


def _optional(convert: Converter, name: str, value: Any) -> Any:
    return None if value is None else convert(name, value)


def _several(origin: Any, inner: tuple[Any, ...]) -> Converter:
    """For sequences, collections and mappings: each item goes through its own converter."""
    if issubclass(origin, Mapping):
        each = converter(inner[1])

        def convert_values(name: str, value: Any) -> Any:
            if not isinstance(value, Mapping):
                refuse(name, "a dict", value, "give each entry a name: {'name': value}")
            if each is None:
                return value
            return {key: each(f"{name}[{key!r}]", x) for key, x in value.items()}

        return convert_values
    exact = len(inner) if origin is tuple and inner and inner[-1] is not ... else None
    each_own = [converter(hint) for hint in inner] if exact else []
    item = converter(inner[0]) if inner and not isinstance(inner[0], TypeVar) else None
    strings = bool(inner) and inner[0] is str
    numbers = bool(inner) and (typing.get_args(inner[0]) or inner)[0] is int

    def convert(name: str, value: Any) -> Any:
        if isinstance(value, str) and strings and exact is None:
            value = [value]
        if isinstance(value, np.ndarray | Tensor) and value.ndim:
            value = value.tolist()
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence if origin is tuple else origin):
            refuse(name, "a list", value, "put it in square brackets")
        if not isinstance(value, collections.abc.Collection):  # a generator can be gone through only once
            return value
        if exact is not None:
            if len(value) != exact:
                refuse(name, f"{exact} values", value, f"pass {exact} of them")
            return tuple(c(f"{name}[{i}]", x) if c else x for i, (c, x) in enumerate(zip(each_own, value, strict=True)))
        if numbers and not value:
            refuse(name, "a list with something in it", value, "pass at least one number")
        if item is None:
            return value
        items = [item(f"{name}[{i}]", x) for i, x in enumerate(value)]
        return tuple(items) if origin is tuple else items

    return convert


# ------------------------------------------------------------------------------------------ in front of functions


def _kinds(function: Callable[..., Any]) -> dict[str, Converter | None]:
    """Parameter → converter, in the order of the signature."""
    inner = inspect.unwrap(function)
    found: dict[str, Converter | None] = {}
    for name, parameter in inspect.signature(inner).parameters.items():
        hint = parameter.annotation
        if isinstance(hint, str):
            try:
                hint = eval(hint, {**vars(kinds), **inner.__globals__})  # a subclass names its base's kinds, too
            except Exception:  # imported for type checkers only, or a student's own
                hint = Any
        found[name] = None if hint is parameter.empty else converter(hint)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            found[name] = None
    return found


def checked(function: Function, also: Callable[..., None] | None = None) -> Function:
    """``function`` behind the converters that its signature names; ``also`` looks at all arguments together."""
    places: list[tuple[int, str, Converter]] = []
    names: list[str] = []
    alike: list[str] = []

    def prepare() -> None:  # at the first call: by then all that hints may name is there
        found = _kinds(function)
        names.extend(found)
        places.extend((i, name, kind) for i, (name, kind) in enumerate(found.items()) if kind is not None)
        alike.extend(n for n, kind in found.items() if kind is batch or getattr(kind, "args", None) == (batch,))

    spread = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values())

    @functools.wraps(function)
    def careful(*args: Any, **options: Any) -> Any:
        if not names:
            prepare()
        given = list(args)
        for i, name, kind in places:
            if i < len(given):
                given[i] = kind(name, given[i])
            elif name in options:
                options[name] = kind(name, options[name])
        if also is not None or len(alike) > 1:
            everything = {**dict(zip(names, given, strict=False)), **options}
            if len(alike) > 1:
                check_alike(**{name: everything[name] for name in alike if everything.get(name) is not None})
            if also is not None and spread:  # any number of arguments share one name
                also(*given, **options)
            elif also is not None:
                also(**everything)
        return function(*given, **options)

    careful.checked = True  # type: ignore[attr-defined]
    return careful  # type: ignore[return-value]


def check_alike(**tensors: Tensor) -> None:
    """Raise ``ValueError`` unless all ``tensors`` have one shape."""
    first, *others = tensors
    for other in others:
        if tensors[first].shape != tensors[other].shape:
            shapes = f"{list(tensors[first].shape)} and {list(tensors[other].shape)}"
            raise ValueError(
                f"{first} and {other} must have the same shape but have {shapes}: give each its own number"
            )


def guard(module: str) -> None:
    """Put the converters in front of all public functions, constructors and methods that ``module`` defines so far."""
    space = vars(sys.modules[module])
    for name, item in list(space.items()):
        if name.startswith("_") or getattr(item, "__module__", None) != module:
            continue
        if inspect.isfunction(item):
            space[name] = _guarded(item)
        elif inspect.isclass(item) and not issubclass(item, tuple | BaseException) and not _is_foreign(item):
            for method, function in list(vars(item).items()):
                if inspect.isfunction(function) and (method == "__init__" or not method.startswith("_")):
                    setattr(item, method, _guarded(function))


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    own = [name for name in inspect.signature(function).parameters if name != "self"]
    return checked(function) if own and not hasattr(function, "checked") else function


def _is_foreign(kind: Any) -> bool:
    """Whether a class has no constructor of its own to guard: protocols, and models of pydantic, which check."""
    return getattr(kind, "_is_protocol", False) or hasattr(kind, "model_fields")
