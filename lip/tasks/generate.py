"""Training a generator on faces against a critic: what pre-trains one and finds its tickets (paper, section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lip.cost import Work, forward
from lip.errors import InputError
from lip.priors import Prior
from lip.priors.generator import Pretrained
from lip.specs.picture import Picture
from lip.specs.schedule import Positive, Training
from lip.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np

    from lip.data.library import Album
    from lip.specs.fit import Fit
    from lip.specs.recipe import Recipe
    from lip.specs.request import Point
    from lip.specs.trajectory import Trajectory
    from lip.training.adversarial import Generation


class Adversarial(Training):
    """Adam for generator and critic in turn, one step each, with betas 0 and 0.99."""

    tuning: Annotated[int, Field(ge=1)] = 30 * 12000 // 64
    """Steps from the pre-trained weights; by default 30 epochs of 40 % of CelebA-HQ."""
    pretraining: Annotated[int, Field(ge=0)] = 0
    """Steps before those, done once: from an initialisation; or, with a checkpoint, of the critic alone."""
    tuning_lr: Positive = 2e-4
    critic_lr: Positive = 2e-4
    batch: Annotated[int, Field(ge=1)] = 64
    average: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Weight of the past in the moving average of the generator's weights."""
    generator_frozen: bool = False
    """Train the critic alone."""

    @property
    def steps(self) -> int:
        return self.tuning

    def beginning(self, steps: int) -> Adversarial:
        return self.replace(tuning=steps)

    def columns(self) -> dict[str, Any]:
        own = {"steps": self.tuning, "lr": self.tuning_lr, "ema": self.average}
        return {**own, "critic_lr": self.critic_lr, "batch": self.batch}


class Generate(Task):
    """Wasserstein GAN with gradient penalty (arXiv 1704.00028) as progressive GAN has it, the generator masked.

    Every fit starts from the same pre-trained weights: those of a checkpoint, or of a fit that began from scratch.
    """

    kind = "generate"
    key = "data"
    training = Adversarial
    pruners = ("imp", "random", "layerwise", "shuffled")
    released = {"gan_batch": {"gan_batch": True}}  # noqa: RUF012

    gan_batch: bool = False
    """As the released code has it: the generator sees one image a step, and drift is the square of the mean score."""

    @property
    def keeps_weights(self) -> bool:
        return True

    @classmethod
    def take(cls, album: Album, name: str, prior: Prior, point: Point) -> Picture:
        if not isinstance(prior, Pretrained):
            raise InputError(f"prior: {prior.kind} is no generator of faces; use prior: dcgan or pggan")
        return album.faces(name, prior.size, point.share, point.crop)

    def schedules(self) -> Mapping[str, Adversarial]:
        return {"paper": Adversarial(), "lip": Adversarial()}

    def start(self, trajectory: Trajectory, mask: Recipe) -> Fit | None:
        """The fit that pre-trains both networks, or the critic; None where a checkpoint is all there is."""
        schedule = trajectory.schedule
        assert isinstance(schedule, Adversarial)
        if not schedule.pretraining:
            return None
        assert isinstance(trajectory.prior, Pretrained)
        frozen = trajectory.prior.checkpoint is not None
        before = schedule.replace(tuning=schedule.pretraining, pretraining=0, generator_frozen=frozen)
        return trajectory.dense.replace(schedule=before)

    def problem(self, fit: Fit, images: Mapping[str, np.ndarray], device: str) -> Generation:
        from lip.training.adversarial import Generation

        return Generation(fit, images, device)

    def work(self, fit: Fit) -> Work:
        """Count the work of both steps; the penalty on the critic's gradient costs it another six passes."""
        import torch

        prior, schedule, (height, width, channels) = fit.prior, fit.schedule, fit.picture.shape
        assert isinstance(prior, Pretrained)
        assert isinstance(schedule, Adversarial)
        made = prior.work(height, width, channels)
        judged = forward(lambda: prior.critic(channels), lambda: torch.empty(1, channels, height, width))
        trained = 0 if schedule.generator_frozen else 1 if self.gan_batch else schedule.batch
        return schedule.batch * (made + 12 * judged) + trained * (3 * made + 2 * judged)

    def said(self, score: float) -> str:
        return f"distance {score:.2f}"
