"""Algorithm 1 of the paper: train, prune a fifth, rewind, repeat; published fits are never trained again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np

from lip.fast.backend import choose
from lip.ledger.ledger import Ledger
from lip.masks import Mask, kept_after
from lip.pruners.imp import prune_to, stale_weights
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
"""The model that trains a fit, by `Fit.trainer`."""


def build_model(fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> Model:
    """Build the model of a fit; `inputs` are arrays by content hash (`lip.data.library`)."""
    return TRAINERS[fit.trainer](fit, inputs, device)


def run_fit(
    fit: Fit,
    inputs: Mapping[str, np.ndarray],
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    outputs: bool = False,
    backend: str = "auto",
    whole: bool = False,
    weights: bool = False,
) -> bool:
    """Train and publish one fit unless the ledger has it, and return whether it was trained.

    Its dependencies are run first. `watch` is called with every fit that begins and returns its observer. `outputs`
    stores its restored images too, `weights` its trained weights. `backend` is a name for `lip.fast.backend.choose`;
    with `auto` a trajectory that the dense backend began continues with it. `whole` trains it again if its next mask or
    weights, which only other fits need, are lost. Safe to repeat, to interrupt and to run twice at once.
    """
    is_published = ledger.is_whole(fit) if whole else fit in ledger
    if is_published and not (outputs and not ledger.has_outputs(fit)) and not (weights and not ledger.has_weights(fit)):
        return False
    lost = ledger.lost([fit])
    for dependency in fit.dependencies:
        run_fit(dependency, inputs, ledger, device, watch, backend=backend, whole=dependency.id in lost)
    publish_fit(fit, inputs, ledger, ledger, device, watch, outputs, backend, weights)
    return True


def publish_fit(
    fit: Fit,
    inputs: Mapping[str, np.ndarray],
    sources: Ledger,
    ledger: Ledger,
    device: str = "cpu",
    watch: Callable[[Fit], Watch] | None = None,
    outputs: bool = False,
    backend: str = "auto",
    weights: bool = False,
) -> None:
    """Train one fit on the masks and weights in `sources`, and publish it in a ledger, whatever that has.

    Raises LookupError when a mask or weights that it needs are lost. The rest is as for `run_fit`.
    """
    environment.begin(device)
    started = datetime.now(UTC)
    chosen = choose(_inherited(fit, sources) if backend == "auto" else backend, device).name
    model = build_model(fit, inputs, device)
    mask = build_mask(fit, model, sources)
    start = sources.weights(fit.start) if fit.start else None
    result = model.train(mask, start, watch and watch(fit), chosen)
    ledger.publish(fit, mask, result, next_mask(fit, mask, result), started, outputs, weights)


def build_mask(fit: Fit, model: Model, ledger: Ledger) -> Mask:
    """Build the mask of a fit, whose network is at theta_0."""
    if isinstance(fit.recipe, Dense):
        return Mask.dense(model.layers)
    assert isinstance(fit.recipe, Pruner)
    source = fit.source_fit
    if source is None:
        return fit.recipe.build(model, None)
    return fit.recipe.build(model, ledger.weights(source) if source.saves_weights else ledger.next_mask(source))


def next_mask(fit: Fit, mask: Mask, result: TrainingResult) -> Mask | None:
    """Cut the next round's mask from a fit of IMP; None from other fits."""
    if not fit.has_next_mask:
        return None
    target, total = fit.next_target, result.parameters
    n_kept = target.n_kept(mask.bits.size, total) if target else kept_after(mask.n_kept, 1)
    weights = result.final_weights
    if fit.stale_ranking and isinstance(result, RestorationResult) and result.before_last is not None:
        weights = stale_weights(mask, weights, result.before_last)
    return prune_to(mask, weights, n_kept)


def _inherited(fit: Fit, ledger: Ledger) -> str:
    """Return the backend of the round before, if that was on the same task."""
    source = fit.source_fit
    if source is None or source.task != fit.task:
        return "auto"
    before = ledger.fits(["backend"], [source.id])["backend"].to_pylist()
    return "dense" if before == ["dense"] else "auto"
