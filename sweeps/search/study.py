"""A study: the settings of a search, as its results so far decide them.

Setting 0 is the baseline, the others are proposed in order. Setting i is proposed once settings 0 to i - `parallel` are
decided, and from their scores alone, told in the order of their numbers. So the settings do not depend on when results
arrive: whoever rebuilds the study from the same results proposes the same ones, after a kill or beside another run. A
sampler that learns nothing, without racing, proposes all settings at once.

A setting is decided when it is fitted to all blocks, or dropped by racing. Its score is the mean over its blocks; that
of a dropped one is its rival's mean plus their mean difference on the blocks that both have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from lip.errors import InputError
from lip.specs.fit import Fit
from lip.specs.trajectory import Trajectory
from sweeps.search.objective import Objective
from sweeps.search.racing import Racing
from sweeps.search.samplers import Sampler
from sweeps.search.space import Setting

RUNNING, COMPLETE, DROPPED, IMPOSSIBLE = "running", "complete", "dropped", "impossible"
BASELINE = 0
"""The number of the baseline."""


@dataclass(frozen=True)
class Search:
    """A checked search of a sweep file."""

    experiment: str
    file: Path
    trials: int
    """Settings to propose, the baseline not counted."""
    parallel: int
    baseline: Setting
    objective: Objective
    racing: Racing | None
    sampler: Callable[[], Sampler]
    trajectories: Callable[[Setting, bool], list[Trajectory]]
    """Makes the trajectories of a setting: on the blocks of the search, or on those held out. Raises InputError."""
    inputs: Callable[[], Mapping[str, np.ndarray]]
    """Returns all inputs loaded so far by content hash."""
    definition: Mapping[str, Any]
    """The parts that decide which settings are proposed, by the names of their keys, as JSON values."""
    ends: Sequence[Fit] = ()
    """Fits at the ends of its space, among them the largest."""
    outputs: bool | None = None
    """Keep the restored images of its fits; None: small ones."""
    weights: bool = False
    """Keep the trained weights of its fits."""


@dataclass(eq=False)
class Candidate:
    """A setting that is being judged."""

    number: int
    setting: Setting
    trajectories: list[Trajectory]
    """One for each block, in the order in which they are run."""
    rival: Candidate | None = None
    wanted: int = 0
    """Blocks that are to be run, as far as is known."""
    scores: list[float] = field(default_factory=list)
    """Of the blocks that are wanted, once all of them have one."""
    state: str = RUNNING
    score: float = -inf
    """Its mean score, once it is decided."""
    reason: str = ""
    """Why it is impossible."""
    missing: int = 0
    """Wanted blocks without a score."""

    @property
    def is_decided(self) -> bool:
        """Tell whether its score is known."""
        return self.state != RUNNING

    @property
    def fits(self) -> list[str]:
        """Return the ids of the fits that judge it, of the blocks that are wanted."""
        return [judged_fit(trajectory) for trajectory in self.trajectories[: self.wanted]]


def judged_fit(trajectory: Trajectory) -> str:
    """Return the id of the fit that a trajectory is judged by: its last, which is the sparsest."""
    return trajectory.fits[-1].id


class Study:
    """The settings of a search. `recorded` are those that were proposed before, by another process."""

    def __init__(self, search: Search, recorded: Sequence[Setting] = ()) -> None:
        self.search = search
        self.candidates: list[Candidate] = []
        self.held_out: dict[int, list[Trajectory]] = {}
        """The trajectories of the baseline and of the best setting on the blocks held out, once that is known."""
        self.scores: dict[str, float] = {}
        """The scores of fits by id."""
        self.numbers: dict[str, int] = {}
        """By trajectory that was wanted, the number of the setting that wanted it first."""
        self._recorded = list(recorded)
        self._sampler = search.sampler()
        self._waits = self._sampler.learns or search.racing is not None
        self._told = 0
        self._undecided = 0
        self._leader: Candidate | None = None
        self._awaited: dict[str, list[Candidate]] = defaultdict(list)

    @property
    def is_decided(self) -> bool:
        """Tell whether every setting is decided."""
        return len(self.candidates) == self.search.trials + 1 and not self._undecided

    @property
    def best(self) -> Candidate | None:
        """Return the best setting that is fitted to all blocks; the first of equals."""
        complete = [candidate for candidate in self.candidates if candidate.state == COMPLETE]
        return max(complete, key=lambda candidate: candidate.score, default=None)

    @property
    def awaited(self) -> Set[str]:
        """Return the ids of the fits whose scores decide what comes next."""
        return self._awaited.keys()

    @property
    def blocks(self) -> int:
        """Count the blocks that a setting is judged on."""
        return len(self.candidates[BASELINE].trajectories)

    def to_come(self, limit: int) -> list[tuple[float, list[Trajectory]]]:
        """Return trajectories that may still be wanted, each list with the number of times that they count.

        Settings that are not proposed yet are stood for by at most `limit` drawn ones.
        """
        search = self.search
        running = [candidate for candidate in self.candidates if not candidate.is_decided]
        parts = [(1.0, candidate.trajectories[candidate.wanted :]) for candidate in running]
        if rest := range(len(self.candidates), search.trials + 1):
            drawn = rest[:: -(-len(rest) // limit)]
            parts += [(len(rest) / len(drawn), self._example(number)) for number in drawn]
        if not self.held_out:
            parts.append((2.0, search.trajectories(search.baseline, True)))
        return parts

    def _example(self, number: int) -> list[Trajectory]:
        try:
            return self.search.trajectories(self._sampler.example(number), False)
        except InputError:
            return []

    def tell(self, scores: Mapping[str, float]) -> list[Trajectory]:
        """Take in scores of fits by id, and return the trajectories that are wanted now and were not before."""
        new: list[Trajectory] = []
        for fit, score in scores.items():
            self.scores[fit] = score
            for candidate in self._awaited.pop(fit, ()):
                candidate.missing -= 1
                new += self._judge(candidate)
        while self._can_propose():
            new += self._judge(self._propose())
        if self.is_decided and not self.held_out:
            new += self._hold_out()
        return new

    def _can_propose(self) -> bool:
        number = len(self.candidates)
        if number > self.search.trials:
            return False
        due = number - self.search.parallel if self._waits else -1
        while self._told <= due and self.candidates[self._told].is_decided:
            self._tell_sampler(self.candidates[self._told])
        return self._told > due

    def _tell_sampler(self, candidate: Candidate) -> None:
        if candidate.number != BASELINE:
            self._sampler.tell(candidate.setting, candidate.score)
        if candidate.state == COMPLETE and (self._leader is None or candidate.score > self._leader.score):
            self._leader = candidate
        self._told += 1

    def _propose(self) -> Candidate:
        number = len(self.candidates)
        if number == BASELINE:
            setting = self.search.baseline
        elif number <= len(self._recorded):
            setting = self._recorded[number - 1]
        else:
            setting = self._sampler.propose(number)
        try:
            candidate = Candidate(number, setting, self.search.trajectories(setting, False))
            candidate.rival = self._leader if self.search.racing else None
        except InputError as error:
            candidate = Candidate(number, setting, [], state=IMPOSSIBLE, reason=str(error))
        self.candidates.append(candidate)
        self._undecided += not candidate.is_decided
        return candidate

    def _judge(self, candidate: Candidate) -> list[Trajectory]:
        """Decide a setting or want more blocks of it, as its scores allow. Returns the trajectories newly wanted."""
        new: list[Trajectory] = []
        while not candidate.missing and not candidate.is_decided:
            candidate.scores = [self.scores[fit] for fit in candidate.fits]
            if candidate.wanted == len(candidate.trajectories):
                self._decide(candidate, COMPLETE, fmean(candidate.scores))
            elif candidate.wanted and (estimate := self._estimate_if_worse(candidate)) is not None:
                self._decide(candidate, DROPPED, estimate)
            else:
                new += self._want_more(candidate)
        return new

    def _estimate_if_worse(self, candidate: Candidate) -> float | None:
        """Return the estimated score of a setting that is clearly worse than its rival; None if it is not."""
        rival, racing = candidate.rival, self.search.racing
        assert rival is not None
        assert racing is not None
        differences = [own - other for own, other in zip(candidate.scores, rival.scores, strict=False)]
        return rival.score + fmean(differences) if racing.is_worse(differences) else None

    def _want_more(self, candidate: Candidate) -> list[Trajectory]:
        blocks = len(candidate.trajectories)
        racing = self.search.racing if candidate.rival else None
        stages = racing.stages(blocks) if racing else [blocks]
        before, candidate.wanted = candidate.wanted, next(stage for stage in stages if stage > candidate.wanted)
        wanted = candidate.trajectories[before : candidate.wanted]
        for fit in map(judged_fit, wanted):
            if fit not in self.scores:
                self._awaited[fit].append(candidate)
                candidate.missing += 1
        return self._fresh(candidate.number, wanted)

    def _fresh(self, number: int, wanted: list[Trajectory]) -> list[Trajectory]:
        """Return those that were not wanted before, and note which setting wants them."""
        return [trajectory for trajectory in wanted if self.numbers.setdefault(trajectory.id, number) == number]

    def _decide(self, candidate: Candidate, state: str, score: float) -> None:
        candidate.state, candidate.score = state, score
        self._undecided -= 1

    def _hold_out(self) -> list[Trajectory]:
        """Want the baseline and the best setting on the blocks held out."""
        new: list[Trajectory] = []
        for candidate in dict.fromkeys([self.candidates[BASELINE], self.best]):
            if candidate is not None:
                self.held_out[candidate.number] = self.search.trajectories(candidate.setting, True)
                new += self._fresh(candidate.number, self.held_out[candidate.number])
        return new
