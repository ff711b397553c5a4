"""Identity: two requests share an id exactly when they ask for the same."""

import pytest
from pydantic import ValidationError

from lip.pruners import Imp, Random
from lip.specs.fit import Fit
from lip.specs.picture import Picture
from lip.specs.schedule import Schedule
from lip.specs.spec import Spec
from lip.specs.target import Level
from lip.specs.trajectory import Trajectory
from lip.tasks.denoise import Denoise

CAT = Picture(name="cat", content_hash="0123456789abcdef", height=64, width=96, channels=3)
DENSE = Fit(picture=CAT, task=Denoise(), schedule=Schedule())


def test_the_canonical_form_says_only_what_is_not_default() -> None:
    assert Denoise().canonical() == {"kind": "denoise"}
    assert Denoise(sigma=5).canonical() == {"kind": "denoise", "sigma": 5.0}
    assert DENSE.canonical() == {
        "picture": CAT.content_hash,
        "task": {"kind": "denoise"},
        "schedule": {"revision": Schedule.revision},
    }
    assert DENSE.replace(recipe=Random(target=2), seed=1).canonical() == {
        **DENSE.canonical(),
        "recipe": {"kind": "random", "target": 2},
        "seed": 1,
    }


@pytest.mark.parametrize(
    ("spec", "id"),
    [
        (Schedule(), "3b23faf0f40b1609"),
        (DENSE, "d463782b49f60d08"),
        (DENSE.replace(recipe=Imp(trained=DENSE)), "20561a44eceda126"),
        (DENSE.replace(recipe=Random(target=2)), "e726b827e52d8b04"),
        (DENSE.replace(task=Denoise(sigma=50), seed=3), "a6a79f00d429f28b"),
        (DENSE.rewound(5), "8fb595ba31d4b39f"),
        (
            Trajectory(
                picture=CAT, task=Denoise(), schedule=Schedule(), prior=DENSE.prior, pruner="imp", rounds=2, rewind=5.0
            ),
            "6c680d9a93308039",
        ),
    ],
)
def test_ids_are_the_same_in_every_release(spec: Spec, id: str) -> None:
    """Published results are found by their ids: edit a literal only together with a revision, which orphans them."""
    assert spec.id == id


def test_a_new_field_with_a_default_moves_no_id() -> None:
    class Weighted(Denoise):
        weight: float = 1.0

    assert Weighted().id == Denoise().id
    assert Weighted(sigma=10).id == Denoise(sigma=10).id
    assert Weighted(weight=2.0).id != Denoise().id


def test_a_raised_revision_moves_the_id_of_all_that_holds_it() -> None:
    class Mended(Denoise):
        revision = 2

    assert Mended().canonical() == {"kind": "denoise", "revision": 2}
    assert Mended().id != Denoise().id
    assert DENSE.replace(task=Mended()).id != DENSE.id


def test_every_field_that_changes_the_result_changes_the_id() -> None:
    changes = [
        {"picture": CAT.replace(content_hash="f" * 16)},
        {"task": Denoise(sigma=50)},
        {"schedule": Schedule(lr=0.1)},
        {"prior": DENSE.prior.replace(width=64)},
        {"seed": 1},
        {"recipe": Random(target=1)},
        {"recipe": Imp(trained=DENSE)},
        {"start": DENSE.rewound(5)},
        {"other_pictures": (CAT.replace(content_hash="e" * 16),)},
        {"codes": "per_image"},
        {"covers": "all"},
        {"next_target": Level(sparsity=0.5)},
        {"theta_seed": 0},
        {"z_seed": 0},
        {"noise_seed": 0},
        {"stale_ranking": True},
        {"saves_weights": True},
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
