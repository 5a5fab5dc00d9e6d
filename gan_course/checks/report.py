"""How a check runs and what it says.

A check has named parts. A part is a function that receives an :class:`Attempt`, calls the student's function through it
and compares what comes back. Its first difference ends the part; the other parts still run. The student sees which
parts passed, and for the first that did not: what was tried, what came back, what was expected, and a hint.
"""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

Part = Callable[["Attempt"], None]
Parts = Mapping[str, Part]
Mistakes = Sequence[tuple[Any, str]]  # (what the mistake would give for these inputs, the hint that fits it)

RETURNS_NOTHING = "Does your function end in a return statement?"


class CheckFailed(AssertionError):
    """The answer is not right yet. Jupyter shows the message alone, without a traceback through the course's code."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class Check(Protocol):
    """What students and graded cells call."""

    def __call__(self, answer: Callable[..., Any], part: str | None = None) -> None: ...


CHECKS: dict[str, Check] = {}  # by their names, check_NAME


def check(signature: str) -> Callable[[Callable[[], Parts]], Check]:
    """Turn a function that makes the parts of ``check_NAME`` into the check itself, ``check_NAME(answer, part=None)``.

    ``signature``: what the student is to write, ``NAME(argument, argument [shape], ...) -> result``. The check runs all
    parts, or one of them, and prints one line when the answer is right. It raises :class:`CheckFailed` for a wrong
    answer, ``NotImplementedError`` for a stub that is not written yet, ``ValueError`` for an unknown part.
    """
    name, listed = re.match(r"(\w+)\((.*)\) ->", signature).groups()  # type: ignore[union-attr]
    arguments = [argument.split()[0] for argument in re.sub(r"\[.*?\]", "", listed).split(",") if argument]

    def decorate(make_parts: Callable[[], Parts]) -> Check:
        def checked(answer: Callable[..., Any], part: str | None = None) -> None:
            _run(name, answer, arguments, make_parts(), part)

        checked.__name__ = checked.__qualname__ = make_parts.__name__
        checked.__module__ = make_parts.__module__
        checked.__doc__ = f"Check ``{signature}``: all of its parts, or the one called ``part``."
        CHECKS[checked.__name__] = checked
        return checked

    return decorate


def cases(compare: Callable[..., Any], *rows: Iterable[Any], **always: Any) -> Part:
    """A part that compares answers case by case: ``compare(attempt, *row, **always)`` for each of ``rows``."""

    def part(attempt: Attempt) -> None:
        for row in rows:
            compare(attempt, *row, **always)

    return part


def _run(name: str, answer: Any, arguments: Sequence[str], parts: Parts, part: str | None) -> None:
    if part is not None and part not in parts:
        raise ValueError(f"check_{name} has no part {part!r}: its parts are {', '.join(parts)}")
    if not callable(answer) or isinstance(answer, nn.Module):
        raise CheckFailed(
            f"check_{name} wants the function {name} itself but got {describe(answer)}: write "
            f"checks.check_{name}({name}), with no brackets after the second {name}"
        )
    title = f"check_{name}" if part is None else f"check_{name}, part {part!r}"
    calls, passed, failed = 0, [], {}
    for chosen in parts if part is None else [part]:
        attempt = Attempt(name, answer, arguments)
        try:
            with torch.enable_grad():  # even where the notebook has switched gradients off
                parts[chosen](attempt)
            passed.append(chosen)
        except _Difference as difference:
            failed[chosen] = difference.facts
        calls += attempt.calls
    if failed:
        raise CheckFailed(_message(title, passed, failed, of_many=part is None)) from None
    print(f"{title}: all {calls} tests passed" if calls > 1 else f"{title}: passed")


def _message(title: str, passed: list[str], failed: dict[str, dict[str, str]], of_many: bool) -> str:
    first, *later = failed
    parts = {"passed": ", ".join(passed) or "no part", "not yet": ", ".join([f"{first} (shown here)", *later])}
    facts = (parts if of_many else {}) | failed[first]
    lines = [
        textwrap.fill(text, 110, initial_indent=f"  {name + ':':<10}", subsequent_indent=" " * 12)
        for name, text in facts.items()
    ]
    return "\n".join([f"{title}: not right yet.", *lines])


class _Difference(Exception):
    """What a part found. ``facts``: tried, got, expected, hint."""

    def __init__(self, facts: dict[str, str]):
        super().__init__(facts)
        self.facts = facts


class Attempt:
    """Calls the student's function, remembers the call, and reports what is wrong with the answer."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: Sequence[str]):
        self.name, self.function, self.arguments = name, function, arguments
        self.calls, self.call = 0, f"{name}()"

    def __call__(self, *values: Any) -> Any:
        """What the function returns for ``values``. Its warnings and its stderr are dropped (in a graded cell a single
        line on stderr costs all points), and its random numbers are the same in every run."""
        self.calls += 1
        named = [f"{n}={describe(v)}" for n, v in zip(self.arguments, values, strict=True)]
        self.call = f"{self.name}({', '.join(named)})"
        quiet = contextlib.redirect_stderr(io.StringIO())
        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), quiet:
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                return self.function(*values)
        except Exception as error:
            if isinstance(error, NotImplementedError) and not str(error):  # PyTorch's own ones always have a text
                raise _not_written_yet(error) from None
            self.crashed(error)

    def crashed(self, error: Exception) -> NoReturn:
        """Report an exception that the student's code raised, with the line of that code."""
        code = getattr(self.function, "__code__", None)
        lines = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
        where = f" (in the line: {lines[-1].line})" if lines and lines[-1].line else ""
        text = str(error).strip().split("\n")[0]
        self.fail(
            f"the error {type(error).__name__}: {text}{where}",
            "an answer, no error",
            "Read the error's text first. Then print what goes into the line that fails, and its shape.",
        )

    def fail(self, got: str, expected: str, hint: str) -> NoReturn:
        """End the part with the four facts that a student needs."""
        raise _Difference({"tried": self.call, "got": got, "expected": expected, "hint": hint}) from None

    def tensor(self, value: Any, *shapes: Sequence[int], hint: str, what: str = "the result") -> Tensor:
        """``value`` as a finite tensor of the first of ``shapes``; any of them will do, and a number is shape []."""
        allowed = [list(shape) for shape in shapes]
        wanted = f"{what} as a tensor of shape {' or '.join(map(str, allowed))}"
        if allowed == [[]]:
            wanted, hint = f"{what} as one number", f"{hint} One number for the whole batch."
        if value is None:
            self.fail("None", wanted, RETURNS_NOTHING)
        if [] in allowed and isinstance(value, int | float):
            value = torch.tensor(float(value))
        if not isinstance(value, Tensor):
            self.fail(describe(value), wanted, f"Return {what} as one PyTorch tensor.")
        is_single = [] in allowed and value.numel() == 1
        if list(value.shape) not in allowed and not is_single:
            self.fail(f"{what} with shape {list(value.shape)}", wanted, hint)
        if not value.isfinite().all():
            self.fail(f"{what} = {describe(value)}", f"{what} without NaN and infinity", hint)
        return value.reshape(list(shapes[0]))

    def pair(self, value: Any, names: tuple[str, str]) -> tuple[Any, Any]:
        """``value`` as two results called ``names``."""
        if not isinstance(value, tuple | list) or len(value) != 2:
            wanted = f"two results: {names[0]}, {names[1]}"
            hint = f"Return both, in this order, with a comma between: {', '.join(names)}."
            self.fail(describe(value), wanted, RETURNS_NOTHING if value is None else hint)
        return value[0], value[1]

    def close(
        self,
        value: Any,
        expected: Tensor | float,
        hint: str,
        mistakes: Mistakes = (),
        what: str = "the result",
        tolerance: float = 1e-4,
    ) -> None:
        """Report ``value`` unless it equals ``expected``, with the hint of the first of ``mistakes`` that it equals."""
        wanted = torch.as_tensor(expected).detach().double()
        result = self.tensor(value, wanted.shape, hint=hint, what=what).detach().double().cpu()
        if near(result, wanted, tolerance):
            return
        fitting = [h for wrong, h in mistakes if near(result, torch.as_tensor(wrong).detach().double(), tolerance)]
        thought = " Or: ".join(fitting[:2]) or hint  # two mistakes may give the same number
        got, right, place = result, wanted, ""
        if wanted.numel() > 6:  # too many to print: show the entry that is farthest off
            index = torch.unravel_index((result - wanted).abs().argmax(), wanted.shape)
            got, right, place = result[index], wanted[index], f" at {[int(i) for i in index]}"
        label = f"{what}{place} = "
        self.fail(f"{label}{describe(got)}", f"{label}{describe(right)}", thought)

    def unchanged(self, given: Tensor, before: Tensor, what: str, hint: str = "Make a new tensor.") -> None:
        """Report that ``what`` was changed, unless ``given``, which went into the function, still equals ``before``."""
        if not torch.equal(given.detach(), before):
            self.fail(f"{what} changed", "what went in, as it came in", hint)

    def dtype(self, value: Tensor, wanted: torch.dtype, what: str, hint: str) -> None:
        """Report ``value`` unless its numbers are of the kind ``wanted``."""
        if value.dtype != wanted:
            self.fail(f"{what} of dtype {describe(value.dtype)}", f"{what} of dtype {describe(wanted)}", hint)

    def gradient(self, value: Any, inputs: Tensor, what: str) -> Tensor:
        """d(value)/d(inputs), or a report that there is none."""
        if not (isinstance(value, Tensor) and value.requires_grad):
            self.fail(
                f"{what} without a gradient",
                f"{what} that backward() can start from",
                "Training needs the gradient. Stay with tensors all the way: .item(), float() and detach() cut the "
                "thread.",
            )
        try:
            (gradient,) = torch.autograd.grad(value.sum(), inputs, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            self.crashed(error)
        return torch.zeros_like(inputs) if gradient is None else gradient


def near(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors of one shape are equal up to rounding."""
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance / 10)


def first_hint(mistakes: Mistakes, made: Callable[[Any], bool], otherwise: str) -> str:
    """The hint of the first mistake that was ``made``."""
    return next((hint for wrong, hint in mistakes if made(wrong)), otherwise)


def normal(*shape: int, seed: int) -> Tensor:
    """Gaussian noise, the same in every run; the notebook's own random numbers stay as they are."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def per_picture(values: Tensor, images: Tensor) -> Tensor:
    """``values [N]`` in the shape that multiplies ``images [N, ...]``."""
    return values.reshape(-1, *[1] * (images.ndim - 1))


def flat(network: nn.Module) -> Tensor:
    """All parameters of ``network`` in one row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def describe(value: Any) -> str:
    """``value`` in a few words: numbers with five digits, small tensors in full, large ones by shape and range."""
    if isinstance(value, bool | str) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return f"{value:.5g}" if isinstance(value, float) else str(value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(describe, value[:4]))}{', ...' if len(value) > 4 else ''})"
    if isinstance(value, Tensor):
        if value.ndim == 0:
            return describe(value.item())
        if value.numel() <= 6:
            return f"tensor({_numbers(value.tolist())})"
        size = f"tensor {list(value.shape)} {describe(value.dtype)}"
        return size if value.is_complex() else f"{size}, {value.min().item():.4g} to {value.max().item():.4g}"
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if hasattr(value, "description"):
        return value.description
    return f"an object of type {type(value).__name__}"


def _numbers(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_numbers, values))}]"
    return describe(values)


def _not_written_yet(error: NotImplementedError) -> NotImplementedError:
    """The stub's own error with a friendly text; still a plain ``NotImplementedError``, as nbgrader expects."""
    name = traceback.extract_tb(error.__traceback__)[-1].name
    text = f"{name} is not written yet: put your code where its cell says YOUR CODE HERE, and run that cell first."
    friendly = NotImplementedError(text)
    friendly._render_traceback_ = lambda: [f"NotImplementedError: {text}"]  # type: ignore[attr-defined]
    return friendly
