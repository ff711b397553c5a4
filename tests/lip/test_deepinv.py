"""DeepInverse's physics is inverted by our priors, dense and sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.tickets import Ticket, ticket_of

physics = pytest.importorskip("deepinv.physics", reason="pip install 'lottery-image-priors[deepinv]'")

TINY: dict[str, Any] = {"steps": 250, "width": 8, "scales": 2, "backend": "dense"}


@pytest.fixture
def model() -> Any:
    from lip.adapters.deepinv import LotteryImagePrior

    return LotteryImagePrior


@pytest.fixture
def batch(photo: np.ndarray) -> torch.Tensor:
    image = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 255
    return torch.cat([image, image.flip(-1)])[..., :30, :30]  # no multiples of four


def operators(device: str = "cpu") -> dict[str, Any]:
    return {
        "denoising": physics.Denoising(physics.GaussianNoise(0.1)),
        "inpainting": physics.Inpainting((3, 30, 30), mask=0.5),
        "downsampling": physics.Downsampling(img_size=(3, 30, 30), factor=2, filter="bicubic"),
    }


@pytest.mark.parametrize("name", ["denoising", "inpainting", "downsampling"])
def test_measurements_are_explained(model: Any, batch: torch.Tensor, name: str) -> None:
    torch.manual_seed(0)
    operator = operators()[name]
    y = operator(batch)
    with torch.no_grad():
        restored = model((3, 30, 30), **TINY)(y, operator)
    assert restored.shape == batch.shape
    assert not restored.requires_grad
    flat = batch.mean((2, 3), keepdim=True).expand_as(batch)
    assert (restored - batch).square().mean() < 0.5 * (flat - batch).square().mean()


def test_the_size_is_that_of_the_adjoint_and_equal_calls_give_equal_bits(model: Any, batch: torch.Tensor) -> None:
    operator = operators()["inpainting"]
    y = operator(batch[:1])
    first, again = (model(**TINY | {"steps": 3})(y, operator) for _ in range(2))
    assert first.shape == (1, 3, 30, 30)
    assert torch.equal(first, again)


def test_a_ticket_is_a_reconstructor_too(model: Any, batch: torch.Tensor, tiny, ledger: Ledger) -> None:
    fit = tiny.trajectory(rounds=1, seed=3).fits[-1]
    tiny.run_fit(fit, ledger, backend="dense")
    ticket: Ticket = ticket_of(fit, ledger, tiny.images)
    operator = operators()["denoising"]
    y = operator(batch[:1])
    sparse, dense = (model(ticket=t, **TINY | {"steps": 3})(y, operator) for t in (ticket, None))
    assert not torch.equal(sparse, dense)
    with pytest.raises(InputError, match="it is for images of 3 channels, not 1; use another"):
        model(ticket=ticket, **TINY)(y[:, :1], operator)
