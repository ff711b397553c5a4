"""A point in a user's words: what it becomes, and the one sentence when it cannot be used."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lip.data.images import Image
from lip.data.inpaint_mask import text as text_mask
from lip.data.library import InputLibrary
from lip.errors import InputError, nearest
from lip.priors import GENERATORS, PRIORS, Hourglass
from lip.priors.unet import Unet
from lip.pruners import PRUNERS
from lip.specs.request import check_value, parse_trajectory
from lip.specs.schedule import Schedule
from lip.specs.trajectory import Trajectory
from lip.tasks.denoise import Denoise


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    """Files cat.png (32x32), dog.png (another), same.png (the pixels of cat), grey.png and two of other sizes."""
    monkeypatch.chdir(tmp_path)
    for name, pixels in {"cat": photo, "dog": photo[::-1], "same": photo, "grey": photo[..., 0]}.items():
        PIL.Image.fromarray(pixels).save(f"{name}.png")
    PIL.Image.new("L", (64, 32)).save("wide.png")
    PIL.Image.new("RGB", (36, 36)).save("odd.png")


SMALL = {"width": 8, "scales": 2}


def made(**values: Any) -> Trajectory:
    return parse_trajectory({"image": "cat.png", **SMALL, **values}, InputLibrary(), "demo.yaml")


def test_the_keys_of_task_prior_and_schedule_stand_beside_one_another(photo: np.ndarray) -> None:
    point = made(sigma=50, steps=30, stop_window=9, skip=0, backtrack=None, pruner="snip", rounds=3, seed=4, rewind=10)
    picture = point.picture
    assert (picture.name, picture.content_hash) == ("cat.png", Image("", photo, ()).id)
    assert (picture.height, picture.width, picture.channels) == (32, 32, 3)
    assert point == Trajectory(
        picture=picture,
        task=Denoise(sigma=50.0),
        schedule=Schedule(steps=30, stop_window=9, backtrack=None),
        prior=Hourglass(width=8, scales=2, skip=0),
        pruner="snip",
        rounds=3,
        seed=4,
        rewind=10.0,
    )


def test_what_is_left_out_is_the_paper() -> None:
    point = parse_trajectory({"image": "cat.png", "size": 64}, InputLibrary(), "demo.yaml")
    assert (point.pruner, point.rounds, point.seed, point.rewind, point.mask_source) == ("imp", 16, 0, 0.0, None)
    assert (point.task, point.prior, point.schedule) == (Denoise(), Hourglass(), Denoise().schedules()["paper"])
    assert point.picture.height == point.picture.width == 64


def test_images_are_cropped_to_what_the_prior_needs() -> None:
    PIL.Image.new("RGB", (45, 38)).save("odd.png")
    assert (made(image="odd.png").picture.width, made(image="odd.png").picture.height) == (44, 36)
    assert made(image="odd.png", scales=3).picture.width == 40


def test_an_album_hands_out_the_pixels_of_the_pictures_it_has_shown(photo: np.ndarray) -> None:
    library = InputLibrary()
    point = parse_trajectory({"image": "cat.png", "source_image": "dog.png", **SMALL}, library, "demo.yaml")
    assert point.mask_source is not None
    assert library.inputs.keys() == {point.picture.content_hash, point.mask_source.pictures[0].content_hash}
    assert np.array_equal(library.inputs[point.picture.content_hash], photo)
    assert library.notes == []
    library.picture("cat.png", 16, 4)
    assert library.notes == ["cat.png: resized 32x32 to 16x16"]


def test_an_album_reads_each_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library = InputLibrary()
    library.picture("cat.png", None, 4)
    monkeypatch.chdir("/")
    assert library.picture("cat.png", None, 4).name == "cat.png"


def test_a_source_with_the_images_own_pixels_is_no_transfer() -> None:
    assert made(source_image="same.png").mask_source is None
    assert made(source_image="cat.png") == made()
    assert made(source_image="dog.png").mask_source is not None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sigm": 25}, "there is no key 'sigm'; did you mean 'sigma'?"),
        ({"prunner": "imp"}, "there is no key 'prunner'; did you mean 'pruner'?"),
        ({"rounds": "3"}, "rounds: input should be a valid integer, not '3'"),
        ({"rounds": 51}, "rounds: input should be less than or equal to 50, not 51"),
        ({"seed": True}, "seed: input should be a valid integer, not True"),
        ({"sigma": 0}, "sigma: input should be greater than 0, not 0"),
        ({"sigma": float("nan")}, "sigma: input should be less than or equal to 255, not nan"),
        ({"width": 0}, "width: input should be greater than or equal to 1, not 0"),
        ({"seed": 2**63}, "seed: input should be less than 9223372036854775808, not 9223372036854775808"),
        ({"width": 10**9}, "width: input should be less than or equal to 8192, not 1000000000"),
        ({"size": 10**6}, "size: input should be less than or equal to 8192, not 1000000"),
        ({"steps": 10**20}, "steps: input should be less than or equal to 10000000, not 100000000000000000000"),
        ({"steps": 1.5}, "steps: input should be a valid integer, not 1.5"),
        ({"pruner": "snop"}, "pruner: there is no pruner 'snop'; did you mean 'snip'?"),
        ({"pruner": "xyz"}, f"pruner: there is no pruner 'xyz'; known: {', '.join(PRUNERS)}"),
        ({"task": "denoising"}, "task: there is no task 'denoising'; did you mean 'denoise'?"),
        ({"prior": "xyz"}, f"prior: there is no prior 'xyz'; known: {', '.join([*PRIORS, *GENERATORS])}"),
        ({"mask": "text"}, "mask: denoise does not inpaint; use task: inpaint, or remove it"),
        (
            {"task": "inpaint", "mask": "wide.png"},
            "mask: wide.png is 64x32 pixels and image cat.png is 32x32; give a mask of the image's size",
        ),
        ({"task": "inpaint", "keep": 0}, "keep: input should be greater than 0, not 0"),
        ({"task": "superres", "factor": 3}, "factor: input should be 2, 4 or 8, not 3"),
        (
            {"task": "superres", "factor": 8, "image": "odd.png"},
            "factor: 36x36 pixels are not a multiple of 8; use another size",
        ),
        (
            {"task": "superres", "factor": 8, "source_image": "odd.png"},
            "factor: 36x36 pixels are not a multiple of 8; use another size",
        ),
        (
            {"task": "superres", "factor": 8, "size": 8, "scales": 1},
            "task: 8x8 pixels are nothing but the excluded border; use a larger size",
        ),
        (
            {"size": 4, "scales": 1},
            "image cat.png is 4x4 pixels, SSIM needs at least 7x7; use a larger image or a larger size",
        ),
        (
            {"task": "inpaint", "prior": "decoder", "pad": 1},
            "pad: decoder outputs multiples of 4 pixels; use 0, or leave pad out of compat",
        ),
        (
            {"task": "denoise", "source_task": "inpaint", "skip": 0, "compat": ["pad"]},
            "pad: hourglass outputs multiples of 4 pixels; use 0, or leave pad out of compat",
        ),
        ({"task": "inpaint", "size": 16, "pad": 16}, "pad: 16x16 pixels have too few to reflect; use a larger size"),
        ({"compat": ["paad"]}, "compat: the released code has no 'paad'; did you mean 'pad'?"),
        ({"compat": "oficial"}, "compat: input should be 'released', not 'oficial'"),
        ({"source_image": ["dog.png", 3]}, "source_image: input should be a valid string, not ['dog.png', 3]"),
        ({"pruner": "oes", "search": [1]}, "search: input should be a valid integer, not [1]"),
        ({"sparsities": [0.5, 0.2, 0.5]}, "sparsities: duplicate value 0.5; remove one"),
        ({"until": "end"}, "until: input should be 'stop', not 'end'"),
        (
            {"until": "stop"},
            "until: imp cuts tickets from the weights after all steps; remove it, or use rounds: 0 or a pruner such as "
            "random",
        ),
        (
            {"until": "stop", "schedule": "sgld", "rounds": 0},
            "until: the posterior mean averages outputs of all steps; remove it, or use burn_in: null",
        ),
        ({"pruned_share": 1}, "pruned_share: input should be less than 1, not 1"),
        (
            {"pruned_share": 0.9, "rounds": 50},
            "pruned_share: 50 rounds of 0.9 leave no weight; use fewer rounds or a smaller share",
        ),
        ({"pruning": "quartic"}, "pruning: input should be 'geometric' or 'cubic', not 'quartic'"),
        (
            {"pruning": "cubic", "sparsities": [0.5, 0.9]},
            "sparsities: a cubic schedule ends at one level, not 2; give the last",
        ),
        (
            {"pruning": "cubic", "parameters": [3000]},
            "parameters: a cubic schedule ends at a sparsity; use sparsities, with one value",
        ),
        (
            {"compat": ["random_double"], "pruner": "random", "pruned_share": 0.3},
            "compat: the released code prunes at random in rounds of 20 %, not to levels; remove one",
        ),
        (
            {"source_image": "dog.png", "pruner": "one_shot"},
            "source_image: one_shot uses no transferred masks; use pruner: imp",
        ),
        ({"schedule": "fast"}, "schedule: input should be 'paper', 'lip', 'sgld', 'decoder' or 'oes', not 'fast'"),
        (
            {"schedule": "decoder"},
            "schedule: there is no schedule 'decoder' for denoise with hourglass; use paper or lip or sgld or oes",
        ),
        (
            {"schedule": "decoder", "prior": "decoder", "task": "superres"},
            "schedule: there is no schedule 'decoder' for superres with decoder; use paper or lip or sgld",
        ),
        (
            {"schedule": "oes", "prior": "decoder"},
            "schedule: there is no schedule 'oes' for denoise with decoder; use paper or lip or sgld or decoder",
        ),
        ({"jitter_decay": 0}, "jitter_decay: input should be greater than 0, not 0"),
        ({"rewind": 120}, "rewind: input should be less than or equal to 100, not 120"),
        ({"rewind": -1.0}, "rewind: input should be greater than or equal to 0, not -1.0"),
        (
            {"source_image": "dog.png", "pruner": "random"},
            "source_image: random uses no transferred masks; use pruner: imp",
        ),
        (
            {"scales": 5},
            "image cat.png is 32x32 pixels, the net needs at least 64x64; "
            "use a larger image, a larger size or fewer scales",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        made(**values)
    assert str(error.value) == f"demo.yaml: {sentence}"


def test_a_point_without_an_image_is_said_too() -> None:
    with pytest.raises(InputError, match=r"^demo.yaml: the key 'image' is missing; add it$"):
        parse_trajectory({}, InputLibrary(), "demo.yaml")


@pytest.mark.parametrize("rewind", [0.01, 1.6])
def test_rewinding_to_no_step_is_refused(rewind: float) -> None:
    with pytest.raises(InputError, match=f"^demo.yaml: rewind: {rewind} % of 30 steps is not a step"):
        made(rewind=rewind, steps=30)
    assert made(rewind=1.7, steps=30).fits[1].start.schedule.steps == 1


@pytest.mark.parametrize(
    "values",
    [{"size": 34}, {"image": "missing.png"}, {"image": "astronat"}, {"source_image": "missing.png"}],
)
def test_images_that_cannot_be_had_are_input_errors(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^demo.yaml: [^\n]+$"):
        made(**values)


def test_a_grey_source_for_a_colour_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"^demo.yaml: source_image: masks of grey.png .1 channels. do not fit"):
        made(source_image="grey.png")


def test_the_remedy_is_the_nearest_name_or_else_all_of_them() -> None:
    assert nearest("rando", ["imp", "random"]) == "did you mean 'random'?"
    assert nearest("zzz", ["imp", "random"]) == "known: imp, random"


def test_a_text_mask_is_drawn_at_the_size_of_the_image_and_is_part_of_the_fit() -> None:
    plain, text = made(task="inpaint"), made(task="inpaint", mask="text")
    assert text.task.pictures[0].name == "text"
    pixels = np.where(text_mask(32, 32), 255, 0).astype(np.uint8)[..., None]
    assert text.task.pictures[0].content_hash == Image("text", pixels, ()).id
    assert text.fits[0].id != plain.fits[0].id
    assert pixels.shape == (32, 32, 1)
    assert set(np.unique(pixels)) == {0, 255}
    assert 0.05 < (pixels == 0).mean() < 0.6


def test_schedules_are_the_papers_unless_those_of_its_code_are_asked_for() -> None:
    def steps(**values: Any) -> int:
        return made(**values).schedule.steps

    assert steps(task="superres", factor=8) == 4000
    assert steps(task="superres", factor=8, schedule="lip") == 2000
    assert steps(task="inpaint") == 11000
    assert steps(task="inpaint", mask="text") == 6001
    assert steps(task="inpaint", schedule="lip", lr=0.5) == 3000


def test_the_deep_decoder_is_trained_without_jitter_unless_some_is_asked_for() -> None:
    """As published; with that of the hourglass it lost 5 dB on a photograph at 64 pixels."""

    def jitter(**values: Any) -> float:
        return made(prior="decoder", **values).schedule.jitter

    assert jitter() == jitter(task="superres", schedule="lip") == 0
    assert jitter(jitter=0.1) == 0.1
    assert made().schedule.jitter == 1 / 30
    assert made(prior="decoder").schedule.steps == made().schedule.steps


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"prior": "decoder", "schedule": "decoder"}, Schedule(steps=1900, lr=0.01, jitter=0.0, backtrack=None)),
        (
            {"prior": "decoder", "schedule": "decoder", "task": "inpaint"},
            Schedule(steps=40_000, lr=0.0025, jitter=0.005, jitter_decay=0.7, backtrack=None),
        ),
        ({"schedule": "oes"}, Schedule(steps=40_000, lr=0.01, jitter=0.0, backtrack=None)),
        ({"schedule": "oes", "steps": 7}, Schedule(steps=7, lr=0.01, jitter=0.0, backtrack=None)),
    ],
)
def test_rivals_are_trained_as_published_where_that_is_asked_for(values: dict[str, Any], wanted: Schedule) -> None:
    assert made(**values).schedule == wanted
    assert Unet().published(Denoise()) == Hourglass().published(Denoise())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"task": "inpaint", "sigma": 25}, "sigma: it goes with task: denoise or reconstruct; remove it, or use that"),
        ({"search": 3}, "search: it goes with pruner: oes; remove it, or use that"),
        ({"epochs": 3}, "epochs: it goes with task: classify; remove it, or use that"),
        ({"sigmaa": 25}, "there is no key 'sigmaa'; did you mean 'sigma'?"),
        ({"steps": 3000, "rewind": 0.2}, "rewind: 0.2 is a percentage of the steps; write 20 for 20 %"),
    ],
)
def test_a_mistake_is_answered_as_a_person_would(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        made(**values)
    assert str(error.value) == f"demo.yaml: {sentence}"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("steps", "banana", "steps: input should be a valid integer, not 'banana'"),
        ("steps", -5, "steps: input should be greater than or equal to 1, not -5"),
        ("size", 0, "size: input should be greater than or equal to 1, not 0"),
        ("seed", [1], "seed: input should be a valid integer, not [1]"),
        ("lr", "fast", "lr: input should be a valid number, not 'fast'"),
    ],
)
def test_a_value_alone_is_checked(key: str, value: object, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        check_value(key, value)
    assert str(error.value) == sentence


@pytest.mark.parametrize(("key", "value"), [("steps", 5), ("size", None), ("lr", 1), ("width", 8), ("unknown", 3)])
def test_a_value_that_some_task_takes_is_taken(key: str, value: object) -> None:
    check_value(key, value)
