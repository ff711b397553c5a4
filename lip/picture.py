"""A reference to an image, as it stands in specs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from lip.spec import Spec

Codes = Literal["shared", "per_image"]
"""Whether several images fitted together share one code z, as in the paper, or have one each."""


class Picture(Spec):
    """Its name is for people; the hash of its pixels is what it is."""

    name: str
    pixels: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    height: int
    width: int
    channels: int

    def reference(self) -> str:
        return self.pixels


def joined(pictures: Iterable[Picture]) -> str:
    """The names of images that are fitted together, as one name."""
    return "+".join(picture.name for picture in pictures)
