"""The count of a network's work, which plans are made of, against networks that are small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import pooch
import pytest

from lip.bench import multiplications
from lip.masks import Mask
from lip.priors import Decoder, Hourglass
from lip.priors.dcgan import Dcgan
from lip.specs.fit import Fit
from lip.specs.picture import DataSet
from lip.specs.schedule import Adversarial, Sgd
from lip.tasks.classify import Classify
from lip.tasks.generate import Generate
from lip.tasks.sense import Sense
from lip.training import cost
from lip.training.cost import Work, forward_work, step_work


def test_multiplications_are_those_of_every_convolution() -> None:
    by_hand = 8 * 8 * (8**2 + 16**2 + 32**2) + 8 * 3 * 32**2
    assert forward_work(Decoder(width=8, scales=2), 32, 32, 3).multiplications == by_hand


def test_nothing_is_computed() -> None:
    """A forward pass at that size takes hours, and half a terabyte."""
    small, large = (forward_work(Hourglass(), size, size, 3) for size in (512, 8192))
    assert large.multiplications == 256 * small.multiplications
    assert large.values == pytest.approx(256 * small.values, rel=0.01)


def test_a_count_is_kept_for_the_next_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path)
    prior = Decoder(width=8, scales=2)
    first = forward_work(prior, 40, 40, 3)
    forward_work.cache_clear()
    monkeypatch.setattr(cost, "forward", lambda *_: pytest.fail("counted again"))
    assert forward_work(prior, 40, 40, 3) == first
    (file,) = tmp_path.rglob("*.json")
    file.write_text("[]")
    forward_work.cache_clear()
    monkeypatch.setattr(cost, "forward", lambda *_: Work(1, 2))
    assert forward_work(prior, 40, 40, 3) == Work(1, 2), "a damaged file is counted again"
    forward_work.cache_clear()


def test_a_step_of_a_restoration_is_three_forward_passes(tiny) -> None:
    model = tiny.model()
    dense = Mask.dense(model.layers)
    assert step_work(model.fit).multiplications == multiplications(model, dense)


def test_images_with_codes_of_their_own_cost_a_pass_each(tiny) -> None:
    one = tiny.fit()
    for codes, times in (("shared", 1), ("per_image", 2)):
        both = one.replace(other_pictures=(tiny.pictures["other"],), codes=codes)
        assert step_work(both) == times * step_work(one)


def test_an_epoch_trains_on_one_split_and_tests_on_the_other() -> None:
    def work(train: int, test: int) -> Work:
        seen = DataSet(name="", content_hash="0" * 16, height=9, width=9, channels=3, classes=4, train=train, test=test)
        fit = Fit(picture=seen, task=Classify(), schedule=Sgd(), prior=Hourglass(width=8, scales=2))
        return step_work(fit)

    forward = work(0, 1)
    assert forward.multiplications > 0
    assert work(20, 7) == 67 * forward


def test_a_generator_is_cheaper_to_recover_with_than_to_train(tiny) -> None:
    photo, prior = tiny.pictures["photo"], Dcgan()
    forward = forward_work(prior, 32, 32, 3)
    recovery = Fit(picture=photo, task=Sense(measurements=10), schedule=tiny.fit().schedule, prior=prior)
    assert step_work(recovery).multiplications == 2 * (2 * forward.multiplications + 10 * 32 * 32 * 3)
    tuning = Fit(picture=photo, task=Generate(), schedule=Adversarial(batch=4), prior=prior)
    frozen = tuning.replace(schedule=Adversarial(batch=4, generator_frozen=True))
    more = step_work(tuning).multiplications - step_work(frozen).multiplications
    assert more > 4 * 3 * forward.multiplications
