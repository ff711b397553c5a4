"""The networks of NAS-DIP's search space (arXiv 2008.11713), three published ones among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from lip.networks.cells import CELLS, Cell, cell
from lip.priors.prior import Channels, Prior

if TYPE_CHECKING:
    from lip.networks.nas import NasNet

PUBLISHED = {
    "denoise": "158 11111/01111/00111/00011/00001",
    "inpaint": "86 11000/01100/10110/01011/00101",
    "superres": "119 10010/11001/01100/00110/00011",
}
"""The published best networks by task."""

MOST_SCALES = 8


def _spelled_out(net: str) -> str:
    """Replace the name of a published network by its cell and links, so that both names give one id."""
    net = PUBLISHED.get(net, net)
    match = re.fullmatch(r"(\d{1,3}) ([01]+(?:/[01]+)*)", net)
    if match is None:
        known = ", ".join(PUBLISHED)
        raise PydanticCustomError("net", f"should be {known} or a cell and its links, such as {PUBLISHED['denoise']!r}")
    number, rows = int(match[1]), match[2].split("/")
    if number >= CELLS:
        raise PydanticCustomError("net", f"cells have the numbers 0 to {CELLS - 1}")
    if not cell(number).can_be_built:
        raise PydanticCustomError("net", f"cell {number} cannot be built (it shuffles but does not mix channels)")
    if {len(row) for row in rows} != {len(rows)} or len(rows) > MOST_SCALES:
        raise PydanticCustomError("net", f"links should be as many rows as columns, at most {MOST_SCALES}")
    return f"{number} {match[2]}"


class Nas(Prior):
    """Down as the hourglass, up by cells; each scale adds the sources in its row of links.

    At the defaults and three channels 3,924,867 parameters. The released module declares 4,405,635, of which the
    forward pass never uses the rest. The nets for inpainting and super-resolution use all that is declared: 10,710,273
    for one channel, and 3,512,835 for three.
    """

    kind = "nas"
    revision = 2  # gradients of padded maps add up in another order

    net: Annotated[str, AfterValidator(_spelled_out)] = PUBLISHED["denoise"]
    """`denoise`, `inpaint` or `superres` for a published network; or the number of a cell, a space, and the links.

    A row of links for each scale on the way up, the finest first; in each a bit for each source: the code, then what
    the encoder makes of it scale by scale. As many scales as rows.
    """
    width: Annotated[int, Field(ge=16, le=8192, multiple_of=16)] = 128
    """Channels of every layer on the way down and up; some cells take the fourth part of a fourth part."""
    depth: Channels = 32
    """Channels of the input code."""

    @property
    def cell(self) -> Cell:
        """Return the cell that upsamples."""
        return cell(int(self.net.split()[0]))

    @property
    def links(self) -> tuple[tuple[bool, ...], ...]:
        """Tell for each scale (row) which sources (columns) it is given."""
        return tuple(tuple(bit == "1" for bit in row) for row in self.net.split()[1].split("/"))

    @property
    def multiple(self) -> int:
        return 2 ** len(self.links)

    @property
    def smallest(self) -> int:
        return 2 * self.multiple  # reflection padding by one needs two pixels at the deepest scale

    def build(self, channels: int) -> NasNet:
        from lip.networks.nas import NasNet

        return NasNet(self.depth, channels, self.width, self.cell, self.links)

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.depth, height, width
