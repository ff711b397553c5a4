"""The fitting loop against a naive one, and the promises that hold at every step of it."""

from math import log10
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lip.masks import Mask
from lip.specs.fit import Fit
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.tasks.denoise import Denoise
from lip.tasks.inpaint import Inpaint
from lip.tasks.reconstruct import Reconstruct
from lip.tasks.superres import SuperResolution
from lip.terminal import format_row
from lip.training import metrics
from lip.training.adam import Adam
from lip.training.backtracking import Backtracking, ReleasedBacktracking
from lip.training.model import stream
from lip.training.restore import Restoration, train

ops = torch.ops.aten


def half(model: Restoration, seed: int = 0) -> Mask:
    """A mask that keeps half of the weights, at random."""
    scores = np.random.default_rng(seed).random(int(model.is_prunable.sum()))
    return Mask.keep_largest(model.layers, scores, len(scores) // 2)


def dense(model: Restoration) -> Mask:
    return Mask.dense(model.layers)


class Naive(NamedTuple):
    loss: list[float]
    psnr: list[float]
    psnr_ema: list[float]
    ssim: list[float]
    ssim_ema: list[float]
    undone: int


def naive(fit: Fit, pixels: np.ndarray, bits: np.ndarray) -> Naive:
    """The algorithm word for word: one tensor per parameter, plain Adam, copies of everything, lists of outputs."""
    clean = torch.tensor(pixels / 255.0, dtype=torch.float32).permute(2, 0, 1)[None]
    noise = torch.empty(clean.shape).normal_(0, fit.task.sigma / 255, generator=stream(fit.seed, "observation"))
    noisy = (clean + noise).clip(0, 1)
    torch.set_rng_state(stream(fit.seed, "theta_0").get_state())
    network = fit.prior.build(pixels.shape[2])
    torch.set_rng_state(stream(fit.seed, "z").get_state())
    code = fit.prior.code(*pixels.shape[:2])
    jitter = stream(fit.seed, "jitter")

    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    parts = np.split(bits, np.cumsum([conv.weight.numel() for conv in convolutions])[:-1])
    masks = [torch.tensor(part).view_as(conv.weight).float() for part, conv in zip(parts, convolutions, strict=True)]

    def prune() -> None:
        for mask, conv in zip(masks, convolutions, strict=True):
            conv.weight.data *= mask

    prune()
    adam = torch.optim.Adam(network.parameters(), lr=fit.schedule.lr, foreach=False, fused=False)
    losses: list[float] = []
    outputs: list[Tensor] = []
    averages: list[Tensor] = []
    accepted, accepted_weights, undone = float("inf"), [p.detach().clone() for p in network.parameters()], 0
    spared = fit.schedule.grace
    for _ in range(fit.schedule.steps):
        output = network(code + torch.empty(code.shape).normal_(0, fit.schedule.jitter, generator=jitter))
        loss = ((output - noisy) ** 2).mean()
        losses.append(loss.item())
        outputs.append(output.detach())
        average = (
            outputs[-1] if not averages else fit.schedule.ema * averages[-1] + (1 - fit.schedule.ema) * outputs[-1]
        )
        averages.append(average)
        risen = fit.schedule.backtrack and 10 * (log10(losses[-1]) - log10(accepted)) > fit.schedule.backtrack
        if risen and not spared:
            undone += 1
            spared = fit.schedule.grace
            for p, old in zip(network.parameters(), accepted_weights, strict=True):
                p.data = old.clone()
        else:
            spared = max(0, spared - 1)
            accepted, accepted_weights = losses[-1], [p.detach().clone() for p in network.parameters()]
            adam.zero_grad()
            loss.backward()
            adam.step()
            prune()

    def psnr(image: Tensor) -> float:
        return -10 * log10((image - clean).double().square().mean())

    def ssim(image: Tensor) -> float:
        return structural_similarity(image[0].numpy(), clean[0].numpy(), data_range=1, channel_axis=0)

    scores = [[score(image) for image in images] for score in (psnr, ssim) for images in (outputs, averages)]
    return Naive(losses, *scores, undone)


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param({"steps": 15, "backtrack": None}, id="plain"),
        pytest.param({"steps": 15, "ema": 0.5, "jitter": 0.1, "backtrack": 5.0}, id="smoother"),
        pytest.param({"steps": 15, "lr": 0.3, "backtrack": 0.1, "grace": 0}, id="undone"),
        pytest.param({"steps": 15, "lr": 0.3, "backtrack": 0.1, "grace": 3}, id="with grace"),
    ],
)
@pytest.mark.parametrize("mask", [dense, half])
def test_a_fit_is_what_the_naive_loop_computes(tiny, photo: np.ndarray, schedule: dict[str, Any], mask: Any) -> None:
    fit = tiny.fit(**schedule, seed=4)
    model = tiny.model(fit)
    trained = train(model, mask(model))
    expected = naive(fit, photo, mask(model).bits)

    assert trained.curve.step == list(range(1, 16))
    assert trained.curve.loss == pytest.approx(expected.loss, rel=2e-5)
    for name in ("psnr", "psnr_ema", "ssim", "ssim_ema"):
        assert getattr(trained.curve, name) == pytest.approx(getattr(expected, name), abs=2e-4), name
    assert trained.backtracks == expected.undone
    assert (trained.backtracks > 0) == (schedule["backtrack"] == 0.1)
    for name, psnr, ssim in (("", expected.psnr, expected.ssim), ("_ema", expected.psnr_ema, expected.ssim_ema)):
        peak, last, stop = (trained.scores[which + name] for which in ("peak", "last", "stop"))
        assert (peak.step, last.step) == (1 + int(np.argmax(psnr)), 15)
        for score in (peak, last, stop):
            assert score.psnr == pytest.approx(psnr[score.step - 1], abs=2e-4)
            assert score.ssim == pytest.approx(ssim[score.step - 1], abs=2e-4)


def test_the_lowest_loss_is_a_new_one_only_if_it_is_lower_by_half_a_percent(tiny) -> None:
    model = tiny.model(steps=40, lr=1e-4, jitter=0.0)
    trained = train(model, dense(model))
    assert trained.curve.step == list(range(1, 41))
    best = 0
    for step, loss in enumerate(trained.curve.loss):
        if trained.curve.loss[best] > 1.005 * loss:
            best = step
    assert best != int(np.argmin(trained.curve.loss)), "or the half percent is not tested"
    assert trained.lowest_loss.step == best + 1
    assert trained.lowest_loss.psnr == pytest.approx(trained.curve.psnr[best], rel=1e-6)
    assert trained.lowest_loss.ssim == pytest.approx(trained.curve.ssim[best], rel=1e-6)
    assert trained.columns()["step_lowest_loss"] == best + 1


def test_jitter_decays_by_its_factor_every_so_many_steps(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lip.training.restore.JITTER_DECAY_EVERY", 2)
    noises: dict[float, list[Tensor]] = {1.0: [], 0.5: []}
    for decay, seen in noises.items():
        model = tiny.model(steps=5, jitter_decay=decay)
        model.net.register_forward_pre_hook(lambda _, codes, seen=seen, z=model.code: seen.append(codes[0].clone() - z))
        train(model, dense(model))
    for whole, decayed, share in zip(noises[1.0], noises[0.5], (1, 1, 0.5, 0.5, 0.25), strict=True):
        torch.testing.assert_close(decayed, share * whole, rtol=0, atol=1e-7)


def test_two_runs_are_equal_bit_for_bit(tiny) -> None:
    one, two = (train(model, half(model)) for model in (tiny.model(steps=20), tiny.model(steps=20)))
    assert one.curve == two.curve
    assert one.scores == two.scores
    assert all(np.array_equal(image, two.outputs[name]) for name, image in one.outputs.items())
    assert all(torch.equal(value, two.weights[name]) for name, value in one.weights.items())


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: reading a value, or handing over one that is made on the host."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function in (ops._local_scalar_dense.default, ops.nonzero.default, ops.lift_fresh.default)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("task", [Denoise(), Inpaint(), SuperResolution(factor=2), Reconstruct(target="noisy")])
@pytest.mark.parametrize(
    "schedule", [{}, {"backtrack": None, "langevin": 0.02, "burn_in": 0.0}, {"backtrack_rule": "released"}]
)
def test_no_step_waits_for_the_device(tiny, task: Degradation, schedule: dict[str, Any]) -> None:
    model = tiny.model(task=task, steps=30, **schedule)
    with Waits() as waits:
        model.train(half(model))
    assert waits.count < 30, "a few before the first step and after the last"


def test_pruned_weights_are_zero_at_every_step(tiny) -> None:
    model = tiny.model(steps=20)
    mask = half(model)
    pruned = model.expand_mask(mask) == 0
    seen: list[Tensor] = []
    trained = train(model, mask, watch=lambda step, psnr: seen.append(model.theta.detach().clone()))
    assert len(seen) == 20
    assert all((theta[pruned] == 0).all() for theta in seen)
    assert all(theta.count_nonzero() >= mask.n_kept for theta in seen)
    assert np.array_equal(trained.final_weights != 0, mask.bits)


def test_pruned_weights_are_zero_already_in_the_first_output(tiny) -> None:
    """Else the first step would see the dense network."""
    model = tiny.model(steps=1)
    mask = half(model)
    first = train(model, mask).outputs["last"]
    again = tiny.model(steps=1)
    again.theta.data.mul_(again.expand_mask(mask))
    assert np.array_equal(again.net(again.jittered(again.stream("jitter"))).detach()[0], first)


def test_a_rewound_fit_ends_with_the_weights_that_the_dense_run_has_at_that_step(tiny) -> None:
    fit = tiny.fit(steps=40)
    model = tiny.model(fit)
    at: dict[int, dict[str, Tensor]] = {}
    train(model, dense(model), watch=lambda step, psnr: at.update({step: model.weights()}))
    rewound = tiny.model(fit.rewound(25))
    weights = train(rewound, dense(rewound)).weights
    assert weights.keys() == at[10].keys() > {"down.0.stride.1.running_var", "out.bias"}
    assert all(torch.equal(value, at[10][name]) for name, value in weights.items())
    assert not torch.equal(weights["out.weight"], at[11]["out.weight"])


def test_a_fit_can_start_from_given_weights_less_those_its_mask_prunes(tiny) -> None:
    source, model = tiny.model(seed=1), tiny.model(steps=1, lr=1e-9)
    mask = half(model)
    trained = train(model, mask, start=source.weights())
    assert trained.final_weights == pytest.approx(
        source.theta.detach()[source.is_prunable].numpy() * mask.bits, abs=1e-7
    )


def test_a_mask_of_another_network_is_refused(tiny) -> None:
    with pytest.raises(ValueError, match="another network"):
        train(tiny.model(), dense(tiny.model(width=12)))


def test_the_training_never_sees_the_clean_image(tiny) -> None:
    one, two = tiny.model(steps=10), tiny.model(steps=10)
    two.clean = torch.rand_like(two.clean)
    first, second = (train(model, dense(model)) for model in (one, two))
    assert first.curve.loss == second.curve.loss
    assert np.array_equal(first.outputs["last_ema"], second.outputs["last_ema"])
    assert first.curve.psnr != second.curve.psnr


@pytest.mark.parametrize(
    ("steps", "sampled"),
    [
        (1, [1]),
        (50, [*range(1, 51)]),
        (51, [*range(2, 51, 2), 51]),
        (149, [*range(3, 148, 3), 149]),
        (150, [*range(3, 151, 3)]),
    ],
)
def test_a_curve_has_at_most_fifty_points_evenly_and_the_last_step(tiny, steps: int, sampled: list[int]) -> None:
    model = tiny.model(steps=steps, width=2, scales=1, depth=1)
    watched: list[tuple[int, float]] = []
    trained = train(model, dense(model), watch=lambda *seen: watched.append(seen))
    assert trained.curve.step == sampled
    assert len(sampled) <= 50
    assert [step for step, _ in watched] == sampled
    assert [psnr for _, psnr in watched] == pytest.approx(trained.curve.psnr_ema)
    assert {len(values) for values in vars(trained.curve).values()} == {len(sampled)}


@pytest.mark.parametrize("steps", [7, 150])
def test_the_loss_of_a_fit_is_the_mean_of_its_last_hundred_steps(tiny, steps: int) -> None:
    model = tiny.model(steps=steps, width=2, scales=1, depth=1)
    losses: list[float] = []
    measure = model.loss
    model.loss = lambda output: losses.append((loss := measure(output)).detach()) or loss
    trained = train(model, dense(model))
    assert len(losses) == steps
    assert trained.loss == pytest.approx(float(torch.stack(losses[-100:]).double().mean()), rel=1e-12)


def test_a_net_that_passes_nothing_on_has_collapsed(tiny) -> None:
    model = tiny.model(steps=30)
    nothing = Mask(model.layers, np.zeros(int(model.is_prunable.sum()), bool))
    trained = train(model, nothing)
    assert trained.collapsed
    assert all(image.std(axis=(1, 2)).max() < 1e-6 for image in trained.outputs.values())


@pytest.mark.parametrize(("steps", "above_flat", "collapsed"), [(6, 0.7, True), (8, 1.2, False), (60, 10.8, False)])
def test_a_net_has_collapsed_until_it_beats_a_flat_colour_by_one_decibel(
    tiny, steps: int, above_flat: float, collapsed: bool
) -> None:
    model = tiny.model(steps=steps)
    trained = train(model, dense(model))
    flat = metrics.psnr(float(model.clean.var(dim=(2, 3), correction=0).mean()))  # the best image of one colour
    assert trained.scores["peak"].psnr - flat == pytest.approx(above_flat, abs=0.1)
    assert trained.collapsed == collapsed


@pytest.mark.parametrize(("patience", "found"), [(3, True), (59, False)])
def test_an_early_stop_is_the_last_step_of_a_shorter_fit_also_where_its_patience_lasts(
    tiny, patience: int, found: bool
) -> None:
    model = tiny.model(steps=60, lr=0.03, stop_window=5, stop_patience=patience)
    trained = train(model, dense(model))
    assert trained.stop_found == trained.emv_found == found
    step = trained.scores["stop"].step
    assert step == trained.scores["stop_ema"].step < 50
    short = train(tiny.model(steps=step, lr=0.03), dense(model))
    for name in ("", "_ema"):
        assert np.array_equal(trained.outputs["stop" + name], short.outputs["last" + name])
        assert trained.scores["stop" + name] == short.scores["last" + name]


@pytest.mark.parametrize("backend", ["dense", "numba"])
@pytest.mark.parametrize(
    "schedule", [{"backtrack": None}, {"lr": 0.3, "backtrack": 0.1, "grace": 0}, {"langevin": 0.01}]
)
def test_a_fit_until_its_stop_is_the_beginning_of_the_whole_one(tiny, backend: str, schedule: dict[str, Any]) -> None:
    changes = {"steps": 120, "stop_window": 5, "stop_patience": 20, **schedule}
    models = [tiny.model(**changes, until=until) for until in ("stop", None)]
    ended, whole = (train(model, half(model), backend=backend) for model in models)
    assert ended.steps < whole.steps == 120
    assert ended.stop_found
    for name in ("stop", "stop_ema"):
        assert ended.scores[name] == whole.scores[name]
        assert np.array_equal(ended.outputs[name], whole.outputs[name])
    reached = len(ended.curve.step)
    assert vars(ended.curve) == {name: values[:reached] for name, values in vars(whole.curve).items()}
    assert set(ended.outputs) <= {"stop", "stop_ema", *(f"step_{step}_ema" for step in ended.curve.step)}


def test_a_stop_that_never_comes_takes_all_steps(tiny) -> None:
    changes = {"steps": 30, "stop_window": 5, "stop_patience": 29}
    models = [tiny.model(**changes, until=until) for until in ("stop", None)]
    ended, whole = (train(model, dense(model)) for model in models)
    assert (ended.steps, ended.stop_found) == (30, False)
    assert ended.scores["stop_ema"] == whole.scores["stop_ema"]


def test_the_row_of_a_fit_until_its_stop_reports_that_alone(tiny, ledger) -> None:
    changes = {"steps": 120, "stop_window": 5, "stop_patience": 20}
    ended, whole = tiny.fit(**changes, until="stop"), tiny.fit(**changes)
    assert ended.id != whole.id
    for fit in (ended, whole):
        tiny.run_fit(fit, ledger)
    rows = {row["until"]: row for row in ledger.fits().to_pylist()}
    short, full = rows["stop"], rows[None]
    assert short["steps_done"] < short["steps"] == full["steps"] == 120
    assert full["steps_done"] is None
    stops = [f"{what}_stop{ema}" for what in ("psnr", "ssim", "step") for ema in ("", "_ema")]
    assert [short[name] for name in stops] == [full[name] for name in stops]
    of_whole = [name for name in short if name.startswith(("psnr_", "ssim_", "step_", "emv_")) and name not in stops]
    assert {short[name] for name in of_whole} == {None}
    assert short["steps_per_second"] == pytest.approx(short["steps_done"] / short["seconds"])
    assert "oracle" not in format_row(short)
    with pytest.raises(LookupError):
        ledger.next_mask(ended)


def test_what_others_build_on_is_never_ended_early(tiny) -> None:
    fit = tiny.fit(steps=120, until="stop")
    assert not fit.has_next_mask
    assert fit.rewound(50) == tiny.fit(steps=120).rewound(50)


def test_without_a_full_window_the_early_stops_report_the_last_step(tiny) -> None:
    model = tiny.model(steps=9, stop_window=10)
    trained = train(model, dense(model))
    assert not trained.stop_found
    assert not trained.emv_found
    assert trained.scores["stop"] == trained.scores["last"]
    assert trained.scores["stop_ema"] == trained.scores["last_ema"]
    assert trained.emv.step == 9


def test_what_is_left_behind_counts_all_parameters(tiny) -> None:
    model = tiny.model(steps=1)
    trained = train(model, half(model))
    assert trained.parameters == sum(p.numel() for p in model.net.parameters()) == 6339
    assert trained.final_weights.shape == (half(model).bits.size,)
    scored = {f"{which}{ema}" for which in ("peak", "last", "stop") for ema in ("", "_ema")}
    assert trained.outputs.keys() == {*scored, "step_1_ema"}
    assert all(image.shape == (3, 32, 32) for image in trained.outputs.values())


def test_averaged_outputs_on_the_way_are_those_of_shorter_fits(tiny) -> None:
    model = tiny.model(steps=50)
    outputs = train(model, dense(model)).outputs
    on_the_way = [int(name.split("_")[1]) for name in outputs if name.startswith("step_")]
    assert on_the_way == [1, 3, 5, 10, 25]
    for step in on_the_way:
        short = train(tiny.model(steps=step), dense(model))
        assert np.array_equal(outputs[f"step_{step}_ema"], short.outputs["last_ema"])


# Backtracking


def test_a_jump_of_the_loss_puts_theta_back_bit_for_bit() -> None:
    theta = torch.rand(9)
    backtracking = Backtracking(theta, limit=5.0)
    accepted = theta.clone()
    assert backtracking.check(torch.tensor(1.0)) == 0
    theta += 1
    assert backtracking.check(torch.tensor(10**0.5 * 1.001)) == 1  # 5 dB and a little
    assert torch.equal(theta, accepted)
    assert backtracking.count == 1


def test_a_rise_within_the_limit_is_accepted_and_becomes_what_later_ones_are_measured_by() -> None:
    theta = torch.rand(9)
    backtracking = Backtracking(theta, limit=5.0)
    for loss in (1.0, 3.1, 9.6):  # 4.9 dB each
        theta += 1
        moved = theta.clone()
        assert backtracking.check(torch.tensor(loss)) == 0
        assert torch.equal(theta, moved)
    assert backtracking.count == 0


def test_an_undone_loss_is_not_what_later_ones_are_measured_by() -> None:
    backtracking = Backtracking(torch.rand(9), limit=5.0)
    losses = (1.0, 100.0, 4.0, 100.0, 2.0)
    assert [int(backtracking.check(torch.tensor(loss))) for loss in losses] == [0, 1, 1, 1, 0]
    assert backtracking.count == 3


def test_a_loss_that_is_not_a_number_is_undone() -> None:
    theta = torch.rand(9)
    backtracking = Backtracking(theta, limit=5.0)
    accepted = theta.clone()
    theta[3] = torch.nan
    assert backtracking.check(torch.tensor(torch.nan)) == 1
    assert torch.equal(theta, accepted)


def test_a_rise_is_spared_at_the_start_and_after_a_step_undone() -> None:
    backtracking = Backtracking(torch.rand(9), limit=5.0, grace=2)
    losses = (1.0, 100.0, 1.0, 100.0, 100.0, 1.0, 100.0)
    assert [bool(backtracking.check(torch.tensor(loss))) for loss in losses] == [0, 0, 0, 1, 0, 0, 1]


def test_however_the_loss_behaves_few_steps_are_undone() -> None:
    """No fit can stall: the share of steps undone is bounded by the grace period, here by its default."""
    backtracking = Backtracking(torch.rand(9), limit=5.0, grace=Schedule().grace)
    for n in range(2000):
        backtracking.check(torch.tensor(100.0 ** (n % 7)))
    assert 0 < int(backtracking.count) <= 2000 / (Schedule().grace + 1)


def test_a_fit_that_starts_from_trained_weights_goes_on_training(tiny) -> None:
    """Undoing its first steps, which are as large as a fresh Adam's always are, would hold it where it starts."""
    schedule = {"steps": 150, "width": 32}
    source = train(model := tiny.model(**schedule), dense(model))
    rewound = tiny.model(**schedule)
    trained = train(rewound, dense(rewound), start=source.weights)
    held = tiny.model(**schedule, grace=0)
    stalled = train(held, dense(held), start=source.weights)
    assert trained.backtracks == 0
    assert not trained.columns()["stalled"]
    assert trained.loss < source.loss
    assert stalled.backtracks > 0.3 * 150
    assert stalled.columns()["stalled"]
    assert stalled.loss > source.loss


def test_the_released_check_is_that_of_the_released_code() -> None:
    """A literal rendering of it: PSNRs, a counter that stands still, no check at hundredths, the update applied."""
    losses = 10.0 ** np.random.default_rng(0).uniform(-3, 0, 400)
    theta = torch.zeros(1)
    backtracking = ReleasedBacktracking(theta, limit=5.0)
    ours, weights, last, psnr_last, i, theirs, undone = [], 0.0, 0.0, 0.0, 0, [], 0
    for loss in losses:
        backtracking.check(torch.tensor(loss))
        theta += 1
        ours.append(theta.item())
        psnr = -10 * np.log10(loss)
        if i % 100 and psnr - psnr_last < -5:
            weights = last
            undone += 1
        else:
            if i % 100:
                last, psnr_last = weights, psnr
            i += 1
        weights += 1
        theirs.append(weights)
    assert ours == theirs
    assert backtracking.count == undone > 50


def test_adam_does_not_count_an_undone_step() -> None:
    theta = torch.rand(9).requires_grad_()
    adam = Adam(theta, 0.1, 0.0)
    backtracking = Backtracking(theta, limit=5.0)

    def step(loss: float) -> dict[str, Tensor]:
        theta.grad = torch.rand(9)
        adam.step(backtracking.check(torch.tensor(loss)))
        return {name: value.detach().clone() for name, value in vars(adam).items() if isinstance(value, Tensor)}

    step(1.0)
    before_jump, accepted = step(1.0), backtracking.accepted_theta.clone()
    jump = step(100.0)
    assert torch.equal(jump.pop("theta"), accepted)
    assert len(jump) == 3, "both moments and the number of steps"
    for name, value in jump.items():
        assert torch.equal(value, before_jump[name]), name
    after = step(1.0)
    assert sum(not torch.equal(value, before_jump[name]) for name, value in after.items()) == 4
    assert not torch.equal(after["theta"], accepted)


def test_without_a_limit_nothing_is_undone(tiny) -> None:
    """With a limit, the same schedule undoes some steps."""
    rough = {"steps": 15, "lr": 0.3, "grace": 0}
    models = tiny.model(**rough, backtrack=None), tiny.model(**rough, backtrack=0.1)
    free, limited = (train(model, dense(model)) for model in models)
    assert free.backtracks == 0 < limited.backtracks


def test_a_step_to_what_is_not_a_number_is_undone(tiny) -> None:
    model = tiny.model(steps=10)
    measure, steps = model.loss, iter(range(1, 11))
    model.loss = lambda output: measure(output) * (torch.nan if next(steps) == 5 else 1)
    trained = train(model, dense(model))
    assert trained.backtracks == 1
    assert all(value.isfinite().all() for value in trained.weights.values())
    assert np.isfinite(trained.curve.loss[5:]).all()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_fit_that_diverged_has_collapsed(tiny) -> None:
    model = tiny.model(steps=3, lr=1e38, backtrack=None)
    trained = train(model, dense(model))
    assert np.isnan(trained.scores["last"].psnr)
    assert trained.collapsed


def test_langevin_noise_moves_the_kept_prunable_weights_and_nothing_else(tiny) -> None:
    model = tiny.model(steps=4, lr=1e-9, langevin=0.1, backtrack=None)
    mask = Mask.keep_largest(model.layers, np.arange(int(model.is_prunable.sum())), 1000)
    start = model.theta.detach() * model.expand_mask(mask)
    train(model, mask)
    moved = model.theta.detach() - start
    kept = torch.tensor(mask.bits)
    assert moved[model.is_prunable][kept].std() == pytest.approx(0.1 * 4**0.5, rel=0.1)
    assert moved[model.is_prunable][~kept].count_nonzero() == 0
    assert moved[~model.is_prunable].abs().max() < 1e-7


def test_the_posterior_mean_averages_every_fiftieth_output_after_burn_in(tiny) -> None:
    model = tiny.model(steps=210, burn_in=0.4)
    outputs: list[Tensor] = []
    model.net.register_forward_hook(lambda net, inputs, output: outputs.append(output.detach()))
    trained = train(model, dense(model))
    mean = torch.stack([outputs[step] for step in (100, 150, 200)]).mean(0)  # burnt in after 84 steps
    assert trained.mean is not None
    assert trained.mean.psnr == pytest.approx(-10 * log10((mean - model.clean).square().mean()), abs=1e-4)
    assert train(tiny.model(steps=60), dense(tiny.model())).mean is None


def test_sgld_is_trained_as_published() -> None:
    sgld = Denoise().schedules()["paper"].sgld()
    assert (sgld.steps, sgld.lr, sgld.jitter, sgld.decay) == (20_000, 0.01, 1 / 30, 5e-8)
    assert (sgld.langevin, sgld.steps * sgld.burn_in, sgld.backtrack, sgld.backtrack_rule) == (
        0.02,
        7000,
        5.0,
        "released",
    )
