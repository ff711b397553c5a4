"""The exhibits. To add one: a file beside this one and a line in EXHIBITS."""

from __future__ import annotations

from analysis.exhibits.anchors import anchors
from analysis.exhibits.bird import bird
from analysis.exhibits.classification import classification, classifier_layers
from analysis.exhibits.compat import compat
from analysis.exhibits.contact import contact
from analysis.exhibits.curves import curves
from analysis.exhibits.exhibit import Definition, Exhibit, MissingExhibit
from analysis.exhibits.existence import existence
from analysis.exhibits.explore import explore
from analysis.exhibits.gallery import gallery
from analysis.exhibits.gan import gan
from analysis.exhibits.images import images
from analysis.exhibits.impedance import impedance
from analysis.exhibits.layers import layers
from analysis.exhibits.levels import levels
from analysis.exhibits.multi import multi
from analysis.exhibits.oes import oes
from analysis.exhibits.overlap import overlap
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

EXHIBITS: dict[str, Definition] = {
    exhibit.name: exhibit
    for exhibit in (
        gallery,
        existence,
        multi,
        transfer,
        classification,
        layers,
        classifier_layers,
        recovered,
        rewinding,
        impedance,
        curves,
        snapshots,
        stop_rule,
        images,
        ratio,
        sgld,
        contact,
        spectra,
        gan,
        sizes,
        bird,
        levels,
        sets,
        oes,
        overlap,
        compat,
        script,
        anchors,
        explore,
    )
}
"""In the order of the paper: figures, tables, then what goes beyond it."""

CLAIMS = {claim.id: claim for exhibit in EXHIBITS.values() for claim in exhibit.claims}
"""All claims by id; each stands beside its exhibit."""

__all__ = ["CLAIMS", "EXHIBITS", "Definition", "Exhibit", "MissingExhibit", *EXHIBITS]
