"""Rows of a table by id, in Parquet: each in a file of its own, or many in a pack."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from lip.ledger.blobs import LOOKS, Shelf, each, group_of

_PACK = ".pack"
_ID = pa.schema([("id", pa.string())])


class Rows:
    """Rows on a shelf, each with its id in the column `id`.

    A row is published as a file of its own. `compact` folds the files of a folder into a pack, a file under the key
    `<folder>.pack`. Readers see both; where a row stands in both, the file of its own counts.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def put(self, key: str, row: pa.Table) -> None:
        """Publish a row, in place of what was there before."""
        self.shelf.put(key, to_parquet(row))

    def keys(self, among: Iterable[str], verified: bool) -> set[str]:
        """Which of these rows are here. Packs are always read and verified, files of one row only if that is asked."""
        wanted = set(among)
        alone = self.shelf.keys(wanted, verified)
        return alone.union(self.read(_ID, wanted - alone)["id"].to_pylist())

    def read(self, schema: pa.Schema, among: Iterable[str] | None = None) -> pa.Table:
        """The columns of a schema of all rows, or of those with the given ids, in order of their ids.

        Columns that an older row lacks are null in it. What is damaged is not there.
        """
        if among is None:
            tables = each(lambda group: self._read(group, None, schema), self.shelf.groups())
        else:
            wanted: dict[str, set[str]] = defaultdict(set)
            for key in among:
                wanted[group_of(key)].add(key)
            tables = each(lambda group: self._read(group, wanted[group], schema), sorted(wanted))
        return pa.concat_tables([schema.empty_table(), *tables])

    def sample(self, schema: pa.Schema, count: int) -> pa.Table:
        """The columns of a schema of at least so many rows, if there are as many, from as few folders as it takes."""
        tables = [schema.empty_table()]
        for group in self.shelf.groups():
            if sum(map(len, tables)) < count:
                tables.append(self._read(group, None, schema))
        return pa.concat_tables(tables)

    def compact(self) -> tuple[int, int]:
        """Fold the files of every folder into one. Returns how many files there were, and how many are left.

        Others may read, publish and compact meanwhile: a file is deleted when all of its rows have been read back from
        the pack, and never a file that was not read. What is damaged is left as it is.
        """
        counts = each(self._compact, self.shelf.groups())
        return sum(before for before, _ in counts), sum(after for _, after in counts)

    def _files(self, group: str) -> list[str]:
        """The files of a group, packs last."""
        return sorted(self.shelf.files(group), key=self._is_pack)

    def _is_pack(self, path: str) -> bool:
        return self.shelf.key(path).endswith(_PACK)

    def _read(self, group: str, wanted: set[str] | None, schema: pa.Schema) -> pa.Table:
        for _ in range(LOOKS):
            table, lost = self._look(group, wanted, schema)
            if not lost:
                return table
        raise FileNotFoundError(f"{self.shelf.storage.shown(self.shelf.folder)}: files vanish as they are read")

    def _look(self, group: str, wanted: set[str] | None, schema: pa.Schema) -> tuple[pa.Table, set[str]]:
        """The rows, and the keys of files that vanished after they were listed and whose rows are in no listed pack."""
        tables = [schema.empty_table()]
        place: dict[str, int] = {}
        gone: set[str] = set()
        for path in self._files(group):
            if wanted is not None and (wanted <= place.keys() or not self._may_hold(path, wanted)):
                continue
            try:
                data = self.shelf.read(path)
            except FileNotFoundError:
                gone.add(self.shelf.key(path))
                continue
            if data is not None:
                rows = aligned(data, schema)
                ids = (rows if "id" in rows.column_names else aligned(data, _ID))["id"].to_pylist()
                new = [i for i, key in enumerate(ids) if key not in place and (wanted is None or key in wanted)]
                tables.append(_taken(rows, new))
                for i in new:
                    place[ids[i]] = len(place)
        return _taken(pa.concat_tables(tables), [place[key] for key in sorted(place)]), gone - place.keys()

    def _may_hold(self, path: str, wanted: set[str]) -> bool:
        return self._is_pack(path) or self.shelf.key(path) in wanted

    def _compact(self, group: str) -> tuple[int, int]:
        files = self._files(group)
        tables: dict[str, pa.Table] = {}
        ids: set[str] = set()
        for path in files:
            with suppress(FileNotFoundError):
                if (data := self.shelf.read(path)) is not None:
                    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
                    held = table["id"].to_pylist()
                    tables[path] = _taken(table, [i for i, key in enumerate(held) if key not in ids])
                    ids.update(held)
        if len(tables) < 2:
            return len(files), len(files)
        whole = pa.concat_tables(tables.values(), promote_options="permissive").sort_by("id").combine_chunks()
        pack = self.shelf.add(f"{group}{_PACK}", to_parquet(whole))
        try:
            back = self.shelf.read(pack)
        except FileNotFoundError:  # another has folded it meanwhile, and all else with it
            return len(files), 1
        if back is None or aligned(back, _ID)["id"].to_pylist() != sorted(ids):
            raise OSError(f"{pack} does not read back as it was written; nothing was deleted")
        for path in tables.keys() - {pack}:
            self.shelf.storage.remove(path)
        return len(files), len(files) - len(tables) + 1


def _taken(table: pa.Table, rows: list[int]) -> pa.Table:
    """Some rows of a table, without work where that is all of them in order."""
    return table if rows == list(range(len(table))) else table.take(pa.array(rows, pa.int64()))


def to_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def aligned(data: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of a schema, read from the bytes of a Parquet file; those that it lacks are null."""
    file = pq.ParquetFile(pa.BufferReader(data))
    wanted = set(schema.names)  # of a schema it is a list, made anew at every look
    there = file.read(columns=[name for name in file.schema_arrow.names if name in wanted], use_threads=False)
    place = {name: i for i, name in enumerate(there.column_names)}

    def column(field: pa.Field) -> pa.Array | pa.ChunkedArray:
        if field.name not in place:
            return pa.nulls(len(there), field.type)
        own = there.column(place[field.name])
        return own if own.type == field.type else own.cast(field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)
