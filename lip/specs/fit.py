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
    """A pure function of its fields: on one kind of CPU and number of threads, its result is the same bit for bit."""

    picture: Picture
    task: Task
    schedule: Training
    prior: Prior = Hourglass()
    seed: Seed = 0
    """Draws theta_0, the code z, the observation's noise, jitter and random masks, each by a stream of its own."""
    mask: Recipe = Dense()
    start: Fit | None = None
    """Start from this fit's trained weights (theta_j) instead of theta_0."""
    also: tuple[Picture, ...] = ()
    """Further images that the same weights are fitted to at the same time (Alg. 2), all of one size."""
    codes: Codes = "shared"
    """One code z for all images as in the paper, which amounts to fitting their mean; or one for each."""
    covers: Covers = "weights"
    """What a mask covers: the convolutions' weights as in the paper, or all parameters as in Optimal Eye Surgeon."""
    cut: Level | None = None
    """Publish the ticket that IMP cuts to this level; None: the one with 20 % fewer weights."""
    stale_ranking: bool = False
    """Cut that ticket by the weights as they were before their last update, as the released code does."""
    theta_seed: Seed | None = None
    """Draws theta_0 instead of `seed`: a mask without its own initialisation, for example. So do the next two."""
    z_seed: Seed | None = None
    noise_seed: Seed | None = None
    keeps_weights: bool = False
    """Publish the trained weights and batch-norm buffers, for others to start from."""

    def reference(self) -> str:
        return self.id

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images that are fitted."""
        return (self.picture, *self.also)

    @property
    def mask_source(self) -> Fit | None:
        """The fit whose trained weights the mask is cut from, if any."""
        source = self.mask.source
        assert source is None or isinstance(source, Fit)
        return source

    @cached_property
    def sources(self) -> tuple[Fit, ...]:
        """The fits that must be published before this one can start."""
        return tuple(fit for fit in (self.start, self.mask_source) if fit is not None)

    @property
    def yields_ticket(self) -> bool:
        """Tell whether the next mask of IMP is cut from this fit and published with it."""
        return self.mask.chained and not self.keeps_weights and self.task.trains(self.prior)

    @property
    def yields_weights(self) -> bool:
        """Tell whether its trained weights are published with it."""
        return self.keeps_weights or self.task.keeps_weights

    @property
    def trainer(self) -> str:
        """Name of what trains it, a key of `lip.training.run.TRAINERS`."""
        fits_a_code = self.task.trainer == "restoration" and not self.task.trains(self.prior)
        return "recovery" if fits_a_code else self.task.trainer

    def rewound(self, percent: float) -> Fit:
        """The fit whose trained weights are theta_j of this one, j being a percentage of its steps."""
        steps = round(self.schedule.steps * percent / 100)
        return self.replace(schedule=self.schedule.beginning(steps), keeps_weights=True)
