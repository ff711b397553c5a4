"""The exhibits. To add one: a file beside this one and a line in EXHIBITS."""

from __future__ import annotations

from collections.abc import Callable

from analysis.exhibits.exhibit import Absent, Exhibit
from analysis.exhibits.existence import existence
from analysis.exhibits.images import images
from analysis.exhibits.layers import layers
from analysis.exhibits.rewinding import rewinding
from analysis.exhibits.stop_rule import stop_rule
from analysis.frames import Frames

EXHIBITS: dict[str, Callable[[Frames], Exhibit | Absent]] = {
    "existence": existence,
    "images": images,
    "layers": layers,
    "rewinding": rewinding,
    "stop_rule": stop_rule,
}

__all__ = ["EXHIBITS", "Absent", "Exhibit"]
