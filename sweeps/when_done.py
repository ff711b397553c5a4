"""Run a command of the user when a run has ended."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lip.ledger.ledger import Ledger
    from sweeps.plan import Plan

ENDINGS = {0: "done", 1: "failed", 3: "drained", 130: "interrupted"}
"""The values of LIP_STATUS, by the exit status of a run."""


def run_command(command: str, plan: Plan, ledger: Ledger, status: int) -> int:
    """Run a command in a shell, and return its exit status.

    What it is told is in its environment alone, never in its text: LIP_STATUS (one of ENDINGS), LIP_SWEEP,
    LIP_PROFILE, LIP_STORAGE, and of results and fits the numbers published and in all. It does not get the token of
    Ray.
    """
    counts = plan.counts
    told = {
        "LIP_STATUS": ENDINGS[status],
        "LIP_SWEEP": plan.sweep.name,
        "LIP_PROFILE": plan.sweep.profile,
        "LIP_STORAGE": str(ledger.storage),
        "LIP_RESULTS": str(counts.results),
        "LIP_PUBLISHED_RESULTS": str(counts.published_results),
        "LIP_FITS": str(counts.fits),
        "LIP_PUBLISHED_FITS": str(counts.published),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    return subprocess.run(command, shell=True, env=inherited | told).returncode
