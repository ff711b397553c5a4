"""Verdicts on masks between restoration and classification, on invented results."""

from __future__ import annotations

from typing import Any

import pytest

import analysis
from analysis.claims import HERE
from analysis.exhibits.exhibit import Exhibit
from analysis.verdicts import HOLDS, REFUTED, Verdict
from tests.analysis.conftest import chance

SEEDS = (0, 1, 2)
KINDS = {"faces": "classify", "cat": "denoise"}
PSNRS = {f"psnr_{output}{ema}": None for output in ("peak", "last", "stop") for ema in ("", "_ema")}


def crossed(invented, rounds: int = 3) -> list[list[dict[str, Any]]]:
    """Own and random tickets of a data set and of an image, and those of each used for the other, also shuffled."""

    def points(image: str, pruner: str, seed: int, source: str | None = None) -> list[dict[str, Any]]:
        kinds = {"task": KINDS[image], "source_task": source and KINDS[source]}
        return [point | kinds for point in invented.trajectory(image, pruner, seed, source=source, rounds=rounds)]

    return [
        points(image, *which)
        for seed in SEEDS
        for image, other in (("faces", "cat"), ("cat", "faces"))
        for which in (("imp", seed), ("random", seed), ("imp", seed, other), ("shuffled", seed, other))
    ]


def worth(pruner: str, source_image: str | None, round: int, **_: Any) -> float:
    """How much of a fit's quality its mask costs."""
    return 0 if round == 0 else {"random": 5.0, "shuffled": 3.0}.get(pruner, 2.0 if source_image else 1.0)


def psnr(**point: Any) -> float:
    return 30 + point["seed"] - worth(**point)


def values(**point: Any) -> dict[str, Any]:
    if point["task"] == "denoise":
        return {}
    accuracy = 0.9 - worth(**point) / 100 + 1e-7 * chance(point)
    curves = {f"curve_{name}": None for name in ("psnr", "psnr_ema", "ssim", "ssim_ema")}
    kept = {"layer_kept": [400, 400, 600 + point["seed"], 400]}
    return {
        **{"task": "classify", "accuracy_peak": accuracy, "accuracy_last": accuracy - 0.1, "test_images": 100},
        **PSNRS,
        **curves,
        **kept,
    }


@pytest.fixture
def frames(invented) -> analysis.Frames:
    invented.sweep(crossed(invented), psnr, values)
    return analysis.load(invented.folder, "invented")


def claims(exhibit: object, words: str) -> dict[str, Verdict]:
    assert isinstance(exhibit, Exhibit)
    return {each.output: each for each in exhibit.verdicts if words in each.claim.statement and each.scope == HERE}


def test_a_ticket_that_costs_more_than_an_own_one_does_not_transfer(frames: analysis.Frames):
    exhibit = analysis.EXHIBITS["classification"](frames)
    for words, outputs, unit in (
        ("classify worse than tickets of classification", {"peak", "last"}, "points"),
        ("denoise worse than tickets of denoising", {"peak", "last", "stop"}, "dB"),
    ):
        found = claims(exhibit, words)
        assert found.keys() == outputs
        for verdict in found.values():
            assert (verdict.verdict, verdict.n, verdict.claim.unit) == (HOLDS, 3, unit)
            assert verdict.effect == pytest.approx(-1, abs=1e-4)
            assert verdict.note.startswith("3 rounds at 20–48.8 %; least certain at ")
    for words in ("classify no better than the same", "denoise no better than the same"):
        assert {verdict.verdict for verdict in claims(exhibit, words).values()} == {REFUTED}
        assert all(verdict.effect == pytest.approx(1, abs=1e-4) for verdict in claims(exhibit, words).values())


def test_accuracies_stand_with_the_interval_that_their_test_pictures_allow(frames: analysis.Frames):
    table = analysis.EXHIBITS["classification"](frames).frame
    rows = table[(table["task"] == "classify") & (table["round"] == 0) & (table["output"] == "peak")]
    assert rows["value"].tolist() == pytest.approx([90.0] * 4)
    assert rows["value_low"].tolist() == pytest.approx([82.56] * 4, abs=0.01)
    assert rows["value_high"].tolist() == pytest.approx([94.48] * 4, abs=0.01)
    assert set(rows["measure"]) == {"accuracy (%)"}
    assert table[table["task"] == "denoise"][["value_low", "value_high"]].isna().all(axis=None)
    assert set(table[table["task"] == "classify"]["output"]) == {"peak", "last"}
    assert set(table[table["task"] == "denoise"]["output"]) == {"peak", "last", "stop"}


def test_the_layers_of_a_classifier_are_judged_by_its_own_tickets(frames: analysis.Frames):
    exhibit = analysis.EXHIBITS["classifier_layers"](frames)
    (verdict,) = claims(exhibit, "keep the middle layers").values()
    assert (verdict.verdict, verdict.n) == (HOLDS, 3)
    assert verdict.effect == pytest.approx(-20.1), "points of sparsity; the middle layer keeps 600 to 602 weights"
    assert exhibit.frame["fits"].unique().tolist() == [3]


def test_exhibits_of_denoising_leave_the_other_rows_out(frames: analysis.Frames):
    existence = analysis.EXHIBITS["existence"](frames)
    assert set(existence.frame["image"]) == {"cat"}
