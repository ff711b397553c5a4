"""From fits to scores, paired differences and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.frames import AXES
from analysis.plots import OUTPUTS


def scores(fits: pd.DataFrame) -> pd.DataFrame:
    """One row per fit and reported output: the axes, sparsity, collapsed, psnr and psnr_ema (nan if not finite)."""
    common = fits[["fit", *AXES, "sparsity", "collapsed"]]
    long = pd.concat(
        [
            common.assign(output=output, psnr=fits[f"psnr_{output}"], psnr_ema=fits[f"psnr_{output}_ema"])
            for output in OUTPUTS
        ],
        ignore_index=True,
    )
    values = ["psnr", "psnr_ema"]
    return long.assign(**{name: long[name].where(np.isfinite(long[name])) for name in values})


def minus(rows: pd.DataFrame, baseline: pd.DataFrame, on: list[str]) -> pd.Series:
    """PSNR of the averaged outputs less that of the paired baseline (nan where there is none), as rows."""
    other = baseline.set_index(on)["psnr_ema"].rename("baseline")
    return rows["psnr_ema"] - rows.join(other, on=on)["baseline"]


def blocks(rows: pd.DataFrame, values: str, cells: list[str]) -> pd.DataFrame:
    """Effects for `stats.judge`: a row per seed, a column per cell."""
    return rows.pivot(index="seed", columns=cells, values=values)


def summary(rows: pd.DataFrame, by: list[str], difference: str) -> pd.DataFrame:
    """An exhibit's table: means and standard deviations over seeds, `difference` being the column of differences."""
    return (
        rows.groupby([*by, "round", "output"], sort=False)
        .agg(
            sparsity=("sparsity", "mean"),
            seeds=("seed", "nunique"),
            psnr_ema=("psnr_ema", "mean"),
            psnr_ema_std=("psnr_ema", "std"),
            psnr_raw=("psnr", "mean"),
            psnr_raw_std=("psnr", "std"),
            **{difference: (difference, "mean")},
            collapsed=("collapsed", "sum"),
        )
        .reset_index()
        .sort_values([*by, "output", "round"], key=_ordered, ignore_index=True)
    )


def _ordered(column: pd.Series) -> pd.Series:
    return column.map(list(OUTPUTS).index) if column.name == "output" else column
