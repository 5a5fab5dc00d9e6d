"""A clean call of every public function: what ``test_arguments`` starts from when it spoils one argument at a time.

Keys are dotted names below ``gan_course``, values make the arguments afresh. A public function that stands neither here
nor in ``EXEMPT`` fails a test.
"""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from gan_course import augment, data, losses, metrics, networks, plots, settings, translators, zoo
from gan_course.data import attributes, glyphs, pictures, render, scenes
from gan_course.data.attributes import Attributes
from gan_course.diffusion import cosine_betas, cumulative_alphas
from gan_course.style import gatys

#: Modules whose functions are not for students, or whose arguments another test spoils.
EXEMPT_MODULES = (
    "arguments",  # what is tested here
    "checks", "commands", "cli", "recipes", "files", "naming", "language", "fonts",
    "checkpoints",  # test_checkpoints: what comes from a file is refused as a whole
    "data.landscape", "data.fetching", "data.outlines", "data.folders",  # inside of data sets, which look first
    "ledger.arithmetic", "ledger.programs", "ledger.findings", "ledger.glossary", "ledger.reading", "ledger.pages",
    "widgets.",  # inside of the figures that gan_course.widgets makes; their constructors stand below
)  # fmt: skip
#: Single names, each with its reason.
EXEMPT = {
    "diagnosis.Diagnosis": "a result", "diagnosis.Curves": "made by diagnose",
    "diffusion.check_arguments": "a decorator",
    "metrics.network_of": "takes anything", "metrics.evaluating": "takes anything",
    "networks.check_input": "checks", "networks.check_precision": "checks",
    "data.scene_record.check_word": "checks", "data.attributes.has_pair": "for the sets' own functions",
    "stable_diffusion.pipeline.check_letters": "checks", "stable_diffusion.pipeline.name_unknown_words": "checks",
    "widgets.gan_lab": "its constructor stands below", "widgets.clinic": "the same", "widgets.prompt_bench": "the same",
    "metrics.Report": "a result", "stable_diffusion.adherence.Adherence": "a result",
    "setup.Profile": "made by choose_profile", "ledger.of_sections": "takes any number of texts",
    "augment.adam": "optimisers of the chapter's own runs", "augment.slow_down": "the same",
    "zoo.store": "for recipes", "zoo.store_files": "for recipes",
    "data.render.draw_fresh": "for recipes", "data.render.shorten": "for recipes", "data.render.Glyphs": "a source",
    "data.scene_sets.Panoramas": "a source", "data.downloads.read_idx": "for the loaders",
    "data.downloads.mnist": "test_downloads",
    "data.downloads.files_of": "for the loaders", "data.downloads.fashion_mnist": "test_downloads",
    "stable_diffusion.networks.make_tokenizer": "for recipes", "stable_diffusion.networks.merge": "for make_tokenizer",
    "stable_diffusion.pipeline.rebuilt": "for the other functions", "stable_diffusion.pipeline.load_pipeline": "below",
    "stable_diffusion.distill.from_the_end": "takes pipelines alone",
    "networks.check_sides": "checks", "networks.measure_batch_norms": "takes any network, and whatever that takes",
    "video.clips.MovingGlyphs": "a result", "video.measures.Measures": "a result",
    "video.measures.Measures.means": "of a result",
    "video.network.Attention": "a layer: SpaceTimeUNet looks first", "video.network.Attention.forward": "the same",
    "video.network.Attention.over_space": "the same", "video.network.Attention.look": "the same",
}  # fmt: skip


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def squashed(*shape, seed=0):
    """Pictures in [-1, 1] that touch both ends."""
    return (2 * seeded(*shape, seed=seed)).clamp(-1, 1)


FLAT = 8, 1, 4, 4  # of small pictures
ALPHAS = cumulative_alphas(cosine_betas(100))
LABELS = torch.arange(8) % 4


@functools.cache
def small(kind, *args, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*args, **options)


def judge():
    return small(networks.ConvDiscriminator, 0, (1, 8, 8), 4).eval()


def log(entries=30):
    steps = torch.arange(entries).tolist()
    return {name: [0.5 + 0.01 * i for i in steps] for name in ("step", "d_loss", "g_loss", "real_logit", "fake_logit")}


def ax():
    return plots.new_figure()[1]


@functools.cache
def digits():
    return data.load("digits")


def scene():
    return scenes.Scene("sea", "noon", "clear", "west", "tree", "east")


def pair():
    return networks.ConvGenerator(4, image_shape=(1, 8, 8), width=4), networks.ConvDiscriminator(0, (1, 8, 8), 4)


def record():
    return Attributes("7", "red", "white")


def logits():
    return {"real_logits": seeded(8), "fake_logits": seeded(8, seed=1)}


def noisy(*names):
    return {name: seeded(*FLAT, seed=i) for i, name in enumerate(names)}


def sets():
    return augment.draw_sets(digits(), [2], 2, test=5)[0]


def features(x):
    return x.flatten(1)[:, :3]


def business():
    from gan_course.costs import Business

    return Business(0.04, 1e5, 0.2, 25.0, 0.05, 0.2, 2.0, 0.5, 1000.0, 5000.0, 12.0)


def facts():
    from gan_course.costs import load

    return load("gpu_prices")


EMPTY = "An empty figure for a test."
STEP = {"t": 60, "previous": 30, "alphas_cumprod": ALPHAS}

CALLS = {
    # ------------------------------------------------------------------------------------------ formulas
    **{f"losses.{name}": logits for name in vars(losses) if name.endswith("_loss")},
    "losses.r1_penalty": lambda: {"discriminator": judge(), "real": squashed(8, 1, 8, 8)},
    "losses.gradient_penalty": lambda: {
        "discriminator": judge(), "real": squashed(8, 1, 8, 8), "fake": squashed(8, 1, 8, 8, seed=1),
        "generator": torch.Generator().manual_seed(0),
    },
    "losses.check_logits": lambda: {"output": seeded(8)},
    "diffusion.linear_betas": lambda: {"steps": 100, "start": 0.001, "end": 0.02},
    "diffusion.scaled_linear_betas": lambda: {"steps": 100, "start": 0.001, "end": 0.02},
    "diffusion.cosine_betas": lambda: {"steps": 100},
    "diffusion.cumulative_alphas": lambda: {"betas": cosine_betas(100)},
    "diffusion.signal_to_noise": lambda: {"alphas_cumprod": ALPHAS},
    "diffusion.spaced_timesteps": lambda: {"count": 5, "steps": 100, "spacing": "leading", "offset": 1},
    "diffusion.extract": lambda: {"alphas_cumprod": ALPHAS, "t": LABELS, "x": seeded(*FLAT)},
    "diffusion.add_noise": lambda: {**noisy("x", "noise"), "t": LABELS, "alphas_cumprod": ALPHAS},
    "diffusion.velocity": lambda: {**noisy("x", "noise"), "t": LABELS, "alphas_cumprod": ALPHAS},
    **{f"diffusion.predicted_{what}": lambda: {
        **noisy("x", "output"), "t": LABELS, "alphas_cumprod": ALPHAS, "prediction": "v_prediction"
    } for what in ("x0", "noise")},
    "diffusion.guide": lambda: {**noisy("unconditional", "conditional"), "guidance_scale": 2.5},
    "diffusion.ddpm_step": lambda: {**noisy("x", "x0", "noise"), **STEP},
    "diffusion.ddim_step": lambda: {**noisy("x", "x0", "noise"), **STEP, "eta": 0.5},
    "diffusion.flow_mix": lambda: {**noisy("x", "noise"), "t": torch.linspace(0, 1, 8)},
    "diffusion.flow_velocity": lambda: noisy("x", "noise"),
    "diffusion.euler_step": lambda: {**noisy("x", "velocity"), "t": 0.5, "previous": 0.25},
    # ------------------------------------------------------------------------------------------ measures
    "metrics.nearest_real": lambda: {"samples": squashed(*FLAT), "real": squashed(*FLAT, seed=1)},
    "metrics.realism_gap": lambda: {"samples": squashed(*FLAT), "real": squashed(*FLAT, seed=1)},
    "metrics.psnr": lambda: {"rebuilt": squashed(*FLAT), "images": squashed(*FLAT, seed=1)},
    "metrics.edge_energy": lambda: {"images": squashed(*FLAT)},
    "metrics.spread_within": lambda: {"features": seeded(4, 3), "asked": ["sea", "tree", "sea", "tree"]},
    "metrics.class_shares": lambda: {
        "samples": squashed(*FLAT), "real": squashed(*FLAT, seed=1), "labels": LABELS, "classes": 10
    },
    "metrics.modes_covered": lambda: {
        "points": seeded(50, 2), "centres": seeded(4, 2, seed=1), "radius": 0.3, "share": 0.02
    },
    "metrics.frechet_distance": lambda: {"a": seeded(20, 3), "b": seeded(20, 3, seed=1)},
    "metrics.kernel_distance": lambda: {
        "a": seeded(20, 3), "b": seeded(20, 3, seed=1), "subsets": 3, "size": 10, "seed": 1
    },
    "metrics.precision_recall": lambda: {"real": seeded(20, 3), "fake": seeded(20, 3, seed=1), "k": 3},
    "metrics.evaluate": lambda: {
        "samples": squashed(24, 1, 4, 4), "real": squashed(24, 1, 4, 4, seed=1), "features": features, "k": 3, "seed": 1
    },
    "metrics.floor": lambda: {"real": squashed(50, 1, 4, 4), "count": 24, "features": features, "k": 3, "seed": 1},
    "metrics.difference": lambda: dict.fromkeys("ab", metrics.evaluate(seeded(40, 3), seeded(40, 3, seed=1))),
    "metrics.default_features": lambda: {"real": squashed(4, 1, 28, 28)},
    "metrics.extract_features": lambda: {"images": squashed(8, 1, 8, 8), "features": judge()},
    "metrics.paired_interval": lambda: {"differences": seeded(5)},
    "metrics.verdict": lambda: {"differences": seeded(5)},
    "metrics.share_interval": lambda: {"share": 0.5, "count": 20},
    "metrics.class_agreement": lambda: {
        "samples": squashed(8, 1, 8, 8), "labels": LABELS, "classifier": small(nn.Sequential, nn.Flatten())
    },
    "diagnosis.diagnose": lambda: {"log": log()},
    # ------------------------------------------------------------------------------------------ figures
    "plots.new_figure": lambda: {"rows": 1, "columns": 2, "size": (2.0, 1.0)},
    "plots.mime_bundle": lambda: {
        "figure": plots.new_figure()[0], "alt": EMPTY, "dpi": 20, "quick": True
    },
    "plots.compact": lambda: {"png": plots.mime_bundle(plots.new_figure()[0], EMPTY, 20)[0]["image/png"]},
    "plots.in_all_colours": lambda: {"png": plots.mime_bundle(plots.new_figure()[0], EMPTY, 20)[0]["image/png"]},
    "plots.show": lambda: {"figure": plots.new_figure()[0], "alt": EMPTY},
    "plots.tile": lambda: {"images": squashed(*FLAT), "columns": 4},
    "plots.draw_images": lambda: {"ax": ax(), "images": squashed(*FLAT), "columns": 4, "title": "some"},
    "plots.image_grid": lambda: {"images": squashed(*FLAT), "columns": 4, "title": "some", "width": 3.0},
    "plots.filmstrip": lambda: {"frames": {"a": squashed(*FLAT)}, "columns": 2, "size": 1.5, "title": "some"},
    "plots.smooth": lambda: {"values": [1.0, 2.0, 4.0, 3.0], "window": 2},
    "plots.draw_curves": lambda: {"ax": ax(), "log": log(), "names": {"d_loss": "D"}, "window": 5},
    "plots.draw_losses": lambda: {"ax": ax(), "log": log()},
    "plots.plane": lambda: {"extent": 1.5, "side": 4},
    "plots.draw_belief": lambda: {
        "ax": ax(), "discriminator": small(networks.PointDiscriminator, 8), "extent": 1.5, "side": 4
    },
    "plots.draw_points": lambda: {"ax": ax(), "real": seeded(8, 2), "fake": seeded(8, 2, seed=1), "extent": 1.5},
    "plots.draw_arrows": lambda: {
        "ax": ax(), "starts": seeded(8, 2), "directions": seeded(8, 2, seed=1), "length": 0.3
    },
    "plots.flowchart": lambda: {
        "boxes": {"real": (0, 0, "a"), "fake": (1, 0, "b")}, "arrows": [("real", "fake", "x")], "size": (3.0, 1.0),
        "title": "some",
    },
    "live.LiveView": lambda: {"total": 5, "draw": None, "alt": "An empty figure."},
    "live.event_files": lambda: {"folder": "logs-of-a-test"},
    # ------------------------------------------------------------------------------------------ networks
    "networks.MLPGenerator": lambda: {"latent_dim": 4, "hidden": 8, "image_shape": (1, 4, 4)},
    "networks.MLPDiscriminator": lambda: {"image_shape": (1, 4, 4), "hidden": 8},
    "networks.PointGenerator": lambda: {"latent_dim": 2, "hidden": 8},
    "networks.PointDiscriminator": lambda: {"hidden": 8},
    "networks.ConvGenerator": lambda: {"latent_dim": 4, "classes": 3, "image_shape": (1, 8, 8), "width": 4},
    "networks.ConvDiscriminator": lambda: {"classes": 3, "image_shape": (1, 8, 8), "width": 4},
    "networks.check_labels": lambda: {"labels": LABELS, "count": 8, "classes": 4},
    "networks.channels_last": lambda: {"network": judge()},
    "networks.square_shape": lambda: {"image_shape": (1, 8, 8)},
    "networks.count_parameters": lambda: {"network": judge()},
    "unet.DiffusionUNet": lambda: {"classes": 3, "image_shape": (1, 8, 8), "width": 8, "middle": 8},
    "unet.timestep_embedding": lambda: {"t": LABELS, "dim": 8},
    "unet.zero_init": lambda: {"layer": nn.Linear(2, 2)},
    "classifiers.Classifier": lambda: {"classes": 4, "image_shape": (1, 28, 28), "width": 4},
    "classifiers.AttributeClassifier": lambda: {"width": 8, "counts": (2, 3), "image_shape": (3, 32, 32)},
    "classifiers.DepthEstimator": lambda: {"width": 8},
    "networks.MLPGenerator.forward": lambda: (
        small(networks.MLPGenerator, 4, 8, (1, 4, 4)).eval(), {"z": seeded(8, 4)}
    ),
    "networks.MLPDiscriminator.forward": lambda: (
        small(networks.MLPDiscriminator, (1, 4, 4), 8), {"images": seeded(*FLAT)}
    ),
    "networks.PointGenerator.forward": lambda: (small(networks.PointGenerator, 2, 8), {"z": seeded(8, 2)}),
    "networks.PointDiscriminator.forward": lambda: (small(networks.PointDiscriminator, 8), {"points": seeded(8, 2)}),
    "networks.ConvGenerator.forward": lambda: (
        small(networks.ConvGenerator, 4, 4, (1, 8, 8), 4).eval(), {"z": seeded(8, 4), "labels": LABELS}
    ),
    "networks.ConvDiscriminator.forward": lambda: (
        small(networks.ConvDiscriminator, 4, (1, 8, 8), 4), {"images": seeded(8, 1, 8, 8), "labels": LABELS}
    ),
    "unet.DiffusionUNet.forward": lambda: (
        small(unet_of, 4), {"x": seeded(8, 1, 8, 8), "t": LABELS, "labels": LABELS}
    ),
    "classifiers.Classifier.forward": lambda: (
        small(classifier_of).eval(), {"images": squashed(8, 1, 28, 28)}
    ),
    "classifiers.Classifier.features": lambda: (small(classifier_of).eval(), {"images": squashed(8, 1, 28, 28)}),
    "classifiers.AttributeClassifier.forward": lambda: (small(reader_of), {"images": squashed(8, 3, 32, 32)}),
    "classifiers.AttributeClassifier.features": lambda: (small(reader_of), {"images": squashed(8, 3, 32, 32)}),
    "classifiers.AttributeClassifier.read": lambda: (small(reader_of), {"images": squashed(8, 3, 32, 32)}),
    "classifiers.AttributeClassifier.maps": lambda: (small(reader_of), {"images": squashed(2, 3, 32, 32)}),
    "classifiers.AttributeClassifier.split": lambda: (small(reader_of), {"logits": seeded(8, 5)}),
    "classifiers.DepthEstimator.forward": lambda: (small(depth_of), {"images": squashed(2, 3, 8, 16)}),
    # ------------------------------------------------------------------------------------------ pictures to pictures
    "translators.Translator": lambda: {"width": 8, "blocks": 2, "noise": 2, "bridges": True},
    "translators.Translator.forward": lambda: (
        small(painter), {"images": squashed(2, 3, 8, 12), "noise": seeded(2, 2, 2, 3)}
    ),
    "translators.PatchDiscriminator": lambda: {"channels": 6, "width": 8},
    "translators.PatchDiscriminator.forward": lambda: (
        small(translators.PatchDiscriminator, 3, 8), {"images": squashed(2, 3, 16, 16)}
    ),
    "translators.PhotoFeatures": lambda: {"last": "conv2_1"},
    "translators.PhotoFeatures.forward": lambda: (
        small(translators.PhotoFeatures, "conv2_1"), {"images": squashed(2, 3, 8, 8)}
    ),
    "style.gatys.gram": lambda: {"features": seeded(2, 3, 4, 4)},
    "style.gatys.style_loss": lambda: {
        "found": {"conv1_1": seeded(2, 3, 4, 4)}, "wanted": {"conv1_1": gatys.gram(seeded(1, 3, 4, 4, seed=1))}
    },
    "style.gatys.content_loss": lambda: {"found": seeded(2, 3, 4, 4), "wanted": seeded(2, 3, 4, 4, seed=1)},
    "style.gatys.total_variation": lambda: {"images": squashed(2, 3, 4, 4)},
    "style.gatys.style_targets": lambda: {
        "features": small(translators.PhotoFeatures, "conv2_1"), "style": squashed(3, 8, 8), "layers": ("conv1_1",)
    },
    "style.looks.mosaic": lambda: {"size": 16, "seed": 1, "tile": 5},
    "style.looks.swirls": lambda: {"size": 16, "seed": 1},
    "style.looks.engraving": lambda: {"size": 16, "seed": 1},
    "style.looks.blur": lambda: {"images": squashed(2, 3, 8, 8), "sigma": 1.5},
    "style.looks.grey": lambda: {"images": squashed(2, 3, 8, 8)},
    "style.looks.pencil": lambda: {"images": squashed(2, 3, 8, 8), "sigma": 1.5},
    "style.looks.hatching": lambda: {
        "images": squashed(2, 3, 8, 8), "random": torch.Generator().manual_seed(0), "period": 4.0
    },
    "style.looks.night": lambda: {"images": squashed(2, 3, 8, 8)},
    "style.measures.similarity": lambda: {"a": squashed(2, 3, 8, 8), "b": squashed(2, 3, 8, 8, seed=1)},
    "style.measures.edges": lambda: {"images": squashed(2, 3, 8, 8)},
    "style.measures.edge_similarity": lambda: {"a": squashed(2, 3, 8, 8), "b": squashed(2, 3, 8, 8, seed=1)},
    "style.measures.patches": lambda: {"images": squashed(2, 3, 8, 8), "count": 9, "side": 4, "seed": 1},
    "style.measures.patch_distance": lambda: {
        "a": squashed(2, 3, 12, 12), "b": squashed(2, 3, 12, 12, seed=1), "count": 80
    },
    "data.pictures.Picture": lambda: {
        "colours": np.zeros((4, 5, 3), np.uint8), "alpha": np.zeros((4, 5), np.uint8), "profile": b"profile"
    },
    "data.pictures.read": lambda: {"path": small_file(), "least": 4},
    "data.pictures.on_white": lambda: {"picture": pictures.Picture(np.zeros((4, 5, 3), np.uint8))},
    "data.pictures.check_target": lambda: {"path": Path("made.png"), "height": 4, "width": 5},
    "data.pictures.write": lambda: {
        "path": Path("made.png"), "picture": pictures.Picture(np.zeros((4, 5, 3), np.uint8))
    },
    "style.restyle.load_style": lambda: {"name": "pencil"},
    "style.restyle.stylize": lambda: {
        "source": small_file(), "target": Path("made.png"), "style": "pencil", "seed": 1, "progress": False
    },
    "style.restyle.repaint": lambda: {
        "network": small(painter), "colours": np.zeros((8, 9, 3), np.uint8), "seed": 1, "tile": 8, "progress": False
    },
    # ------------------------------------------------------------------------------------------ data
    "data.Dataset": lambda: {
        "name": "mine", "images": squashed(*FLAT), "labels": LABELS, "class_names": ("a", "b", "c", "d"),
        "captions": tuple("abcdefgh"),
    },
    "data.Dataset.split": lambda: (digits(), {"first": 10}),
    "data.load": lambda: {"name": "digits"},
    "data.from_folder": lambda: {"path": small_folder(), "size": 8, "grey": True, "fit": "pad"},
    "data.check_images": lambda: {"images": squashed(*FLAT)},
    "data.draw": lambda: {"images": squashed(*FLAT), "batch_size": 3, "generator": torch.Generator().manual_seed(0)},
    "data.attributes.Attributes": lambda: {
        "character": "7", "colour": "red", "background": "white", "size": "small", "position": "in the middle",
        "style": "bold",
    },
    "data.attributes.inks": lambda: {"background": "white"},
    "data.attributes.random_attributes": lambda: {"count": 3, "seed": 1, "characters": "123"},
    "data.attributes.draw_attributes": lambda: {"count": 3, "seed": 1, "held_out": True},
    "data.attributes.is_held_out": lambda: {"attributes": record()},
    "data.attributes.choose": lambda: {
        "records": iter([record()]), "count": 1, "pairs": attributes.HELD_OUT_PAIRS, "held_out": None
    },
    "data.attributes.phrase": lambda: {"attributes": record(), "leave_out": ("size",)},
    "data.attributes.name_of": lambda: {"character": "7"},
    "data.attributes.as_indices": lambda: {"records": [record()]},
    "data.glyphs.glyphs": lambda: {"count": 3, "seed": 1, "characters": "17", "colour": False},
    "data.glyphs.colour_glyphs": lambda: {"attributes": [record()], "seed": 1, "characters": "17"},
    "video.clips.bounce": lambda: {"distance": seeded(4), "reach": 2.0},
    "video.clips.moving_glyphs": lambda: {"count": 2, "seed": 1, "frames": 3},
    "video.walks.linear": lambda: {"a": seeded(2, 3), "b": seeded(2, 3, seed=1), "t": torch.tensor([0.1, 0.7])},
    "video.walks.spherical": lambda: {"a": seeded(2, 3), "b": seeded(2, 3, seed=1), "t": torch.tensor([0.1, 0.7])},
    "video.measures.ink": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.centres": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.centred": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.speed": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.acceleration": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.flicker": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.permanent": lambda: {"clips": squashed(2, 3, 3, 8, 8)},
    "video.measures.readings": lambda: {"clips": squashed(2, 3, 3, 32, 32), "reader": small(reader_of)},
    "video.measures.measure": lambda: {
        "clips": squashed(2, 3, 3, 32, 32), "labels": torch.tensor([1, 4]), "reader": small(reader_of)
    },
    "video.movies.side_by_side": lambda: {"clips": squashed(2, 3, 3, 8, 8), "columns": 2},
    "video.movies.to_pixels": lambda: {"frames": squashed(3, 3, 8, 8), "scale": 2},
    "video.movies.check_target": lambda: {"path": Path("clip.gif")},
    "video.movies.encode": lambda: {"frames": squashed(3, 3, 8, 8), "kind": "GIF", "fps": 5.0, "scale": 2},
    "video.movies.write": lambda: {
        "path": Path(tempfile.gettempdir(), "clip.gif"), "frames": squashed(3, 3, 8, 8), "fps": 5.0, "scale": 2
    },
    "video.movies.page": lambda: {
        "frames": squashed(3, 3, 8, 8), "alt": "grey noise that flickers", "fps": 5.0, "scale": 2
    },
    "video.movies.show": lambda: {
        "frames": squashed(3, 3, 8, 8), "alt": "grey noise that flickers", "fps": 5.0, "scale": 2
    },
    "video.movies.frame_row": lambda: {
        "clips": squashed(2, 3, 3, 8, 8), "names": ["one", "other"], "every": 2, "title": "two clips"
    },
    "video.network.SpaceTimeUNet": lambda: {
        "classes": 3, "picture_shape": (1, 8, 8), "frames": 4, "width": 8, "deep": 8
    },
    "video.network.SpaceTimeUNet.forward": lambda: (
        small(clips_of), {"x": seeded(2, 3, 1, 8, 8), "t": torch.tensor([0.2, 0.6]), "labels": torch.tensor([1, 3]),
                          "over_time": False}
    ),
    "video.network.shifted": lambda: {"t": torch.tensor([0.1, 0.7]), "shift": 2.0},
    "video.network.draw_noise": lambda: {"network": small(clips_of), "count": 2, "seed": 1, "shared": 0.5},
    "video.network.sample": lambda: {
        "network": small(clips_of), "noise": seeded(2, 3, 1, 8, 8), "labels": torch.tensor([1, 2]), "steps": 2,
        "guidance_scale": 1.5, "over_time": True
    },
    "data.photos.photograph": lambda: {"name": "coffee"},
    "data.photos.photos": lambda: {"size": 8, "count": 1, "seed": 1, "of": ("cat",)},
    "data.photos.squares": lambda: {"of": ("cat", "rocket"), "size": 8},
    "data.render.render": lambda: {"records": [record()], "seed": 1},
    "data.scene_record.Scene": lambda: {
        "land": "sea", "time": "noon", "sky": "clear", "light": "west", "thing": "tree", "place": "east"
    },
    "data.scene_captions.phrase": lambda: {"scene": scene(), "leave_out": ("land",)},
    "data.scene_captions.describe": lambda: {"scene": scene(), "rng": np.random.default_rng(0), "leave_out": ("land",)},
    "data.scene_captions.parse": lambda: {"caption": "a sea at night"},
    "data.scenes.is_held_out": lambda: {"scene": scene()},
    "data.scenes.random_scenes": lambda: {"count": 3, "seed": 1, "held_out": True},
    "data.scenes.as_indices": lambda: {"scenes": [scene()]},
    "data.scenes.from_indices": lambda: {"indices": scenes.as_indices([scene()])},
    "data.scenes.turn": lambda: {"scene": scene(), "quarters": 1},
    "data.scenes.check_height": lambda: {"height": 64},
    "data.scenes.draw_scenes": lambda: {"records": [scene()], "seeds": 3, "height": 64, "depth": True},
    "data.scenes.scenes": lambda: {"count": 1, "seed": 1, "height": 64, "held_out": None, "depth": True},
    "data.scenes.Scenes": lambda: {"name": "mine", "images": squashed(2, 3, 4, 8)},
    "data.scene_sets.draw_set": lambda: {"records": [scene()], "seed": 1, "depth": True, "processes": 1},
    "data.scene_sets.as_images": lambda: {"whole": torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)},
    "data.scene_sets.roll_each": lambda: {"maps": squashed(*FLAT), "columns": LABELS},
    "data.toy.ring_centres": lambda: {"modes": 4, "radius": 1.0},
    "data.toy.ring": lambda: {"count": 9, "modes": 4, "spread": 0.05, "seed": 1},
    "data.toy.grid": lambda: {"count": 9, "side": 3, "spread": 0.05, "seed": 1},
    "data.toy.spiral": lambda: {"count": 9, "turns": 1.5, "spread": 0.05, "seed": 1},
    "data.toy.moons": lambda: {"count": 9, "spread": 0.05, "seed": 1},
    "data.views.check_panorama": lambda: {"panorama": squashed(2, 3, 4, 8)},
    "data.views.perspective": lambda: {
        "panorama": squashed(2, 3, 4, 8), "yaw": 30.0, "pitch": 10.0, "field_of_view": 90.0, "size": 4
    },
    # ------------------------------------------------------------------------------------------ many small runs
    "augment.Sets": lambda: {"images": squashed(2, 5, 64), "labels": LABELS[:5].repeat(2, 1), "counts": LABELS[:2] + 4},
    "augment.Sets.batch": lambda: (sets(), {"size": 3}),
    "augment.Sets.repeated": lambda: (sets(), {"times": 2}),
    "augment.draw_sets": lambda: {"dataset": digits(), "per_class": [2], "runs": 2, "test": 5, "seed": 1},
    "augment.ParallelLinear": lambda: {
        "networks": 4, "inputs": 3, "outputs": 2, "runs": 2, "random": torch.Generator().manual_seed(0)
    },
    "augment.ParallelLinear.forward": lambda: (
        augment.ParallelLinear(4, 3, 2, 2, torch.Generator().manual_seed(0)), {"x": seeded(4, 5, 3)}
    ),
    "augment.parallel_mlp": lambda: {"networks": 4, "widths": (3, 5, 2), "runs": 2, "seed": 1, "activation": nn.ReLU},
    "augment.one_hot": lambda: {"labels": LABELS},
    "augment.gan_samples": lambda: {"sets": sets(), "runs": 2, "per_class": 1, "steps": 2, "seed": 1},
    "augment.flow_samples": lambda: {"sets": sets(), "runs": 2, "per_class": 1, "steps": 2, "width": 4, "seed": 1},
    "augment.rendered": lambda: {"glyphs": glyphs.glyphs(3, 1), "sets": 2},
    "augment.jitter": lambda: {"pictures": squashed(3, 64), "turn": 0.2, "scale": 0.1, "shift": 0.2},
    # ------------------------------------------------------------------------------------------ training
    "settings.Settings": lambda: {
        "loss": "hinge", "generator_lr": 0.001, "discriminator_lr": 0.002, "decay_after": 10, "beta1": 0.5,
        "beta2": 0.9, "batch_size": 8, "discriminator_steps": 1, "r1_weight": 0.3, "r1_every": 4,
        "average_decay": 0.99, "average_share": 0.1, "bfloat16": True,
    },
    "settings.has_bfloat16": lambda: {"device": "cpu"},
    "settings.check_fit": lambda: {
        "generator": pair()[0], "discriminator": pair()[1], "images": squashed(8, 1, 8, 8),
        "settings": settings.Settings(batch_size=4), "device": "cpu", "labels": None, "held_out": squashed(4, 1, 8, 8),
    },
    "training.Trainer": lambda: {
        "generator": pair()[0], "discriminator": pair()[1], "images": squashed(8, 1, 8, 8),
        "settings": settings.Settings(batch_size=4), "seed": 1, "device": "cpu", "augment": features,
        "held_out": squashed(4, 1, 8, 8),
    },
    "training.Trainer.run": lambda: (
        trainer(), {"steps": 2, "draw": None, "alt": "some", "watch": None, "checkpoint": None, "checkpoint_every": 5}
    ),
    "training.Trainer.sample": lambda: (trainer(), {"noise": seeded(3, 4)}),
    "training.Trainer.noise": lambda: (trainer(), {"count": 3}),
    "setup.choose_profile": lambda: {"name": "cpu"},
    "setup.seed_everything": lambda: {"seed": 1},
    "setup.start": lambda: {"profile": "cpu", "seed": 1, "minutes": 2.0, "threads": 1},
    "zoo.names": lambda: {"folder": zoo.FOLDER},
    "zoo.card": lambda: {"name": "glyphs_classifier", "folder": zoo.FOLDER},
    # ------------------------------------------------------------------------------------------ panorama
    "panorama.enlarge.Enlarger": lambda: {"width": 8, "blocks": 1},
    "panorama.enlarge.enlarged": lambda: {"images": squashed(2, 3, 8, 16), "factor": 2},
    "panorama.page.export_webxr": lambda: {
        "panorama": squashed(2, 3, 8, 16), "path": Path("place.html"), "right": squashed(2, 3, 8, 16, seed=1),
        "names": ["here", "there"],
    },
    "panorama.poles.calm_poles": lambda: {"panorama": squashed(2, 3, 8, 16), "reach": 20.0},
    "panorama.poles.spread_by_row": lambda: {"panoramas": squashed(2, 3, 8, 16)},
    "panorama.real.real_panorama": lambda: {"name": "park"},
    "panorama.stereo.parallax": lambda: {"depth": seeded(2, 1, 8, 16).abs() + 1, "eyes": 0.1},
    "panorama.stereo.stereo_pair": lambda: {
        "panorama": squashed(2, 3, 8, 16), "depth": seeded(2, 1, 8, 16).abs() + 1, "eyes": 0.1
    },
    "zoo.load": lambda: {"name": "glyphs_classifier", "folder": zoo.FOLDER},
    "zoo.check_files": lambda: {"name": "mini_student", "folder": zoo.FOLDER},
    # ------------------------------------------------------------------------------------------ costs, ledger
    "costs.economics.Business": lambda: {**vars(business())},
    "costs.economics.tornado": lambda: {
        "business": business(), "ranges": {"steps": (10.0, 50.0)}, "result": lambda b: b.profit_usd_per_month
    },
    "costs.facts.period": lambda: {"date": "2024-06"},
    "costs.facts.load": lambda: {"name": "gpu_prices", "folder": Path(zoo.__file__).parents[1] / "costs" / "tables"},
    "costs.facts.pick": lambda: {
        "facts": facts()[:1], "entity": facts()[0].entity, "quantity": facts()[0].quantity, "date": facts()[0].date
    },
    "costs.facts.number": lambda: {"value": 2.5},
    "costs.facts.listing": lambda: {"facts": facts()[:2]},
    "costs.facts.sources": lambda: {"facts": facts()[:2]},
    "costs.operations.count_operations": lambda: {"network": judge(), "images": squashed(8, 1, 8, 8)},
    "ledger.get": lambda: {"name": "S4.3-b"},
    "ledger.counts": lambda: {"claims": None},
    "ledger.quiz.check": lambda: {"answers": "BB"},
    # ------------------------------------------------------------------------------------------ widgets
    "widgets.lab_view.LabView": lambda: {"preset": "converges", "seed": 1},
    "widgets.loss_explorer": lambda: {"d_real": 0.9, "d_fake": 0.1},
    "widgets.clinic_view.ClinicView": lambda: {"preset": "A", "seed": 1},
    "widgets.diffusion_explorer": lambda: {
        "network": network_of_digits, "dataset": digits(), "schedules": {"cosine": cosine_betas}, "trained": "cosine",
        "prediction": "epsilon", "seed": 1,
    },
    "widgets.economics": lambda: {"business": business(), "cases": {"dear": {"price_usd_per_image": 0.1}}},
    "widgets.look_around": lambda: {"places": {"here": squashed(3, 8, 16)}},
    "widgets.lab.Knobs": lambda: {
        "target": "ring", "loss": "hinge", "generator_lr": 0.001, "discriminator_lr": 0.001, "discriminator_steps": 1,
        "width": 8, "discriminator_width": 8, "prior": "normal", "prior_dim": 2, "beta1": 0.5, "r1_weight": 0.1,
        "optimizer": "adam", "seed": 1,
    },
}  # fmt: skip


def clips_of():
    from gan_course.video.network import SpaceTimeUNet

    return SpaceTimeUNet(3, (1, 8, 8), 4, 8, 8).eval()


def unet_of(classes):
    from gan_course.unet import DiffusionUNet

    return DiffusionUNet(classes, (1, 8, 8), 8, 8)


def classifier_of():
    from gan_course.classifiers import Classifier

    return Classifier(4, (1, 28, 28), 4)


def reader_of():
    from gan_course.classifiers import AttributeClassifier

    return AttributeClassifier(8, (2, 3))


def painter():
    return translators.Translator(8, 1, noise=2).eval()


def small_file():
    """A photograph of a few pixels in the working folder."""
    path = Path("photograph.png")
    pictures.write(path, pictures.Picture(np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)))
    return path


def small_folder():
    """Fifty tiny pictures in a folder of the working folder."""
    folder = Path("own")
    folder.mkdir(exist_ok=True)
    for i in range(50):
        Image.fromarray(np.full((8, 9), 5 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def depth_of():
    from gan_course.classifiers import DepthEstimator

    return DepthEstimator(8)


def network_of_digits(x, t, labels=None):
    return x


def trainer():
    from gan_course.training import Trainer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Trainer(*pair(), squashed(8, 1, 8, 8), settings.Settings(batch_size=4))


def of_stable_diffusion(pipeline, panorama_pipeline):
    """Clean calls of what needs the two tiny pipelines."""
    words = seeded(2, 24, 32)
    noise = seeded(2, 8, 8, 8)
    asked = {
        "prompts": ["a red seven", "a blue two"],
        "seed": 1,
        "steps": 2,
        "guidance_scale": 2.0,
        "negative_prompt": "green",
    }
    last = torch.full((2,), 999)
    on = {"unet": pipeline.unet, "scheduler": pipeline.scheduler}
    pictures = squashed(2, 3, 32, 32)
    calls = {
        "stable_diffusion.pipeline.Request": lambda: dict(asked),
        "stable_diffusion.pipeline.text_to_image": lambda: {"pipeline": pipeline, **asked},
        "stable_diffusion.pipeline.image_to_image": lambda: {
            "pipeline": pipeline,
            "images": pictures.clone(),
            "strength": 0.6,
            **asked,
        },
        "stable_diffusion.pipeline.inpaint": lambda: {
            "pipeline": pipeline,
            "images": pictures.clone(),
            "masks": (seeded(2, 1, 32, 32) > 0).float(),
            "strength": 0.6,
            **asked,
        },
        "stable_diffusion.adherence.measure_adherence": lambda: {
            "images": pictures.clone(),
            "records": [record(), record()],
            "reader": small(reader_six),
            "source": render.GLYPHS,
        },
        "stable_diffusion.stencils.cut_out": lambda: {
            "images": pictures.clone(),
            "records": [record(), record()],
            "side": 12,
        },
        "stable_diffusion.stencils.paint_anew": lambda: {
            "images": pictures.clone(),
            "records": [record(), record()],
            "wanted": [record()],
            "seed": 1,
        },
        "stable_diffusion.attention.watch": lambda: {"unet": pipeline.unet},
        "stable_diffusion.attention.maps": lambda: {"calls": [seeded(2, 4, 16, 5).softmax(-1)], "side": 8},
        "stable_diffusion.distill.clean_view": lambda: {
            **on,
            "noisy": noise.clone(),
            "timesteps": last,
            "words": words,
        },
        "stable_diffusion.distill.one_step": lambda: {**on, "noise": noise.clone(), "words": words},
        "stable_diffusion.distill.guided_view": lambda: {
            **on,
            "noisy": noise.clone(),
            "timesteps": last,
            "words": words,
            "empty": words + 1,
            "guidance_scale": 2.0,
        },
        "stable_diffusion.distill.read_words": lambda: {"pipeline": pipeline, "prompts": ["a red seven", "a blue two"]},
        "stable_diffusion.distill.features": lambda: {
            "unet": pipeline.unet,
            "noisy": noise.clone(),
            "timesteps": last,
            "words": words,
        },
        "stable_diffusion.distill.feature_widths": lambda: {"unet": pipeline.unet},
        "stable_diffusion.distill.Heads": lambda: {"widths": [4, 8], "width": 8},
        "stable_diffusion.distill.distillation_loss": lambda: {
            "made": noise.clone(),
            "seen": noise + 1,
            "alpha_bar": torch.tensor([0.5, 0.9]),
        },
        "stable_diffusion.distill.load_student": lambda: {
            "name": "mini_student_2",
            "device": "cpu",
            "folder": zoo.FOLDER,
        },
        "stable_diffusion.pairs.begin_pairs": lambda: {"count": 2, "seed": 1},
        "stable_diffusion.pairs.load_pairs": lambda: {"folder": zoo.FOLDER},
        "stable_diffusion.latents.encode": lambda: {
            "autoencoder": pipeline.vae,
            "records": [record()],
            "seed": 1,
            "source": render.GLYPHS,
        },
        "stable_diffusion.latents.rebuild": lambda: {"autoencoder": pipeline.vae, "images": pictures.clone()},
        "stable_diffusion.networks.make_autoencoder": lambda: {
            "widths": (8, 8),
            "channels": 4,
            "side": 16,
            "attention": True,
        },
        "stable_diffusion.networks.make_patch_discriminator": lambda: {"width": 8},
        "stable_diffusion.networks.make_text_encoder": lambda: {
            "tokenizer": pipeline.tokenizer,
            "width": 8,
            "layers": 1,
        },
        "stable_diffusion.networks.make_unet": lambda: {
            "width": 8,
            "widths": (8, 8),
            "channels": 4,
            "size": 8,
            "groups": 8,
        },
        "stable_diffusion.networks.make_scheduler": lambda: {"prediction": "epsilon"},
        "stable_diffusion.panoramas.turn_around": lambda: {"prompt": "a tree to the north"},
        "stable_diffusion.panoramas.wrap": lambda: {"maps": seeded(*FLAT), "border": 1},
        "stable_diffusion.panoramas.text_to_panorama": lambda: {
            "pipeline": panorama_pipeline,
            "prompts": ["a sea at night"],
            "seed": 1,
            "steps": 2,
            "guidance_scale": 2.0,
            "negative_prompt": "fog",
            "seamless": True,
        },
        "stable_diffusion.panoramas.seam": lambda: {"panoramas": squashed(2, 3, 4, 8)},
    }
    exempt = {
        "stable_diffusion.pipeline.paint": "takes a Request", "stable_diffusion.pipeline.check_request": "the same",
        "stable_diffusion.panoramas.decode_wrapped": "inside text_to_panorama",
        "stable_diffusion.panoramas.encode_wrapped": "for recipes",
        "stable_diffusion.panoramas.text_to_latents": "inside text_to_panorama",
        "stable_diffusion.latents.normalise": "for recipes: it changes the autoencoder",
        "stable_diffusion.pipeline.load_pipeline": "test_latent",
    }  # fmt: skip
    return calls, exempt


def reader_six():
    from gan_course.classifiers import AttributeClassifier

    return AttributeClassifier(8)


def cards():
    return [json.loads(path.read_text()) for path in zoo.FOLDER.glob("*.json")]
