"""The next masks of IMP, each in its own file, or folded into one file for all that share a dense fit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lip.ledger.blobs import READ_ATTEMPTS, BlobStore, map_groups
from lip.ledger.filesystem import Storage
from lip.ledger.schema import METADATA, check_tensors
from lip.masks import Layer, Mask

if TYPE_CHECKING:
    from lip.specs.fit import Fit

_CHAINS = ".chains"
LONGEST = 255
"""Masks in a chain: their number is a byte."""


class MaskStore:
    """Next masks by the fits that they are cut from.

    A mask is published in its own file, as packed bits. `compact` folds the masks of fits with the same root, the dense
    fit that IMP began with, into a file with the key `<root>.chains`. The masks of a chain are nested, so a single
    number per weight describes them: how many of them keep it. Readers see both, and prefer a mask's own file.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.blobs = BlobStore(storage, folder, ".safetensors", self._parse)

    def put(self, fit: Fit, mask: Mask) -> None:
        """Publish a mask, replacing older files of its own."""
        self.blobs.put(fit.id, mask.to_bytes(METADATA))

    def get(self, fit: Fit) -> Mask | None:
        """Read and verify a mask; None when it is missing or damaged."""
        return self.get_by_id(fit.id, _root(fit).id)

    def get_by_id(self, fit: str, root: str) -> Mask | None:
        """Do the same by the ids of the fit and of its root."""
        if (data := self.blobs.get(fit)) is not None:
            return Mask.from_bytes(data)
        chain = self._folded(f"{root}{_CHAINS}").get(fit)
        return None if chain is None else chain.mask(fit)

    def keys(self, fits: Iterable[Fit]) -> set[str]:
        """Find the ids of those fits whose masks are stored, reading and verifying their files."""
        by_id = {fit.id: fit for fit in fits}
        found = self.blobs.keys(by_id, verified=True)
        roots = {_root(by_id[key]).id for key in by_id.keys() - found}
        folded = sorted(self.blobs.keys({f"{root}{_CHAINS}" for root in roots}, verified=False))
        return found.union(*map_groups(lambda key: by_id.keys() & self._folded(key).keys(), folded))

    def remove(self, key: str, sources: Mapping[str, str | None]) -> None:
        """Delete the mask of a fit, also where it is folded; `sources` as for `compact`."""
        self.blobs.remove(key)
        if (root := _root_by(sources, key)) is None:
            return
        for path in self.blobs.versions(f"{root}{_CHAINS}"):
            masks = _masks(self._read(path))
            if masks.pop(key, None) is not None:
                if masks:
                    self.blobs.add(f"{root}{_CHAINS}", _to_bytes(_chains(masks)))
                self.blobs.storage.remove(path)

    def several(self, among: Iterable[str] | None = None) -> set[str]:
        """Find fits, among all or these ids, with several complete masks that differ."""
        wanted = None if among is None else set(among)
        paths: dict[str, list[str]] = defaultdict(list)
        for path in (path for group in self.blobs.groups() for path in self.blobs.files(group)):
            for key in self._read(path) if self._is_folded(path) else [self.blobs.key(path)]:
                if wanted is None or key in wanted:
                    paths[key].append(path)

        def differ(key: str) -> bool:
            chains = [chain for path in paths[key] if (chain := self._read(path).get(key))]
            return any(chain.mask(key) != chains[0].mask(key) for chain in chains[1:])

        return {key for key in paths if len(paths[key]) > 1 and differ(key)}

    def compact(self, sources: Mapping[str, str | None]) -> tuple[int, int]:
        """Fold the files of masks, and return the numbers of files before and after.

        `sources` has the fit that each published fit took its mask from (None: it is dense). Others may read, publish
        and compact meanwhile: a file is deleted only if it was read and all of its masks have been read back. Masks of
        other fits, damaged ones, and all of a root of which two masks of one fit differ stay as they are.
        """
        files: dict[str, list[str]] = defaultdict(list)
        others = 0
        for path in (path for group in self.blobs.groups() for path in self.blobs.files(group)):
            key = self.blobs.key(path)
            root = key.removesuffix(_CHAINS) if self._is_folded(path) else _root_by(sources, key)
            if root is None:
                others += 1
            else:
                files[root].append(path)
        counts = map_groups(lambda root: self._compact(root, files[root]), files)
        return others + sum(map(len, files.values())), others + sum(counts)

    def _compact(self, root: str, paths: list[str]) -> int:
        if len(paths) == 1 and self._is_folded(paths[0]):
            return 1
        found = {path: masks for path in paths if (masks := _masks(self._read(path)))}
        if not found:
            return len(paths)
        merged = {key: mask for masks in found.values() for key, mask in masks.items()}
        if any(mask != merged[key] for masks in found.values() for key, mask in masks.items()):
            return len(paths)
        folded = self.blobs.add(f"{root}{_CHAINS}", _to_bytes(_chains(merged)))
        try:
            back = self.blobs.parsed(folded, self._parse)
        except FileNotFoundError:  # another process has folded it meanwhile, with all other files
            return 1
        if back is None or _masks(back) != merged:
            raise OSError(f"{folded} does not read back as it was written; nothing was deleted")
        for path in found.keys() - {folded}:
            self.blobs.storage.remove(path)
        return len(paths) - len(found) + 1

    def _is_folded(self, path: str) -> bool:
        return self.blobs.key(path).endswith(_CHAINS)

    def _folded(self, key: str) -> dict[str, Chain]:
        """Read the chains of all files with this key, by fit; of several of one fit, the first by file name."""
        for _ in range(READ_ATTEMPTS):
            with suppress(FileNotFoundError):
                found: dict[str, Chain] = {}
                for path in self.blobs.versions(key):
                    found = (self.blobs.parsed(path, self._parse) or {}) | found
                return found
        return {}

    def _read(self, path: str) -> dict[str, Chain]:
        """Read a file; nothing when it is damaged or has vanished."""
        with suppress(FileNotFoundError):
            return self.blobs.parsed(path, self._parse) or {}
        return {}

    def _parse(self, path: str, data: bytes) -> dict[str, Chain]:
        """Read the chains of a file by fit. Raises as `BlobStore.check` does."""
        check_tensors(path, data)
        if not self._is_folded(path):
            key, mask = self.blobs.key(path), Mask.from_bytes(data)
            return {key: Chain([key], mask.layers, mask.bits.astype(np.uint8))}
        return {fit: chain for chain in _from_bytes(data) for fit in chain.fits}


@dataclass
class Chain:
    """Nested masks of the same layers.

    Raises ValueError unless there is one number per weight, at most that of the masks.
    """

    fits: list[str]
    """Ids of the fits, the mask that keeps most first."""
    layers: tuple[Layer, ...]
    n_masks: np.ndarray = field(repr=False)
    """Number of masks that keep each weight, uint8."""

    def __post_init__(self) -> None:
        total = sum(layer.size for layer in self.layers)
        if self.n_masks.shape != (total,) or self.n_masks.max(initial=0) > len(self.fits):
            raise ValueError(f"not a chain of {len(self.fits)} masks of {total} weights")

    def mask(self, fit: str) -> Mask:
        return Mask(self.layers, self.n_masks > self.fits.index(fit))


def _root(fit: Fit) -> Fit:
    while fit.source_fit is not None:
        fit = fit.source_fit
    return fit


def _root_by(sources: Mapping[str, str | None], key: str) -> str | None:
    """Return the root of a fit; None when it, or a fit that it builds on, is not published."""
    while (source := sources.get(key)) is not None:
        key = source
    return key if key in sources else None


def _masks(chains: Mapping[str, Chain]) -> dict[str, Mask]:
    return {fit: chain.mask(fit) for fit, chain in chains.items()}


def _chains(masks: Mapping[str, Mask]) -> list[Chain]:
    """Append every mask to the first chain that it is nested in, else begin another."""
    chains: list[Chain] = []
    for fit, mask in sorted(masks.items(), key=lambda item: (-item[1].n_kept, item[0])):
        for chain in chains:
            if chain.layers == mask.layers and len(chain.fits) < LONGEST:
                last = chain.n_masks == len(chain.fits)
                if not (mask.bits & ~last).any():
                    chain.n_masks += mask.bits
                    chain.fits.append(fit)
                    break
        else:
            chains.append(Chain([fit], mask.layers, mask.bits.astype(np.uint8)))
    return chains


def _to_bytes(chains: list[Chain]) -> bytes:
    """Write chains as a safetensors file: fits and layers as JSON, and the numbers of masks, compressed by zstd."""
    from safetensors.numpy import save

    tensors = {}
    for i, chain in enumerate(chains):
        text = json.dumps({"fits": chain.fits, "layers": [[layer.name, list(layer.shape)] for layer in chain.layers]})
        tensors[f"{i}.chain"] = np.frombuffer(text.encode(), np.uint8)
        tensors[f"{i}.n_masks"] = np.frombuffer(pa.compress(chain.n_masks.tobytes(), "zstd", asbytes=True), np.uint8)
    return save(tensors, METADATA)


def _from_bytes(data: bytes) -> list[Chain]:
    from safetensors import deserialize

    tensors = {name: bytes(tensor["data"]) for name, tensor in deserialize(data)}
    chains = []
    for i in range(len(tensors) // 2):
        chain = json.loads(tensors[f"{i}.chain"])
        layers = tuple(Layer(str(name), tuple(map(int, shape))) for name, shape in chain["layers"])
        size = sum(layer.size for layer in layers)
        numbers = pa.decompress(tensors[f"{i}.n_masks"], size, "zstd", asbytes=True)
        chains.append(Chain(list(map(str, chain["fits"])), layers, np.frombuffer(numbers, np.uint8)))
    return chains
