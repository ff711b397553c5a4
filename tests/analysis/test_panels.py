"""What figures show, read back from matplotlib's objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.panels import (
    MAX_PIXELS,
    PSNR_AXIS_DB,
    Tile,
    curve_panels,
    dot_panels,
    layer_panels,
    picture_sheet,
    plot,
    psnr_panels,
    stop_panels,
)
from analysis.style import DENSE_COLOR, PRUNER_STYLES, _legible, assign_styles, has_pictures, jpeg, pdf, png, svg
from lip.errors import InputError
from lip.ledger.schema import OUTPUTS


def scores(drop: float = 1.0, seeds: int = 3, **values: object) -> pd.DataFrame:
    """PSNR 30 + seed, less `drop` a round, of IMP on one image."""
    rows = [(seed, k, name) for seed in range(seeds) for k in range(3) for name in OUTPUTS]
    frame = pd.DataFrame(rows, columns=["seed", "round", "output"])
    faults = dict.fromkeys(("collapsed", "stalled", "diverged"), False)
    psnr = 30 + frame["seed"] - drop * frame["round"]
    return frame.assign(image="cat", pruner="imp", psnr=psnr, kept_parameters=10.0 ** (6 - frame["round"])).assign(
        **{**faults, **values}
    )


def panels(frame: pd.DataFrame, **options) -> list[Axes]:
    return psnr_panels(frame, "pruner", {"imp": "IMP"}, PRUNER_STYLES, **options).axes


def drawn(ax: Axes, color: str) -> list[np.ndarray]:
    return [line.get_xydata() for line in ax.lines if line.get_color() == color and len(line.get_xdata())]


def test_a_panel_shows_means_over_seeds_and_the_dense_prior():
    axes = panels(scores())
    assert [ax.get_title() for ax in axes] == list(OUTPUTS.values())
    (imp,) = drawn(axes[0], PRUNER_STYLES["imp"].color)
    assert imp.tolist() == [[0, 31], [1, 30], [2, 29]]
    (dense,) = drawn(axes[0], DENSE_COLOR)
    assert dense[:, 1].tolist() == [31, 31]


def test_the_band_is_one_standard_deviation_and_needs_two_seeds():
    (band,) = panels(scores())[0].collections[:1]
    low, high = band.get_datalim(panels(scores())[0].transData).intervaly
    assert (low, high) == pytest.approx((28, 32))
    vertices = [path.vertices for each in panels(scores(seeds=1))[0].collections for path in each.get_paths()]
    assert not [each for each in vertices if len(each) > 20], "no band"


def test_rounds_stand_at_equal_distances_under_their_sparsity():
    ax = panels(scores())[0]
    assert ax.get_xticks().tolist() == [0, 1, 2]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "20", "36"]


def test_a_collapse_does_not_flatten_the_axis():
    ax = panels(scores(drop=10.0))[0]
    assert ax.get_ylim()[0] == 30 - PSNR_AXIS_DB


def test_fits_that_did_not_train_as_meant_are_crossed_out():
    frame = scores(collapsed=lambda rows: rows["round"] == 2)
    crosses = [each for each in panels(frame)[0].collections if len(each.get_offsets()) == 3]
    assert [each.get_offsets()[:, 0].tolist() for each in crosses] == [[2, 2, 2]]


def test_another_prior_is_a_point_at_its_size():
    decoder = scores().query("round == 2").assign(pruner="decoder")
    styles = assign_styles(["imp", "decoder"])
    figure = psnr_panels(scores(), "pruner", {"imp": "IMP"}, styles, x="kept_parameters", marks=decoder)
    (point,) = drawn(figure.axes[0], styles["decoder"].color)[:1]
    assert point.tolist() == [[1e4, 29]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["IMP", "decoder", "dense", "n = 3 seeds"]


def test_panels_share_a_range_unless_it_squashes_one():
    same = panels(scores())
    assert len({ax.get_ylim() for ax in same}) == 1
    wide = scores()
    wide.loc[wide["output"] == "last", "psnr"] += 0.8 * (wide["seed"] - 1) * 10
    peak, last, stop = (ax.get_ylim() for ax in panels(wide))
    assert peak == stop
    assert last[1] - last[0] > 2 * (peak[1] - peak[0])


def test_a_plot_shows_a_column_over_sparsity():
    fits = axes_of(scores().query("output == 'peak'"))
    (ax,) = plot(fits, "psnr").axes
    assert drawn(ax, PRUNER_STYLES["imp"].color)[0].tolist() == [[0, 31], [1, 30], [2, 29]]
    assert ax.get_ylabel() == "psnr"


def test_a_plot_never_averages_over_rewinds():
    fits = axes_of(scores().query("output == 'peak'"))
    with pytest.raises(InputError, match="a line of pruner would average over rewind; select the rows of one of each"):
        plot(pd.concat([fits, fits.assign(rewind=20.0)]), "psnr")


def axes_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what else tells fits apart."""
    return rows.assign(source_image="cat", task="denoise", source_task="denoise", rewind=0.0, compat="")


def test_dots_are_means_over_seeds_in_the_order_of_the_categories():
    rows = pd.DataFrame(
        {"output": "last", "seed": [0, 1] * 2, "what": ["b", "b", "a", "a"], "line": "imp", "psnr": [1.0, 3.0, 5, 5]}
    )
    figure = dot_panels(rows, "what", "line", {"imp": "IMP"}, PRUNER_STYLES)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"], "the first one is on top"
    ax = figure.axes[list(OUTPUTS).index("last")]
    (dots,) = drawn(ax, PRUNER_STYLES["imp"].color)[:1]
    assert dots.tolist() == [[5, 0], [2, 1]]


def test_curves_have_a_panel_per_key_and_value():
    rows = pd.DataFrame({"panel": [1, 1, 2, 2], "pruner": "imp", "seed": 0, "step": [1, 10] * 2, "loss": [4, 2, 3, 1]})
    figure = curve_panels(
        rows, {1: "one", 2: "two"}, {"loss": "training loss"}, {"imp": "IMP"}, PRUNER_STYLES, log=True
    )
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert {(ax.get_xscale(), ax.get_yscale()) for ax in figure.axes} == {("log", "log")}
    (curve,) = drawn(figure.axes[1], PRUNER_STYLES["imp"].color)
    assert curve == pytest.approx(np.array([[1, 3], [10, 1]]))


def test_layers_are_percentages_beside_the_sparsity_of_the_whole():
    layers = pd.DataFrame({"round": 1, "seed": 0, "pruner": "imp", "layer": [0, 1], "sparsity": [0.1, 0.3]})
    (ax,) = layer_panels(layers, {"imp": "IMP"}, PRUNER_STYLES).axes
    assert drawn(ax, PRUNER_STYLES["imp"].color)[0].tolist() == [[0, 10], [1, 30]]
    assert drawn(ax, DENSE_COLOR)[0][:, 1].tolist() == pytest.approx([20, 20])


def test_the_pick_of_each_seed_is_marked():
    rows = scores().query("output == 'last'").assign(panel="cat", loss=1.0)
    picks = pd.Series({("cat", 0): 1.0, ("cat", 1): 2.0, ("cat", 2): float("nan")})
    figure = stop_panels(rows, picks)
    marked = figure.axes[1].collections[-1].get_offsets()
    assert sorted(map(tuple, marked.tolist())) == [(1, 29), (2, 29)]


def test_large_pictures_are_reduced_and_maps_are_not():
    picture = np.zeros((2 * MAX_PIXELS, MAX_PIXELS, 3), np.uint8)
    figure = picture_sheet([[Tile(picture), Tile(np.zeros((2 * MAX_PIXELS, MAX_PIXELS)))]], ["row"])
    shapes = [ax.images[0].get_array().shape[:2] for ax in figure.axes]
    assert shapes == [(MAX_PIXELS, MAX_PIXELS // 2), (2 * MAX_PIXELS, MAX_PIXELS)]
    assert has_pictures(figure)


def test_a_legend_fills_its_rows_alike_and_dots_have_room():
    """Five entries of which four fit are three and two, not four and one; five lines take more room than two."""
    labels = {name: 20 * name for name in ("a", "b", "c", "d")}
    styles = assign_styles(list(labels))
    rows = pd.DataFrame({"output": "last", "seed": 0, "what": "cat", "line": list(labels), "psnr": 30.0})
    figure = dot_panels(rows, "what", "line", labels, styles)
    figure.draw_without_rendering()
    columns = [round(text.get_window_extent().x0) for text in figure.legends[0].get_texts()]
    assert sorted(columns.count(x) for x in set(columns)) == [1, 2, 2]
    few = dot_panels(rows[:2], "what", "line", {"a": "a", "b": "b"}, styles)
    assert figure.get_figheight() > few.get_figheight()


def test_a_pruner_without_a_fixed_style_gets_one_of_its_own():
    styles = assign_styles(["imp", "synflow", "grasp"])
    assert styles["imp"] == PRUNER_STYLES["imp"]
    assert len({styles[name].color for name in ("imp", "random", "snip", "synflow", "grasp")}) == 5


def test_files_are_of_their_kind_and_carry_no_date():
    figure = picture_sheet([[Tile(np.zeros((4, 4, 3), np.uint8))]], ["row"])
    assert jpeg(figure).startswith(b"\xff\xd8")
    assert png(figure).startswith(b"\x89PNG")
    assert svg(figure).startswith(b"<?xml")
    assert b"<dc:date>" not in svg(figure)


def test_a_name_that_no_font_can_show_is_written_by_its_code() -> None:
    figure = Figure()
    title = figure.suptitle("\U00013000 é σ")
    for save in (png, pdf, jpeg):
        assert save(figure)  # a missing glyph would be a warning, and so an error
    with _legible(figure):
        assert title.get_text() == r"\U00013000 é σ"
    assert title.get_text() == "\U00013000 é σ"
    assert "\U00013000 é σ" in svg(figure).decode()
