"""Plain values over a pipe: numbers, texts, lists, dictionaries, tensors. Nothing that arrives is ever executed.

A message is a JSON text and raw buffers, each behind its length. This file is also read inside of the sandbox, where
there is no course: it imports nothing of it.
"""

from __future__ import annotations

import decimal
import json
import numbers
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunctionSubclass

LARGEST = 32_000_000  # bytes of a message's buffers together
LONGEST = 4_000_000  # characters of its JSON
DEEPEST = 20  # lists within lists
NUMPY = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128"}
Node = dict[str, Any]


class Garbled(Exception):
    """What arrived is no message."""


def pack(head: dict[str, Any], buffers: list[bytes]) -> bytes:
    text = json.dumps(head).encode()
    sizes = struct.pack(f">{len(buffers)}Q", *map(len, buffers))
    return b"".join([struct.pack(">II", len(text), len(buffers)), sizes, text, *buffers])


def unpack(read: Callable[[int], bytes], largest: int = LARGEST) -> tuple[dict[str, Any], list[bytes]]:
    """The next message. ``read(n)`` gives exactly n bytes. Raises :class:`Garbled`."""
    length, count = struct.unpack(">II", read(8))
    if length > LONGEST or count > 10_000:
        raise Garbled
    sizes = struct.unpack(f">{count}Q", read(8 * count))
    if sum(sizes) > largest:
        raise Garbled
    try:
        head = json.loads(read(length))
    except (ValueError, RecursionError) as error:
        raise Garbled from error
    if not isinstance(head, dict):
        raise Garbled
    return head, [read(size) for size in sizes]


# ------------------------------------------------------------------------------------------ from values to nodes


class Encoder:
    """Turns values into nodes. ``buffers``: the tensors' numbers. ``live``: the tensors that carry a gradient."""

    def __init__(self, network: Callable[[nn.Module, Encoder], Node] | None = None) -> None:
        self.buffers: list[bytes] = []
        self.live: list[Tensor] = []
        self.network = network

    def node(self, value: Any, depth: int = 0) -> Node:
        if value is None or isinstance(value, bool):
            return {"kind": "plain", "value": value}
        if isinstance(value, str):
            return {"kind": "plain", "value": str(value)[:10_000]}
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.name in NUMPY:
            return self._array("array" if isinstance(value, np.ndarray) else "scalar", np.asarray(value))
        if isinstance(value, numbers.Integral):
            whole = int(value)
            return {"kind": "whole", "value": hex(whole)} if abs(whole) < 1 << 4096 else _object(value)
        if isinstance(value, numbers.Real | decimal.Decimal):
            return {"kind": "float", "value": float(value).hex()}
        if isinstance(value, complex):
            return {"kind": "complex", "value": [value.real.hex(), value.imag.hex()]}
        if isinstance(value, torch.dtype):
            return {"kind": "dtype", "value": str(value).removeprefix("torch.")}
        if depth < DEEPEST and isinstance(value, tuple | list) and len(value) <= 100_000:
            kind = "list" if isinstance(value, list) else "tuple"
            return {"kind": kind, "value": [self.node(v, depth + 1) for v in value]}
        if depth < DEEPEST and isinstance(value, dict) and len(value) <= 10_000:
            pairs = [[self.node(k, depth + 1), self.node(v, depth + 1)] for k, v in value.items()]
            return {"kind": "dict", "value": pairs}
        if isinstance(value, type):
            return {"kind": "type", "value": value.__name__[:100]}
        if isinstance(value, nn.Module) and self.network:
            return self.network(value, self)
        return _object(value)

    def _tensor(self, value: Tensor) -> Node:
        if type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__:
            return _object(value)  # its numbers are whatever it says they are
        with DisableTorchFunctionSubclass():
            value = value.as_subclass(Tensor)
            value = value.to_dense() if value.layout != torch.strided else value
            name = str(value.dtype).removeprefix("torch.")
            if name not in NUMPY and name != "bfloat16":
                return _object(value)
            bare = value.detach().cpu().resolve_conj().resolve_neg()
            node = self._array("tensor", (bare.view(torch.int16) if name == "bfloat16" else bare).numpy())
            node["dtype"] = name
            if value.requires_grad:
                node["live"] = len(self.live)
                self.live.append(value)
            return node

    def _array(self, kind: str, value: np.ndarray) -> Node:
        self.buffers.append(value.tobytes())
        at = len(self.buffers) - 1
        return {"kind": kind, "dtype": value.dtype.name, "shape": list(value.shape), "buffer": at}


def _object(value: Any) -> Node:
    return {"kind": "object", "value": type(value).__name__[:100]}


# ------------------------------------------------------------------------------------------ from nodes to values


class Decoder:
    """Turns nodes into values. ``live``: filled with the tensors that had a gradient where they come from, by number.

    Every fault raises :class:`Garbled`.
    """

    def __init__(self, buffers: list[bytes], network: Callable[[Node, Decoder], nn.Module] | None = None) -> None:
        self.buffers, self.network = buffers, network
        self.live: dict[int, Tensor] = {}

    def value(self, node: Any, depth: int = 0) -> Any:
        try:
            return self._value(node, depth)
        except Garbled:
            raise
        except Exception as error:  # a key that is missing, a number that is a text: whatever it is
            raise Garbled from error

    def _value(self, node: Node, depth: int) -> Any:
        kind: Any = node["kind"]
        held: Any = node.get("value")
        if depth > DEEPEST + 1:
            raise Garbled
        if kind == "plain" and (held is None or isinstance(held, bool | str)):
            return held
        if kind == "whole":
            return int(held, 16)
        if kind == "float":
            return float.fromhex(held)
        if kind == "complex":
            return complex(*map(float.fromhex, held))
        if kind in ("tensor", "array", "scalar"):
            return self._numbers(node, kind)
        if kind in ("list", "tuple"):
            values = [self.value(n, depth + 1) for n in held]
            return values if kind == "list" else tuple(values)
        if kind == "dict":
            return {self.value(k, depth + 1): self.value(v, depth + 1) for k, v in held}
        if kind == "dtype" and isinstance(getattr(torch, held), torch.dtype):
            return getattr(torch, held)
        if kind == "network" and self.network:
            return self.network(node, self)
        if kind in ("type", "object"):
            made = type(str(held).replace("\0", "")[:100], (), {})
            return made if kind == "type" else made()
        raise Garbled

    def _numbers(self, node: Node, kind: str) -> Any:
        name, shape, live = node["dtype"], [int(n) for n in node["shape"]], node.get("live")
        if name not in NUMPY and name != "bfloat16":
            raise Garbled
        raw = np.frombuffer(self.buffers[node["buffer"]], dtype="int16" if name == "bfloat16" else name)
        array = raw.reshape(shape).copy()
        if list(array.shape) != shape:  # a -1 would be taken for "the rest"
            raise Garbled
        if kind == "array":
            return array
        if kind == "scalar":
            return array[()]
        tensor = torch.from_numpy(np.asarray(array))
        tensor = tensor.view(torch.bfloat16) if name == "bfloat16" else tensor
        if live is None:
            return tensor
        if not isinstance(live, int):
            raise Garbled
        return self.live.setdefault(live, tensor)


# ------------------------------------------------------------------------------------------ what a call touches


def differentiable(values: Any) -> list[Tensor]:
    """The tensors in ``values`` that carry a gradient, networks' parameters too: on both sides in the same order."""
    found: dict[int, Tensor] = {}

    def look(value: Any, depth: int) -> None:
        if isinstance(value, Tensor):
            if value.requires_grad:
                found.setdefault(id(value), value)
        elif isinstance(value, nn.Module):
            for parameter in value.parameters():
                look(parameter, depth)
        elif isinstance(value, tuple | list) and depth < 4:
            for each in value:
                look(each, depth + 1)
        elif depth < 4 and not isinstance(value, torch.optim.Optimizer | type):
            for each in (value if isinstance(value, dict) else getattr(value, "__dict__", {})).values():
                look(each, depth + 1)

    look(values, 0)
    return list(found.values())


def own_attributes(value: Any) -> dict[str, Any]:
    """What an argument remembers by itself, such as how often it was called: its attributes that are plain values."""
    theirs = {"training", "defaults", "state", "param_groups"}
    kept = {k: v for k, v in getattr(value, "__dict__", {}).items() if not k.startswith("_") and k not in theirs}
    return {k: v for k, v in kept.items() if isinstance(v, bool | int | float | str | list | tuple | dict)}
