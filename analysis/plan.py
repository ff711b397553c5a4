"""Tell before a sweep is run how many seeds its claims need, by numbers that `python -m analysis register` writes.

To read claims and statistics takes seconds, and a plan is to be there at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

MARGINS = Path(__file__).with_name("margins.json")
DEVIATION_DB = 0.1
"""Standard deviation of paired differences over seeds that is assumed before anything is measured."""
MOST_SEEDS = 100
"""More than these show what these do."""


def seeds_note(experiments: Collection[str], seeds: int) -> str:
    """Say how likely so many seeds show a margin that claims of the experiments test; empty if none does."""
    known = _margins()
    claims = sum(count for experiment, count in known["claims"].items() if experiment in experiments)
    if not claims:
        return ""
    least = MOST_SEEDS - len(known["power"]) + 1
    chance = f"{known['power'][min(seeds, MOST_SEEDS) - least]:.0%}" if seeds >= least else "no chance"
    return (
        f"{claims} claim{'s' * (claims != 1)} of this sweep test{'s' * (claims == 1)} a margin of"
        f" {known['margin']:g} dB: if differences vary by {DEVIATION_DB:g} dB over seeds around zero,"
        f" {seeds} seed{'s' * (seeds != 1)} show it with {chance}, {known['enough']} with {known['power_asked']:.0%}"
    )


def margins() -> dict[str, Any]:
    """Count by experiment the claims that test a margin, and compute the power of 3 to MOST_SEEDS seeds."""
    from analysis.claims import EQUAL, MATCHING, MATCHING_TOLERANCE_DB, NO_GAIN
    from analysis.exhibits import EXHIBITS
    from analysis.stats import MIN_SEEDS, POWER, power, seeds_needed

    counts: dict[str, int] = {}
    for name, exhibit in EXHIBITS.items():
        tested = sum(claim.region in (MATCHING, EQUAL, NO_GAIN) for claim in exhibit.claims)
        experiment = exhibit.experiment or name
        counts[experiment] = counts.get(experiment, 0) + tested
    return {
        "margin": MATCHING_TOLERANCE_DB,
        "claims": {experiment: count for experiment, count in counts.items() if count},
        "power_asked": POWER,
        "enough": seeds_needed(MATCHING_TOLERANCE_DB, DEVIATION_DB),
        "power": [
            round(float(power(MATCHING_TOLERANCE_DB, DEVIATION_DB, seeds)), 4)
            for seeds in range(MIN_SEEDS, MOST_SEEDS + 1)
        ],
    }


def write_margins() -> None:
    """Write `margins` for `seeds_note`."""
    MARGINS.write_text(json.dumps(margins(), indent=1) + "\n")


@cache
def _margins() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MARGINS.read_text())
    return found
