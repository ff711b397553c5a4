"""GraSP against its published code, at temperature 1 with the mean squared error of one batch."""

import numpy as np
import pytest

from lip.pruners import PRUNERS


@pytest.fixture
def arrays(golden):
    return golden("grasp")


def test_grasp_scores_as_published(arrays) -> None:
    """Gradient and Hessian in the weights only: over all parameters the largest difference would be 2e-2."""
    model = arrays.model(16, 16)
    assert [layer.name for layer in model.layers] == arrays.json("weights")
    scores = PRUNERS["grasp"].for_target(1, None).scores(model).double().numpy()
    published = arrays["scores"]
    assert np.abs(published).max() == 1
    assert np.abs(scores / np.abs(scores).max() - published).max() < 2e-6


@pytest.mark.parametrize("round", [1, 5, 10, 14])
def test_grasp_keeps_the_weights_that_are_kept_as_published(arrays, round: int) -> None:
    """But for the one at the published threshold, which is kept there beyond the number asked for."""
    mask = PRUNERS["grasp"].for_target(round, None).build(arrays.model(16, 16), None)
    published = arrays.mask(f"mask{round}")
    assert (mask.n_kept, published.sum()) == (arrays[f"kept{round}"], mask.n_kept + 1)
    assert not (mask.bits & ~published).any()
