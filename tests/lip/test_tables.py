"""RowStore are found whether they stand alone or in packs, and folding them loses none, whatever happens meanwhile."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lip.errors import InputError
from lip.ledger import tables
from lip.ledger.filesystem import Storage
from lip.ledger.schema import FITS, VERSION
from lip.ledger.tables import RowStore, to_parquet
from lip.specs.spec import id_of

SCHEMA = pa.schema([FITS.field("fit"), FITS.field("backtracks")])


def _specs() -> dict[str, str]:
    """By id, specs whose ids begin in three ways, five of each."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for number in count():
        text = json.dumps({"seed": number})
        group = found[id_of(text)[:2]]
        if len(group) < 5:
            group[id_of(text)] = text
        if all(len(found[name]) == 5 for name in ("aa", "ab", "b0")):
            return {key: text for name in ("aa", "ab", "b0") for key, text in sorted(found[name].items())}
    raise AssertionError


SPECS = _specs()
NAMES = {f"{key[:2]}{place % 5}": key for place, key in enumerate(SPECS)}
"""Short names: the group and a number, of which 4 is not filled."""
IDS = [key for name, key in NAMES.items() if not name.endswith("4")]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def rows(tmp_path: Path) -> RowStore:
    return RowStore(Storage(tmp_path), "rows")


@pytest.fixture(params=[1, 3], ids=["one pack", "packs by folder"])
def n_packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Folds into one pack, or as a large ledger into one per folder; gives the number of packs."""
    if request.param > 1:
        monkeypatch.setattr(tables, "BY_FOLDER_FROM", 0)
    return int(request.param)


def row(key: str, value: int, **others: object) -> dict[str, object]:
    known = {"fit": key, "schema": VERSION, "spec": SPECS.get(key), "backtracks": value}
    return {**known, "started": NOON, "seconds": 1.0, **others}


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), FITS)


def put(rows: RowStore, key: str, value: int, **others: object) -> None:
    rows.put(key, table(row(key, value, **others)))


def fill(rows: RowStore) -> dict[str, int]:
    for value, key in enumerate(IDS):
        put(rows, key, value)
    return {key: value for value, key in enumerate(IDS)}


def read(rows: RowStore) -> dict[str, int]:
    found = rows.read(SCHEMA)
    assert found["fit"].to_pylist() == sorted(found["fit"].to_pylist())
    return dict(zip(found["fit"].to_pylist(), found["backtracks"].to_pylist(), strict=True))


def files(rows: RowStore) -> list[Path]:
    return sorted(path for path in (rows.blobs.storage.folder / "rows").rglob("*") if path.is_file())


def test_looking_rows_up_lists_a_folder_once_and_reads_a_pack_once(
    rows: RowStore, n_packs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store is paid, and slow, by the request."""
    fill(rows)
    rows.compact()
    asked: list[str] = []
    for method in ("names", "read"):
        own = getattr(rows.blobs.storage, method)
        monkeypatch.setattr(rows.blobs.storage, method, lambda path, own=own: asked.append(path) or own(path))
    folders = ["rows/aa", "rows/ab", "rows/al", "rows/b0"]
    assert rows.keys(IDS, verified=True) == set(IDS)
    assert sorted(asked) == sorted(folders + [f"rows/{path.parent.name}/{path.name}" for path in files(rows)])
    asked.clear()
    assert rows.keys(IDS, verified=True) == set(IDS)
    assert sorted(asked) == folders


def test_folded_rows_are_read_as_before(rows: RowStore, n_packs: int) -> None:
    values = fill(rows)
    assert rows.compact() == (12, n_packs)
    assert len(files(rows)) == n_packs
    assert read(rows) == values
    asked = [NAMES["ab2"], "zz9", NAMES["aa1"]]
    assert rows.read(SCHEMA, asked).to_pydict() == {"fit": [NAMES["aa1"], NAMES["ab2"]], "backtracks": [1, 6]}
    for verified in (False, True):
        assert rows.keys([*IDS, "zz9", NAMES["aa4"]], verified) == set(IDS)
    sampled = rows.sample(SCHEMA, 2)
    assert len(sampled) >= 2
    assert sampled.to_pylist() == rows.read(SCHEMA, sampled["fit"].to_pylist()).to_pylist()
    assert rows.sample(SCHEMA, 99).to_pylist() == rows.read(SCHEMA).to_pylist()


def test_readers_see_packs_and_single_rows_and_folding_again_takes_both(rows: RowStore, n_packs: int) -> None:
    values = fill(rows)
    rows.compact()
    put(rows, NAMES["aa4"], 99)
    put(rows, NAMES["aa1"], 1, seconds=5.0)
    values[NAMES["aa4"]] = 99
    assert read(rows) == values
    assert rows.compact() == (n_packs + 2, n_packs)
    assert rows.read(pa.schema([FITS.field("seconds")]), [NAMES["aa1"]]).to_pydict() == {"seconds": [1.0]}
    assert read(rows) == values
    assert rows.compact() == (n_packs, n_packs), "nothing is left to do"


def test_rows_beyond_one_pack_are_folded_beside_it(rows: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large ledger stays so: what was in the first pack is not written again, and folding fewer rows joins all."""
    values = fill(rows)
    rows.compact()
    (first,) = files(rows)
    monkeypatch.setattr(tables, "BY_FOLDER_FROM", len(IDS) + 1)
    for value, name in enumerate(("aa4", "ab4"), 90):
        put(rows, NAMES[name], value)
        put(rows, NAMES["b00"], values[NAMES["b00"]], seconds=value)
        values[NAMES[name]] = value
    assert rows.compact() == (4, 4), "three folders with one file each"
    put(rows, NAMES["ab0"], values[NAMES["ab0"]], seconds=9.0)
    assert rows.compact() == (5, 4)
    assert first in files(rows)
    assert read(rows) == values
    assert rows.conflicts() == {}
    monkeypatch.undo()
    assert rows.compact() == (4, 1)
    assert read(rows) == values


def test_the_file_of_a_row_has_neither_null_columns_nor_descriptions(rows: RowStore) -> None:
    put(rows, NAMES["aa1"], 1)
    (path,) = files(rows)
    schema = pq.read_schema(path)
    assert set(schema.names) == {"fit", "schema", "spec", "backtracks", "started", "seconds"}
    assert not any(b"description" in (field.metadata or {}) for field in schema)


@pytest.mark.parametrize("described_from", [2, 3])
def test_a_pack_of_many_rows_describes_its_columns(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch, described_from: int
) -> None:
    monkeypatch.setattr(tables, "DESCRIBED_FROM", described_from)
    put(rows, NAMES["aa1"], 1)
    put(rows, NAMES["aa2"], 2)
    rows.compact()
    (path,) = files(rows)
    description = (pq.read_schema(path).field("backtracks").metadata or {}).get(b"description")
    assert description == (b"steps undone" if described_from == 2 else None)


def test_rows_that_are_read_describe_their_columns(rows: RowStore) -> None:
    put(rows, NAMES["aa1"], 1)
    assert rows.read(SCHEMA).schema.field("backtracks").metadata == {b"description": b"steps undone"}


def test_columns_that_this_version_does_not_know_are_kept(rows: RowStore) -> None:
    keys = [NAMES["aa0"], NAMES["aa1"]]
    put(rows, keys[0], 0)
    rows.put(keys[1], table(row(keys[1], 1)).append_column("added_later", pa.array(["x"])))
    rows.compact()
    found = pq.read_table(io.BytesIO(files(rows)[0].read_bytes()))
    assert found.select(["fit", "backtracks", "added_later"]).to_pydict() == {
        "fit": keys,
        "backtracks": [0, 1],
        "added_later": [None, "x"],
    }


def test_damage_is_neither_read_nor_folded_nor_deleted(rows: RowStore, n_packs: int) -> None:
    values = fill(rows)
    hurt = next(path for path in files(rows) if path.name.startswith(NAMES["ab1"]))
    hurt.write_bytes(hurt.read_bytes()[:-1])
    del values[NAMES["ab1"]]
    assert read(rows) == values
    assert rows.compact() == (12, n_packs + 1)
    assert read(rows) == values
    assert hurt in files(rows)
    assert rows.blobs.damaged() == [str(hurt.relative_to(rows.blobs.storage.folder))]
    pack = next(path for path in files(rows) if path.name.startswith(("b0.", "all.")))
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.write_bytes(data)
    lost = {key for key in IDS if n_packs == 1 or key.startswith("b0")}
    assert rows.keys(IDS, verified=False) == {NAMES["ab1"], *(values.keys() - lost)}
    assert rows.keys(IDS, verified=True) == values.keys() - lost


def test_a_reader_that_listed_before_the_folding_finds_the_rows_after_it(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch, n_packs: int
) -> None:
    values = fill(rows)
    other = RowStore(rows.blobs.storage, "rows")
    list_files = rows.blobs.files

    def folded_just_after(group: str) -> list[str]:
        listed = list_files(group)
        other.compact()
        return listed

    monkeypatch.setattr(rows.blobs, "files", folded_just_after)
    assert read(rows) == values


def test_files_that_vanish_one_by_one_while_they_are_read_are_found_in_the_pack(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch, n_packs: int
) -> None:
    """An object store takes seconds to delete what has been folded, and a reader looks in between, again and again."""
    values = fill(rows)
    monkeypatch.setattr(Storage, "remove", lambda *_: None)
    rows.compact()
    monkeypatch.undo()
    read_file = rows.blobs.storage.read

    def just_deleted(path: str) -> bytes:
        if ".pack-" not in path:
            raise FileNotFoundError(path)
        return read_file(path)

    monkeypatch.setattr(rows.blobs.storage, "read", just_deleted)
    assert read(rows) == values


def test_what_cannot_be_found_again_is_never_taken_for_not_there(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(rows)

    def vanishes(path: str) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(rows.blobs.storage, "read", vanishes)
    with pytest.raises(FileNotFoundError, match="vanish"):
        rows.read(SCHEMA)


@pytest.mark.parametrize("moment", ["before the pack is written", "after the pack is written"])
def test_two_that_fold_at_once_lose_nothing(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch, moment: str, n_packs: int
) -> None:
    """The other one also folds a row that was published after the first had read."""
    values = fill(rows) | {NAMES["aa4"]: 99}
    other = RowStore(rows.blobs.storage, "rows")
    add = rows.blobs.add

    def interrupted(key: str, data: bytes) -> str:
        path = add(key, data) if moment.startswith("after") else None
        put(other, NAMES["aa4"], 99)
        other.compact()
        return path or add(key, data)

    monkeypatch.setattr(rows.blobs, "add", interrupted)
    rows.compact()
    assert read(rows) == values
    other.compact()
    assert read(rows) == values
    assert len(files(rows)) == n_packs


def test_a_full_disk_or_a_pack_that_does_not_read_back_deletes_nothing(
    rows: RowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = fill(rows)
    before = files(rows)

    def full(path: str, data: bytes) -> None:
        raise OSError("disk full")

    def broken(path: str, data: bytes) -> None:
        file = rows.blobs.storage.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data[:-1])

    for write in (full, broken):
        with monkeypatch.context() as patch:
            patch.setattr(rows.blobs.storage, "write", write)
            with pytest.raises(OSError, match=r"disk full|does not read back"):
                rows.compact()
        assert set(before) <= set(files(rows))
        assert read(rows) == values


def test_a_pack_is_one_parquet_file_with_its_rows_in_order(rows: RowStore, tmp_path: Path) -> None:
    fill(rows)
    rows.compact()
    whole = pa.concat_tables(pq.read_table(io.BytesIO(path.read_bytes())) for path in files(rows))
    assert whole["fit"].to_pylist() == sorted(IDS)
    other = RowStore(Storage(tmp_path / "other"), "rows")
    for value, key in reversed(list(enumerate(IDS))):
        put(other, key, value)
    other.compact()
    assert [path.name for path in files(other)] == [path.name for path in files(rows)], "the same rows, the same name"


# What cannot be a row of its key


def damaged(rows: RowStore) -> list[str]:
    return [Path(path).name[:16] for path in rows.blobs.damaged()]


@pytest.mark.parametrize("folded", [False, True])
def test_a_row_under_the_name_of_another_is_not_believed(rows: RowStore, folded: bool) -> None:
    """Its own hash is right, whether it was moved there or written there."""
    one, two = NAMES["aa0"], NAMES["aa1"]
    put(rows, two, 2)
    (path,) = files(rows)
    path.rename(path.with_name(path.name.replace(two, one)))
    assert (read(rows), damaged(rows)) == ({}, [one])
    rows.blobs.add("aa.pack" if folded else one, to_parquet(table(row(two, 2, fit=one))))
    assert read(rows) == {}
    assert len(damaged(rows)) == 2
    put(rows, one, 1)
    assert read(rows) == {one: 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        to_parquet(pa.table({"fit": [NAMES["aa0"]], "spec": [SPECS[NAMES["aa0"]]], "schema": ["two"]})),
        to_parquet(pa.table({"fit": [NAMES["aa0"]]})),
        to_parquet(table()),
    ],
    ids=["empty", "no parquet", "a column of another type", "no spec", "no row"],
)
def test_what_has_the_right_hash_and_cannot_be_parsed_is_damaged(rows: RowStore, data: bytes) -> None:
    key = NAMES["aa0"]
    rows.blobs.add(key, data)
    put(rows, NAMES["aa1"], 1)
    assert read(rows) == {NAMES["aa1"]: 1}
    assert rows.keys([key], verified=True) == set()
    assert damaged(rows) == [key]
    assert rows.compact() == (2, 2), "it is kept as it is"
    put(rows, key, 7)
    assert read(rows)[key] == 7
    assert damaged(rows) == []


ONE, TWO = NAMES["aa0"], NAMES["aa1"]
MISFITS = {
    "another fit's row": table(row(TWO, 2)),
    "another spec": table(row(ONE, 2, spec=SPECS[TWO])),
    "another text of its spec": table(row(ONE, 2, spec=f"{SPECS[ONE]} ")),
    "no version": table(row(ONE, 2, schema=None)),
    "another fit's row beside": table(row(ONE, 2), row(TWO, 2)),
    "numbers as text": table(row(ONE, 2)).drop_columns(["seed"]).append_column("seed", pa.array(["1"])),
}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS.keys())
def test_a_row_that_is_not_its_fits_is_damaged_and_made_again(rows: RowStore, misfit: pa.Table) -> None:
    rows.blobs.add(ONE, to_parquet(misfit))
    put(rows, NAMES["ab0"], 3)
    assert read(rows) == {NAMES["ab0"]: 3}
    assert rows.keys([ONE, TWO], verified=True) == set()
    assert damaged(rows) == [ONE]
    put(rows, ONE, 1)
    assert read(rows) == {ONE: 1, NAMES["ab0"]: 3}
    assert damaged(rows) == []


def test_a_pack_is_believed_in_its_own_folder_and_only_whole(rows: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BY_FOLDER_FROM", 0)
    fill(rows)
    rows.compact()
    aa, ab, b0 = files(rows)
    swapped = rows.blobs.add("ab.pack", aa.read_bytes())
    ab.unlink()
    moved = b0.rename(aa.with_name(b0.name))
    one, two = NAMES["b00"], NAMES["b01"]
    edited = rows.blobs.add("b0.pack", to_parquet(table(row(one, 8), row(two, 9, spec=SPECS[one]))))
    assert set(read(rows)) == {NAMES[f"aa{number}"] for number in range(4)}
    assert {Path(path).name for path in rows.blobs.damaged()} == {Path(path).name for path in (swapped, moved, edited)}


def test_a_folder_in_place_of_a_file_is_listed_and_passed_over(rows: RowStore) -> None:
    fill(rows)
    (rows.blobs.storage.folder / "rows" / "aa" / f"{NAMES['aa4']}-{'0' * 16}.parquet").mkdir()
    assert set(read(rows)) == set(IDS)
    assert damaged(rows) == [NAMES["aa4"]]


@pytest.mark.parametrize(("version", "words"), [(VERSION + 97, "newer"), (VERSION - 1, "older")])
def test_another_version_of_the_schema_is_announced_and_kept(rows: RowStore, version: int, words: str) -> None:
    fill(rows)
    put(rows, NAMES["aa4"], 1, schema=version)
    (strange,) = [path for path in files(rows) if path.name.startswith(NAMES["aa4"])]
    for reader in (lambda: read(rows), rows.compact):
        with pytest.raises(InputError, match=rf"was written by an? {words} lip \(schema {version}, this one reads"):
            reader()
    assert strange in files(rows)


# Two rows of one fit


def test_rows_that_differ_only_in_how_they_were_computed_are_no_conflict(rows: RowStore) -> None:
    key = NAMES["aa0"]
    for seconds, host in ((1.0, "a"), (2.0, "b")):
        rows.blobs.add(key, to_parquet(table(row(key, 3, seconds=seconds, host=host))))
    assert rows.conflicts() == {}
    assert rows.compact() == (2, 1)
    assert read(rows) == {key: 3}


def test_what_is_not_a_number_equals_itself(rows: RowStore) -> None:
    for seconds in (1.0, 2.0):
        results = {"psnr_last": float("nan"), "curve_psnr": [1.0, float("nan")]}
        rows.blobs.add(ONE, to_parquet(table(row(ONE, 3, seconds=seconds, **results))))
    assert len(files(rows)) == 2
    assert rows.conflicts() == {}
    assert rows.compact() == (2, 1)
    assert pq.read_table(files(rows)[0])["seconds"].to_pylist() == [1.0]


def test_publishing_again_replaces_equal_results_and_stands_beside_others(rows: RowStore) -> None:
    for value, seconds in ((3, 1.0), (3, 2.0), (4, 3.0), (4, 4.0)):
        put(rows, ONE, value, seconds=seconds)
    assert len(files(rows)) == 2
    assert rows.conflicts() == {ONE: ["backtracks"]}
    rows.compact()
    put(rows, ONE, 5, seconds=0.5)
    assert read(rows) == {ONE: 5}
    assert rows.read(SCHEMA, [ONE])["backtracks"].to_pylist() == [5]
    assert rows.conflicts() == {ONE: ["backtracks"]}


def test_rows_finished_at_one_moment_give_one_row_that_folding_does_not_change(rows: RowStore) -> None:
    """Only by somebody's hand: five of them, of which four are edited copies."""
    for value in range(5):
        rows.blobs.add(ONE, to_parquet(table(row(ONE, value))))
    before = read(rows)
    assert rows.compact() == (5, 1)
    assert read(rows) == before
    assert rows.conflicts() == {ONE: ["backtracks"]}


@pytest.mark.parametrize("folded", [False, True])
def test_rows_with_other_results_are_a_conflict_and_both_are_kept(rows: RowStore, folded: bool) -> None:
    """What was finished first counts, whatever the hashes are."""
    key = NAMES["aa0"]
    for value, minute in ((97, 5), (20, 1), (99, 3)):
        put(rows, key, value, started=NOON.replace(minute=minute))
    if folded:
        assert rows.compact() == (3, 1)
        assert rows.compact() == (1, 1)
    assert rows.conflicts() == {key: ["backtracks"]}
    assert rows.conflicts([NAMES["aa1"]]) == {}
    assert read(rows) == {key: 20}
    (pack, *others) = files(rows)
    assert len(others) == (0 if folded else 2)
    if folded:
        assert sorted(pq.read_table(pack)["backtracks"].to_pylist()) == [20, 97, 99]
