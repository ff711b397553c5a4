"""Next masks, each in its own file or folded: read the same, verified, and never lost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lip.ledger import next_masks
from lip.ledger.filesystem import Storage
from lip.ledger.next_masks import MaskStore
from lip.ledger.schema import METADATA
from lip.masks import Layer, Mask
from lip.pruners import Imp
from lip.specs.fit import Fit

LAYERS = (Layer("a", (40, 10, 3, 3)), Layer("b", (10, 10, 1, 1)))
SIZE = 3700


def chain_of(fit: Fit, length: int) -> list[Fit]:
    """IMP from a dense fit on, which is the first."""
    fits = [fit]
    for _ in range(length - 1):
        fits.append(fit.replace(recipe=Imp(trained=fits[-1])))
    return fits


def nested(length: int, seed: int) -> list[Mask]:
    order = np.random.default_rng(seed).permutation(SIZE)
    return [Mask(LAYERS, order < SIZE * 0.8 ** (k + 1)) for k in range(length)]


@pytest.fixture
def store(tmp_path: Path) -> MaskStore:
    return MaskStore(Storage(tmp_path), "masks")


@pytest.fixture
def fits(tiny) -> list[Fit]:
    """Two chains of five masks."""
    return [fit for seed in (0, 1) for fit in chain_of(tiny.fit(steps=3, seed=seed), 5)]


@pytest.fixture
def masks(store: MaskStore, fits: list[Fit]) -> list[Mask]:
    """All are stored, each in its own file."""
    masks = nested(5, 0) + nested(5, 1)
    for fit, mask in zip(fits, masks, strict=True):
        store.put(fit, mask)
    return masks


@pytest.fixture
def sources(fits: list[Fit]) -> dict[str, str | None]:
    return {fit.id: fit.source_fit and fit.source_fit.id for fit in fits}


def read(store: MaskStore, fits: list[Fit]) -> list[Mask | None]:
    return [store.get(fit) for fit in fits]


def files(store: MaskStore) -> list[Path]:
    return sorted(path for path in (store.blobs.storage.folder / "masks").rglob("*") if path.is_file())


def test_folded_masks_are_read_as_before(store: MaskStore, fits, masks, sources) -> None:
    size = sum(path.stat().st_size for path in files(store))
    assert store.compact(sources) == (10, 2)
    assert len(files(store)) == 2
    assert sum(path.stat().st_size for path in files(store)) < 0.7 * size  # small ones; the descriptions are most of it
    assert read(store, fits) == masks
    assert store.keys(fits) == {fit.id for fit in fits}
    assert store.several() == set()
    assert store.blobs.damaged() == []
    assert store.compact(sources) == (2, 2), "nothing is left to do"


def test_a_mask_that_is_published_later_joins_the_folded_ones(store: MaskStore, fits, masks, sources) -> None:
    store.compact(sources)
    longer = chain_of(fits[0], 7)[5:]
    new = nested(7, 0)[5:]
    for fit, mask in zip(longer, new, strict=True):
        store.put(fit, mask)
        sources[fit.id] = fit.source_fit.id
    assert read(store, [*fits, *longer]) == [*masks, *new]
    assert store.compact(sources) == (4, 2)
    assert read(store, [*fits, *longer]) == [*masks, *new]


@pytest.mark.parametrize("longest", [255, 2])
def test_branches_and_other_layers_and_too_many_masks_begin_other_chains(
    store: MaskStore, tiny, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """Three branches of IMP from one dense fit, one of them of another network."""
    monkeypatch.setattr(next_masks, "LONGEST", longest)
    dense = tiny.fit(steps=3)
    long = chain_of(dense, 5)
    other, wide = (dense.replace(seed=seed, recipe=Imp(trained=dense)) for seed in (1, 2))
    fits, masks = [*long, other, wide], [*nested(5, 0), nested(1, 1)[0], Mask.dense([Layer("c", (5, 5, 1, 1))])]
    for fit, mask in zip(fits, masks, strict=True):
        store.put(fit, mask)
    assert store.compact({fit.id: fit.source_fit and fit.source_fit.id for fit in fits}) == (7, 1)
    assert read(store, fits) == masks
    assert store.keys(fits) == {fit.id for fit in fits}
    assert store.blobs.damaged() == []


def test_masks_whose_dense_fit_is_not_known_stay_as_they_are(store: MaskStore, fits, masks, sources) -> None:
    """A mask is written before its row: that of a fit in the making has none."""
    del sources[fits[1].id], sources[fits[9].id]
    assert store.compact(sources) == (10, 7)
    assert read(store, fits) == masks


def test_a_damaged_file_of_folded_masks_counts_as_missing_and_is_kept(store: MaskStore, fits, masks, sources) -> None:
    store.compact(sources)
    for path in files(store):
        sound = path.read_bytes()
        lost = {fit.id for fit in fits if path.name.startswith((fit.id, fits[0].id if fit in fits[:5] else fits[5].id))}
        for place in np.linspace(0, len(sound) - 1, 16).astype(int):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
            assert {fit.id for fit in fits} - store.keys(fits) == lost
            assert [fit.id for fit in fits if store.get(fit) is None] == [fit.id for fit in fits if fit.id in lost]
            assert [Path(name).name for name in store.blobs.damaged()] == [path.name]
        assert store.compact(sources) == (2, 2)
        path.write_bytes(sound)
    damaged = files(store)[0]
    damaged.write_bytes(b"")
    for fit, mask in zip(fits, masks, strict=True):
        store.put(fit, mask)
    assert store.compact(sources) == (12, 3)
    assert read(store, fits) == masks
    assert damaged in files(store)


@pytest.mark.parametrize("move", ["to another root", "to a single mask"])
def test_folded_masks_under_another_name_are_damaged(store: MaskStore, fits, masks, sources, move: str) -> None:
    store.compact(sources)
    path = next(path for path in files(store) if path.name.startswith(fits[0].id))
    name = path.name.replace(fits[0].id, "0" * 16) if move == "to another root" else path.name.replace(".chains", "")
    path.rename(path.with_name(name))
    assert read(store, fits) == [None] * 5 + masks[5:]
    store.blobs.add(fits[0].id, path.with_name(name).read_bytes())
    assert store.get(fits[0]) is None
    assert len(store.blobs.damaged()) == 2


@pytest.mark.parametrize(
    "text", [b"[]", b'{"fits": ["x"], "layers": [["a", [3]]]}', b'{"fits": [], "layers": []}', b"\xff"]
)
def test_folded_masks_that_do_not_fit_their_description_are_damaged(store: MaskStore, text: bytes) -> None:
    from safetensors.numpy import save

    numbers = np.frombuffer(b"junk", np.uint8)
    store.blobs.add("0123.chains", save({"0.chain": np.frombuffer(text, np.uint8), "0.n_masks": numbers}, METADATA))
    assert len(store.blobs.damaged()) == 1


def test_two_masks_of_one_fit_that_differ_are_told_and_neither_is_folded(
    store: MaskStore, fits, masks, sources
) -> None:
    other = Mask.dense(LAYERS)
    store.blobs.add(fits[1].id, other.to_bytes(METADATA))
    assert store.several() == store.several([fits[1].id]) == {fits[1].id}
    assert store.several([fits[0].id]) == set()
    assert store.compact(sources) == (11, 7)
    assert store.several() == {fits[1].id}
    store.blobs.remove(fits[1].id)
    store.put(fits[1], masks[1])
    store.compact(sources)
    store.put(fits[1], other)
    assert store.several() == {fits[1].id}
    assert store.compact(sources) == (3, 3)
    store.put(fits[1], masks[1])
    assert store.several() == set()
    assert store.compact(sources) == (3, 2)


def folding(other: MaskStore, call: Callable, sources: dict[str, str | None], after: bool) -> Callable:
    """Let another process fold before or after a call."""

    def wrapped(*arguments: object) -> object:
        if not after:
            other.compact(sources)
        result = call(*arguments)
        if after:
            other.compact(sources)
        return result

    return wrapped


def test_a_reader_that_listed_before_the_folding_finds_the_masks_after_it(
    store: MaskStore, fits, masks, sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MaskStore(store.blobs.storage, "masks")
    monkeypatch.setattr(store.blobs, "files", folding(other, store.blobs.files, sources, after=True))
    assert store.get(fits[3]) == masks[3]
    for fit, mask in zip(fits, masks, strict=True):
        other.put(fit, mask)
    assert store.keys(fits) == {fit.id for fit in fits}


@pytest.mark.parametrize("after", [False, True])
def test_two_that_fold_at_once_lose_nothing(
    store: MaskStore, fits, masks, sources, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The other one also folds a mask that was published after the first had read."""
    late, mask = chain_of(fits[0], 6)[5], nested(6, 0)[5]
    other = MaskStore(store.blobs.storage, "masks")
    other.put(late, mask)
    monkeypatch.setattr(
        store.blobs, "add", folding(other, store.blobs.add, sources | {late.id: late.source_fit.id}, after)
    )
    store.compact(sources)
    monkeypatch.undo()
    assert read(store, [*fits, late]) == [*masks, mask]
    store.compact(sources)
    assert read(store, [*fits, late]) == [*masks, mask]
    assert len(files(store)) == 2


def test_a_full_disk_or_a_file_that_does_not_read_back_deletes_nothing(
    store: MaskStore, fits, masks, sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(store)

    def full(path: str, data: bytes) -> None:
        raise OSError("disk full")

    def broken(path: str, data: bytes) -> None:
        file = store.blobs.storage.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data[:-1])

    for write in (full, broken):
        with monkeypatch.context() as patch:
            patch.setattr(store.blobs.storage, "write", write)
            with pytest.raises(OSError, match=r"disk full|does not read back"):
                store.compact(sources)
        assert set(before) <= set(files(store))
        assert read(store, fits) == masks


def test_masks_that_are_folded_while_they_are_fetched_are_fetched_all_the_same(
    store: MaskStore, fits, masks, sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = MaskStore(Storage(tmp_path / "here"), "masks")
    other = MaskStore(store.blobs.storage, "masks")
    monkeypatch.setattr(store.blobs, "files", folding(other, store.blobs.files, sources, after=True))
    here.blobs.fetch(store.blobs)
    assert read(here, fits) == masks
