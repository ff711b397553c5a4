"""Algorithm 1 of the paper: train, prune a fifth, rewind, repeat. What is published is never trained again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np

from lip.fast.backend import choose
from lip.ledger.ledger import Ledger
from lip.masks import Mask, kept_after
from lip.pruners.imp import cut, stale
from lip.pruners.pruner import Pruner
from lip.specs.fit import Fit
from lip.specs.recipe import Dense
from lip.training import environment
from lip.training.adversarial import Generation
from lip.training.classify import Classification
from lip.training.model import Model
from lip.training.record import RestorationResult
from lip.training.recover import Recovery
from lip.training.restore import Restoration
from lip.training.result import TrainingResult, Watch

TRAINERS: dict[str, Callable[[Fit, Mapping[str, np.ndarray], str], Model]] = {
    "restoration": Restoration,
    "recovery": Recovery,
    "classification": Classification,
    "adversarial": Generation,
}
"""Who trains a fit, by `Fit.trainer`."""


def build_model(fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> Model:
    """Make a fit concrete; `inputs` are arrays by the hashes that stand for them (`lip.specs.picture`)."""
    return TRAINERS[fit.trainer](fit, inputs, device)


def run_fit(
    fit: Fit,
    inputs: Mapping[str, np.ndarray],
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    outputs: bool = False,
    backend: str = "auto",
) -> bool:
    """Train one fit and publish it, unless the ledger already holds it; returns whether it was trained now.

    What it builds on comes before it. `watch` is told which fit begins and returns what is to follow it. `outputs`
    keeps its restored images too. `backend` is for `lip.fast.backend`; if it is `auto`, what the dense backend began it
    also goes on with. Safe to repeat, to interrupt and to run twice at once.
    """
    if fit in ledger and (ledger.has_outputs(fit) or not outputs):
        return False
    for dependency in fit.sources:
        run_fit(dependency, inputs, ledger, device, watch, backend=backend)
    environment.begin(device)
    started = datetime.now(UTC)
    computed = choose(_inherited(fit, ledger) if backend == "auto" else backend, device).name
    model = build_model(fit, inputs, device)
    mask = build_mask(fit, model, ledger)
    start = ledger.weights(fit.start) if fit.start else None
    result = model.train(mask, start, watch and watch(fit), computed)
    ledger.publish(fit, mask, result, next_mask(fit, mask, result), started, outputs)
    return True


def build_mask(fit: Fit, model: Model, ledger: Ledger) -> Mask:
    """Return the mask of a fit, whose network stands at theta_0."""
    if isinstance(fit.mask, Dense):
        return Mask.dense(model.layers)
    assert isinstance(fit.mask, Pruner)
    return fit.mask.build(model, ledger.ticket(fit.mask_source) if fit.mask_source else None)


def next_mask(fit: Fit, mask: Mask, result: TrainingResult) -> Mask | None:
    """Cut the next round's mask from a link of an IMP chain; None from other fits."""
    if not fit.yields_ticket:
        return None
    kept = fit.cut.kept(mask.bits.size, result.parameters) if fit.cut else kept_after(mask.kept, 1)
    weights = result.prunable
    if fit.stale_ranking and isinstance(result, RestorationResult) and result.before_last is not None:
        weights = stale(mask, weights, result.before_last)
    return cut(mask, weights, kept)


def _inherited(fit: Fit, ledger: Ledger) -> str:
    """The backend to ask for where the round before was computed on the same task."""
    source = fit.mask_source
    if source is None or source.task != fit.task:
        return "auto"
    before = ledger.fits(["backend"], [source.id])["backend"].to_pylist()
    return "dense" if before == ["dense"] else "auto"
