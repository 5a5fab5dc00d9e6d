"""What came back: made plain, compared, put into words. The functions that decide are bound here at import, so that an
answer that replaces ``torch.allclose`` decides nothing."""

from __future__ import annotations

import contextlib
import decimal
import linecache
import numbers
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, allclose, equal, nn
from torch._C import DisableTorchFunctionSubclass
from torch.overrides import TorchFunctionMode

from gan_course.checks.draws import seeded
from gan_course.language import tr

_as_subclass, _double, _detach, _isfinite = Tensor.as_subclass, Tensor.double, Tensor.detach, torch.isfinite


def plain(value: Any) -> Any:
    """``value`` with subclasses of tensors and NumPy's and other numbers turned into plain ones; the rest as it is."""
    if isinstance(value, Tensor):
        if type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__:
            return value  # its numbers are whatever it says they are
        with DisableTorchFunctionSubclass():
            value = _as_subclass(value, Tensor)
            return value.to_dense().cpu() if value.layout != torch.strided else value.cpu()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
        return value.item()
    if isinstance(value, tuple | list):
        return [plain(v) for v in value] if isinstance(value, list) else tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, bool) or not isinstance(value, numbers.Real | decimal.Decimal):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def as_double(value: Any) -> Tensor:
    """A number or a tensor as 64-bit numbers without a graph."""
    return _double(_detach(value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)))


def near(a: Any, b: Any, tolerance: float = 1e-4) -> bool:
    """Whether two tensors of one shape are equal up to rounding."""
    a, b = as_double(a), as_double(b)
    return a.shape == b.shape and allclose(a, b, rtol=tolerance, atol=tolerance / 10)


def same(before: Tensor, after: Tensor) -> bool:
    """Whether a tensor holds the numbers that it held, exactly; NaN is the same as NaN."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return False
    return equal(before, after) or (
        before.is_floating_point() and allclose(before, after, rtol=0.0, atol=0.0, equal_nan=True)
    )


def why_not_shape(found: list[int], allowed: Sequence[list[int]]) -> str:
    """In a sentence, what is wrong with the axes of a result of shape ``found``: it equals none of ``allowed``."""
    wanted = min(allowed, key=lambda s: (abs(len(s) - len(found)), sum(a != b for a, b in zip(s, found, strict=False))))
    more = len(found) - len(wanted)
    if more:
        longer, shorter = (found, wanted) if more > 0 else (wanted, found)
        odd = [i for i in range(len(longer)) if abs(more) == 1 and longer[:i] + longer[i + 1 :] == shorter]
        if len(odd) == 1:
            said = tr("There is an axis too many: number {axis}, counted from 0, of length {length}.")
            if more < 0:
                said = tr("An axis is missing: number {axis}, counted from 0, of length {length}.")
            return said.format(axis=odd[0], length=longer[odd[0]])
        if abs(more) == 1:
            return tr("There is an axis too many.") if more > 0 else tr("An axis is missing.")
        return (tr("There are {count} axes too many.") if more > 0 else tr("{count} axes are missing.")).format(
            count=abs(more)
        )
    off = [i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b]
    if sorted(found) == sorted(wanted):
        if len(off) > 2:
            return tr("The axes are in another order.")
        return tr("Axes {one} and {other}, counted from 0, are exchanged.").format(one=off[0], other=off[1])
    said = tr("Axis {axis}, counted from 0, has length {found} and should have {wanted}.")
    return " ".join(said.format(axis=i, found=found[i], wanted=wanted[i]) for i in off[:2])


def finite(value: Tensor) -> bool:
    return bool(_isfinite(_detach(value)).all())


def normal(*shape: int, seed: int) -> Tensor:
    """Gaussian noise, the same in every run but a grader's; the notebook's own random numbers stay as they are."""
    return torch.randn(*shape, generator=seeded(seed))


def looks_random(rows: Tensor) -> bool:
    """Whether ``rows [N, D]`` may be independent draws: no row tells another one's value.

    Rows in turn, sorted ones and mirrored pairs each have a lag, or a centre of reflection, at which they agree far
    better than independent rows do. N is 500 or more, as chance agreement stays below 10 / √N.
    """
    centred = as_double(rows) - as_double(rows).mean(dim=0)
    spectrum = torch.fft.fft(centred / centred.std(dim=0).clamp_min(1e-12), dim=0)
    shifted = torch.fft.ifft(spectrum.abs().square(), dim=0).real / len(rows)
    mirrored = torch.fft.ifft(spectrum.square(), dim=0).real / len(rows)
    limit = 10 / len(rows) ** 0.5
    return bool(shifted[1:].abs().max() < limit) and bool(mirrored.abs().max() < limit)


def per_picture(values: Tensor, images: Tensor) -> Tensor:
    """``values [N]`` in the shape that multiplies ``images [N, ...]``."""
    return values.reshape(-1, *[1] * (images.ndim - 1))


def flat(network: nn.Module) -> Tensor:
    """All parameters of ``network`` in one row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def shortened(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[:length] + " …"


def describe(value: Any, depth: int = 3) -> str:
    """``value`` in a few words: numbers with five digits, small tensors in full, large ones by shape and range."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, str):
        return shortened(repr(str(value)), 100)
    if isinstance(value, int | float):
        return f"{value:.5g}" if isinstance(value, float) else shortened(str(int(value)), 30)
    if isinstance(value, list | tuple) and depth:
        shown = ", ".join(describe(v, depth - 1) for v in value[:4])
        return f"({shown}{', ...' if len(value) > 4 else ''})"
    if type(value) is Tensor or type(value) is nn.Parameter:
        if value.ndim == 0:
            return describe(value.item())
        if value.numel() <= 6:
            return f"tensor({_numbers(value.tolist())})"
        size = f"tensor {list(value.shape)} {describe(value.dtype)}"
        return size if value.is_complex() else f"{size}, {value.min().item():.4g} to {value.max().item():.4g}"
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if type(value).__module__.startswith("gan_course.") or isinstance(value, nn.Module | torch.optim.Optimizer):
        description = getattr(value, "description", None)
        if isinstance(description, str):
            return description
    return f"an object of type {shortened(type(value).__name__, 60)}"


def _numbers(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_numbers, values))}]"
    return describe(values)


# ------------------------------------------------------------------------------------------ where a NaN came from


class _Watch(TorchFunctionMode):
    """Notes the first operation that gave infinity, and the first that gave NaN."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file, self.first = file, dict[str, str]()

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point() and not finite(result):
            kind = "NaN" if result.isnan().any() else "infinity"
            if kind not in self.first:
                self.first[kind] = self._where(getattr(function, "__name__", tr("an operation")))
        return result

    def _where(self, operation: str) -> str:
        frame = sys._getframe(2)
        while frame.f_back and frame.f_code.co_filename != self.file:
            frame = frame.f_back
        line = linecache.getline(self.file, frame.f_lineno).strip() if frame.f_code.co_filename == self.file else ""
        place = tr(", in the line: {line}").format(line=shortened(line, 120)) if line else ""
        return operation.strip("_") + place


def origin(function: Callable[..., Any], values: tuple[Any, ...], kind: str) -> str:
    """Where in ``function(*values)`` the first ``kind`` ("NaN" or "infinity") arises, or "" if it can't be seen.

    A function that runs in another process looks for itself.
    """
    if callable(elsewhere := getattr(function, "origin", None)):
        return str(elsewhere(values, kind))
    watch = _Watch(getattr(getattr(function, "__code__", None), "co_filename", ""))
    with contextlib.suppress(Exception), watch:
        function(*values)
    said = tr(" (the first {kind} came from {where})")
    return said.format(kind=kind, where=watch.first[kind]) if kind in watch.first else ""
