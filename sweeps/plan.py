"""Planning: which fits a sweep consists of, which are shared, and which are missing. Needs neither ray nor torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from lip.specs.trajectory import Trajectory
from sweeps.spec import Sweep

EXTRA = ("to rewind to", "of generators", "to take masks from")
"""What fits are for that are no results themselves."""


@dataclass(frozen=True)
class Counts:
    """The numbers of a sweep that every command prints, in these words."""

    results: int
    """What is asked for: one for each trajectory and round."""
    own: int
    """Distinct fits that are results; several results may share one."""
    extra: dict[str, int]
    """Distinct fits that are not, but that these build on, by EXTRA."""
    published: int
    """Distinct fits that are published."""
    published_results: int

    @property
    def fits(self) -> int:
        """All distinct fits."""
        return self.own + sum(self.extra.values())

    @property
    def shared(self) -> int:
        """Results that need no fit of their own."""
        return self.results - self.own

    def __str__(self) -> str:
        extra = [f"{_plural(number, 'extra run')} {purpose}" for purpose, number in self.extra.items() if number]
        shared = f" ({self.shared} {'results share' if self.shared > 1 else 'result shares'} another's)"
        parts = [f"{self.own} of their own{shared * bool(self.shared)}", *extra]
        return f"{_plural(self.results, 'result')} from {_plural(self.fits, 'fit')}: {', '.join(parts)}"

    @property
    def progress(self) -> str:
        """Say how much of it is published."""
        return f"{self.published_results} of {self.results} results published, {self.published} of {self.fits} fits"


@dataclass
class Plan:
    """A sweep against a ledger, as it stood when the plan was made."""

    sweep: Sweep
    published: frozenset[str] = frozenset()
    """The ids of the sweep's fits that need no work."""

    @classmethod
    def make(cls, sweep: Sweep, ledger: Ledger, verified: bool = False) -> Plan:
        """Plan with what the ledger lists; `verified`, with what is undamaged, for which it reads all it relies on."""
        plan = cls(sweep)
        plan.refresh(ledger, verified)
        return plan

    def refresh(self, ledger: Ledger, verified: bool = False) -> None:
        """Look again what is published."""
        self.published = ledger.published(self.fits.values(), verified, self.sweep.outputs)
        self.__dict__.pop("missing", None)

    @cached_property
    def needs(self) -> dict[str, list[Fit]]:
        """List the fits that each trajectory (by id) needs, in order, dependencies included."""
        return {trajectory.id: needed(trajectory) for trajectory in self.sweep.trajectories}

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """All distinct fits by id, each after those it builds on."""
        return {fit.id: fit for fits in self.needs.values() for fit in fits}

    @cached_property
    def missing(self) -> dict[str, Fit]:
        """The distinct fits that are not published."""
        return {key: fit for key, fit in self.fits.items() if key not in self.published}

    @property
    def counts(self) -> Counts:
        """Count what is asked for, what it takes and how much of it is published."""
        results = [fit.id for trajectory in self.sweep.trajectories for fit in trajectory.fits]
        own = set(results)
        purposes = Counter(_purpose(fit) for key, fit in self.fits.items() if key not in own)
        extra = {purpose: purposes[purpose] for purpose in EXTRA}
        done = sum(key in self.published for key in results)
        return Counts(len(results), len(own), extra, len(self.published), done)

    def todo(self) -> dict[str, list[Fit]]:
        """List the fits that each unfinished trajectory (by id) still needs: first those that others wait for."""
        rest = {key: [fit for fit in fits if fit.id in self.missing] for key, fits in self.needs.items()}
        users = Counter(fit.id for fits in rest.values() for fit in fits)
        return {key: sorted(fits, key=lambda fit: users[fit.id] == 1) for key, fits in rest.items() if fits}

    def points(self) -> list[dict[str, Any]]:
        """One row per trajectory and round of the whole sweep, for the ledger (`lip.ledger.schema.SWEEP_ROWS`)."""
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
            for experiment, trajectory in self.sweep.members
            for fit in trajectory.fits
        ]


def needed(trajectory: Trajectory) -> list[Fit]:
    """The fits of a trajectory and all that they build on, each once and after its sources."""
    order: dict[str, Fit] = {}

    def visit(fit: Fit) -> None:
        if fit.id not in order:
            for source in fit.dependencies:
                visit(source)
            order[fit.id] = fit

    for fit in trajectory.fits:
        visit(fit)
    return list(order.values())


def _purpose(fit: Fit) -> str:
    """Say what a fit is for that is no result."""
    rewound, generator, masks = EXTRA
    return generator if fit.task.kind == "generate" else rewound if fit.saves_weights else masks


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def label(trajectory: Trajectory) -> str:
    """A trajectory in a few words, for people."""
    kinds = (trajectory.task.kind, trajectory.prior.kind)
    unusual = [kind for kind in kinds if kind and kind not in ("denoise", "hourglass")]
    parts = [trajectory.picture.name, *unusual, trajectory.pruner, f"seed {trajectory.seed}"]
    if trajectory.covers == "all":
        parts.append("all parameters")
    if trajectory.levels:
        parts.append("levels")
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
    """Training steps of some fits together."""
    return sum(fit.schedule.steps for fit in fits)
