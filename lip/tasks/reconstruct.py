"""Fitting a given target: a prior fits images quickly and noise slowly (Fig. 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.tasks.denoise import Denoise

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Reconstruct(Degradation):
    """Fit the clean image, the image with noise (not clipped), its pixels in random order, or uniform white noise."""

    kind = "reconstruct"

    target: Literal["clean", "noisy", "shuffled", "noise"] = "clean"
    """Fit the image, the image with noise, its pixels in random order, or uniform noise."""
    sigma: Annotated[float, Field(gt=0, le=255)] = 25.0
    """Standard deviation of the noise of the target `noisy`, in 8-bit grey levels."""
    backtrack_sigma: Annotated[float, Field(gt=0, le=255)] | None = None
    """As in the released code: undo steps by the PSNR to the observation of `denoise` with this sigma."""

    def schedules(self) -> dict[str, Schedule]:
        both = Schedule(steps=10000, lr=0.01, jitter=1 / 30, backtrack=None)
        return {"paper": both, "lip": both}

    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        import torch

        match self.target:
            case "clean":
                return clean.clone()
            case "noisy":
                return clean + clean.clone().normal_(0, self.sigma / 255, generator=noise)
            case "shuffled":
                order = torch.randperm(clean.shape[2] * clean.shape[3], generator=noise)
                return clean.flatten(2)[..., order].view_as(clean)
            case "noise":
                return clean.clone().uniform_(generator=noise)

    def backtracking_image(self, clean: Tensor, noise: Generator) -> Tensor | None:
        return Denoise(sigma=self.backtrack_sigma).observe(clean, noise) if self.backtrack_sigma else None

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return (output - observation).square().mean()
