"""One converter for each kind of argument, and the names by which signatures call them."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

Converter = Callable[[str, Any], Any]
MOST = 100_000_000  # of anything to be counted: beyond, no memory holds it


def shown(value: Any) -> str:
    """``value`` in a few words, with its type."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{'an' if dtype.startswith('i') else 'a'} {dtype} {kind} of shape {list(value.shape)}"
    if value is None:
        return "None"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__qualname__} ({type(value).__name__})"
    try:
        text = reprlib.repr(value).partition("\n")[0]
    except ValueError:  # a whole number of thousands of digits
        text = "a huge number"
    return f"{text} ({type(value).__name__})"


def refuse(name: str, must: str, value: Any, remedy: str) -> NoReturn:
    """Raise the sentence."""
    if isinstance(value, str) and "number" in must:
        remedy = "write a number without quotes"
    raise ValueError(f"{name} must be {must} but is {shown(value)}: {remedy}")


# ------------------------------------------------------------------------------------------ numbers and words


def _plain(value: Any) -> Any:
    """The Python number in a NumPy scalar or in an array or tensor without axes; anything else as it is."""
    if isinstance(value, np.generic | np.ndarray | Tensor) and value.ndim == 0:
        return value.item()
    return value


def whole(low: int | None = None, high: int = MOST) -> Converter:
    """For whole numbers from ``low`` to ``high``."""
    must = "a whole number" + ("" if low is None else f" from {low} up" if high >= MOST else f" from {low} to {high}")

    def convert(name: str, value: Any) -> int:
        plain = value if type(value) is int else _plain(value)
        if isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        if type(plain) is not int:
            refuse(name, must, value, "pass one whole number" if low is None else f"pass one, such as {max(low, 1)}")
        if low is not None and plain < low:
            refuse(name, must, value, "choose a larger one")
        if abs(plain) > high:
            refuse(name, must, value, f"choose one up to {high:,}")
        return plain

    return convert


def picture_shape(name: str, value: Any) -> tuple[int, ...]:
    """For (channels, height, width)."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or len(value) != 3:
        refuse(name, "(channels, height, width)", value, "a grey picture has (1, 28, 28)")
    return tuple(whole(1)(f"{name}[{i}]", side) for i, side in enumerate(value))


def number(low: float = -math.inf, high: float = math.inf, above: bool = False, below: bool = False) -> Converter:
    """For finite numbers from ``low`` to ``high``; ``above`` and ``below`` shut the ends out."""
    ends = [] if low == -math.inf else [f"above {low:g}" if above else f"from {low:g} up"]
    if high < math.inf:
        ends += [f"below {high:g}" if below else f"at most {high:g}"]
    must = " ".join(["a finite number", *([" and ".join(ends)] if ends else [])])

    def convert(name: str, value: Any) -> float:
        plain = value if type(value) is float else _plain(value)
        if type(plain) not in (int, float) or not abs(plain) < math.inf or abs(plain) > 1e300:
            refuse(name, must, value, "pass one number")
        if not low <= plain <= high or (above and plain == low) or (below and plain == high):
            refuse(name, must, value, "choose one in that range")
        return plain

    return convert


def flag(name: str, value: Any) -> bool:
    """For ``True`` and ``False``; 1 and 0 mean the same."""
    plain = _plain(value)
    if not isinstance(plain, int) or plain not in (0, 1):
        refuse(name, "True or False", value, "write it without quotes" if isinstance(value, str) else "choose one")
    return bool(plain)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        refuse(name, "a string", value, "write it in quotes")
    return str(value)


def path(name: str, value: Any) -> Any:
    """For the path of a file or folder, as a string or a ``Path``."""
    if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
        refuse(name, "the path of a file or folder", value, "write it in quotes, such as 'runs/first'")
    return value


def folder(name: str, value: Any) -> Path:
    return Path(path(name, value))


def device(name: str, value: Any) -> str:
    """For a device of PyTorch that is present here."""
    try:
        found = torch.device(value) if isinstance(value, str | torch.device) else None
        if found is not None:
            torch.empty(0, device=found)
    except Exception:  # each kind of device has its own way to be absent
        found = None
    if found is None:
        refuse(name, "a device that is present here", value, "use 'cpu', or 'cuda' where torch.cuda.is_available()")
    return str(found)


def prompts(name: str, value: Any) -> Any:
    """For one string or several. Raises ``TypeError`` where something else stands for a prompt."""
    asked = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    for prompt in asked:
        if not isinstance(prompt, str):
            raise TypeError(f"{name}: a prompt must be a string but one is {shown(prompt)}: write it in quotes")
    if not asked:
        raise ValueError(f"{name}: there is no prompt: pass a string, or a list with one string for each picture")
    return [str(prompt) for prompt in asked]


def test(right: Callable[[Any], bool], must: str, remedy: str) -> Converter:
    return lambda name, value: value if right(value) else refuse(name, must, value, remedy)


def having(*attributes: str, must: str, remedy: str) -> Converter:
    """For objects of other libraries, known by what they have."""
    return test(lambda x: all(hasattr(x, name) for name in attributes), must, remedy)


def column(name: str, value: Any) -> np.ndarray:
    """For a column of a log: numbers in a row, NaN among them, or none as yet."""
    found = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "fiu"):
        refuse(name, "a list of numbers", value, "keep one number an entry")
    return found


# ------------------------------------------------------------------------------------------ tensors


def tensor(name: str, value: Any) -> Tensor:
    """For tensors of any dtype; arrays, lists and numbers become one, without loss."""
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, np.ndarray | np.generic | list | tuple | int | float) and not isinstance(value, bool):
            return torch.tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # ragged, of strings, of tensors
        pass
    refuse(name, "a tensor", value, "convert it with torch.as_tensor(), or a list of tensors with torch.stack()")


def floats(name: str, value: Any) -> Tensor:
    """For tensors of floating-point numbers, at least one; Python's own whole numbers become such."""
    x = tensor(name, value)
    if not x.is_floating_point():
        if isinstance(value, list | tuple | int) and x.dtype == torch.int64:
            return x.to(torch.get_default_dtype())
        remedy = "pictures of bytes become x.float() / 127.5 - 1" if x.dtype == torch.uint8 else "convert with .float()"
        refuse(name, "a tensor of floating-point numbers", x, remedy)
    if not x.numel():
        refuse(name, "a tensor with something in it", x, "look at where it was made")
    return x


def batch(name: str, value: Any) -> Tensor:
    """As :func:`floats`; all arguments of this kind have the same shape in one call, so that none is spread out."""
    return floats(name, value)


def shaped(form: str, right: Callable[[Tensor], bool], remedy: str) -> Converter:
    """As :func:`floats`, of a certain ``form``."""

    def convert(name: str, value: Any) -> Tensor:
        x = floats(name, value)
        if not right(x):
            refuse(name, f"a tensor of shape {form}", x, remedy)
        return x

    return convert


line = shaped("[R], one axis", lambda x: x.ndim == 1, "flatten it")
rows = shaped("[N, ...], a sample a row", lambda x: x.ndim > 1, "add the missing axis with unsqueeze")
points = shaped("[N, 2], a point a row", lambda x: x.shape[1:] == (2,), "give each point one row with x and y")
maps = shaped("[N, C, H, W]", lambda x: x.ndim == 4, "add the missing axis with unsqueeze(1)")
words = shaped("[N, tokens, width]", lambda x: x.ndim == 3, "make it with read_words(pipeline, prompts)")


def drawable(name: str, value: Any) -> Tensor:
    """For pictures ``[N, C, H, W]`` in ``[-1, 1]`` to look at. Noise may reach beyond, what counts from 0 may not."""
    x = maps(name, value)
    if x.shape[1] not in (1, 3, 4):
        refuse(name, "pictures of 1 or 3 channels, [N, C, H, W]", x, "choose channels with x[:, :1], or permute them")
    check_not_from_0(name, x)
    return x


def pictures(name: str, value: Any) -> Tensor:
    """For pictures ``[N, C, H, W]`` in ``[-1, 1]`` to measure: all of the numbers are looked at."""
    x = maps(name, value)
    check_not_from_0(name, x)
    check_in_range(name, x)
    return x


def samples(name: str, value: Any) -> Tensor:
    """For what is measured, ``[N, ...]``, none of it NaN: features, points, or pictures in about ``[-1, 1]``."""
    x = rows(name, value)
    check_finite(name, x)
    if x.ndim == 4:
        check_not_from_0(name, x)
    return x


colours = shaped(
    "[N, 3, H, W]", lambda x: x.ndim == 4 and x.shape[1] == 3, "a grey channel is repeated by expand(-1, 3, -1, -1)"
)
colour = shaped("[3, H, W]", lambda x: x.ndim == 3 and x.shape[0] == 3, "take one picture of a batch, images[0]")


def photographs(name: str, value: Any) -> Tensor:
    """For pictures ``[N, 3, H, W]`` in about ``[-1, 1]`` to be restyled or compared, none of it NaN."""
    x = colours(name, value)
    check_finite(name, x)
    check_not_from_0(name, x)
    return x


def clip(name: str, value: Any) -> Tensor:
    """For one clip, ``[T, C, H, W]`` in about ``[-1, 1]``, none of it NaN, or a list of its pictures ``[C, H, W]``."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value):
        frames = [floats(f"{name}[{i}]", frame) for i, frame in enumerate(value)]
        for i, frame in enumerate(frames):
            if frame.shape != frames[0].shape:
                sizes = f"{name}[0] is {list(frames[0].shape)} and {name}[{i}] {list(frame.shape)}"
                raise ValueError(f"all frames must have the same size but {sizes}: crop or resize them")
        value = torch.stack(frames)
    x = floats(name, value)
    if x.ndim != 4:
        refuse(name, "one clip, [T, C, H, W],", x, "of several clips choose one, clips[0]; a picture is no clip")
    check_finite(name, x)
    check_not_from_0(name, x)
    return x


clips = shaped("[N, T, C, H, W], clips,", lambda x: x.ndim == 5, "of one clip make a batch with clip[None]")


def pixels(name: str, value: Any) -> np.ndarray:
    """For one picture as files hold it: an array uint8 ``[H, W, 3]``."""
    array = isinstance(value, np.ndarray)
    if not array or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or value.size == 0:
        found = f"{value.dtype} {list(value.shape)}" if array else shown(value)
        raise ValueError(f"a picture must be uint8 [H, W, 3] but is {found}: read one with data.pictures.read()")
    return value


def check_not_from_0(name: str, x: Tensor) -> None:
    """Raise ``ValueError`` for pictures whose range begins at 0: no picture of bytes in ``[-1, 1]`` is 0 anywhere.

    One picture alone may begin near 0, white on grey; then only 0 itself gives it away.
    """
    low, high = (x.detach().min().item(), x.detach().max().item()) if x.device.type != "meta" else (-1, 1)
    if 0 <= low and high > 2:
        raise ValueError(f"{name} must lie in [-1, 1] but reach {high:g}: divide by 127.5 and subtract 1")
    nearly = 1 / 256 if len(x) > 1 else 0
    if (low == 0 or 0 < low < nearly) and 0.5 < high <= 1:
        raise ValueError(f"{name} must lie in [-1, 1] but go from 0 to {high:g}: multiply by 2 and subtract 1")


def check_in_range(name: str, x: Tensor) -> None:
    """Raise ``ValueError`` for pictures with NaN, or beyond ``[-1, 1]`` by more than rounding explains."""
    check_finite(name, x)
    low, high = x.detach().min().item(), x.detach().max().item()
    if high > 2 and low > -1.001:
        raise ValueError(f"{name} must lie in [-1, 1] but reach {high:g}: divide by 127.5 and subtract 1")
    if low < -1.001 or high > 1.001:
        raise ValueError(f"{name} must lie in [-1, 1] but go from {low:g} to {high:g}: rescale or clamp them")


def check_finite(name: str, x: Tensor) -> None:
    if not x.isfinite().all():
        raise ValueError(f"{name} hold NaN or infinite values: find them with x.isfinite() and remove those samples")


def labels(name: str, value: Any) -> Tensor:
    """For whole numbers ``[N]``, one for each sample, as int64."""
    x = tensor(name, value)
    if x.dtype == torch.bool or x.is_floating_point() or x.is_complex() or x.ndim != 1 or not x.numel():
        refuse(name, "int64 of shape [N], one for each sample", x, "take the data set's, or convert with .long()")
    return x.long()


def timesteps(name: str, value: Any) -> Tensor | int:
    """For one timestep, or int64 ``[N]`` with one for each picture."""
    if type(value) is int:
        return whole()(name, value)
    if not isinstance(value, Tensor) and not isinstance(plain := _plain(value), list | tuple | np.ndarray):
        return whole()(name, plain)
    x = tensor(name, value)
    if x.dtype == torch.bool or x.is_floating_point() or x.is_complex() or not x.numel():
        refuse(name, "a timestep, a whole number, or int64 [N]", x, "round with .round().long()")
    return x.long()


def time(name: str, value: Any) -> Tensor | float:
    """For one point in time, or ``[N]`` with one for each picture."""
    return floats(name, value) if isinstance(value, Tensor | np.ndarray | list | tuple) else number()(name, value)


def _ends(x: Tensor) -> tuple[float, float] | None:
    """The first and the last number, where that costs no waiting."""
    return (x[0].item(), x[-1].item()) if x.device.type == "cpu" else None


def schedule(name: str, value: Any) -> Tensor:
    """For ᾱ ``[T]``, which falls from near 1: betas in its place are noticed."""
    x = line(name, value)
    ends = _ends(x)
    if ends is not None and not (0 <= ends[1] <= ends[0] <= 1 and (ends[1] < ends[0] or len(x) == 1)):
        refuse(name, "ᾱ [T], which falls from near 1 to near 0,", x, "betas become it with cumulative_alphas(betas)")
    return x


def betas(name: str, value: Any) -> Tensor:
    """For betas ``[T]``, the share of noise that each step adds; ᾱ in its place is noticed."""
    x = line(name, value)
    ends = _ends(x)
    if ends is not None and (min(ends) < 0 or max(ends) > 1 or ends[0] > max(0.5, ends[1])):  # ᾱ begins near 1
        refuse(name, "betas [T], small shares between 0 and 1,", x, "make them with linear_betas(steps)")
    return x


Count = Annotated[int, whole(1)]
CountOrNone = Annotated[int, whole(0)]
Seed = Annotated[int, whole(0, 2**62)]
Shape = tuple[Count, ...]
PictureShape = Annotated[tuple[int, ...], picture_shape]
SmallSeed = Annotated[int, whole(0, 2**32 - 1)]  # of NumPy's old global generator
Positive = Annotated[float, number(0, above=True)]
NotNegative = Annotated[float, number(0)]
Share = Annotated[float, number(0, 1)]
Device = Annotated[str, device]
Prompts = Annotated[str | Sequence[str], prompts]
Floats = Annotated[Tensor, floats]
Batch = Annotated[Tensor, batch]
Line = Annotated[Tensor, line]
Rows = Annotated[Tensor, rows]
Points = Annotated[Tensor, points]
Maps = Annotated[Tensor, maps]
Drawable = Annotated[Tensor, drawable]
Pictures = Annotated[Tensor, pictures]
Samples = Annotated[Tensor, samples]
Colours = Annotated[Tensor, colours]
Colour = Annotated[Tensor, colour]
Photographs = Annotated[Tensor, photographs]
Clip = Annotated[Tensor, clip]
Clips = Annotated[Tensor, clips]
Pixels = Annotated[np.ndarray, pixels]
Labels = Annotated[Tensor, labels]
Timesteps = Annotated[Tensor | int, timesteps]
Timestep = Annotated[int, timesteps]
Time = Annotated[Tensor | float, time]
Column = Annotated[Sequence[float], column]
Reader = Annotated[Any, having("read", must="a network that reads pictures", remedy="load one with zoo.load()")]
Scale = Annotated[float | Tensor, time]
Words = Annotated[Tensor, words]
Unet = Annotated[Any, having("config", "conv_in", must="a U-Net of diffusers", remedy="take pipeline.unet")]
Scheduler = Annotated[Any, having("alphas_cumprod", must="a scheduler of diffusers", remedy="take pipeline.scheduler")]
Autoencoder = Annotated[Any, having("encode", "config", must="an autoencoder of diffusers", remedy="take pipeline.vae")]
Tokenizer = Annotated[
    Any, having("model_max_length", must="a tokenizer of transformers", remedy="take pipeline.tokenizer")
]
Schedule = Annotated[Tensor, schedule]
Betas = Annotated[Tensor, betas]
