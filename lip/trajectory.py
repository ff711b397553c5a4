"""A trajectory: one (image, task, pruner, seed, rewind) followed from the dense prior to high sparsity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.fit import Fit
from lip.picture import Picture
from lip.priors import Prior
from lip.pruners import PRUNERS
from lip.schedule import Schedule
from lip.spec import Spec
from lip.tasks import Task

if TYPE_CHECKING:
    import numpy as np

    from lip.fitting import Watch
    from lip.store import Ledger


class Trajectory(Spec):
    """Round 0 is dense; round k has had 20 % of the remaining weights removed k times, and starts anew.

    With a `source`, the masks are those that IMP found on that other image (a transferred ticket).
    """

    picture: Picture
    task: Task
    schedule: Schedule
    prior: Prior
    pruner: str
    rounds: Annotated[int, Field(ge=0, le=50)]
    seed: int = 0
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weights that survive go back to their values after this percentage of the dense run's steps; 0: theta_0."""
    source: Picture | None = None

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """The fits of rounds 0 to `rounds`."""
        dense = Fit(picture=self.picture, task=self.task, schedule=self.schedule, prior=self.prior, seed=self.seed)
        start = dense.rewound(self.rewind) if self.rewind else None
        recipe = PRUNERS[self.pruner]
        fits = [dense]
        for k in range(self.rounds):
            before = self.lender.fits[k] if self.lender else fits[k]
            fits.append(dense.replace(mask=recipe.after(before), start=start))
        return tuple(fits)

    @cached_property
    def lender(self) -> Trajectory | None:
        """The IMP trajectory whose tickets this one takes over, if it is not an IMP trajectory of its own image."""
        if self.source is None and not PRUNERS[self.pruner].borrows:
            return None
        return self.replace(picture=self.source or self.picture, source=None, pruner="imp")


def publish(
    fit: Fit,
    images: Mapping[str, np.ndarray],
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    outputs: bool = False,
) -> bool:
    """See to it that a fit is in the ledger, and before it whatever it builds on; returns whether it was trained now.

    `images` maps hashes of pixels to uint8 arrays (height, width, channels). `watch` is told which fit begins and
    returns what is to follow it. `outputs` keeps the restored images too. Safe to repeat, to interrupt and to run
    twice at once.
    """
    if fit in ledger and (ledger.has_outputs(fit) or not outputs):
        return False
    for source in fit.sources:
        publish(source, images, ledger, device, watch, outputs)

    from lip.fitting import train
    from lip.problem import Problem
    from lip.pruners.imp import cut

    started = datetime.now(UTC)
    problem = Problem(fit, images, device)
    mask = fit.mask.mask(problem, ledger.ticket(fit.mask.source) if fit.mask.source else None)
    start = ledger.weights(fit.start) if fit.start else None
    trained = train(problem, mask, start, watch and watch(fit))
    ticket = cut(mask, trained.prunable) if fit.yields_ticket else None
    ledger.publish(fit, mask, trained, ticket, started, outputs)
    return True
