"""How many operations a network takes. One multiplication and one addition count as two operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def count_operations(network: nn.Module, *inputs: Any, **options: Any) -> int:
    """Operations of ``network(*inputs, **options)``: its linear layers, convolutions and attention.

    All else (normalisation, activations, sums) is left out: together it is a percent or two. Works with tensors on
    the device "meta", too, which have shapes and no numbers, so that a network of any size can be counted.
    """
    total = 0

    def linear(layer, inputs, output):
        nonlocal total
        total += 2 * output.numel() * layer.in_features

    def convolution(layer, inputs, output):
        nonlocal total
        places = inputs[0] if layer.transposed else output  # a transposed one stamps its window at every input
        total += 2 * places.numel() * layer.weight[0].numel()

    def attention(layer, inputs, options, output):
        nonlocal total
        queries = inputs[0] if inputs else options["hidden_states"]
        words = options.get("encoder_hidden_states")
        if queries.ndim == 4:  # a map: each place is a query
            queries = queries.flatten(2).transpose(1, 2)
        keys = queries if words is None else words
        total += 2 * 2 * queries.numel() * keys.shape[1]  # queries times keys, then weights times values

    hooks = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            hooks.append(layer.register_forward_hook(linear))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            hooks.append(layer.register_forward_hook(convolution))
        elif type(layer).__name__ in ("Attention", "CLIPAttention"):
            hooks.append(layer.register_forward_hook(attention, with_kwargs=True))
    try:
        with torch.no_grad():
            network(*inputs, **options)
    finally:
        for hook in hooks:
            hook.remove()
    return total
