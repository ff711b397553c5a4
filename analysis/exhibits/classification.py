"""Fig 6 and 7 (c, f): do tickets of restoration serve classification, or those of classifiers restoration?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import paper
from analysis.claims import HERE, NEGATIVE, Claim
from analysis.exhibits.curves import nearest_rounds
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.layers import layer_table, plain_layers, rounds_note
from analysis.exhibits.rows import Rows, as_in_paper, from_theta_0, own_image, own_task, pruned
from analysis.exhibits.scores import FAULT_COUNTS, PLAIN, difference, published_psnr
from analysis.frames import FAULTS, Frames
from analysis.panels import AXIS_LABELS, dense_line, draw_lines, layer_panels, legend, panel_grid, sparsity_axis
from analysis.stats import Region
from analysis.style import BROWN, PRUNER_STYLES, PURPLE, assign_styles, style_context
from analysis.text import shorten
from lip.ledger.schema import AXES, OUTPUTS

OWN, RANDOM, OTHER, SHUFFLED = "own tickets", "random", "tickets of the other", "shuffled"
STYLES = {OWN: PRUNER_STYLES["imp"], RANDOM: PRUNER_STYLES["random"], OTHER: PURPLE, SHUFFLED: BROWN}
LABELS = {
    OWN: OWN,
    RANDOM: "random pruning",
    OTHER: "tickets of the other task",
    SHUFFLED: "these, shuffled in each layer",
}
MEASURES = {"classify": "accuracy (%)", "denoise": "PSNR (dB)"}
ACCURACIES = ("peak", "last")
"""The outputs that a classification has: the best of all epochs and the last."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    """Mark rounds of denoising and classification, with masks of their own, random ones, or the other's."""
    known = rows["task"].isin(list(MEASURES)) & rows["source_task"].isin(list(MEASURES))
    own = rows["pruner"].isin(["imp", "random"]) & own_task(rows) & own_image(rows)
    other = rows["pruner"].isin(["imp", "shuffled"]) & ~own_task(rows)
    return as_in_paper(rows) & known & from_theta_0(rows) & (own | other)


def _transferred(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & ~own_task(rows) & (rows["pruner"] == "imp") & pruned(rows)


def _own_tickets(rows: pd.DataFrame) -> pd.Series:
    own = own_task(rows) & (rows["pruner"] == "imp") & pruned(rows)
    return _shown(rows) & (rows["task"] == "classify") & own


def _make(frames: Frames) -> Contents:
    """Show accuracy and PSNR over sparsity, of own, random and the other task's tickets."""
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"].isin(fits.loc[_transferred(fits), "image"])]
    scores = _scores(fits)
    return Contents(
        caption="Accuracy on the test pictures, or PSNR of the averaged output, over sparsity. Line: mean over seeds;"
        " band: one standard deviation; the dashed line is the dense net. Masks from the other task do not prune the"
        " layers that their own net does not have (the two convolutions that see code or pictures, and the output"
        " convolution), so their true sparsity, in the table, is lower; shuffled ones have the same in every layer. The"
        " table also has Wilson's 95 % interval of an accuracy, from the number of test pictures.",
        frame=_table(scores),
        figure=_figure(scores),
        fits=fits,
        effects=scores,
    )


def _make_layers(frames: Frames) -> Contents:
    """Show the sparsity of every layer in the classifier's own tickets."""
    fits = frames.fits[_own_tickets(frames.fits)]
    fits = fits[fits["round"].isin(nearest_rounds(fits["round"], paper.LAYER_ROUNDS))]
    layers = plain_layers(frames.only(fits))
    means = layers.groupby(["pruner", "round", "seed", "layer"])["sparsity"].mean().reset_index()
    labels = {"imp": "IMP on classification"}
    return Contents(
        caption="Share of each layer's weights that is pruned in tickets of the classifier, by layer number in module"
        " order; the dotted line is the whole network's share. Line: mean over seeds; band: one standard deviation.",
        frame=layer_table(layers, ["image", "round", "layer", "layer_name", "size"]),
        figure=layer_panels(means, labels, assign_styles(list(labels))),
        fits=fits,
        effects=_middle_effects(layers),
    )


def _middle_effects(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the sparsity of the middle third of the layers less that of the others, in points."""
    count = layers["layer"].max() + 1
    middle = (layers["layer"] >= count / 3) & (layers["layer"] < 2 * count / 3)
    parts = layers.assign(middle=middle).groupby(["image", "seed", "round", "middle"])["sparsity"].mean().unstack()
    return (100 * (parts[True] - parts[False])).rename("middle_less_others").reset_index()


def _scores(fits: pd.DataFrame) -> pd.DataFrame:
    """Return one row per fit and output: axes, masks, sparsity, `value` (accuracy in % or PSNR in dB), differences."""
    common = fits[["fit", *AXES, "sparsity", "kept_parameters", *FAULTS, "test_images"]].astype(PLAIN)
    from_other = common["pruner"].map({"imp": OTHER, "shuffled": SHUFFLED})
    common["masks"] = common["pruner"].map({"imp": OWN, "random": RANDOM}).where(own_task(common), from_other)
    accuracy = {output: 100 * fits[f"accuracy_{output}"] for output in ACCURACIES}
    values = {output: published_psnr(fits, output).fillna(accuracy.get(output, np.nan)) for output in OUTPUTS}
    long = pd.concat([common.assign(output=name, value=value) for name, value in values.items()], ignore_index=True)
    scores = long[np.isfinite(long["value"])]
    at = ["task", "image", "seed", "round", "output"]
    names = {"minus_own": OWN, "minus_random": RANDOM, "minus_shuffled": SHUFFLED}
    return scores.assign(
        **{name: difference(scores, scores[scores["masks"] == masks], at, "value") for name, masks in names.items()}
    )


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    table = (
        scores.groupby(["task", "image", "masks", "round", "output"], sort=False)
        .agg(
            sparsity=("sparsity", "mean"),
            seeds=("seed", "nunique"),
            test_images=("test_images", "first"),
            value=("value", "mean"),
            value_std=("value", "std"),
            minus_own=("minus_own", "mean"),
            minus_random=("minus_random", "mean"),
            minus_shuffled=("minus_shuffled", "mean"),
            **FAULT_COUNTS,
        )
        .reset_index()
    )
    low, high = _wilson(table["value"] / 100, table["test_images"].astype("float64"))
    return table.assign(value_low=100 * low, value_high=100 * high, measure=table["task"].map(MEASURES))


def _wilson(share: pd.Series, of: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return Wilson's 95 % interval of a share; the plain one has no width at 0 and 1."""
    z = 1.96**2 / of
    half = np.sqrt(z * share * (1 - share) + z**2 / 4)
    return (share + z / 2 - half) / (1 + z), (share + z / 2 + half) / (1 + z)


def _figure(scores: pd.DataFrame) -> Figure:
    panels = scores[["task", "image"]].drop_duplicates().sort_values(["task", "image"])
    dense = scores[scores["round"] == 0].groupby(["task", "image", "output"])["value"].mean()
    with style_context():
        figure, axes = panel_grid(len(panels), len(ACCURACIES), height=2.3)
        for i, (task, image) in enumerate(panels.itertuples(index=False)):
            for ax, output in zip(axes[i], ACCURACIES, strict=True):
                rows = scores[(scores["task"] == task) & (scores["image"] == image) & (scores["output"] == output)]
                if (task, image, output) in dense.index:
                    dense_line(ax, dense.loc[(task, image, output)])
                draw_lines(ax, rows, "round", "value", "masks", list(LABELS), STYLES)
                sparsity_axis(ax, int(scores["round"].max()))
                ax.set_title(OUTPUTS[output] if i == 0 else "")
                ax.set_xlabel(AXIS_LABELS["round"] if i == len(panels) - 1 else "")
            axes[i, 0].set_ylabel(f"{shorten(image)}\n{MEASURES[task]}", parse_math=False)
        legend(figure, LABELS, STYLES, seeds=scores["seed"].nunique(), dense=True)
    return figure


def _taken(task: str) -> Rows:
    return lambda scores: (scores["masks"] == OTHER) & pruned(scores) & (scores["task"] == task)


classification = Custom(
    name="classification",
    title="Masks between restoration and classification (Fig. 6)",
    needed=_transferred,
    needs="ticket transferred between denoising and classification",
    make=_make,
    claims=(
        Claim(
            id="to_classify",
            statement="tickets of denoising classify worse than tickets of classification",
            paper="tickets do not transfer from restoration to classification (Fig. 6 a, c)",
            statistic="accuracy less that of the classifier's own ticket, at every round",
            region=NEGATIVE,
            unit="points",
            value="minus_own",
            rows=_taken("classify"),
            outputs=ACCURACIES,
            scopes=(HERE,),
            note=rounds_note,
        ),
        Claim(
            id="to_classify_shuffled",
            statement="tickets of denoising classify no better than the same, shuffled in each layer",
            paper="not in the paper",
            statistic="accuracy less that with as many weights of every layer, but random ones, at every round",
            region=Region(high=0),
            unit="points",
            value="minus_shuffled",
            rows=_taken("classify"),
            outputs=ACCURACIES,
            scopes=(HERE,),
            note=rounds_note,
        ),
        Claim(
            id="to_denoise",
            statement="tickets of classification denoise worse than tickets of denoising",
            paper="tickets do not transfer from classification to restoration (Fig. 6 b, d)",
            statistic="PSNR less that of the image's own ticket, at every round",
            region=NEGATIVE,
            value="minus_own",
            rows=_taken("denoise"),
            note=rounds_note,
        ),
        Claim(
            id="to_denoise_shuffled",
            statement="tickets of classification denoise no better than the same, shuffled in each layer",
            paper="not in the paper",
            statistic="PSNR less that with as many weights of every layer, but random ones, at every round",
            region=Region(high=0),
            value="minus_shuffled",
            rows=_taken("denoise"),
            note=rounds_note,
        ),
    ),
)

classifier_layers = Custom(
    name="classifier_layers",
    title="Where tickets of a classifier are pruned (Fig. 7 c, f)",
    needed=_own_tickets,
    needs="ticket of a classifier",
    experiment="classification",
    make=_make_layers,
    claims=(
        Claim(
            id="classifier_layers",
            statement="tickets of classification keep the middle layers",
            paper="tickets found on CIFAR-10 keep the middle layers (Fig. 7 c, f)",
            statistic="sparsity of the middle third of the layers less that of the others, at every round",
            region=NEGATIVE,
            unit="points",
            value="middle_less_others",
            outputs=("masks",),
            scopes=(HERE,),
            note=rounds_note,
        ),
    ),
)
