"""Tell before a sweep is run how many seeds its claims need."""

from __future__ import annotations

from collections.abc import Collection

from analysis.claims import EQUAL, MATCHING, MATCHING_TOLERANCE_DB, NO_GAIN
from analysis.exhibits import EXHIBITS
from analysis.stats import MIN_SEEDS, POWER, power, seeds_needed
from analysis.text import plural

DEVIATION_DB = 0.1
"""Standard deviation of paired differences over seeds that is assumed before anything is measured."""


def seeds_note(experiments: Collection[str], seeds: int) -> str:
    """Say how likely so many seeds show a margin that claims of the experiments test; empty if none does."""
    claims = [
        claim
        for name, exhibit in EXHIBITS.items()
        if (exhibit.experiment or name) in experiments
        for claim in exhibit.claims
        if claim.region in (MATCHING, EQUAL, NO_GAIN)
    ]
    if not claims:
        return ""
    enough = seeds_needed(MATCHING_TOLERANCE_DB, DEVIATION_DB)
    chance = f"{power(MATCHING_TOLERANCE_DB, DEVIATION_DB, seeds):.0%}" if seeds >= MIN_SEEDS else "no chance"
    return (
        f"{plural(len(claims), 'claim')} of this sweep test{'s' * (len(claims) == 1)} a margin of"
        f" {MATCHING_TOLERANCE_DB:g} dB: if differences vary by {DEVIATION_DB:g} dB over seeds around zero,"
        f" {plural(seeds, 'seed')} show it with {chance}, {enough} with {POWER:.0%}"
    )
