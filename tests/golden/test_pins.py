"""Pinned numbers of small fits: if they move, a revision has to move with them.

A fit's id stands for one computation. After a change that moves numbers on purpose, raise `revision` of the recipe,
prior, task or schedule that moved them, so that what was published before is not reused, and write the pins anew:

    python -m tests.golden.test_pins
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lip.data.library import InputLibrary
from lip.ledger.ledger import Ledger
from lip.specs.request import parse_trajectory
from lip.training.run import run_fit

PINS = Path(__file__).with_name("pins.json")

SMALL = {"image": "astronaut", "size": 32, "width": 8, "scales": 2, "steps": 12, "rounds": 2}
CLASSES = {
    "task": "classify",
    "data": "faces",
    "data_size": 12,
    "epochs": 2,
    "batch": 64,
    "width": 8,
    "scales": 2,
    "rounds": 1,
}
FACES = {"image": "held-out/0", "source_data": "lfw", "prior": "dcgan", "size": 16, "width": 8, "rounds": 1}
FACES |= {"tuning": 2, "pretraining": 2, "batch": 8, "steps": 6}
SENSE = {"task": "sense", "measurements": 60, "corrupted": 4, "rows": 6}

CASES: dict[str, dict[str, Any]] = {
    **{
        pruner: {"pruner": pruner} for pruner in ("imp", "random", "layerwise", "magnitude", "snip", "synflow", "grasp")
    },
    "oes": {"pruner": "oes", "search": 2},
    "shuffled": {"pruner": "shuffled"},
    "shuffled snip": {"pruner": "shuffled", "counts_of": "snip"},
    "inpaint": {"task": "inpaint"},
    **{f"superres {factor}": {"task": "superres", "factor": factor} for factor in (2, 4, 8)},
    **{
        f"reconstruct {name}": {"task": "reconstruct", "target": name}
        for name in ("clean", "noisy", "shuffled", "noise")
    },
    "restore": {"task": "restore"},
    "sense by a network": {**SENSE, "estimator": "least_squares"},
    "decoder": {"prior": "decoder", "width": 16},
    "nas": {"prior": "nas", "net": "158 11/01", "width": 16, "scales": None},
    "nas shuffling": {"prior": "nas", "net": "260 11/11", "width": 16, "scales": None},
    "unet": {"prior": "unet", "width": None},
    "no skip": {"skip": 0},
    "rewound": {"rewind": 50.0},
    "rewound random": {"rewind": 50.0, "pruner": "random"},
    "all parameters": {"covers": "all"},
    "level": {"rounds": None, "sparsities": [0.5]},
    "size": {"rounds": None, "parameters": [3000]},
    "transferred": {"source_image": "camera", "image": "coins"},
    "several images": {"source_image": ["astronaut", "chelsea"]},
    "several codes": {"source_image": ["astronaut", "chelsea"], "codes": "per_image"},
    "from another task": {"source_task": "inpaint"},
    "seeds": {"seed": 3, "theta_seed": 1, "z_seed": 2, "noise_seed": 4},
    "sgld": {"schedule": "sgld", "steps": 120},
    "released schedule": {"task": "inpaint", "schedule": "lip"},
    "released": {"compat": "released"},
    "released inpainting": {"compat": "released", "task": "inpaint"},
    "released rewinding": {"compat": "released", "rewind": 50.0},
    "double precision": {"precision": "float64"},
    "classify": CLASSES,
    "classify at random": {**CLASSES, "pruner": "random"},
    "classify as released": {**CLASSES, "compat": "released"},
    "generator": {**FACES, **SENSE},
    "generator inpaints": {**FACES, "task": "inpaint"},
    "progressive generator": {**FACES, **SENSE, "prior": "pggan"},
    "generator as released": {**FACES, **SENSE, "compat": "released"},
}
"""What is pinned, as keys of a sweep file; None takes a key away."""

COLUMNS = ["loss", "psnr_last_ema", "psnr_stop_ema", "accuracy_last"]


def values_of(case: str) -> dict[str, Any]:
    base = {} if {"data", "source_data"} & CASES[case].keys() else SMALL
    return {key: value for key, value in {**base, **CASES[case]}.items() if value is not None}


def measured(case: str, folder: Path) -> dict[str, Any]:
    """The last fit of a case: its id and its numbers."""
    torch.set_num_threads(1)
    library, ledger = InputLibrary(), Ledger(folder)
    fit = parse_trajectory(values_of(case), library, case).fits[-1]
    run_fit(fit, library.inputs, ledger, backend="dense")
    (row,) = ledger.fits(["fit", *COLUMNS], [fit.id]).to_pylist()
    return row


@pytest.mark.parametrize("case", CASES)
def test_numbers_move_only_together_with_a_revision(case: str, tmp_path: Path) -> None:
    pinned, now = json.loads(PINS.read_text())[case], measured(case, tmp_path)
    assert now["fit"] == pinned["fit"], "it is another request now: look whether it should be, and write the pins anew"
    for column in filter(pinned.get, COLUMNS):  # processors round differently
        assert now[column] == pytest.approx(pinned[column], rel=2e-3), f"{column} moved: raise a revision"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pins = {case: measured(case, Path(folder)) for case in CASES}
    PINS.write_text(json.dumps(pins, indent=1) + "\n")


if __name__ == "__main__":
    main()
