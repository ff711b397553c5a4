"""Fig 10: how readily a prior fits an image, and how reluctantly noise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.claims import NEGATIVE, POSITIVE, Claim
from analysis.exhibits.exhibit import Contents, Custom
from analysis.exhibits.rows import Rows, own_image
from analysis.exhibits.scores import difference
from analysis.frames import Frames
from analysis.panels import curve_panels
from analysis.stats import Region
from analysis.style import DENSE_STYLE, PRUNER_STYLES
from analysis.text import PRUNER_LABELS

TARGETS = {
    "clean": "clean image",
    "noisy": "image with noise",
    "shuffled": "shuffled pixels",
    "noise": "white noise",
}
SIGNAL, NOISE = ("clean", "noisy"), ("shuffled", "noise")
LABELS = {"dense": "dense"} | {name: PRUNER_LABELS[name] for name in ("imp", "random", "snip")}


def _shown(rows: pd.DataFrame) -> pd.Series:
    return (rows["task"] == "reconstruct") & own_image(rows) & (rows["compat"] == "") & rows["round"].notna()


def _make(frames: Frames) -> Contents:
    """Show training loss over steps for four targets, dense and at one sparsity."""
    fits = frames.fits[_shown(frames.fits)]
    fits = fits.assign(pruner=fits["pruner"].where(fits["round"] > 0, "dense")).drop_duplicates(["fit", "pruner"])
    level = fits.loc[fits["round"] > 0, "round"].max()
    fits = fits[fits["round"].isin([0, level])].astype({"seed": "int64"})
    losses = _losses(fits)
    curves = frames.only(fits).curves.astype({"seed": "int64", "step": "int64"})
    curves = curves.merge(fits["target"].rename("panel"), left_on="row", right_index=True)
    targets = {target: text for target, text in TARGETS.items() if target in set(fits["target"])}
    labels = {name: text for name, text in LABELS.items() if name in set(fits["pruner"])}
    styles = {**PRUNER_STYLES, "dense": DENSE_STYLE}
    sparsity = fits.loc[fits["round"] > 0, "sparsity"].mean()
    return Contents(
        caption=f"Training loss when a target is fitted directly, dense and at {100 * sparsity:.3g} % sparsity. IMP's"
        " masks were found on denoising. Line: mean over seeds; band: one standard deviation. The statistic is the loss"
        " (mean of the last 100 steps) over that of the dense prior, in dB: 10 dB is ten times the loss.",
        frame=_table(losses),
        figure=curve_panels(curves, targets, {"loss": "training loss"}, labels, styles, log=True),
        fits=fits,
        effects=losses,
    )


def _losses(fits: pd.DataFrame) -> pd.DataFrame:
    """Add the loss in dB and its difference from the dense prior's."""
    finite = fits["loss"].where(np.isfinite(fits["loss"]) & (fits["loss"] > 0))
    losses = fits.assign(loss_db=10 * np.log10(finite))
    dense = losses[losses["pruner"] == "dense"]
    of_targets = losses.pivot(index=["image", "seed", "pruner"], columns="target", values="loss_db").reindex(
        columns=list(TARGETS)
    )
    signal, noise = (of_targets[list(names)].mean(axis="columns", skipna=False) for names in (SIGNAL, NOISE))
    return losses.assign(
        over_dense=difference(losses, dense, ["image", "target", "seed"], "loss_db"),
        signal_over_noise=losses.join((signal - noise).rename("ratio"), on=["image", "seed", "pruner"])["ratio"],
    )


def _table(losses: pd.DataFrame) -> pd.DataFrame:
    groups = losses.groupby(["image", "target", "pruner"])
    return groups.agg(
        sparsity=("sparsity", "mean"),
        seeds=("seed", "nunique"),
        loss=("loss", "mean"),
        loss_std=("loss", "std"),
        loss_over_dense_db=("over_dense", "mean"),
    ).reset_index()


def _faster(pruner: str, name: str) -> Claim:
    return Claim(
        id=f"impedance_{pruner}_order",
        statement=f"{name} fits a clean and a noisy image faster than shuffled pixels and white noise",
        paper="clean and noisy images converge faster than shuffled pixels and white noise (Fig. 10)",
        statistic="final loss of clean and noisy images over that of shuffled pixels and white noise",
        region=NEGATIVE,
        value="signal_over_noise",
        rows=_of(pruner, ["clean"]),
        cells=("image",),
        every=(),
        outputs=("loss",),
    )


def _of(pruner: str, targets: Iterable[str] = TARGETS) -> Rows:
    return lambda losses: (losses["pruner"] == pruner) & losses["target"].isin(list(targets))


impedance = Custom(
    name="impedance",
    title="Impedance to noise and to signal (Fig. 10)",
    needed=_shown,
    needs="fit of a target itself",
    apart=("target",),
    make=_make,
    claims=(
        Claim(
            id="impedance_noise",
            statement="tickets of 89 % resist noise more than the dense prior",
            paper="LIP has more impedance to noise than the dense prior (Fig. 10)",
            statistic="final loss over that of the dense prior, on shuffled pixels and on white noise",
            region=POSITIVE,
            value="over_dense",
            rows=_of("imp", ["shuffled", "noise"]),
            covers={"target": ("shuffled", "noise")},
            cells=("image", "target"),
            every=("target",),
            outputs=("loss",),
        ),
        Claim(
            id="impedance_signal",
            statement="tickets of 89 % resist a clean image less than the dense prior",
            paper="LIP has less impedance to signal than the dense prior (Fig. 10)",
            statistic="final loss on the clean image over that of the dense prior",
            region=NEGATIVE,
            value="over_dense",
            rows=_of("imp", ["clean"]),
            cells=("image", "target"),
            every=("target",),
            outputs=("loss",),
        ),
        Claim(
            id="impedance_snip",
            statement="SNIP at 89 % is like the dense prior",
            paper="SNIP behaves like the dense prior (Fig. 10)",
            statistic="final loss over that of the dense prior, on every target",
            region=Region(-1, 1),
            value="over_dense",
            rows=_of("snip"),
            covers={"target": tuple(TARGETS)},
            cells=("image", "target"),
            every=("target",),
            outputs=("loss",),
        ),
        Claim(
            id="impedance_random",
            statement="random pruning at 89 % fails on every target",
            paper="random pruning fails everywhere (Fig. 10)",
            statistic="final loss over that of the dense prior, on every target; 3 dB is twice the loss",
            region=Region(low=3),
            value="over_dense",
            rows=_of("random"),
            covers={"target": tuple(TARGETS)},
            cells=("image", "target"),
            every=("target",),
            outputs=("loss",),
        ),
        _faster("dense", "the dense prior"),
        _faster("imp", "a ticket of 89 %"),
        _faster("snip", "SNIP at 89 %"),
    ),
)
