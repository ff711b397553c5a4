"""A trajectory: one (image, task, pruner, seed, rewind) from the dense prior to high sparsity."""

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
from lip.specs.released import ReleasedFlag, derived_seed
from lip.specs.schedule import Adversarial, Training
from lip.specs.spec import Spec
from lip.specs.target import Level, Target
from lip.tasks import Denoise, Reconstruct, Task
from lip.tasks.classify import Classify
from lip.tasks.generate import Generate

Share = Annotated[float, Field(gt=0, lt=1)]
Pruning = Literal["geometric", "cubic"]
"""`geometric`: every round removes the same share of the remaining weights. `cubic`: the sparsity rises to the last
level as 1 - (1 - k/n)^3 over n rounds (Zhu & Gupta, arXiv 1710.01878)."""
SPARSITY_DIGITS = 9
"""Decimals of the levels of a schedule, so that 1 - 0.7^2 is 0.51."""


class MaskSource(Spec):
    """Describe where transferred masks come from: IMP on these images (together) with this task."""

    pictures: tuple[Picture, ...]
    task: Task
    schedule: Training
    codes: Codes = "shared"
    prior: Prior | None = None
    """None: that of the trajectory."""


class Trajectory(Spec):
    """Round 0 is dense; round k has 20 % of the remaining weights removed k times, and is trained anew.

    Rounds of another share or of a cubic schedule are levels, each cut from the fit at the level before. With a
    `mask_source`, masks are those that IMP found there (transferred tickets). `levels` replace rounds.
    """

    picture: Picture
    other_pictures: tuple[Picture, ...] = ()
    codes: Codes = "shared"
    task: Task
    schedule: Training
    prior: Prior
    pruner: str
    options: tuple[tuple[str, Any], ...] = ()
    """Options of the pruner (`Recipe.options`), which checks them."""
    rounds: Annotated[int, Field(ge=0, le=50)]
    levels: tuple[Level, ...] = ()
    pruned_share: Share = PRUNED_PER_ROUND
    """Share of the remaining weights that a round removes."""
    pruning: Pruning = "geometric"
    """How the sparsity rises over the rounds of IMP."""
    covers: Covers = "weights"
    seed: int = 0
    theta_seed: Seed | None = None
    z_seed: Seed | None = None
    noise_seed: Seed | None = None
    rewind: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Weights that survive go back to their values after this percentage of the dense run's steps; 0: theta_0."""
    mask_source: MaskSource | None = None
    compat: tuple[ReleasedFlag, ...] = ()
    """What is done as the released code does."""

    @cached_property
    def dense(self) -> Fit:
        """Return the dense fit that all rounds are variations of."""
        shared = type(self).model_fields.keys() & Fit.model_fields.keys()
        return Fit(**{name: getattr(self, name) for name in shared})

    @cached_property
    def start(self) -> Fit | None:
        """Return the fit whose weights pruned networks start from; None for theta_0."""
        if not self.rewind:
            return None
        clean = self._on_clean_image(self.task) if "rewind_target" in self.compat else self.task
        return self.dense.replace(task=clean).rewound(self.rewind)

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """Return the dense fit, then those of rounds 1 to `rounds` or of the levels."""
        pruner, options = PRUNERS[self.pruner], dict(self.options)
        if "counts_of" in options:
            options["counts_of"] = _pruner_but(pruner, options["counts_of"])
        options |= self._flags_of(pruner)
        recipes = [pruner.for_target(target, self._fit_before, **options) for target in self.targets]
        fits = [self.pruned(recipe) for recipe in (Dense(), *recipes)]
        if pruner is Imp and self.source_trajectory is None and self._by_rounds:
            fits = [self._cutting_round(fit, number) for number, fit in enumerate(fits, 1)]
        return tuple(self._with_redrawn_seeds(fit, "evaluation") for fit in fits)

    def pruned(self, recipe: Recipe) -> Fit:
        """Return the fit with a mask of this recipe."""
        return self.dense.replace(recipe=recipe, start=initial_weights(self, recipe))

    @property
    def targets(self) -> list[Target]:
        """Return the targets of the pruned fits; a level that equals a number of rounds becomes that number."""
        if not self._by_rounds:
            return [self._whole_rounds(level) or level for level in self.levels]
        targets = [self._round_target(number) for number in range(1, self.rounds + 1)]
        return [target for target in targets if target is not None]

    @property
    def _by_rounds(self) -> bool:
        """Tell whether its targets are rounds; the level of a cubic schedule is that of the last round."""
        return not self.levels or self.pruning == "cubic"

    def _round_target(self, number: int) -> Target | None:
        """Return the target of a round of IMP, from 1; None beyond the last of a schedule, or where nothing is left."""
        if self.pruning == "geometric" and self.pruned_share == PRUNED_PER_ROUND:
            return number
        sparsity = self._cubic(number) if self.pruning == "cubic" else 1 - (1 - self.pruned_share) ** number
        sparsity = round(sparsity, SPARSITY_DIGITS)
        return Level(sparsity=sparsity) if sparsity < 1 else None

    def _cubic(self, number: int) -> float:
        """Return the sparsity of a round of the cubic schedule; 1 beyond the last."""
        if number > self.rounds:
            return 1.0
        last = self.levels[0].sparsity if self.levels else 1 - (1 - self.pruned_share) ** self.rounds
        assert last is not None, "parameters are refused"
        return last * (1 - (1 - number / self.rounds) ** 3)

    def _whole_rounds(self, level: Level) -> int | None:
        if level.sparsity is None or self.pruned_share != PRUNED_PER_ROUND:
            return None
        rounds = round(log(1 - level.sparsity) / log(1 - PRUNED_PER_ROUND))
        return rounds if isclose(1 - level.sparsity, (1 - PRUNED_PER_ROUND) ** rounds, rel_tol=1e-9) else None

    def _fit_before(self, target: Target) -> Fit:
        """Return the fit of IMP, where masks come from, from which the mask of a target is cut."""
        source = self.source_trajectory or self
        if isinstance(target, int):
            return source._imp_fit(target - 1)
        prunable, total = source.task.counts(source.prior, source.picture, source.covers)
        n_kept, last = target.n_kept(prunable, total), 0  # the last round that keeps more than the level does
        before = prunable
        while n_kept < (remaining := source._n_kept(last + 1, before, prunable, total)) < before:
            before, last = remaining, last + 1  # of two weights a round removes none
        return source._imp_fit(last).replace(next_target=target)

    def _n_kept(self, number: int, before: int, prunable: int, total: int) -> int:
        """Count the weights that a round of IMP keeps, of those that the round before keeps."""
        target = self._round_target(number)
        if target is None:
            return 0
        return kept_after(before, 1) if isinstance(target, int) else target.n_kept(prunable, total)

    def _cutting_round(self, fit: Fit, number: int) -> Fit:
        """Return a fit of IMP from which the mask of a round is cut."""
        target = self._round_target(number)
        return fit.replace(next_target=target) if isinstance(target, Level) else fit

    def _imp_fit(self, round: int) -> Fit:
        while len(self._imp_fits) <= round:
            fit = self.pruned(Imp(trained=self._imp_fits[-1], **self._flags_of(Imp)))
            fit = fit.replace(stale_ranking=True) if "stale_ranking" in self.compat else fit
            fit = self._cutting_round(fit, len(self._imp_fits) + 1)
            self._imp_fits.append(self._with_redrawn_seeds(fit, "imp"))
        return self._imp_fits[round]

    @cached_property
    def _imp_fits(self) -> list[Fit]:
        """Hold the fits of IMP from round 0 on, as many as were asked for yet."""
        return [self._with_redrawn_seeds(self._cutting_round(self.pruned(Dense()), 1), "imp")]

    def _flags_of(self, recipe: type[Recipe]) -> dict[str, Any]:
        return {name: True for name in recipe.released_flags if name in self.compat}

    def _with_redrawn_seeds(self, fit: Fit, phase: Literal["imp", "evaluation"]) -> Fit:
        """Draw code and observation anew where the released code does so in that phase and `compat` asks for it."""
        seeds: dict[str, int] = {}
        flags = {name for name in self.compat if name in self.task.released_flags}
        if "z" in flags:
            seeds["z_seed"] = derived_seed(self.seed, "z", phase, str(fit.recipe))
        if "noise" in flags and phase == "evaluation":
            seeds["noise_seed"] = derived_seed(self.seed, "noise", phase)
        return fit.replace(**seeds) if seeds else fit

    def _on_clean_image(self, task: Task) -> Task:
        """Return the task that the released code trains on instead of denoising: fitting the clean image."""
        if not isinstance(task, Denoise):
            return task
        return Reconstruct(backtrack_sigma=task.sigma if "backtrack" in self.compat else None)

    @property
    def source_image(self) -> str | None:
        """Name the image whose masks are used, or several joined by +; None for the trajectory's own."""
        source = self.mask_source
        if source is None or [p.content_hash for p in source.pictures] == [self.picture.content_hash]:
            return None
        return joined(source.pictures)

    @property
    def source_task(self) -> str | None:
        """Name the task whose masks are used; None for the trajectory's own."""
        source = self.mask_source
        return source.task.kind if source and source.task != self.task else None

    @property
    def whole_layers(self) -> tuple[str, ...]:
        """Name the layers that masks transferred from another network do not prune."""
        source = self.source_trajectory
        if source is None or type(source.task).network is type(self.task).network:  # which spares planning torch
            return ()
        own, theirs = (t.task.layers(t.prior, t.picture, t.covers) for t in (self, source))
        return tuple(layer.name for layer in own if layer not in theirs)

    @cached_property
    def source_trajectory(self) -> Trajectory | None:
        """Return the IMP trajectory whose masks this one uses, if they are not its own."""
        changes: dict[str, Any] = {}
        if source := self.mask_source:
            first, *others = source.pictures
            changes = {"picture": first, "other_pictures": tuple(others), "codes": source.codes}
            changes |= {"task": source.task, "schedule": source.schedule, "prior": source.prior or self.prior}
        task = changes.get("task", self.task)
        if "imp_target" in self.compat and task != self._on_clean_image(task):
            changes["task"] = self._on_clean_image(task)
        return self.replace(mask_source=None, pruner="imp", options=(), **changes) if changes else None


def initial_weights(trajectory: Trajectory, recipe: Recipe) -> Fit | None:
    """Return the fit from whose trained weights a fit with this recipe starts; None for theta_0."""
    task, prior, source = trajectory.task, trajectory.prior, trajectory.source_trajectory
    if isinstance(task, Classify) and not task.rewinds:  # as released: on from where the round before has ended
        return recipe.trained if isinstance(recipe, Imp) and source is None else None
    if isinstance(task, Generate):
        return _pretraining(trajectory)
    if isinstance(prior, Pretrained):
        assert source is not None, "a generator is tuned somewhere"
        tuned = source.pruned(recipe)
        return tuned.start if "untuned" in trajectory.compat else tuned
    return None if isinstance(recipe, Dense) else trajectory.start


def _pretraining(trajectory: Trajectory) -> Fit | None:
    """Return the fit that trains generator and critic, or the critic alone; None if a checkpoint is used as it is."""
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
