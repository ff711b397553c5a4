"""A reference to an image or to a data set, as it stands in specs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from lip.specs.spec import Spec

Codes = Literal["shared", "per_image"]
"""Whether several images fitted together share one code z, as in the paper, or have one each."""

HalfPixel = Literal["down", "even"]
"""Where a centred crop begins if it cannot be centred: the half pixel is rounded down, or to an even number."""


class Picture(Spec):
    """Its name is for people; the hash of its pixels is what it is."""

    name: str
    pixels: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    height: int
    width: int
    channels: int

    def reference(self) -> str:
        return self.pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    def columns(self) -> dict[str, Any]:
        """Its columns of the row (`lip.ledger.schema`)."""
        sizes = {"image_height": self.height, "image_width": self.width, "channels": self.channels}
        return {"pixels": self.pixels, **sizes}


class DataSet(Picture):
    """Many pictures of one size, in classes; `pixels` is the hash of all there is: images, labels and split.

    Its array is one record per picture: `image` uint8 (height, width, channels), `label`, and `test` (bool).
    """

    classes: int
    train: int
    """Pictures that are trained on."""
    test: int
    """Pictures that accuracy is measured on."""

    def columns(self) -> dict[str, Any]:
        return super().columns() | {"classes": self.classes, "train_images": self.train, "test_images": self.test}


def joined(pictures: Iterable[Picture]) -> str:
    """The names of images that are fitted together, as one name."""
    return "+".join(picture.name for picture in pictures)
