"""SGLD for deep image priors, against the published loop on draws of its own."""

import json

import numpy as np
import pytest
import torch

from lip.masks import Mask
from lip.specs.schedule import Schedule
from lip.tasks.denoise import Denoise
from lip.training import record as fitting
from tests.golden.test_released import golden, hand_out, load, restoration


def trained_on(monkeypatch: pytest.MonkeyPatch) -> fitting.RestorationResult:
    arrays = golden("sgld")
    config, settings = (json.loads(str(arrays[name])) for name in ("config", "settings"))
    schedule = Denoise().schedules()["paper"].sgld()
    schedule = schedule.replace(
        steps=settings["steps"],
        lr=settings["lr"],
        jitter=settings["jitter"],
        langevin=settings["noise_sd"],
        burn_in=settings["burn_in"] / settings["steps"],
    )
    shape = {key: config[key] for key in ("depth", "width", "scales", "skip")}
    model = restoration(np.zeros((8, 8, 3), np.uint8), Denoise(), schedule, **shape)
    load(model, arrays["theta"])
    model.code = torch.tensor(arrays["z"].astype(np.float32))
    model.clean, model.observation = (torch.tensor(arrays[name])[None] for name in ("clean", "noisy"))
    draws = []
    for jitter, langevin in zip(arrays["jitter"], arrays["langevin"], strict=True):
        noise = np.zeros(model.theta.numel(), np.float32)
        noise[model.is_convolutional.numpy()] = langevin.astype(np.float32) / 32 * settings["noise_sd"]
        draws += [jitter.astype(np.float32) / 256 * settings["jitter"], noise]
    monkeypatch.setattr(fitting, "AVERAGED_EVERY", settings["average_every"])
    hand_out(monkeypatch, draws)
    return model.train(Mask.dense(model.layers))


def test_steps_are_undone_and_noise_is_added_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, trained = golden("sgld"), trained_on(monkeypatch)
    assert trained.backtracks == arrays["undone"].sum()
    assert trained.curve.psnr == pytest.approx(arrays["psnr_clean"], abs=0.01)
    assert trained.final_weights == pytest.approx(arrays["trained"], abs=1e-4)


def test_the_posterior_mean_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = trained_on(monkeypatch)
    assert trained.mean is not None
    assert trained.mean.psnr == pytest.approx(float(golden("sgld")["mean_psnr"]), abs=0.01)


def test_a_whole_run_averages_the_published_steps() -> None:
    """Of 20,000 steps the first and the last that count, and how many there are."""
    model = restoration(np.zeros((8, 8, 3), np.uint8), Denoise(), Schedule().sgld())
    record = fitting.Recorder(model.schedule, model.task, model.clean)
    output, never = torch.zeros_like(model.clean), torch.zeros((), dtype=torch.bool)
    taken = []
    for step in range(20_000):
        record._average(output, never, 0.35)
        if int(record.n_averaged) > len(taken):
            taken.append(step)
    assert [taken[0], taken[-1], len(taken)] == golden("sgld")["published_samples"].tolist()
