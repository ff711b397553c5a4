"""The ledger: finished fits as verified Parquet rows, with the masks and weights that other fits build on.

    <storage>/fits/      one row per fit, with its curve and its layers
    <storage>/tickets/   the mask that IMP cuts from a trained fit, as packed bits
    <storage>/weights/   trained weights that others are rewound to, as safetensors
    <storage>/outputs/   restored images, where asked for
    <storage>/sweeps/    which fits a sweep consists of
    <storage>/failures/  why a trajectory could not be finished

The ledger is the truth: what is to be run is what is planned less what is published here. A fit's row is written
last, so a fit that is there is there with all that belongs to it. Many rows can be folded into few files (`compact`).
Every file says the version of the schema that wrote it; what is not of ours is refused (InputError), by every reader.
Importing this needs neither torch nor ray.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lip.ledger.blobs import BlobStore
from lip.ledger.filesystem import Storage
from lip.ledger.schema import COLUMNS, FITS, POINTS, VERSION, require_version
from lip.ledger.tables import Rows, check_types, filled, to_parquet
from lip.masks import PRUNED_PER_ROUND, Mask

if TYPE_CHECKING:
    from torch import Tensor

    from lip.specs.fit import Fit
    from lip.specs.target import Place
    from lip.training.result import TrainingResult


def default_storage() -> str:
    """The results folder or URL when none is given: LIP_STORAGE, else ./results."""
    return os.environ.get("LIP_STORAGE") or "results"


class Ledger:
    """The results: a folder, or a URL of an object store. Every method sees what any process has published so far."""

    def __init__(self, storage: str | Path) -> None:
        self.storage = Storage(storage)
        self._fits = Rows(self.storage, "fits")
        self._tickets = BlobStore(self.storage, "tickets", ".safetensors", _check_ticket)
        self._weights = BlobStore(self.storage, "weights", ".safetensors", _check_tensors)
        self._outputs = BlobStore(self.storage, "outputs", ".safetensors", _check_outputs)
        self._sweeps = BlobStore(self.storage, "sweeps", ".parquet", _points)
        self._failures = BlobStore(self.storage, "failures", ".json", _cause)

    @property
    def url(self) -> str:
        """Return where the results are, as `Ledger` takes it: an absolute path or a URL."""
        return self.storage.url

    @property
    def root(self) -> Path:
        """The folder of the results. Raises InputError when they are in an object store."""
        return self.storage.folder

    def check_writable(self) -> None:
        """Raises InputError when nothing can be written here."""
        self.storage.check_writable()

    def __contains__(self, fit: Fit) -> bool:
        """Tell whether a fit is published whole and undamaged, with the ticket or weights that it owes to others."""
        return fit.id in self.published([fit], verified=True)

    def published(self, fits: Iterable[Fit], verified: bool, outputs: Iterable[str] = ()) -> frozenset[str]:
        """The ids of those fits that are published whole; with their restored images, if they are among `outputs`.

        By the names of their files alone this takes a listing; verified, every file is read, and what is damaged is
        missing. Nothing is ever computed from a file that was not verified.
        """
        ids = {fit.id: fit for fit in fits}
        lacking = ids.keys() - self._fits.keys(ids, verified)
        tickets = {key for key, fit in ids.items() if fit.yields_ticket}
        weights = {key for key, fit in ids.items() if fit.yields_weights}
        lacking |= tickets - self._tickets.keys(tickets, verified)
        lacking |= weights - self._weights.keys(weights, verified)
        shown = ids.keys() & outputs
        lacking |= shown - self._outputs.keys(shown, verified)
        return frozenset(ids.keys() - lacking)

    def publish(
        self,
        fit: Fit,
        mask: Mask,
        trained: TrainingResult,
        ticket: Mask | None,
        started: datetime,
        outputs: bool = False,
    ) -> None:
        """Write a finished fit, its row last. Raises OSError when the disk refuses; nothing is half there then.

        Where another has published it meanwhile, its ticket and weights stay, for others may build on them already.
        """
        from safetensors import numpy, torch

        first = fit not in self
        if first and ticket is not None:
            self._tickets.put(fit.id, ticket.to_bytes(_METADATA))
        if first and fit.yields_weights:
            self._weights.put(fit.id, torch.save(trained.weights, _METADATA))
        if outputs:
            images = {name: to_8_bit(x) for name, x in trained.outputs.items()}
            self._outputs.put(fit.id, numpy.save(images, _METADATA))
        table = pa.Table.from_pylist([_row(fit, mask, trained, started)], schema=FITS)
        self._fits.put(fit.id, table)

    def ticket(self, fit: Fit) -> Mask:
        """The mask cut from a published fit. Raises LookupError when it is missing or damaged."""
        return Mask.from_bytes(_found(self._tickets.get(fit.id), fit, "ticket"))

    def weights(self, fit: Fit) -> dict[str, Tensor]:
        """The trained weights of a published fit. Raises LookupError when they are missing or damaged."""
        from safetensors.torch import load

        return load(_found(self._weights.get(fit.id), fit, "weights"))

    def has_outputs(self, fit: Fit) -> bool:
        """Tell whether the restored images of a fit are kept."""
        return self._outputs.get(fit.id) is not None

    def outputs(self, fit: Fit) -> dict[str, np.ndarray]:
        """The restored images of a fit by name ("last_ema"), uint8 (height, width, channels).

        Raises LookupError when they were not kept or are damaged.
        """
        _found(self._outputs.get(fit.id), fit, "outputs")
        return self.images(fit.id)

    def images(self, fit: str) -> dict[str, np.ndarray]:
        """The same by the id of a fit; none when they were not kept or are damaged."""
        from safetensors.numpy import load

        data = self._outputs.get(fit)
        return {} if data is None else load(data)

    def fits(self, columns: Sequence[str] | None = None, ids: Iterable[str] | None = None) -> pa.Table:
        """The rows of all published fits, or of those with the given ids, in order of their ids.

        Columns that an older row lacks are null in it.
        """
        return self._fits.read(FITS if columns is None else pa.schema([FITS.field(name) for name in columns]), ids)

    def sample(self, columns: Sequence[str], count: int) -> pa.Table:
        """At least so many rows, if there are as many: a random choice, since ids are hashes."""
        return self._fits.sample(pa.schema([FITS.field(name) for name in columns]), count)

    def record_sweep(self, name: str, profile: str, points: list[dict[str, Any]]) -> None:
        """Write down which fits a sweep consists of, one point per trajectory and round (see `schema.POINTS`)."""
        rows = [{"sweep": name, "profile": profile, **point} for point in points]
        table = pa.Table.from_pylist(rows, schema=POINTS).replace_schema_metadata(_METADATA)
        self._sweeps.put(f"{name}.{profile}", to_parquet(table))

    def sweeps(self) -> pa.Table:
        """The points of all sweeps recorded here."""
        return pa.concat_tables([POINTS.empty_table(), *(_points("", data) for _, data in self._sweeps.items())])

    def record_failure(self, trajectory: str, cause: str) -> None:
        """Write down why a trajectory (by id) could not be finished."""
        self._failures.put(trajectory, json.dumps({"cause": cause, "when": time.time(), "schema": VERSION}).encode())

    def clear_failure(self, trajectory: str) -> None:
        """Forget the failure of a trajectory that has been finished after all."""
        self._failures.remove(trajectory)

    def failures(self) -> dict[str, str]:
        """Why trajectories could not be finished, by their id."""
        return {key: _cause("", data) for key, data in self._failures.items()}

    def compact(self) -> tuple[int, int]:
        """Fold the files of many rows into few; returns how many there were, and how many are left."""
        return self._fits.compact()

    def fetch(self, other: Ledger) -> int:
        """Copy here what another ledger has more, verified; returns how many files that was. Rows come last."""
        return sum(
            own.follow(its) if own in (self._sweeps, self._failures) else own.fetch(its)
            for own, its in zip(self._shelves, other._shelves, strict=True)
        )

    def damaged(self) -> list[str]:
        """Paths of what is no whole and readable file of the key in its name; its fits count as not published."""
        return [self.storage.shown(path) for shelf in self._shelves for path in shelf.damaged()]

    def conflicts(self, among: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The fits, of all or of these ids, that were published with differing results, and what differs.

        That is columns of their rows, or "tickets", "weights", "outputs". All are kept. The row of the fit that was
        finished first is the one that is read, and of other files the first by name.
        """
        among = None if among is None else set(among)
        found = self._fits.conflicts(among)
        for shelf in (self._tickets, self._weights, self._outputs):
            for key in shelf.several(among):
                found.setdefault(key, []).append(shelf.folder)
        return dict(sorted(found.items()))

    @property
    def _shelves(self) -> tuple[BlobStore, ...]:
        return self._tickets, self._weights, self._outputs, self._sweeps, self._failures, self._fits.shelf


def _row(fit: Fit, mask: Mask, trained: TrainingResult, started: datetime) -> dict[str, Any]:
    from lip.specs.picture import joined
    from lip.training import environment

    source, start = fit.mask_source, fit.start
    total = mask.bits.size
    flat = {
        **fit.picture.columns(),
        **fit.task.model_dump(exclude={"hole"}),
        **fit.prior.model_dump(),
        **fit.schedule.columns(),
        "id": fit.id,
        "schema": VERSION,
        "spec": fit.canonical_text,
        "image": joined(fit.pictures),
        "task": fit.task.kind,
        "hole": " ".join(picture.name for picture in fit.task.pictures) or None,
        "prior": fit.prior.kind,
        "seed": fit.seed,
        "pruner": fit.mask.kind,
        "round": fit.mask.round,
        "source": source and source.id,
        "source_image": source and joined(source.pictures),
        "source_task": source and source.task.kind,
        "codes": fit.codes,
        "covers": fit.covers,
        "theta_seed": fit.theta_seed,
        "z_seed": fit.z_seed,
        "noise_seed": fit.noise_seed,
        "start": start and start.id,
        "start_steps": start.schedule.steps if start else 0,
        "sparsity_asked": _asked(fit.mask.place),
        "sparsity": mask.sparsity,
        "prunable": total,
        "kept": mask.kept,
        "parameters": trained.parameters,
        "kept_parameters": trained.parameters - total + mask.kept,
        "empty_layers": mask.kept_per_layer.count(0),
        **trained.columns(),
        "loss": trained.loss,
        "collapsed": trained.collapsed,
        "diverged": trained.diverged,
        "started": started,
        "seconds": trained.seconds,
        "cpu_seconds": trained.cpu_seconds,
        "steps_per_second": fit.schedule.steps / trained.seconds,
        **environment.columns(trained.device, trained.backend),
        "layer_name": [layer.name for layer in mask.layers],
        "layer_size": [layer.size for layer in mask.layers],
        "layer_kept": mask.kept_per_layer,
    }
    if unknown := flat.keys() - COLUMNS.keys():
        raise KeyError(f"lip.ledger.schema.COLUMNS lacks {sorted(unknown)}")
    return flat


def _asked(place: Place) -> float | None:
    return 1 - (1 - PRUNED_PER_ROUND) ** place if isinstance(place, int) else place.sparsity


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """A (channels, height, width) image in [0, 1] as uint8 (height, width, channels)."""
    return np.ascontiguousarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


_METADATA = {"schema": str(VERSION)}


def _check_tensors(path: str, data: bytes) -> None:
    from safetensors import deserialize

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    require_version(int(header.get("__metadata__", {}).get("schema", 1)), path)
    deserialize(data)


def _check_ticket(path: str, data: bytes) -> None:
    _check_tensors(path, data)
    Mask.from_bytes(data)


def _check_outputs(path: str, data: bytes) -> None:
    from safetensors.numpy import load

    _check_tensors(path, data)
    load(data)


def _points(path: str, data: bytes) -> pa.Table:
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    require_version(int((table.schema.metadata or {}).get(b"schema", 1)), path)
    check_types(table.schema, POINTS)
    return filled(table, POINTS)


def _cause(path: str, data: bytes) -> str:
    failure = json.loads(data)
    require_version(failure.get("schema", 1), path)
    return str(failure["cause"])


def _found(data: bytes | None, fit: Fit, what: str) -> bytes:
    if data is None:
        raise LookupError(f"the {what} of fit {fit.id} ({fit.picture.name}, {fit.mask}) is missing or damaged")
    return data
