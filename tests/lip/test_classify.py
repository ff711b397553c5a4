"""Classification is a fit like any other: same masks, same ledger, and tickets that come and go."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lip.data.datasets import Data
from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.masks import Mask, kept_after
from lip.priors import Hourglass
from lip.pruners import PRUNERS, Imp, Random
from lip.specs.fit import Fit
from lip.specs.picture import DataSet
from lip.specs.request import parse_trajectory
from lip.specs.schedule import Sgd
from lip.specs.trajectory import MaskSource, Trajectory
from lip.tasks.classify import Classify
from lip.tasks.denoise import Denoise
from lip.training.classify import Classification
from lip.training.run import build_mask, run_fit

SMALL = Hourglass(width=8, scales=2)
CIFAR = DataSet(name="c", content_hash="0" * 16, height=50, width=50, channels=3, classes=10, train=50_000, test=10_000)


def made(size: int = 8, channels: int = 1, classes: int = 3, each: int = 10) -> Data:
    """Noise with a bright row in a place of its own for every class."""
    draw = np.random.default_rng(0)
    images = draw.integers(60, size=(classes * each, size, size, channels), dtype=np.uint8)
    labels = np.repeat(np.arange(classes), each)
    for image, label in zip(images, labels, strict=True):
        image[2 * label] += 190
    records = np.empty(len(images), [("image", np.uint8, images.shape[1:]), ("label", np.int32), ("test", np.bool_)])
    records["image"], records["label"], records["test"] = images, labels, np.arange(len(images)) % 5 == 0
    return Data("rows", records, tuple(map(str, range(classes))))


ROWS = made()
IMAGES = {ROWS.spec.content_hash: ROWS.records}
SCHEDULE = Sgd(epochs=3, batch=8)


def fit(task: Classify | None = None, data: Data = ROWS, prior: Hourglass = SMALL, **changes: Any) -> Fit:
    schedule = SCHEDULE.replace(**{key: changes.pop(key) for key in Sgd.model_fields.keys() & changes.keys()})
    return Fit(picture=data.spec, task=task or Classify(), schedule=schedule, prior=prior, **changes)


def trajectory(**changes: Any) -> Trajectory:
    fields = {"picture": ROWS.spec, "task": Classify(), "schedule": SCHEDULE, "prior": SMALL, "pruner": "imp"}
    return Trajectory(**{**fields, "rounds": 2, **changes})


def model(which: Fit | None = None, data: Data = ROWS) -> Classification:
    return Classification(which or fit(data=data), {data.spec.content_hash: data.records})


def dense(of: Classification) -> Mask:
    return Mask.dense(of.layers)


def test_the_parameters_are_those_counted_of_the_released_net() -> None:
    assert Classify(head="sigmoid").counts(Hourglass(), CIFAR, "weights") == (2_175_244, 2_259_317)
    replaced = 2_175_244 - 384  # the output convolution is gone, with its three biases
    assert Classify().counts(Hourglass(), CIFAR, "weights") == (replaced, 2_259_317 - 387 - 75_010 + 3_200_010)
    names = [layer.name for layer in Classify(head="sigmoid").layers(Hourglass(), CIFAR, "weights")]
    assert names == [layer.name for layer in Denoise().layers(Hourglass(), CIFAR, "weights")]
    assert len(names) == 26


@pytest.mark.parametrize("size", [50, 33, 256])
def test_the_head_fits_pictures_of_any_size(size: int) -> None:
    seen = CIFAR.replace(height=size, width=size)
    with torch.device("meta"):
        for head in ("linear", "sigmoid"):
            net = Classify(head=head).network(Hourglass(width=4, skip=0 if size == 33 else 4), seen)
            assert net(torch.empty(2, 3, size, size)).shape == (2, 10)


def test_theta_0_is_that_of_the_prior_but_for_what_the_prior_does_not_have(tiny) -> None:
    restoring, classifying = tiny.model(prior=SMALL).weights(), model().weights()
    same = {name for name in restoring if name in classifying and restoring[name].equal(classifying[name])}
    own = {name for name in classifying if name not in same}
    assert own == {f"down.0.{part}.0.{what}" for part in ("skip", "stride") for what in ("weight", "bias")} | {
        "head.weight",
        "head.bias",
    }
    other = model(fit(seed=1)).weights()
    assert all(not other[name].equal(classifying[name]) for name in own)


def test_pictures_are_seen_between_minus_one_and_one_and_never_those_of_the_test() -> None:
    split = model().train_split
    assert len(split) == 24
    pictures, labels = split.batch(torch.arange(24))
    assert (pictures.min(), pictures.max()) == (-1, (249 - 127.5) / 127.5)
    assert labels.tolist() == sorted(labels.tolist())
    batches = model().batches(torch.Generator().manual_seed(0))
    assert sorted(batches.flatten().tolist()) == list(range(24))
    assert model(fit(batch=7)).batches(torch.Generator()).shape == (3, 7), "what is left over is left out"
    assert model(fit(batch=100)).batches(torch.Generator()).shape == (1, 24)


def test_it_learns_and_says_how_well() -> None:
    seen: list[tuple[int, float]] = []
    whole = model(fit(epochs=12))
    trained = whole.train(dense(whole), watch=lambda *told: seen.append(told))
    columns = trained.columns()
    assert columns["accuracy_last"] == columns["curve_accuracy"][-1] == whole.accuracy() == 1
    assert columns["accuracy_peak"] == max(columns["curve_accuracy"])
    assert columns["curve_accuracy"].index(columns["accuracy_peak"]) == columns["step_peak"] - 1
    assert trained.loss == columns["curve_loss"][-1] < columns["curve_loss"][0]
    assert seen == list(enumerate(columns["curve_accuracy"], 1))
    assert not trained.collapsed
    assert whole.fit.task.format_score(0.912) == "accuracy 91.2%"


def test_a_net_that_passes_nothing_on_has_collapsed() -> None:
    dead = model()
    trained = dead.train(Mask(dead.layers, np.zeros(dead.n_prunable, np.bool_)))
    assert trained.collapsed
    assert trained.columns()["accuracy_peak"] == pytest.approx(1 / 3)


def test_the_same_fit_has_the_same_result_bit_for_bit() -> None:
    one, two = (model().train(dense(model())) for _ in range(2))
    assert one.losses == two.losses
    assert np.array_equal(one.final_weights, two.final_weights)
    assert one.backend == model().train(dense(model()), backend="numba").backend == "dense"
    assert model(fit(seed=1)).train(dense(model())).losses != one.losses


def test_the_learning_rate_falls_where_the_released_code_lets_it() -> None:
    rates = [Sgd().rate(epoch) for epoch in range(1, 183)]
    drops = [epoch for epoch, (before, after) in enumerate(pairwise(rates), 1) if after < before]
    assert drops == [91, 136], "after so many epochs"
    assert (rates[0], rates[-1]) == (0.01, pytest.approx(1e-4))


def test_a_beginning_is_the_same_run_cut_short() -> None:
    whole = fit(epochs=8)
    begun = whole.rewound(75)
    assert (begun.schedule.steps, begun.saves_weights, begun.id != fit(epochs=6, saves_weights=True).id) == (6, True, 1)
    losses = [model(each).train(dense(model())).losses for each in (begun, whole)]
    assert losses[0] == losses[1][:6]
    assert begun.rewound(50).schedule == Sgd(epochs=3, total_epochs=8, batch=8)


@pytest.mark.parametrize("head", ["linear", "sigmoid"])
@pytest.mark.parametrize("pruner", ["imp", "snip"])
def test_counts_are_exact_and_the_pruned_stay_zero(pruner: str, head: str, ledger: Ledger) -> None:
    made = trajectory(pruner=pruner, task=Classify(head=head))
    for round, each in enumerate(made.fits):
        for source in each.dependencies:
            run_fit(source, IMAGES, ledger)
        concrete = model(each)
        mask = build_mask(each, concrete, ledger)
        assert mask.n_kept == kept_after(concrete.n_prunable, round)
        trained = concrete.train(mask)
        assert (trained.final_weights[~mask.bits] == 0).all()
        assert (trained.final_weights[mask.bits] != 0).any()


def test_a_mask_may_cover_the_head_and_all_other_parameters_too() -> None:
    whole = model(fit(covers="all"))
    names = [layer.name for layer in whole.layers]
    assert whole.is_prunable.all()
    assert len(set(names)) == len(names)
    assert {"head.weight", "s0 skip", "out"} - set(names) == {"out"}


def test_all_pruners_are_known_but_those_that_need_a_restoration() -> None:
    """One looks at the observation, the other at trained weights, which classification does not keep."""
    assert PRUNERS.keys() - set(Classify.pruners) == {"oes", "one_shot"}


def test_the_sigmoid_of_the_released_head_is_in_the_loss_only() -> None:
    released = model(fit(Classify(head="sigmoid")))
    pictures, _ = released.train_split.batch(torch.arange(4))
    released.net.eval()
    assert torch.equal(released.net(pictures), released.net.logits(pictures).sigmoid())
    ours = model()
    ours.net.eval()
    assert torch.equal(ours.net(pictures), ours.net.logits(pictures))


def test_tickets_go_both_ways_and_leave_whole_what_the_other_net_does_not_have(tiny, ledger: Ledger) -> None:
    images = IMAGES | tiny.images
    restoring = tiny.trajectory(prior=SMALL)
    classifying = trajectory()
    here, there = (
        MaskSource(pictures=(one.picture,), task=one.task, schedule=one.schedule) for one in (classifying, restoring)
    )
    for target, mask_source, source, whole in (
        (restoring, here, classifying, ("s0 skip", "s0 stride", "out")),
        (classifying, there, restoring, ("s0 skip", "s0 stride")),
    ):
        transfer = target.replace(mask_source=mask_source)
        assert transfer.source_trajectory == source
        assert transfer.whole_layers == whole
        assert source.whole_layers == ()
        assert transfer.fits[0] == target.fits[0], "the dense fit is shared"
        for each in transfer.fits:
            run_fit(each, images, ledger)
        ticket = ledger.next_mask(source.fits[1])
        given = dict(zip((layer.name for layer in ticket.layers), ticket.kept_per_layer, strict=True))
        (row,) = ledger.fits(ids=[transfer.fits[2].id]).to_pylist()
        layers = zip(row["layer_name"], row["layer_size"], row["layer_kept"], strict=True)
        assert all(kept == (size if name in whole else given[name]) for name, size, kept in layers)
        assert (row["mask_image"], row["mask_task"]) == (source.picture.name, source.task.kind)
        assert (row["task"], row["image"], row["round"]) == (target.task.kind, target.picture.name, 2)


def test_a_mask_of_a_network_with_no_layer_in_common_is_refused(tiny) -> None:
    other = Mask.dense(model(fit(prior=Hourglass(width=4, scales=2))).layers)
    with pytest.raises(ValueError, match="for another network"):
        other.onto(tiny.model().layers)


def test_a_row_says_what_was_classified(ledger: Ledger) -> None:
    one = fit(recipe=Random(target=1), start=fit().rewound(34))
    run_fit(one, IMAGES, ledger)
    (row,) = ledger.fits(ids=[one.id]).to_pylist()
    expected = {
        **{"image": "rows", "content_hash": ROWS.spec.content_hash, "classes": 3, "train_images": 24, "test_images": 6},
        **{"image_height": 8, "image_width": 8, "channels": 1},
        **{"task": "classify", "head": "linear", "rewinds": True, "prior": "hourglass", "width": 8},
        **{"steps": 3, "batch": 8, "lr": 0.01, "momentum": 0.9, "decay": 2e-4, "jitter": None, "ema": None},
        **{"mask_kind": "random", "round": 1, "start": one.start.id, "start_steps": 1, "backend": "dense"},
        **{"psnr_last": None, "ssim_peak": None, "curve_psnr": None, "stop_found": None, "curve_step": [1, 2, 3]},
    }
    assert {key: row[key] for key in expected} == expected
    assert row["accuracy_peak"] == pytest.approx(row["curve_accuracy"][row["step_peak"] - 1])
    assert row["accuracy_last"] == pytest.approx(row["curve_accuracy"][-1])


def test_as_released_imp_goes_on_from_trained_weights(ledger: Ledger) -> None:
    released = trajectory(task=Classify(rewinds=False))
    first, second, third = released.fits
    assert [each.start for each in released.fits] == [None, first, second]
    assert [each.recipe.source_fit for each in released.fits] == [None, first, second]
    assert first.has_next_mask
    assert first.has_weights
    for each in released.fits:
        run_fit(each, IMAGES, ledger)
    assert third in ledger
    seen: list[torch.Tensor] = []
    concrete = model(third)
    concrete.net.register_forward_pre_hook(lambda net, _: seen.append(concrete.theta.detach().clone()))
    mask = ledger.next_mask(second)
    concrete.train(mask, ledger.weights(second))
    trained = model(third)
    trained.start_from(ledger.weights(second))
    kept = concrete.expand_mask(mask)
    assert torch.equal(seen[0], trained.theta.detach() * kept)
    assert [each.start for each in released.replace(pruner="random").fits] == [None, None, None]


def test_rewinding_goes_back_to_early_epochs(ledger: Ledger) -> None:
    rewound = trajectory(rewind=34.0)
    run_fit(rewound.fits[1], IMAGES, ledger)
    assert rewound.fits[1].start == rewound.fits[0].rewound(34)
    assert ledger.weights(rewound.fits[1].start).keys() == model().weights().keys()


POINT = {"task": "classify", "data": "faces", "data_size": 8, "epochs": 2, "width": 8, "scales": 2, "rounds": 2}
RESTORED = {"image": "astronaut", "size": 32, "steps": 5, "width": 8, "scales": 2, "rounds": 2}


def pointed(**values: Any) -> Trajectory:
    return parse_trajectory(
        {key: value for key, value in values.items() if value is not None}, InputLibrary(), "demo.yaml"
    )


def test_a_sweep_file_asks_for_it_in_a_few_keys() -> None:
    plain = pointed(**POINT)
    assert (plain.picture.name, plain.task, plain.schedule) == ("faces", Classify(), Sgd(epochs=2))
    to = pointed(**POINT, source_task="denoise", source_image="astronaut", steps=5, size=32)
    assert (to.source_image, to.source_task) == ("astronaut", "denoise")
    assert to.source_trajectory == pointed(**RESTORED)
    back = pointed(**RESTORED, source_task="classify", source_data="faces", data_size=8, epochs=2)
    assert (back.source_image, back.source_task, back.source_trajectory) == ("faces", "classify", plain)
    assert (
        pointed(**{**POINT, "sparsities": [0.5], "rounds": None}).fits[1].recipe.source_fit.next_target.sparsity == 0.5
    )


def test_compat_names_what_applies_to_it_and_nothing_else() -> None:
    official = pointed(**POINT, compat="released", seed=3)
    assert official.compat == Classify.released_flags
    assert official.task == Classify(head="sigmoid", rewinds=False)
    assert official.theta_seed == 0
    assert [each.recipe.unmasked_first for each in official.fits[1:]] == [True, True]
    assert pointed(**POINT, compat=["head"]).task == Classify(head="sigmoid")
    assert pointed(**POINT, compat=["z", "noise", "backtrack"]) == pointed(**POINT)
    both = pointed(**POINT, source_task="denoise", source_image="astronaut", steps=5, size=32, compat="released")
    assert both.fits[0].z_seed is both.fits[0].noise_seed is None
    assert both.source_trajectory.task.kind == "reconstruct"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": None}, "the key 'data' is missing; add it"),
        ({"image": "astronaut"}, "image: classify is fitted to data; remove it"),
        ({"data": "digit"}, "there is no data set 'digit'; did you mean 'digits'?"),
        ({"steps": 5}, "steps: it goes with task: denoise or"),
        ({"jitter": 0.1}, "jitter: it goes with task: denoise or"),
        ({"of": 5}, "there is no key 'of'"),
        ({"sigma": 5}, "sigma: it goes with task: denoise or reconstruct; remove it, or use that"),
        ({"pruner": "oes"}, "pruner: oes cannot prune for classify; use imp, random"),
        ({"prior": "decoder", "scales": 2}, "prior: decoder cannot classify; use prior: hourglass"),
        ({"data_size": 4}, "data_size: a net of 2 scales needs at least 5 pixels, not 4"),
        ({"schedule": "sgld"}, "schedule: there is no schedule 'sgld' for classify with hourglass; use paper or lip"),
        ({"source_task": "denoise"}, "the key 'source_image' is missing; name the image of denoise"),
        ({"source_task": "denoise", "source_data": "faces"}, "source_data: denoise is fitted to source_image; remove"),
        ({"source_image": "astronaut"}, "source_image: classify is fitted to source_data; remove it"),
        ({"mask": "text"}, "mask: classify does not inpaint"),
        ({"compat": ["rewind_none"], "rewind": 50}, "rewind: classify continues from trained weights; use 0"),
        ({"rewind": 1}, "rewind: 1 % of 2 steps is not a step"),
        (
            {"source_task": "denoise", "source_image": "astronaut", "parameters": [3000], "rounds": None},
            "parameters: masks of denoise belong to another network; use sparsities",
        ),
        ({"parameters": [10**6], "rounds": None}, "parameters: no ticket of hourglass has 1,000,000"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^demo.yaml: .*{said}"):
        pointed(**{**POINT, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "faces"}, "data: denoise is fitted to image; remove it"),
        ({"epochs": 5}, "epochs: it goes with task: classify; remove it, or use that"),
        ({"source_task": "classify"}, "the key 'source_data' is missing; name the data of classify"),
        ({"source_data": "faces"}, "source_data: denoise is fitted to source_image; remove it"),
        ({"source_task": "classify", "source_data": "faces", "prior": "decoder"}, "prior: decoder cannot classify"),
    ],
)
def test_what_makes_no_sense_beside_an_image_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^demo.yaml: .*{said}"):
        pointed(**{**RESTORED, **change})


def test_one_line_on_the_command_line_does_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lip.cli import app

    options = {"task": "classify", "data_size": 8, "epochs": 2, "width": 8, "scales": 2}
    arguments = ["fit", "faces", "--out", str(tmp_path), "--backend", "dense", "--rounds", "1", "--threads", "1"]
    app([*arguments, *(f"--set={key}={value}" for key, value in options.items())], standalone_mode=False)
    said = capsys.readouterr().out
    assert said.count("accuracy: last ") == 2
    assert not list(tmp_path.glob("*.png"))
    assert Ledger(tmp_path).fits(["task"]).to_pylist() == [{"task": "classify"}] * 2


def test_the_id_of_a_classification_is_the_same_in_every_release() -> None:
    """Never edit these literals, as in test_spec."""
    one = Fit(picture=CIFAR, task=Classify(), schedule=Sgd(), prior=Hourglass())
    assert one.canonical() == {"picture": CIFAR.content_hash, "task": {"kind": "classify"}, "schedule": {}}
    assert one.id == "ad7977cdd246f45c"
    assert one.replace(recipe=Imp(trained=one), schedule=Sgd(epochs=20)).id == "8212e803f6100ef4"
