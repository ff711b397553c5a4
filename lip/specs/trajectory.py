"""A trajectory: one (image, task, pruner, seed, rewind) followed from the dense prior to high sparsity."""

from __future__ import annotations

from functools import cached_property
from math import isclose, log
from typing import Annotated, Any, Literal

from pydantic import Field

from lip.errors import InputError, nearest
from lip.masks import PRUNED_PER_ROUND, Covers, kept_after
from lip.priors import Pretrained, Prior
from lip.pruners import PRUNERS, Imp
from lip.pruners.pruner import Pruner
from lip.specs.fit import Fit, Seed
from lip.specs.picture import Codes, Picture, joined
from lip.specs.recipe import Dense, Recipe
from lip.specs.released import Defect, redrawn
from lip.specs.schedule import Adversarial, Training
from lip.specs.spec import Spec
from lip.specs.target import Level, Place
from lip.tasks import Denoise, Reconstruct, Task
from lip.tasks.classify import Classify
from lip.tasks.generate import Generate


class Origin(Spec):
    """The source of masks that are used elsewhere: IMP on these images (together) with this task."""

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
        recipe, options = PRUNERS[self.pruner], dict(self.options)
        if "counts_of" in options:
            options["counts_of"] = _pruner_but(recipe, options["counts_of"])
        masks = [recipe.at(place, self._link, **options, **self._defects(recipe)) for place in self.places]
        return tuple(self._redrawn(self.masked(mask), "evaluation") for mask in (Dense(), *masks))

    def masked(self, mask: Recipe) -> Fit:
        """The fit with a mask."""
        return self.dense.replace(mask=mask, start=initial_weights(self, mask))

    @property
    def places(self) -> list[Place]:
        """Return the targets of the pruned fits; a level that is a whole number of rounds is those."""
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


def initial_weights(trajectory: Trajectory, mask: Recipe) -> Fit | None:
    """Return the fit whose trained weights a mask's fit starts from; None for theta_0."""
    task, prior = trajectory.task, trajectory.prior
    if isinstance(task, Classify) and not task.rewinds:  # as released: on from where the round before has ended
        return mask.trained if isinstance(mask, Imp) and trajectory.lender is None else None
    if isinstance(task, Generate):
        return _pretraining(trajectory)
    if isinstance(prior, Pretrained):
        assert trajectory.lender is not None, "a generator is tuned somewhere"
        tuned = trajectory.lender.masked(mask)
        return tuned.start if "untuned" in trajectory.compat else tuned
    return None if isinstance(mask, Dense) else trajectory.start


def _pretraining(trajectory: Trajectory) -> Fit | None:
    """The fit that trains generator and critic, or the critic alone; None where a checkpoint is all there is."""
    schedule, prior = trajectory.schedule, trajectory.prior
    assert isinstance(schedule, Adversarial)
    assert isinstance(prior, Pretrained)
    if not schedule.pretraining:
        return None
    frozen = prior.checkpoint is not None
    before = schedule.replace(tuning=schedule.pretraining, pretraining=0, generator_frozen=frozen)
    return trajectory.dense.replace(schedule=before)


def _pruner_but(own: type[Pruner], name: str) -> type[Pruner]:
    known = [other for other in PRUNERS if PRUNERS[other] is not own]
    if name not in known:
        raise InputError(f"counts_of: there are no counts of {name!r}; {nearest(str(name), known)}")
    return PRUNERS[name]


def _whole_rounds(level: Level) -> int | None:
    if level.sparsity is None:
        return None
    rounds = round(log(1 - level.sparsity) / log(1 - PRUNED_PER_ROUND))
    return rounds if isclose(1 - level.sparsity, (1 - PRUNED_PER_ROUND) ** rounds, rel_tol=1e-9) else None
