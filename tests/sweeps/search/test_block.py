"""A search that cannot be run is refused in one sentence before any work."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from sweeps import spec
from sweeps.plan import Plan
from sweeps.search.block import SearchBlock
from sweeps.spec import read
from tests.sweeps.search.conftest import finish, plan_of

Searching = Callable[..., str]

LR = {"lr": {"log": [1e-3, 1e-1]}}
RESTORE = {"task": "restore", "rounds": 0}
ONE = {"image": ["astronaut"], "seed": [0]}


@pytest.mark.parametrize(
    ("search", "blocks", "sentence"),
    [
        (
            {"objective": "psnr_last_ema", "space": {"until": {"choice": [None, "stop"]}}},
            {},
            "objective: denoise has no 'psnr_last_ema'; ",
        ),
        ({"trails": 3}, {}, "search: there is no key 'trails'; did you mean 'trials'?"),
        ({"trials": None}, {}, "search: trials is missing; say how many settings random proposes"),
        ({"trials": 0}, {}, "search: trials: input should be greater than or equal to 1, not 0"),
        ({"space": {"lrr": LR["lr"]}}, {}, "search: space: lrr: there is no key 'lrr'; did you mean 'lr'?"),
        ({"space": {"lr": {"uniform": [-1, 1]}}}, {}, "space: lr: input should be greater than 0, not -1.0"),
        ({"space": {"steps": {"uniform": [10, 40]}}}, {"profiles": {}}, "search: space: steps: "),
        ({"space": {"scales": {"choice": [2, 8]}}}, {"profiles": {}}, "scales"),
        ({"space": {"seed": {"choice": [0, 1]}}}, {}, "search: seed is searched, and is in grid as well; keep one"),
        ({"space": LR}, {"fixed": {"lr": 0.1}}, "search: lr is searched, and is in fixed as well; keep one"),
        (
            {"space": LR},
            {"parts": [{"fixed": {"lr": 0.1}}]},
            "search: lr is searched, and is in parts 1 fixed as well; keep one",
        ),
        (
            {},
            {"profiles": {"smoke": {"width": 8}}},
            "search: width is searched, and profile smoke of the file fixes it; keep one",
        ),
        ({"sampler": "grid", "trials": None}, {}, "search: space: lr: a grid needs points"),
        ({"sampler": "annealing"}, {}, "search: sampler: there is no sampler 'annealing'; known: random, grid, tpe"),
        (
            {"objective": "psnr_stop"},
            {"fixed": RESTORE},
            "objective: restore has no 'psnr_stop'",
        ),
        ({}, {"fixed": RESTORE}, "objective: restore has no clean image to measure by"),
        ({"objective": "seconds"}, {}, "search: objective: denoise has no 'seconds'"),
        (
            {"racing": True},
            {"grid": ONE},
            "search: racing: the first comparison comes after 3 blocks, and there are 1; give",
        ),
        ({"racing": {"level": 2}}, {}, "search: racing: level: input should be less than 0.5, not 2"),
        ({"racing": {"frist": 2}}, {}, "search: racing: there is no key 'frist'; did you mean 'first'?"),
        ({"racing": "yes"}, {}, "search: racing: 'yes' is neither true nor a mapping; write true, or {first: 3}"),
        ({"baseline": {"lr": -3}}, {}, "search: baseline: lr: input should be greater than 0, not -3"),
        ({"held_out": {"image": []}}, {}, "search: held_out: image is empty; give it at least one value or remove it"),
        ({"held_out": {"image": ["chelsea"]}}, {}, "search: held_out: it has a block of the search itself; use other"),
        ({"held_out": {"imag": ["coffee"]}}, {}, "search: held_out: there is no key 'imag'; did you mean 'image'?"),
        ({"baseline": {"sigma": 3}}, {}, "baseline: sigma is not searched; put it into fixed, or into the space"),
        ({"held_out": {"image": ["nobody"]}}, {}, "nobody"),
    ],
)
def test_it_is_refused(searching: Searching, search: Mapping[str, Any], blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        read(searching(search, **blocks))
    assert sentence in str(error.value)
    assert "tiny.yaml: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_named_profile_that_fixes_a_searched_key_is_refused(searching: Searching) -> None:
    spec = searching()
    with pytest.raises(
        InputError, match="width is searched, and --profile mini fixes it; leave out --profile, or give"
    ):
        read(spec, "mini")


def test_a_profile_can_replace_parts_of_a_search(searching: Searching, ledger: Ledger) -> None:
    spec = searching(profiles={"mini": {"search": {"trials": 2, "space": {"width": {"choice": [32, 64]}}}}})
    plan = Plan.make(read(spec, "mini"), ledger)
    (study,) = plan.studies
    assert {one.setting["width"] for one in study.candidates[1:]} <= {32, 64}
    assert len(study.candidates) == 3
    assert {trajectory.schedule.steps for trajectory in plan.sweep.trajectories} == {1000}
    assert len(plan_of(spec, ledger).studies[0].candidates) == 13


def test_what_is_searched_wins_over_the_default_profile(searching: Searching, ledger: Ledger) -> None:
    for one in plan_of(searching(), ledger).studies[0].candidates:
        for trajectory in one.trajectories:
            assert trajectory.prior.width == one.setting.get("width", 16)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("search", "blocks", "sentence"),
    [
        (
            {"space": {"lr": {"log": [1e-4, 1e-1]}, "width": {"int": [8, 24], "step": 8}}},
            {},
            "tiny: search: space has changed since this search began in ",
        ),
        ({"seed": 1}, {}, "search: seed has changed"),
        ({}, {"grid": {"image": ["astronaut", "coffee"], "seed": [0, 1]}}, "search: blocks has changed"),
        ({"sampler": "tpe"}, {}, "search: sampler has changed"),
    ],
)
def test_a_search_that_was_begun_otherwise_is_refused_and_loses_nothing(
    searching: Searching, ledger: Ledger, search: Mapping[str, Any], blocks: dict[str, Any], sentence: str
) -> None:
    finish(searching(), ledger).record(ledger)
    before = sorted(path for path in ledger.root.rglob("*") if path.is_file())
    with pytest.raises(InputError, match=sentence) as error:
        plan_of(searching(search, **blocks), ledger)
    assert str(error.value).endswith("undo that, or search under another name, which shares all fits")
    assert sorted(path for path in ledger.root.rglob("*") if path.is_file()) == before
    assert not plan_of(searching(), ledger).missing


def test_the_readme_explains_every_key_and_its_example_is_well_formed(tmp_path: Path, ledger: Ledger) -> None:
    text = (Path(spec.__file__).parent / "README.md").read_text()
    for key in SearchBlock.model_fields:
        assert f"| `{key}` |" in text
    (example,) = re.findall(r"```yaml\n(name: tuned\n.*?)```", text, re.DOTALL)
    (tmp_path / "tuned.yaml").write_text(example)
    settings = [one.setting for one in plan_of(str(tmp_path / "tuned.yaml"), ledger).studies[0].candidates]
    assert all(("grace" in setting) == (setting.get("backtrack") == 5) for setting in settings)


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({}, {"small"}),
        ({"outputs": False}, set()),
        ({"outputs": True, "weights": True}, {"outputs", "weights"}),
        ({"weights": True}, {"small", "weights"}),
    ],
)
def test_what_is_kept_of_a_sweep_is_kept_of_every_setting(
    searching: Searching, ledger: Ledger, keys: dict[str, bool], kept: set[str]
) -> None:
    sweep = read(searching(**keys))
    plan = Plan.make(sweep, ledger)
    for name in ("outputs", "weights", "small"):
        assert getattr(plan.sweep, name) == (plan.fits.keys() if name in kept else set())
        assert getattr(sweep, name) == set(), "the sweep that was read stays as it is"


def test_only_is_refused(searching: Searching) -> None:
    with pytest.raises(InputError, match="--only image: a search is judged on all its blocks; remove it"):
        read(searching(), only={"image": ["astronaut"]})


def test_searches_can_be_included(searching: Searching, write: Callable[..., str], ledger: Ledger) -> None:
    outer = write(outer={"name": "outer", "profile": "smoke", "include": ["tiny.yaml"]}).replace("tiny", "outer")
    searching()
    plan = Plan.make(read(outer), ledger)
    assert [study.search.experiment for study in plan.studies] == ["tiny"]
    assert {entry.experiment for entry in plan.sweep.entries} == {"tiny"}
