"""Schedules: Adam, SGD, and a GAN's."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from lip.specs.spec import Spec

JITTER_DECAY_EVERY = 500
"""Steps after which the jitter is multiplied by a schedule's `jitter_decay`."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Training(Spec):
    """Describe how a fit is trained; each trainer has a kind of its own."""

    if TYPE_CHECKING:

        @property
        def steps(self) -> int:
            """Count its steps, as they are reported and rewound to."""

    @property
    def ends_early(self) -> bool:
        """Tell whether it may end before its last step, and so leaves neither a last output nor a ticket."""
        return False

    @abstractmethod
    def beginning(self, steps: int) -> Self:
        """Return the schedule of its first `steps` steps, which equal those of the whole."""

    def columns(self) -> dict[str, Any]:
        """Return its columns of a row (`lip.ledger.schema`)."""
        return self.model_dump()


class Schedule(Training):
    """Adam on the task's loss, with the input jittered at every step and no early stop; or SGLD."""

    revision = 2  # backtracking with a grace period; early stops and the posterior mean as published

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    """Steps of Adam."""
    lr: Positive = 0.01
    """Learning rate."""
    jitter: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1 / 30
    """Standard deviation of the Gaussian noise added to the input code at every step."""
    jitter_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the jitter after every 500 steps."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Weight of the past in the exponential moving average of the outputs."""
    backtrack: Positive | None = 5.0
    """Undo a step after which the PSNR to the observation falls by more than this many dB; None never undoes."""
    backtrack_rule: Literal["exact", "released", "hundredths"] = "exact"
    """`exact` compares every step with the last accepted one and skips its update. `released` does as the released
    code: it compares at all steps but every hundredth; `hundredths`, for inpainting, at every hundredth only."""
    grace: Annotated[int, Field(ge=0)] = 100
    """Steps that are never undone, at the start and after each step undone (`exact` only)."""
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Adam's weight decay."""
    langevin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation of the Gaussian noise added to the kept prunable weights after every step (SGLD)."""
    burn_in: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Average the outputs of every 50th step after this share of the steps, SGLD's posterior mean; None: do not."""
    stop_window: Annotated[int, Field(ge=2, le=10_000_000)] | None = None
    """Steps whose outputs ES-WMV takes the variance of; None: 100 as published, at most half of `steps`."""
    stop_patience: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Steps after which a minimum of ES-WMV or ES-EMV stands; None: 1000 as published, at most a third of `steps`."""
    until: Literal["stop"] | None = None
    """`stop` ends a fit once a minimum of ES-WMV stands; it reports that output alone, and leaves no ticket. None makes
    all `steps`."""
    precision: Literal["float32", "bf16", "float64"] = "float32"
    """`bf16` computes convolutions in bfloat16 (automatic mixed precision): faster, and not the same fit. `float64`
    computes everything in double precision, from the same random draws: to tell rounding from effect."""

    @property
    def ends_early(self) -> bool:
        return self.until == "stop"

    def beginning(self, steps: int) -> Schedule:
        return self.replace(steps=steps, until=None)

    def sgld(self) -> Schedule:
        """Return Langevin dynamics (SGLD) as published for deep image prior (arXiv 1904.07457)."""
        return self.replace(
            steps=20000,
            jitter=1 / 30,
            decay=5e-8,
            langevin=2 * self.lr,
            burn_in=7000 / 20000,
            backtrack=5.0,
            backtrack_rule="released",
        )


EYE_SURGEON = Schedule(steps=40_000, lr=0.01, jitter=0.0, backtrack=None)
"""How Optimal Eye Surgeon fits a noisy image (arXiv 2406.05288)."""


class Sgd(Training):
    """Stochastic gradient descent with momentum; the learning rate falls tenfold after 1/2 and 3/4 of the epochs.

    An epoch counts as a step in reports, curves and rewinds. An incomplete last batch is dropped.
    """

    epochs: Count = 182
    """Passes over the training pictures."""
    batch: Count = 256
    """Pictures per step."""
    lr: Positive = 0.01
    """Learning rate."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of SGD."""
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2e-4
    """Weight decay."""
    total_epochs: Count | None = None
    """Epochs of the whole run if this is its beginning; they decide when the learning rate falls."""

    @property
    def steps(self) -> int:
        return self.epochs

    def beginning(self, steps: int) -> Sgd:
        return self.replace(epochs=steps, total_epochs=self.total_epochs or self.epochs)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1."""
        whole = self.total_epochs or self.epochs
        return self.lr * 0.1 ** sum(epoch > whole * share // 4 for share in (2, 3))

    def columns(self) -> dict[str, Any]:
        return {"steps": self.epochs, **self.model_dump(exclude={"epochs", "total_epochs"})}


class Adversarial(Training):
    """Adam for generator and critic in turn, one step each, with betas 0 and 0.99."""

    tuning: Annotated[int, Field(ge=1)] = 30 * 12000 // 64
    """Steps from the pre-trained weights; by default 30 epochs of 40 % of CelebA-HQ."""
    pretraining: Annotated[int, Field(ge=0)] = 0
    """Steps before those, done once: from an initialisation; or, with a checkpoint, of the critic alone."""
    tuning_lr: Positive = 2e-4
    """Learning rate of the generator."""
    critic_lr: Positive = 2e-4
    """Learning rate of the critic."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Faces per step."""
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
