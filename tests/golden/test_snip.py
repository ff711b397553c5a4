"""SNIP against two published implementations: the scores of one, the masks of the other."""

import numpy as np
import pytest

from lip.pruners import PRUNERS


@pytest.fixture
def arrays(golden):
    return golden("snip")


def test_snip_scores_as_published(arrays) -> None:
    model = arrays.model(16, 16)
    assert [layer.name for layer in model.layers] == arrays.json("weights")
    scores = PRUNERS["snip"].for_target(1, None).scores(model).double().numpy()
    published = arrays["scores"]
    assert np.abs(scores / scores.sum() - published).max() < 1e-5 * published.max()


@pytest.mark.parametrize("round", [1, 5, 10, 14])
def test_snip_keeps_the_weights_that_are_kept_as_published(arrays, round: int) -> None:
    mask = PRUNERS["snip"].for_target(round, None).build(arrays.model(16, 16), None)
    assert mask.n_kept == arrays[f"kept{round}"]
    assert np.array_equal(mask.bits, arrays.mask(f"mask{round}"))
