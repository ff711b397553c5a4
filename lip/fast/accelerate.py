"""Make a network faster: leave out pruned weights and fuse what only moves memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from types import UnionType
from typing import Any

import torch
from torch import Tensor, nn

from lip.fast.dense_conv import DenseConv
from lip.fast.norm import LeakyNorm
from lip.fast.sparse_conv import SparseConv, is_supported
from lip.fast.upsample import Upsample2x, is_bilinear_x2
from lip.fast.upsampled_conv import UpsampledUp
from lip.networks.encoder_decoder import Network, Up

CONVS = nn.Conv2d | nn.ConvTranspose2d

SMALLEST = 16
"""Maps of fewer pixels are upsampled first: sorting the weights would take as long as that saves."""


def accelerate(net: Network, code: Tensor, mask_vector: Tensor) -> Tensor:
    """Replace modules of a network by faster ones; returns which parameters it still stores.

    A convolution of an upsampled map is computed before the upsampling; another becomes a SparseConv where that pays.
    `mask_vector` (ones and zeros) and the result (bool) are flat, over all parameters of the original network.
    """
    parameters = list(net.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    pixels = output_pixels(net, code, CONVS | nn.Upsample)
    masks = dict(zip(parameters, mask_vector.bool().split(sizes), strict=True))
    is_stored = {parameter: torch.ones_like(mask) for parameter, mask in masks.items()}
    for parent, name, up in _children(net, Up):
        conv, small = up.up[0], pixels[up.enlarge] // 4
        crops = pixels[up.enlarge] != pixels[conv]
        if is_bilinear_x2(up.enlarge) and small >= SMALLEST and not crops:
            mask, channels = masks[conv.weight], conv.out_channels
            kept_taps = int(mask.view_as(conv.weight)[:, -channels:].sum())
            sparse = is_faster(kept_taps, (9 * channels, channels, 1, 1), small)
            setattr(parent, name, UpsampledUp(up, mask.view_as(conv.weight), sparse))
            is_stored[conv.weight] = mask
    for parent, name, conv in _children(net, CONVS):
        mask = masks[conv.weight]
        if is_supported(conv) and is_faster(int(mask.sum()), conv.weight.shape, pixels[conv]):
            setattr(parent, name, SparseConv(conv, mask.view_as(conv.weight)))
            is_stored[conv.weight] = mask
        elif is_supported(conv) and isinstance(conv, nn.Conv2d):
            setattr(parent, name, DenseConv(conv))
    _fuse_norms(net)
    for parent, name, module in _children(net, nn.Upsample):
        if is_bilinear_x2(module):
            setattr(parent, name, Upsample2x())
    return torch.cat([is_stored[parameter] for parameter in parameters])


def is_faster(kept: int, shape: Sequence[int], pixels: int) -> bool:
    """Tell whether a step over a layer's kept weights is faster than one over all of them.

    Both costs are in multiplications of the dense layer, fitted to timings on an AMD EPYC (Zen 4) of 1x1 and 3x3
    layers of 3 to 132 channels at 2 to 64 pixels square. The library computes channels in blocks of 16, so 68 cost as
    much as 80. Otherwise break-even is at a density of 0.5, lower at the small scales. The kernels use one thread,
    however many PyTorch has.
    """
    channels, size = shape[:2], shape[2:]
    computed = prod(-(-count // 16) * 16 for count in channels) * prod(size)
    return torch.get_num_threads() * 1.8 * kept * (pixels + 170) < computed * (pixels + 40)


def _fuse_norms(net: nn.Module) -> None:
    """Replace batch norms, and the leaky ReLUs right behind them, by LeakyNorms."""
    followed = {}
    for sequence in net.modules():
        if isinstance(sequence, nn.Sequential):
            for (_, norm), (name, relu) in pairwise(sequence.named_children()):
                if isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.LeakyReLU):
                    followed[norm] = relu.negative_slope
                    setattr(sequence, name, nn.Identity())
    for parent, name, norm in _children(net, nn.BatchNorm2d):
        setattr(parent, name, LeakyNorm(norm, followed.get(norm, 1.0)))


def _children(net: nn.Module, kind: type[nn.Module] | UnionType) -> list[tuple[nn.Module, str, Any]]:
    """List the modules of a kind, each with its parent and its name there."""
    children = ((parent, *child) for parent in net.modules() for child in parent.named_children())
    return [child for child in children if isinstance(child[2], kind)]


def output_pixels(net: nn.Module, code: Tensor, kind: type[nn.Module] | UnionType = CONVS) -> dict[nn.Module, int]:
    """Count the output pixels of each module of a kind, over all images."""
    seen: dict[nn.Module, int] = {}

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        seen[module] = output[:, 0].numel()

    handles = [module.register_forward_hook(note) for _, _, module in _children(net, kind)]
    with torch.no_grad():
        net.eval()(code)  # keeps batch norm's running statistics
    net.train()
    for handle in handles:
        handle.remove()
    return seen
