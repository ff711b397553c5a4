"""Rows are found whether they stand alone or in packs, and folding them loses none, whatever happens meanwhile."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lip.ledger.blobs import Shelf
from lip.ledger.filesystem import Storage
from lip.ledger.tables import Rows, to_parquet

SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64())])
IDS = [f"{group}{number}" for group in ("aa", "ab", "b0") for number in range(4)]


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(Shelf(Storage(tmp_path), "rows", ".parquet"))


def put(rows: Rows, key: str, value: int) -> None:
    rows.put(key, pa.table({"id": [key], "value": [value]}, SCHEMA))


def fill(rows: Rows) -> dict[str, int]:
    for value, key in enumerate(IDS):
        put(rows, key, value)
    return {key: value for value, key in enumerate(IDS)}


def read(rows: Rows) -> dict[str, int]:
    table = rows.read(SCHEMA)
    assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
    return dict(zip(table["id"].to_pylist(), table["value"].to_pylist(), strict=True))


def files(rows: Rows) -> list[Path]:
    return sorted(path for path in rows.shelf.storage.folder.rglob("*") if path.is_file())


def test_folded_rows_are_read_as_before(rows: Rows) -> None:
    values = fill(rows)
    assert rows.compact() == (12, 3)
    assert len(files(rows)) == 3
    assert read(rows) == values
    assert rows.read(SCHEMA, ["ab2", "zz9", "aa1"]).to_pydict() == {"id": ["aa1", "ab2"], "value": [1, 6]}
    for verified in (False, True):
        assert rows.keys([*IDS, "zz9", "aa9"], verified) == set(IDS)


def test_readers_see_packs_and_single_rows_and_folding_again_takes_both(rows: Rows) -> None:
    values = fill(rows)
    rows.compact()
    for key, value in (("aa9", 99), ("aa1", 42)):
        put(rows, key, value)
        values[key] = value
    assert read(rows) == values, "and a row published again counts instead of the folded one"
    assert rows.compact() == (5, 3)
    assert read(rows) == values
    assert rows.compact() == (3, 3), "nothing is left to do"


def test_columns_that_this_version_does_not_know_are_kept(rows: Rows) -> None:
    put(rows, "aa0", 0)
    rows.put("aa1", pa.table({"id": ["aa1"], "added_later": ["x"]}))
    rows.compact()
    assert pq.read_table(io.BytesIO(files(rows)[0].read_bytes())).to_pydict() == {
        "id": ["aa0", "aa1"],
        "value": [0, None],
        "added_later": [None, "x"],
    }


def test_damage_is_neither_read_nor_folded_nor_deleted(rows: Rows) -> None:
    values = fill(rows)
    hurt = next(path for path in files(rows) if path.name.startswith("ab1"))
    hurt.write_bytes(hurt.read_bytes()[:-1])
    del values["ab1"]
    assert read(rows) == values
    assert rows.compact() == (12, 4)
    assert read(rows) == values
    assert hurt in files(rows)
    assert rows.shelf.damaged() == [str(hurt.relative_to(rows.shelf.storage.folder))]
    pack = next(path for path in files(rows) if path.name.startswith("b0"))
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.write_bytes(data)
    assert rows.keys(IDS, verified=False) == {"ab1", *values} - {"b00", "b01", "b02", "b03"}
    assert rows.keys(IDS, verified=True) == values.keys() - {"b00", "b01", "b02", "b03"}


def test_a_reader_that_listed_before_the_folding_finds_the_rows_after_it(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = fill(rows)
    other = Rows(Shelf(rows.shelf.storage, "rows", ".parquet"))
    list_files = rows.shelf.files

    def folded_just_after(group: str) -> list[str]:
        listed = list_files(group)
        other.compact()
        return listed

    monkeypatch.setattr(rows.shelf, "files", folded_just_after)
    assert read(rows) == values


def test_files_that_vanish_one_by_one_while_they_are_read_are_found_in_the_pack(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store takes seconds to delete what has been folded, and a reader looks in between, again and again."""
    values = fill(rows)
    monkeypatch.setattr(Storage, "remove", lambda *_: None)
    rows.compact()
    monkeypatch.undo()
    read_file = rows.shelf.read

    def just_deleted(path: str) -> bytes | None:
        if ".pack-" not in path:
            raise FileNotFoundError(path)
        return read_file(path)

    monkeypatch.setattr(rows.shelf, "read", just_deleted)
    assert read(rows) == values


def test_what_cannot_be_found_again_is_never_taken_for_not_there(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(rows)

    def vanishes(path: str) -> bytes | None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(rows.shelf, "read", vanishes)
    with pytest.raises(FileNotFoundError, match="vanish"):
        rows.read(SCHEMA)


@pytest.mark.parametrize("moment", ["before the pack is written", "after the pack is written"])
def test_two_that_fold_at_once_lose_nothing(rows: Rows, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The other one also folds a row that was published after the first had read."""
    values = fill(rows) | {"aa9": 99}
    other = Rows(Shelf(rows.shelf.storage, "rows", ".parquet"))
    add = rows.shelf.add

    def interrupted(key: str, data: bytes) -> str:
        path = add(key, data) if moment.startswith("after") else None
        put(other, "aa9", 99)
        other.compact()
        return path or add(key, data)

    monkeypatch.setattr(rows.shelf, "add", interrupted)
    rows.compact()
    assert read(rows) == values
    other.compact()
    assert read(rows) == values
    assert len(files(rows)) == 3


def test_a_full_disk_or_a_pack_that_does_not_read_back_deletes_nothing(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = fill(rows)
    before = files(rows)

    def full(path: str, data: bytes) -> None:
        raise OSError("disk full")

    def broken(path: str, data: bytes) -> None:
        (rows.shelf.storage.folder / path).write_bytes(data[:-1])

    for write in (full, broken):
        with monkeypatch.context() as patch:
            patch.setattr(rows.shelf.storage, "write", write)
            with pytest.raises(OSError, match=r"disk full|does not read back"):
                rows.compact()
        assert set(before) <= set(files(rows))
        assert read(rows) == values


def test_a_pack_is_one_parquet_file_with_its_rows_in_order(rows: Rows) -> None:
    fill(rows)
    rows.compact()
    table = pa.concat_tables(pq.read_table(io.BytesIO(path.read_bytes())) for path in files(rows))
    assert table["id"].to_pylist() == sorted(IDS)
    assert to_parquet(table.slice(0, 4)) == files(rows)[0].read_bytes(), "the same rows have the same name"
