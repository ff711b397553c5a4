"""The ledger believes nothing it cannot verify, and its rows say what the fits were."""

import hashlib
import io
import json
import os
import pickle
import platform
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lip.errors import InputError
from lip.ledger.blobs import BlobStore, group_of
from lip.ledger.ledger import LONGEST_LOG, Ledger, to_8_bit
from lip.ledger.schema import COLUMNS, FITS, RESULTS, SCORES, SWEEP_ROWS, VERSION
from lip.ledger.tables import to_parquet
from lip.masks import Mask
from lip.pruners import Imp, Random
from lip.specs.fit import Fit
from lip.training import environment
from lip.training.record import RestorationResult
from lip.training.restore import train

FOLDERS = ("fits", "next_masks", "weights", "outputs", "sweeps", "searches", "failures", "notes", "environments")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def dense(tiny) -> Fit:
    return tiny.fit(steps=3)


@pytest.fixture(scope="module")
def mask(tiny, dense: Fit) -> Mask:
    model = tiny.model(dense)
    scores = np.arange(int(model.is_prunable.sum()))[::-1]
    return Mask.keep_largest(model.layers, scores, 4000)  # of 6072; the last layers are empty


@pytest.fixture(scope="module")
def trained(tiny, dense: Fit, mask: Mask) -> RestorationResult:
    return train(tiny.model(dense), mask)


@pytest.fixture
def publish(ledger: Ledger, mask: Mask, trained: RestorationResult) -> Callable[..., None]:
    """Puts a fit into the ledger with everything it owes; all have the result of the same training."""

    def one(fit: Fit, into: Ledger = ledger, started: datetime = NOON, outputs: bool = False) -> None:
        into.publish(fit, mask, trained, mask if fit.has_next_mask else None, started, outputs)

    return one


def only(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def test_a_fit_is_in_the_ledger_once_it_is_published(ledger: Ledger, publish, dense: Fit) -> None:
    assert dense not in ledger
    assert ledger.fits().num_rows == 0
    publish(dense)
    assert dense in ledger
    assert dense.replace(seed=1) not in ledger
    assert ledger.fits()["fit"].to_pylist() == [dense.id]


def test_a_row_has_the_columns_of_the_schema_and_says_what_the_fit_was(
    ledger: Ledger, publish, dense: Fit, mask: Mask, trained: RestorationResult
) -> None:
    publish(dense)
    table = ledger.fits()
    assert table.schema == FITS
    assert table.column_names == list(COLUMNS)
    (row,) = table.to_pylist()
    expected = {
        "fit": dense.id,
        "schema": VERSION,
        "image": "photo",
        "content_hash": dense.picture.content_hash,
        **{"image_height": 32, "image_width": 32, "channels": 3},
        **{"task": "denoise", "sigma": 25.0, "prior": "hourglass", "width": 8, "scales": 2, "skip": 4, "depth": 32},
        **{"seed": 0, "steps": 3, "lr": 0.01, "jitter": 1 / 30, "ema": 0.99, "backtrack": 5.0},
        **{"mask_kind": "dense", "round": 0, "mask_fit": None, "mask_image": None, "start": None, "start_steps": 0},
        **{"sparsity_asked": 0.0, "sparsity": 1 - 4000 / 6072, "n_prunable": 6072, "n_kept": 4000},
        **{"parameters": 6339, "kept_parameters": 6339 - 2072, "empty_layers": 5},
        **{f"psnr_{s}": trained.scores[s].psnr for s in SCORES},
        **{f"ssim_{s}": trained.scores[s].ssim for s in SCORES},
        **{f"step_{s}": trained.scores[s].step for s in SCORES},
        **{"loss": trained.loss, "stop_found": False, "backtracks": 0, "collapsed": trained.collapsed},
        **{"started": NOON, "seconds": trained.seconds, "cpu_seconds": trained.cpu_seconds},
        "steps_per_second": 3 / trained.seconds,
        **{"device": "cpu", "threads": 1, "version_torch": torch.__version__, "code": environment.code()},
        **{"backend": trained.backend, "cpu": environment.cpu(), "commit": environment.checkout()[0]},
        "curve_step": [1, 2, 3],
        "curve_psnr_ema": pytest.approx(trained.curve.psnr_ema, rel=1e-6),
        "layer_name": [layer.name for layer in mask.layers],
        "layer_size": [layer.size for layer in mask.layers],
        "layer_kept": mask.kept_per_layer,
    }
    assert {key: row[key] for key in expected} == expected
    assert json.loads(row["spec"]) == dense.canonical()
    null = {key for key, value in row.items() if value is None}
    assert {
        "classes",
        "factor",
        "inpaint_mask",
        "target",
        "batch",
        "accuracy_last",
        "mse_last",
        "psnr_mean",
        "start",
    } <= null
    assert not null & {
        "backtrack_rule",
        "grace",
        "stalled",
        "diverged",
        "cpu_seconds",
        "psnr_emv",
        "psnr_lowest_loss",
        "backend",
    }
    assert 10 < row["peak_memory_mb"] < 100_000


def test_a_row_says_what_the_fit_was_built_on(ledger: Ledger, publish, tiny, dense: Fit) -> None:
    native = dense.replace(picture=tiny.pictures["other"])
    start = dense.replace(schedule=dense.schedule.replace(steps=2, backtrack=None), saves_weights=True)
    fit = dense.replace(recipe=Imp(trained=native.replace(recipe=Imp(trained=native))), start=start)
    publish(fit)
    (row,) = ledger.fits().to_pylist()
    assert (row["mask_kind"], row["round"], row["sparsity_asked"]) == ("imp", 2, pytest.approx(0.36))
    assert (row["mask_fit"], row["mask_image"], row["image"]) == (fit.recipe.source_fit.id, "other", "photo")
    assert (row["start"], row["start_steps"]) == (start.id, 2)
    publish(start)
    assert ledger.fits(["backtrack"], ids=[start.id]).to_pylist() == [{"backtrack": None}]


def test_rows_can_be_chosen_by_column_and_id_and_come_in_order_of_ids(ledger: Ledger, publish, dense: Fit) -> None:
    fits = [dense.replace(seed=seed) for seed in range(4)]
    for fit in fits:
        publish(fit)
    ids = sorted(fit.id for fit in fits)
    assert ledger.fits(["fit"]).to_pydict() == {"fit": ids}
    assert ledger.fits(["seed", "fit"], ids=[fits[2].id, "0" * 16, fits[2].id]).to_pylist() == [
        {"seed": 2, "fit": fits[2].id}
    ]
    assert ledger.fits(["fit"], ids=reversed(ids)).to_pydict() == {"fit": ids}
    assert ledger.fits(ids=[]).num_rows == 0


def damages(data: bytes) -> list[bytes]:
    """A flipped bit at 64 places, first and last among them, and the ends that a torn write would leave."""
    places = np.linspace(0, len(data) - 1, 64).astype(int).tolist()
    flipped = [data[:i] + bytes([data[i] ^ 1 << k % 8]) + data[i + 1 :] for k, i in enumerate(places)]
    return flipped + [data[:length] for length in range(0, len(data), 512)]


def test_a_damaged_row_is_never_read_is_listed_and_heals(ledger: Ledger, publish, dense: Fit) -> None:
    sound = dense.replace(seed=1)
    publish(dense)
    path = only(ledger.root / "fits")
    publish(sound)
    for damage in damages(path.read_bytes()):
        path.write_bytes(damage)
        assert dense not in ledger
        assert ledger.fits(["fit"])["fit"].to_pylist() == [sound.id]
        assert ledger.fits(["fit"], ids=[dense.id]).num_rows == 0
        assert ledger.damaged() == [str(path)]
    publish(dense, started=NOON.replace(hour=13))
    assert dense in ledger
    assert ledger.damaged() == []
    assert not path.exists()


def test_a_damaged_next_mask_or_weights_are_lost_to_those_that_need_them(ledger: Ledger, publish, dense: Fit) -> None:
    rewound = dense.replace(saves_weights=True)
    users = dense.replace(recipe=Imp(trained=dense)), dense.replace(recipe=Random(target=1), start=rewound)
    reads = ("next_masks", ledger.next_mask), ("weights", ledger.weights)
    for fit, user, (kind, read) in zip((dense, rewound), users, reads, strict=True):
        publish(fit)
        assert ledger.lost([user]) == set()
        path = only(ledger.root / kind)
        data = path.read_bytes()
        for damage in (data[:-1], data[:9] + b"x" + data[10:], None):
            path.write_bytes(damage) if damage else path.unlink()
            assert fit in ledger
            assert not ledger.is_whole(fit)
            assert ledger.lost([user]) == {fit.id}
            with pytest.raises(LookupError, match=f"{fit.id} \\(photo, round 0\\) is missing or damaged"):
                read(fit)
        publish(fit)
        assert ledger.is_whole(fit)
        assert ledger.lost([user]) == set()


def test_a_fit_that_owes_nothing_needs_its_row_and_environment_only(ledger: Ledger, publish, dense: Fit) -> None:
    fit = dense.replace(recipe=Random(target=1))
    publish(fit)
    assert fit in ledger
    assert {path.name for path in ledger.root.iterdir()} == {"fits", "environments"}


def test_tickets_weights_and_outputs_are_read_as_they_were_written(
    ledger: Ledger, publish, dense: Fit, mask: Mask, trained: RestorationResult
) -> None:
    rewound = dense.replace(saves_weights=True)
    publish(dense, outputs=True)
    publish(rewound)
    assert ledger.next_mask(dense) == mask
    weights = ledger.weights(rewound)
    assert weights.keys() == trained.weights.keys()
    assert all(torch.equal(value, trained.weights[name]) for name, value in weights.items())
    outputs = ledger.outputs(dense)
    assert outputs.keys() == trained.outputs.keys() > set(SCORES)
    assert all(np.array_equal(outputs[name], to_8_bit(image)) for name, image in trained.outputs.items())
    assert not ledger.has_outputs(rewound)
    with pytest.raises(LookupError, match="outputs"):
        ledger.outputs(rewound)


def test_eight_bits_are_the_nearest_of_256_levels() -> None:
    image = np.array([-0.1, 0.0, 0.0019, 0.002, 0.5, 0.999, 1.2], np.float32).reshape(1, 1, 7)
    assert to_8_bit(image)[0, :, 0].tolist() == [0, 0, 0, 1, 128, 255, 255]
    assert to_8_bit(np.zeros((3, 4, 5))).shape == (4, 5, 3)


def test_no_part_is_published_without_the_whole(
    ledger: Ledger, publish, dense: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails at the n-th file: the row is the last of ticket, weights or outputs, row."""
    rename = os.replace
    for allowed in range(3):
        left = iter(range(allowed))

        def full(source: Path, target: Path, left=left) -> None:
            if next(left, None) is None:
                raise OSError("disk full")
            rename(source, target)

        fit = dense.replace(seed=allowed)
        for owing in (fit, fit.replace(saves_weights=True)):
            with monkeypatch.context() as broken:
                broken.setattr(os, "replace", full)
                with pytest.raises(OSError, match="disk full"):
                    publish(owing, outputs=True)
            assert owing not in ledger
    assert ledger.fits().num_rows == 0
    assert ledger.damaged() == []
    publish(dense, outputs=True)
    assert dense in ledger


def test_two_writers_of_a_fit_leave_one_row(ledger: Ledger, publish, dense: Fit) -> None:
    publish(dense)
    path = only(ledger.root / "fits")
    data = path.read_bytes()
    publish(dense, started=NOON.replace(hour=13))
    path.write_bytes(data)
    assert len(list(path.parent.iterdir())) == 2
    assert ledger.fits().num_rows == 1
    assert dense in ledger


@pytest.mark.parametrize("name", ["a b", 'it\'s "q"', "Größe-結果", "new\nline", "[a-z]*?", "-rf", "$HOME;#"])
def test_results_folders_may_have_any_name(tmp_path: Path, publish, dense: Fit, name: str) -> None:
    ledger = Ledger(tmp_path / name)
    ledger.check_writable()
    publish(dense, into=ledger, outputs=True)
    ledger.record_sweep("sweep", "smoke", [])
    assert dense in ledger
    assert ledger.fits().num_rows == 1
    assert ledger.has_outputs(dense)
    assert ledger.damaged() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_row_from_before_a_column_was_added_has_null_there(ledger: Ledger, publish, dense: Fit) -> None:
    publish(dense)
    path = only(ledger.root / "fits")
    older = pq.read_table(io.BytesIO(path.read_bytes())).drop_columns(["collapsed", "layer_kept"])
    older = older.append_column("dropped_since", pa.array(["x"]))
    path.unlink()
    BlobStore(ledger.storage, "fits", ".parquet").add(dense.id, to_parquet(older))
    table = ledger.fits()
    assert table.schema == FITS
    (row,) = table.to_pylist()
    assert (row["collapsed"], row["layer_kept"], row["seed"]) == (None, None, 0)


def test_a_value_that_the_schema_does_not_know_is_an_error_and_not_lost(
    ledger: Ledger, publish, dense: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "columns", lambda *_: {"moon_phase": 0.5})
    with pytest.raises(KeyError, match="moon_phase"):
        publish(dense)
    assert dense not in ledger


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    """Below a regular file, as root may write everywhere else."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written") as error:
        Ledger(tmp_path / "file" / "results").check_writable()
    assert "\n" not in str(error.value)


def test_checking_a_folder_leaves_nothing_in_it(ledger: Ledger) -> None:
    ledger.check_writable()
    assert list(ledger.root.iterdir()) == []


def point(**values: object) -> dict[str, object]:
    return {"trajectory": "t", "image": "photo", "task": "denoise", "pruner": "imp", "seed": 0, "rewind": 0.0} | values


def test_a_sweep_is_recorded_and_replaced_by_name_and_profile(ledger: Ledger) -> None:
    assert ledger.sweeps().schema == SWEEP_ROWS
    ledger.record_sweep("demo", "smoke", [point(round=k, fit=f"{k}") for k in range(3)])
    ledger.record_sweep("demo", "paper", [point(round=7, fit="7", source_image="other")])
    ledger.record_sweep("demo", "smoke", [point(round=9, fit="9")])
    rows = ledger.sweeps().to_pylist()
    assert [(row["sweep"], row["profile"], row["round"], row["source_image"]) for row in rows] == [
        ("demo", "paper", 7, "other"),
        ("demo", "smoke", 9, None),
    ]


def test_a_sweep_whose_name_would_leave_the_folder_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        ledger.record_sweep("../demo", "smoke", [])


def test_an_environment_is_recorded_once_and_rows_name_it(ledger: Ledger, publish, dense: Fit) -> None:
    for seed in (0, 1):
        publish(dense.replace(seed=seed))
    ((key, described),) = ledger.environments().items()
    assert ledger.fits(["environment"])["environment"].to_pylist() == [key, key]
    assert described == environment.description()


def test_the_end_of_a_log_is_kept_with_a_failure(ledger: Ledger) -> None:
    ledger.record_failure("abc", "cause", "begins" + "x" * LONGEST_LOG + "ends")
    log = ledger.failure_log("abc")
    assert (len(log), log[-5:]) == (LONGEST_LOG, "xends")
    assert ledger.failure_log("another") == ""
    ledger.stores["failures"].put("abc", b'{"cause": "of an older lip", "schema": 3}')
    assert (ledger.failures()["abc"], ledger.failure_log("abc")) == ("of an older lip", "")


def test_notes_about_a_sweep_are_read_in_order(ledger: Ledger) -> None:
    for run, note, tags in (("b", "first", ["draft"]), ("a", "second: 100 %\n", []), ("c", "", ["x", "y"])):
        ledger.record_note(run, "demo", "smoke", note, tags)
    ledger.record_note("d", "demo", "mini", "of another profile", [])
    found = ledger.notes("demo", "smoke")
    assert [(each["note"], each["tags"]) for each in found] == [
        ("first", ["draft"]),
        ("second: 100 %\n", []),
        ("", ["x", "y"]),
    ]
    assert {each["host"] for each in found} == {platform.node()}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 3}', b'{"schema": 3, "packages": []}'])
def test_a_damaged_environment_is_listed_and_made_again(ledger: Ledger, publish, dense: Fit, content: bytes) -> None:
    publish(dense)
    (described,) = ledger.environments().values()
    only(ledger.root / "environments").unlink()
    hurt = ledger.stores["environments"].add(environment.key(), content)
    assert ledger.damaged() == [str(ledger.root / hurt)]
    again = Ledger(ledger.root)
    publish(dense.replace(seed=1), again)
    assert list(again.environments().values()) == [described]


def test_failures_are_remembered_until_cleared(ledger: Ledger) -> None:
    cause = 'ValueError: "ü"\nat line 3'
    ledger.record_failure("abc", "first")
    ledger.record_failure("abc", cause)
    ledger.record_failure("def", "other")
    assert ledger.failures() == {"abc": cause, "def": "other"}
    ledger.clear_failure("abc")
    ledger.clear_failure("never-failed")
    assert ledger.failures() == {"def": "other"}


def test_damage_is_listed_wherever_it_is(ledger: Ledger, publish, dense: Fit) -> None:
    publish(dense, outputs=True)
    publish(dense.replace(saves_weights=True))
    ledger.record_sweep("demo", "smoke", [])
    ledger.record_search("demo", "smoke", SEARCH)
    ledger.record_failure("abc", "cause")
    ledger.record_note("abc", "demo", "smoke", "a note", [])
    paths = {path for path in ledger.root.rglob("*") if path.is_file()}
    assert {path.relative_to(ledger.root).parts[0] for path in paths} == set(FOLDERS)
    for path in paths:
        path.write_bytes(b"damaged")
    assert set(ledger.damaged()) == set(map(str, paths))
    assert not ledger.has_outputs(dense)
    assert (ledger.fits().num_rows, ledger.sweeps().num_rows, ledger.failures()) == (0, 0, {})
    assert ledger.search("demo", "smoke") is None


SEARCH = {"definition": {}, "objective": {}, "settings": [], "held_out": {}}


def fill(ledger: Ledger, publish: Callable[..., None], fit: Fit, key: str = "demo") -> None:
    """One file on every store, but two rows."""
    publish(fit, ledger, outputs=True)
    publish(fit.replace(saves_weights=True), ledger)
    ledger.record_sweep(key, "smoke", [point(round=0, fit=fit.id)])
    ledger.record_search(key, "smoke", SEARCH | {"trials": fit.seed})
    ledger.record_failure(key, "cause")
    ledger.record_note(key, "demo", "smoke", "a note", ["tag"])


def file_of(ledger: Ledger, folder: str, fit: Fit) -> Path:
    """The file on a store, that of the fit where there are two."""
    paths = [path for path in (ledger.root / folder).rglob("*") if path.is_file()]
    return next((path for path in paths if path.name.startswith(fit.id)), paths[0])


READERS: dict[str, Callable[[Ledger, Fit], object]] = {
    "fits": lambda ledger, fit: ledger.fits(["fit"], [fit.id]).num_rows,
    "next_masks": lambda ledger, fit: ledger.next_mask(fit).bits.size,
    "weights": lambda ledger, fit: ledger.weights(fit.replace(saves_weights=True)),
    "outputs": lambda ledger, fit: ledger.images(fit.id),
    "sweeps": lambda ledger, fit: ledger.sweeps().num_rows,
    "searches": lambda ledger, fit: ledger.search("demo", "smoke"),
    "failures": lambda ledger, fit: ledger.failures(),
    "notes": lambda ledger, fit: ledger.notes("demo", "smoke"),
    "environments": lambda ledger, fit: ledger.environments(),
}
"""What reads each store: it gives nothing, or raises LookupError, where the file is damaged."""


def safetensors(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


def labelled(version: str, **columns: list[object]) -> bytes:
    return to_parquet(pa.table(columns).replace_schema_metadata({"schema": version}))


UNREADABLE = {
    ".json": [b"{", b"[]", b"7", b"\xff", b'{"schema": 3}', b'{"schema": "3", "cause": ""}', b"[" * 10**5],
    ".safetensors": [
        safetensors(b"[]"),
        safetensors(b"{}")[:4],
        safetensors(b'{"__metadata__": {"schema": "two"}}'),
        safetensors(b'{"__metadata__": {"schema": "3"}, "x": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}'),
    ],
    ".parquet": [b"PAR1PAR1", labelled("3", id=["x"], seed=["1"]), labelled("two", id=["x"], seed=[1])],
}
"""No file of its kind, or one with something else in it."""


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "environments"])
def test_what_cannot_belong_to_its_key_is_damaged_and_made_again(
    ledger: Ledger, publish, dense: Fit, tmp_path: Path, folder: str
) -> None:
    """Another key's file, what nobody can read though its hash is right, nothing at all, and what is no file."""
    there = Ledger(tmp_path / "there")
    fill(ledger, publish, dense)
    fill(there, publish, dense.replace(seed=1), "other")
    foreign = file_of(there, folder, dense.replace(seed=1))
    store = ledger.stores[folder]

    def swap(path: Path) -> Path:
        copy = path.with_name(store.key(str(path)) + foreign.name[-17 - len(store.suffix) :])
        copy.write_bytes(foreign.read_bytes())
        return copy

    def make_folder(path: Path) -> Path:
        path.mkdir()
        return path

    def write(data: bytes) -> Callable[[Path], Path]:
        return lambda path: ledger.root / store.add(store.key(str(path)), data)

    for break_it in (swap, make_folder, *map(write, [b"", b"junk", *UNREADABLE[store.suffix]])):
        path = file_of(ledger, folder, dense)
        path.unlink()
        hurt = break_it(path)
        assert ledger.damaged() == [str(hurt)]
        with suppress(LookupError):
            assert not READERS[folder](ledger, dense)
        fill(ledger, publish, dense)
        if hurt.is_dir():
            hurt.rmdir()  # as its owner would, where the new file has another name
        assert ledger.damaged() == []
        assert READERS[folder](ledger, dense)
        assert ledger.conflicts() == {}


def test_tensors_that_are_no_mask_are_no_ticket(ledger: Ledger, publish, dense: Fit) -> None:
    from safetensors.numpy import save

    publish(dense)
    only(ledger.root / "next_masks").unlink()
    ledger.stores["next_masks"].add(dense.id, save({"x": np.zeros(3)}, {"schema": str(VERSION)}))
    assert ledger.damaged() == [str(only(ledger.root / "next_masks"))]
    assert not ledger.is_whole(dense)
    with pytest.raises(LookupError, match="missing or damaged"):
        ledger.next_mask(dense)


def relabelled(path: Path, version: int) -> bytes:
    """The content of a file as if another version of lip had written it."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(json.loads(data) | {"schema": version}).encode()
    if path.suffix == ".safetensors":
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        header["__metadata__"]["schema"] = str(version)
        return safetensors(json.dumps(header).encode()) + data[8 + length :]
    table = pq.read_table(io.BytesIO(data))
    if "schema" in table.column_names:
        return to_parquet(table.set_column(table.column_names.index("schema"), "schema", pa.array([version])))
    return to_parquet(table.replace_schema_metadata({"schema": str(version)}))


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(("version", "said"), [(99, "a newer"), (1, "an older")])
def test_what_another_version_wrote_is_said_in_one_sentence_and_stays(
    ledger: Ledger, publish, dense: Fit, tmp_path: Path, folder: str, version: int, said: str
) -> None:
    fill(ledger, publish, dense)
    path = file_of(ledger, folder, dense)
    store, data = ledger.stores[folder], relabelled(path, version)
    path.unlink()
    path = ledger.root / store.add(store.key(str(path)), data)
    fits = [dense, dense.replace(saves_weights=True)]
    uses: list[Callable[[], object]] = [
        lambda: READERS[folder](ledger, dense),
        ledger.damaged,
        lambda: Ledger(tmp_path / "here").fetch(ledger),
    ]
    if folder in ("fits", "outputs"):
        uses.append(lambda: ledger.published(fits, True, [dense.id]))
    if folder in ("next_masks", "weights"):
        uses.append(lambda: [ledger.is_whole(fit) for fit in fits])
    for use in uses:
        with pytest.raises(
            InputError, match=rf"^{path} was written by {said} lip \(schema {version}, this one reads 3\)"
        ):
            use()
    assert path.read_bytes() == data


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_ledger_of_the_first_schema_is_refused_by_all_that_read_it(
    ledger: Ledger, publish, dense: Fit, folder: str
) -> None:
    """There, a file's name had the hash of its content alone, and only rows said a version."""
    fill(ledger, publish, dense)
    path = file_of(ledger, folder, dense)
    data = relabelled(path, 1).replace(b'"schema": "1"', b'"format": "1"').replace(b', "schema": 1', b"")
    path.unlink()
    suffix = ledger.stores[folder].suffix
    key, digest = path.name[: -17 - len(suffix)], hashlib.sha256(data).hexdigest()[:16]
    path = path.with_name(f"{key}-{digest}{suffix}")
    path.write_bytes(data)
    for use in (lambda: READERS[folder](ledger, dense), ledger.damaged):
        with pytest.raises(InputError, match=rf"^{path} was written by an older lip .*; name an empty storage$"):
            use()


def test_who_publishes_second_leaves_ticket_and_weights_and_is_told_of(
    ledger: Ledger, publish, tiny, dense: Fit, mask: Mask, trained: RestorationResult
) -> None:
    """Two kinds of node at one fit: others may have been trained from the first ticket already."""
    publish(dense)
    other = train(tiny.model(dense.replace(seed=1)), mask)
    ledger.publish(dense, mask, other, Mask.dense(mask.layers), NOON.replace(hour=11), outputs=True)
    assert ledger.next_mask(dense) == mask
    conflict = ledger.conflicts()
    assert conflict == ledger.conflicts([dense.id])
    assert ledger.conflicts([]) == {}
    assert list(conflict) == [dense.id]
    assert {"psnr_last", "loss", "curve_loss"} <= set(conflict[dense.id])
    assert not {"started", "seconds", "fit", "spec", "layer_kept"} & set(conflict[dense.id])
    ledger.compact()
    assert ledger.conflicts() == conflict


def test_tickets_that_differ_are_told_too(ledger: Ledger, publish, dense: Fit, mask: Mask) -> None:
    publish(dense)
    ledger.stores["next_masks"].add(dense.id, Mask.dense(mask.layers).to_bytes({"schema": "3"}))
    assert ledger.conflicts() == {dense.id: ["next_masks"]}


def test_nothing_is_unpickled_on_reading(ledger: Ledger, publish, dense: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A results folder may come from anybody; a pickle in it could run anything."""
    rewound = dense.replace(saves_weights=True)
    publish(dense, outputs=True)
    publish(rewound)
    ledger.record_sweep("demo", "smoke", [])
    ledger.record_failure("abc", "cause")

    def refuse(*anything: object, **more: object) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert ledger.fits().num_rows == 2
    assert ledger.next_mask(dense)
    assert ledger.weights(rewound)
    assert ledger.outputs(dense)
    assert (ledger.sweeps().num_rows, ledger.failures()) == (0, {"abc": "cause"})


def test_what_is_fetched_is_verified_and_what_is_here_stays(
    publish, dense: Fit, ledger: Ledger, tmp_path: Path
) -> None:
    there = Ledger(tmp_path / "there")
    fits = [dense.replace(seed=seed) for seed in range(4)]
    for fit in fits[:3]:
        publish(fit, there)
    publish(fits[3])
    hurt = next((there.root / "fits").rglob(f"{fits[2].id}-*"))
    hurt.write_bytes(hurt.read_bytes()[:-1])
    tickets = sum(fit.has_next_mask for fit in fits[:3])
    assert ledger.fetch(there) == 2 + tickets
    assert set(ledger.fits(["fit"])["fit"].to_pylist()) == {fits[0].id, fits[1].id, fits[3].id}
    assert ledger.damaged() == []
    assert ledger.fetch(there) == 0


def test_a_list_of_fits_that_is_fetched_again_takes_the_place_of_the_older_one(ledger: Ledger, tmp_path: Path) -> None:
    there = Ledger(tmp_path / "there")
    for seeds in range(1, 9):
        there.record_sweep("mine", "mini", [{"fit": f"f{seed}"} for seed in range(seeds)])
        assert ledger.fetch(there) == 1
        assert ledger.sweeps().num_rows == seeds


def test_what_is_folded_there_while_it_is_fetched_is_fetched_all_the_same(
    publish, dense: Fit, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, other = Ledger(tmp_path / "there"), Ledger(tmp_path / "there")
    fits = [dense.replace(seed=seed) for seed in range(300)]  # several in a folder
    for fit in fits:
        publish(fit, there)
    list_files = there.rows.blobs.files

    def folded_just_after(group: str) -> list[str]:
        listed = list_files(group)
        if group == group_of(fits[0].id):
            other.compact()
        return listed

    monkeypatch.setattr(there.rows.blobs, "files", folded_just_after)
    ledger.fetch(there)
    assert set(ledger.fits(["fit"])["fit"].to_pylist()) == {fit.id for fit in fits}


def test_a_ledger_is_folded_with_its_next_masks_and_needs_them_no_more(
    ledger: Ledger, publish, dense: Fit, mask: Mask
) -> None:
    fits = [dense]
    for _ in range(3):
        fits.append(dense.replace(recipe=Imp(trained=fits[-1])))
    for fit in fits:
        publish(fit)
    assert ledger.compact() == (8, 2)
    assert [ledger.next_mask(fit) for fit in fits] == [mask] * 4
    assert all(map(ledger.is_whole, fits))
    assert ledger.lost(fits) == set()
    assert ledger.damaged() == []
    assert ledger.conflicts() == {}
    (ledger.root / "next_masks").rename(ledger.root / "left behind")
    assert ledger.published(fits, verified=True) == {fit.id for fit in fits}
    assert ledger.lost(fits) == {fit.id for fit in fits[:3]}


def test_images_and_weights_are_required_only_where_they_are_asked_for(ledger: Ledger, tiny) -> None:
    fit = tiny.fit()
    assert tiny.run_fit(fit, ledger, backend="dense")
    assert not tiny.run_fit(fit, ledger, backend="dense")
    assert ledger.published([fit], True) == {fit.id}
    for what, folder in (("outputs", "outputs"), ("weights", "weights")):
        assert ledger.published([fit], True, **{what: [fit.id]}) == frozenset()
        before = ledger.fits(RESULTS)
        assert tiny.run_fit(fit, ledger, backend="dense", **{what: True})
        assert ledger.published([fit], True, **{what: [fit.id]}) == {fit.id}
        assert not tiny.run_fit(fit, ledger, backend="dense", **{what: True})
        assert [path.parent.parent.name for path in ledger.root.glob(f"{folder}/*/*")] == [folder]
        assert ledger.fits(RESULTS) == before
    weights = ledger.weights(fit)
    assert weights.keys() == tiny.model(fit).weights().keys()


@pytest.mark.parametrize("folded", [False, True])
def test_a_removed_fit_leaves_nothing_and_others_stay(ledger: Ledger, tiny, folded: bool) -> None:
    dense, first, second = tiny.trajectory(rounds=2, rewind=40).fits
    tiny.run_fit(second, ledger, outputs=True, backend="dense")
    other = tiny.fit(seed=1)
    tiny.run_fit(other, ledger, outputs=True, backend="dense")
    start = first.start
    assert start is not None
    if folded:
        ledger.compact()
    assert ledger.dependents([start.id]) == {first.id, second.id}
    assert ledger.dependents([first.id]) == {second.id}
    kept = {fit.id: ledger.fits(ids=[fit.id]) for fit in (dense, other)}
    mask = ledger.next_mask(dense)
    ledger.remove([second.id, first.id, start.id])
    assert ledger.fits(["fit"])["fit"].to_pylist() == sorted(kept)
    assert all(ledger.fits(ids=[key]) == row for key, row in kept.items())
    assert ledger.next_mask(dense) == mask
    for fit in (first, second):
        with pytest.raises(LookupError):
            ledger.next_mask(fit)
        assert not ledger.has_outputs(fit)
    with pytest.raises(LookupError):
        ledger.weights(start)
    assert ledger.has_outputs(other)
    assert ledger.damaged() == []
    ledger.remove([dense.id, other.id])
    left = {path.relative_to(ledger.root).parts[0] for path in ledger.root.rglob("*.*")}
    assert left == {"environments"}, "a fit in training may name it"
