"""Every public function × every argument × every kind of bad input: a right result, or one sentence of ours.

A spoiled call may do two things. Where the value means exactly what the clean one does (``np.int64(3)`` for 3), it
gives the clean call's result, or refuses. Where it means something else, it refuses: with a ``ValueError`` or
``TypeError``
raised by the course itself, in one line that names the argument, within the time limit, and with nothing changed.
"""

import copy
import dataclasses
import importlib
import inspect
import pkgutil
import signal
import traceback
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import gan_course
from gan_course import diffusion, losses, metrics, networks
from tests import calls

ROOT = Path(gan_course.__file__).parent
SECONDS = 20  # for one call
CHINESE, ARABIC, EMOJI = "红色的七", "سبعة حمراء", "a red 😀 seven"

# ---------------------------------------------------------------------------------------------- what is right as it is

#: Where 0 is a value like any other, and where numbers below 0 are.
ZERO = set(
    "average_decay beta1 beta2 border classes d_fake d_real decay_after discriminator_lr end eta "
    "fixed_usd_per_month free_share generator_lr gpu_usd_per_hour guidance_scale images_per_month middle minutes "
    "noise offset other_seconds_per_image pitch previous price_usd_per_image quarters r1_weight scale "
    "seconds_per_step seed seeds share shared shift spread start steps strength t total training_usd turn turns "
    "value yaw".split()
)
REFUSES_ZERO = {("diffusion", "steps"), ("spaced", "steps"),
                ("settings", "generator_lr"), ("settings", "discriminator_lr"),
                ("Knobs", "generator_lr"), ("Knobs", "discriminator_lr"), ("augment", "steps"), ("stable", "steps"),
                ("Classifier", "classes"), ("class_shares", "classes"), ("strength", "strength")}  # fmt: skip
NEGATIVE = set("guidance_scale offset pitch previous quarters seeds t turns value yaw".split())
#: Texts that may say anything, and names that are looked up (where an unknown one must be refused).
FREE_TEXT = set(
    "alt answers caption captions class_names date entity field folder known name negative_prompt prefix "
    "prompt prompts quantity text title value".split()
)

FILTERS = tuple(f"style.looks.{name}" for name in ("pencil", "hatching", "night"))  # for photographs: they look at them


def loose_shape(name, argument, what):
    """Whether that change of shape leaves something that is right as it is."""
    if argument in ("real_logits", "fake_logits"):
        return "relativistic" not in name and what != "empty"
    if name in ("losses.check_logits", "data.scene_sets.as_images", "diffusion.extract", "unet.timestep_embedding"):
        return what != "empty" or argument in ("output", "whole")
    if what == "one row":  # fewer samples, which nothing else has to fit
        return True
    if argument in ("t", "timesteps") and what in ("number", "dropped axis"):
        return True  # one for all
    if argument == "t" and what == "added axis":
        return True  # [N, 1] names the same timesteps
    if name in ("augment.one_hot", "augment.jitter") or (argument == "alphas_cumprod" and "signal" in name):
        return "one_hot" in name or (what != "empty" and not (what == "number" and "jitter" in name))
    if name == "networks.MLPDiscriminator.forward" and what in ("added axis", "dropped axis"):
        return True  # it flattens
    if name == "video.clips.bounce":  # distances of any shape
        return what != "empty"
    if name in ("panorama.poles.calm_poles", "panorama.stereo.parallax"):
        return what in ("dropped axis", "added axis")  # one or many
    return name in ("data.draw", "data.views.perspective", "data.views.check_panorama", "losses.r1_penalty")


def value_matters(name):
    """Whether NaN must be refused: at borders. Formulas and networks pass it on, as PyTorch does."""
    borders = ("metrics", "data.check_images", "settings", "training.Trainer", "style.measures", *FILTERS)
    return name.startswith(borders) and "sample" not in name


# ---------------------------------------------------------------------------------------------- how to spoil a value


def spoiled(name, argument, value):
    """(kind, spoiled value, whether it means the same) for each kind that applies to ``value``."""
    if isinstance(value, bool):
        yield from [("NumPy scalar", np.bool_(value), True), ("1 or 0", int(value), True)]
        yield from [
            ("string", "no", False),
            ("number", 2, False),
            ("NaN", float("nan"), False),
            ("list", [value], False),
        ]
    elif isinstance(value, int):
        yield from whole_numbers(name, argument, value)
    elif isinstance(value, float):
        yield from numbers(name, argument, value)
    elif isinstance(value, str):
        yield from [("number", 3, False), ("bytes", b"word", False), ("dict", {"a": 1}, False)]
        if argument in ("prompts", "negative_prompt") and not name.endswith("Request"):
            yield from [("Chinese", CHINESE, False), ("Arabic", ARABIC, False), ("emoji", EMOJI, False)]
        elif argument not in FREE_TEXT or name in (
            "data.load",
            "zoo.load",
            "zoo.card",
            "setup.choose_profile",
            "data.photos.photograph",
            "style.restyle.load_style",
        ):
            yield from [
                ("unknown word", "no such thing", False),
                ("empty string", "", False),
                ("Chinese", CHINESE, False),
            ]
        yield "list", [value], False
    elif isinstance(value, Path):
        yield "string", str(value), True
        yield from [("number", 3, False), ("nowhere", "/nowhere/at all", False), ("empty string", "", False)]
        yield from [("zero byte", "a\0b", False), ("list", [value], False)]
    elif isinstance(value, Tensor):
        yield from tensors(name, argument, value)
    elif (
        isinstance(value, tuple | list) and value and isinstance(value[0], str) and argument in ("prompts", "leave_out")
    ):
        yield from [("number", 3, False), ("number in it", [3, *value[1:]], False), ("tuple", tuple(value), True)]
        if argument == "prompts" and name.endswith("Request"):
            yield "empty", [], False
        elif argument == "prompts":
            yield from [
                ("Chinese", [CHINESE, *value[1:]], False),
                ("emoji", [*value[:-1], EMOJI], False),
                ("empty", [], False),
            ]
            yield from [("Arabic", [ARABIC] * len(value), False), ("None in it", [None, *value[1:]], False)]
        else:
            yield from [("one string", value[0], True), ("unknown word", ["no such thing"], False)]
    elif isinstance(value, tuple | list):
        yield from [("number", 3, False), ("string", "abc", False)]
        if not (value and isinstance(value[0], str)):
            yield "string in it", ["x", *value[1:]], False
        if value and isinstance(value[0], int | float) and not isinstance(value[0], bool):
            yield from [("array", np.array(value), True), ("list", list(value), True), ("tuple", tuple(value), True)]
            yield "None in it", [None, *value[1:]], False
            if argument != "values":  # of a log, which may hold NaN
                yield "NaN in it", [float("nan"), *value[1:]], False
            if isinstance(value[0], int):
                yield from [("half in it", [1.5, *value[1:]], False), ("negative in it", [-2, *value[1:]], False)]
                yield from [("zero in it", [0, *value[1:]], False), ("empty", (), False)]
    elif isinstance(value, dict):
        yield from [("number", 3, False), ("string", "abc", False), ("list", [1, 2], False)]
    elif value is not None:  # an object of a certain class, or a function
        yield from [("number", 3, False), ("string", "abc", False), ("list", [value], False), ("dict", {}, False)]


def whole_numbers(name, argument, value):
    yield from [("NumPy scalar", np.int64(value), True), ("NumPy scalar", np.int32(value), True)]
    yield from [
        ("whole float", float(value), True),
        ("tensor", torch.tensor(value), True),
        ("array", np.array(value), True),
    ]
    yield from [
        ("string", str(value), False),
        ("word", "three", False),
        ("half", value + 0.5, False),
        ("list", [value], True),
    ]
    yield from [
        ("NaN", float("nan"), False),
        ("infinity", float("inf"), False),
        ("complex", 1j, False),
        ("bytes", b"3", False),
    ]
    yield from [("True", True, False), ("huge", 10**30, False), ("huge", 10**5000, False)]
    yield from ends(name, argument, value)


def numbers(name, argument, value):
    yield from [("NumPy scalar", np.float64(value), True), ("NumPy scalar", np.float32(value), True)]
    yield from [("tensor", torch.tensor(value), True), ("array", np.array(value), True)]
    yield from [("tensor with gradients", torch.tensor(value, requires_grad=True), True)]
    yield from [("string", str(value), False), ("word", "half", False), ("list", [value], True), ("complex", 1j, False)]
    yield from [
        ("NaN", float("nan"), False),
        ("infinity", float("inf"), False),
        ("True", True, False),
        ("bytes", b"3", False),
    ]
    yield from ends(name, argument, value)


def ends(name, argument, value):
    if argument not in ZERO or any(part in name and argument == other for part, other in REFUSES_ZERO):
        yield "zero", type(value)(0), False
    if argument not in NEGATIVE or name in ("diffusion.ddpm_step", "diffusion.ddim_step", "diffusion.guide"):
        yield "negative", -1 - abs(value), False


def tensors(name, argument, x):
    floating = x.is_floating_point()
    yield from [
        ("array", x.numpy(), True),
        ("list", x.tolist(), True),
        ("not contiguous", x.mT.contiguous().mT if x.ndim > 1 else x[::1], True),
    ]
    yield from [
        ("string", "abc", False),
        ("dict", {}, False),
        ("list of strings", ["a", "b"], False),
        ("ragged list", [[1.0], [1.0, 2.0]], False),
    ]
    yield from [("complex", x.to(torch.complex64), False)]
    if floating:
        yield from [("64 bits", x.double(), True), ("with gradients", x.clone().requires_grad_(), True)]
        if name != "data.scene_sets.roll_each":  # which rolls anything
            yield "whole numbers", (100 * x).long(), False
            yield "bytes", (127.5 * (x + 1)).clamp(0, 255).byte(), False
        if value_matters(name):
            yield from [("NaN", at_first(x, float("nan")), False), ("infinity", at_first(x, float("inf")), False)]
        if (
            x.ndim == 4
            and -1 <= x.min() < 0
            and x.max() <= 1
            and name.startswith(
                (
                    "metrics",
                    "plots",
                    "data.check_images",
                    "stable_diffusion.adherence",
                    "stable_diffusion.latents",
                    "settings",
                    "training.Trainer",
                    "stable_diffusion.pipeline",
                    "stable_diffusion.panoramas.seam",
                    "style.measures",
                    *FILTERS,
                )
            )
            and argument != "masks"
            and name != "training.Trainer.sample"
        ):
            yield "0 to 255", 127.5 * (x + 1), False
            if not name.startswith("stable_diffusion.pipeline"):  # chapter 08 shows what comes of it
                yield "0 to 1", (x + 1) / 2, False
    elif x.dtype == torch.int64:
        yield "32 bits", x.int(), True
        if name != "unet.timestep_embedding":  # a formula of any time
            yield from [("halves", x + 0.5, False), ("true or false", x > 0, False)]
        if argument not in ("columns",):
            if (
                name.split(".")[0] not in ("unet",) and name != "stable_diffusion.distill.features"
            ) or argument == "labels":
                yield from [("negative", -5 - x, False), ("out of range", x + 1000, False)]
    changes = {
        "dropped axis": lambda: x[0],
        "added axis": lambda: x[:, None],
        "one row": lambda: x[:1],
        "empty": lambda: x[:0],
    }
    changes["number"] = lambda: x.flatten()[0].clone()
    for what, change in changes.items():
        if x.ndim and not loose_shape(name, argument, what):
            yield what, change(), False


def at_first(x, value):
    x = x.clone()
    x.view(-1)[0] = value
    return x


# ---------------------------------------------------------------------------------------------- what comes of it


def same(a, b):
    """Whether two results are equal, up to rounding."""
    if isinstance(a, np.ndarray) and a.dtype == object:  # of axes
        return a.shape == b.shape
    if isinstance(a, Tensor | np.ndarray):
        a, b = (torch.as_tensor(x).detach().double() if not torch.as_tensor(x).is_complex() else x for x in (a, b))
        return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
    if isinstance(a, Figure):
        shown = [[image.get_array() for axes in figure.axes for image in axes.images] for figure in (a, b)]
        return same(shown, [*reversed(shown)]) and a.get_size_inches().tolist() == pytest.approx(
            b.get_size_inches().tolist()
        )
    if isinstance(a, nn.Module):
        return same(
            {n: list(x.shape) for n, x in a.state_dict().items()}, {n: list(x.shape) for n, x in b.state_dict().items()}
        )
    if isinstance(a, float | np.floating):
        return a == pytest.approx(b, rel=1e-4, nan_ok=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, str | int | bytes | type(None)):
        return a == b
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return type(a) is type(b)


class Hangs(BaseException):
    pass


def too_long(*_):
    raise Hangs


def state():
    return torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads(), torch.get_rng_state()


def run(function, arguments):
    """The result of a call, or its error; and whether a refused call left a trace."""
    torch.manual_seed(0)
    before = state()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result, error = function(**arguments), None
        if hasattr(result, "__enter__") and hasattr(result, "gen"):  # a block: enter and leave it
            with result:
                result = None
    except Exception as caught:
        result, error = None, caught
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    after = state()
    clean = before[:3] == after[:3] and (error is None or torch.equal(before[3], after[3]))
    torch.set_grad_enabled(before[0])
    torch.set_default_dtype(before[1])
    return result, error, clean


def is_ours(error, argument):
    """Whether ``error`` is one sentence of the course's own that names the argument."""
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    words = {argument, *NAMES.get(argument, argument).split(" | ")}
    text = str(error)
    ours = Path(last).is_relative_to(ROOT) and "\n" not in text and len(text) < 500
    kind = isinstance(error, ValueError | TypeError | FileNotFoundError)
    return ours and kind and any(word in text for word in words)


#: Words for an argument that a student reads in its place.
NAMES = {
    "previous": "timestep",
    "timesteps": "timestep",
    "alphas_cumprod": "ᾱ",
    "betas": "beta",
    "prompts": "prompt",
    "negative_prompt": "prompt",
    "labels": "label",
    "real": "images | samples | features | picture | mixed",
    "samples": "features | sample",
    "a": "one set",
    "b": "features | sample | other",
    "x": "must have the same shape",
    "noise": "same shape | z must",
    "discriminator": "function",
    "prediction": "predict",
    "characters": "character",
    "name": "there is no",
    "guidance_scale": "guidance scale",
    "records": "scenes | attributes",
    "leave_out": "leave out | attribute",
    "preset": "patient",
    "trained": "schedule",
    "answers": "answer",
    "per_class": "pictures",
    "image_shape": "pictures | sides",
    "scene": "Scene",
    "log": "column",
    "images": "pictures | picture | panoramas | sample",
    "logits": "logit",
    "class_names": "class name",
    "z": "noise",
    "seeds": "seed",
    "count": "can't take | labels",
    "folder": "path | card | trained network",
    "first": "split",
    "centres": "points",
    "differences": "difference",
    "place": "thing",
    "fake": "features | sample | smaller set",
    "d_real": "belief",
    "d_fake": "belief",
    "calls": "attention",
    "heading": "light",
    "of": "photograph",
    "colours": "a picture must be",
    "path": "can't read | can't write",
    "source": "can't read",
    "style": "images must be",
    "target": "can't write",
    "last": "there is no layer",
    "layers": "none of the layers",
}


def outcome(function, arguments, means_the_same, expected, argument):
    try:
        result, error, clean = run(function, arguments)
    except Hangs:
        return "hang", ""
    if error is not None:
        if not is_ours(error, argument):
            place = traceback.extract_tb(error.__traceback__)[-1]
            return (
                "cryptic",
                f"{type(error).__name__}: {str(error)[:150]!r} ({Path(place.filename).name}:{place.lineno})",
            )
        return ("refused", str(error)) if clean else ("trace", str(error))
    if not clean:
        return "trace", ""
    try:
        right = means_the_same and same(expected, result)
    except (TypeError, ValueError, RuntimeError):  # a result of another form
        right = False
    if right:
        return "right", ""
    return "silent", f"returns {type(result).__name__} {list(getattr(result, 'shape', ()))}"


def made(dotted, entry):
    """The function with this name, bound where it is a method, and its clean arguments."""
    entry = entry()
    parts = dotted.split(".")
    if isinstance(entry, tuple):
        return getattr(entry[0], parts[-1]), entry[1]
    for cut in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(["gan_course", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        return getattr(module, parts[cut]), entry
    raise LookupError(dotted)


def spoil_all(table, only=""):
    """(name, argument, kind, outcome, what it said) of every spoiled call."""
    signal.signal(signal.SIGALRM, too_long)
    for name, entry in table.items():
        if only not in name:
            continue
        function, clean = made(name, entry)
        expected, error, _ = run(function, clean)
        assert error is None, f"the clean call of {name} fails: {error!r}"
        for argument in made(name, entry)[1]:
            for kind, value, means_the_same in spoiled(name, argument, made(name, entry)[1][argument]):
                function, arguments = made(name, entry)
                arguments[argument] = value
                yield name, argument, kind, *outcome(function, arguments, means_the_same, expected, argument)
            if arguments_needed(function, argument):
                function, arguments = made(name, entry)
                arguments[argument] = None
                yield name, argument, "None", *outcome(function, arguments, False, expected, argument)


def arguments_needed(function, argument):
    """Whether ``None`` must be refused there."""
    parameter = inspect.signature(function).parameters.get(argument)
    if parameter is None:
        return False
    hint = str(parameter.annotation)
    return "None" not in hint and parameter.default is not None and hint not in ("Any", "object")


# ---------------------------------------------------------------------------------------------- the tests


def public_names():
    """All public functions and constructors of the library, without those of exempt modules."""
    found = set()
    for module in pkgutil.walk_packages(gan_course.__path__, "gan_course."):
        short = module.name.removeprefix("gan_course.")
        if short.startswith(calls.EXEMPT_MODULES):
            continue
        for name, item in vars(importlib.import_module(module.name)).items():
            own = getattr(item, "__module__", None) == module.name and not name.startswith("_")
            if own and (inspect.isfunction(item) or is_plain_class(item)) and inspect.signature(item).parameters:
                found.add(f"{short}.{name}")
    return found


def is_plain_class(item):
    """A class to build: no error, no named tuple, no protocol, no model of pydantic, which checks for itself."""
    return inspect.isclass(item) and not (
        issubclass(item, tuple | BaseException) or getattr(item, "_is_protocol", False) or hasattr(item, "model_fields")
    )


@pytest.fixture(scope="module")
def tables(pipeline, panorama_pipeline):
    table, exempt = calls.of_stable_diffusion(pipeline, panorama_pipeline)
    return SimpleNamespace(table={**calls.CALLS, **table}, exempt={**calls.EXEMPT, **exempt})


def test_every_public_function_has_a_clean_call_or_a_reason(tables):
    missing = public_names() - tables.table.keys() - tables.exempt.keys()
    assert not missing


def test_no_spoiled_argument_is_silent_cryptic_or_hangs(tables, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    found = list(spoil_all(tables.table))
    counts = Counter(outcome for *_, outcome, _ in found)
    with capsys.disabled():
        print(f"\n{len(found):,} spoiled calls of {len(tables.table)} functions: {dict(counts)}")
    wrong = [" · ".join(map(str, row)) for row in found if row[3] not in ("right", "refused")]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(found)}", *wrong])


# ---------------------------------------------------------------------------------------------- what a table can't ask


def test_what_measures_leaves_a_network_in_training_as_it_was():
    from gan_course.classifiers import Classifier

    network = Classifier(4, (1, 28, 28), 4)
    network.head.eval()  # part of it
    before = {name: x.clone() for name, x in network.state_dict().items()}
    modes = [part.training for part in network.modules()]
    images = calls.squashed(40, 1, 28, 28)
    found = metrics.extract_features(images, network.features)
    metrics.class_agreement(images, torch.arange(40) % 4, network)
    metrics.evaluate(images[:20], images[20:], network.features)
    assert modes == [part.training for part in network.modules()] and any(modes)
    assert all(torch.equal(before[name], x) for name, x in network.state_dict().items())
    assert torch.equal(found, network.eval().features(images).detach())


def test_a_batch_of_one_meets_batch_normalisation():
    network = networks.MLPGenerator(4, image_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"z must be a batch of at least 2 in training mode .* call eval\(\)"):
        network(torch.randn(1, 4))
    assert network.eval()(torch.randn(1, 4)).shape == (1, 1, 8, 8)
    pixels_vary = networks.ConvGenerator(4, image_shape=(1, 8, 8))
    assert pixels_vary(torch.randn(1, 4)).shape == (1, 1, 8, 8)


def test_betas_and_what_is_left_are_told_apart():
    betas = diffusion.linear_betas(100)
    left = diffusion.cumulative_alphas(betas)
    x = calls.seeded(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"alphas_cumprod must be ᾱ .* with cumulative_alphas\(betas\)"):
        diffusion.add_noise(x, x, 5, betas)
    with pytest.raises(ValueError, match="betas must be betas"):
        diffusion.cumulative_alphas(left)


@pytest.mark.parametrize("shape", [(8, 1), (1,), ()])
def test_shapes_that_would_be_spread_are_refused(shape):
    with pytest.raises(ValueError, match="real_logits and fake_logits must have the same shape"):
        losses.relativistic_discriminator_loss(torch.zeros(8), torch.zeros(shape))
    with pytest.raises(ValueError, match="x and noise must have the same shape"):
        diffusion.flow_velocity(torch.zeros(8), torch.zeros(shape))


def test_unknown_words_are_named_with_the_nearest_known_one(tokenizer, capsys):
    from gan_course.stable_diffusion.pipeline import check_letters, name_unknown_words

    name_unknown_words(tokenizer, "a yelow 7 on a red background")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "'yelow'" in said[0] and "did you mean 'yellow'?" in said[0]
    assert "'7'" in said[1] and "did you mean 'seven'?" in said[1]
    taught = copy.deepcopy(tokenizer)
    taught.add_tokens(["kay"])
    name_unknown_words(taught, "a large red kay")
    assert capsys.readouterr().out == ""
    name_unknown_words(taught, "a large red kaay")
    assert "did you mean 'kay'?" in capsys.readouterr().out
    for prompt, letter in ((CHINESE, "红"), (ARABIC, "س"), (EMOJI, "😀")):
        with pytest.raises(ValueError, match=f"holds '{letter}', which this model's tokenizer doesn't know"):
            check_letters(tokenizer, prompt)


def test_dtypes_are_promoted_as_pytorch_does():
    single, double = torch.randn(4), torch.randn(4, dtype=torch.float64)
    assert losses.hinge_discriminator_loss(single, double).dtype == torch.float64
    assert losses.hinge_discriminator_loss(single.bfloat16(), single.bfloat16()).dtype == torch.bfloat16
    assert diffusion.flow_velocity(single.half(), single.half()).dtype == torch.float16
