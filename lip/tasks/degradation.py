"""What restoration tasks have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from lip.data.images import HELD_OUT, HalfPixel
from lip.errors import InputError
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks.task import Task
from lip.training.metrics import SSIM_WINDOW

if TYPE_CHECKING:
    import numpy as np
    from torch import Generator, Tensor

    from lip.cost import Work
    from lip.data.library import Album
    from lip.priors import Prior
    from lip.specs.fit import Fit
    from lip.specs.request import Point
    from lip.training.restore import Restoration


class Degradation(Task):
    """A way to degrade an image, and the loss that ties a restoration to the degraded observation.

    Images are (1, channels, height, width) tensors in [0, 1].
    """

    training = Schedule
    defects = (
        "schedule",
        "imp_target",
        "z",
        "noise",
        "shared_init",
        "random_double",
        "unmasked_first",
        "backtrack",
        "per_channel",
        "pad",
        "rewind_target",
        "stale_ranking",
    )
    has_reference: ClassVar[bool] = True
    """Whether the image is the clean one. If not, it is itself the observation, and nothing is scored against it."""
    half_pixel: ClassVar[HalfPixel] = "down"
    """How images are cropped that cannot be centred, as deep image prior crops them for this task."""

    @classmethod
    def take(cls, album: Album, name: str, prior: Prior, point: Point) -> Picture:
        if name.startswith(HELD_OUT):
            if not (point.source_data and point.size):
                raise InputError(f"image {name} is one of a generator's faces; say which those are, with source_data")
            number = name.removeprefix(HELD_OUT)
            return album.held_out(number, point.source_data, point.size, point.share, point.crop)
        taken = album.picture(name, point.size, prior.multiple, cls.half_pixel)
        if min(taken.height, taken.width) < prior.smallest:
            raise InputError(
                f"image {name} is {taken.width}x{taken.height} pixels, the net needs at least "
                f"{prior.smallest}x{prior.smallest}; use a larger image, a larger size or fewer scales"
            )
        if min(taken.height, taken.width) < SSIM_WINDOW:
            raise InputError(
                f"image {name} is {taken.width}x{taken.height} pixels, SSIM needs at least "
                f"{SSIM_WINDOW}x{SSIM_WINDOW}; use a larger image or a larger size"
            )
        return taken

    @abstractmethod
    def schedules(self) -> Mapping[str, Schedule]: ...

    def released_backtracking(self, schedule: Schedule) -> Schedule:
        """Undo steps as the released code of this task does."""
        return schedule.replace(undo="official") if schedule.backtrack else schedule

    def problem(self, fit: Fit, images: Mapping[str, np.ndarray], device: str) -> Restoration:
        return fit.prior.restoration(fit, images, device)

    def work(self, fit: Fit) -> Work:
        codes = len(fit.pictures) if fit.codes == "per_image" else 1
        return codes * fit.prior.passes * fit.prior.work(*fit.picture.shape)

    def trains(self, prior: Prior) -> bool:
        return prior.trains

    def frame(self, image: Tensor) -> Tensor:
        """An image as the task works on it."""
        return image

    @abstractmethod
    def observe(self, clean: Tensor, noise: Generator, *pictures: Tensor) -> Tensor:
        """The degraded observation of a clean image; nan where nothing is known."""

    def project(self, output: Tensor) -> Tensor:
        """A restoration at the size of the observation."""
        return output

    def compared(self, clean: Tensor, noise: Generator) -> Tensor | None:
        """Return the image whose PSNR decides about undoing a step; None: the loss does."""
        return None

    @abstractmethod
    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        """The scalar that training minimises; it sees the observation, never the clean image."""

    def error(self, output: Tensor, clean: Tensor) -> Tensor:
        """The mean squared error that PSNR reports."""
        return (output - clean).square().mean()
