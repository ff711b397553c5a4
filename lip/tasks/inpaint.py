"""Inpainting (paper, section 4): pixels are missing at random, or under a drawn mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lip.priors import Prior


class Inpaint(Degradation):
    """Fill in unknown pixels.

    Each pixel is known, in all channels, with probability `keep`; or, with a mask, where that is light (at
    least half grey). The released code draws each channel of a pixel separately, and pads images by one reflected
    pixel.
    """

    kind = "inpaint"
    shared_init = True
    released_fields = {"per_channel": {"per_channel": True}, "pad": {"pad": 1}, "quartic": {"quartic": True}}  # noqa: RUF012

    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability that a pixel is known, where there is no `mask`."""
    inpaint_mask: Picture | None = None
    """The picture that the key `mask` names; light where pixels are known."""
    per_channel: bool = False
    """Draw each channel of a pixel on its own, as the released code does."""
    pad: Annotated[int, Field(ge=0, le=16)] = 0
    """Pad images by this many reflected pixels; the released code does by one."""
    quartic: bool = False
    """Fit the fourth power of the differences, as the released code does with a generator."""

    def schedules(self) -> dict[str, Schedule]:
        released = Schedule(steps=3000, lr=0.01, jitter=0.03, backtrack=None)
        random, drawn = released.replace(steps=11000, lr=0.001), released.replace(steps=6001)
        return {"paper": drawn if self.inpaint_mask else random, "lip": released}

    def released_backtracking(self, schedule: Schedule) -> Schedule:
        return schedule.replace(backtrack=5.0, backtrack_rule="hundredths")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return (self.inpaint_mask,) if self.inpaint_mask else ()

    def check(self, height: int, width: int, prior: Prior) -> str | None:
        mask = self.inpaint_mask
        if mask and (mask.height, mask.width) != (height, width):
            return f"mask: it is {mask.width}x{mask.height} pixels; use one of the image's size"
        if self.pad >= min(height, width):
            return f"pad: {width}x{height} pixels have too few to reflect; use a larger size"
        if not prior.outputs(height + 2 * self.pad, width + 2 * self.pad):
            return f"pad: {prior.kind} outputs multiples of {prior.multiple} pixels; use 0, or leave pad out of compat"
        return None

    def frame(self, image: Tensor) -> Tensor:
        import torch.nn.functional as F

        return F.pad(image, (self.pad,) * 4, mode="reflect")

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        if pictures:
            (mask,) = pictures
            known = mask.mean(dim=1, keepdim=True) >= 0.5
        else:
            drawn = clean if self.per_channel else clean[:, :1]
            known = drawn.clone().uniform_(generator=noise) < self.keep
        return clean.masked_fill(~known, float("nan"))

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        # Over all pixels as in the released code: the unknown ones count as fitted.
        squares = (output - observation).masked_fill(observation.isnan(), 0).square()
        return (squares.square() if self.quartic else squares).mean()
