"""The released code's undoing of steps and its stale ranking, against what that code does when it is run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.masks import Mask, kept_after
from lip.priors import Hourglass
from lip.pruners.imp import prune_to, stale_weights
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.tasks import Reconstruct
from lip.training.backtracking import ReleasedBacktracking
from lip.training.record import RestorationResult
from lip.training.restore import Restoration

HERE = Path(__file__).parent


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def counted(errors: np.ndarray, **options: Any) -> tuple[list[bool], list[float]]:
    """Whether each step is undone, and what one weight that counts updates reads after the decision."""
    theta = torch.zeros(1)
    backtracking = ReleasedBacktracking(theta, 5.0, **options)
    undone, weights = [], []
    for error in errors:
        undone.append(bool(backtracking.check(torch.tensor(error))))
        weights.append(theta.item())
        theta += 1
    return undone, weights


@pytest.mark.parametrize(
    ("task", "errors", "options"),
    [("denoise", "mse_noisy", {}), ("inpaint", "mse_known", {"hundredths": True})],
)
def test_steps_are_undone_as_released(task: str, errors: str, options: dict[str, bool]) -> None:
    arrays = golden("released_undo")
    undone, weights = counted(arrays[f"{task}_{errors}"], **options)
    assert undone == arrays[f"{task}_undone"].tolist()
    assert weights == arrays[f"{task}_weights"].tolist()


def test_the_clean_loss_would_undo_other_steps() -> None:
    arrays = golden("released_undo")
    assert counted(arrays["denoise_mse_clean"])[0] != arrays["denoise_undone"].tolist()


def test_a_clean_target_is_undone_by_the_noisy_image() -> None:
    """What `train` hands to the undo is the error to the noisy image, of the outputs that the released code saw."""
    arrays = golden("released_undo")
    clean, noisy = (torch.tensor(arrays[f"denoise_{name}"])[None] for name in ("clean", "noisy"))
    model = restoration(np.zeros((32, 32, 3), np.uint8), Reconstruct(backtrack_sigma=25.0), Schedule(steps=1))
    model.observation, model.backtracking_image = clean, noisy
    watched = [
        model.backtracking_error(output, model.loss(output)) for output in torch.tensor(arrays["denoise_outputs"])
    ]
    assert torch.stack(watched).numpy() == pytest.approx(arrays["denoise_mse_noisy"], rel=1e-6)


def restoration(pixels: np.ndarray, task: Any, schedule: Schedule, **prior: int) -> Restoration:
    height, width, channels = pixels.shape
    picture = Picture(name="golden", content_hash="0" * 16, height=height, width=width, channels=channels)
    net = Hourglass(**{"width": 4, "scales": 1, **prior})
    return Restoration(Fit(picture=picture, task=task, schedule=schedule, prior=net), {picture.content_hash: pixels})


def load(model: Restoration, theta: np.ndarray) -> None:
    model.theta.data.copy_(torch.tensor(theta.astype(np.float32)))


def hand_out(monkeypatch: pytest.MonkeyPatch, draws: list[np.ndarray]) -> None:
    """Let Gaussian draws in place be these, one after the other."""
    rest = iter(draws)
    monkeypatch.setattr(Tensor, "normal_", lambda self, *_, **__: self.copy_(torch.tensor(next(rest)).view_as(self)))


def test_imp_ranks_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = golden("released_ranking")
    config, settings = (json.loads(str(arrays[name])) for name in ("config", "settings"))
    total = int(arrays["total"])
    shape = {key: config[key] for key in ("depth", "width", "scales", "skip")}
    schedule = Schedule(**settings, backtrack=5.0, backtrack_rule="released")
    mask: Mask | None = None
    for number in (1, 2):
        model = restoration(np.zeros((16, 16, 3), np.uint8), Reconstruct(backtrack_sigma=25.0), schedule, **shape)
        load(model, arrays["theta"])
        model.code = torch.tensor(arrays[f"z{number}"].astype(np.float32))
        model.clean = model.observation = torch.tensor(arrays["clean"])[None]
        model.backtracking_image = torch.tensor(arrays["noisy"])[None]
        draws = arrays[f"jitter{number}"].astype(np.float32) / 32 * settings["jitter"]
        mask = Mask.dense(model.layers) if mask is None else mask.unmasked_first()
        with monkeypatch.context() as patch:
            hand_out(patch, list(draws))
            trained = model.train(mask)
        assert isinstance(trained, RestorationResult)
        assert trained.scores["peak_ema"].psnr == pytest.approx(float(arrays[f"psnr_ema{number}"]), abs=1e-3)
        ranked = (
            trained.final_weights if number == 1 else stale_weights(mask, trained.final_weights, trained.before_last)
        )
        mask = prune_to(mask, ranked, kept_after(mask.n_kept, 1))
        theirs = np.unpackbits(arrays[f"mask{number}"], count=total).astype(bool)
        assert np.count_nonzero(mask.bits != theirs) <= 2, "float32"
        assert mask.n_kept == int(arrays[f"kept{number}"])
    assert trained.final_weights == pytest.approx(arrays["after2"], abs=1e-5)
    assert trained.before_last == pytest.approx(arrays["before2"], abs=1e-5)
