"""Files are whole and verified or not there, whatever happens to the process or the disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lip.errors import InputError
from lip.ledger.blobs import BlobStore
from lip.ledger.filesystem import Storage


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(Storage(tmp_path), "shelf", ".bin")


def put(store: BlobStore, key: str, data: bytes) -> Path:
    return store.storage.folder / store.put(key, data)


def files(store: BlobStore) -> list[Path]:
    return [path for path in store.storage.folder.rglob("*") if path.is_file()]


def damaged(store: BlobStore) -> list[Path]:
    return [store.storage.folder / path for path in store.damaged()]


def test_what_is_put_is_got_until_it_is_removed(store: BlobStore) -> None:
    assert store.get("key") is None
    path = put(store, "key", b"data")
    assert path == store.storage.folder / "shelf" / "ke" / "key-0307911a325b6de4.bin"  # sha256 of b"shelf/key\0data"
    assert path.read_bytes() == store.get("key") == b"data"
    store.remove("key")
    assert store.get("key") is None
    assert files(store) == []


def test_no_data_are_data_too(store: BlobStore) -> None:
    store.put("key", b"")
    assert store.get("key") == b""


def test_a_key_is_not_taken_for_one_that_begins_like_it(store: BlobStore) -> None:
    store.put("key-0307911a325b6de4", b"long")
    assert store.get("key") is None
    store.put("key", b"short")
    store.remove("key")
    assert store.get("key-0307911a325b6de4") == b"long"


def test_items_come_in_order_of_their_keys(store: BlobStore) -> None:
    for key in ("b", "aa", "c.d", "a"):
        store.put(key, key.encode())
    assert list(store.items()) == [("a", b"a"), ("aa", b"aa"), ("b", b"b"), ("c.d", b"c.d")]


def test_putting_again_replaces_what_was_there(store: BlobStore) -> None:
    store.put("key", b"old")
    store.put("key", b"new")
    store.put("key", b"new")
    assert store.get("key") == b"new"
    assert len(files(store)) == 1


def test_two_writers_of_one_key_leave_one_item(store: BlobStore) -> None:
    """Each has looked for old versions before the other had written, so both files stay."""
    versions = [put(store, "key", data) for data in (b"one", b"two")]
    versions[0].write_bytes(b"one")
    assert len(files(store)) == 2
    assert list(store.items()) == [("key", store.get("key"))]
    min(versions).write_bytes(b"damaged")
    assert list(store.items()) == [("key", max(versions).read_bytes())] == [("key", store.get("key"))]
    store.remove("key")
    assert files(store) == []


def test_a_key_that_continues_another_with_a_hyphen_does_not_come_between_its_versions(store: BlobStore) -> None:
    versions = [put(store, "sweep.a", data) for data in (b"0", b"1", b"2")]  # hashes 5feceb..., 6b86b2..., d4735e...
    for path, data in zip(versions, (b"0", b"1", b"2"), strict=True):
        path.write_bytes(data)
    store.put("sweep.a-b", b"other")
    assert [key for key, _ in store.items()] == ["sweep.a", "sweep.a-b"]


@pytest.mark.parametrize(
    "key", ["", ".", "..", "..x", "../x", ".x", "-x", "a/b", "a\\b", "a b", "a\n", "*", "ü", "[a]"]
)
def test_keys_that_could_leave_the_folder_or_match_others_are_refused(store: BlobStore, key: str) -> None:
    for use in (store.get, store.remove, lambda key: store.put(key, b"data")):
        with pytest.raises(ValueError, match="cannot name a file"):
            use(key)
    assert files(store) == []


def test_damaged_files_are_never_read_but_listed(store: BlobStore) -> None:
    store.put("sound", b"data")
    path = put(store, "hurt", b"data")
    for damage in (b"", b"dat", b"data\0", b"dbta"):
        path.write_bytes(damage)
        assert store.get("hurt") is None
        assert list(store.items()) == [("sound", b"data")]
        assert damaged(store) == [path]
    store.put("hurt", b"fresh")
    assert damaged(store) == []
    assert not path.exists()


def test_a_file_under_the_wrong_name_is_damaged(store: BlobStore) -> None:
    path = put(store, "key", b"data")
    wrong = path.rename(path.with_name(f"key-{'0' * 16}.bin"))
    assert store.get("key") is None
    assert damaged(store) == [wrong]


def test_a_file_that_vanishes_while_it_is_looked_for_is_looked_for_again(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer has replaced it meanwhile."""
    old = put(store, "key", b"old")
    list_files = store.files

    def replaced_just_after(group: str) -> list[str]:
        listed = list_files(group)
        if old.exists():
            put(BlobStore(store.storage, "shelf", ".bin"), "key", b"new")
        return listed

    monkeypatch.setattr(store, "files", replaced_just_after)
    assert store.get("key") == b"new"


def test_keys_are_told_by_name_or_by_content(store: BlobStore) -> None:
    for key in ("a1", "a2", "b1"):
        hurt = put(store, key, b"data")
    hurt.write_bytes(b"date")
    asked = ["a1", "b1", "c1"]
    assert store.keys(asked, verified=False) == {"a1", "b1"}
    assert store.keys(asked, verified=True) == {"a1"}


def refuse(*anything: object) -> None:
    raise OSError("disk full")


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_when_writing_fails_what_was_there_stays_and_nothing_is_left_over(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    before = put(store, "key", b"before")
    with monkeypatch.context() as broken:
        broken.setattr(os, function, refuse)
        with pytest.raises(OSError, match="disk full"):
            store.put("key", b"after")
    assert files(store) == [before]
    assert store.get("key") == b"before"


def test_a_file_is_on_the_disk_before_it_has_its_name_and_unseen_until_then(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old file or the new one, and no reader meets half of it."""
    order: list[str] = []

    def logged(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            order.append(name)
            if name == "replace":
                assert Path(arguments[0]).read_bytes() == b"data"
                assert list(store.items()) == damaged(store) == []
                assert store.get("key") is None
            return call(*arguments)

        return wrapper

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, logged(name, getattr(os, name)))
    store.put("key", b"data")
    assert order == ["fsync", "replace", "fsync"]


def test_other_files_in_the_folder_are_nobodys_business(store: BlobStore) -> None:
    path = put(store, "key", b"data")
    for name in (".DS_Store", "notes.txt", "key.bin", f".{'0' * 32}", "key-0307911a325b6de4.json"):
        path.with_name(name).write_bytes(b"other")
    assert list(store.items()) == [("key", b"data")]
    assert damaged(store) == []


def test_a_file_under_the_name_of_another_key_is_damaged(store: BlobStore) -> None:
    """A ticket moved to another fit, for one: its content is whole, and not what the key stands for."""
    path = put(store, "key", b"data")
    path.rename(path.with_name(path.name.replace("key", "kex")))
    assert store.get("kex") is None
    assert len(store.damaged()) == 1
    store.put("kex", b"own")
    assert store.get("kex") == b"own"
    assert store.damaged() == []


def test_a_file_of_another_folder_is_damaged(store: BlobStore) -> None:
    other = BlobStore(store.storage, "other", ".bin")
    path = put(store, "key", b"data")
    (path.parents[2] / "other" / "ke").mkdir(parents=True)
    path.rename(path.parents[2] / "other" / "ke" / path.name)
    assert other.get("key") is None
    assert len(other.damaged()) == 1


def test_what_cannot_be_parsed_is_damaged_however_its_parser_fails(tmp_path: Path) -> None:
    def fails(path: str, data: bytes) -> None:
        if data == b"bad":
            raise RecursionError

    store = BlobStore(Storage(tmp_path), "shelf", ".bin", fails)
    store.add("key", b"bad")
    assert store.get("key") is None
    store.add("key", b"good")
    assert store.get("key") == b"good"
    assert len(store.damaged()) == 1


def test_several_whole_files_of_a_key_are_told_and_damaged_ones_do_not_count(store: BlobStore) -> None:
    store.add("one", b"data")
    for data in (b"data", b"other"):
        store.add("two", data)
    store.add("six", b"data")
    path = put(store, "six", b"x")
    path.write_bytes(b"y")
    assert store.several() == {"two"}
    assert store.several(["one", "six"]) == set()


def refuse_newer(path: str, data: bytes) -> None:
    if data == b"newer":
        raise InputError(f"{path} is newer")


def test_what_another_version_wrote_ends_every_reader(tmp_path: Path) -> None:
    store = BlobStore(Storage(tmp_path), "shelf", ".bin", refuse_newer)
    path = put(store, "key", b"newer")
    fresh = BlobStore(Storage(tmp_path / "there"), "shelf", ".bin")
    for read in (
        lambda: store.get("key"),
        lambda: list(store.items()),
        lambda: store.keys(["key"], verified=True),
        store.damaged,
        lambda: fresh.fetch(store),
    ):
        with pytest.raises(InputError, match=f"^{path} is newer$"):
            read()
    assert path.read_bytes() == b"newer"


def test_a_file_named_as_the_first_schema_did_is_shown_to_the_check_but_never_believed(tmp_path: Path) -> None:
    """Its hash is that of its content alone, so it may be any key's."""
    store = BlobStore(Storage(tmp_path), "shelf", ".bin", refuse_newer)
    folder = tmp_path / "shelf" / "ke"
    folder.mkdir(parents=True)
    path = folder / f"key-{hashlib.sha256(b'data').hexdigest()[:16]}.bin"
    path.write_bytes(b"data")
    assert store.get("key") is None
    assert damaged(store) == [path]
    path.unlink()
    path = folder / f"key-{hashlib.sha256(b'newer').hexdigest()[:16]}.bin"
    path.write_bytes(b"newer")
    with pytest.raises(InputError, match="is newer"):
        store.get("key")


@pytest.mark.parametrize("kind", ["folder", "full folder", "pipe", "loop", "dangling link"])
def test_what_is_no_file_is_not_opened_and_gives_way(store: BlobStore, kind: str) -> None:
    path = put(store, "key", b"data")
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif "folder" in kind:
        path.mkdir()
        if kind == "full folder":
            (path / "mine.txt").write_text("precious")
    else:
        path.symlink_to(path.name if kind == "loop" else "nowhere")
    assert store.get("key") is None
    assert list(store.items()) == []
    assert store.keys(["key"], verified=True) == set()
    assert damaged(store) == ([] if kind in ("loop", "dangling link") else [path])
    store.put("key", b"data")
    assert store.get("key") == b"data"
    assert damaged(store) == []
    if kind == "full folder":
        assert [file.read_text() for file in path.parent.rglob("mine.txt")] == ["precious"]
