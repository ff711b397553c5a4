"""The ledger as tidy data frames."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lip.errors import InputError, nearest
from lip.ledger.ledger import Ledger, default_storage
from lip.ledger.schema import COLUMNS as SCHEMA
from lip.ledger.schema import FITS, SWEEP_COLUMNS, SWEEP_ROWS
from lip.masks import Mask
from lip.paths import local

FAULTS = ("collapsed", "stalled", "diverged")
"""Columns that mark a fit which did not train as meant. EXCLUDED ones are left out of differences and verdicts."""
EXCLUDED = ("stalled", "diverged")

_NESTED = [column.name for column in FITS if pa.types.is_list(column.type)]
_FLAT = [column.name for column in FITS if column.name not in _NESTED]
_IN_OLDER_ROWS = {"precision": "float32", **dict.fromkeys(EXCLUDED, False)}
"""What a null of these columns means."""

_TYPES = {pa.string(): "str", pa.float64(): "float64", pa.float32(): "float32"} | {
    pa.int64(): "Int64",
    pa.int32(): "Int32",
    pa.bool_(): "boolean",
    pa.timestamp("ms", tz="UTC"): "datetime64[ms, UTC]",
}

_ON_THE_AXES = {
    name: (_TYPES[kind], meaning)
    for name, (kind, meaning) in SWEEP_COLUMNS.items()
    if name not in ("sweep", "profile", "fit")
}

COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "fits": {
        **_ON_THE_AXES,
        **{
            name: (_TYPES[kind], meaning)
            for name, (kind, meaning) in SCHEMA.items()
            if name in _FLAT and name not in _ON_THE_AXES
        },
    },
    "curves": {
        "row": ("int64", "label of the row of fits"),
        "fit": ("str", "the fit"),
        **_ON_THE_AXES,
        "step": ("Int32", "sampled step, 1 to steps"),
        "loss": ("float32", "training loss"),
        "psnr": ("float32", "dB, of the output"),
        "psnr_ema": ("float32", "dB, of the averaged outputs"),
        "ssim": ("float32", "of the output"),
        "ssim_ema": ("float32", "of the averaged outputs"),
        "accuracy": ("float32", "classify: of the test pictures"),
    },
    "layers": {
        "row": ("int64", "label of the row of fits"),
        "fit": ("str", "the fit"),
        **_ON_THE_AXES,
        "layer_name": ("str", "scale 0 is full resolution"),
        "size": ("Int64", "weights of the layer"),
        "kept": ("Int64", "weights kept"),
        "layer": ("int64", "number of the prunable layer in module order, from 0: the paper's layer number"),
        "sparsity": ("float64", "fraction of the layer that is pruned"),
    },
}
"""Every column of the three data frames: its dtype (before pandas 3, `str` is object) and its meaning."""


@dataclass(frozen=True)
class Frames:
    """Published results. PSNR is in dB, sparsity a fraction; COLUMNS documents every column.

    `fits` of a sweep has one row per trajectory and round, so a dense fit has a row for every trajectory that begins
    with it. The axes describe the trajectory; `mask_kind` (`dense` at round 0), `mask_fit` and `mask_image` describe
    the fit itself.

    Without a sweep `fits` has one row per fit with its own image, task, seed and round, and without the axes that only
    trajectories have.
    """

    fits: pd.DataFrame
    points: pd.DataFrame
    """The plan of the sweep: experiment, trajectory, axes, `fit`, and whether it is `published`. Empty without one."""
    sweep: str | None
    profile: str | None
    storage: Path
    nested: pa.Table = field(repr=False)
    file: str = ""
    """The sweep's file, if it was loaded by that; commands name it."""
    experiment: str | None = None
    """The experiment that these are the part of; None for the whole sweep."""

    @property
    def planned(self) -> int:
        """Count the distinct fits of the sweep's trajectories."""
        return self.points["fit"].nunique()

    @property
    def missing(self) -> int:
        """Count those that are not published."""
        return self.points.loc[~self.points["published"], "fit"].nunique()

    @property
    def progress(self) -> str:
        """Say how much of the sweep is published, worded as by `python -m sweeps`."""
        results = self.points.drop_duplicates(["trajectory", "fit"])
        return (
            f"{results['published'].sum():,} of {len(results):,} results published,"
            f" {self.planned - self.missing:,} of {self.planned:,} fits of their own"
        )

    @property
    def command(self) -> str:
        """Return the command that runs the missing fits."""
        return self.command_for(shlex.quote(self.file) if self.file else self.sweep)

    def command_for(self, sweep: str | None) -> str:
        """Return the command that runs a sweep with this profile into this results folder."""
        return run_command(str(sweep), self.profile, self.storage)

    @property
    def remedy(self) -> str:
        """Return the command that runs what is missing, or the experiment if nothing planned is."""
        return self.command if self.missing else self.command_for(self.experiment or self.sweep)

    def part(self, experiment: str) -> Frames:
        """Return one experiment of a sweep that includes several; all of a sweep that is a single one."""
        if self.points["experiment"].nunique() < 2:
            return replace(self, experiment=experiment)
        fits, points = (frame[frame["experiment"] == experiment] for frame in (self.fits, self.points))
        return replace(self, fits=fits, points=points, experiment=experiment)

    def only(self, fits: pd.DataFrame) -> Frames:
        """Return the same with some of the rows of `fits`, and their curves and layers."""
        return replace(self, fits=fits)

    def outputs(self, fit: str) -> dict[str, np.ndarray]:
        """Return a fit's restored images by name (`last_ema`), uint8 (height, width, channels); none if not stored."""
        return Ledger(self.storage).images(fit)

    def mask(self, fit: str, root: str) -> Mask | None:
        """Return the mask cut from a fit, given the dense fit that its chain begins with; None if it is not stored."""
        return Ledger(self.storage).mask_by_id(fit, root)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Return one row per row of `fits` and sampled step."""
        return self._long("curve_")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Return one row per row of `fits` and prunable layer."""
        frame = self._long("layer_").rename(columns={"name": "layer_name"})
        sparsity = 1 - (frame["kept"] / frame["size"]).astype("float64")
        return frame.assign(layer=frame.groupby("row").cumcount(), sparsity=sparsity)

    def _long(self, prefix: str) -> pd.DataFrame:
        nested = self.nested.filter(pc.is_in(self.nested["fit"], pa.array(self.fits["fit"].unique(), pa.string())))
        names = [name for name in nested.column_names if name.startswith(prefix)]
        lists = {name.removeprefix(prefix): nested[name].combine_chunks() for name in names}
        first = next(iter(lists.values()))
        columns = {name: _flattened(column, like=first) for name, column in lists.items()}
        long = _typed(pa.table({"fit": nested["fit"].take(pc.list_parent_indices(first)), **columns}))
        axes = [name for name in _ON_THE_AXES if name in self.fits] if self.sweep else ["mask_kind", "seed", "round"]
        rows = self.fits[["fit", *axes]].rename_axis("row").reset_index()
        return rows.merge(long, on="fit", how="inner")


def _flattened(lists: pa.ListArray, like: pa.ListArray) -> pa.Array:
    """Concatenate lists; a missing one becomes as many nulls as the list that it is `like` has values."""
    nothing = pa.ListArray.from_arrays(like.offsets, pa.nulls(len(like.values), lists.type.value_type))
    return pc.list_flatten(pc.if_else(lists.is_valid(), lists, nothing) if lists.null_count else lists)


def run_command(sweep: str, profile: str | None, storage: Path) -> str:
    """Return the command that runs a sweep into a results folder; quote a file name before."""
    sized = f" --profile {profile}" if profile else ""
    elsewhere = storage.absolute() != Path("results").absolute()
    return f"python -m sweeps run {sweep}{sized}" + (f" --storage {shlex.quote(str(storage))}" if elsewhere else "")


def storage_folder(storage: str | Path | None) -> Path:
    """Return the results folder: the one given, else the environment's LIP_STORAGE, else ./results.

    Raises InputError if there is none.
    """
    folder = local(storage or default_storage(), "--storage")
    if not folder.is_dir():
        raise InputError(f"there is no results folder {folder}; name it with --storage or LIP_STORAGE")
    return folder


def recorded(storage: str | Path | None = None) -> pd.DataFrame:
    """List the sweeps that were started in a results folder: sweep, profile, number of planned fits."""
    points = Ledger(storage_folder(storage)).sweeps().to_pandas()
    return points.groupby(["sweep", "profile"])["fit"].nunique().rename("fits").reset_index()


def load(storage: str | Path | None = None, sweep: str | None = None, profile: str | None = None) -> Frames:
    """Load the published fits of a sweep, given by name or file; without a sweep, all fits.

    The profile may be left out if the sweep was run with only one. Raises InputError for a folder, sweep or profile
    that does not exist, and for several profiles: results of different sizes are never averaged.
    """
    folder = storage_folder(storage)
    ledger = Ledger(folder)
    if sweep is None:
        if profile is not None:
            raise InputError(f"profile {profile!r} alone selects nothing; name its sweep too")
        table = ledger.fits()
        empty = _typed(SWEEP_ROWS.empty_table()).assign(published=pd.Series(dtype="bool"))
        return Frames(_flat(table), empty, None, None, folder, table.select(["fit", *_NESTED]))
    file = sweep if sweep.endswith((".yaml", ".yml")) else ""
    sweep = Path(sweep).stem if file else sweep
    recorded_points = _typed(ledger.sweeps())
    profile = _profile(recorded_points, sweep, profile, run_command(shlex.quote(file or sweep), profile, folder))
    of_sweep = (recorded_points["sweep"] == sweep) & (recorded_points["profile"] == profile)
    points = recorded_points[of_sweep].reset_index(drop=True)
    points["experiment"] = points["experiment"].fillna(sweep)
    for axis in ("image", "task"):
        points[f"source_{axis}"] = points[f"source_{axis}"].fillna(points[axis])
    points["compat"] = points["compat"].fillna("")
    table = ledger.fits(ids=points["fit"].unique())
    rows = _flat(table).drop(columns=["image", "task", "seed", "round"])
    points["published"] = points["fit"].isin(rows["fit"])
    fits = points.drop(columns=["sweep", "profile", "published"]).merge(rows, on="fit", how="inner")
    return Frames(fits[list(COLUMNS["fits"])], points, sweep, profile, folder, table.select(["fit", *_NESTED]), file)


def _flat(table: pa.Table) -> pd.DataFrame:
    return _typed(table.select(_FLAT)).fillna(_IN_OLDER_ROWS)


def _typed(table: pa.Table) -> pd.DataFrame:
    """Convert with the dtypes of COLUMNS, whether or not anything is null."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    return table.to_pandas(types_mapper=nullable.get)


def _profile(points: pd.DataFrame, sweep: str, profile: str | None, command: str) -> str:
    known = sorted(points["sweep"].unique())
    if sweep not in known:
        hint = f" ({nearest(sweep, known)})" if known else ""
        raise InputError(f"no sweep {sweep!r} was started here; start it with {command}{hint}")
    profiles = sorted(points.loc[points["sweep"] == sweep, "profile"].unique())
    if profile is None and len(profiles) > 1:
        raise InputError(
            f"sweep {sweep!r} was run with the profiles {', '.join(profiles)}, which are never averaged;"
            " choose one with --profile"
        )
    if profile is not None and profile not in profiles:
        raise InputError(
            f"sweep {sweep!r} was not run with profile {profile!r};"
            f" start it with {command} ({nearest(profile, profiles)})"
        )
    return profile or profiles[0]
