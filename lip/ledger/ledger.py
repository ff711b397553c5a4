"""The ledger: finished fits as verified Parquet rows, with the masks and weights that other fits build on.

    <storage>/fits/        one row per fit, with its curve and its layers
    <storage>/next_masks/  the mask that IMP cuts from a trained fit
    <storage>/weights/     trained weights that others are rewound to, or that are asked for, as safetensors
    <storage>/outputs/     restored images, if they are small or asked for
    <storage>/sweeps/      the fits that a sweep consists of
    <storage>/searches/    the settings that a search has proposed
    <storage>/failures/    why a trajectory could not be finished
    <storage>/notes/       what somebody noted about a run, with tags
    <storage>/environments/  installed packages, driver and changes of the checkout, which rows name by id

The ledger is the truth: a run computes what is planned and not published here. A fit's row is written last, so a
published fit is complete. Its next mask and weights are needed only by fits that are still missing. Many rows can be
folded into few files (`compact`). Every file records the version of the schema that wrote it, and every reader refuses
other versions (InputError). Importing this needs neither torch nor ray.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lip.errors import InputError
from lip.ledger.blobs import BlobStore
from lip.ledger.filesystem import Storage
from lip.ledger.next_masks import MaskStore
from lip.ledger.schema import COLUMNS, FITS, METADATA, RESULTS, SWEEP_ROWS, VERSION, check_tensors, require_version
from lip.ledger.tables import RowStore, check_types, to_parquet, with_columns_of
from lip.masks import PRUNED_PER_ROUND, Mask
from lip.paths import without_secrets

if TYPE_CHECKING:
    from torch import Tensor

    from lip.specs.fit import Fit
    from lip.specs.target import Target
    from lip.training.result import TrainingResult


T = TypeVar("T")

LONGEST_LOG = 20_000
"""Characters that are kept of the log of a failure."""


def default_storage() -> str:
    """Return the results folder or URL if none is given: LIP_STORAGE, else ./results."""
    return os.environ.get("LIP_STORAGE") or "results"


class Ledger:
    """The results in a folder, or at a URL of an object store, as published by any process so far."""

    def __init__(self, storage: str | Path) -> None:
        self.storage = Storage(storage)
        self.rows = RowStore(self.storage, "fits")
        self._next_masks = MaskStore(self.storage, "next_masks")
        self._weights = BlobStore(self.storage, "weights", ".safetensors", check_tensors)
        self._outputs = BlobStore(self.storage, "outputs", ".safetensors", _check_outputs)
        self._sweeps = BlobStore(self.storage, "sweeps", ".parquet", _sweep_rows, appends=False)
        self._searches = BlobStore(self.storage, "searches", ".json", _search, appends=False)
        self._failures = BlobStore(self.storage, "failures", ".json", _cause, appends=False)
        self._notes = BlobStore(self.storage, "notes", ".json", _note, appends=False)
        self._environments = BlobStore(self.storage, "environments", ".json", _environment)
        self._described: set[str] = set()

    @classmethod
    def existing(cls, storage: str | Path, remedy: str) -> Self:
        """Open a storage that has results. Raises InputError, with the remedy, when it has none."""
        ledger = cls(storage)
        with ledger.storage.reading():
            if ledger.storage.folders():
                return ledger
        raise InputError(f"there are no results in {ledger.storage}; {remedy}")

    @property
    def url(self) -> str:
        """Return the absolute path or URL of the results, which `Ledger` takes."""
        return self.storage.url

    @property
    def root(self) -> Path:
        """Return the folder of the results. Raises InputError when they are in an object store."""
        return self.storage.folder

    def check_writable(self) -> None:
        """Check that files can be written. Raises InputError."""
        self.storage.check_writable()

    def __contains__(self, fit: Fit) -> bool:
        """Tell whether a fit's row is published and undamaged."""
        return fit.id in self.published([fit], verified=True)

    def published(
        self, fits: Iterable[Fit], verified: bool, outputs: Iterable[str] = (), weights: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the ids of those fits whose rows are published, with images and weights if among these ids.

        Unverified, this only lists file names; verified, every file is read, and damaged ones count as missing. No
        computation ever uses an unverified file. Next masks and weights may be left behind: see `lost`.
        """
        ids = {fit.id for fit in fits}
        found = self.rows.keys(ids, verified)
        for store, asked in ((self._outputs, outputs), (self._weights, weights)):
            wanted = ids.intersection(asked)
            found -= wanted - store.keys(wanted, verified)
        return frozenset(found)

    def lost(self, fits: Iterable[Fit]) -> set[str]:
        """Find the dependencies whose files these fits need and lack.

        A fit needs the weights of its `start`, and the next mask of its `source_fit` or, if saved, its weights.
        All files are verified.
        """
        fits = list(fits)
        sources = {fit.source_fit.id: fit.source_fit for fit in fits if fit.source_fit}
        chain = {key: source for key, source in sources.items() if not source.saves_weights}
        starts = {fit.start.id for fit in fits if fit.start} | (sources.keys() - chain.keys())
        masks, weights = self._next_masks.keys(chain.values()), self._weights.keys(starts, verified=True)
        return (chain.keys() - masks) | (starts - weights)

    def is_whole(self, fit: Fit) -> bool:
        """Tell whether a fit is published with the next mask and the weights that others may need."""
        return (
            fit in self
            and not (fit.has_next_mask and self._next_masks.get(fit) is None)
            and not (fit.has_weights and self._weights.get(fit.id) is None)
        )

    def publish(
        self,
        fit: Fit,
        mask: Mask,
        result: TrainingResult,
        next_mask: Mask | None,
        started: datetime,
        outputs: bool = False,
        weights: bool = False,
    ) -> None:
        """Write a finished fit, its row last, so that a failure leaves no half of it. Raises OSError.

        If another process has published it meanwhile, that mask and those weights stay, because others may use them.
        """
        from safetensors import numpy, torch

        first = fit not in self
        if next_mask is not None and (first or self._next_masks.get(fit) is None):
            self._next_masks.put(fit, next_mask)
        if (fit.has_weights or weights) and (first or self._weights.get(fit.id) is None):
            self._weights.put(fit.id, torch.save(result.weights, METADATA))
        if outputs:
            images = {name: to_8_bit(x) for name, x in result.outputs.items()}
            self._outputs.put(fit.id, numpy.save(images, METADATA))
        self._describe_environment()
        table = pa.Table.from_pylist([_row(fit, mask, result, started)], schema=FITS)
        self.rows.put(fit.id, table)

    def next_mask(self, fit: Fit) -> Mask:
        """Read the mask cut from a published fit. Raises LookupError when it is missing or damaged."""
        return _found(self._next_masks.get(fit), fit, "next mask")

    def mask_by_id(self, fit: str, root: str) -> Mask | None:
        """Read the mask cut from a fit by its id and that of the dense fit that its chain of masks begins with.

        Returns None when it is missing or damaged.
        """
        return self._next_masks.get_by_id(fit, root)

    def weights(self, fit: Fit) -> dict[str, Tensor]:
        """Read the trained weights of a published fit. Raises LookupError when they are missing or damaged."""
        return _found(self.trained_weights(fit), fit, "weights")

    def trained_weights(self, fit: Fit) -> dict[str, Tensor] | None:
        """Read the trained weights of a published fit; None when they are not kept, or damaged."""
        from safetensors.torch import load

        data = self._weights.get(fit.id)
        return None if data is None else load(data)

    def has_weights(self, fit: Fit) -> bool:
        """Tell whether the trained weights of a fit are stored."""
        return self._weights.get(fit.id) is not None

    def has_outputs(self, fit: Fit) -> bool:
        """Tell whether the restored images of a fit are stored."""
        return self._outputs.get(fit.id) is not None

    def outputs(self, fit: Fit) -> dict[str, np.ndarray]:
        """Read the restored images of a fit by name ("last_ema"), uint8 (height, width, channels).

        Raises LookupError when they are missing or damaged.
        """
        _found(self._outputs.get(fit.id), fit, "outputs")
        return self.images(fit.id)

    def images(self, fit: str) -> dict[str, np.ndarray]:
        """Read the restored images of a fit by its id; none when they are missing or damaged."""
        from safetensors.numpy import load

        data = self._outputs.get(fit)
        return {} if data is None else load(data)

    def fits(self, columns: Sequence[str] | None = None, ids: Iterable[str] | None = None) -> pa.Table:
        """Read the rows of all published fits, or of these ids, in order of ids.

        Columns that a row lacks are null; the fields of the schema carry their `description` as metadata.
        """
        return self.rows.read(FITS if columns is None else pa.schema([FITS.field(name) for name in columns]), ids)

    def sample(self, columns: Sequence[str], count: int) -> pa.Table:
        """Read at least this many rows if they exist; a random choice, because ids are hashes."""
        return self.rows.sample(pa.schema([FITS.field(name) for name in columns]), count)

    def record_sweep(self, name: str, profile: str, rows: list[dict[str, Any]]) -> None:
        """Record the fits of a sweep, one row per trajectory and round (see `schema.SWEEP_ROWS`)."""
        named = [{"sweep": name, "profile": profile, **row} for row in rows]
        table = pa.Table.from_pylist(named, schema=SWEEP_ROWS).replace_schema_metadata(METADATA)
        self._sweeps.put(f"{name}.{profile}", to_parquet(table, described=True))

    def sweeps(self) -> pa.Table:
        """Read the rows of all recorded sweeps."""
        return pa.concat_tables(
            [SWEEP_ROWS.empty_table(), *(_sweep_rows("", data) for _, data in self._sweeps.items())]
        )

    def record_search(self, name: str, profile: str, search: dict[str, Any]) -> None:
        """Record a search, as JSON values (`sweeps.search.record`)."""
        content = {"experiment": name, "profile": profile, **search, "schema": VERSION}
        self._searches.put(f"{name}.{profile}", json.dumps(content).encode())

    def search(self, name: str, profile: str) -> dict[str, Any] | None:
        """Read a recorded search; None if there is none, or it is damaged."""
        data = self._searches.get(f"{name}.{profile}")
        return None if data is None else _search("", data)

    def record_failure(self, trajectory: str, cause: str, log: str = "") -> None:
        """Record why a trajectory (by id) could not be finished, with the end of a log, without secrets of URLs."""
        log = without_secrets(log)[-LONGEST_LOG:]
        failure = {"cause": without_secrets(cause), "log": log, "when": time.time(), "schema": VERSION}
        self._failures.put(trajectory, json.dumps(failure).encode())

    def clear_failure(self, trajectory: str) -> None:
        """Delete the failure of a trajectory that has been finished after all."""
        self._failures.remove(trajectory)

    def failures(self) -> dict[str, str]:
        """Read why trajectories could not be finished, by their id."""
        return {key: _cause("", data) for key, data in self._failures.items()}

    def record_note(self, run: str, sweep: str, profile: str, note: str, tags: Sequence[str]) -> None:
        """Record what somebody notes about a run of a sweep, with tags."""
        content = {"sweep": sweep, "profile": profile, "note": note, "tags": [*tags], "host": platform.node()}
        self._notes.put(run, json.dumps({**content, "when": time.time(), "schema": VERSION}).encode())

    def notes(self, sweep: str, profile: str) -> list[dict[str, Any]]:
        """Read the notes about runs of a sweep, the oldest first: `note`, `tags`, `host` and `when` (Unix seconds)."""
        found = [_note("", data) for _, data in self._notes.items()]
        own = [note for note in found if (note.pop("sweep"), note.pop("profile")) == (sweep, profile)]
        return sorted(own, key=lambda note: float(note["when"]))

    def environments(self) -> dict[str, dict[str, Any]]:
        """Read what fits were computed with, by the id in their column `environment`.

        `packages` has the versions of all installed packages, `changes` a hash of what the checkout changes in its
        commit, `driver` the version of NVIDIA's driver, `system` the operating system.
        """
        return {key: _environment("", data) for key, data in self._environments.items()}

    def _describe_environment(self) -> None:
        """Record the environment of this process, unless it is recorded."""
        from lip.training import environment

        key = environment.key()
        if key not in self._described and self._environments.get(key) is None:
            text = json.dumps({**environment.description(), "schema": VERSION})
            self._environments.add(key, text.encode())
        self._described.add(key)

    def failure_log(self, trajectory: str) -> str:
        """Read the log of a failure; empty if there is none."""
        data = self._failures.get(trajectory)
        return "" if data is None else str(json.loads(data).get("log", ""))

    def compact(self) -> tuple[int, int]:
        """Fold the files of rows and next masks into few, and return the numbers of files before and after."""
        rows = self.rows.compact()
        fits = self.fits(["fit", "mask_fit"])
        masks = self._next_masks.compact(dict(zip(fits["fit"].to_pylist(), fits["mask_fit"].to_pylist(), strict=True)))
        return rows[0] + masks[0], rows[1] + masks[1]

    def fetch(self, other: Ledger) -> int:
        """Copy and verify the files that another ledger has and this one lacks; return their number."""
        return sum(own.fetch(theirs) for own, theirs in zip(self.stores.values(), other.stores.values(), strict=True))

    def damaged(self) -> list[str]:
        """List the paths of damaged files, whose fits count as not published."""
        return [self.storage.display_name(path) for store in self.stores.values() for path in store.damaged()]

    def conflicts(self, among: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Find fits, among all or these ids, that were published with different results, and what differs.

        Those are columns of their rows, or "next_masks", "weights", "outputs". Nothing is deleted. Readers see the row
        that was finished first, of next masks one in a file of its own, and of other files the first by name.
        """
        among = None if among is None else set(among)
        found = self.rows.conflicts(among)
        for folder, store in (("next_masks", self._next_masks), ("weights", self._weights), ("outputs", self._outputs)):
            for key in store.several(among):
                found.setdefault(key, []).append(folder)
        return dict(sorted(found.items()))

    def differences(self, other: Ledger, fit: Fit) -> list[str]:
        """Name what two ledgers hold differently of a fit that both have published.

        Those are columns of its row, or "next_masks", "weights", "outputs" where both have them.
        """
        rows = [ledger.fits(RESULTS, [fit.id]).to_pylist()[0] for ledger in (self, other)]
        found = [name for name in RESULTS if repr(rows[0][name]) != repr(rows[1][name])]  # NaN equals NaN
        masks = [ledger._next_masks.get(fit) for ledger in (self, other)]
        found += ["next_masks"] if None not in masks and masks[0] != masks[1] else []
        for folder in ("weights", "outputs"):
            data = [ledger.stores[folder].get(fit.id) for ledger in (self, other)]
            found += [folder] if None not in data and data[0] != data[1] else []
        return found

    def dependents(self, keys: Collection[str]) -> set[str]:
        """Return the ids of published fits that take a mask or weights from these, or from other dependents."""
        rows = self.fits(["fit", "mask_fit", "start"]).to_pylist()
        found: set[str] = set()
        while more := {
            row["fit"] for row in rows if not found.union(keys).isdisjoint((row["mask_fit"], row["start"]))
        }.difference(found, keys):
            found |= more
        return found

    def remove(self, keys: Collection[str]) -> None:
        """Delete published fits by id: their images, weights and next masks, and last their rows.

        A removal that was cut short can be repeated. Not to be done while others compact this ledger.
        """
        table = self.fits(["fit", "mask_fit"])
        sources = dict(zip(table["fit"].to_pylist(), table["mask_fit"].to_pylist(), strict=True))
        for key in keys:
            self._outputs.remove(key)
            self._weights.remove(key)
            self._next_masks.remove(key, sources)
            self.rows.remove(key)

    @property
    def stores(self) -> dict[str, BlobStore]:
        """Return all stores by folder, rows last, so that a copied row never lacks its other files."""
        of_fits = self._next_masks.blobs, self._weights, self._outputs
        of_runs = self._sweeps, self._searches, self._failures, self._notes, self._environments
        return {store.folder: store for store in (*of_fits, *of_runs, self.rows.blobs)}


def _row(fit: Fit, mask: Mask, result: TrainingResult, started: datetime) -> dict[str, Any]:
    from lip.specs.picture import joined
    from lip.training import environment

    source, start, results = fit.source_fit, fit.start, result.columns()
    n_prunable = mask.bits.size
    row = {
        **fit.picture.columns(),
        **fit.task.model_dump(exclude={"inpaint_mask"}),
        **fit.prior.model_dump(),
        **fit.schedule.columns(),
        "fit": fit.id,
        "schema": VERSION,
        "spec": fit.canonical_text,
        "image": joined(fit.pictures),
        "task": fit.task.kind,
        "inpaint_mask": " ".join(picture.name for picture in fit.task.pictures) or None,
        "prior": fit.prior.kind,
        "seed": fit.seed,
        "mask_kind": fit.recipe.kind,
        "round": fit.recipe.round,
        "mask_fit": source and source.id,
        "mask_image": source and joined(source.pictures),
        "mask_task": source and source.task.kind,
        "codes": fit.codes,
        "covers": fit.covers,
        "theta_seed": fit.theta_seed,
        "z_seed": fit.z_seed,
        "noise_seed": fit.noise_seed,
        "start": start and start.id,
        "start_steps": start.schedule.steps if start else 0,
        "sparsity_asked": _asked(fit.recipe.target),
        "sparsity": mask.sparsity,
        "n_prunable": n_prunable,
        "n_kept": mask.n_kept,
        "parameters": result.parameters,
        "kept_parameters": result.parameters - n_prunable + mask.n_kept,
        "empty_layers": mask.kept_per_layer.count(0),
        **results,
        "loss": result.loss,
        "collapsed": result.collapsed,
        "diverged": result.diverged,
        "started": started,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "steps_per_second": (results.get("steps_done") or fit.schedule.steps) / result.seconds,
        **environment.columns(result.device, result.backend),
        "layer_name": [layer.name for layer in mask.layers],
        "layer_size": [layer.size for layer in mask.layers],
        "layer_kept": mask.kept_per_layer,
    }
    if unknown := row.keys() - COLUMNS.keys():
        raise KeyError(f"lip.ledger.schema.COLUMNS lacks {sorted(unknown)}")
    return row


def _asked(target: Target) -> float | None:
    return 1 - (1 - PRUNED_PER_ROUND) ** target if isinstance(target, int) else target.sparsity


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """Convert an image (channels, height, width) in [0, 1] to uint8 (height, width, channels)."""
    return np.ascontiguousarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


def _check_outputs(path: str, data: bytes) -> None:
    from safetensors.numpy import load

    check_tensors(path, data)
    load(data)


def _sweep_rows(path: str, data: bytes) -> pa.Table:
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    require_version(int((table.schema.metadata or {}).get(b"schema", 1)), path)
    check_types(table.schema, dict(zip(SWEEP_ROWS.names, SWEEP_ROWS.types, strict=True)))
    return with_columns_of(table, SWEEP_ROWS)


def _search(path: str, data: bytes) -> dict[str, Any]:
    search = json.loads(data)
    require_version(search.get("schema", 1), path)
    parts = {"definition": dict, "objective": dict, "settings": list, "held_out": dict}
    if not all(isinstance(search[name], kind) for name, kind in parts.items()):
        raise TypeError(f"{path} is no search")
    return dict(search)


def _cause(path: str, data: bytes) -> str:
    failure = json.loads(data)
    require_version(failure.get("schema", 1), path)
    return str(failure["cause"])


def _note(path: str, data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    require_version(found.pop("schema", 1), path)
    texts = [found[name] for name in ("sweep", "profile", "note", "host")]
    if not (all(isinstance(text, str) for text in (*texts, *found["tags"])) and isinstance(found["when"], float)):
        raise TypeError(f"{path} is no note")
    return dict(found)


def _environment(path: str, data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    require_version(found.pop("schema", 1), path)
    if not isinstance(found["packages"], dict):
        raise TypeError(f"{path} lists no packages")
    return dict(found)


def _found(content: T | None, fit: Fit, what: str) -> T:
    if content is None:
        raise LookupError(f"the {what} of fit {fit.id} ({fit.picture.name}, {fit.recipe}) is missing or damaged")
    return content
