"""Data sets come in whole, split the same way wherever they lie, or not at all."""

import hashlib
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lip.data import datasets
from lip.data.datasets import CIFAR_ARCHIVE, CIFAR_CLASSES, load
from lip.data.library import InputLibrary
from lip.errors import InputError


def picture(seed: int, size: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(size, size, channels), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels.squeeze()).save(path)


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten cats and five dogs."""
    monkeypatch.chdir(tmp_path)
    for number in range(15):
        save(Path(f"pets/{'cat' if number < 10 else 'dog'}/{number}.png"), picture(number))
    return Path("pets")


def test_a_folder_of_class_folders_is_a_data_set(pets: Path) -> None:
    found = load("pets", 8)
    assert found.classes == ("cat", "dog")
    assert found.notes == ("2 classes, 12 pictures to train on and 3 to test on, 8x8",)
    reference = found.spec
    assert (reference.name, reference.classes, reference.train, reference.test) == ("pets", 2, 12, 3)
    assert (reference.height, reference.width, reference.channels) == (8, 8, 3)
    assert sorted(found.records["label"]) == [0] * 10 + [1] * 5
    assert {x.tobytes() for x in found.records["image"]} == {picture(number).tobytes() for number in range(15)}
    for label, tested in ((0, 2), (1, 1)):
        assert found.records["test"][found.records["label"] == label].sum() == tested


def test_the_split_goes_by_content_and_not_by_names(pets: Path) -> None:
    before = load("pets", 8)
    for path in list(pets.glob("cat/*")):
        path.rename(path.with_name(f"renamed-{99 - int(path.stem)}.PNG"))
    pets.rename("animals")
    after = load("animals", 8)
    assert np.array_equal(after.records, before.records)
    assert after.spec.content_hash == before.spec.content_hash
    halved = load("animals", 4)
    assert np.array_equal(halved.records["test"], before.records["test"]), "nor by the size asked for"
    assert halved.spec.content_hash != before.spec.content_hash


def test_pictures_are_cut_square_reduced_smoothly_and_enlarged_by_repeating(pets: Path) -> None:
    wide = np.hstack([picture(50, 4), picture(51, 4)])
    save(pets / "dog" / "wide.png", wide)
    (enlarged,) = (x for x in load("pets", 16).records["image"] if np.array_equal(x[::4, ::4], wide[:, 2:6]))
    assert np.array_equal(enlarged, wide[:, 2:6].repeat(4, axis=0).repeat(4, axis=1))
    assert load("pets", 4).records["image"].std() < load("pets", 8).records["image"].std()


def test_equal_pictures_of_a_class_count_once(pets: Path) -> None:
    before = load("pets", 8)
    save(pets / "cat" / "again.png", picture(3))
    after = load("pets", 8)
    assert np.array_equal(after.records, before.records)
    assert after.notes[1:] == ("1 duplicates of class cat left out",)


def test_one_picture_in_colour_makes_all_of_them_so(pets: Path) -> None:
    for number in range(15):
        save(Path(f"grey/{'cat' if number < 10 else 'dog'}/{number}.png"), picture(number, channels=1))
    assert load("grey", 8).spec.channels == 1
    save(Path("grey/cat/colour.png"), picture(1))
    assert load("grey", 8).spec.channels == 3


def test_what_is_done_to_pictures_is_counted(pets: Path) -> None:
    for number in range(3):
        save(pets / f"dog/clear{number}.png", picture(20 + number, channels=4))
    assert load("pets", 8).notes[1:] == ("alpha channel dropped (3 pictures)",)


def test_what_is_done_to_faces_is_counted(tmp_path: Path) -> None:
    for number in range(8):
        save(tmp_path / f"{number}.png", picture(number, channels=4 if number == 0 else 3))
    library = InputLibrary()
    library.faces(str(tmp_path), 8, 0.5, 1.0)
    assert library.notes == [f"{tmp_path}: alpha channel dropped (1 picture)"]


def test_a_list_names_the_class_folders(pets: Path) -> None:
    save(pets / "bird" / "1.png", picture(30))  # which would not do as a class, and is not listed
    Path("two.txt").write_text("pets/dog\n\n# the second of three\npets/cat\n", encoding="utf-8-sig")
    found = load("two.txt", 8)
    assert found.classes == ("dog", "cat")
    assert found.spec.train == 12


def test_the_embedded_set_needs_no_network() -> None:
    found = load("faces", 25)
    assert found.notes == ("2 classes, 160 pictures to train on and 40 to test on, 25x25",)
    assert found.spec.content_hash == "d048aa5c49480e14", "a moved hash orphans results"


def test_the_digits_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    found = load("digits", 8)
    assert found.notes == ("10 classes, 1438 pictures to train on and 359 to test on, 8x8",)
    assert found.records["image"].max() == 255


def test_digits_without_scikit_learn_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"scikit-learn, which is not installed: .* or use faces"):
        load("digits", 8)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("face", "there is no data set 'face'; did you mean 'faces'?"),
        ("nowhere/pets", "neither|not a folder of class folders"),
        ("pets/cat", "data pets/cat has 0 class folders; give at least two"),
        ("one", "data one has 1 class folders; give at least two"),
        ("single", "data single: class dog has 1 different PNG or JPEG pictures; give at least two"),
        ("empty", "data empty: class dog has 0 different"),
        ("broken", "broken/cat/3.png is in a format that is not read; save it as PNG"),
        ("missing.txt", "data missing.txt: there is no folder pets/bird; correct the line"),
        ("twice.txt", "data twice.txt: two folders have the name cat; rename one"),
        ("binary.txt", "data binary.txt cannot be read as a list"),
        ("pets/cat/1.png", "data pets/cat/1.png is not a folder of class folders"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(pets: Path, name: str, said: str) -> None:
    for folder in ("one", "single", "empty", "broken"):
        for number in range(4):
            save(Path(folder, "cat", f"{number}.png"), picture(number))
    save(Path("single/dog/1.png"), picture(1))
    save(Path("single/dog/copy.png"), picture(1))
    Path("empty/dog").mkdir()
    Path("empty/dog/notes.txt").write_text("no picture")
    Path("broken/cat/3.png").write_bytes(b"no picture")
    save(Path("broken/dog/1.png"), picture(1))
    Path("missing.txt").write_text("pets/cat\npets/bird\n")
    Path("twice.txt").write_text("pets/cat\none/cat\n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(InputError, match=said):
        load(name, 8)


@pytest.fixture
def cifar(cifar_archive: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = cifar_archive(tmp_path / CIFAR_ARCHIVE)
    monkeypatch.setattr(datasets, "CIFAR_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_cifar_10_is_read_from_its_archive_with_its_own_split(cifar: Path) -> None:
    found = load("cifar10", 32, cifar.parent)
    assert found.classes == CIFAR_CLASSES
    assert (found.spec.train, found.spec.test) == (10, 2)
    assert found.records["test"].tolist() == [False] * 10 + [True] * 2
    assert found.records["label"].tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    with tarfile.open(cifar) as tar:
        row = tar.extractfile("cifar-10-batches-bin/data_batch_4.bin").read()[3073:]  # type: ignore[union-attr]
    assert found.records["image"][7, 5, 9].tolist() == [row[1 + plane * 1024 + 5 * 32 + 9] for plane in range(3)]
    assert load("cifar10", 50, cifar.parent).records["image"].shape == (12, 50, 50, 3)


def test_another_archive_than_the_original_is_refused(
    cifar_archive: Callable[..., Path], cifar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar_archive(cifar, rows=1)
    with pytest.raises(InputError, match=f"{CIFAR_ARCHIVE} is not the original archive .* replace it by https://"):
        load("cifar10", 32, cifar.parent)
    cifar_archive(cifar, side=16)
    monkeypatch.setattr(datasets, "CIFAR_SHA256", hashlib.sha256(cifar.read_bytes()).hexdigest())
    with pytest.raises(InputError, match="is not the binary version of CIFAR-10"):
        load("cifar10", 32, cifar.parent)


def test_without_the_archive_the_data_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIP_DATA", str(tmp_path))
    with pytest.raises(InputError, match=f"data folder .* has no {CIFAR_ARCHIVE}; put it there"):
        load("cifar10", 32)


def test_without_a_network_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def offline(*arguments: object, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.delenv("LIP_DATA", raising=False)
    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(InputError, match=r"could not download .* \(no network\); give --data DIR"):
        load("cifar10", 32)


def test_pictures_that_do_not_fit_into_memory_are_refused_before_they_are_read(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "available_memory", lambda: 1e6)
    with pytest.raises(InputError) as refused:
        load("pets", 200)
    assert str(refused.value) == (
        "data pets: 15 pictures of 200x200 pixels take about 0.0036 GB of memory, and there are 0.001 GB; "
        "use data_size: 105 or less"
    )
    assert load("pets", 105).spec.height == 105
    with pytest.raises(InputError, match=r"^data cifar10: 60,000 pictures of 50x50 pixels take about 0.9 GB of memory"):
        load("cifar10", 50)
