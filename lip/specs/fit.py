"""The fit: one training of one masked prior on one degraded image or one data set, fully described."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field

from lip.masks import Covers
from lip.priors import Hourglass, Prior
from lip.specs.picture import Codes, Picture
from lip.specs.recipe import Dense, Recipe
from lip.specs.schedule import Training
from lip.specs.spec import Spec
from lip.specs.target import Level
from lip.tasks import Task

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # a column of the ledger holds it


class Fit(Spec):
    """Describe one training completely: on one kind of CPU and number of threads its result is the same bit for bit."""

    picture: Picture
    task: Task
    schedule: Training
    prior: Prior = Hourglass()
    seed: Seed = 0
    """Draws theta_0, the code z, the observation's noise, jitter and random masks, each by a stream of its own."""
    recipe: Recipe = Dense()
    """How its mask is made."""
    start: Fit | None = None
    """Start from this fit's trained weights (theta_j) instead of theta_0."""
    other_pictures: tuple[Picture, ...] = ()
    """Further images of the same size that the same weights are fitted to at the same time (Alg. 2)."""
    codes: Codes = "shared"
    """One code z for all images as in the paper, which amounts to fitting their mean; or one for each."""
    covers: Covers = "weights"
    """What a mask covers: the convolutions' weights as in the paper, or all parameters as in Optimal Eye Surgeon."""
    next_target: Level | None = None
    """Prune the next mask of IMP to this level; None: to 20 % fewer weights."""
    stale_ranking: bool = False
    """Rank the weights for the next mask as they were before their last update, as the released code does."""
    theta_seed: Seed | None = None
    """Draws theta_0 instead of `seed`: a mask without its own initialisation, for example. So do the next two."""
    z_seed: Seed | None = None
    noise_seed: Seed | None = None
    saves_weights: bool = False
    """Publish the trained weights and batch-norm buffers, for others to start from."""

    def canonical_in_parent(self) -> str:
        return self.id

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Return all images that are fitted."""
        return (self.picture, *self.other_pictures)

    @property
    def source_fit(self) -> Fit | None:
        """Return the fit whose trained weights the mask is cut from, if any."""
        source = self.recipe.source_fit
        assert source is None or isinstance(source, Fit)
        return source

    @cached_property
    def dependencies(self) -> tuple[Fit, ...]:
        """Return the fits that must be published before this one can start."""
        return tuple(fit for fit in (self.start, self.source_fit) if fit is not None)

    @property
    def has_next_mask(self) -> bool:
        """Tell whether the next mask of IMP is cut from this fit and published with it."""
        whole = not (self.saves_weights or self.schedule.ends_early)
        return self.recipe.chained and whole and self.task.trains_weights(self.prior)

    @property
    def has_weights(self) -> bool:
        """Tell whether its trained weights are published with it."""
        return self.saves_weights or self.task.saves_weights

    @property
    def trainer(self) -> str:
        """Name its trainer, a key of `lip.training.run.TRAINERS`."""
        fits_a_code = self.task.trainer == "restoration" and not self.task.trains_weights(self.prior)
        return "recovery" if fits_a_code else self.task.trainer

    def rewound(self, percent: float) -> Fit:
        """Return the fit whose trained weights are theta_j of this one, j being a percentage of its steps."""
        steps = round(self.schedule.steps * percent / 100)
        return self.replace(schedule=self.schedule.beginning(steps), saves_weights=True)
