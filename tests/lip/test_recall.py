"""A ledger alone tells what its fits were: their specs, their inputs, and their results when trained again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from lip import InputLibrary, parse_trajectory
from lip.data.recover import inputs_of
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.ledger.recall import find, recall
from lip.specs.fit import Fit
from lip.specs.trajectory import Trajectory
from lip.tasks.denoise import Denoise
from lip.training.redo import redo
from lip.training.run import run_fit

Made = Callable[..., tuple[Trajectory, InputLibrary]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: np.ndarray) -> Made:
    """Parses keys for a photograph in a file, of a size that takes milliseconds."""
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(photo).save("cat.png")
    PIL.Image.fromarray(np.where(np.eye(32, dtype=bool), 0, 255).astype(np.uint8)).save("mask.png")

    def make(**keys: object) -> tuple[Trajectory, InputLibrary]:
        library = InputLibrary()
        tiny = {"image": "cat.png", "width": 4, "scales": 2, "steps": 4, "rounds": 2}
        return parse_trajectory(tiny | keys, library, "test"), library

    return make


def run(trajectory: Trajectory, library: InputLibrary, ledger: Ledger) -> tuple[Fit, ...]:
    for fit in trajectory.fits:
        run_fit(fit, library.inputs, ledger, outputs=True, backend="dense")
    return trajectory.fits


KEYS = {
    "imp": {},
    "rewound": {"rewind": 50},
    "level": {"rounds": None, "sparsities": [0.5], "pruner": "snip"},
    "shuffled": {"pruner": "shuffled", "counts_of": "imp"},
    "random": {"pruner": "random", "sigma": 50, "size": 16},
    "masked": {"task": "inpaint", "mask": "mask.png", "invert": True},
    "transferred": {"source_image": "chelsea", "size": 32},
    "together": {"source_image": ["chelsea", "astronaut"], "size": 32, "codes": "per_image"},
    "all": {"covers": "all", "precision": "float64", "compat": ["z", "noise"]},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
def test_a_published_fit_is_recalled_with_its_inputs(made: Made, ledger: Ledger, keys: dict[str, object]) -> None:
    trajectory, library = made(**keys)
    fit = run(trajectory, library, ledger)[-1]
    recalled = recall(fit.id, ledger)
    assert recalled == fit
    found = inputs_of(recalled)
    for picture in (*fit.pictures, *fit.task.pictures):
        assert np.array_equal(found[picture.content_hash], library.inputs[picture.content_hash])


def test_a_classifier_is_recalled(ledger: Ledger) -> None:
    keys = {"task": "classify", "data": "faces", "data_size": 9, "epochs": 1, "width": 4, "scales": 3, "rounds": 0}
    library = InputLibrary()
    (fit,) = run(parse_trajectory(keys, library, "test"), library, ledger)
    assert recall(fit.id, ledger) == fit
    assert inputs_of(fit).keys() == library.inputs.keys()


def test_a_fit_is_found_by_how_its_id_begins(tiny, ledger: Ledger) -> None:
    fit = tiny.fit()
    tiny.run_fit(fit, ledger)
    assert find(fit.id[:5], ledger) == fit.id
    with pytest.raises(InputError, match="no fit has an id that begins with 'nothing'"):
        find("nothing", ledger)
    tiny.run_fit(tiny.fit(seed=1), ledger)
    with pytest.raises(InputError, match="2 fits have an id that begins with ''"):
        find("", ledger)


def test_a_fit_whose_source_is_not_published_cannot_be_recalled(tiny, ledger: Ledger) -> None:
    dense, ticket = tiny.trajectory(rounds=1).fits
    tiny.run_fit(ticket, ledger)
    ledger.remove([dense.id])
    with pytest.raises(InputError, match=f"fit {dense.id} is not published"):
        recall(ticket.id, ledger)


def test_a_fit_of_older_numbers_cannot_be_recalled(tiny, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = tiny.fit(task=Denoise(sigma=12))
    tiny.run_fit(fit, ledger)
    monkeypatch.setattr(type(fit.task), "revision", 9)
    from lip.specs import spec

    spec._identity.cache_clear()
    try:
        with pytest.raises(InputError, match="a version of lip that gave other numbers"):
            recall(fit.id, ledger)
    finally:
        monkeypatch.undo()
        spec._identity.cache_clear()


def test_another_photograph_under_the_name_is_refused(made: Made, ledger: Ledger, photo: np.ndarray) -> None:
    trajectory, library = made(rounds=0)
    (fit,) = run(trajectory, library, ledger)
    PIL.Image.fromarray(255 - photo).save("cat.png")
    with pytest.raises(InputError, match=r"cat.png is not found with the content that fit"):
        inputs_of(recall(fit.id, ledger))


@pytest.mark.parametrize("name", ["imp", "rewound"])
def test_a_fit_that_is_trained_again_is_the_same_bit_for_bit(made: Made, ledger: Ledger, name: str) -> None:
    torch.set_num_threads(1)
    trajectory, library = made(**KEYS[name])
    before = {path: path.read_bytes() for fit in run(trajectory, library, ledger) for path in ledger.root.rglob("*.*")}
    for fit in trajectory.fits[:2]:
        assert redo(recall(fit.id, ledger), library.inputs, ledger, backend="dense") == ([], [])
    assert {path: path.read_bytes() for path in ledger.root.rglob("*.*")} == before, "nothing is published"


def test_what_differs_is_named(made: Made, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory, library = made()
    dense = run(trajectory, library, ledger)[0]
    monkeypatch.setattr(Denoise, "loss", lambda self, output, observation: (output - observation).abs().mean())
    differing, elsewhere = redo(dense, library.inputs, ledger, backend="dense")
    assert {"loss", "psnr_last", "curve_loss", "next_masks", "outputs"} <= set(differing)
    assert not {"fit", "image", "seconds", "steps"} & set(differing)
    assert elsewhere == []


def test_a_fit_whose_mask_is_lost_cannot_be_trained_again(tiny, ledger: Ledger) -> None:
    dense, ticket = tiny.trajectory(rounds=1).fits
    tiny.run_fit(ticket, ledger)
    (file,) = (ledger.root / "next_masks").rglob(f"{dense.id}*")
    file.unlink()
    with pytest.raises(InputError, match=f"begins with a mask or weights of {dense.id}, which are not in"):
        redo(ticket, tiny.images, ledger)
