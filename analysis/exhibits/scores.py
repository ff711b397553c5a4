"""From fits to scores, paired differences and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.frames import FAULTS, LEFT_OUT
from analysis.plots import OUTPUTS
from lip.ledger.schema import AXES
from lip.tasks import TASKS

PLAIN = {"round": "float64", **dict.fromkeys(FAULTS, "bool"), "seed": "int64", "kept_parameters": "int64"}
"""dtypes that figures and statistics take; a level between two rounds has round nan."""

FAULT_COUNTS = {name: (name, "sum") for name in FAULTS}
"""For `agg`: how many fits of each fault a row of a table stands for."""


def scores(fits: pd.DataFrame, *also: str) -> pd.DataFrame:
    """One row per fit and reported output: the axes, sparsity, kept_parameters, FAULTS and PSNRs.

    `psnr` is that of the output which the task's published protocol reports, `psnr_raw` that of the output itself and
    `psnr_ema` that of the averaged ones. What is not finite is nan. `also` names further columns of the fits.
    """
    common = fits[["fit", "prior", *AXES, "sparsity", "kept_parameters", *FAULTS, *also]].astype(PLAIN)
    long = pd.concat(
        [
            common.assign(
                output=output,
                psnr=published(fits, output),
                psnr_raw=fits[f"psnr_{output}"],
                psnr_ema=fits[f"psnr_{output}_ema"],
            )
            for output in OUTPUTS
        ],
        ignore_index=True,
    )
    measured = ["psnr", "psnr_raw", "psnr_ema"]
    return long.assign(**{name: long[name].where(np.isfinite(long[name])) for name in measured})


def published(fits: pd.DataFrame, output: str) -> pd.Series:
    """PSNR of the output that the published protocol of a fit's task reports: averaged or not."""
    averaged = fits["task"].map(averages).astype("bool")
    return fits[f"psnr_{output}_ema"].where(averaged, fits[f"psnr_{output}"])


def averages(task: str) -> bool:
    """Tell whether the published protocol of a task reports averaged outputs."""
    return TASKS[task].reports_average


def unsound(rows: pd.DataFrame) -> pd.Series:
    """Marks fits that say nothing about their network: LEFT_OUT."""
    return rows[[name for name in LEFT_OUT if name in rows]].eq(True).any(axis="columns")


def minus(rows: pd.DataFrame, baseline: pd.DataFrame, on: list[str], value: str = "psnr") -> pd.Series:
    """A value less that of the paired baseline, as rows; nan where there is none, or one of the two is unsound."""
    paired = baseline.drop_duplicates(on).set_index(on)
    other = paired[value].mask(unsound(paired)).rename("baseline")
    return rows[value].mask(unsound(rows)) - rows.join(other, on=on)["baseline"]


def blocks(rows: pd.DataFrame, values: str, cells: list[str]) -> pd.DataFrame:
    """Effects for `stats.judge`: a row per seed, a column per cell."""
    sound = rows.assign(**{values: rows[values].mask(unsound(rows))})
    return sound.pivot(index="seed", columns=cells, values=values)


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
            **{
                f"{name}{end}": (name, how)
                for name in ("psnr", "psnr_ema", "psnr_raw")
                for end, how in (("", "mean"), ("_std", "std"))
            },
            **{difference: (difference, "mean")},
            **FAULT_COUNTS,
        )
        .reset_index()
        .sort_values([*by, "output", "sparsity"], key=_ordered, ignore_index=True)
    )


def _ordered(column: pd.Series) -> pd.Series:
    return column.map(list(OUTPUTS).index) if column.name == "output" else column
