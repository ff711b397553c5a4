"""Tell two ledgers apart, fit by fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lip.ledger.ledger import Ledger
from lip.ledger.schema import COLUMNS, PROVENANCE, RESULTS

MEASURED = ("started", "seconds", "cpu_seconds", "steps_per_second", "peak_memory_mb")
"""Provenance that differs between any two runs."""
SHOWN = ["fit", "image", "mask_kind", "round", "seed"]
"""Columns that describe a fit to people."""

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Difference:
    """A fit whose results differ between two ledgers."""

    about: dict[str, Any]
    """Its columns SHOWN."""
    columns: dict[str, float | None]
    """The greatest absolute difference in each column that differs; None where it is not a number."""


@dataclass(frozen=True)
class Comparison:
    """The fits of two ledgers, by what they have in common."""

    only_a: list[str]
    only_b: list[str]
    equal: list[str]
    """Ids of fits that are in both with the same results, bit by bit."""
    different: list[Difference]
    provenance: dict[str, Counter[Pair]] = field(repr=False)
    """By column, the pairs of values that differ and the number of fits that have them."""
    packages: dict[str, Pair]
    """Packages whose versions differ between environments that computed the same fits."""

    def greatest(self) -> dict[str, tuple[int, float | None]]:
        """Return by column how many fits differ in it, and the greatest absolute difference."""
        found: dict[str, tuple[int, float | None]] = {}
        for name in (name for one in self.different for name in one.columns):
            numbers = [one.columns[name] for one in self.different if name in one.columns]
            found.setdefault(name, (len(numbers), max((x for x in numbers if x is not None), default=None)))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "only_a": self.only_a,
            "only_b": self.only_b,
            "equal": self.equal,
            "different": [{**one.about, "columns": one.columns} for one in self.different],
            "provenance": {
                name: [{"a": a, "b": b, "fits": count} for (a, b), count in pairs.items()]
                for name, pairs in self.provenance.items()
            },
            "packages": {name: {"a": a, "b": b} for name, (a, b) in self.packages.items()},
        }


def compare(a: Ledger, b: Ledger) -> Comparison:
    """Compare the results and the provenance of all fits of two ledgers."""
    ids_a, ids_b = (ledger.fits(["fit"])["fit"].to_pylist() for ledger in (a, b))
    common = sorted(set(ids_a) & set(ids_b))
    rows_a, rows_b = (ledger.fits(list(COLUMNS), common) for ledger in (a, b))
    columns: list[dict[str, float | None]] = [{} for _ in common]
    for name in RESULTS:
        for row, difference in _differences(rows_a[name], rows_b[name]).items():
            columns[row][name] = difference
    about = rows_a.select(SHOWN).to_pylist()
    provenance = {
        name: pairs for name in PROVENANCE if name not in MEASURED and (pairs := _pairs(rows_a[name], rows_b[name]))
    }
    return Comparison(
        sorted(set(ids_a) - set(common)),
        sorted(set(ids_b) - set(common)),
        [key for key, differing in zip(common, columns, strict=True) if not differing],
        [Difference(one, differing) for one, differing in zip(about, columns, strict=True) if differing],
        provenance,
        _packages(provenance.get("environment", Counter()), a.environments(), b.environments()),
    )


def _differences(a: pa.ChunkedArray, b: pa.ChunkedArray) -> dict[int, float | None]:
    """Return by row the greatest absolute difference of two columns, where they differ.

    Rows of lists are compared value by value; lists of two lengths differ, by no number.
    """
    if not pa.types.is_list(a.type):
        unlike, apart = _apart(a, b)
        return {int(row): _number(apart[row]) for row in np.flatnonzero(unlike)}
    lengths = [pc.fill_null(pc.list_value_length(column), -1).to_numpy() for column in (a, b)]
    found: dict[int, float | None] = dict.fromkeys(np.flatnonzero(lengths[0] != lengths[1]).tolist())
    alike = np.flatnonzero(lengths[0] == lengths[1])
    values = [pc.list_flatten(column.take(pa.array(alike))) for column in (a, b)]
    unlike, apart = _apart(*values)
    row_of = np.repeat(alike, np.maximum(lengths[0][alike], 0))
    greatest = np.full(len(a), -1.0)
    np.maximum.at(greatest, row_of[unlike], np.nan_to_num(apart[unlike], nan=-1.0, posinf=np.inf))
    return found | {int(row): _number(greatest[row]) for row in np.unique(row_of[unlike])}


def _apart(a: pa.ChunkedArray, b: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return where two columns differ, and how far apart their numbers are; NaN where one is not a number."""
    null_a, null_b = a.is_null().to_numpy(), b.is_null().to_numpy()
    if not (pa.types.is_floating(a.type) or pa.types.is_integer(a.type)):
        unlike = pc.fill_null(pc.not_equal(a, b), False).to_numpy()
        return unlike | (null_a != null_b), np.full(len(a), np.nan)
    x, y = (pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy() for column in (a, b))
    same = (null_a == null_b) & ((x == y) | (np.isnan(x) & np.isnan(y)))
    with np.errstate(invalid="ignore"):
        return ~same, np.where(null_a | null_b, np.nan, np.abs(x - y))


def _number(difference: float) -> float | None:
    return float(difference) if np.isfinite(difference) and difference >= 0 else None


def _pairs(a: pa.ChunkedArray, b: pa.ChunkedArray) -> Counter[Pair]:
    """Count the pairs of values that differ."""
    unlike, _ = _apart(a, b)
    rows = pa.array(np.flatnonzero(unlike))
    return Counter(zip(a.take(rows).to_pylist(), b.take(rows).to_pylist(), strict=True))


def _packages(pairs: Counter[Pair], of_a: dict[str, Any], of_b: dict[str, Any]) -> dict[str, Pair]:
    """Return the packages that differ between the environments of a pair; None where one lacks it."""
    found: dict[str, Pair] = {}
    for key_a, key_b in pairs:
        if key_a in of_a and key_b in of_b:
            a, b = of_a[key_a]["packages"], of_b[key_b]["packages"]
            found |= {name: (a.get(name), b.get(name)) for name in {*a, *b} if a.get(name) != b.get(name)}
    return dict(sorted(found.items()))
