"""The compiled modules against PyTorch's own, and fits on either backend against each other."""

import copy
import os
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lip.fast
import lip.training.restore
from lip.errors import InputError
from lip.fast import backend
from lip.fast.accelerate import accelerate, is_faster
from lip.fast.backend import choose
from lip.fast.dense_conv import DenseConv
from lip.fast.norm import LeakyNorm
from lip.fast.sparse_conv import SparseConv, is_supported
from lip.fast.tape import Tape
from lip.fast.upsample import Upsample2x, is_bilinear_x2
from lip.fast.upsampled_conv import UpsampledUp
from lip.masks import Mask
from lip.networks.encoder_decoder import ReflectConv, Up, upsample2x
from lip.priors import Hourglass
from lip.training.restore import Restoration, train

exactly = {"rtol": 1e-10, "atol": 1e-10}
"""float64, sums in another order."""


def sides(module: nn.Module, x: Tensor, *parameters: Tensor, grad: Tensor) -> list[Tensor]:
    """The output and the gradients of x and of the parameters."""
    y = module(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *parameters], grad[..., : y.shape[-2], : y.shape[-1]])]


def compare(conv: nn.Conv2d | nn.ConvTranspose2d, kept: Tensor, x: Tensor) -> None:
    """A SparseConv computes what the convolution computes with zeros for weights."""
    conv.weight.data *= kept
    sparse = SparseConv(conv, kept)
    grad = torch.randn_like(conv(x))
    bias = [] if conv.bias is None else [conv.bias]
    y, x_grad, weight_grad, *rest = sides(conv, x, conv.weight, *bias, grad=grad)
    ours = sides(sparse, x, sparse.values, *bias, grad=grad)
    for expected, got in zip([y, x_grad, weight_grad[kept], *rest], ours, strict=True):
        torch.testing.assert_close(got, expected, **exactly)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (3, 3), (4, 2)])
def test_a_sparse_convolution_is_the_dense_one_with_zeros(kernel: int, stride: int, density: float) -> None:
    for height, width in ((3, 3), (4, 4), (5, 8), (9, 7), (40, 6)):
        conv = ReflectConv(6, 5, kernel, stride).double()
        compare(conv, torch.rand(conv.weight.shape) < density, drawn(2, 6, height, width))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(8, 4), (8, 8), (40, 40), (56, 60), (2, 1600)])
def test_a_1x1_convolution_may_have_rows_joined_or_used_in_place(height: int, width: int, bias: bool) -> None:
    conv = nn.Conv2d(3, 4, 1, bias=bias).double()
    compare(conv, torch.rand(conv.weight.shape) < 0.6, drawn(2, 3, height, width))


def test_every_layer_of_the_hourglass_is_what_the_dense_one_is() -> None:
    net, code = Hourglass(width=12, scales=3).build(3).double(), drawn(1, 32, 24, 40)
    inputs: dict[nn.Conv2d, Tensor] = {}
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    for conv in convs:
        conv.register_forward_hook(lambda module, given, _: inputs.update({module: given[0]}))
    net(code)
    assert len(inputs) == len(convs) == 16
    for conv, x in list(inputs.items()):
        assert is_supported(conv)
        compare(conv, torch.rand(conv.weight.shape) < 0.2, x.detach().requires_grad_())


@pytest.mark.parametrize("emptied", ["outputs", "inputs", "taps", "all but one"])
def test_a_mask_may_empty_outputs_inputs_or_taps(emptied: str) -> None:
    conv = ReflectConv(5, 7, 3).double()
    kept = torch.rand(conv.weight.shape) < 0.6
    kept[{"outputs": (0, 3), "inputs": (slice(None), 4), "taps": (..., 1, 1), "all but one": (...,)}[emptied]] = False
    kept[1, 2, 0, 2] = True
    compare(conv, kept, drawn(1, 5, 6, 6))


def test_a_convolution_may_do_without_bias_and_without_padding() -> None:
    for conv in (nn.Conv2d(4, 3, 1, bias=False), nn.Conv2d(4, 3, 3)):
        compare(conv.double(), torch.rand(conv.weight.shape) < 0.5, drawn(1, 4, 5, 7))


@pytest.mark.parametrize("density", [0.05, 0.5])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        nn.Conv2d(4, 6, 5, stride=2, padding=2),
        nn.ConvTranspose2d(4, 6, 7, padding=3),
        nn.ConvTranspose2d(4, 6, 3),
        nn.ConvTranspose2d(4, 6, 1, bias=False),
    ],
    ids=repr,
)
def test_a_convolution_may_be_padded_with_zeros_or_transposed(conv: Any, density: float) -> None:
    for height, width in ((4, 4), (5, 8), (9, 7)):
        compare(conv.double(), torch.rand(conv.weight.shape) < density, drawn(2, 4, height, width))


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_of_all_its_weights_is_pytorchs(kernel: int, stride: int, bias: bool) -> None:
    for height, width in ((3, 3), (5, 8), (40, 6)):
        conv, x = ReflectConv(6, 5, kernel, stride, bias=bias).double(), drawn(2, 6, height, width)
        grad = torch.randn_like(conv(x))
        parameters = list(conv.parameters())
        expected = sides(conv, x, *parameters, grad=grad)
        torch.testing.assert_close(sides(DenseConv(conv), x, *parameters, grad=grad), expected, **exactly)


def test_accelerated_modules_keep_their_names() -> None:
    net = Hourglass(width=16, scales=2).build(3)
    twin, code = copy.deepcopy(net), torch.randn(1, 32, 8, 8)
    accelerate(net, code, torch.ones(sum(p.numel() for p in net.parameters())))
    assert [type(up) for up in net.up] == [Up, UpsampledUp]
    assert net.state_dict().keys() == twin.state_dict().keys()
    torch.testing.assert_close(net(code), twin(code))


def test_gradients_that_nobody_wants_are_not_computed() -> None:
    conv = DenseConv(ReflectConv(2, 2, 3))
    x = np.ones((1, 2, 4, 4), np.float32)
    y, saved = conv.forward_np(Tape(), x, *(p.detach().numpy() for p in conv.parameters()))
    assert conv.backward_np(Tape(), np.ones_like(y), saved, needs_x_grad=False)[0] is None


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Conv2d(4, 4, (3, 1)),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 4, stride=2),
        nn.ConvTranspose2d(4, 4, 3, dilation=2),
        nn.Linear(4, 4),
    ],
    ids=repr,
)
def test_what_the_kernels_do_not_compute_stays_dense(module: nn.Module) -> None:
    assert not is_supported(module)


def test_a_nan_passes_through_so_that_backtracking_sees_it() -> None:
    conv = ReflectConv(2, 2, 3)
    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 1, 1] = torch.nan
    assert SparseConv(conv, torch.ones_like(conv.weight, dtype=torch.bool))(x)[0].isnan().any()
    assert LeakyNorm(nn.BatchNorm2d(2), 0.2)(x)[0, 0].isnan().all()


def test_in_the_state_dict_a_sparse_convolution_is_a_dense_one() -> None:
    conv = ReflectConv(3, 2, 3)
    kept = torch.rand(conv.weight.shape) < 0.5
    conv.weight.data *= kept
    expected, got = conv.state_dict(), SparseConv(conv, kept).state_dict()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.parametrize("leak", [0.2, 1.0])
@pytest.mark.parametrize("shape", [(1, 3, 2, 2), (1, 4, 7, 9), (3, 2, 5, 4)])
def test_a_leaky_norm_is_batch_norm_and_leaky_relu(shape: tuple[int, ...], leak: float) -> None:
    theirs = nn.BatchNorm2d(shape[1]).double()
    theirs.weight.data.normal_()
    theirs.bias.data.normal_()
    twin = nn.BatchNorm2d(shape[1]).double()
    twin.load_state_dict(theirs.state_dict())
    ours, x, grad = LeakyNorm(twin, leak), drawn(*shape), torch.randn(shape, dtype=torch.float64)
    expected = sides(nn.Sequential(theirs, nn.LeakyReLU(leak)), x, theirs.weight, theirs.bias, grad=grad)
    got = sides(ours, x, ours.weight, ours.bias, grad=grad)
    torch.testing.assert_close(got, expected, **exactly)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), **exactly)


@pytest.mark.parametrize("shape", [(1, 2, 2, 2), (2, 3, 5, 4), (1, 1, 3, 8)])
def test_upsample2x_is_pytorchs(shape: tuple[int, ...]) -> None:
    x, grad = drawn(*shape), torch.randn(*shape[:2], 2 * shape[2], 2 * shape[3], dtype=torch.float64)
    assert is_bilinear_x2(upsample2x())
    torch.testing.assert_close(sides(Upsample2x(), x, grad=grad), sides(upsample2x(), x, grad=grad), **exactly)


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("skip", [4, 0])
def test_an_upsampled_map_is_convolved_before_it_is_upsampled(skip: int, sparse: bool, density: float) -> None:
    for height, width in ((2, 2), (3, 5), (8, 4)):
        up = Up(6, skip).double()
        up.norm.weight.data.normal_()
        up.norm.bias.data.normal_()
        conv: Any = up.up[0]
        kept = torch.rand(conv.weight.shape) < density
        conv.weight.data *= kept
        upsampled = UpsampledUp(copy.deepcopy(up), kept, sparse)
        maps = (
            [drawn(2, 6, height, width), drawn(2, skip, 2 * height, 2 * width)]
            if skip
            else [drawn(2, 6, height, width)]
        )
        given = [maps[0], maps[1] if skip else None]
        y = up(*given)
        grad = torch.randn_like(y)
        expected = torch.autograd.grad(y, [*maps, *up.parameters()], grad)
        weight = len(maps) + [name for name, _ in up.named_parameters()].index("up.0.weight")
        expected = [e[kept] if n == weight else e for n, e in enumerate(expected)]
        mine = upsampled(*given)
        torch.testing.assert_close(mine, y, **exactly)
        got = torch.autograd.grad(mine, [*maps, *upsampled.parameters()], grad)
        assert [name for name, _ in upsampled.named_parameters()][weight - len(maps)] == "up.0.values"
        close = exactly if density else {"rtol": 0, "atol": 1e-8}  # what is constant is normed by next to nothing
        torch.testing.assert_close(list(got), expected, **close)
        assert upsampled.state_dict().keys() == up.state_dict().keys()
        torch.testing.assert_close(dict(upsampled.state_dict()), dict(up.state_dict()), **exactly)


@pytest.mark.parametrize(
    ("height", "width", "upsampled"), [(16, 16, 2), (16, 12, 1), (14, 16, 1), (13, 17, 0), (8, 8, 1)]
)
def test_cropped_and_tiny_maps_are_upsampled_first(height: int, width: int, upsampled: int) -> None:
    net = Hourglass(width=16, scales=2).build(3)
    twin, code = copy.deepcopy(net), torch.randn(1, 32, height, width)
    accelerate(net, code, torch.ones(sum(p.numel() for p in net.parameters())))
    assert sum(isinstance(up, UpsampledUp) for up in net.up) == upsampled
    torch.testing.assert_close(net(code), twin(code))


def test_other_upsamplings_are_left_alone() -> None:
    assert not is_bilinear_x2(nn.Upsample(scale_factor=2))
    assert not is_bilinear_x2(nn.Upsample(scale_factor=3, mode="bilinear", align_corners=False))
    assert not is_bilinear_x2(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))


# A network accelerated by a mask


def sparse(model: Restoration, density: float = 0.05) -> Mask:
    rng = np.random.default_rng(0)
    return Mask(model.layers, rng.random(int(model.is_prunable.sum())) < density)


@pytest.fixture
def every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even tiny layers go sparse."""
    monkeypatch.setattr(lip.fast.accelerate, "is_faster", lambda kept, shape, pixels: kept < prod(shape))


@pytest.mark.usefixtures("every_layer")
def test_an_accelerated_network_has_the_loss_and_the_gradient_of_the_dense_one(tiny) -> None:
    dense, accelerated = tiny.model(), tiny.model()
    for model in (dense, accelerated):
        model.net.double()
        model.code, model.observation = model.code.double(), model.observation.double()
        model.flatten()
    mask = sparse(dense)
    kept = dense.prune(mask)
    assert accelerated.accelerate(accelerated.prune(mask)).all()
    assert accelerated.theta.numel() == kept.count_nonzero() < dense.theta.numel() / 2
    losses = [model.loss(model.net(model.code)) for model in (dense, accelerated)]
    torch.testing.assert_close(losses[0], losses[1], **exactly)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(accelerated.grad, dense.grad[kept.bool()], **exactly)
    assert torch.equal(accelerated.full_parameters(), dense.theta)
    assert dense.weights().keys() == accelerated.weights().keys()


@pytest.mark.usefixtures("every_layer")
@pytest.mark.parametrize("schedule", [{}, {"decay": 0.1, "langevin": 0.05, "backtrack": None}])
def test_pruned_weights_stay_exactly_zero_whatever_moves_the_others(tiny, schedule: dict[str, Any]) -> None:
    model = tiny.model(steps=12, **schedule)
    mask = sparse(model)
    trained = train(model, mask, backend="numba")
    assert trained.backend == "numba"
    assert np.array_equal(trained.final_weights != 0, mask.bits)
    weights = torch.cat([trained.weights[name].flatten() for name in trained.weights if name.endswith("weight")])
    assert weights.count_nonzero() == mask.n_kept + sum(norm.numel() for norm in norms(model))
    assert trained.parameters == 6339


def norms(model: Restoration) -> list[Tensor]:
    return [module.weight for module in model.net.modules() if isinstance(module, LeakyNorm)]


@pytest.mark.usefixtures("every_layer")
def test_langevin_noise_leaves_biases_and_norms_alone_on_either_backend(tiny) -> None:
    """With a learning rate of next to nothing, all that moves is what the noise moves."""
    for name in ("dense", "numba"):
        model = tiny.model(steps=1, lr=1e-12, langevin=0.5)
        before, mask = model.theta.detach().clone(), sparse(model)
        kept = model.expand_mask(mask).bool()
        train(model, mask, backend=name)
        moved = (model.full_parameters() - before * kept).abs() > 1e-6
        assert torch.equal(moved, kept & model.is_prunable), name


@pytest.mark.usefixtures("every_layer")
@pytest.mark.parametrize("prior", [{}, {"skip": 0}, {"scales": 1}])
def test_the_first_steps_are_those_of_the_dense_path(tiny, prior: dict[str, Any]) -> None:
    fits = {}
    for name in ("dense", "numba"):
        model = tiny.model(steps=2, **prior)
        fits[name] = train(model, sparse(model, 0.2), backend=name)
    assert fits["numba"].curve.loss == pytest.approx(fits["dense"].curve.loss, rel=1e-3)
    assert fits["numba"].curve.loss[0] == pytest.approx(fits["dense"].curve.loss[0], rel=1e-5)
    assert {key: value.shape for key, value in fits["numba"].weights.items()} == {
        key: value.shape for key, value in fits["dense"].weights.items()
    }


@pytest.mark.usefixtures("every_layer")
def test_two_runs_on_numba_are_equal_bit_for_bit(tiny) -> None:
    one, two = (train(model, sparse(model), backend="numba") for model in (tiny.model(), tiny.model()))
    assert one.curve == two.curve
    assert all(torch.equal(value, two.weights[name]) for name, value in one.weights.items())


@pytest.mark.usefixtures("every_layer")
def test_an_accelerated_fit_can_start_from_weights_and_several_codes(tiny) -> None:
    model = tiny.model(other_pictures=(tiny.pictures["other"],), codes="per_image", steps=1, lr=1e-9)
    mask, source = sparse(model), tiny.model(seed=1)
    trained = train(model, mask, start=source.weights(), backend="numba")
    assert trained.final_weights == pytest.approx(
        source.theta.detach()[source.is_prunable].numpy() * mask.bits, abs=1e-7
    )


def test_of_a_dense_mask_only_thin_layers_go_sparse(tiny) -> None:
    model = tiny.model(width=32)
    assert model.accelerate(model.prune(Mask.dense(model.layers))).all()
    assert model.is_stored.all()
    sparse = [module.keep_mask.shape for module in model.net.modules() if isinstance(module, SparseConv)]
    assert {tuple(shape) for shape in sparse} == {(4, 32, 1, 1), (3, 32, 1, 1)}


def test_layers_go_sparse_where_that_is_measured_to_be_faster() -> None:
    shape = (128, 128, 3, 3)
    assert is_faster(int(0.5 * prod(shape)), shape, pixels=64 * 64)
    assert not is_faster(int(0.55 * prod(shape)), shape, pixels=64 * 64)
    assert not is_faster(int(0.2 * prod(shape)), shape, pixels=4 * 4)
    assert is_faster(int(0.1 * prod(shape)), shape, pixels=4 * 4)
    assert is_faster(3 * 64, (3, 64, 1, 1), pixels=64 * 64)
    assert is_faster(int(0.6 * 68 * 64), (64, 68, 1, 1), pixels=64 * 64)


def test_more_threads_speak_for_the_dense_path() -> None:
    shape = (128, 128, 3, 3)
    try:
        torch.set_num_threads(4)
        assert not is_faster(int(0.2 * prod(shape)), shape, pixels=64 * 64)
    finally:
        torch.set_num_threads(1)


def test_finding_out_the_sizes_of_the_maps_moves_no_statistics(tiny) -> None:
    model = tiny.model()
    before = model.weights()
    accelerate(model.net, model.code, torch.ones_like(model.theta))
    assert model.net.training
    assert all(torch.equal(value, before[name]) for name, value in model.weights().items())


def test_the_dense_path_computes_bit_for_bit_what_a_plain_loop_does(tiny) -> None:
    model, plain = tiny.model(steps=20, backtrack=None), tiny.model(steps=20, backtrack=None)
    mask = sparse(model)
    trained = train(model, mask, backend="dense")
    kept, theta, jitter = plain.expand_mask(mask), plain.theta, plain.stream("jitter")
    adam = torch.optim.Adam([theta], lr=0.01, fused=True)
    losses = []
    for _ in range(20):
        theta.data.mul_(kept)
        loss = plain.loss(plain.net(plain.jittered(jitter)))
        losses.append(loss.item())
        loss.backward()
        adam.step()
        adam.zero_grad(set_to_none=False)
    assert trained.curve.loss == losses
    assert np.array_equal(trained.final_weights, (theta.data * kept)[plain.is_prunable].numpy())


# A step that can be recorded


class Replayed:
    """Stands for `CudaGraph` without a GPU: takes the steps as they are, and sees that their state stays in place."""

    def __init__(self, step: Any, *generators: torch.Generator) -> None:
        self.step, self.generators, self.calls = step, generators, 0
        self.inside = dict(
            zip(step.__code__.co_freevars, (cell.cell_contents for cell in step.__closure__), strict=True)
        )

    def addresses(self) -> dict[str, int]:
        model, adam = self.inside["model"], self.inside["adam"]
        tensors = {name: value for name, value in self.inside.items() if isinstance(value, Tensor)}
        tensors |= {f"model {name}": value for name, value in vars(model).items() if isinstance(value, Tensor)}
        tensors |= {f"net {name}": value for name, value in model.net.state_dict().items()}
        tensors |= {f"grad {n}": p.grad for n, p in enumerate(model.net.parameters())}
        tensors |= {f"adam {name}": value for name, value in vars(adam).items() if isinstance(value, Tensor)}
        if backtracking := self.inside["backtracking"]:
            tensors |= {f"undo {name}": v for name, v in vars(backtracking).items() if isinstance(v, Tensor)}
        return {name: tensor.data_ptr() for name, tensor in tensors.items()}

    def __call__(self) -> Any:
        result = self.step()
        self.calls += 1
        if self.calls == 1:
            self.first = self.addresses()
        assert self.addresses() == self.first
        return result


@pytest.mark.parametrize(
    "schedule",
    [{}, {"backtrack_rule": "released"}, {"decay": 0.1, "langevin": 0.05, "backtrack": None}, {"jitter": 0.0}],
)
def test_a_step_that_is_recorded_keeps_its_state_in_place(tiny, monkeypatch, schedule: dict[str, Any]) -> None:
    steps: list[Replayed] = []
    monkeypatch.setattr(lip.training.restore, "CudaGraph", lambda *args: steps.append(Replayed(*args)) or steps[-1])
    models = [tiny.model(steps=12, **schedule) for _ in range(2)]
    graphed = train(models[0], sparse(models[0]), backend="cuda_graph")
    dense = train(models[1], sparse(models[1]), backend="dense")
    assert steps[0].calls == 12
    assert len(steps[0].generators) == (2 if "langevin" in schedule else 1)
    assert len(steps[0].first) > 50
    assert graphed.curve == dense.curve
    assert all(torch.equal(value, dense.weights[name]) for name, value in graphed.weights.items())


# Precision


def test_bfloat16_is_another_fit_that_comes_close(tiny) -> None:
    models = {precision: tiny.model(steps=20, precision=precision) for precision in ("float32", "bf16")}
    mask = sparse(models["bf16"])
    fits = {name: model.train(mask, backend="numba") for name, model in models.items()}
    assert [fit.backend for fit in fits.values()] == ["numba", "dense"]
    assert models["bf16"].fit.id != models["float32"].fit.id
    assert fits["bf16"].curve.loss != fits["float32"].curve.loss
    assert fits["bf16"].curve.loss == pytest.approx(fits["float32"].curve.loss, rel=0.05)
    assert np.array_equal(fits["bf16"].final_weights != 0, mask.bits)
    assert all(weights.dtype != torch.bfloat16 for weights in fits["bf16"].weights.values())


def test_bfloat16_is_refused_where_there_is_none(tiny, monkeypatch) -> None:
    monkeypatch.setattr(lip.fast.precision, "has_bf16", lambda device: False)
    model = tiny.model(precision="bf16")
    with pytest.raises(InputError, match="precision: bf16: the cpu here has no bfloat16 arithmetic; use float32"):
        model.train(sparse(model))


# Adam


@pytest.mark.usefixtures("every_layer")
def test_adam_moves_the_survivors_of_an_accelerated_network_as_it_does_in_the_dense_one(tiny) -> None:
    """Its moments are those of the survivors alone, and start at nothing: nothing is left of what was pruned."""
    moved = {}
    for accelerated in (False, True):
        model = tiny.model()
        model.net.double()
        model.code, model.observation = model.code.double(), model.observation.double()
        model.flatten()
        kept = model.prune(sparse(model))
        if accelerated:
            kept = model.accelerate(kept)
        adam = torch.optim.Adam([model.theta], lr=0.01, weight_decay=0.1, fused=True)
        for _ in range(5):
            model.loss(model.net(model.code)).backward()
            adam.step()
            model.grad.zero_()
            model.theta.data.mul_(kept)
        moved[accelerated] = model.full_parameters()[model.is_prunable]  # biases before a norm follow rounding alone
        assert adam.state[model.theta]["exp_avg"].numel() == model.theta.numel() == int(model.is_stored.sum())
    torch.testing.assert_close(moved[True], moved[False], rtol=1e-6, atol=1e-8)


# The choice


def test_auto_takes_numba_where_it_works_and_says_why_if_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto", "cpu").name == choose("numba", "cpu").name == "numba"
    assert choose("dense", "cpu") == backend.Backend("dense", "as asked")
    assert choose("auto", "cuda:1") == backend.Backend("dense", "the kernels are for the CPU, not for cuda:1")
    assert choose("cuda_graph", "cuda").name == "cuda_graph"
    with pytest.raises(InputError, match="backend cuda_graph cannot be used here: only CUDA has graphs, not cpu"):
        choose("cuda_graph", "cpu")
    monkeypatch.setattr(backend, "obstacle", lambda: "it rains")
    assert choose("auto", "cpu") == backend.Backend("dense", "it rains")
    with pytest.raises(InputError, match="backend numba cannot be used here: it rains; use auto or dense"):
        choose("numba", "cpu")
    with pytest.raises(InputError, match="there is no backend 'nunba'; did you mean 'numba'"):
        choose("nunba", "cpu")


def chosen(preparation: str, where: Path | None = None) -> str:
    """The backend and the reason in a fresh process, after some statements."""
    code = f"{preparation}\nfrom lip.fast.backend import choose\nprint(choose('auto', 'cpu'))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_numba_the_dense_path_is_taken() -> None:
    said = chosen("import sys; sys.modules['numba'] = None")
    assert "name='dense'" in said
    assert "numba is not installed (pip install '.[fast]')" in said


def test_without_a_folder_for_compiled_code_the_dense_path_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = chosen(f"import os; os.environ['NUMBA_CACHE_DIR'] = {str(tmp_path / 'file')!r}")
    assert "name='dense'" in said
    assert f"kernels cannot be kept in {tmp_path / 'file'}/kernels-" in said
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in said


@pytest.mark.slow
def test_processes_that_compile_at_once_share_a_cache(tmp_path: Path) -> None:
    code = "from lip.fast import upsample\nfrom lip.fast.backend import choose\nprint(choose('numba', 'cpu').name)"
    code += "\nprint(sum(upsample.forward.stats.cache_hits.values()))"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)

    at_once = [begin() for _ in range(3)]
    assert [process.communicate()[0].split()[0] for process in at_once] == ["numba"] * 3
    compiled = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb?")}
    assert compiled
    assert begin().communicate()[0].split() == ["numba", "1"]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nb?")} == compiled


def test_a_trajectory_that_began_dense_goes_on_so_unless_asked(tiny, tmp_path: Path) -> None:
    from lip.ledger.ledger import Ledger

    ledger, fits = Ledger(tmp_path), tiny.trajectory(rounds=3).fits
    for fit, name in zip(fits, ("dense", "auto", "numba", "auto"), strict=True):
        tiny.run_fit(fit, ledger, backend=name)
    used = [ledger.fits(["backend"], [fit.id])["backend"].to_pylist() for fit in fits]
    assert used == [["dense"], ["dense"], ["numba"], ["numba"]]


def test_a_fit_has_one_id_on_every_backend_and_its_row_says_which(tiny, tmp_path: Path) -> None:
    from lip.ledger.ledger import Ledger

    rows = {}
    for name in ("dense", "numba"):
        ledger = Ledger(tmp_path / name)
        tiny.run_fit(tiny.fit(), ledger, backend=name)
        (rows[name],) = ledger.fits().to_pylist()
        assert rows[name]["backend"] == name
    assert rows["dense"]["fit"] == rows["numba"]["fit"]
    assert rows["dense"].keys() == rows["numba"].keys()
