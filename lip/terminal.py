"""What the three command lines share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lip.errors import InputError

if TYPE_CHECKING:
    from typer import Typer


def default_storage() -> Path:
    """The results folder when none is given: LIP_STORAGE, else ./results."""
    return Path(os.environ.get("LIP_STORAGE", "results"))


def main(app: Typer) -> None:
    """Run a command line; bad input is one sentence on standard error and exit status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
