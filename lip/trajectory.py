"""A trajectory: one (image, task, pruner, seed, rewind) followed from the dense prior to high sparsity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.fit import Fit
from lip.picture import Codes, Picture, joined
from lip.priors import Prior
from lip.pruners import PRUNERS
from lip.schedule import Schedule
from lip.spec import Spec
from lip.tasks import Task

if TYPE_CHECKING:
    import numpy as np

    from lip.fitting import Watch
    from lip.store import Ledger


class Origin(Spec):
    """Where masks come from that are used elsewhere: IMP on these images (together) with this task."""

    pictures: tuple[Picture, ...]
    task: Task
    schedule: Schedule
    codes: Codes = "shared"


class Trajectory(Spec):
    """Round 0 is dense; round k has had 20 % of the remaining weights removed k times, and starts anew.

    With an `origin`, the masks are those that IMP found there (transferred tickets).
    """

    picture: Picture
    also: tuple[Picture, ...] = ()
    codes: Codes = "shared"
    task: Task
    schedule: Schedule
    prior: Prior
    pruner: str
    rounds: Annotated[int, Field(ge=0, le=50)]
    seed: int = 0
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weights that survive go back to their values after this percentage of the dense run's steps; 0: theta_0."""
    origin: Origin | None = None

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """The fits of rounds 0 to `rounds`."""
        dense = Fit(
            picture=self.picture,
            also=self.also,
            codes=self.codes,
            task=self.task,
            schedule=self.schedule,
            prior=self.prior,
            seed=self.seed,
        )
        start = dense.rewound(self.rewind) if self.rewind else None
        recipe = PRUNERS[self.pruner]
        fits = [dense]
        for k in range(self.rounds):
            before = self.lender.fits[k] if self.lender else fits[k]
            fits.append(dense.replace(mask=recipe.after(before), start=start))
        return tuple(fits)

    @property
    def source_image(self) -> str | None:
        """The image whose masks are used, or several joined by +; None for the trajectory's own."""
        if self.origin is None or [p.pixels for p in self.origin.pictures] == [self.picture.pixels]:
            return None
        return joined(self.origin.pictures)

    @property
    def source_task(self) -> str | None:
        """The task whose masks are used; None for the trajectory's own."""
        return self.origin.task.kind if self.origin and self.origin.task != self.task else None

    @cached_property
    def lender(self) -> Trajectory | None:
        """The IMP trajectory whose tickets this one takes over, if they are not its own."""
        if origin := self.origin:
            first, *others = origin.pictures
            there = {"picture": first, "also": tuple(others), "codes": origin.codes}
            return self.replace(origin=None, pruner="imp", task=origin.task, schedule=origin.schedule, **there)
        return self.replace(pruner="imp") if PRUNERS[self.pruner].borrows else None


def publish(
    fit: Fit,
    images: Mapping[str, np.ndarray],
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    outputs: bool = False,
    backend: str = "auto",
) -> bool:
    """See to it that a fit is in the ledger, and before it whatever it builds on; returns whether it was trained now.

    `images` maps hashes of pixels to uint8 arrays (height, width, channels). `watch` is told which fit begins and
    returns what is to follow it. `outputs` keeps the restored images too. `backend` is for `lip.fast.backend`.
    Safe to repeat, to interrupt and to run twice at once.
    """
    if fit in ledger and (ledger.has_outputs(fit) or not outputs):
        return False
    for source in fit.sources:
        publish(source, images, ledger, device, watch, outputs, backend)

    from lip.fast.backend import choose
    from lip.fitting import train
    from lip.problem import Problem
    from lip.pruners.imp import cut

    started = datetime.now(UTC)
    problem = Problem(fit, images, device)
    mask = fit.mask.mask(problem, ledger.ticket(fit.mask.source) if fit.mask.source else None)
    start = ledger.weights(fit.start) if fit.start else None
    trained = train(problem, mask, start, watch and watch(fit), choose(backend, device).name)
    ticket = cut(mask, trained.prunable) if fit.yields_ticket else None
    ledger.publish(fit, mask, trained, ticket, started, outputs)
    return True
