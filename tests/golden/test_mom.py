"""The tournament of median of means against its published code: objective, gradients, and codes after three rounds."""

import numpy as np
import pytest
import torch

from lip.masks import Mask
from lip.priors.pggan import Pggan
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks.sense import Sense
from lip.training.recover import Recovery


@pytest.fixture
def arrays(golden):
    return golden("mom")


@pytest.fixture
def recovery(arrays, monkeypatch: pytest.MonkeyPatch) -> Recovery:
    """Three steps in float64 from the file's codes; its shuffles are dealt in turn."""
    prior = Pggan(**arrays.json("config"))
    task = Sense(measurements=len(arrays["A"]), corrupted=int(arrays["corrupted"]), rows=int(arrays["rows"]))
    picture = Picture(name="golden", content_hash="0" * 16, height=prior.size, width=prior.size, channels=3)
    schedule = Schedule(steps=3, lr=float(arrays["lr"]), jitter=0.0, backtrack=None)
    pixels = np.zeros((prior.size, prior.size, 3), np.uint8)
    recovery = Recovery(Fit(picture=picture, task=task, schedule=schedule, prior=prior), {picture.content_hash: pixels})
    recovery.net.double()
    recovery.net.load_state_dict(arrays.state("generator"))
    recovery.observation = torch.cat([arrays.double("y"), arrays.double("A")], dim=1)
    recovery.clean = recovery.clean.double()
    monkeypatch.setattr(Pggan, "codes", lambda self, count, stream: arrays.double("codes"))
    return recovery


def deal(monkeypatch: pytest.MonkeyPatch, shuffles: list[np.ndarray]) -> None:
    dealt = iter(shuffles)
    monkeypatch.setattr(torch, "randperm", lambda count, generator: torch.from_numpy(next(dealt).astype(np.int64)))


def test_the_objective_is_the_published_one(arrays, recovery: Recovery, monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is one difference, which the first code descends and the second ascends; here each has its own part."""
    deal(monkeypatch, [arrays["shuffles"][0]] * 2)
    codes = [code.requires_grad_() for code in arrays.double("codes").split(1)]
    outputs, objective = [recovery.net(code) for code in codes], recovery._tournament()
    losses = [objective(outputs, turn) for turn in (0, 1)]
    assert (losses[0] - losses[1]).item() == pytest.approx(float(arrays["loss"]), rel=1e-10)
    gradient = torch.cat(torch.autograd.grad(losses[0] - losses[1], codes))
    torch.testing.assert_close(gradient, arrays.double("gradient"), rtol=1e-10, atol=0)


def test_the_codes_take_turns_as_published(
    arrays, recovery: Recovery, steps_of_adam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on a shuffle of its own, the second against the first as it has moved."""
    deal(monkeypatch, list(arrays["shuffles"]))
    recovery.train(Mask.dense(recovery.layers))
    rounds = np.stack([codes for _, codes in steps_of_adam[1::2]])
    assert np.abs(rounds - arrays["path"]).max() < 1e-8
