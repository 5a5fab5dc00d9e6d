"""MNIST and Fashion-MNIST: found in a local copy or downloaded once, always checked, never replaced by something else.

Where a set is looked for, in this order:

1. ``$GAN_COURSE_DATA/mnist/`` or ``$GAN_COURSE_DATA/fashion_mnist/``: the four original ``.gz`` files;
2. ``$GAN_COURSE_DATA/mnist10k.npz`` (MNIST only): 10,000 pictures, ``images`` uint8 ``[10000, 28, 28]`` and ``labels``,
   of which the last 2,000 are the test part;
3. the cache: ``$GAN_COURSE_CACHE``, or else the place that the operating system has for caches;
4. the mirrors, one after the other.

MNIST: LeCun, Cortes and Burges; LeCun et al., "Gradient-based learning applied to document recognition", 1998.
Fashion-MNIST: Xiao, Rasul and Vollgraf, arXiv 1708.07747.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from gan_course.data import Dataset
from gan_course.data.fetching import PATIENCE, FileSet, fetch, is_whole
from gan_course.files import read_whole

TEST_PICTURES = 2_000  # pictures at the end of mnist10k.npz that nothing may train on
SPLITS = ("train", "test", "all")
MNIST = FileSet(
    name="mnist",
    files={
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    megabytes=12,
    class_names=tuple("0123456789"),
)
FASHION_MNIST = FileSet(
    name="fashion_mnist",
    files={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the authors' own; has no https
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    megabytes=31,
    class_names=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
)


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped IDX file, the format of MNIST: two zeros, an 8 for bytes, rank, sizes, data.

    Raises ``ValueError`` for a file that isn't one, ``OSError`` for one that may not be read.
    """
    content = read_whole(path)
    try:
        raw = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a whole gzip file ({error}): remove it, and it will be fetched again"
        ) from error
    if raw[:3] != b"\x00\x00\x08" or len(raw) < 4:
        raise ValueError(f"{path} is not an IDX file of bytes (it begins with {raw[:4].hex()!r}): remove or replace it")
    sizes = [int.from_bytes(raw[4 * i : 4 * i + 4], "big") for i in range(1, raw[3] + 1)]
    data = np.frombuffer(raw[4 + 4 * len(sizes) :], dtype=np.uint8)
    if len(raw) < 4 + 4 * len(sizes) or data.size != math.prod(sizes):
        raise ValueError(f"{path} is cut short: it promises {sizes} values but holds {data.size}; remove or replace it")
    return data.reshape(sizes)


def _local_copy(source: FileSet) -> list[Path] | None:
    """The four files in ``$GAN_COURSE_DATA``, or the one ``mnist10k.npz``, or ``None``."""
    if not (named := os.environ.get("GAN_COURSE_DATA")):
        return None
    folder = Path(named)
    if not folder.is_dir():
        print(f"GAN_COURSE_DATA names {folder}, which is not a folder: going on without a local copy")
        return None
    paths = [folder / source.name / file for file in source.files]
    if all(path.is_file() for path in paths):
        for path in paths:
            if not is_whole(path, source):
                raise ValueError(f"{path} is damaged or another file (its checksum differs): replace or remove it")
        return paths
    subset = folder / "mnist10k.npz"
    return [subset] if source.name == "mnist" and subset.is_file() else None


def _subset(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Pictures, labels and the number to train on of a file such as ``mnist10k.npz``."""
    content = read_whole(path)
    try:
        with np.load(io.BytesIO(content)) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} can't be read ({error}): it must hold the arrays images and labels") from error
    right = images.dtype == np.uint8 and images.shape[1:] == (28, 28) and len(images) > TEST_PICTURES
    if not right or labels.shape != images.shape[:1] or not np.isin(labels, range(10)).all():
        raise ValueError(
            f"{path} must hold images uint8 [N, 28, 28] and as many labels from 0 to 9, N over {TEST_PICTURES}, but "
            f"holds {images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}: replace or remove it"
        )
    return images, labels, len(images) - TEST_PICTURES


def files_of(source: FileSet, patience: float = PATIENCE) -> list[Path]:
    """The files that hold ``source``: those of the local copy, or else those in the cache, downloaded where need be.

    Raises ``ValueError`` for a damaged local copy, ``ConnectionError`` when no mirror delivers.
    """
    return _local_copy(source) or fetch(source, patience)


def _load(source: FileSet, split: str, patience: float) -> Dataset:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} but is {split!r}: 'train' is for training")
    paths = files_of(source, patience)
    if len(paths) == 1:
        images, labels, train = _subset(paths[0])
    else:
        parts = [read_idx(path) for path in paths]
        images, labels, train = np.concatenate(parts[::2]), np.concatenate(parts[1::2]), len(parts[0])
    rows = {"train": slice(train), "test": slice(train, None), "all": slice(None)}[split]
    pictures = torch.from_numpy(images[rows]).unsqueeze(1).float().div_(127.5).sub_(1)
    return Dataset(source.name, pictures, torch.from_numpy(labels[rows].astype(np.int64)), source.class_names)


def mnist(split: str = "train", source: FileSet = MNIST, patience: float = PATIENCE) -> Dataset:
    """Handwritten digits ``[N, 1, 28, 28]``: 60,000 to train on, 10,000 to test on, or ``"all"`` in this order.

    Where ``GAN_COURSE_DATA`` holds only ``mnist10k.npz``, 8,000 and 2,000. See the module's page for where it looks.
    Raises ``ValueError`` for an unknown ``split`` or a damaged local copy, ``ConnectionError`` when no mirror delivers.
    """
    return _load(source, split, patience)


def fashion_mnist(split: str = "train", source: FileSet = FASHION_MNIST, patience: float = PATIENCE) -> Dataset:
    """Pieces of clothing ``[N, 1, 28, 28]``: 60,000 to train on, 10,000 to test on, or ``"all"`` in this order.

    Raises ``ValueError`` for an unknown ``split`` or a damaged local copy, ``ConnectionError`` when no mirror delivers.
    """
    return _load(source, split, patience)
