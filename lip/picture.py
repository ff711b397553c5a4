"""A reference to an image, as it stands in specs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lip.spec import Spec


class Picture(Spec):
    """Its name is for people; the hash of its pixels is what it is."""

    name: str
    pixels: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    height: int
    width: int
    channels: int

    def reference(self) -> str:
        return self.pixels
