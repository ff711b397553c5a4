"""Lottery image priors: sparse deep image priors found by pruning, one fit at a time.

The names below are imported when they are used, so that `import lip` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lip.data.library import InputLibrary
    from lip.ledger.ledger import Ledger
    from lip.masks import Mask
    from lip.restoration import Restored, restore
    from lip.specs.fit import Fit
    from lip.specs.request import parse_trajectory
    from lip.specs.trajectory import Trajectory
    from lip.tickets import Ticket, load_ticket, mask_of
    from lip.training.model import Model
    from lip.training.restore import train
    from lip.training.run import run_fit

_HOMES = {
    "InputLibrary": "lip.data.library",
    "Fit": "lip.specs.fit",
    "Ledger": "lip.ledger.ledger",
    "Mask": "lip.masks",
    "Model": "lip.training.model",
    "Ticket": "lip.tickets",
    "Trajectory": "lip.specs.trajectory",
    "load_ticket": "lip.tickets",
    "mask_of": "lip.tickets",
    "Restored": "lip.restoration",
    "restore": "lip.restoration",
    "run_fit": "lip.training.run",
    "train": "lip.training.restore",
    "parse_trajectory": "lip.specs.request",
}

__all__ = [
    "Fit",
    "InputLibrary",
    "Ledger",
    "Mask",
    "Model",
    "Restored",
    "Ticket",
    "Trajectory",
    "load_ticket",
    "mask_of",
    "parse_trajectory",
    "restore",
    "run_fit",
    "train",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to import, and hardly ever asked for

        return version("lottery-image-priors")
    if name not in _HOMES:
        raise AttributeError(f"module 'lip' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
