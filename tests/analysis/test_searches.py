"""Searches as data frames, and the exhibit that explores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.exhibits import EXHIBITS, Exhibit, MissingExhibit
from analysis.searches import SearchResult, importance, interactions, interval, load_searches, position
from analysis.style import png

SPACE = {"lr": {"log": [1e-3, 1e-1]}, "jitter": {"uniform": [0, 0.1]}, "pruner": {"choice": ["imp", "snip", "random"]}}
BLOCKS = [("cat", 0), ("dog", 0), ("cat", 1), ("dog", 1)]


def result(score: Callable[..., float], count: int = 200) -> SearchResult:
    """A search with drawn settings and these scores."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "number": number,
            "state": "complete",
            "lr": 10 ** draw.uniform(-3, -1),
            "jitter": draw.uniform(0, 0.1),
            "pruner": str(draw.choice(SPACE["pruner"]["choice"])),
        }
        for number in range(count + 1)
    ]
    settings = pd.DataFrame(rows)
    settings["score"] = [score(**row) for row in rows]
    return SearchResult("made", "psnr_stop_ema", False, False, SPACE, settings, settings[:0])


@pytest.mark.parametrize(
    ("value", "distribution", "expected"),
    [
        (1e-2, {"log": [1e-3, 1e-1]}, 0.5),
        (0.02, {"uniform": [0, 0.1]}, 0.2),
        (64, {"int": [32, 128], "step": 32}, 1 / 3),
        ("snip", {"choice": ["imp", "snip", "random"]}, 0.5),
        (None, {"log": [1, 2]}, float("nan")),
        (float("nan"), {"int": [1, 2]}, float("nan")),
    ],
)
def test_a_value_has_a_position_in_its_distribution(value: Any, distribution: Any, expected: float):
    assert position(value, distribution) == pytest.approx(expected, nan_ok=True)


def test_the_key_that_decides_is_the_important_one():
    shares = importance(result(lambda jitter, **_: -abs(jitter - 0.03)))
    assert shares.sum() == pytest.approx(1)
    assert shares["jitter"] > 0.8


def test_two_keys_that_decide_together_interact():
    found = interactions(result(lambda lr, jitter, **_: (np.log10(lr) + 2) * (jitter - 0.05)))
    assert found.loc["lr", "jitter"] == found.loc["jitter", "lr"] > 0.5
    assert found.loc["lr", "pruner"] < 0.05
    assert importance(result(lambda lr, **_: np.log10(lr)))["lr"] > 0.8


def test_with_few_settings_nothing_is_told():
    few = result(lambda lr, **_: lr, count=5)
    assert importance(few).isna().all()
    assert interactions(few).isna().all(axis=None)


def test_an_interval_needs_two_finite_values():
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.484, 2 + 2.484), abs=1e-3)
    assert np.isnan(interval([1.0])).all()
    assert np.isnan(interval([1.0, -np.inf])).all()


@pytest.fixture
def searched(invented) -> analysis.Frames:
    """A baseline and forty settings on four blocks, of which every third was dropped after two; two blocks apart."""
    draw = np.random.default_rng(0)
    points: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[str, Any]] = {}

    def fit(number: int, setting: dict[str, Any], image: str, seed: int) -> str:
        (point,) = invented.trajectory(image=image, seed=seed, rounds=0)
        point["fit"] = invented.id(f"{number}-{image}-{seed}")
        point["trajectory"] = point["fit"]
        points[point["fit"]] = point
        psnr = 20 + 5 * (image == "dog") + seed / 10 - abs(np.log10(setting.get("lr", 0.03)) + 2)
        values[point["fit"]] = {"psnr_stop_ema": psnr, "lr": setting.get("lr", 0.03), "diverged": False}
        return str(point["fit"])

    settings: list[dict[str, Any]] = []
    for number in range(41):
        setting = {"lr": float(10 ** draw.uniform(-3, -1)), "jitter": float(draw.uniform(0, 0.1)), "pruner": "imp"}
        setting = setting if number else {}
        blocks = BLOCKS[:2] if number % 3 == 2 else BLOCKS
        state = "dropped" if len(blocks) == 2 else "complete"
        settings.append(
            {"setting": setting, "state": state, "fits": [fit(number, setting, *block) for block in blocks]}
        )
    held_out = {str(n): [fit(n, settings[n]["setting"], "bird", seed) for seed in (0, 1)] for n in (0, 4)}
    invented.sweep([[point] for point in points.values()], values=lambda **point: values[point["fit"]])
    invented.ledger.record_search(
        "invented",
        "smoke",
        {
            "definition": {"space": SPACE},
            "objective": {"column": "psnr_stop_ema", "is_oracle": False, "is_small": False},
            "trials": 40,
            "settings": settings,
            "held_out": held_out,
        },
    )
    return analysis.load(invented.folder, "invented")


def test_a_search_is_read_as_it_was_recorded(searched: analysis.Frames):
    (search,) = load_searches(searched)
    assert len(search.settings) == 41
    assert search.keys == ["lr", "jitter", "pruner"]
    baseline, second = search.settings.iloc[0], search.settings.iloc[2]
    assert baseline["mean"] == pytest.approx(22.55 - abs(np.log10(0.03) + 2))
    assert (second["state"], second["blocks"]) == ("dropped", 2)
    gain = abs(np.log10(0.03) + 2) - abs(np.log10(second["lr"]) + 2)
    assert second["better_by"] == pytest.approx(gain)
    assert second["score"] == pytest.approx(baseline["mean"] + gain), "on all blocks, though it had two"
    assert search.best is not None
    complete = search.settings[search.settings["state"] == "complete"]
    assert search.best["number"] == complete.loc[complete["score"].idxmax(), "number"]


def test_the_exhibit_shows_settings_from_the_best_on(searched: analysis.Frames):
    exhibit = EXHIBITS["explore"](searched)
    assert isinstance(exhibit, Exhibit)
    table = exhibit.frame
    assert table["mean"][table["state"] == "complete"].iloc[0] == table["mean"][table["on"] == "search"].max()
    assert table["on"].tolist()[-2:] == ["held out", "held out"]
    assert "invented: 40 settings, 13 dropped, by PSNR stop ema (dB); best: lr " in exhibit.caption
    assert "On 2 blocks held out it is better than the baseline by" in exhibit.caption
    assert exhibit.verdicts == []
    assert len(png(exhibit.figure)) > 10_000


def test_an_oracle_is_called_one(searched: analysis.Frames):
    ledger = analysis.frames.Ledger(searched.storage)
    recorded = dict(ledger.search("invented", "smoke") or {})
    recorded["objective"] = {"column": "psnr_peak_ema", "is_oracle": True, "is_small": False}
    ledger.record_search("invented", "smoke", recorded)
    exhibit = EXHIBITS["explore"](searched)
    assert isinstance(exhibit, Exhibit)
    assert "by PSNR peak ema (dB), oracle, which the clean image chose" in exhibit.caption


def test_without_results_it_says_what_is_missing(searched: analysis.Frames):
    from dataclasses import replace

    absent = EXHIBITS["explore"](replace(searched, fits=searched.fits[:0]))
    assert isinstance(absent, MissingExhibit)
    assert absent.reason == "no setting is judged yet"
