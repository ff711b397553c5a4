from __future__ import annotations

from dataclasses import replace

import pytest

import analysis
from lip.errors import InputError


def test_a_row_per_trajectory_and_round_with_the_dense_fit_in_each(invented):
    invented.sweep([invented.trajectory(pruner=pruner, rounds=2) for pruner in ("imp", "random")])
    frames = analysis.load(invented.folder, "invented")
    assert frames.fits["pruner"].tolist() == ["imp"] * 3 + ["random"] * 3
    assert frames.fits["mask_kind"].tolist() == ["dense", "imp", "imp", "dense", "random", "random"]
    assert frames.fits["round"].tolist() == [0, 1, 2, 0, 1, 2]
    dense = frames.fits.loc[frames.fits["round"] == 0, "fit"]
    assert dense.nunique() == 1
    assert (frames.planned, frames.missing) == (5, 0)


def test_masks_come_from_the_image_itself_unless_said_otherwise(invented):
    invented.sweep([invented.trajectory("cat"), invented.trajectory("cat", source="dog")])
    fits = analysis.load(invented.folder, "invented").fits
    assert fits.groupby("trajectory")["source_image"].unique().str.join("").to_dict() == {
        "cat-None-imp-0-0": "cat",
        "cat-dog-imp-0-0": "dog",
    }
    assert fits.loc[fits["round"] > 0, "mask_image"].tolist() == ["cat"] * 3 + ["dog"] * 3


def test_what_is_missing_is_counted_once_and_its_command_named(invented):
    def psnr(pruner, round, **_):
        return None if round == 0 or pruner == "random" else 30.0

    invented.sweep([invented.trajectory(pruner=pruner, rounds=2) for pruner in ("imp", "random")], psnr)
    frames = analysis.load(invented.folder, "invented")
    assert (frames.planned, frames.missing) == (5, 3)
    assert frames.fits["round"].tolist() == [1, 2]
    assert frames.command == f"python -m sweeps run invented --profile smoke --storage {invented.folder}"


def test_the_command_is_as_short_as_it_can_be_and_quoted_where_it_must(invented, monkeypatch, tmp_path):
    invented.sweep([invented.trajectory(rounds=1)])
    monkeypatch.chdir(tmp_path)
    assert analysis.load(sweep="invented").command == "python -m sweeps run invented --profile smoke"
    (tmp_path / "my results").symlink_to(invented.folder)
    assert analysis.load("my results", "invented").command.endswith("--storage 'my results'")


def test_a_sweep_of_ones_own_is_loaded_and_run_by_its_file(invented):
    invented.sweep([invented.trajectory(rounds=1)], lambda round, **_: 30.0 if round else None)
    frames = analysis.load(invented.folder, "my sweeps/invented.yaml")
    assert (frames.sweep, frames.missing) == ("invented", 1)
    assert frames.command.startswith("python -m sweeps run 'my sweeps/invented.yaml' --profile smoke")
    assert frames.command_for("bird").startswith("python -m sweeps run bird --profile smoke")
    with pytest.raises(InputError, match=r"start it with python -m sweeps run other\.yaml"):
        analysis.load(invented.folder, "other.yaml")


@pytest.mark.parametrize("published", [True, False])
def test_columns_and_dtypes_are_as_documented_whatever_is_there(invented, published):
    invented.sweep([invented.trajectory(rounds=1)], lambda **_: 30.0 if published else None)
    frames = analysis.load(invented.folder, "invented")
    assert len(frames.fits) == 2 * published
    for name, columns in analysis.COLUMNS.items():
        frame = getattr(frames, name)
        assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == {
            column: dtype for column, (dtype, _) in columns.items()
        }


def test_a_sweep_that_includes_others_has_their_parts(paper):
    part = paper.part("bird")
    assert set(part.fits["experiment"]) == set(part.points["experiment"]) == {"bird"}
    assert len(part.fits) == part.planned == 3 * 14
    assert set(part.curves["fit"]) == set(part.fits["fit"])
    assert paper.part("nothing").fits.empty
    alone = replace(paper, points=part.points, fits=part.fits)
    assert alone.part("existence").fits is alone.fits, "a single experiment is taken as a whole"


def test_layers_are_long_and_carry_the_axes(invented):
    invented.sweep([invented.trajectory(rounds=1)], values=lambda round, **_: {"layer_kept": [1000, 500, 250, 0]})
    layers = analysis.load(invented.folder, "invented").layers
    assert layers["layer"].tolist() == [0, 1, 2, 3] * 2
    assert layers["layer_name"].tolist() == ["first", "second", "third", "fourth"] * 2
    assert layers["sparsity"].tolist() == [0, 0.5, 0.75, 1] * 2
    assert layers["round"].tolist() == [0] * 4 + [1] * 4


def test_curves_of_different_kinds_of_fits_lie_side_by_side(invented):
    def values(image, **_):
        if image == "cat":
            return {}
        return {"curve_psnr": None, "curve_accuracy": [0.25, 0.75], "curve_step": [1, 2]}

    invented.sweep([invented.trajectory(image, rounds=0) for image in ("cat", "digits")], values=values)
    curves = analysis.load(invented.folder, "invented").curves.set_index("image")
    assert curves.loc["cat", "psnr"].tolist() == [1, 2]
    assert curves.loc["digits", "accuracy"].tolist() == [0.25, 0.75]
    assert curves.loc["digits", "psnr"].isna().all()
    assert curves.loc["cat", "accuracy"].isna().all()


def test_curves_are_long_and_follow_a_selection_of_fits(measured):
    frames = analysis.load(measured, "tiny")
    curves = frames.curves
    assert {"step", "loss", "psnr", "psnr_ema", "ssim", "ssim_ema", "pruner", "seed"} <= set(curves.columns)
    assert curves["row"].nunique() == len(frames.fits)
    last = curves.groupby("row")["step"].max()
    assert (last == 20).all()
    some = replace(frames, fits=frames.fits.query("pruner == 'snip'"))
    assert set(some.curves["pruner"]) == {"snip"}


def test_without_a_sweep_every_fit_stands_once(measured):
    frames = analysis.load(measured)
    assert frames.fits["fit"].is_unique
    assert {"dense", "imp", "random", "snip"} == set(frames.fits["mask_kind"])
    assert set(frames.layers["mask_kind"]) == set(frames.fits["mask_kind"])
    assert (frames.planned, frames.missing) == (0, 0)


def test_recorded_lists_sweeps(invented):
    invented.sweep([invented.trajectory(rounds=2)], name="one")
    invented.sweep([invented.trajectory(rounds=1)], name="one", profile="mini")
    assert analysis.recorded(invented.folder).to_dict("records") == [
        {"sweep": "one", "profile": "mini", "fits": 2},
        {"sweep": "one", "profile": "smoke", "fits": 3},
    ]


def test_profiles_are_never_mixed(invented):
    invented.sweep([invented.trajectory(rounds=1)])
    invented.sweep([invented.trajectory(rounds=2)], profile="mini")
    with pytest.raises(InputError, match="profiles mini, smoke, which are never averaged; choose one with --profile"):
        analysis.load(invented.folder, "invented")
    assert analysis.load(invented.folder, "invented", "mini").fits["round"].max() == 2
    with pytest.raises(InputError, match=r"profile 'smok'; .*--profile smok --storage .* \(did you mean 'smoke'"):
        analysis.load(invented.folder, "invented", "smok")


def test_unknown_names_are_refused_with_the_remedy(invented):
    invented.sweep([invented.trajectory(rounds=1)])
    with pytest.raises(InputError, match=r"no sweep 'invente' .* run invente --storage .* \(did you mean 'invented'"):
        analysis.load(invented.folder, "invente")
    with pytest.raises(InputError, match="profile 'smoke' alone selects nothing"):
        analysis.load(invented.folder, profile="smoke")
    with pytest.raises(InputError, match=r"no results folder .*--storage or LIP_STORAGE"):
        analysis.load(invented.folder / "elsewhere", "invented")


def test_an_empty_results_folder_says_what_to_start_and_where(tmp_path):
    with pytest.raises(InputError) as refused:
        analysis.load(tmp_path, "existence", "mini")
    started = f"start it with python -m sweeps run existence --profile mini --storage {tmp_path}"
    assert str(refused.value) == f"no sweep 'existence' was started here; {started}"


def test_storage_comes_from_the_environment(invented, monkeypatch):
    invented.sweep([invented.trajectory(rounds=1)])
    monkeypatch.setenv("LIP_STORAGE", str(invented.folder))
    assert len(analysis.load(sweep="invented").fits) == 2
