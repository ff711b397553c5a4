"""Optimal Eye Surgeon against its published code: three steps of its search, its divergence and its final cut."""

import numpy as np
import pytest
import torch

from lip.masks import Layer, Mask
from lip.pruners import PRUNERS
from lip.pruners.oes import Oes, divergence


@pytest.fixture
def arrays(golden):
    return golden("oes")


def test_the_search_of_oes_is_the_published_one(arrays, steps_of_adam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits where the gradient is far above rounding: elsewhere Adam makes a step of any sign of it."""
    model = arrays.model(8, 8, covers="all")
    recipe = PRUNERS["oes"].for_target(5, None, search=3)
    assert isinstance(recipe, Oes)
    assert recipe.n_kept(model) == arrays["kept"]
    draws, seen = iter(arrays.float("uniform")), []
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda drawn, *limits, generator: drawn.copy_(next(draws)))
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: seen.append(loss.item()) or backward(loss))
    scores = recipe.scores(model).numpy()
    gradients, logits = (np.concatenate(values) for values in zip(*steps_of_adam, strict=True))
    assert seen == pytest.approx(arrays["losses"].tolist(), rel=1e-5)
    published = arrays["gradient"]
    assert np.abs(gradients[0] - published).max() < 1e-4 * np.abs(published).max()
    clear = np.abs(published) > 1e-3 * np.abs(published).max()
    assert clear.sum() > 100
    assert np.abs(logits - arrays["logits"])[:, clear].max() < 2e-4
    assert np.array_equal(scores, logits[-1])


@pytest.mark.parametrize(("density", "published"), [(0.05, "kl_05"), (0.3, "kl_30")])
def test_the_divergence_of_oes_is_the_published_one(arrays, density: float, published: str) -> None:
    """To 1e-4: here 1e-6 stands inside the logarithms of the wanted density too."""
    found = divergence(arrays.double("kl_probabilities"), density)
    assert found.item() == pytest.approx(float(arrays[published]), rel=1e-4)


def test_oes_keeps_the_logits_that_are_kept_as_published(arrays) -> None:
    logits = arrays["topk_logits"]
    mask = Mask.keep_largest((Layer("all", logits.shape),), logits, 50)
    assert np.array_equal(mask.bits, np.unpackbits(arrays["topk_mask"], count=logits.size).astype(bool))
