"""One experiment at three sizes, in one file: a profile fills or replaces sizes (`sweeps.spec`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lip.specs.spec import Spec

Count = Annotated[int, Field(ge=1)]


class Profile(Spec):
    """Sizes to run a sweep at; None leaves what the sweep, the task or the prior says."""

    size: Count | None = None
    """Images are cut to a square and scaled to this many pixels; None keeps them, cropped to what the prior needs."""
    data_size: Count | None = None
    """The same of the pictures of a data set; None is 50 pixels."""
    width: Count | None = None
    """Of the hourglass; a deep decoder's width is what it is compared by."""
    scales: Count | None = None
    """Of the hourglass."""
    steps: Count | None = None
    epochs: Count | None = None
    """Of a classifier, in place of steps."""
    tuning: Count | None = None
    """Of a generator's training, in place of steps; and those before it."""
    pretraining: Count | None = None
    rounds: Annotated[int, Field(ge=0)] | None = None
    seeds: Count | None = None
    """The sweep's seeds are 0 to seeds - 1."""


PROFILES = {
    "smoke": Profile(size=32, width=16, scales=3, steps=60, rounds=4, seeds=1),  # seconds: for CI
    "mini": Profile(size=64, width=64, scales=5, steps=1000),  # half a minute a fit on one CPU core
    "paper": Profile(seeds=10),  # full size, the task's own steps: for GPUs
}
