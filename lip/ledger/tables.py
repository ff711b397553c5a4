"""The rows of fits in Parquet, each in its own file, or many in a pack."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lip.ledger.blobs import READ_ATTEMPTS, BlobStore, group_of, map_groups
from lip.ledger.filesystem import Storage
from lip.ledger.schema import FITS, RESULTS, require_version
from lip.specs.spec import id_of

_PACK = ".pack"
_ALL = f"all{_PACK}"
"""Key of the pack of rows of all folders. No id is in its own folder, because ids are hexadecimal."""
_SHARED = group_of(_ALL)
_ID = pa.schema([FITS.field("fit")])
_PROOF = pa.schema([FITS.field(name) for name in ("fit", "schema", "spec", "started", "seconds")])
"""Columns that are always read: they verify a row, and order several rows of one fit."""

BY_FOLDER_FROM = 5000
"""Rows from which on `compact` makes packs by folder, so that it need not write all rows again every time."""
DESCRIBED_FROM = 100
"""RowStore from which on a pack describes its columns, which takes 20 kB."""


class RowStore:
    """The rows of fits by id.

    A row is published in its own file, without the columns that are null in it. `compact` folds a small ledger into one
    pack, a file with the key `all.pack`, and the rows that a large one has beside that into a pack per folder, with the
    key `<folder>.pack`. Readers see all. A row is valid if its id is the hash of its spec and belongs into its file; a
    file with another row, or with a column of another type, is damaged.

    Of several rows of one fit, readers see the one that was finished first. If they differ in `schema.RESULTS`, all of
    them are stored and `conflicts` finds them.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.blobs = BlobStore(storage, folder, ".parquet", partial(self._parse, schema=_PROOF))
        self._ids: dict[str, frozenset[str]] = {}

    def put(self, key: str, row: pa.Table) -> None:
        """Publish a row, replacing damaged rows and equal results, and beside different results."""
        before = self.blobs.versions(key)
        path = self.blobs.add(key, to_parquet(_lean(row)))
        for old in before:
            with suppress(FileNotFoundError):
                older = self.blobs.parsed(old, partial(self._parse, schema=FITS))
                if old != path and (older is None or _results(older) == _results(row)):
                    self.blobs.storage.remove(old)

    def remove(self, key: str) -> None:
        """Delete all rows of a fit; a pack that has one is written anew before the old one goes."""
        for path in [*self._files(group_of(key)), *self._files(_SHARED)]:
            if not self._is_pack(path):
                if self.blobs.key(path) == key:
                    self.blobs.storage.remove(path)
            elif (table := self.blobs.parsed(path, self._whole)) is not None and key in table["fit"].to_pylist():
                rest = table.filter(pc.not_equal(table["fit"], key))
                if len(rest):
                    self.blobs.add(self.blobs.key(path), to_parquet(_lean(rest), described=len(rest) >= DESCRIBED_FROM))
                self.blobs.storage.remove(path)

    def keys(self, among: Iterable[str], verified: bool) -> set[str]:
        """Find these rows. Packs are always read and verified, files of one row only if `verified`.

        A pack is read once: its name has the hash of its content.
        """
        wanted = set(among)
        groups = sorted(set(map(group_of, wanted)))
        listed = dict(zip(groups, map_groups(self._files, groups), strict=True))
        found = self.blobs.keys(wanted, verified, listed)
        if not (left := wanted - found):
            return found
        packs = [path for path in chain(*listed.values(), self._files(_SHARED)) if self._is_pack(path)]
        try:
            return found | left.intersection(chain.from_iterable(map_groups(self._ids_of, packs)))
        except FileNotFoundError:  # another process has folded one of them
            return found.union(self.read(_ID, left)["fit"].to_pylist())

    def _ids_of(self, pack: str) -> frozenset[str]:
        if pack not in self._ids:
            table = self.blobs.parsed(pack, partial(self._parse, schema=_PROOF))
            self._ids[pack] = frozenset(() if table is None else table["fit"].to_pylist())
        return self._ids[pack]

    def read(self, schema: pa.Schema, among: Iterable[str] | None = None) -> pa.Table:
        """Read some columns of the rows of all fits, or of these ids, in order of ids.

        Columns that a row lacks are null. Damaged files are skipped.
        """
        return _first_of_each(self._copies(self._wanted(among), schema)).select(schema.names)

    def sample(self, schema: pa.Schema, count: int) -> pa.Table:
        """Read at least this many rows if they exist, from few folders."""
        groups = self._groups()
        for number in (0, 1, 4, 16, 64, len(groups)):
            table = _first_of_each(self._copies(dict.fromkeys([*groups[:number], _SHARED]), schema))
            if len(table) >= count:
                break
        return table.select(schema.names)

    def conflicts(self, among: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Find fits, among all or these, whose rows differ in results, and the columns that differ."""
        wanted = self._wanted(among)
        files = list(chain.from_iterable(map_groups(self._files, wanted)))
        if len({self.blobs.key(path) for path in files}) == len(files) and not any(map(self._is_pack, files)):
            return {}
        ids = Counter(self._copies(wanted, _ID)["fit"].to_pylist())
        copies = self._copies(self._wanted(key for key, count in ids.items() if count > 1), FITS)
        results: dict[str, list[list[str]]] = defaultdict(list)
        for key, values in zip(copies["fit"].to_pylist(), _results(copies), strict=True):
            results[key].append(values)
        differing = {
            key: [name for name, values in zip(RESULTS, zip(*rows, strict=True), strict=True) if len(set(values)) > 1]
            for key, rows in results.items()
        }
        return {key: columns for key, columns in differing.items() if columns}

    def compact(self) -> tuple[int, int]:
        """Fold the files of rows into few, and return the numbers of files before and after.

        Others may read, publish and compact meanwhile: a file is deleted only if it was read and all of its rows have
        been read back from the pack. Damaged files stay; rows in conflict are all stored.
        """
        folders = self._groups()
        files = dict(zip([*folders, _SHARED], map_groups(self._files, [*folders, _SHARED]), strict=True))
        every = list(chain.from_iterable(files.values()))
        if self._is_small(every):
            return len(every), self._fold(_ALL, every)
        counts = map_groups(lambda group: self._fold(f"{group}{_PACK}", files[group]), folders)
        return len(every), sum(counts) + len(files[_SHARED])

    def _is_small(self, files: list[str]) -> bool:
        """Tell whether these files have fewer rows than BY_FOLDER_FROM."""
        packs = [path for path in files if self._is_pack(path)]
        count = len(files) - len(packs)
        while packs and count < BY_FOLDER_FROM:
            with suppress(FileNotFoundError):
                count += len(self.blobs.parsed(packs.pop(), partial(self._parse, schema=_PROOF)) or ())
        return count < BY_FOLDER_FROM

    def _groups(self) -> list[str]:
        return [group for group in self.blobs.groups() if group != _SHARED]

    def _wanted(self, among: Iterable[str] | None) -> Mapping[str, set[str] | None]:
        """Group the wanted ids by folder, and all of them for the shared pack; None: all that are there."""
        if among is None:
            return dict.fromkeys([*self._groups(), _SHARED])
        ids = set(among)
        wanted: dict[str, set[str]] = defaultdict(set)
        for key in ids:
            wanted[group_of(key)].add(key)
        return {**{group: wanted[group] for group in sorted(wanted)}, _SHARED: ids}

    def _files(self, group: str) -> list[str]:
        """List the files of a group, packs last."""
        return sorted(self.blobs.files(group), key=self._is_pack)

    def _is_pack(self, path: str) -> bool:
        return self.blobs.key(path).endswith(_PACK)

    def _copies(self, wanted: Mapping[str, set[str] | None], columns: pa.Schema) -> pa.Table:
        """Read all rows, also several of one fit, in order of ids and then of when they were finished.

        The shared pack is listed after the folders, because rows only ever move from these into that.
        """
        tables: dict[str, pa.Table] = {}
        left = [group for group in wanted if group != _SHARED]
        for _ in range(READ_ATTEMPTS):
            found = map_groups(lambda group: self._read_once(group, wanted[group], columns), left)
            shared, replaced = self._read_once(_SHARED, wanted[_SHARED], columns)
            ids = shared["fit"].to_pylist()
            tables |= {group: table for group, (table, _) in zip(left, found, strict=True)}
            left = [group for group, (_, gone) in zip(left, found, strict=True) if gone.difference(ids)]
            if not left and not replaced:
                return _in_order(pa.concat_tables([*tables.values(), shared]))
        raise FileNotFoundError(
            f"{self.blobs.storage.display_name(self.blobs.folder)}: files vanish while they are read"
        )

    def _read_once(self, group: str, wanted: set[str] | None, columns: pa.Schema) -> tuple[pa.Table, set[str]]:
        """Return the rows, and the ids that vanished during reading and are in no listed pack."""
        schema = pa.unify_schemas([_PROOF, columns])
        tables = [schema.empty_table()]
        gone: set[str] = set()
        for path in self._files(group):
            if wanted is not None and not (self._is_pack(path) or self.blobs.key(path) in wanted):
                continue
            try:
                table = self.blobs.parsed(path, partial(self._parse, schema=schema))
            except FileNotFoundError:
                gone.add(self.blobs.key(path))
                continue
            if table is not None:
                ids = table["fit"].to_pylist()
                tables.append(_take_rows(table, [i for i, key in enumerate(ids) if wanted is None or key in wanted]))
        table = _in_order(pa.concat_tables(tables))
        return table, gone.difference(table["fit"].to_pylist())

    def _parse(self, path: str, data: bytes, schema: pa.Schema) -> pa.Table:
        """Read and verify columns of a file, including _PROOF. Raises as `BlobStore.check` does."""
        file = pq.ParquetFile(pa.BufferReader(data))
        own = file.schema_arrow
        wanted = set(schema.names)  # `names` makes a new list at every access
        table = file.read(columns=[name for name in own.names if name in wanted], use_threads=False)
        for version in set(table["schema"].to_pylist()):
            require_version(version, path)
        check_types(own, _TYPES)
        ids, key = table["fit"].to_pylist(), self.blobs.key(path)
        for own_id, spec in zip(ids, table["spec"].to_pylist(), strict=True):
            if own_id != id_of(spec) or key not in (own_id, group_of(own_id) + _PACK, _ALL):
                raise ValueError(f"{path} holds a row of another fit")
        if not ids:
            raise ValueError(f"{path} holds no row")
        return with_columns_of(table, schema)

    def _whole(self, path: str, data: bytes) -> pa.Table:
        """Read all columns of a file, also those unknown to the schema."""
        self.blobs.check(path, data)
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)

    def _fold(self, key: str, files: list[str]) -> int:
        """Fold files into a pack with this key, and return the number of files that are left of them."""
        tables: dict[str, pa.Table] = {}
        for path in files:
            with suppress(FileNotFoundError):
                if (table := self.blobs.parsed(path, self._whole)) is not None:
                    tables[path] = table
        if len(tables) < 2:
            return len(files)
        whole = pa.concat_tables([FITS.empty_table(), *tables.values()], promote_options="permissive")
        whole = _distinct(_in_order(whole)).combine_chunks()
        pack = self.blobs.add(key, to_parquet(_lean(whole), described=len(whole) >= DESCRIBED_FROM))
        try:
            back = self.blobs.parsed(pack, partial(self._parse, schema=_PROOF))
        except FileNotFoundError:  # another process has folded it meanwhile, with all other files
            return 1
        if back is None or back["fit"].to_pylist() != whole["fit"].to_pylist():
            raise OSError(f"{pack} does not read back as it was written; nothing was deleted")
        for path in tables.keys() - {pack}:
            self.blobs.storage.remove(path)
        return len(files) - len(tables) + 1


def _first_of_each(table: pa.Table) -> pa.Table:
    """Drop the later ones of several rows of one fit, in a table in order of ids."""
    ids = table["fit"].to_pylist()
    return _take_rows(table, [i for i, key in enumerate(ids) if i == 0 or key != ids[i - 1]])


def _in_order(table: pa.Table) -> pa.Table:
    """Sort rows by id, and rows of one id by when they were finished."""
    started = table["started"].cast(pa.int64()).cast(pa.float64(), safe=False)  # milliseconds
    keys = pa.table({"fit": table["fit"], "finished": pc.add(started, pc.multiply(table["seconds"], 1000))})
    order = pc.sort_indices(keys, [("fit", "ascending"), ("finished", "ascending")])  # stable
    return _take_rows(table, order.to_pylist())


def _distinct(table: pa.Table) -> pa.Table:
    """Drop rows of one fit that have the same results as an earlier one."""
    counts = Counter(table["fit"].to_pylist())
    seen: set[tuple[str, ...]] = set()
    chosen = []
    for i, key in enumerate(table["fit"].to_pylist()):
        results = (key, *(_results(table.slice(i, 1))[0] if counts[key] > 1 else ()))
        if results not in seen:
            seen.add(results)
            chosen.append(i)
    return _take_rows(table, chosen)


def _results(table: pa.Table) -> list[list[str]]:
    """Return the columns RESULTS of every row as text, so that NaN equals NaN."""
    return [list(map(repr, row.values())) for row in table.select(RESULTS).to_pylist()]


def _take_rows(table: pa.Table, rows: list[int]) -> pa.Table:
    """Take some rows of a table, without work if they are all rows in order."""
    return table if rows == list(range(len(table))) else table.take(pa.array(rows, pa.int64()))


def _lean(table: pa.Table) -> pa.Table:
    """Drop the columns that are null in every row, and mark those without nulls as required."""
    fields = [f.with_nullable(table[f.name].null_count > 0) for f in table.schema]
    columns = [f for f in fields if table[f.name].null_count < len(table)]
    return table.select([f.name for f in columns]).cast(pa.schema(columns))


_TYPES = dict(zip(FITS.names, FITS.types, strict=True))


def check_types(own: pa.Schema, types: Mapping[str, pa.DataType]) -> None:
    """Raise TypeError if a known column has another type."""
    if wrong := [field.name for field in own if field.type != types.get(field.name, field.type)]:
        raise TypeError(f"columns of another type: {', '.join(wrong)}")


def with_columns_of(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema, null where the table lacks them."""
    own = set(table.column_names)
    columns = [table[name] if name in own else pa.nulls(len(table), schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)


def to_parquet(table: pa.Table, described: bool = False) -> bytes:
    """Write a table as the bytes of a Parquet file, `described` with the descriptions in its schema.

    A file of one row is mostly footer, of which statistics and a second copy of the schema would be half.
    """
    buffer = io.BytesIO()
    options: dict[str, Any] = {"use_dictionary": False, "write_statistics": False, "store_schema": described}
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(table.schema.metadata or {})
    return buffer.getvalue()
