"""Lottery image priors: sparse deep image priors found by pruning, one fit at a time.

The names below are imported when they are used, so that `import lip` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lip.fit import Fit
    from lip.fitting import train
    from lip.masks import Mask
    from lip.point import Album, trajectory_of
    from lip.problem import Problem
    from lip.store import Ledger
    from lip.trajectory import Trajectory, publish

_HOMES = {
    "Album": "lip.point",
    "Fit": "lip.fit",
    "Ledger": "lip.store",
    "Mask": "lip.masks",
    "Problem": "lip.problem",
    "Trajectory": "lip.trajectory",
    "publish": "lip.trajectory",
    "train": "lip.fitting",
    "trajectory_of": "lip.point",
}

__all__ = ["Album", "Fit", "Ledger", "Mask", "Problem", "Trajectory", "publish", "train", "trajectory_of"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lip' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
