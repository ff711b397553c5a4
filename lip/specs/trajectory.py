"""A trajectory: one (image, task, pruner, seed, rewind) followed from the dense prior to high sparsity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from math import isclose, log
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lip.masks import PRUNED_PER_ROUND, Covers, kept_after
from lip.priors import Prior
from lip.pruners import PRUNERS, Imp
from lip.specs.fit import Fit, Seed
from lip.specs.picture import Codes, Picture, joined
from lip.specs.recipe import Dense, Recipe
from lip.specs.released import Defect, redrawn
from lip.specs.schedule import Training
from lip.specs.spec import Spec
from lip.specs.target import Level, Place
from lip.tasks import Denoise, Reconstruct, Task

if TYPE_CHECKING:
    import numpy as np

    from lip.ledger.ledger import Ledger
    from lip.training.result import Watch


class Origin(Spec):
    """Where masks come from that are used elsewhere: IMP on these images (together) with this task."""

    pictures: tuple[Picture, ...]
    task: Task
    schedule: Training
    codes: Codes = "shared"
    prior: Prior | None = None
    """None: that of the trajectory."""


class Trajectory(Spec):
    """Round 0 is dense; round k has had 20 % of the remaining weights removed k times, and starts anew.

    With an `origin`, the masks are those that IMP found there (transferred tickets). `levels` stand in place of rounds.
    """

    picture: Picture
    also: tuple[Picture, ...] = ()
    codes: Codes = "shared"
    task: Task
    schedule: Training
    prior: Prior
    pruner: str
    options: tuple[tuple[str, Any], ...] = ()
    """What the pruner is told besides (`Recipe.options`), which checks it."""
    rounds: Annotated[int, Field(ge=0, le=50)]
    levels: tuple[Level, ...] = ()
    covers: Covers = "weights"
    seed: int = 0
    theta_seed: Seed | None = None
    z_seed: Seed | None = None
    noise_seed: Seed | None = None
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weights that survive go back to their values after this percentage of the dense run's steps; 0: theta_0."""
    origin: Origin | None = None
    compat: tuple[Defect, ...] = ()
    """What is done as the released code does."""

    @cached_property
    def dense(self) -> Fit:
        """The dense fit that all rounds are variations of."""
        shared = type(self).model_fields.keys() & Fit.model_fields.keys()
        return Fit(**{name: getattr(self, name) for name in shared})

    @cached_property
    def start(self) -> Fit | None:
        """The fit whose weights pruned networks start from; None for theta_0."""
        if not self.rewind:
            return None
        clean = self._cleaned(self.task) if "rewind_target" in self.compat else self.task
        return self.dense.replace(task=clean).rewound(self.rewind)

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """The dense fit, then those of rounds 1 to `rounds` or of the levels."""
        recipe = PRUNERS[self.pruner]
        masks = [recipe.at(place, self._link, **dict(self.options), **self._defects(recipe)) for place in self.places]
        return tuple(self._redrawn(self.masked(mask), "evaluation") for mask in (Dense(), *masks))

    def masked(self, mask: Recipe) -> Fit:
        """The fit with a mask."""
        return self.dense.replace(mask=mask, start=self.task.start(self, mask))

    @property
    def places(self) -> list[Place]:
        """Where the pruned fits stand; a level that is a whole number of rounds is those."""
        levels = [(level, _whole_rounds(level)) for level in self.levels]
        return [rounds or level for level, rounds in levels] or list(range(1, self.rounds + 1))

    def _link(self, place: Place) -> Fit:
        """The fit of IMP, there where masks come from, whose ticket is the mask at a place."""
        there = self.lender or self
        if isinstance(place, int):
            return there._chain(place - 1)
        total, parameters = there.task.counts(there.prior, there.picture, there.covers)
        kept, last = place.kept(total, parameters), 0  # the last round that keeps more than the level does
        while kept < (left := kept_after(total, 1)) < total:  # of two weights a round removes none
            total, last = left, last + 1
        return there._chain(last).replace(cut=place)

    def _chain(self, round: int) -> Fit:
        """The fit of a round of IMP."""
        while len(self._links) <= round:
            fit = self.masked(Imp(trained=self._links[-1], **self._defects(Imp)))
            fit = fit.replace(stale_ranking=True) if "stale_ranking" in self.compat else fit
            self._links.append(self._redrawn(fit, "imp"))
        return self._links[round]

    @cached_property
    def _links(self) -> list[Fit]:
        return [self._redrawn(self.masked(Dense()), "imp")]

    def _defects(self, recipe: type[Recipe]) -> dict[str, Any]:
        return {name: True for name in recipe.defects if name in self.compat}

    def _redrawn(self, fit: Fit, phase: Literal["imp", "evaluation"]) -> Fit:
        """A fit whose code and observation are drawn as in that phase of the released code, where that is asked for."""
        anew: dict[str, int] = {}
        defects = {name for name in self.compat if name in self.task.defects}
        if "z" in defects:
            anew["z_seed"] = redrawn(self.seed, "z", phase, str(fit.mask))
        if "noise" in defects and phase == "evaluation":
            anew["noise_seed"] = redrawn(self.seed, "noise", phase)
        return fit.replace(**anew) if anew else fit

    def _cleaned(self, task: Task) -> Task:
        """The task that the released code trains on in place of denoising: the clean image."""
        if not isinstance(task, Denoise):
            return task
        return Reconstruct(undo_sigma=task.sigma if "backtrack" in self.compat else None)

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

    @property
    def whole_layers(self) -> tuple[str, ...]:
        """The layers that masks taken over from another network leave whole, by name."""
        there = self.lender
        if there is None or type(there.task).network is type(self.task).network:  # which spares planning torch
            return ()
        own, theirs = (t.task.layers(t.prior, t.picture, t.covers) for t in (self, there))
        return tuple(layer.name for layer in own if layer not in theirs)

    @cached_property
    def lender(self) -> Trajectory | None:
        """The IMP trajectory whose tickets this one takes over, if they are not its own."""
        there: dict[str, Any] = {}
        if origin := self.origin:
            first, *others = origin.pictures
            there = {"picture": first, "also": tuple(others), "codes": origin.codes}
            there |= {"task": origin.task, "schedule": origin.schedule, "prior": origin.prior or self.prior}
        if "imp_target" in self.compat and (task := there.get("task", self.task)) != self._cleaned(task):
            there["task"] = self._cleaned(task)
        return self.replace(origin=None, pruner="imp", options=(), **there) if there else None


def _whole_rounds(level: Level) -> int | None:
    if level.sparsity is None:
        return None
    rounds = round(log(1 - level.sparsity) / log(1 - PRUNED_PER_ROUND))
    return rounds if isclose(1 - level.sparsity, (1 - PRUNED_PER_ROUND) ** rounds, rel_tol=1e-9) else None


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

    `images` maps the hashes of pictures to arrays (`lip.specs.picture`). `watch` is told which fit begins and
    returns what is to follow it. `outputs` keeps its restored images too. `backend` is for `lip.fast.backend`; if it is
    `auto`, what the dense backend began it also goes on with.
    Safe to repeat, to interrupt and to run twice at once.
    """
    if fit in ledger and (ledger.has_outputs(fit) or not outputs):
        return False
    for needed in fit.sources:
        publish(needed, images, ledger, device, watch, backend=backend)

    from lip.fast.backend import choose
    from lip.pruners.imp import cut, stale
    from lip.training import environment

    environment.begin(device)
    started = datetime.now(UTC)
    source = fit.mask.source
    if backend == "auto" and source and source.task == fit.task:
        before = ledger.fits(["backend"], [source.id])["backend"].to_pylist()
        backend = "dense" if before == ["dense"] else "auto"
    problem = fit.problem(images, device)
    mask = fit.mask.mask(problem, ledger.ticket(source) if source else None)
    start = ledger.weights(fit.start) if fit.start else None
    trained = problem.train(mask, start, watch and watch(fit), choose(backend, device).name)
    kept = fit.cut.kept(mask.bits.size, trained.parameters) if fit.cut else kept_after(mask.kept, 1)
    ranked = stale(mask, trained) if fit.stale_ranking else trained.prunable
    ticket = cut(mask, ranked, kept) if fit.yields_ticket else None
    ledger.publish(fit, mask, trained, ticket, started, outputs)
    return True
