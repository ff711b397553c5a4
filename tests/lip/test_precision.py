"""Double precision: the same fit, computed more exactly."""

import numpy as np
import pytest
import torch

from lip.masks import Mask
from lip.pruners import PRUNERS
from lip.tasks.denoise import Denoise
from lip.tasks.inpaint import Inpaint
from lip.tasks.superres import SuperResolution
from lip.training.restore import train


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), SuperResolution(factor=2)])
def test_a_fit_in_double_precision_has_the_same_draws_and_no_single_precision_tensor(tiny, task) -> None:
    single, double = (tiny.model(task=task, steps=8, precision=name) for name in ("float32", "float64"))
    for name in ("clean", "code", "observation", "theta"):
        ours, theirs = (getattr(model, name) for model in (double, single))
        assert ours.dtype == torch.float64, name
        assert torch.equal(ours.float(), theirs) or name == "observation", name
    one, two = (train(model, Mask.dense(model.layers), backend="dense") for model in (single, double))
    assert one.curve.loss == pytest.approx(two.curve.loss, rel=2e-3)
    assert one.curve.loss != two.curve.loss
    assert two.final_weights.dtype == np.float64


@pytest.mark.parametrize("pruner", ["snip", "grasp", "magnitude", "synflow", "random"])
def test_every_pruner_scores_in_double_precision(tiny, pruner: str) -> None:
    fits = [tiny.fit(precision=name, recipe=PRUNERS[pruner].for_target(3, None)) for name in ("float32", "float64")]
    single, double = (fit.recipe.build(tiny.model(fit), None) for fit in fits)
    assert single.n_kept == double.n_kept
    assert (single.bits != double.bits).mean() < 0.01, "but for near ties"


def test_precision_is_part_of_what_is_asked_for(tiny) -> None:
    assert tiny.fit(precision="float64").id != tiny.fit().id
