"""Plan a sweep: which fits it has, shares and lacks. Needs neither ray nor torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from lip.ledger.ledger import Ledger
from lip.masks import PRUNED_PER_ROUND
from lip.specs.fit import Fit
from lip.specs.trajectory import Trajectory
from sweeps.search.record import open_study, record
from sweeps.search.study import Study, judged_fit
from sweeps.spec import Entry, Sweep

EXTRA = ("to rewind to", "of generators", "to take masks from")
"""The purposes of fits that are not results themselves."""


@dataclass(frozen=True)
class Counts:
    """The numbers of a sweep, in the words of every command."""

    results: int
    """One for each trajectory and round."""
    own: int
    """Distinct fits that are results. Several results may share one."""
    extra: dict[str, int]
    """Distinct fits that are not results but that results build on, by purpose (EXTRA)."""
    published: int
    """Distinct fits that are published."""
    published_results: int

    @property
    def fits(self) -> int:
        """Count all distinct fits."""
        return self.own + sum(self.extra.values())

    @property
    def shared(self) -> int:
        """Count the results that need no fit of their own."""
        return self.results - self.own

    def __str__(self) -> str:
        extra = [f"{_plural(number, 'extra run')} {purpose}" for purpose, number in self.extra.items() if number]
        shared = f" ({self.shared} {'results share' if self.shared > 1 else 'result shares'} another's)"
        parts = [f"{self.own} of their own{shared * bool(self.shared)}", *extra]
        return f"{_plural(self.results, 'result')} from {_plural(self.fits, 'fit')}: {', '.join(parts)}"

    @property
    def progress(self) -> str:
        """Tell in words how much is published."""
        return f"{self.published_results} of {self.results} results published, {self.published} of {self.fits} fits"


@dataclass
class Plan:
    """A sweep, and what a ledger holds of it."""

    sweep: Sweep
    published: frozenset[str] = frozenset()
    """The ids of the sweep's fits that need no work."""
    studies: list[Study] = field(default_factory=list)
    """Its searches, whose trajectories are added to the sweep as they become known."""

    @classmethod
    def make(cls, sweep: Sweep, ledger: Ledger, verified: bool = False) -> Plan:
        """Look up what is published by the names of files, and read the next masks and weights that are needed.

        If `verified`, read all rows, outputs and weights too, and ignore the damaged ones.
        """
        studies = [open_study(search, sweep.profile, ledger) for search in sweep.searches]
        grows = ("entries", "trajectories", "outputs", "weights", "small")
        own = {name: copy(getattr(sweep, name)) for name in grows}  # searches add to them
        plan = cls(sweep.model_copy(update=own), studies=studies)
        plan.refresh(ledger, verified)
        return plan

    def refresh(self, ledger: Ledger, verified: bool = False) -> None:
        """Look up again what is published."""
        self.published = self._published(self.fits.values(), ledger, verified)
        self.grow(ledger, verified=verified)
        self._set_lost_aside(ledger)

    def grow(self, ledger: Ledger, arrived: Set[str] | None = None, verified: bool = False) -> list[Trajectory]:
        """Add and return the trajectories that searches want now.

        `arrived` are published fits (by id) that searches were not told of; None: find them.
        """
        added: list[Trajectory] = []
        for study in self.studies:
            known = study.awaited & (self.published if arrived is None else arrived)
            while new := study.tell(self._scores(study, known, ledger)):
                self._add(study, new, ledger, verified)
                added += new
                known = {judged_fit(trajectory) for trajectory in new} & self.published
        return added

    def record(self, ledger: Ledger) -> None:
        """Record the fits of the sweep, and its searches."""
        for study in self.studies:
            record(study, self.sweep.profile, ledger)
        ledger.record_sweep(self.sweep.name, self.sweep.profile, self.points())

    def _scores(self, study: Study, fits: Set[str], ledger: Ledger) -> dict[str, float]:
        if not fits:
            return {}
        objective = study.search.objective
        rows = ledger.fits(["fit", *objective.columns], fits).to_pylist()
        return {row["fit"]: objective.score(row) for row in rows}

    def _add(self, study: Study, new: list[Trajectory], ledger: Ledger, verified: bool) -> None:
        fits: dict[str, Fit] = {}
        for trajectory in new:
            self.sweep.entries.append(Entry(study.search.experiment, trajectory))
            self.sweep.keep(trajectory, study.search.outputs, study.search.weights)
            if trajectory.id not in self.by_id:
                self.sweep.trajectories.append(trajectory)
                self.by_id[trajectory.id] = trajectory
                self.required_fits[trajectory.id] = with_dependencies(trajectory)
                fits |= {fit.id: fit for fit in self.required_fits[trajectory.id] if fit.id not in self.fits}
        self.fits.update(fits)
        self.published |= self._published(fits.values(), ledger, verified)

    def set_aside(self, damaged: Iterable[str], ledger: Ledger) -> None:
        """Verify the published fits that have damaged files, by their paths.

        With the paths that `Ledger.damaged` returns, the plan is as `verified`, and no sound row is read twice.
        """
        self._verify({PurePosixPath(path).name.rpartition("-")[0] for path in damaged} & self.published, ledger)

    def refresh_missing(self, ledger: Ledger) -> None:
        """Look up again, verified, the fits that were missing."""
        self._verify(set(self.missing), ledger)
        self.grow(ledger)

    def _verify(self, doubtful: Set[str], ledger: Ledger) -> None:
        sound = self._published([self.fits[key] for key in doubtful], ledger, verified=True)
        self.published = self.published - doubtful | sound
        self._set_lost_aside(ledger)

    def _published(self, fits: Iterable[Fit], ledger: Ledger, verified: bool) -> frozenset[str]:
        """Return the ids of those fits that are published with all that the sweep asks to keep of them."""
        return ledger.published(fits, verified, self.sweep.outputs, self.sweep.weights)

    def _set_lost_aside(self, ledger: Ledger) -> None:
        """Count a fit as missing if a missing one needs its next mask or weights, and they are lost."""
        users = self.missing
        while users:
            lost = ledger.lost(users.values()) & self.published
            self.published -= lost
            users = {key: self.fits[key] for key in lost}

    @cached_property
    def by_id(self) -> dict[str, Trajectory]:
        """The selected trajectories by id."""
        return {trajectory.id: trajectory for trajectory in self.sweep.trajectories}

    @cached_property
    def required_fits(self) -> dict[str, list[Fit]]:
        """The fits that each trajectory (by id) needs, in order, dependencies included."""
        return {trajectory.id: with_dependencies(trajectory) for trajectory in self.sweep.trajectories}

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """All distinct fits by id, each after those it builds on."""
        return {fit.id: fit for fits in self.required_fits.values() for fit in fits}

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """All inputs by content hash, those included that searches have loaded."""
        return self.sweep.pixels | {key: x for study in self.studies for key, x in study.search.inputs().items()}

    @property
    def missing(self) -> dict[str, Fit]:
        """The distinct fits that are not published, by id."""
        return {key: fit for key, fit in self.fits.items() if key not in self.published}

    @property
    def counts(self) -> Counts:
        """Count the results and their fits, and those that are published."""
        results = [fit.id for trajectory in self.sweep.trajectories for fit in trajectory.fits]
        own = set(results)
        sources = {fit.source_fit.id for fit in self.fits.values() if fit.source_fit}
        purposes = Counter(_purpose(fit, key in sources) for key, fit in self.fits.items() if key not in own)
        extra = {purpose: purposes[purpose] for purpose in EXTRA}
        done = sum(key in self.published for key in results)
        return Counts(len(results), len(own), extra, len(self.published), done)

    def remaining_fits(self, among: Iterable[Trajectory] | None = None, finished: bool = False) -> dict[str, list[Fit]]:
        """Return the missing fits of each trajectory (of all, or of some), shared ones first.

        Finished trajectories are left out, or with `finished` have an empty list.
        """
        trajectories = self.sweep.trajectories if among is None else among
        required = {trajectory.id: self.required_fits[trajectory.id] for trajectory in trajectories}
        rest = {key: [fit for fit in fits if fit.id not in self.published] for key, fits in required.items()}
        users = Counter(fit.id for fits in rest.values() for fit in fits)
        return {key: sorted(fits, key=lambda fit: users[fit.id] == 1) for key, fits in rest.items() if fits or finished}

    def label(self, trajectory: Trajectory) -> str:
        """Describe a trajectory in a few words, with the number of the setting that a search gives it."""
        numbers = [str(study.numbers[trajectory.id]) for study in self.studies if trajectory.id in study.numbers]
        return ", ".join([label(trajectory), *(f"setting {number}" for number in numbers)])

    def points(self) -> list[dict[str, Any]]:
        """Return a row per trajectory and round of the whole sweep (`lip.ledger.schema.SWEEP_ROWS`)."""
        return [
            {
                "experiment": experiment,
                "trajectory": trajectory.id,
                "image": trajectory.picture.name,
                "source_image": trajectory.source_image,
                "task": trajectory.task.kind,
                "source_task": trajectory.source_task,
                "pruner": trajectory.pruner,
                "seed": trajectory.seed,
                "rewind": trajectory.rewind,
                "compat": "+".join(trajectory.compat) or None,
                "round": fit.recipe.round,
                "fit": fit.id,
            }
            for experiment, trajectory in self.sweep.entries
            for fit in trajectory.fits
        ]


def with_dependencies(trajectory: Trajectory) -> list[Fit]:
    """Return the fits of a trajectory and their dependencies, dependencies first."""
    order: dict[str, Fit] = {}

    def visit(fit: Fit) -> None:
        if fit.id not in order:
            for source in fit.dependencies:
                visit(source)
            order[fit.id] = fit

    for fit in trajectory.fits:
        visit(fit)
    return list(order.values())


def _purpose(fit: Fit, is_mask_source: bool) -> str:
    """Return the purpose of a fit that is not a result."""
    to_rewind_to, of_generators, to_take_masks_from = EXTRA
    if fit.task.kind == "generate":
        return of_generators
    return to_take_masks_from if is_mask_source else to_rewind_to


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def label(trajectory: Trajectory) -> str:
    """Describe a trajectory in a few words."""
    kinds = (trajectory.task.kind, trajectory.prior.kind)
    unusual = [kind for kind in kinds if kind and kind not in ("denoise", "hourglass")]
    parts = [trajectory.picture.name, *unusual, trajectory.pruner, f"seed {trajectory.seed}"]
    if trajectory.covers == "all":
        parts.append("all parameters")
    if trajectory.levels:
        parts.append("levels")
    if trajectory.pruned_share != PRUNED_PER_ROUND:
        parts.append(f"{trajectory.pruned_share:.3g} per round")
    if trajectory.pruning != "geometric":
        parts.append(trajectory.pruning)
    if sources := [name for name in (trajectory.source_image, trajectory.source_task) if name]:
        parts.insert(1, f"masks of {' '.join(sources)}")
    if trajectory.compat:
        parts.append(
            "as released" if {*trajectory.compat} >= {*trajectory.task.released_flags} else " ".join(trajectory.compat)
        )
    if trajectory.rewind:
        parts.append(f"rewind {trajectory.rewind:g} %")
    return ", ".join(parts)


def steps(fits: Iterable[Fit]) -> int:
    """Sum the training steps of some fits."""
    return sum(fit.schedule.steps for fit in fits)
