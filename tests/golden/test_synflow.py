"""SynFlow against its published code: scores of the whole net, cuts, and masks after 100 of them."""

import numpy as np
import pytest

from lip.masks import Mask
from lip.pruners import PRUNERS
from lip.pruners.synflow import Flow, cut_sizes


@pytest.fixture
def arrays(golden):
    return golden("synflow")


def test_synflow_scores_the_whole_net_as_published(arrays) -> None:
    model = arrays.model(8, 8)
    assert [layer.name for layer in model.layers] == arrays.json("weights")
    scores = Flow(model).scores(Mask.dense(model.layers)).numpy()
    np.testing.assert_allclose(scores, arrays["scores"], rtol=1e-10, atol=0)


@pytest.mark.parametrize("round", [1, 5, 10, 14])
def test_synflow_keeps_the_weights_that_are_kept_as_published(arrays, round: int) -> None:
    assert cut_sizes(int(arrays["total"]), int(arrays[f"kept{round}"])) == arrays[f"cuts{round}"].tolist()
    mask = PRUNERS["synflow"].for_target(round, None).build(arrays.model(8, 8), None)
    assert mask.n_kept == arrays[f"kept{round}"]
    assert np.array_equal(mask.bits, arrays.mask(f"mask{round}"))
