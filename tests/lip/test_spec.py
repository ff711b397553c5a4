"""Identity: two requests share an id exactly when they ask for the same."""

import pytest
from pydantic import ValidationError

from lip.fit import Fit
from lip.level import Level
from lip.picture import Picture
from lip.pruners import Imp, Random
from lip.schedule import Schedule
from lip.spec import Spec
from lip.tasks.denoise import Denoise
from lip.trajectory import Trajectory

CAT = Picture(name="cat", pixels="0123456789abcdef", height=64, width=96, channels=3)
DENSE = Fit(picture=CAT, task=Denoise(), schedule=Schedule())


def test_the_canonical_form_says_only_what_is_not_default() -> None:
    assert Schedule().canonical() == {}
    assert Schedule(steps=5, backtrack=None).canonical() == {"steps": 5, "backtrack": None}
    assert DENSE.canonical() == {"picture": CAT.pixels, "task": {"kind": "denoise"}, "schedule": {}}
    assert DENSE.replace(mask=Random(rounds=2), seed=1).canonical() == {
        **DENSE.canonical(),
        "mask": {"kind": "random", "rounds": 2},
        "seed": 1,
    }


@pytest.mark.parametrize(
    ("spec", "id"),
    [
        (Schedule(), "44136fa355b3678a"),
        (DENSE, "77a2d4186e8ec64d"),
        (DENSE.replace(mask=Imp(trained=DENSE)), "3b983029b59d186b"),
        (DENSE.replace(mask=Random(rounds=2)), "7df4098bbb24fe4a"),
        (DENSE.replace(task=Denoise(sigma=50), seed=3), "b2a6516d4699a330"),
        (DENSE.rewound(5), "24aeca935dc17c98"),
        (
            Trajectory(
                picture=CAT, task=Denoise(), schedule=Schedule(), prior=DENSE.prior, pruner="imp", rounds=2, rewind=5.0
            ),
            "a698ea62fd409cf8",
        ),
    ],
)
def test_ids_are_the_same_in_every_release(spec: Spec, id: str) -> None:
    """Never edit these literals: published results are found by their ids, and a moved id orphans all of them."""
    assert spec.id == id


def test_a_new_field_with_a_default_moves_no_id() -> None:
    class Weighted(Denoise):
        weight: float = 1.0

    assert Weighted().id == Denoise().id
    assert Weighted(sigma=10).id == Denoise(sigma=10).id
    assert Weighted(weight=2.0).id != Denoise().id


def test_every_field_that_changes_the_result_changes_the_id() -> None:
    changes = [
        {"picture": CAT.replace(pixels="f" * 16)},
        {"task": Denoise(sigma=50)},
        {"schedule": Schedule(lr=0.1)},
        {"prior": DENSE.prior.replace(width=64)},
        {"seed": 1},
        {"mask": Random(rounds=1)},
        {"mask": Imp(trained=DENSE)},
        {"start": DENSE.rewound(5)},
        {"also": (CAT.replace(pixels="e" * 16),)},
        {"codes": "per_image"},
        {"covers": "all"},
        {"cut": Level(sparsity=0.5)},
        {"theta_seed": 0},
        {"z_seed": 0},
        {"noise_seed": 0},
        {"keeps_weights": True},
    ]
    assert len({DENSE.id, *(DENSE.replace(**change).id for change in changes)}) == 1 + len(changes)
    assert {key for change in changes for key in change} == set(Fit.model_fields)


def test_the_name_of_a_picture_is_for_people_and_its_pixels_are_its_identity() -> None:
    assert DENSE.replace(picture=CAT.replace(name="dog")).id == DENSE.id


def test_a_whole_number_and_its_float_are_the_same_request() -> None:
    assert Denoise(sigma=50).id == Denoise(sigma=50.0).id


def test_replace_gives_a_copy_with_an_id_of_its_own() -> None:
    """`model_copy` takes the cached id along, which would publish one fit under the name of another."""
    assert DENSE.id == DENSE.replace().id
    assert DENSE.replace(seed=7).id == Fit(picture=CAT, task=Denoise(), schedule=Schedule(), seed=7).id != DENSE.id


@pytest.mark.parametrize("change", [{"seed": -1}, {"seed": "1"}, {"seed": True}, {"sead": 1}])
def test_replace_checks_what_it_is_given(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DENSE.replace(**change)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"lr": 0.0},
        {"lr": float("inf")},
        {"jitter": -1.0},
        {"ema": 1.0},
        {"backtrack": float("nan")},
        {"stop_window": 1},
        {"stop_patience": 0},
    ],
)
def test_a_schedule_that_cannot_be_trained_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**changes)


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError):
        DENSE.seed = 1
