"""The exhibits. To add one: a file beside this one and a line in EXHIBITS."""

from __future__ import annotations

from collections.abc import Callable

from analysis.exhibits.bird import bird
from analysis.exhibits.classification import classification, classifier_layers
from analysis.exhibits.compat import compat
from analysis.exhibits.contact import contact
from analysis.exhibits.curves import curves
from analysis.exhibits.exhibit import Absent, Exhibit
from analysis.exhibits.existence import existence
from analysis.exhibits.gallery import gallery
from analysis.exhibits.gan import gan
from analysis.exhibits.images import images
from analysis.exhibits.impedance import impedance
from analysis.exhibits.layers import layers
from analysis.exhibits.levels import levels
from analysis.exhibits.multi import multi
from analysis.exhibits.oes import oes
from analysis.exhibits.ratio import ratio
from analysis.exhibits.recovered import recovered
from analysis.exhibits.rewinding import rewinding
from analysis.exhibits.script import script
from analysis.exhibits.sets import sets
from analysis.exhibits.sgld import sgld
from analysis.exhibits.sizes import sizes
from analysis.exhibits.snapshots import snapshots
from analysis.exhibits.spectra import spectra
from analysis.exhibits.stop_rule import stop_rule
from analysis.exhibits.transfer import transfer
from analysis.frames import Frames

EXHIBITS: dict[str, Callable[[Frames], Exhibit | Absent]] = {
    "gallery": gallery,
    "existence": existence,
    "multi": multi,
    "transfer": transfer,
    "classification": classification,
    "layers": layers,
    "classifier_layers": classifier_layers,
    "recovered": recovered,
    "rewinding": rewinding,
    "impedance": impedance,
    "curves": curves,
    "snapshots": snapshots,
    "stop_rule": stop_rule,
    "images": images,
    "ratio": ratio,
    "sgld": sgld,
    "contact": contact,
    "spectra": spectra,
    "gan": gan,
    "sizes": sizes,
    "bird": bird,
    "levels": levels,
    "sets": sets,
    "oes": oes,
    "compat": compat,
    "script": script,
}
"""In the order of the paper: figures, tables, then what goes beyond it."""

__all__ = ["EXHIBITS", "Absent", "Exhibit", *EXHIBITS]
