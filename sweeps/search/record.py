"""The record of a search in the ledger: what it was begun with, and what it has proposed.

Proposals can be computed again from the results, and are written down for three reasons: a search whose space has
changed is noticed, thousands of settings need not be proposed anew, and the report draws the search from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps.search.study import Search, Study, judged_fit


def open_study(search: Search, profile: str, ledger: Ledger) -> Study:
    """Return the study of a search as far as it is recorded, without scores.

    Raises InputError if the ledger has another search of that name and profile.
    """
    recorded = ledger.search(search.experiment, profile)
    if recorded is None:
        return Study(search)
    _check_unchanged(search, recorded["definition"], ledger)
    return Study(search, [each["setting"] for each in recorded["settings"][1:]])


def record(study: Study, profile: str, ledger: Ledger) -> None:
    """Write down a study: its definition, its settings with the fits that judge them, and what is held out."""
    search = study.search
    content = {
        "definition": search.definition,
        "objective": {
            "column": search.objective.column,
            "is_oracle": search.objective.is_oracle,
            "is_small": search.objective.is_small,
        },
        "trials": search.trials,
        "settings": [
            {"setting": candidate.setting, "state": candidate.state, "fits": candidate.fits}
            for candidate in study.candidates
        ],
        "held_out": {
            number: [judged_fit(trajectory) for trajectory in trajectories]
            for number, trajectories in study.held_out.items()
        },
    }
    ledger.record_search(search.experiment, profile, content)


def _check_unchanged(search: Search, before: Mapping[str, Any], ledger: Ledger) -> None:
    for part in {**before, **search.definition}:
        then, now = before.get(part), search.definition.get(part)
        if then != now:
            raise InputError(
                f"{search.experiment}: search: {part} has changed since this search began in {ledger.storage} "
                f"({_difference(then, now)}); undo that, or search under another name, which shares all fits"
            )


def _difference(then: Any, now: Any) -> str:
    """Say how two values differ: of mappings, at their first key that does."""
    if isinstance(then, dict) and isinstance(now, dict):
        key = next(key for key in {**then, **now} if then.get(key) != now.get(key))
        return f"{key} was {then.get(key)} and is {now.get(key)}"
    return f"it was {then} and is {now}"
