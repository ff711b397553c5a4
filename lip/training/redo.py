"""Train a published fit again, and compare with the ledger bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory

import numpy as np

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from lip.training.result import Watch
from lip.training.run import publish_fit

MADE_BY = ["cpu", "device", "threads", "backend", "kernels", "version_torch", "code"]
"""Columns of a row on which the bits of a fit may depend beside its spec."""


def redo(
    fit: Fit,
    inputs: Mapping[str, np.ndarray],
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    backend: str = "auto",
) -> tuple[list[str], list[str]]:
    """Train a published fit again on the ledger's masks and weights; nothing is published.

    Returns what differs (columns of its row, "next_masks", "weights", "outputs") and which of MADE_BY do. Raises
    InputError when a mask or weights that it needs are lost.
    """
    if lost := ledger.lost([fit]):
        raise InputError(
            f"fit {fit.id} begins with a mask or weights of {', '.join(sorted(lost))}, which are not in "
            f"{ledger.storage} any more; run its sweep in an empty storage instead"
        )
    with TemporaryDirectory(prefix="lip-") as folder:
        again = Ledger(folder)
        publish_fit(fit, inputs, ledger, again, device, watch, ledger.has_outputs(fit), backend)
        then, now = (one.fits(MADE_BY, [fit.id]).to_pylist()[0] for one in (ledger, again))
        return ledger.differences(again, fit), [name for name in MADE_BY if then[name] != now[name]]
