"""From fits to scores, paired differences and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.frames import AXES
from analysis.plots import OUTPUTS

PLAIN = {"round": "float64", "collapsed": "bool", "seed": "int64", "kept_parameters": "int64"}
"""dtypes that figures and statistics take; a level between two rounds has round nan."""


def scores(fits: pd.DataFrame, *also: str) -> pd.DataFrame:
    """One row per fit and reported output: the axes, sparsity, kept_parameters, collapsed, psnr and psnr_ema.

    PSNR that is not finite is nan. `also` names further columns of the fits.
    """
    common = fits[["fit", "prior", *AXES, "sparsity", "kept_parameters", "collapsed", *also]].astype(PLAIN)
    long = pd.concat(
        [
            common.assign(output=output, psnr=fits[f"psnr_{output}"], psnr_ema=fits[f"psnr_{output}_ema"])
            for output in OUTPUTS
        ],
        ignore_index=True,
    )
    measured = ["psnr", "psnr_ema"]
    return long.assign(**{name: long[name].where(np.isfinite(long[name])) for name in measured})


def minus(rows: pd.DataFrame, baseline: pd.DataFrame, on: list[str], value: str = "psnr_ema") -> pd.Series:
    """A value, PSNR of the averaged outputs, less that of the paired baseline (nan where there is none), as rows."""
    other = baseline.drop_duplicates(on).set_index(on)[value].rename("baseline")
    return rows[value] - rows.join(other, on=on)["baseline"]


def blocks(rows: pd.DataFrame, values: str, cells: list[str]) -> pd.DataFrame:
    """Effects for `stats.judge`: a row per seed, a column per cell."""
    return rows.pivot(index="seed", columns=cells, values=values)


def of(rows: pd.DataFrame, output: str) -> pd.DataFrame:
    """The rows of one reported output."""
    return rows[rows["output"] == output]


def summary(rows: pd.DataFrame, by: list[str], difference: str, x: str = "round") -> pd.DataFrame:
    """An exhibit's table: means and standard deviations over seeds, `difference` being the column of differences."""
    return (
        rows.groupby([*by, x, "output"], sort=False, dropna=False)
        .agg(
            sparsity=("sparsity", "mean"),
            kept_parameters=("kept_parameters", "mean"),
            seeds=("seed", "nunique"),
            psnr_ema=("psnr_ema", "mean"),
            psnr_ema_std=("psnr_ema", "std"),
            psnr_raw=("psnr", "mean"),
            psnr_raw_std=("psnr", "std"),
            **{difference: (difference, "mean")},
            collapsed=("collapsed", "sum"),
        )
        .reset_index()
        .sort_values([*by, "output", "sparsity"], key=_ordered, ignore_index=True)
    )


def _ordered(column: pd.Series) -> pd.Series:
    return column.map(list(OUTPUTS).index) if column.name == "output" else column
