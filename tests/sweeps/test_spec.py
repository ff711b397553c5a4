from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.priors import Decoder, Hourglass
from lip.specs.schedule import Schedule
from sweeps import spec
from sweeps.plan import Plan, label
from sweeps.profiles import PROFILES

Write = Callable[..., str]
Shipped = Callable[..., spec.Sweep]

PHOTOGRAPHS = {"astronaut", "camera", "chelsea", "coffee", "coins", "rocket"}
"""Images of scikit-image."""
WITH_PHOTOGRAPHS = {"smoke", "tasks", "classification", "paper", "tuning", "tuning_denoise", "tuning_inpaint"}
"""Sweeps that use them also in the profile `paper`: most reproduce no figure, and `paper` includes one of them."""

BAD = {
    "unknown block": ({"grids": {}}, r"there is no key 'grids'; did you mean 'grid'\?"),
    "unknown key": (
        {"fixed": {"image": "astronaut", "roundz": 2}},
        "no key 'roundz'; did you mean 'rounds'",
    ),
    "unknown pruner": ({"grid": {"pruner": ["snop"]}}, r"pruner: there is no pruner 'snop'; did you mean 'snip'\?"),
    "unknown task": ({"fixed": {"image": "astronaut", "task": "denoize"}}, "did you mean 'denoise'"),
    "unknown profile": ({"profile": "smok"}, r"there is no profile 'smok'; did you mean 'smoke'\?"),
    "unknown profile block": ({"profiles": {"min": {"steps": 3}}}, "did you mean 'mini'"),
    "profile overrides more than sizes": (
        {"profiles": {"mini": {"sigma": 3}}},
        "no key 'profiles.mini.sigma'",
    ),
    "wrong type": (
        {"fixed": {"image": "astronaut", "sigma": "loud"}},
        "sigma: input should be a valid number",
    ),
    "bool is no number": ({"fixed": {"image": "astronaut", "skip": True}}, "skip: input should be a valid integer"),
    "missing image": ({"fixed": {"rounds": 2}}, "the key 'image' is missing"),
    "empty axis": ({"grid": {"pruner": []}}, r"grid: pruner is empty; give it at least one value or remove it"),
    "axis in two blocks": ({"grid": {"rounds": [1]}}, "rounds is in both fixed and grid; keep one"),
    "axis in the whole and in a part": (
        {"parts": [{}, {"fixed": {"pruner": "imp"}}]},
        "pruner is in both grid and parts 2 fixed; keep one",
    ),
    "no part": ({"parts": []}, "parts is empty"),
    "unknown block of a part": ({"parts": [{"fix": {}}]}, r"there is no key 'parts\.0\.fix'"),
    "levels and rounds": ({"fixed": {"image": "astronaut", "rounds": 2, "sparsities": [0.5]}}, "remove one of the two"),
    "sparsity in percent": ({"fixed": {"image": "astronaut", "sparsities": [50]}}, "50 is not a fraction"),
    "more parameters than there are": (
        {"fixed": {"image": "astronaut", "parameters": [10**9]}},
        r"parameters: no ticket of hourglass has 1,000,000,000; use [\d,]+ to [\d,]+$",
    ),
    "option of another pruner": ({"fixed": {"image": "astronaut", "search": 3}}, "search: it goes with pruner: oes"),
    "counts of nothing": (
        {"fixed": {"image": "astronaut", "counts_of": "inp"}, "grid": {"pruner": ["shuffled"]}},
        r"counts_of: there are no counts of 'inp'; did you mean 'imp'\?",
    ),
    "search that is none": (
        {"fixed": {"image": "astronaut", "search": 0}, "grid": {"pruner": ["oes"]}},
        "search: input should be greater than or equal to 1, not 0",
    ),
    "counts of a list": (
        {"fixed": {"image": "astronaut", "counts_of": ["imp"]}, "grid": {"pruner": ["shuffled"]}},
        r"counts_of: there are no counts of \['imp'\]; known: grasp",
    ),
    "unknown defect": (
        {"fixed": {"image": "astronaut", "compat": ["imp"]}},
        "the released code has no 'imp'; known: schedule",
    ),
    "duplicate trajectory": (
        {"grid": {"pruner": ["imp", "imp"]}},
        r"duplicate trajectory \(image: astronaut, .*pruner: imp.*\); remove one",
    ),
    "rewind out of range": ({"grid": {"rewind": [101]}}, "rewind: input should be less than or equal to 100, not 101"),
    "rewind to no step": ({"grid": {"rewind": [0.1]}}, "is not a step"),
    "too many trajectories": (
        {"grid": {"theta_seed": list(range(1000)), "z_seed": list(range(1000))}},
        "grid: 1,000,000 trajectories are more than 200,000; split the sweep",
    ),
    "too many rounds": (
        {"fixed": {"image": "astronaut", "rounds": 51}, "profile": "mini"},
        "rounds: input should be less",
    ),
    "sigma out of range": ({"fixed": {"image": "astronaut", "sigma": 0}}, "sigma: input should be greater than 0"),
    "image not found": ({"fixed": {"image": "photos/missing.png"}}, r"photos/missing\.png"),
    "image misspelt": ({"fixed": {"image": "astronout"}}, "astronaut"),
    "foreign masks of random": ({"grid": {"source_image": ["chelsea"], "pruner": ["random"]}}, "use pruner: imp"),
    "name is not the file's": ({"name": "other"}, "'other' must be the file's own name, 'tiny'"),
    "name as a path": ({"name": "../tiny"}, "name: string should match pattern"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sweep_is_refused_in_one_sentence(case: str, write: Write) -> None:
    blocks, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        spec.read(write(**blocks))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: tiny\nname: tiny\n", "duplicate key 'name'"),
        ("grid: {seed: [0], seed: [1]}\n", "duplicate key 'seed'"),
        ("a: 1\nb: 2\na: 3\n", "duplicate key 'a'"),
        ("name: [", "cannot be read as YAML"),
        ("name: 2020-13-01\n", "name: '2020-13-01' must be the file's own name"),
        ("fixed: {sigma: " + 3000 * "[" + 3000 * "]" + "}\n", "cannot be read as YAML: maximum recursion depth"),
        ("grid: {image: &a [*a]}\n", r"cannot be read as YAML: write out the value of the alias \*a"),
        ("a: &a [x, x]\nb: [*a, *a]\n", r"cannot be read as YAML: write out the value of the alias \*a"),
        ("- a list\n", "a sweep file is a mapping"),
        ("name: !!python/object/apply:os.getcwd []\n", "cannot be read as YAML"),
        ("", "a sweep file is a mapping"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        spec.read(str(path))


def test_truncated_and_small_images_are_refused_by_name(write: Write, tmp_path: Path) -> None:
    whole, broken, small = tmp_path / "whole.png", tmp_path / "broken.png", tmp_path / "small.png"
    Image.effect_noise((64, 64), 50).save(whole)
    broken.write_bytes(whole.read_bytes()[:-900])
    Image.new("RGB", (40, 40)).save(small)
    with pytest.raises(InputError, match=re.escape(str(broken))):
        spec.read(write(fixed={"image": str(broken)}))
    with pytest.raises(InputError, match=r"is 32x32 pixels, the net needs at least 64x64"):
        spec.read(write(fixed={"image": str(small), "scales": 5}, profile="paper"))


def test_unknown_sweeps_are_answered_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'existence'"):
        spec.read("existance")
    with pytest.raises(InputError, match=r"there is no sweep file mine\.yaml"):
        spec.read("mine.yaml")


def test_grid_is_multiplied_out_in_every_part(write: Write) -> None:
    sweep = spec.read(
        write(
            fixed={"image": "astronaut", "rounds": 1},
            grid={"seed": [0, 1], "pruner": ["imp", "random"]},
            parts=[{"fixed": {"sigma": 15}}, {"fixed": {"task": "superres"}, "grid": {"factor": [2, 4]}}],
            profiles={"smoke": {"seeds": 2}},
        )
    )
    points = {
        (getattr(t.task, "sigma", None), getattr(t.task, "factor", None), t.seed, t.pruner) for t in sweep.trajectories
    }
    assert len(sweep.trajectories) == len(points)
    assert points == {
        (sigma, factor, seed, pruner)
        for sigma, factor in [(15, None), (None, 2), (None, 4)]
        for seed in (0, 1)
        for pruner in ("imp", "random")
    }


def test_a_profile_sets_no_rounds_where_levels_are_asked_for(write: Write) -> None:
    levels = {"image": "astronaut", "sparsities": [0.36, 0.5]}
    (trajectory,) = spec.read(write(fixed=levels, grid={"pruner": ["imp"]})).trajectories
    assert [fit.recipe.round for fit in trajectory.fits] == [0, 2, None]


def test_what_a_file_says_wins_and_its_own_profile_fills_the_rest(write: Write) -> None:
    smoke = PROFILES["smoke"]
    fixed = {"image": "astronaut", "size": 48, "rounds": 2}
    sweep = spec.read(write(fixed=fixed, grid={"pruner": ["imp"], "seed": [0, 5]}))
    assert [t.seed for t in sweep.trajectories] == [0, 5]
    assert {(t.picture.height, t.rounds, t.schedule.steps) for t in sweep.trajectories} == {(48, 2, smoke.steps)}
    assert {t.prior for t in sweep.trajectories} == {Hourglass(width=smoke.width, scales=smoke.scales)}
    assert sweep.replaced == []


def test_a_profile_that_is_named_replaces_what_the_file_says_and_says_so(write: Write) -> None:
    smoke = PROFILES["smoke"]
    fixed = {"image": "astronaut", "size": 48, "scales": smoke.scales}
    path = write(fixed=fixed, grid={"pruner": ["imp"], "seed": [0, 5], "rounds": [2, 3]})
    sweep = spec.read(path, "smoke")
    (trajectory,) = sweep.trajectories
    assert (trajectory.picture.height, trajectory.rounds, trajectory.seed) == (smoke.size, smoke.rounds, 0)
    assert sweep.replaced == ["seed 0 instead of 0, 5", "size 32 instead of 48", "rounds 4 instead of 2, 3"]


def test_sizes_under_profiles_are_the_files_own_words(write: Write) -> None:
    blocks = {"grid": {"pruner": ["imp"], "seed": [7]}, "profiles": {"smoke": {"rounds": 3, "steps": 5, "seeds": 2}}}
    path = write(fixed={"image": "astronaut", "rounds": 9, "steps": 70}, **blocks)
    for profile in (None, "smoke"):
        sweep = spec.read(path, profile)
        assert [(t.rounds, t.schedule.steps, t.seed) for t in sweep.trajectories] == [(3, 5, 0), (3, 5, 1)]
        assert sweep.replaced == []


def test_a_fixed_seed_stays(write: Write) -> None:
    sweep = spec.read(write(fixed={"image": "astronaut", "seed": 7}, grid={"pruner": ["imp"]}), "paper")
    assert [t.seed for t in sweep.trajectories] == [7]
    assert sweep.replaced == []


def test_the_papers_profile_is_full_size(write: Write) -> None:
    paper = spec.read(write(), "paper").trajectories
    assert {t.seed for t in paper} == set(range(10))
    assert (paper[0].picture.height, paper[0].schedule.steps, paper[0].rounds) == (512, 3000, 2)
    assert paper[0].schedule == Schedule(), "the paper's own schedule is the default"


def test_profiles_leave_the_deep_decoder_its_width(write: Write) -> None:
    grid = {"pruner": ["imp"], "prior": ["hourglass", "decoder"]}
    priors = [t.prior for t in spec.read(write(grid=grid, profile="mini")).trajectories]
    assert priors == [Hourglass(width=64, scales=5), Decoder(width=128)]


def test_globs_name_several_images_and_native_sources_are_no_transfer(write: Write, tmp_path: Path) -> None:
    for index in range(2):
        Image.effect_noise((48, 48), 30 + index).save(tmp_path / f"{index}.png")
    pattern = str(tmp_path / "*.png")
    sweep = spec.read(write(fixed={"rounds": 1}, grid={"image": [pattern], "source_image": [pattern]}))
    assert [t.mask_source is None for t in sweep.trajectories] == [True, False, False, True]


def test_masks_may_come_from_several_images_together_and_from_another_task(write: Write) -> None:
    sweep = spec.read(
        write(
            fixed={"image": "astronaut", "rounds": 1},
            grid={"source_image": ["astronaut", ["astronaut", "chelsea"]], "source_task": ["denoise", "inpaint"]},
        )
    )
    sources = [(t.source_image, t.source_task) for t in sweep.trajectories]
    both = "astronaut+chelsea"
    assert sources == [(None, None), (None, "inpaint"), (both, None), (both, "inpaint")]
    labels = [label(trajectory) for trajectory in sweep.trajectories]
    assert labels[3] == "astronaut, masks of astronaut+chelsea inpaint, imp, seed 0"


def test_a_photograph_under_two_names_is_fitted_once(write: Write, tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.linear_gradient("L").save(tmp_path / f"{name}.png")
    names = [str(tmp_path / f"{name}.png") for name in ("one", "two")]
    sweep = spec.read(write(fixed={"rounds": 1}, grid={"image": names}))
    assert len(sweep.trajectories) == 1
    assert [point["image"] for point in Plan(sweep).points()[::2]] == names


def test_only_picks_a_part(write: Write) -> None:
    path = write()
    (trajectory,) = spec.read(path, only={"pruner": ["random"], "seed": [0]}).trajectories
    assert trajectory.pruner == "random"
    with pytest.raises(InputError, match="did you mean 'pruner'"):
        spec.read(path, only={"pruners": ["random"]})
    with pytest.raises(
        InputError, match=r"^--only pruner=radom: the sweep has no such pruner; did you mean 'random'\?$"
    ):
        spec.read(path, only={"pruner": ["random", "radom"]})


def test_only_picks_any_of_several_values(write: Write) -> None:
    path = write(grid={"sigma": [10, 25, 50], "lr": [1e-2, 1e-3]})
    both = spec.read(path, only={"sigma": [10, 25], "lr": [0.001]}).trajectories
    assert [trajectory.task.sigma for trajectory in both] == [10, 25]
    separate = {"grid": None, "parts": [{"fixed": {"seed": 1, "sigma": 10}}, {"fixed": {"seed": 2, "sigma": 25}}]}
    with pytest.raises(InputError, match=r"^--only seed=1, sigma=25: .*tiny.yaml has no such trajectory$"):
        spec.read(write(**separate), only={"seed": [1], "sigma": [25]})


@pytest.mark.parametrize("written", ["1e-3", "0.001", "1.0e-3", "1E-3", ".001", "0.000_001e+3"])
def test_a_number_is_one_however_it_is_written(written: str, tmp_path: Path) -> None:
    path = tmp_path / "lr.yaml"
    path.write_text(f"name: lr\nfixed: {{image: astronaut, size: 64, rounds: 0, lr: {written}}}\n")
    assert spec.read(str(path)).trajectories[0].schedule.lr == 0.001


@pytest.mark.parametrize("seeds", [200_001, 300_000_000, 10**30])
def test_seeds_are_counted_before_they_are_there(seeds: int, write: Write) -> None:
    path = write(fixed={"image": "astronaut"}, grid=None, profiles={"smoke": {"seeds": seeds}})
    with pytest.raises(InputError, match=f"tiny.yaml: grid: {seeds:,} trajectories are more than 200,000; split"):
        spec.read(path)


def test_the_trajectories_of_all_parts_are_counted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(grid=None, parts=[{"grid": {"seed": [seed, seed + 1]}} for seed in (0, 2, 4)])
    assert len(spec.read(path).entries) == 6
    monkeypatch.setattr(spec, "MAX_REQUESTS", 5)
    with pytest.raises(InputError, match=r"tiny.yaml: its parts have more than 5 trajectories; split the sweep$"):
        spec.read(path)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"steps": "banana"}, "steps: input should be a valid integer, not 'banana'"),
        ({"size": -3}, "size: input should be greater than or equal to 1, not -3"),
        ({"width": [8]}, r"width: input should be a valid integer, not \[8\]"),
    ],
)
def test_nonsense_is_refused_although_a_profile_replaces_it(keys: dict[str, Any], sentence: str, write: Write) -> None:
    path = write(fixed={"image": "astronaut"} | keys)
    with pytest.raises(InputError, match=f"tiny.yaml: {sentence}$"):
        spec.read(path, "mini")


def test_paths_in_a_sweep_file_are_expanded(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.linear_gradient("L").save(tmp_path / "one.png")
    Image.linear_gradient("L").point(lambda value: value // 128).save(tmp_path / "mask.png")
    path = write(
        fixed={"rounds": 0, "task": "inpaint", "mask": "~/mask.png"},
        grid={"image": ["~/*.png", "$HOME/one.png"]},
    )
    with pytest.raises(InputError, match="duplicate trajectory"):
        spec.read(path)
    path = write(fixed={"rounds": 0, "task": "inpaint", "mask": "~/mask.png", "image": "$HOME/one.png"})
    assert spec.read(str(Path("~", Path(path).name))).trajectories[0].task.inpaint_mask.name == "~/mask.png"


def test_a_mask_that_hides_nothing_is_refused(write: Write, tmp_path: Path) -> None:
    Image.new("L", (512, 512), 255).save(tmp_path / "white.png")
    path = write(fixed={"image": "astronaut", "task": "inpaint", "mask": str(tmp_path / "white.png")})
    with pytest.raises(InputError, match=r"tiny.yaml: mask: it hides no pixel; .*white.png must be light where"):
        spec.read(path)


def test_a_sweep_includes_others_and_shares_their_trajectories(write: Write, tmp_path: Path) -> None:
    sweep = spec.read(
        write(
            fixed=None,
            grid=None,
            include=["existence", "layers", "mine.yaml"],
            profiles={"smoke": {"rounds": 2, "seeds": 2}},
            mine={"name": "mine", "fixed": {"image": "astronaut", "seed": 0}},
        )
    )
    counts = Counter(entry.experiment for entry in sweep.entries)
    assert counts == {"existence": 12, "layers": 6, "mine": 1}, "two seeds, as the including sweep says"
    # those of layers and mine, six of them, stand in existence too
    assert len(sweep.trajectories) == 12
    assert {t.rounds for t in sweep.trajectories} == {2}
    points = Plan(sweep).points()
    assert Counter(point["experiment"] for point in points) == {name: 3 * n for name, n in counts.items()}


def test_a_sweep_may_include_others_and_have_points_of_its_own(write: Write) -> None:
    sweep = spec.read(write(include=["bird"]))
    assert Counter(entry.experiment for entry in sweep.entries) == {"tiny": 2, "bird": 3}


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"include": ["existance"]}, "did you mean 'existence'"),
        ({"include": ["bird", "bird"]}, "include: duplicate sweep"),
        ({"include": ["tiny.yaml"], "name": "tiny"}, "includes this sweep itself"),
        ({"include": "bird"}, "include: input should be a valid list"),
    ],
)
def test_a_bad_inclusion_is_refused(blocks: dict[str, object], message: str, write: Write) -> None:
    with pytest.raises(InputError, match=message):
        spec.read(write(**blocks))


def test_images_and_weights_are_asked_for_by_the_experiments_that_say_so(write: Write) -> None:
    asks = {"name": "asks", "outputs": True, "weights": True, "fixed": {"image": "astronaut", "sparsities": [0.488]}}
    sweep = spec.read(write(grid={"pruner": ["imp"]}, include=["asks.yaml"], asks=asks, outputs=False))
    (own, other) = sweep.trajectories
    assert sweep.outputs == sweep.weights == {fit.id for fit in other.fits}
    assert own.fits[0].id in sweep.outputs, "the dense fit, which both share"
    assert own.fits[1].id not in sweep.outputs
    assert sweep.small == frozenset()


@pytest.mark.parametrize(("size", "kept"), [(spec.SMALL, True), (spec.SMALL + 8, False)])
def test_small_images_are_kept_but_not_asked_for(write: Write, size: int, kept: bool) -> None:
    sweep = spec.read(write(profiles={"smoke": {"size": size}}))
    assert sweep.outputs == frozenset()
    assert sweep.small == ({fit.id for trajectory in sweep.trajectories for fit in trajectory.fits} if kept else set())


def test_a_profile_puts_other_values_in_place_of_the_files(write: Write) -> None:
    path = write(
        fixed={"rounds": 1},
        grid={"image": ["astronaut", "chelsea"], "source_image": [["chelsea", "coffee"], "astronaut"]},
        profiles={
            "smoke": {
                "replace": {
                    "image": {"chelsea": ["coffee", "rocket"]},
                    "source_image": {"coffee": ["rocket", "retina"], "astronaut": "chelsea"},
                }
            }
        },
    )
    points = {(t.picture.name, t.source_image) for t in spec.read(path, "smoke").trajectories}
    several = "chelsea+rocket+retina"
    assert points == {(name, of) for name in ("astronaut", "coffee", "rocket") for of in (several, "chelsea")}
    assert {t.picture.name for t in spec.read(path, "mini").trajectories} == {"astronaut", "chelsea"}


def test_what_a_profile_replaces_must_stand_in_the_file(write: Write) -> None:
    for table, message in (
        ({"image": {"chelsae": "coffee"}}, "replace: no value 'chelsae' for image; values are: astronaut"),
        ({"factor": {4: 8}}, "replace: no value 4 for factor; the file has no such key"),
    ):
        with pytest.raises(InputError, match=message):
            spec.read(write(profiles={"paper": {"replace": table}}))


def test_a_profile_sets_no_rounds_where_there_are_to_be_none(write: Write) -> None:
    (trajectory,) = spec.read(write(fixed={"image": "astronaut", "rounds": 0}, grid={})).trajectories
    assert len(trajectory.fits) == 1


SHIPPED = sorted(path.stem for path in spec.SPECS.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_planned_in_every_profile(name: str, shipped: Shipped, tmp_path: Path) -> None:
    for profile in PROFILES:
        sweep = shipped(name, profile)
        plan = Plan.make(sweep, Ledger(tmp_path))
        results = {point["fit"] for point in plan.points()}
        assert len(plan.fits) == len(results) + sum(plan.counts.extra.values())
        built: set[str] = set()
        for key, fit in plan.fits.items():
            assert {source.id for source in fit.dependencies} <= built, "each after those it builds on"
            built.add(key)
        assert sweep.outputs <= results
        if profile == "smoke":
            assert max(fit.schedule.steps for fit in plan.fits.values()) <= 100
        if profile == "paper":
            assert not {t.picture.name for t in sweep.trajectories} & PHOTOGRAPHS or name in WITH_PHOTOGRAPHS


@pytest.mark.parametrize("name", SHIPPED)
def test_the_header_of_a_shipped_sweep_tells_its_command_and_true_cost(
    name: str, shipped: Shipped, tmp_path: Path
) -> None:
    text = (spec.SPECS / f"{name}.yaml").read_text()
    assert re.search(rf"^#   python -m sweeps run {name}\b", text, re.MULTILINE)
    assert "# Expected    " in text
    (fits,) = re.findall(r"^# Cost .*?(\d+) fits", text, re.MULTILINE)
    plan = Plan.make(shipped(name, "smoke" if name == "smoke" else "mini"), Ledger(tmp_path))
    at_most = sum(times * len(more) for study in plan.studies for times, more in study.to_come(1000))
    assert int(fits) == len(plan.fits) + at_most


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_the_same_whether_its_profile_is_named_or_not(name: str, shipped: Shipped) -> None:
    """They have their sizes where they belong, so that nothing is replaced."""
    unnamed = shipped(name, None)
    named = shipped(name, unnamed.profile)
    assert [t.id for t in named.trajectories] == [t.id for t in unnamed.trajectories]
    assert named.replaced == []
