"""One thread a process: the tests run in parallel processes. No test needs a screen. And what several files share."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["GAN_COURSE_PROGRESS"] = "off"  # tests pass tasks, but whoever runs them has not
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):  # a make that a test starts is not a child of `make test`
    os.environ.pop(name, None)

import pytest  # noqa: E402
import torch  # noqa: E402  it reads OMP_NUM_THREADS when it is imported

torch.set_num_threads(1)


@pytest.fixture
def open_folder(tmp_path):
    """A folder that nobody, too, can reach. pytest's own are closed to others."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    return tmp_path


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    from gan_course.stable_diffusion.networks import make_tokenizer

    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def make_pipeline(tokenizer):
    """Makes tiny, untrained Stable Diffusions, which are alike for the same arguments."""
    from diffusers import StableDiffusionPipeline

    from gan_course.stable_diffusion import networks

    def make(prediction="v_prediction", widths=(16, 16)):
        torch.manual_seed(0)
        made = StableDiffusionPipeline(
            vae=networks.make_autoencoder((8, 8, 16)).eval(),
            text_encoder=networks.make_text_encoder(tokenizer, width=32).eval(),
            tokenizer=tokenizer,
            unet=networks.make_unet(32, widths).eval(),
            scheduler=networks.make_scheduler(prediction),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        made.set_progress_bar_config(disable=True)
        return made

    return make


@pytest.fixture(scope="session")
def pipeline(make_pipeline):
    """For tests that leave it as it is."""
    return make_pipeline()


@pytest.fixture(scope="session")
def panorama_pipeline(tmp_path_factory):
    """A tiny, untrained Stable Diffusion of panoramas, for tests that leave it as it is."""
    from diffusers import StableDiffusionPipeline

    from gan_course.data import scene_captions
    from gan_course.stable_diffusion import networks

    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = networks.make_tokenizer(folder, scene_captions.words(), scene_captions.LONGEST)
    torch.manual_seed(0)
    made = StableDiffusionPipeline(
        vae=networks.make_autoencoder((8, 8, 8, 16), 4, side=64, attention=False).eval(),
        text_encoder=networks.make_text_encoder(tokenizer, width=32).eval(),
        tokenizer=tokenizer,
        unet=networks.make_unet(32, (16, 16), 4, (8, 16), groups=8).eval(),
        scheduler=networks.make_scheduler("v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="session")
def store_pipeline(tmp_path_factory):
    """Puts a pipeline into a zoo of its own, as the mini model, and returns the zoo's folder."""
    from gan_course import stable_diffusion, zoo
    from gan_course.stable_diffusion.networks import make_tokenizer

    def store(pipeline):
        source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("zoo")
        pipeline.save_pretrained(source)
        make_tokenizer(source / "tokenizer")
        zoo.store_files(stable_diffusion.MINI, source, {"what": "A trial."}, folder)
        return folder

    return store
