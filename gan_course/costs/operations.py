"""How many operations a network takes. One multiplication and one addition count as two operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_course.arguments import checked
from gan_course.networks import check_precision

LAYERS = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
ATTENTION = ("Attention", "CLIPAttention")  # what diffusers and transformers call it


def count_operations(network: nn.Module, *inputs: Any, **options: Any) -> int:
    """Operations of ``network(*inputs, **options)``: its linear layers, convolutions and attention.

    All else (normalisation, activations, sums) is left out; it is a few percent of them. Tensors on the device "meta"
    will do, which have shapes and no numbers, so that a network of any size can be counted.
    """
    total = 0

    def watch(layer: Any, inputs: tuple, options: dict[str, Any], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += 2 * output.numel() * layer.in_features
        elif isinstance(layer, LAYERS):  # a transposed convolution puts its window down at every input
            places = inputs[0] if layer.transposed else output
            total += 2 * places.numel() * layer.weight[0].numel()
        else:  # queries times keys, then weights times values
            queries = inputs[0] if inputs else options["hidden_states"]
            words = options.get("encoder_hidden_states")
            keys = queries if words is None else words
            total += 4 * queries.numel() * (keys.shape[1] if keys.ndim == 3 else keys[0, 0].numel())

    counted = [m for m in network.modules() if isinstance(m, LAYERS) or type(m).__name__ in ATTENTION]
    hooks = [layer.register_forward_hook(watch, with_kwargs=True) for layer in counted]
    try:
        with torch.no_grad():
            network(*inputs, **options)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _check_inputs(network: nn.Module, *inputs: Any, **options: Any) -> None:
    for name, x in [*((f"inputs[{i}]", x) for i, x in enumerate(inputs)), *options.items()]:
        if isinstance(x, Tensor):
            check_precision(name, x, network)


count_operations = checked(count_operations, also=_check_inputs)
