"""The search for one image's prior: its draws and scores, that it is reproducible, and that it never sees the clean."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from lip import cli
from lip.ledger.ledger import Ledger
from lip.priors.nas import Nas
from lip.specs.fit import Fit
from lip.tasks.inpaint import Inpaint
from lip.tasks.superres import SuperResolution, downsample
from lip.training import restore as fitting
from lip.training.restore import Restoration
from lip.training.search import (
    METRICS,
    Candidate,
    annulus,
    choose_best,
    closeness,
    draw_candidates,
    score,
    search,
    spectrum,
)


@pytest.fixture
def model(tiny) -> Fit:
    return tiny.fit(prior=Nas(net="0 11/11", width=16, depth=3), steps=4)


def found(model: Fit, tiny, ledger: Ledger, fits: int = 3, metric: str = "psd") -> list[Candidate]:
    return search(model, tiny.images, ledger, 6, fits, metric)


def nets(fits: list[Fit]) -> list[str]:
    return [fit.prior.net for fit in fits]


def test_draws_are_different_members_of_the_space_given_by_the_seed(model: Fit) -> None:
    some = draw_candidates(model, 50)
    assert len(set(nets(some))) == 50
    assert nets(some) == nets(draw_candidates(model, 50))
    assert nets(draw_candidates(model, 60))[:50] == nets(some)
    assert nets(draw_candidates(model.replace(seed=1), 50)) != nets(some)
    assert all(re.fullmatch(r"\d+ [01]{2}/[01]{2}", net) for net in nets(some))
    assert {fit.replace(prior=model.prior) for fit in some} == {model}
    assert {(fit.prior.width, fit.prior.depth) for fit in some} == {(16, 3)}


def test_a_whole_space_can_be_drawn(tiny) -> None:
    model = tiny.fit(prior=Nas(net="0 1", width=16))
    assert len(draw_candidates(model, 297 * 2)) == 297 * 2


def test_draws_are_uniform(model: Fit) -> None:
    """Four standard deviations of a fair coin are allowed for each bit, as for the resize that has 63 of 297 cells."""
    count = 2000
    some = nets(draw_candidates(model.replace(prior=Nas(net="0 11111/11111/11111/11111/11111", width=16)), count))
    bits = np.array([[int(bit) for bit in net.split()[1].replace("/", "")] for net in some])
    assert (abs(bits.mean(0) - 0.5) < 4 * 0.5 / np.sqrt(count)).all()
    bilinear = np.mean([int(net.split()[0]) < 63 for net in some])
    assert bilinear == pytest.approx(63 / 297, abs=4 * np.sqrt(63 / 297 * 234 / 297 / count))


def test_the_annulus_is_that_of_a_tenth_to_a_fifth_of_the_highest_frequency() -> None:
    marks = annulus(40, 60)
    for row in range(40):
        for column in range(60):
            down, right = min(row, 40 - row) / 20, min(column, 60 - column) / 30
            assert marks[row, column] == (0.1**2 <= down**2 + right**2 < 0.2**2), (row, column)


def test_the_spectrum_of_a_wave_is_its_power_at_its_frequency() -> None:
    """A cosine of amplitude 0.2 has a hundredth of unit power at each of two frequencies: -20 dB."""
    x = np.arange(40)
    wave = np.broadcast_to(0.5 + 0.2 * np.cos(2 * np.pi * 3 * x / 40), (1, 40, 40))
    power = spectrum(wave)
    assert power.shape == (annulus(40, 40).sum(),)
    assert sorted(power)[-2:] == pytest.approx([-20, -20])
    assert sorted(power)[-3] < -150
    assert spectrum(np.zeros((3, 40, 40))) == pytest.approx(-200)


def test_metrics_by_their_definition() -> None:
    ours, theirs = np.array([-10.0, -20.0, -30.0]), np.array([-20.0, -30.0, -16.0])
    assert METRICS["psd"](ours, theirs) == pytest.approx((100 + 100 + 196) / 3)
    # Sorted, the masses move from -30, -20, -10 to -30, -20, -16.
    assert METRICS["histogram"](ours, theirs) == pytest.approx(6 / 3)
    assert METRICS["histogram"](ours, ours[::-1]) == 0 < METRICS["psd"](ours, ours[::-1])


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_is_zero_for_the_observation_itself_and_grows_with_what_is_wrong(
    tiny, model: Fit, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net is replaced by one that returns the observation, blended with grey."""
    observation = tiny.model(model).observation

    def scored(blend: float) -> float:
        output = torch.lerp(observation, torch.full_like(observation, 0.5), blend)
        monkeypatch.setattr("lip.networks.nas.NasNet.forward", lambda net, code: output)
        return score(model, tiny.images, metric)

    assert scored(0) == 0
    assert 0 < scored(0.2) < scored(0.5) < scored(0.9)


def test_a_score_is_of_the_untrained_output_at_the_size_of_the_observation(tiny, model: Fit) -> None:
    for task in (SuperResolution(factor=2), Inpaint()):
        fit = model.replace(task=task)
        problem = tiny.model(fit)
        with torch.no_grad():
            output = problem.net(problem.code)
        if isinstance(task, SuperResolution):
            output = downsample(output, 2)
        seen = problem.observation.nan_to_num(0)
        expected = np.mean((spectrum(output[0].numpy()) - spectrum(seen[0].numpy())) ** 2)
        assert score(fit, tiny.images, "psd") == pytest.approx(expected)


def test_the_mean_counts_the_best_score_once_and_the_worst_not_at_all(model: Fit) -> None:
    outputs = [np.full((4, 4, 3), value, np.uint8) for value in (100, 200, 0)]
    near = closeness(model, outputs, [1.0, 2.0, 3.0])  # weights 1, 1/2, 0: the mean is 400 / 3
    mean = 400 / 3
    assert near == pytest.approx([-20 * np.log10(abs(value - mean) / 255) for value in (100, 200, 0)], abs=1e-4)
    assert closeness(model, outputs, [2.0, 2.0, 2.0])[0] > 200  # it is the mean itself


def test_the_best_scores_are_fitted_best_first_and_published(tiny, model: Fit, ledger: Ledger) -> None:
    candidates = found(model, tiny, ledger)
    scores = {fit: score(fit, tiny.images, "psd") for fit in draw_candidates(model, 6)}
    assert [(c.fit, c.score) for c in candidates] == sorted(scores.items(), key=lambda item: item[1])[:3]
    assert ledger.fits(["fit"])["fit"].to_pylist() == sorted(c.fit.id for c in candidates)
    outputs = [ledger.outputs(c.fit)["last_ema"] for c in candidates]
    assert [c.closeness for c in candidates] == closeness(model, outputs, [c.score for c in candidates])


@pytest.mark.parametrize("metric", METRICS)
def test_a_search_is_reproducible(tiny, model: Fit, tmp_path: Path, metric: str) -> None:
    first, again = (found(model, tiny, Ledger(tmp_path / name), metric=metric) for name in "ab")
    assert first == again
    other = found(model.replace(seed=1), tiny, Ledger(tmp_path / "c"), metric=metric)
    assert nets([c.fit for c in other]) != nets([c.fit for c in first])


def test_no_fit_is_done_twice(tiny, model: Fit, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    train = fitting.train
    monkeypatch.setattr(
        fitting, "train", lambda problem, *rest: (trained.append(problem.fit.id), train(problem, *rest))[1]
    )
    before = found(model, tiny, ledger)
    assert found(model, tiny, ledger) == before
    assert len(trained) == 3
    more = found(model, tiny, ledger, fits=5)
    assert trained == [c.fit.id for c in more]


def test_the_choice_does_not_see_the_clean_image(
    tiny, model: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another clean image behind the same observation all is the same but what is reported of the fits."""
    honest = found(model, tiny, Ledger(tmp_path / "honest"))
    make = Restoration.__init__

    def misled(problem: Restoration, *arguments: Any) -> None:
        make(problem, *arguments)
        problem.clean = 1 - problem.clean

    monkeypatch.setattr(Restoration, "__init__", misled)
    fooled = found(model, tiny, Ledger(tmp_path / "fooled"))
    assert fooled == honest
    assert choose_best(fooled) == choose_best(honest)
    psnrs = [Ledger(tmp_path / name).fits(["psnr_last"])["psnr_last"].to_pylist() for name in ("honest", "fooled")]
    assert psnrs[0] != psnrs[1]


TINY = ["--candidates", "6", "--fits", "3", "--steps", "3", "--threads", "1"]
TINY += ["--size", "32", "--scales", "2", "--width", "16"]


WITH = ["--set", "sigma=50", "--set", "prior=nas"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lip", *arguments])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    return int(exit.value.code or 0)


@pytest.fixture
def cat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(photo).save("the cat.png")


@pytest.mark.usefixtures("cat")
def test_the_command_says_what_was_found_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "search", "the cat.png", *TINY, "--set", "sigma=50") == 0
    said = capsys.readouterr().out
    rows = Ledger("the cat").fits(["net", "steps", "sigma", "round"]).to_pylist()
    assert [(row["steps"], row["sigma"], row["round"]) for row in rows] == [(3, 50, 0)] * 3
    table = re.findall(r"│ (\d+ [01/]+) +│ +([\d.e+]+) +│ +[\d.]+ +│ (chosen)? *│", said)
    assert {net for net, _, _ in table} == {row["net"] for row in rows}
    assert [float(score) for _, score, _ in table] == sorted(float(score) for _, score, _ in table)
    (net,) = [net for net, _, mark in table if mark]
    assert f"in a sweep file: prior: nas, net: {net}\n" in said
    command = shlex.split(said.partition("to restore: python -m lip ")[2])
    assert command == ["fit", "the cat.png", "--seed", "0", "--width", "16", *WITH, "--set", f"net={net}"]
    assert run(monkeypatch, *command, "--size", "32", "--steps", "2", "--threads", "1") == 0


@pytest.mark.usefixtures("cat")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--fits", "7"], "--fits 7 is more than --candidates 6; give at most as many"),
        (["--metric", "pds"], "--metric: there is no metric 'pds'; did you mean 'psd'?"),
        (
            ["--scales", "1", "--candidates", "595"],
            "--candidates 595: with --scales 1 there are only 594 networks; give fewer",
        ),
        (["--size", "8"], "--size: a degraded image of 8x8 pixels has too few frequencies; give more"),
        (["--size", "33"], "search: size 33 is not a multiple of 4"),
        (["--set", "net=denoise"], "--set net: a search uses dense fits and its own options; remove it"),
        (["--set", "pruner=snip"], "--set pruner: a search uses dense fits"),
        (["--set", "sigm=5"], "search: there is no key 'sigm'; did you mean 'sigma'?"),
        (["--width", "20"], "search: width: input should be a multiple of 16, not 20"),
        (["--device", "quantum"], "--device quantum cannot be used here"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert run(monkeypatch, "search", "the cat.png", *TINY, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"error: {line}")
    assert [path.name for path in Path().iterdir()] == ["the cat.png"]
