"""What is noted of a U-Net's attention, and that noting changes nothing."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers")

from gan_course.stable_diffusion import attention, networks


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return networks.make_unet(32, (16, 16)).eval()


def inputs(unet, count=2, words=7):
    g = torch.Generator().manual_seed(1)
    side = unet.config.sample_size
    noisy = torch.randn(count, unet.config.in_channels, side, side, generator=g)
    return noisy, 500, torch.randn(count, words, unet.config.cross_attention_dim, generator=g)


@torch.no_grad()
def test_the_output_is_the_same_and_the_processors_come_back(unet):
    before = dict(unet.attn_processors)
    plain = unet(*inputs(unet)).sample
    with attention.watch(unet) as calls:
        watched = unet(*inputs(unet)).sample
    assert torch.equal(plain, watched)
    assert unet.attn_processors == before
    many = len(calls)
    unet(*inputs(unet))
    assert len(calls) == many, "nothing is noted after the block"


@torch.no_grad()
def test_there_is_one_table_for_each_cross_attention_and_its_rows_sum_to_1(unet):
    with attention.watch(unet) as calls:
        unet(*inputs(unet))
    layers = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    assert len(calls) == len(layers)
    assert {tuple(call.shape) for call in calls} == {(2, 4, 64, 7), (2, 4, 16, 7)}
    for call in calls:
        assert (call >= 0).all() and torch.allclose(call.sum(dim=-1), torch.ones(call.shape[:-1]), atol=1e-5)


@torch.no_grad()
def test_the_probabilities_are_those_that_the_layer_uses(unet):
    """Weighted with them, the words' values give what the layer returns."""
    block = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    g = torch.Generator().manual_seed(2)
    places, words = torch.randn(2, 16, 16, generator=g), torch.randn(2, 5, 32, generator=g)
    with attention.watch(unet) as calls:
        returned = block(places, encoder_hidden_states=words)
    values = block.to_v(words).unflatten(-1, (block.heads, -1)).transpose(1, 2)
    learned = (calls[0] @ values).transpose(1, 2).flatten(2)
    assert torch.allclose(block.to_out[0](learned), returned, atol=1e-5)


@torch.no_grad()
def test_an_error_inside_the_block_leaves_the_network_as_it_was(unet):
    before = dict(unet.attn_processors)
    with pytest.raises(KeyError), attention.watch(unet):
        raise KeyError("stop")
    assert unet.attn_processors == before
    block = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    with pytest.raises(ValueError, match=r"^there are no words to look at: pass encoder_hidden_states"):
        with attention.watch(unet):
            block(torch.randn(1, 16, 16))


def test_maps_are_means_over_calls_and_heads():
    large, small = torch.rand(1, 2, 16, 3).softmax(-1), torch.rand(1, 4, 4, 3).softmax(-1)
    maps = attention.maps([large, small], side=4)
    assert maps.shape == (1, 3, 4, 4)
    assert torch.allclose(maps.sum(dim=1), torch.ones(1, 4, 4), atol=1e-5)
    alone = attention.maps([large], side=4)
    assert torch.allclose(alone[0, 2, 1, 3], large[0, :, 7, 2].mean(), atol=1e-6)
    quarters = attention.maps([small], side=2)
    assert torch.allclose(quarters[0, 1, 1, 0], small[0, :, 2, 1].mean(), atol=1e-6)
    with pytest.raises(ValueError, match=r"^no attention was watched: call the U-Net inside the watch block"):
        attention.maps([], side=4)
    with pytest.raises(ValueError, match=r"^6 places are no square"):
        attention.maps([torch.rand(1, 2, 6, 3)], side=4)
