"""ES-WMV and ES-EMV on three traces, against what their published code makes of these (`stopping.npz`).

sun-umn/Early_Stopping_for_DIP 877d994, window 100, patience 1000, alpha 0.1. Trace a: both stop. b: patience never runs
out. c: a shorter schedule. A frame is two values of 1/65535.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.training.early_stop import ExponentialVariance, MovingVariance, PatientMinimum

GOLDEN = np.load(Path(__file__).with_name("stopping.npz"), allow_pickle=False)


class Followed(NamedTuple):
    name: str
    wmv: MovingVariance
    emv: ExponentialVariance
    ran_out: dict[str, int]
    """The step at which patience did, 0 if never."""
    variances: dict[str, dict[int, float]]
    """By step, from the first that is looked at."""


def offered(rule: PatientMinimum) -> dict[int, float]:
    """What the rule is going to look at, by step."""
    values: dict[int, float] = {}
    offer = rule.best.update

    def spy(value: Tensor, step: int, *images: Tensor, allowed: Tensor | bool = True) -> Tensor:
        values[step] = float(value)
        return offer(value, step, *images, allowed=allowed)

    rule.best.update = spy  # type: ignore[method-assign]
    return values


@pytest.fixture(scope="module", params=["a", "b", "c"])
def followed(request: pytest.FixtureRequest) -> Followed:
    """Of the whole trace, at the defaults."""
    frames = torch.from_numpy(GOLDEN[f"{request.param}_frames"] / np.float64(65535)).float().view(-1, 1, 2, 1, 1)
    wmv, emv = MovingVariance(len(frames), frames[0]), ExponentialVariance(len(frames), frames[0])
    variances = {"wmv": offered(wmv), "emv": offered(emv)}
    ran_out = {"wmv": 0, "emv": 0}
    for step, frame in enumerate(frames, 1):
        wmv.record(step, frame, frame)
        emv.record(step, frame)
        for name, rule in (("wmv", wmv), ("emv", emv)):
            if rule.found and not ran_out[name]:
                ran_out[name] = step
    return Followed(request.param, wmv, emv, ran_out, variances)


@pytest.mark.parametrize("name", ["wmv", "emv"])
def test_it_reports_the_published_step_and_runs_out_of_patience_where_published(followed: Followed, name: str) -> None:
    rule = getattr(followed, name)
    step, found, ran_out = GOLDEN[f"{followed.name}_{name}"]
    assert (rule.window, rule.patience) == (GOLDEN["window"], GOLDEN["patience"])
    assert (int(rule.best.step), bool(rule.found), followed.ran_out[name]) == (step, found, ran_out)


@pytest.mark.parametrize(("name", "tolerance"), [("wmv", 1e-10), ("emv", 1e-5)])
def test_the_variance_is_the_published_one(followed: Followed, name: str, tolerance: float) -> None:
    steps = GOLDEN[f"{followed.name}_steps"].tolist()
    variances = [followed.variances[name][step] for step in steps]
    assert variances == pytest.approx(GOLDEN[f"{followed.name}_{name}_variance"], rel=tolerance)


@pytest.mark.parametrize(("name", "first"), [("wmv", 100), ("emv", 102)])
def test_it_is_looked_at_in_every_step_from_the_first_one_published(followed: Followed, name: str, first: int) -> None:
    assert list(followed.variances[name]) == list(range(first, len(GOLDEN[f"{followed.name}_frames"]) + 1))


def test_the_image_of_the_moving_variance_is_the_output_of_its_step(followed: Followed) -> None:
    frame = GOLDEN[f"{followed.name}_frames"][int(followed.wmv.best.step) - 1]
    assert np.array_equal(np.rint(followed.wmv.best.images[0].flatten().numpy() * 65535), frame)


def test_the_image_of_the_exponential_variance_is_its_published_average(followed: Followed) -> None:
    image = followed.emv.best.images[0].flatten().numpy()
    assert image == pytest.approx(GOLDEN[f"{followed.name}_emv_image"], abs=1e-6)
