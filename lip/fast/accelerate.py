"""Making a network faster: weights that a mask prunes are left out, and what only moves memory is fused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from types import UnionType
from typing import Any

import torch
from torch import Tensor, nn

from lip.fast.chain import Chain, Stage, join
from lip.fast.dense_conv import DenseConv
from lip.fast.norm import LeakyNorm
from lip.fast.sparse_conv import SparseConv, supports
from lip.fast.upsample import Upsample2x, doubles
from lip.fast.upsampled_conv import UpsampledUp
from lip.networks.encoder_decoder import Network, Up

CONVS = nn.Conv2d | nn.ConvTranspose2d

SMALLEST = 16
"""Maps of fewer pixels are doubled first: to put the weights in order would take as long as that saves."""


def accelerate(net: Network, code: Tensor, kept: Tensor) -> Tensor:
    """Replace modules of a network by faster ones; returns which parameters are still there.

    A convolution of a doubled map is computed before the doubling, another becomes a SparseConv where that pays.
    `kept` (ones and zeros) and what is returned (bool) are flat, over all parameters that the network had.
    """
    parameters = list(net.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    pixels = output_pixels(net, code, CONVS | nn.Upsample)
    masks = dict(zip(parameters, kept.bool().split(sizes), strict=True))
    there = {parameter: torch.ones_like(mask) for parameter, mask in masks.items()}
    for parent, name, up in _children(net, Up):
        conv, small = up.up[0], pixels[up.enlarge] // 4
        if doubles(up.enlarge) and small >= SMALLEST and pixels[up.enlarge] == pixels[conv]:  # so nothing is cropped
            mask, channels = masks[conv.weight], conv.out_channels
            kept_taps = int(mask.view_as(conv.weight)[:, -channels:].sum())
            sparse = is_faster(kept_taps, (9 * channels, channels, 1, 1), small)
            setattr(parent, name, UpsampledUp(up, mask.view_as(conv.weight), sparse))
            there[conv.weight] = mask
    for parent, name, conv in _children(net, CONVS):
        mask = masks[conv.weight]
        if supports(conv) and is_faster(int(mask.sum()), conv.weight.shape, pixels[conv]):
            setattr(parent, name, SparseConv(conv, mask.view_as(conv.weight)))
            there[conv.weight] = mask
        elif supports(conv) and isinstance(conv, nn.Conv2d):
            setattr(parent, name, DenseConv(conv))
    _fuse(net)
    for parent, name, module in _children(net, nn.Upsample):
        if doubles(module):
            setattr(parent, name, Upsample2x())
    _join(net)
    return torch.cat([there[parameter] for parameter in parameters])


def is_faster(kept: int, shape: Sequence[int], pixels: int) -> bool:
    """Tell whether a step over a layer's kept weights is faster than one over all, at so many output pixels.

    Both costs in multiplications of the dense one, as measured on an AMD EPYC (Zen 4) for 1x1 and 3x3 layers of 3 to
    132 channels at 2 to 64 pixels square. The library computes channels in sixteens, so 68 cost it as much as 80;
    otherwise break-even lies at a density of 0.5, lower at the small scales. The kernels take one thread, whatever
    PyTorch has.
    """
    channels, size = shape[:2], shape[2:]
    computed = prod(-(-count // 16) * 16 for count in channels) * prod(size)
    return torch.get_num_threads() * 1.8 * kept * (pixels + 170) < computed * (pixels + 40)


def _fuse(net: nn.Module) -> None:
    """Replace batch norms by LeakyNorms, which do the work of the leaky ReLUs right behind them."""
    followed = {}
    for sequence in net.modules():
        if isinstance(sequence, nn.Sequential):
            for (_, norm), (name, relu) in pairwise(sequence.named_children()):
                if isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.LeakyReLU):
                    followed[norm] = relu.negative_slope
                    setattr(sequence, name, nn.Identity())
    for parent, name, norm in _children(net, nn.BatchNorm2d):
        setattr(parent, name, LeakyNorm(norm, followed.get(norm, 1.0)))


def _join(net: Network) -> None:
    """Make chains of sequences that have nothing but fast modules, and longer ones of those that follow one another."""
    for parent, name, sequence in _children(net, nn.Sequential):
        stages = [child for child in sequence.named_children() if not isinstance(child[1], nn.Identity)]
        if stages and all(isinstance(module, Stage) for _, module in stages):
            setattr(parent, name, Chain(OrderedDict(stages)))
    for path in net.fusable_sequences():
        for first, then in pairwise(path):
            if isinstance(first, Stage | Chain) and isinstance(then, Stage | Chain):
                join(first, then)


def _children(net: nn.Module, kind: type[nn.Module] | UnionType) -> list[tuple[nn.Module, str, Any]]:
    """The modules of a kind, each with its parent and its name there."""
    children = ((parent, *child) for parent in net.modules() for child in parent.named_children())
    return [child for child in children if isinstance(child[2], kind)]


def output_pixels(net: nn.Module, code: Tensor, kind: type[nn.Module] | UnionType = CONVS) -> dict[nn.Module, int]:
    """Count the output pixels of each module of a kind, over all images."""
    seen: dict[nn.Module, int] = {}

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        seen[module] = output[:, 0].numel()

    handles = [module.register_forward_hook(note) for _, _, module in _children(net, kind)]
    with torch.no_grad():
        net.eval()(code)  # so that batch norm's running statistics stay
    net.train()
    for handle in handles:
        handle.remove()
    return seen
