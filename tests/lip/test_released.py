"""What the released code does, defect by defect, against what is known of it."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import PIL.Image
import pytest

from lip.data.library import InputLibrary
from lip.masks import Mask, kept_after
from lip.priors import GENERATORS, Hourglass
from lip.pruners import PRUNERS, Imp
from lip.pruners.imp import prune_to
from lip.pruners.random import Random
from lip.specs.fit import Fit
from lip.specs.released import RELEASED_FLAGS, ReleasedFlag
from lip.specs.request import parse_trajectory
from lip.specs.trajectory import Trajectory
from lip.tasks import TASKS, Reconstruct
from lip.tasks.denoise import Denoise


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    monkeypatch.chdir(tmp_path)
    for name, pixels in {"cat": photo, "dog": photo[::-1]}.items():
        PIL.Image.fromarray(pixels).save(f"{name}.png")


FACES = {"task": "classify", "data": "faces", "data_size": 8, "epochs": 2}


GENERATOR = {"prior": "dcgan", "size": 16, "image": "held-out/0", "source_data": "lfw", "tuning": 2, "pretraining": 2}


def made(**values: Any) -> Trajectory:
    fitted = {} if values.get("task") == "classify" else {"image": "cat.png", "steps": 5}
    hourglass = {"scales": 2} if "prior" not in values else {}
    point = {"width": 8, "rounds": 2, **hourglass, **fitted, **values}
    return parse_trajectory(point, InputLibrary(), "demo.yaml")


def test_official_is_all_of_them_and_each_is_explained() -> None:
    assert set(RELEASED_FLAGS) == set(get_args(ReleasedFlag))
    assert made(compat="released").compat == Denoise.released_flags
    owners = [*TASKS.values(), *GENERATORS.values()]
    assert {name for owner in owners for name in owner.released_flags} == set(RELEASED_FLAGS)
    assert made(compat=["z", "imp_target"]).compat == ("imp_target", "z"), "in one order, whatever was written"
    assert made().compat == ()


@pytest.mark.parametrize("defect", RELEASED_FLAGS)
def test_each_defect_alone_changes_some_fit_and_only_where_it_should(defect: ReleasedFlag) -> None:
    """The dense fit of denoising, for example, is the same whatever is done to random pruning."""
    plain: dict[str, dict[str, Any]] = {
        "schedule": {"task": "superres", "factor": 8},
        "imp_target": {},
        "z": {},
        "noise": {},
        "shared_init": {"task": "inpaint", "seed": 3},
        "random_double": {"pruner": "random"},
        "unmasked_first": {},
        "backtrack": {},
        "per_channel": {"task": "inpaint"},
        "pad": {"task": "inpaint"},
        "rewind_target": {"rewind": 40.0},
        "stale_ranking": {},
        "head": FACES,
        "rewind_none": FACES,
        "quartic": {**GENERATOR, "task": "inpaint"},
        "raw_generator": {**GENERATOR, "task": "sense"},
        "untuned": {**GENERATOR, "task": "sense"},
        "gan_batch": {**GENERATOR, "task": "sense"},
    }
    where = plain[defect]
    theirs, ours = (made(**where, compat=compat) for compat in ([defect], []))
    different = [a.id != b.id for a, b in zip(theirs.fits, ours.fits, strict=True)]
    only_masks = defect in ("imp_target", "random_double", "unmasked_first", "rewind_target", "stale_ranking")
    assert different == [not only_masks, defect != "stale_ranking", True]
    elsewhere = {"task": "inpaint"} if where.get("task", "denoise") == "denoise" else {"task": "denoise"}
    if defect in ("imp_target", "shared_init", "per_channel", "pad", "rewind_target", "schedule"):
        elsewhere |= {"rewind": where.get("rewind", 0.0)}
        assert made(**elsewhere, compat=[defect]).fits == made(**elsewhere).fits


def test_the_true_sparsities_of_released_random_pruning_are_those_measured_of_it(tiny) -> None:
    """Measured of the released code, with every layer listed twice and the two first left unmasked."""
    measured = {1: 35, 2: 58, 3: 73, 4: 82, 5: 88, 6: 92, 7: 94, 8: 96, 10: 97.2, 13: 98.0, 16: 98.25}
    model = tiny.model(prior=Hourglass(scales=5), picture=_large(tiny))
    for rounds in (1, 3, 6, 10, 16):
        mask = Random(target=rounds, random_double=True, unmasked_first=True).build(model, None)
        assert 100 * mask.sparsity == pytest.approx(measured[rounds], abs=0.5)
        assert mask.kept_per_layer[:2] == [128, 36_864]
    double = Random(target=2, random_double=True).build(model, None)
    assert double.sparsity == pytest.approx(1 - 0.64**2, abs=1e-3)


def test_leaving_two_convolutions_unmasked_takes_magnitude_pruning_as_far_as_was_measured(tiny) -> None:
    measured = {6: 72.0, 8: 80.8, 10: 86.4, 16: 93.5}
    model = tiny.model(prior=Hourglass(scales=5), picture=_large(tiny))
    untrained = model.theta.detach()[model.is_prunable].numpy()
    mask = Mask.dense(model.layers)
    for rounds in range(1, 17):
        mask = prune_to(mask, untrained, kept_after(mask.n_kept, 1)).unmasked_first()
        if rounds in measured:
            assert 100 * mask.sparsity == pytest.approx(measured[rounds], abs=0.15)


def _large(tiny) -> Any:
    pixels = np.zeros((64, 64, 3), np.uint8)
    picture = tiny.picture("large", pixels)
    tiny.images[picture.content_hash] = pixels
    return picture


def test_unmasked_layers_stay_whole_through_a_chain_of_tickets(tiny, ledger) -> None:
    trajectory = made(compat=["unmasked_first"])
    pixels = InputLibrary()
    pixels.picture("cat.png", None, 4)
    for fit in trajectory.fits:
        tiny.run_fit(fit, ledger)
    rows = {row["round"]: row for row in ledger.fits().to_pylist()}
    for k in (1, 2):
        assert rows[k]["layer_kept"][:2] == rows[k]["layer_size"][:2]
        assert rows[k]["sparsity"] < rows[k]["sparsity_asked"]
    assert all(fit.recipe.unmasked_first for fit in trajectory.fits[1:])
    assert trajectory.fits[2].recipe.trained == trajectory.fits[1]


def test_imp_on_the_clean_image_is_another_chain_and_evaluation_sees_the_degraded_one() -> None:
    trajectory = made(compat=["imp_target"])
    sources = [fit.recipe.source_fit for fit in trajectory.fits[1:]]
    assert [source.task.kind for source in sources if source] == ["reconstruct"] * 2
    assert {source.schedule for source in sources if source} == {trajectory.schedule}
    assert {fit.task.kind for fit in trajectory.fits} == {"denoise"}
    assert trajectory.fits[0] == made().fits[0]
    assert made(compat=["imp_target"], source_image="dog.png").source_trajectory.task.kind == "reconstruct"  # type: ignore[union-attr]


def test_the_code_is_drawn_anew_in_every_round_and_for_every_evaluation() -> None:
    trajectory = made(compat=["z"])
    sources = [fit.recipe.source_fit for fit in trajectory.fits[1:]]
    codes = [fit.z_seed for fit in (*trajectory.fits, *sources) if fit]
    assert None not in codes
    assert len(set(codes)) == 5
    assert made(compat=["z"], seed=1).fits[0].z_seed not in codes
    assert made(compat=["z"], pruner="random").fits[1].z_seed == trajectory.fits[1].z_seed


def test_the_observation_is_drawn_anew_between_imp_and_evaluation() -> None:
    fits: tuple[Fit, ...] = made(compat=["noise"]).fits
    assert len({fit.noise_seed for fit in fits}) == 1
    assert fits[0].noise_seed is not None
    assert [fit.recipe.source_fit.noise_seed for fit in fits[1:] if fit.recipe.source_fit] == [None, None]


def test_with_several_images_the_released_code_undoes_nothing() -> None:
    lender = made(compat=["backtrack"], source_image=["cat.png", "dog.png"]).source_trajectory
    assert lender is not None
    assert lender.schedule.backtrack is None
    assert made(compat=["backtrack"]).schedule.backtrack_rule == "released"
    inpainting = made(compat=["backtrack"], task="inpaint").schedule
    assert (inpainting.backtrack, inpainting.backtrack_rule) == (5.0, "hundredths")
    assert made(compat=["backtrack"], task="superres", factor=2).schedule.backtrack_rule == "exact", (
        "it has nothing to undo"
    )


def test_the_released_undo_looks_at_the_noisy_image_also_while_imp_fits_the_clean_one() -> None:
    trajectory = made(compat=["backtrack", "imp_target"], sigma=50)
    assert trajectory.source_trajectory is not None
    assert trajectory.source_trajectory.task == Reconstruct(backtrack_sigma=50.0)
    assert made(compat=["imp_target"]).source_trajectory.task == Reconstruct()


def test_the_released_ranking_is_stale_from_the_second_round_on() -> None:
    """In the first there are no masks yet, so what is ranked are the weights themselves."""
    third = made(compat=["stale_ranking"], rounds=3).fits[3]
    second = third.recipe.source_fit
    first = second.recipe.source_fit
    assert [fit.stale_ranking for fit in (first.recipe.source_fit, first, second, third)] == [False, True, True, False]


def test_rewinding_takes_weights_that_were_trained_on_the_clean_image() -> None:
    start = made(compat=["rewind_target"], rewind=40.0).fits[1].start
    assert start is not None
    assert (start.task.kind, start.schedule.steps, start.saves_weights) == ("reconstruct", 2, True)


def test_defects_of_a_pruner_are_fields_of_its_recipe() -> None:
    for recipe in PRUNERS.values():
        assert set(recipe.released_flags) <= set(recipe.model_fields) & set(RELEASED_FLAGS)
    assert Imp.released_flags == ("unmasked_first",)


def test_everything_official_runs_to_the_end(tiny, ledger) -> None:
    """At an odd size, for inpainting is padded by one pixel all round."""
    for task in ("denoise", "inpaint", "superres"):
        for pruner in ("imp", "random"):
            for fit in made(task=task, pruner=pruner, compat="released").fits:
                tiny.run_fit(fit, ledger)
    sizes = {len(row["curve_loss"]) for row in ledger.fits().to_pylist()}
    assert sizes == {5}
