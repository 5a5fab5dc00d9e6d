"""The student's functions as a check sees them: stand-ins that send arguments into the sandbox and take values back.

Gradients cross, too: PyTorch asks the stand-in's result for them, and it asks the sandbox. Arguments travel as pickles,
which the course makes and the sandbox opens; what comes back is only ever read as numbers and texts (``wire``).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Protocol

import cloudpickle
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gan_course import checks
from gan_course.checks.values import origin as find_origin
from gan_course.commands.grading import wire

MOST_PARAMETERS = 200


class Sandbox(Protocol):
    """Answers one request: ``ask("call", {...}, [...]) -> (head, buffers)``."""

    def ask(self, do: str, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]: ...


class Stranger(Exception):
    """Base of the exceptions that stand for those of the student's code: :func:`raise_as_there`."""

    line = ""


def raise_as_there(head: dict[str, Any]) -> None:
    """Raise what the student's code raised, as far as it can be told."""
    if "error" not in head:
        return
    name, text, line, within = (str(head.get(key, ""))[:1000] for key in ("error", "text", "line", "within"))
    if head.get("stub") is True:
        error: Exception = NotImplementedError()
        error.within = within  # type: ignore[attr-defined]
        raise error
    made = type(name.replace("\0", "") or "Exception", (Stranger,), {})
    error = made(text)
    error.line = line  # type: ignore[attr-defined]
    raise error


# ------------------------------------------------------------------------------------------ arguments


class Pickler(cloudpickle.Pickler):
    """Arguments as the sandbox gets them. The checks' own classes travel by value: the checks are not there."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor) and obj.requires_grad and not obj.is_leaf:
            return _as_made, (obj.detach().clone(),)  # there, too, it is what a computation has made
        if type(obj) is nn.Parameter:
            return _parameter, (obj.data, obj.requires_grad, obj.grad)
        if type(obj) is Tensor and obj.is_leaf and obj.grad is not None:
            return _leaf, (obj.detach(), obj.requires_grad, obj.grad)
        return super().reducer_override(obj)


def _as_made(value: Any) -> Any:
    return value.requires_grad_().clone()


def _parameter(value: Any, requires_grad: bool, grad: Any) -> Any:
    made = nn.Parameter(value, requires_grad)
    made.grad = grad
    return made


def _leaf(value: Any, requires_grad: bool, grad: Any) -> Any:
    made = value.requires_grad_(requires_grad)
    made.grad = grad
    return made


def by_value() -> None:
    """Let cloudpickle send what the checks define, instead of the name of a module that the sandbox does not have."""
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith((f"{checks.__name__}.", f"{wire.__name__.rpartition('.')[0]}.remote")):
            cloudpickle.register_pickle_by_value(module)


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    Pickler(file).dump(value)
    return file.getvalue()


# ------------------------------------------------------------------------------------------ gradients


class _Asked(torch.autograd.Function):
    """The results of a call in the sandbox, whose gradients are there."""

    @staticmethod
    def forward(ctx: Any, sandbox: Sandbox, call: int, count: int, live: dict[int, Tensor], *inputs: Tensor) -> Any:  # type: ignore[override]
        ctx.sandbox, ctx.call, ctx.count, ctx.shapes = sandbox, call, count, [i.shape for i in inputs[1:]]
        ctx.order = sorted(live)
        ctx.set_materialize_grads(False)
        return tuple(live[n].clone() for n in ctx.order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        given: list[Tensor | None] = [None] * ctx.count
        for n, gradient in zip(ctx.order, gradients, strict=True):
            given[n] = gradient
        head, buffers = ctx.sandbox.ask("gradient", {"of": ctx.call}, [pickled(given)])
        if "error" in head:
            raise RuntimeError(str(head.get("text", ""))[:1000])
        found = wire.Decoder(buffers).value(head.get("result"))
        if not isinstance(found, list) or len(found) != len(ctx.shapes):
            raise wire.Garbled
        for value, shape in zip(found, ctx.shapes, strict=True):
            if value is not None and (not isinstance(value, Tensor) or value.shape != shape):
                raise wire.Garbled
        return None, None, None, None, None, *found


def with_gradients(sandbox: Sandbox, head: dict[str, Any], buffers: list[bytes], inputs: list[Tensor]) -> Any:
    """The result of a call, as part of the graph that ``inputs`` belong to."""
    maker = Networks.of(sandbox)
    first = wire.Decoder(buffers, maker.blank)
    first.value(head.get("result"))
    count = head.get("outputs")
    if not isinstance(count, int) or any(not 0 <= n < count for n in first.live) or count > 10_000:
        raise wire.Garbled
    second = wire.Decoder(buffers, maker.made)
    if first.live:
        if not all(t.is_floating_point() or t.is_complex() for t in first.live.values()):
            raise wire.Garbled
        root = torch.zeros((), requires_grad=True)  # a result may carry a gradient of which the arguments know nothing
        with torch.enable_grad():
            tensors = _Asked.apply(sandbox, head["call"], count, first.live, root, *inputs)
        second.live = dict(zip(sorted(first.live), tensors, strict=True))
    return second.value(head["result"])


# ------------------------------------------------------------------------------------------ what became of arguments


def apply(value: Any, node: Any, buffers: list[bytes], shared: dict[str, Tensor]) -> None:
    """Do to an argument what the call in the sandbox did to its twin there.

    ``shared``: the numbers of the networks in this call, so that those that share some there share them here, too.
    """
    if node is None:
        return
    read = wire.Decoder(buffers).value

    def number(part: Any, like: Tensor | None = None) -> Tensor | None:
        found = None if part is None else read(part)
        if found is not None and (not isinstance(found, Tensor) or (like is not None and found.shape != like.shape)):
            raise wire.Garbled
        return found

    if isinstance(value, Tensor):
        data, grad = number(node["data"]), number(node["grad"])
        if data is not None:
            value.data = data
        if value.is_leaf and value.is_floating_point():
            value.requires_grad_(node["requires_grad"] is True)
            if grad is None or (grad.shape == value.shape and grad.dtype == value.dtype):
                value.grad = grad
    elif isinstance(value, list | dict):
        now = read(node["all"])
        if type(now) is not type(value) and not (isinstance(value, dict) and isinstance(now, dict)):
            raise wire.Garbled
        value.clear()
        value.extend(now) if isinstance(value, list) else value.update(now)
    else:
        if isinstance(value, nn.Module):
            for name, parameter in value.named_parameters():
                key, data, grad, requires_grad, leaf = node["parameters"][name]
                parameter.data = shared.setdefault(key, number(data, parameter))  # type: ignore[arg-type]
                parameter.grad = number(grad, parameter)
                parameter.requires_grad_(requires_grad is True and leaf is True)
                if leaf is not True:
                    with torch.enable_grad():
                        parameter.mul_(torch.ones((), requires_grad=True))
            for name, buffer in value.named_buffers():
                key, data = node["buffers"][name]
                buffer.data = shared.setdefault(key, number(data, buffer))  # type: ignore[arg-type]
            for name, module in value.named_modules():
                module.training = node["modes"][name] is True
        own, found = wire.own_attributes(value), read(node["own"])
        for name in own.keys() & found.keys():
            if isinstance(found[name], bool | int | float | str | list | tuple | dict):
                setattr(value, name, found[name])


# ------------------------------------------------------------------------------------------ networks that came back


class Far(nn.Module):
    """A network that lives in the sandbox: its modules and parameters are here, its forward is there."""

    sandbox: Sandbox
    place: int

    def __init__(self, sandbox: Sandbox, place: int, inside: nn.Module) -> None:
        super().__init__()
        self.__dict__.update({k: v for k, v in inside.__dict__.items() if k not in ("sandbox", "place")})
        object.__setattr__(self, "sandbox", sandbox)
        object.__setattr__(self, "place", place)

    def forward(self, *values: Any) -> Any:
        recorded = [name for name, module in self.named_modules() if name and module._forward_hooks]
        tensors = {n: t.detach() for n, t in (*self.named_parameters(), *self.named_buffers())}
        modes = {name: module.training for name, module in self.named_modules()}
        head = {"network": self.place, "grad": torch.is_grad_enabled()}
        inputs = wire.differentiable(values) + [p for p in self.parameters() if p.requires_grad]
        sent = pickled((values, tensors, modes, recorded))
        head, buffers = self.sandbox.ask("forward", head, [sent])
        raise_as_there(head)
        read = wire.Decoder(buffers).value
        seen, state = read(head.get("seen")), read(head.get("state"))
        with torch.no_grad():
            for name, tensor in (*self.named_parameters(), *self.named_buffers()):
                if state[name].shape != tensor.shape:
                    raise wire.Garbled
                tensor.copy_(state[name])
        modules = dict(self.named_modules())
        for name in recorded:
            if name in seen:
                for hook in list(modules[name]._forward_hooks.values()):
                    hook(modules[name], tuple(seen[name][0]), seen[name][1])
        return with_gradients(self.sandbox, head, buffers, inputs)


class Networks:
    """The networks of one sandbox that have come back, each of them once."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.far: dict[int, Far] = {}
        self.parameters: dict[int, nn.Parameter] = {}

    @classmethod
    def of(cls, sandbox: Sandbox) -> Networks:
        if not hasattr(sandbox, "networks"):
            sandbox.networks = cls(sandbox)  # type: ignore[attr-defined]
        return sandbox.networks  # type: ignore[attr-defined]

    def blank(self, node: wire.Node, decoder: wire.Decoder) -> nn.Module:
        return nn.Module()

    def made(self, node: wire.Node, decoder: wire.Decoder) -> nn.Module:
        place = node["place"]
        if place not in self.far:
            self.far[place] = Far(self.sandbox, place, self.tree(node["tree"], decoder, 0))
        return self.far[place]

    def tree(self, node: wire.Node, decoder: wire.Decoder, depth: int) -> nn.Module:
        """A module that looks like the one there. Only PyTorch's own classes are taken for what they are called."""
        if depth > wire.DEEPEST or len(self.parameters) > 50 * MOST_PARAMETERS:
            raise wire.Garbled
        known = vars(nn).get(node["name"]) if node["known"] is True else None
        kind = known if isinstance(known, type) and issubclass(known, nn.Module) else nn.Module
        if kind is nn.Module:
            kind = type(str(node["name"]).replace("\0", "") or "Network", (nn.Module,), {})
        made = kind.__new__(kind)
        nn.Module.__init__(made)
        for name, value in decoder.value(node["plain"]).items():
            if name not in vars(made) and not hasattr(nn.Module, name) and isinstance(value, bool | int | float | str):
                made.__dict__[name] = value
        made.training = decoder.value(node["plain"]).get("training") is True
        for name, (key, requires_grad, numbers) in node["parameters"].items():
            if key not in self.parameters:
                self.parameters[key] = nn.Parameter(decoder.value(numbers), requires_grad is True)
            made.register_parameter(name, self.parameters[key])
        for name, numbers in node["buffers"].items():
            made.register_buffer(name, decoder.value(numbers))
        for name, child in node["children"].items():
            made.add_module(name, self.tree(child, decoder, depth + 1))
        return made


# ------------------------------------------------------------------------------------------ functions


def stand_in(sandbox: Sandbox, name: str) -> Callable[..., Any]:
    """A function that calls the student's ``name`` in the sandbox. It raises what that raises, as :class:`Stranger`."""

    def function(*values: Any) -> Any:
        inputs = wire.differentiable(values)
        head, buffers = sandbox.ask("call", {"name": name, "seed": random_seed()}, [pickled(values)])
        raise_as_there(head)
        try:
            states = head["states"]
            if len(states) != len(values):
                raise wire.Garbled
            result = with_gradients(sandbox, head, buffers, inputs)
            shared: dict[str, Tensor] = {}
            for value, node in zip(values, states, strict=True):
                apply(value, node, buffers, shared)
        except wire.Garbled:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise wire.Garbled from error
        return result

    def origin(values: tuple[Any, ...], kind: str) -> str:
        head, _ = sandbox.ask("origin", {"name": name}, [pickled((find_origin, values, kind))])
        return "" if "error" in head else str(head.get("text", ""))[:500]

    function.origin = origin  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    return function


def random_seed() -> int:
    """The seed that the check has set: the sandbox sets the same one."""
    return torch.initial_seed() % 2**32
