"""Words and numbers as captions, verdicts, figures and the report print them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lip.masks import PRUNED_PER_ROUND

PRUNER_LABELS = {
    "imp": "IMP",
    "random": "random",
    "snip": "SNIP",
    "synflow": "SynFlow",
    "grasp": "GraSP",
    "oes": "OES",
    "one_shot": "one-shot",
    "shuffled": "random, IMP's ratios",
}


def pruner_labels(names: Iterable[str]) -> dict[str, str]:
    """Map pruners to their labels, in alphabetical order of the pruners."""
    return {name: PRUNER_LABELS.get(name, name) for name in sorted(set(names))}


def percent(round_: int) -> float:
    """Return the sparsity in percent after a number of rounds."""
    return 100 * (1 - (1 - PRUNED_PER_ROUND) ** round_)


def plural(count: int, noun: str) -> str:
    """Print a count with its noun, as in `1 seed`, `3 seeds`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def sparsity_range(rounds: pd.Series) -> str:
    """Print rounds as a range of sparsities: `20–49 %`."""
    if rounds.empty:
        return "sparsities that are not measured"
    low, high = (f"{percent(int(k)):.3g}" for k in (rounds.min(), rounds.max()))
    return f"{low} %" if low == high else f"{low}–{high} %"


def distinct_values(column: pd.Series) -> str:
    """Print the distinct values of a column in order: `0, 1, 2`."""
    distinct = sorted(column.dropna().unique().tolist())
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in distinct)


def shorten(name: str, length: int = 24) -> str:
    """Cut a name to a number of letters."""
    return name if len(name) <= length else f"{name[: length - 1]}…"
