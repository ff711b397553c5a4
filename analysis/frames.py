"""The ledger as tidy data frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lip.errors import InputError, nearest
from lip.schema import FITS
from lip.store import Ledger
from lip.terminal import default_storage

AXES = ["image", "source_image", "task", "source_task", "pruner", "seed", "rewind", "compat", "round"]
"""What a sweep varies. Rows of whole rounds that agree in all of these are the same point of a sweep."""

_NESTED = [column.name for column in FITS if pa.types.is_list(column.type)]
_FLAT = [column.name for column in FITS if column.name not in _NESTED]
_NAMES = {
    "id": "fit",
    "pruner": "mask_kind",
    "source": "mask_fit",
    "source_image": "mask_image",
    "source_task": "mask_task",
}
"""A row's own columns under names that leave the plain ones to the axes of a sweep."""


@dataclass(frozen=True)
class Frames:
    """Published results. PSNR is in dB, sparsity a fraction; every column is documented in `lip.schema`.

    `fits` of a sweep has one row per trajectory and round, so a dense fit stands there once for every trajectory that
    begins with it. Its axes say what the trajectory is: `pruner` is `imp` at round 0 of an IMP trajectory too, and
    `source_image` is the image whose masks it uses, its own unless it is a transfer. What the fit itself is stands in
    `mask_kind` (`dense` at round 0), `mask_fit` and `mask_image`. `round` is <NA> at a level between two rounds, and
    `compat` is empty unless something is done as the released code does.

    Without a sweep `fits` has one row per fit; its image, task, seed and round are the fit's own.
    """

    fits: pd.DataFrame
    points: pd.DataFrame
    """What the sweep plans: trajectory, axes, `fit`, and whether it is `published`. Empty without a sweep."""
    sweep: str | None
    profile: str | None
    storage: Path
    nested: pa.Table = field(repr=False)

    @property
    def planned(self) -> int:
        """How many distinct fits the sweep's trajectories consist of."""
        return self.points["fit"].nunique()

    @property
    def missing(self) -> int:
        """How many of these are not published."""
        return self.points.loc[~self.points["published"], "fit"].nunique()

    @property
    def command(self) -> str:
        """What runs the fits that are missing."""
        return f"python -m sweeps run {self.sweep} --profile {self.profile}"

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per row of `fits` and sampled step: its axes, step, loss, psnr, psnr_ema, ssim, ssim_ema."""
        return self._long("curve_")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per row of `fits` and prunable layer: its axes, layer_name, size, kept, layer, sparsity.

        `layer` counts from 0 in module order: the paper's layer number.
        """
        frame = self._long("layer_").rename(columns={"name": "layer_name"})
        return frame.assign(layer=frame.groupby("row").cumcount(), sparsity=1 - frame["kept"] / frame["size"])

    def _long(self, prefix: str) -> pd.DataFrame:
        names = [name for name in self.nested.column_names if name.startswith(prefix)]
        lists = {name.removeprefix(prefix): self.nested[name].combine_chunks() for name in names}
        first = next(iter(lists.values()))
        parent = pc.list_parent_indices(first)
        values = {name: _flattened(column, like=first).to_pandas() for name, column in lists.items()}
        long = pd.DataFrame({"fit": self.nested["id"].take(parent).to_pandas(), **values})
        own = ["trajectory", *AXES] if self.sweep else ["mask_kind", "seed", "round"]
        rows = self.fits[["fit", *own]].rename_axis("row").reset_index()
        return rows.merge(long, on="fit", how="inner")


def _flattened(lists: pa.ListArray, like: pa.ListArray) -> pa.Array:
    """The values of all lists; where there is none, as many nulls as the one it is `like` has values."""
    nothing = pa.ListArray.from_arrays(like.offsets, pa.nulls(len(like.values), lists.type.value_type))
    return pc.list_flatten(pc.if_else(lists.is_valid(), lists, nothing) if lists.null_count else lists)


def storage_folder(storage: str | Path | None) -> Path:
    """The results folder that is meant: the one given, else the environment's LIP_STORAGE, else ./results."""
    folder = Path(storage or default_storage())
    if not folder.is_dir():
        raise InputError(f"there is no results folder {folder}; name it with --storage or LIP_STORAGE")
    return folder


def recorded(storage: str | Path | None = None) -> pd.DataFrame:
    """The sweeps that were started in a results folder: columns sweep, profile, and fits (how many are planned)."""
    points = Ledger(storage_folder(storage)).sweeps().to_pandas()
    return points.groupby(["sweep", "profile"])["fit"].nunique().rename("fits").reset_index()


def load(storage: str | Path | None = None, sweep: str | None = None, profile: str | None = None) -> Frames:
    """What is published of a sweep, or without one every fit there is.

    The profile may be left out when the sweep was run with only one. Raises InputError for a folder, sweep or
    profile that is not there, and when several profiles are: results of different sizes are never averaged.
    """
    folder = storage_folder(storage)
    ledger = Ledger(folder)
    if sweep is None:
        if profile is not None:
            raise InputError(f"profile {profile!r} alone selects nothing; name its sweep too")
        table = ledger.fits()
        return Frames(_flat(table), _no_points(), None, None, folder, table.select(["id", *_NESTED]))
    every = ledger.sweeps().to_pandas()
    profile = _profile(every, sweep, profile)
    points = every[(every["sweep"] == sweep) & (every["profile"] == profile)].reset_index(drop=True)
    for axis in ("image", "task"):
        points[f"source_{axis}"] = points[f"source_{axis}"].fillna(points[axis])
    points["compat"] = points["compat"].fillna("")
    points["round"] = points["round"].astype("Int64" if points["round"].hasnans else "int64")
    table = ledger.fits(ids=points["fit"])
    rows = _flat(table).drop(columns=["image", "task", "seed", "round"])
    points["published"] = points["fit"].isin(rows["fit"])
    fits = points.drop(columns="published").merge(rows, on="fit", how="inner", validate="many_to_one")
    return Frames(fits, points, sweep, profile, folder, table.select(["id", *_NESTED]))


def _flat(table: pa.Table) -> pd.DataFrame:
    return table.select(_FLAT).to_pandas().rename(columns=_NAMES)


def _no_points() -> pd.DataFrame:
    return pd.DataFrame({"fit": pd.Series(dtype="str"), "published": pd.Series(dtype="bool")})


def _profile(points: pd.DataFrame, sweep: str, profile: str | None) -> str:
    known = sorted(points["sweep"].unique())
    if sweep not in known:
        hint = f" ({nearest(sweep, known)})" if known else ""
        raise InputError(f"no sweep {sweep!r} was started here; start it with python -m sweeps run {sweep}{hint}")
    profiles = sorted(points.loc[points["sweep"] == sweep, "profile"].unique())
    if profile is None and len(profiles) > 1:
        raise InputError(
            f"sweep {sweep!r} was run with the profiles {', '.join(profiles)}, which are never averaged;"
            " choose one with --profile"
        )
    if profile is not None and profile not in profiles:
        raise InputError(
            f"sweep {sweep!r} was not run with profile {profile!r};"
            f" start it with python -m sweeps run {sweep} --profile {profile} ({nearest(profile, profiles)})"
        )
    return profile or profiles[0]
