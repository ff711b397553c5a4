"""The space of a search: distributions over keys of a sweep file.

    lr: {log: [1e-3, 3e-2]}                 between two ends, evenly in the logarithm
    jitter: {uniform: [0, 0.1]}             between two ends
    width: {int: [32, 128], step: 32}       integers, both ends included
    pruner: {choice: [imp, snip]}           one of some values
    rewind: {choice: [0, 5], when: {pruner: [imp]}}     only where another key has one of these values

Every distribution is a list of levels, that of a range 1,001 of them from end to end, rounded to four digits. So a
setting is written in a few digits, and is the same on machines whose logarithms differ in the last bit.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import isfinite, log
from typing import Any

from lip.errors import InputError, location, nearest

RANGE_LEVELS = 1001
"""Levels of a range."""
DIGITS = 4
"""Digits of a level."""
KINDS = ("log", "uniform", "int", "choice")

Setting = dict[str, Any]
"""Values by key."""


class Distribution:
    """A list of levels that a key is drawn from."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Count its levels."""

    @abstractmethod
    def level(self, index: int) -> Any:
        """Return a level."""

    @abstractmethod
    def index(self, value: Any) -> int:
        """Return the index of a level."""

    @property
    def is_ordered(self) -> bool:
        """Tell whether neighbours among its levels are alike."""
        return True

    @property
    def ends(self) -> list[int]:
        """Return the indices of the levels that are checked before any work."""
        return sorted({0, self.size - 1})

    def draw(self, unit: float) -> Any:
        """Return the level at a number in [0, 1)."""
        return self.level(int(unit * self.size))


@dataclass(frozen=True)
class Range(Distribution):
    """Numbers between two ends, evenly or evenly in the logarithm."""

    low: float
    high: float
    is_log: bool
    points: int | None = None
    """Levels; None: RANGE_LEVELS, which are too many for a grid."""

    @property
    def size(self) -> int:
        return self.points or RANGE_LEVELS

    def level(self, index: int) -> float:
        share = index / (self.size - 1)
        value = self.low * (self.high / self.low) ** share if self.is_log else self.low + (self.high - self.low) * share
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))

    def index(self, value: float) -> int:
        share = log(value / self.low, self.high / self.low) if self.is_log else (value - self.low) / self._width
        return min(self.size - 1, max(0, round(share * (self.size - 1))))

    @property
    def _width(self) -> float:
        return self.high - self.low


@dataclass(frozen=True)
class Integers(Distribution):
    """Integers from one end to another."""

    low: int
    high: int
    step: int

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    def level(self, index: int) -> int:
        return self.low + index * self.step

    def index(self, value: int) -> int:
        return (value - self.low) // self.step


@dataclass(frozen=True)
class Choice(Distribution):
    """One of some values."""

    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        return len(self.values)

    def level(self, index: int) -> Any:
        return self.values[index]

    def index(self, value: Any) -> int:
        return self.values.index(value)

    @property
    def is_ordered(self) -> bool:
        return False

    @property
    def ends(self) -> list[int]:
        return list(range(self.size))


@dataclass(frozen=True)
class Space:
    """Distributions by key, and the conditions under which a key is searched."""

    keys: Mapping[str, Distribution]
    conditions: Mapping[str, Mapping[str, list[Any]]]
    """By key, values of keys above it: it is left out unless each of these has one of its values."""

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Space:
        """Read the space of a sweep file. Raises InputError."""
        if not content:
            raise InputError("space is empty; give at least one key a distribution")
        keys: dict[str, Distribution] = {}
        conditions: dict[str, Mapping[str, list[Any]]] = {}
        for key, given in content.items():
            with location(f"space: {key}"):
                conditions[key] = _conditions(given, keys)
                keys[key] = _distribution(given)
        return cls(keys, conditions)

    def is_active(self, key: str, setting: Mapping[str, Any]) -> bool:
        """Tell whether a setting of the keys above has a value for this one."""
        return all(setting.get(other) in values for other, values in self.conditions[key].items())

    def draw(self, seed: int, number: int) -> Setting:
        """Draw a setting by its number; what a key is does not depend on the other keys."""
        setting: Setting = {}
        for key, distribution in self.keys.items():
            if self.is_active(key, setting):
                setting[key] = distribution.draw(unit(seed, number, key))
        return setting

    def grid(self) -> list[Setting]:
        """Return all settings, the last key varying fastest. Raises InputError for a range without points."""
        for key, distribution in self.keys.items():
            if isinstance(distribution, Range) and not distribution.points:
                raise InputError(f"space: {key}: a grid needs points; add them, as in points: 5, or use choice")
        settings: list[Setting] = [{}]
        for key, distribution in self.keys.items():
            levels = [distribution.level(index) for index in range(distribution.size)]
            settings = [
                {**setting, key: level} if active else setting
                for setting in settings
                for active in [self.is_active(key, setting)]
                for level in (levels if active else levels[:1])
            ]
        return settings

    def ends(self) -> Iterator[tuple[str, Setting]]:
        """Yield a setting for each end of each key, with the keys that its conditions need."""
        for key, distribution in self.keys.items():
            for needed in self._allowing(key):
                for index in distribution.ends:
                    yield key, {**needed, key: distribution.level(index)}

    def _allowing(self, key: str) -> Iterator[Setting]:
        """Yield settings of other keys under which a key is active."""
        conditions = self.conditions[key]
        for values in product(*conditions.values()):
            needed = dict(zip(conditions, values, strict=True))
            for above in [next(self._allowing(other)) for other in conditions]:
                needed = above | needed
            yield needed


def unit(seed: int, number: int, key: str) -> float:
    """Return a number in [0, 1) that looks random, the same on every machine."""
    digest = hashlib.sha256(f"{seed} {number} {key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _conditions(given: Any, above: Mapping[str, Distribution]) -> Mapping[str, list[Any]]:
    """Return the conditions of a key, which speak of keys above it."""
    when = given.get("when", {}) if isinstance(given, dict) else {}
    if not isinstance(when, dict):
        raise InputError(f"when: {when!r} is no condition; write it as {{pruner: [imp]}}")
    for key, values in when.items():
        if key not in above:
            hint = nearest(str(key), list(above)) if above else "it is the first"
            raise InputError(f"when: there is no {key!r} above it in the space; {hint}")
        if not isinstance(values, list) or not values:
            raise InputError(f"when: {key} needs a list of values, not {values!r}")
        for value in values:
            if value not in (levels := [above[key].level(index) for index in range(above[key].size)]):
                shown = ", ".join(map(str, levels[:8]))
                raise InputError(f"when: {key} is never {value!r}; its values are {shown}")
    return when


def _distribution(given: Any) -> Distribution:
    """Read a distribution. Raises InputError."""
    kinds = [kind for kind in KINDS if isinstance(given, dict) and kind in given]
    if len(kinds) != 1:
        raise InputError(f"{given!r} is no distribution; give one of {', '.join(KINDS)}, as in {{log: [1e-3, 1e-1]}}")
    (kind,) = kinds
    values = given[kind]
    known = {kind, "when", *{"int": ["step"], "choice": []}.get(kind, ["points"])}
    if unknown := [key for key in given if key not in known]:
        raise InputError(f"there is no {unknown[0]!r} with {kind}; {nearest(str(unknown[0]), sorted(known))}")
    if kind == "choice":
        return _choice(values)
    if not (isinstance(values, list) and len(values) == 2 and all(map(_is_number, values))):
        raise InputError(f"{kind}: {values!r} are no two ends; write them as [low, high]")
    low, high = values
    if low > high:
        raise InputError(f"{kind}: {low:g} is above {high:g}; swap them")
    if low == high:
        raise InputError(f"{kind}: there is nothing between {low:g} and {high:g}; put the key into fixed instead")
    if kind == "int":
        return _integers(low, high, given.get("step", 1))
    if kind == "log" and low <= 0:
        raise InputError(f"log: {low:g} has no logarithm; begin above 0, or use uniform")
    points = given.get("points")
    if points is not None and (not isinstance(points, int) or points < 2):
        raise InputError(f"points: {points!r} are too few; give 2 or more")
    return Range(float(low), float(high), kind == "log", points)


def _integers(low: Any, high: Any, step: Any) -> Integers:
    if not all(isinstance(value, int) for value in (low, high, step)) or step < 1:
        raise InputError(f"int: {low}, {high} and step {step} must be integers; use uniform for others")
    if (high - low) % step:
        last = high - (high - low) % step
        raise InputError(f"int: steps of {step} from {low} never reach {high}; end at {last} or {last + step}")
    return Integers(low, high, step)


def _choice(values: Any) -> Choice:
    if not isinstance(values, list) or len(values) < 2:
        raise InputError(f"choice: {values!r} leaves nothing to choose; give a list of two or more")
    if twice := [value for number, value in enumerate(values) if value in values[:number]]:
        raise InputError(f"choice: duplicate value {twice[0]!r}; remove one")
    return Choice(tuple(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
