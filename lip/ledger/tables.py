"""The rows of fits, in Parquet: each in a file of its own, or many in a pack."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lip.ledger.blobs import LOOKS, BlobStore, each, group_of
from lip.ledger.filesystem import Storage
from lip.ledger.schema import FITS, RESULTS, require_version
from lip.specs.spec import id_of

_PACK = ".pack"
_ID = pa.schema([FITS.field("id")])
_PROOF = pa.schema([FITS.field(name) for name in ("id", "schema", "spec", "started", "seconds")])
"""Columns that are read with any others: they prove a row, and put several of one fit in order."""


class Rows:
    """The rows of fits by id.

    A row is published as a file of its own. `compact` folds the files of a folder into a pack, a file under the key
    `<folder>.pack`. Readers see both. A row is believed if its id is the hash of its spec and belongs into its file;
    a file with another row, or with a column of another type, is damaged.

    Of several rows of one fit the one that was finished first counts. Where they differ in `schema.RESULTS`, all of
    them are kept and `conflicts` tells.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.shelf = BlobStore(storage, folder, ".parquet", partial(self._parse, schema=_PROOF))

    def put(self, key: str, row: pa.Table) -> None:
        """Publish a row, in place of what is damaged or has the same results, and beside what has others."""
        before = self.shelf.versions(key)
        path = self.shelf.add(key, to_parquet(row))
        for old in before:
            with suppress(FileNotFoundError):
                there = self.shelf.parsed(old, partial(self._parse, schema=FITS))
                if old != path and (there is None or _results(there) == _results(row)):
                    self.shelf.storage.remove(old)

    def keys(self, among: Iterable[str], verified: bool) -> set[str]:
        """Find these rows. Packs are always read and verified, files of one row only if that is asked."""
        wanted = set(among)
        alone = self.shelf.keys(wanted, verified)
        return alone.union(self.read(_ID, wanted - alone)["id"].to_pylist())

    def read(self, schema: pa.Schema, among: Iterable[str] | None = None) -> pa.Table:
        """Some columns of the rows of all fits, or of those with the given ids, in order of their ids.

        Columns that an older row lacks are null in it. What is damaged is not there.
        """
        wanted = self._wanted(among)
        tables = each(lambda group: self._read(group, wanted[group], schema), wanted)
        return pa.concat_tables([schema.empty_table(), *tables])

    def sample(self, schema: pa.Schema, count: int) -> pa.Table:
        """The columns of a schema of at least so many rows, if there are as many, from as few folders as it takes."""
        tables = [schema.empty_table()]
        for group in self.shelf.groups():
            if sum(map(len, tables)) < count:
                tables.append(self._read(group, None, schema))
        return pa.concat_tables(tables)

    def conflicts(self, among: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The fits, of all or of these, whose rows differ in their results, and the columns in which they do."""
        wanted = self._wanted(among)
        found: dict[str, list[str]] = {}
        for part in each(lambda group: self._conflicts(group, wanted[group]), wanted):
            found |= part
        return found

    def compact(self) -> tuple[int, int]:
        """Fold the files of every folder into one. Returns how many files there were, and how many are left.

        Others may read, publish and compact meanwhile: a file is deleted when all of its rows have been read back from
        the pack, and never a file that was not read. What is damaged is left as it is; rows in conflict are all kept.
        """
        counts = each(self._compact, self.shelf.groups())
        return sum(before for before, _ in counts), sum(after for _, after in counts)

    def _wanted(self, among: Iterable[str] | None) -> Mapping[str, set[str] | None]:
        """The ids that are looked for in each folder; None: all."""
        if among is None:
            return dict.fromkeys(self.shelf.groups())
        wanted: dict[str, set[str]] = defaultdict(set)
        for key in among:
            wanted[group_of(key)].add(key)
        return {group: wanted[group] for group in sorted(wanted)}

    def _files(self, group: str) -> list[str]:
        """The files of a group, packs last."""
        return sorted(self.shelf.files(group), key=self._is_pack)

    def _is_pack(self, path: str) -> bool:
        return self.shelf.key(path).endswith(_PACK)

    def _read(self, group: str, wanted: set[str] | None, schema: pa.Schema) -> pa.Table:
        table = self._copies(group, wanted, schema)
        ids = table["id"].to_pylist()
        return _taken(table, [i for i, key in enumerate(ids) if i == 0 or key != ids[i - 1]]).select(schema.names)

    def _copies(self, group: str, wanted: set[str] | None, columns: pa.Schema) -> pa.Table:
        """All rows, also several of one fit, in order of their ids and then of when they were finished."""
        for _ in range(LOOKS):
            table, lost = self._look(group, wanted, columns)
            if not lost:
                return table
        raise FileNotFoundError(f"{self.shelf.storage.shown(self.shelf.folder)}: files vanish as they are read")

    def _look(self, group: str, wanted: set[str] | None, columns: pa.Schema) -> tuple[pa.Table, set[str]]:
        """The rows, and the keys of files that vanished after they were listed and whose rows are in no listed pack."""
        schema = pa.unify_schemas([_PROOF, columns])
        tables = [schema.empty_table()]
        gone: set[str] = set()
        for path in self._files(group):
            if wanted is not None and not (self._is_pack(path) or self.shelf.key(path) in wanted):
                continue
            try:
                table = self.shelf.parsed(path, partial(self._parse, schema=schema))
            except FileNotFoundError:
                gone.add(self.shelf.key(path))
                continue
            if table is not None:
                ids = table["id"].to_pylist()
                tables.append(_taken(table, [i for i, key in enumerate(ids) if wanted is None or key in wanted]))
        table = _in_order(pa.concat_tables(tables))
        return table, gone.difference(table["id"].to_pylist())

    def _parse(self, path: str, data: bytes, schema: pa.Schema) -> pa.Table:
        """Columns of the rows of a file, those of _PROOF among them. Raises as `BlobStore.check` does."""
        file = pq.ParquetFile(pa.BufferReader(data))
        own = file.schema_arrow
        wanted = set(schema.names)  # of a schema it is a list, made anew at every look
        table = file.read(columns=[name for name in own.names if name in wanted], use_threads=False)
        for version in set(table["schema"].to_pylist()):
            require_version(version, path)
        check_types(own, FITS)
        ids, key = table["id"].to_pylist(), self.shelf.key(path)
        for own_id, spec in zip(ids, table["spec"].to_pylist(), strict=True):
            if own_id != id_of(spec) or key not in (own_id, group_of(own_id) + _PACK):
                raise ValueError(f"{path} holds a row of another fit")
        if not ids:
            raise ValueError(f"{path} holds no row")
        return filled(table, schema)

    def _whole(self, path: str, data: bytes) -> pa.Table:
        """All columns of a file, also those that the schema does not know."""
        self.shelf.check(path, data)
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)

    def _conflicts(self, group: str, wanted: set[str] | None) -> dict[str, list[str]]:
        files = self._files(group)
        if len({self.shelf.key(path) for path in files}) == len(files) and not any(map(self._is_pack, files)):
            return {}
        ids = Counter(self._copies(group, wanted, _ID)["id"].to_pylist())
        results: dict[str, list[list[str]]] = defaultdict(list)
        if several := {key for key, count in ids.items() if count > 1}:
            copies = self._copies(group, several, FITS)
            for key, values in zip(copies["id"].to_pylist(), _results(copies), strict=True):
                results[key].append(values)
        differing = {
            key: [name for name, values in zip(RESULTS, zip(*rows, strict=True), strict=True) if len(set(values)) > 1]
            for key, rows in results.items()
        }
        return {key: columns for key, columns in differing.items() if columns}

    def _compact(self, group: str) -> tuple[int, int]:
        files = self._files(group)
        tables: dict[str, pa.Table] = {}
        for path in files:
            with suppress(FileNotFoundError):
                if (table := self.shelf.parsed(path, self._whole)) is not None:
                    tables[path] = table
        if len(tables) < 2:
            return len(files), len(files)
        whole = pa.concat_tables([FITS.empty_table(), *tables.values()], promote_options="permissive")
        whole = _distinct(_in_order(whole)).combine_chunks()
        pack = self.shelf.add(f"{group}{_PACK}", to_parquet(whole))
        try:
            back = self.shelf.parsed(pack, partial(self._parse, schema=_PROOF))
        except FileNotFoundError:  # another has folded it meanwhile, and all else with it
            return len(files), 1
        if back is None or back["id"].to_pylist() != whole["id"].to_pylist():
            raise OSError(f"{pack} does not read back as it was written; nothing was deleted")
        for path in tables.keys() - {pack}:
            self.shelf.storage.remove(path)
        return len(files), len(files) - len(tables) + 1


def _in_order(table: pa.Table) -> pa.Table:
    """Rows by id, of one id that which was finished first before the others."""
    started = table["started"].cast(pa.int64()).cast(pa.float64(), safe=False)  # milliseconds
    keys = pa.table({"id": table["id"], "finished": pc.add(started, pc.multiply(table["seconds"], 1000))})
    order = pc.sort_indices(keys, [("id", "ascending"), ("finished", "ascending")])  # stable
    return _taken(table, order.to_pylist())


def _distinct(table: pa.Table) -> pa.Table:
    """The first of rows of one fit that have the same results."""
    counts = Counter(table["id"].to_pylist())
    seen: set[tuple[str, ...]] = set()
    chosen = []
    for i, key in enumerate(table["id"].to_pylist()):
        results = (key, *(_results(table.slice(i, 1))[0] if counts[key] > 1 else ()))
        if results not in seen:
            seen.add(results)
            chosen.append(i)
    return _taken(table, chosen)


def _results(table: pa.Table) -> list[list[str]]:
    """The columns RESULTS of every row as text, in which what is not a number equals itself."""
    return [list(map(repr, row.values())) for row in table.select(RESULTS).to_pylist()]


def _taken(table: pa.Table, rows: list[int]) -> pa.Table:
    """Some rows of a table, without work where that is all of them in order."""
    return table if rows == list(range(len(table))) else table.take(pa.array(rows, pa.int64()))


def check_types(own: pa.Schema, known: pa.Schema) -> None:
    """Raise TypeError where a column that is known has another type."""
    if not own.equals(known):
        types = dict(zip(known.names, known.types, strict=True))
        if wrong := [field.name for field in own if field.type != types.get(field.name, field.type)]:
            raise TypeError(f"columns of another type: {', '.join(wrong)}")


def filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema, null where the table lacks them."""
    there = set(table.column_names)
    columns = [table[name] if name in there else pa.nulls(len(table), schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)


def to_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file.

    A row of its own is mostly footer, of which statistics and a second copy of the schema would be half.
    """
    buffer = io.BytesIO()
    lean: dict[str, Any] = {"use_dictionary": False, "write_statistics": False, "store_schema": False}
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", **lean) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(table.schema.metadata or {})
    return buffer.getvalue()
