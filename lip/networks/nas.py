"""The networks of NAS-DIP's search space, as plain modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from torch import Tensor, nn

from lip.networks.cells import Cell
from lip.networks.encoder_decoder import Network, block

Links = Sequence[Sequence[bool]]


class StackedConv(nn.Conv2d):
    """Convolution of the sum of the first, second, third and last quarter of the channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs // 4, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unflatten(1, (4, -1)).sum(dim=1))


def convolution(kind: str, inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Build a convolution of a cell by its name in `cells.CONVS`, padded with zeros as published."""
    padding = kernel // 2
    match kind:
        case "conv":
            return nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        case "transposed":
            return nn.ConvTranspose2d(inputs, outputs, kernel, padding=padding)
        case "stacked":
            return StackedConv(inputs, outputs, kernel)
        case "separable":
            depthwise = nn.Conv2d(inputs, inputs, kernel, padding=padding, groups=inputs, bias=False)
            return nn.Sequential(OrderedDict(depthwise=depthwise, mix=nn.Conv2d(inputs, outputs, 1, bias=False)))
        case "depthwise":
            return nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=outputs, bias=False)
    raise ValueError(f"there is no convolution {kind!r}")


def stages(cell: Cell, width: int) -> list[nn.Module]:
    """Return the modules that upsample a map of `width` channels, in order."""
    match cell.resize:
        case "strided":
            return [nn.ConvTranspose2d(width, width, cell.kernel, 2, padding=cell.kernel // 2, output_padding=1)]
        case "shuffle":
            return [nn.PixelShuffle(2), convolution(cell.conv, width // 4, width, cell.kernel)]
        case "late shuffle":
            return [convolution(cell.conv, width, 4 * width, cell.kernel), nn.PixelShuffle(2)]
    resize = nn.Upsample(scale_factor=2, mode=cell.resize)
    return [resize] if cell.conv == "identity" else [resize, convolution(cell.conv, width, width, cell.kernel)]


def upsampling_cell(cell: Cell, width: int) -> nn.Sequential:
    """Build a cell that upsamples a map of `width` channels: its stages, each followed by the activation."""
    activations = {"none": nn.Identity(), "relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2)}
    steps = [(stage, activations[cell.activation]) for stage in stages(cell, width)]
    return nn.Sequential(*chain.from_iterable(steps))


def routes(links: Links) -> list[tuple[int, int, int]]:
    """List the steps (source, from scale, to scale) that carry sources to linked scales, one scale at a time."""
    found = []
    for source in range(len(links)):
        wanted = {scale for scale, row in enumerate(links) if row[source]} | {source}
        for path in (range(source, max(wanted) + 1), range(source, min(wanted) - 1, -1)):
            found += [(source, *step) for step in pairwise(path)]
    return found


class NasNet(Network):
    """Down the scales, up again by cells; sources are carried to other scales by cells and strided convolutions.

    Each step between two scales is one module, shared by all sources that use it; unused steps do not exist.
    """

    def __init__(self, depth: int, channels: int, width: int, cell: Cell, links: Links) -> None:
        super().__init__()
        self.links, self.routes = links, routes(links)
        self.parts = nn.ModuleDict()
        scales = range(len(links))
        inputs = [depth, *(width for _ in scales)]
        for s in scales:
            self.parts[f"s{s} stride"] = block(inputs[s], width, 3, stride=2)
            self.parts[f"s{s} conv"] = block(width, width, 3)
        for before, after in sorted({(before, after) for _, before, after in self.routes}):
            carry = upsampling_cell(cell, width) if after < before else block(inputs[before], width, 3, stride=2)
            self.parts[f"s{before} to s{after}"] = carry
        for s in reversed(scales):
            self.parts[f"s{s} cell"] = upsampling_cell(cell, width)
            if links[s][s]:
                self.parts[f"s{s} skip"] = block(inputs[s], width, 1)
            self.parts[f"s{s} up"] = nn.Sequential(nn.BatchNorm2d(width), *block(width, width, 3))
            self.parts[f"s{s} again"] = block(width, width, 3)
            self.parts[f"s{s} mix"] = block(width, width, 1)
        self.out = nn.Conv2d(width, channels, 1)

    def logits(self, z: Tensor) -> Tensor:
        parts = self.parts
        carried = {(0, 0): z}  # (source, scale) to its map
        for s in range(len(self.links)):
            z = parts[f"s{s} conv"](parts[f"s{s} stride"](z))
            carried[s + 1, s + 1] = z
        for source, before, after in self.routes:
            carried[source, after] = parts[f"s{before} to s{after}"](carried[source, before])
        for s, row in reversed(list(enumerate(self.links))):
            z = parts[f"s{s} cell"](z)
            for source, linked in enumerate(row):
                if linked:
                    z = z + (parts[f"s{s} skip"](carried[s, s]) if source == s else carried[source, s])
            for part in ("up", "again", "mix"):
                z = parts[f"s{s} {part}"](z)
        return self.out(z)

    def prunable_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all weights of convolutions, transposed ones included; scale 0 is the full resolution."""
        for part, module in [*self.parts.items(), ("out", self.out)]:
            for path, conv in module.named_modules():
                if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                    yield " ".join([part, *filter(str.isalpha, path.split("."))]), conv.weight
