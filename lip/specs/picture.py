"""References to images and data sets: names for people, hashes for ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from lip.specs.spec import Spec

Codes = Literal["shared", "per_image"]
"""Whether several images fitted together share one code z, as in the paper, or have one each."""

HalfPixel = Literal["down", "even"]
"""How the offset of a centred crop is rounded if it is not whole: down, or to an even number."""


class Picture(Spec):
    """An image, identified by the hash of its pixels; the name is for people."""

    name: str
    content_hash: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    height: int
    width: int
    channels: int

    def canonical_in_parent(self) -> str:
        return self.content_hash

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return height, width and channels."""
        return self.height, self.width, self.channels

    def columns(self) -> dict[str, Any]:
        """Return its columns of a row (`lip.ledger.schema`)."""
        sizes = {"image_height": self.height, "image_width": self.width, "channels": self.channels}
        return {"content_hash": self.content_hash, **sizes}


class DataSet(Picture):
    """Many pictures of one size, in classes; the hash is of images, labels and split.

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
    """Join the names of images that are fitted together."""
    return "+".join(picture.name for picture in pictures)
