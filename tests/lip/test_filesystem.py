"""One interface to folders and object stores; an in-memory one stands for the latter."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lip.errors import InputError
from lip.ledger.filesystem import Storage
from lip.ledger.ledger import Ledger, default_storage
from lip.masks import Mask
from lip.training.restore import train


@pytest.fixture(params=["folder", "file://", "memory://"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    kind = request.param
    return Storage(
        {"folder": tmp_path / "new", "file://": f"file://{tmp_path}/new"}.get(kind, f"{kind}{uuid.uuid4().hex}/x")
    )


def test_what_is_written_is_read_listed_and_removed(storage: Storage) -> None:
    assert storage.names("a") == storage.folders() == []
    storage.write("a/b/one", b"1")
    storage.write("a/two", b"2")
    storage.write("a/two", b"3")
    assert (storage.read("a/b/one"), storage.read("a/two")) == (b"1", b"3")
    assert (storage.names("a"), storage.folders("a"), storage.names("a/b")) == (["two"], ["b"], ["one"])
    storage.remove("a/two")
    storage.remove("a/two")
    assert storage.names("a") == []
    with pytest.raises(FileNotFoundError):
        storage.read("a/two")


def test_checking_leaves_nothing_behind(storage: Storage) -> None:
    storage.check_writable()
    assert storage.names() == storage.folders() == []


def test_a_ledger_works_in_an_object_store_as_in_a_folder(tiny) -> None:
    ledger = Ledger(f"memory://{uuid.uuid4().hex}/results")
    fits = [tiny.fit(steps=2, seed=seed) for seed in range(3)]
    model = tiny.model(fits[0])
    mask = Mask.dense(model.layers)
    trained = train(model, mask)
    for fit in fits[:2]:
        ledger.publish(fit, mask, trained, mask, datetime.now(UTC))
    for verified in (False, True):
        assert ledger.published(fits, verified) == {fits[0].id, fits[1].id}
    assert fits[0] in Ledger(ledger.url), "any process sees it"
    assert ledger.next_mask(fits[1]) == mask
    ledger.compact()
    assert ledger.fits(["fit"])["fit"].to_pylist() == sorted(fit.id for fit in fits[:2])
    ledger.record_failure("abc", "cause")
    assert ledger.failures() == {"abc": "cause"}
    assert ledger.damaged() == []
    with pytest.raises(InputError, match=r"memory://.* is not a folder of this machine"):
        _ = ledger.root


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nosuch://bucket/lip", "storage nosuch://bucket/lip cannot be used (Protocol not known: nosuch)"),
        (
            "hf://datasets/lip",
            "hf:// needs a library that is not installed (Install huggingface_hub to access HfFileSystem)",
        ),
    ],
)
def test_urls_that_cannot_be_used_are_said_in_one_sentence(url: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        Storage(url)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_secrets_and_options_of_a_url_are_not_shown() -> None:
    storage = Storage("s3://key:secret@bucket/lip?region=us-west-2&scheme=http&endpoint_override=127.0.0.1:1")
    assert storage.display_name("fits/ab") == "s3://bucket/lip/fits/ab"


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Below it there may be a disk that is not mounted; what is written there would be lost when it is."""
    storage = Storage(tmp_path / "disk")
    storage.write("a", b"1")
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="is gone"):
        storage.write("b", b"2")
    (tmp_path / "elsewhere").rename(tmp_path / "disk")
    storage.write("b", b"2")
    assert storage.names() == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "meant"), [("s3://bucket/lip", "s3://bucket/lip"), ("/a b/c", "/a b/c"), ("", "results")]
)
def test_the_environment_says_where_results_are(monkeypatch: pytest.MonkeyPatch, given: str, meant: str) -> None:
    monkeypatch.setenv("LIP_STORAGE", given)
    assert default_storage() == meant
    monkeypatch.delenv("LIP_STORAGE")
    assert default_storage() == "results"


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:topsecret@bucket/lip?nosuch=topsecret",
        "s3://AKIA:top/secret@bucket/lip",
        "nosuch://AKIA:topsecret@bucket/lip",
        "hf://AKIA:topsecret@datasets/lip",
    ],
)
def test_secrets_are_not_shown_when_a_url_cannot_be_used_either(url: str) -> None:
    with pytest.raises(InputError) as error:
        Storage(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["/", "file:///", "s3://"])
def test_a_place_without_a_name_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="names no folder or bucket"):
        Storage(url)
