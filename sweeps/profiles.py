"""Define profiles: sets of sizes to run a sweep at (`sweeps.spec`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lip.specs.spec import Spec

Count = Annotated[int, Field(ge=1)]


class Profile(Spec):
    """Sizes to run a sweep at. None leaves the size of the sweep, the task or the prior."""

    size: Count | None = None
    """Images are cut to a square and scaled to this many pixels; None crops them to what the prior needs."""
    data_size: Count | None = None
    """The same for the pictures of a data set; None is 50 pixels."""
    width: Count | None = None
    """Width of the hourglass. Other networks are compared by their size, and keep it."""
    scales: Count | None = None
    """Scales of the hourglass."""
    steps: Count | None = None
    """Steps of a restoration."""
    epochs: Count | None = None
    """Epochs of a classifier."""
    tuning: Count | None = None
    """Steps that tune a generator."""
    pretraining: Count | None = None
    """Steps that pre-train a generator."""
    rounds: Annotated[int, Field(ge=0)] | None = None
    """Rounds of pruning."""
    seeds: Count | None = None
    """The sweep's seeds are 0 to seeds - 1."""


PROFILES = {
    "smoke": Profile(size=32, width=16, scales=3, steps=60, rounds=4, seeds=1),  # seconds: for CI
    "mini": Profile(size=64, width=64, scales=5, steps=1000),  # half a minute a fit on one CPU core
    "paper": Profile(seeds=10),  # full size, the task's own steps: for GPUs
}
