"""From fits to scores, paired differences and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.frames import EXCLUDED, FAULTS
from lip.ledger.schema import AXES, OUTPUTS
from lip.tasks import TASKS

PLAIN = {"round": "float64", **dict.fromkeys(FAULTS, "bool"), "seed": "int64", "kept_parameters": "int64"}
"""dtypes that figures and statistics take; a level between two rounds has round nan."""

PROTOCOLS = {"raw": "raw", "ema": "averaged"}
"""Which output a PSNR is of: the output itself, or the averaged ones. Published protocols differ in it by task."""

FAULT_COUNTS = {name: (name, "sum") for name in FAULTS}
"""For `agg`: how many fits of each fault a row of a table stands for."""


def scores_of(fits: pd.DataFrame, *also: str) -> pd.DataFrame:
    """Return one row per fit and reported output: the axes, sparsity, kept_parameters, FAULTS and PSNRs.

    `peak_less_last` is what a fit loses after its oracle peak.
    `psnr` is that of the output which the task's published protocol reports, `psnr_raw` that of the output itself and
    `psnr_ema` that of the averaged ones. Values that are not finite become nan. `also` names further
    columns of the fits.
    """
    common = fits[["fit", "prior", *AXES, "sparsity", "kept_parameters", *FAULTS, *also]].astype(PLAIN)
    common["peak_less_last"] = published_psnr(fits, "peak") - published_psnr(fits, "last")
    long = pd.concat(
        [
            common.assign(
                output=output,
                psnr=published_psnr(fits, output),
                psnr_raw=fits[f"psnr_{output}"],
                psnr_ema=fits[f"psnr_{output}_ema"],
            )
            for output in OUTPUTS
        ],
        ignore_index=True,
    )
    measured = ["psnr", "psnr_raw", "psnr_ema", "peak_less_last"]
    return long.assign(**{name: long[name].where(np.isfinite(long[name])) for name in measured})


def published_psnr(fits: pd.DataFrame, output: str) -> pd.Series:
    """Return the PSNR of the output that the published protocol of a fit's task reports: averaged or not."""
    averaged = fits["task"].map(reports_average).astype("bool")
    return fits[f"psnr_{output}_ema"].where(averaged, fits[f"psnr_{output}"])


def reports_average(task: str) -> bool:
    """Tell whether the published protocol of a task reports averaged outputs."""
    return TASKS[task].reports_average


def is_excluded(rows: pd.DataFrame) -> pd.Series:
    """Mark fits that say nothing about their network: EXCLUDED."""
    return rows[[name for name in EXCLUDED if name in rows]].eq(True).any(axis="columns")


def difference(rows: pd.DataFrame, baseline: pd.DataFrame, on: list[str], value: str = "psnr") -> pd.Series:
    """Subtract the paired baseline from a value; nan where there is none, or where one of the two is excluded."""
    paired = baseline.drop_duplicates(on).set_index(on)
    other = paired[value].mask(is_excluded(paired)).rename("baseline")
    return rows[value].mask(is_excluded(rows)) - rows.join(other, on=on)["baseline"]


def paired_effects(rows: pd.DataFrame, value: str, cells: list[str]) -> pd.DataFrame:
    """Arrange a value for `stats.judge`: a row per seed, a column per combination of `cells`."""
    kept = rows.assign(**{value: rows[value].mask(is_excluded(rows))})
    return kept.pivot(index="seed", columns=cells, values=value)


def select_output(rows: pd.DataFrame, output: str) -> pd.DataFrame:
    """Return the rows of one reported output."""
    return rows[rows["output"] == output]


def summary(rows: pd.DataFrame, by: list[str], column: str, x: str = "round") -> pd.DataFrame:
    """Return means and standard deviations over seeds; `column` is one of differences."""
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
            **{column: (column, "mean")},
            **FAULT_COUNTS,
        )
        .reset_index()
        .sort_values([*by, "output", "sparsity"], key=_outputs_in_order, ignore_index=True)
    )


def _outputs_in_order(column: pd.Series) -> pd.Series:
    return column.map(list(OUTPUTS).index) if column.name == "output" else column


def task_and_image(rows: pd.DataFrame) -> pd.Series:
    """Name the panel of a fit: `superres ×4, coffee`."""
    return task_and_factor(rows) + ", " + rows["image"]


def task_and_factor(rows: pd.DataFrame) -> pd.Series:
    """Name the task of a fit: `denoise`, `superres ×4`."""
    factor = rows["factor"].map(lambda value: "" if pd.isna(value) else f" ×{value}").astype("str")
    return rows["task"] + factor
