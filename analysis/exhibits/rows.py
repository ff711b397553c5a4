"""Filters of fits: each marks the rows of a data frame. They use the axes only, so they filter planned points too."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

Rows = Callable[[pd.DataFrame], pd.Series]


def as_in_paper(rows: pd.DataFrame) -> pd.Series:
    """Mark whole rounds without any deviation of the released code."""
    return (rows["compat"] == "") & rows["round"].notna()


def own_image(rows: pd.DataFrame) -> pd.Series:
    """Mark masks that were found on the image itself."""
    return rows["source_image"] == rows["image"]


def own_task(rows: pd.DataFrame) -> pd.Series:
    """Mark masks that were found on the task itself."""
    return rows["source_task"] == rows["task"]


def denoising(rows: pd.DataFrame) -> pd.Series:
    """Mark whole rounds of denoising with masks of denoising, as in the paper."""
    return (rows["task"] == "denoise") & own_task(rows) & as_in_paper(rows)


def native(rows: pd.DataFrame) -> pd.Series:
    """Mark whole rounds of denoising with masks of the image itself, as in the paper."""
    return denoising(rows) & own_image(rows)


def from_theta_0(rows: pd.DataFrame) -> pd.Series:
    """Mark trajectories that rewind to the initial weights."""
    return rows["rewind"] == 0


def imp(rows: pd.DataFrame) -> pd.Series:
    """Mark trajectories of iterative magnitude pruning, with their dense round."""
    return rows["pruner"] == "imp"


def pruned(rows: pd.DataFrame) -> pd.Series:
    """Mark whole rounds after the dense one."""
    return (rows["round"] > 0).fillna(False)


def native_imp(rows: pd.DataFrame) -> pd.Series:
    """Mark IMP on denoising with masks of the image itself, rewound to theta_0."""
    return native(rows) & imp(rows) & from_theta_0(rows)


def restoring_imp(rows: pd.DataFrame) -> pd.Series:
    """Mark IMP on tasks that are scored, with masks of the same image and task, rewound to theta_0."""
    scored = ~rows["task"].isin(["reconstruct", "restore"])
    return as_in_paper(rows) & own_image(rows) & own_task(rows) & scored & imp(rows) & from_theta_0(rows)


def several_images(rows: pd.DataFrame) -> pd.Series:
    """Mark masks that were found on several images together."""
    return rows["source_image"].str.contains("+", regex=False)
