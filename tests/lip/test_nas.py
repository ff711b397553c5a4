"""The networks of NAS-DIP: published counts, the numbering of cells, and each part against PyTorch's functions."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from lip.data.library import InputLibrary
from lip.errors import InputError
from lip.masks import Mask
from lip.networks.cells import BUILDABLE, CELLS, Cell, cell
from lip.networks.nas import NasNet, convolution, routes, upsampling_cell
from lip.priors.nas import PUBLISHED, Nas
from lip.pruners.synflow import Flow
from lip.specs.request import parse_trajectory
from lip.training.restore import train

FULL = "1111/1111/1111/1111"


def small(net: str) -> Nas:
    return Nas(net=net, width=16, depth=5)


@pytest.mark.parametrize(
    ("net", "channels", "parameters", "weights"),
    [
        ("denoise", 3, 3_924_867, 3_912_064),
        ("inpaint", 1, 10_710_273, 10_694_784),
        ("superres", 3, 3_512_835, 3_498_496),
    ],
)
def test_the_published_networks_have_exactly_their_parameters(
    net: str, channels: int, parameters: int, weights: int
) -> None:
    """All that the released module declares for inpainting and super-resolution, and that it uses for denoising."""
    network = Nas(net=net).build(channels)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert sum(weight.numel() for _, weight in network.prunable_parameters()) == weights


def test_what_the_released_denoiser_declares_and_never_uses_are_the_strided_convolutions_between_scales() -> None:
    all_links = Nas(net="158 11111/11111/11111/11111/11111").build(3)
    assert sum(p.numel() for p in all_links.parameters()) == 4_405_635


def test_the_layers_of_the_denoiser_come_in_the_order_of_its_forward_pass() -> None:
    expected = [f"s{s} {part}" for s in range(5) for part in ("stride", "conv")]
    expected += ["s1 to s0", "s2 to s1", "s3 to s2", "s4 to s3"]
    expected += [f"s{s} {part}" for s in (4, 3, 2, 1, 0) for part in ("cell", "skip", "up", "again", "mix")]
    layers = dict(Nas().build(3).prunable_parameters())
    assert list(layers) == [*expected, "out"]
    assert layers["s0 stride"].shape == (128, 32, 3, 3)
    assert layers["s2 to s1"].shape == layers["s4 cell"].shape == (128, 32, 5, 5)
    assert layers["s0 skip"].shape == (128, 32, 1, 1)
    assert layers["out"].shape == (3, 128, 1, 1)


def test_transposed_and_separable_weights_are_prunable_each_under_a_name_of_its_own() -> None:
    inpaint = Nas(net="inpaint", width=16).build(3)
    transposed = {module.weight for module in inpaint.modules() if isinstance(module, nn.ConvTranspose2d)}
    assert len(transposed) == 9
    assert transposed <= {weight for _, weight in inpaint.prunable_parameters()}
    separable = [name for name, _ in small("39 11/01").build(3).prunable_parameters()]
    assert separable[4:6] == ["s1 to s0 depthwise", "s1 to s0 mix"]
    assert len(set(separable)) == len(separable)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, Cell("bilinear", "conv", 1, "none")),
        (13, Cell("bilinear", "transposed", 1, "relu")),
        (62, Cell("bilinear", "identity", 1, "leaky")),
        (63, Cell("bicubic", "conv", 1, "none")),
        (86, Cell("bicubic", "transposed", 7, "leaky")),
        (119, Cell("bicubic", "depthwise", 5, "leaky")),
        (158, Cell("nearest", "stacked", 5, "leaky")),
        (189, Cell("shuffle", "conv", 1, "none")),
        (251, Cell("shuffle", "identity", 1, "leaky")),
        (252, Cell("late shuffle", "conv", 1, "none")),
        (299, Cell("late shuffle", "separable", 7, "leaky")),
        (311, Cell("late shuffle", "depthwise", 7, "leaky")),
        (312, Cell("strided", "identity", 1, "none")),
        (323, Cell("strided", "identity", 7, "leaky")),
    ],
)
def test_a_cells_number_is_that_of_the_released_code(number: int, expected: Cell) -> None:
    assert cell(number) == expected


def test_every_cell_has_one_number() -> None:
    found = [cell(number) for number in range(CELLS)]
    assert len(set(found)) == CELLS
    assert Counter(one.resize for one in found) == Counter(
        {"bilinear": 63, "bicubic": 63, "nearest": 63, "shuffle": 63, "late shuffle": 60, "strided": 12}
    )
    lost = set(range(CELLS)) - set(BUILDABLE)
    assert lost == {*range(237, 252), *range(300, 312)}


@pytest.mark.parametrize("first", range(0, len(BUILDABLE), 27))
def test_every_cell_that_can_be_built_runs_and_all_its_parameters_get_a_slope(first: int) -> None:
    for number in BUILDABLE[first : first + 27]:
        prior = small(f"{number} 11/11")
        torch.manual_seed(number)
        network, code = prior.build(1), prior.code(16, 24)
        image = network(code)
        assert image.shape == (1, 1, 16, 24)
        image.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters()), number
        assert all(weight.grad.count_nonzero() > 0 for _, weight in network.prunable_parameters()), number


def test_the_cells_that_cannot_be_built_are_those_pytorch_refuses_or_whose_channels_do_not_add_up() -> None:
    for number in set(range(CELLS)) - set(BUILDABLE):
        kind = cell(number)
        if kind.conv == "depthwise":
            inputs, outputs = (4, 16) if kind.resize == "shuffle" else (16, 64)
            with pytest.raises(ValueError, match="divisible by groups"):
                convolution("depthwise", inputs, outputs, kind.kernel)
        else:
            assert kind.conv == "identity"
            assert nn.PixelShuffle(2)(torch.zeros(1, 16, 2, 2)).shape[1] == 4


def zoom(x: Tensor) -> Tensor:
    """Nearest neighbours: every pixel four times."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def shuffle(x: Tensor) -> Tensor:
    """Four channels become the four pixels of a square, row by row."""
    batch, channels, height, width = x.shape
    squares = x.view(batch, channels // 4, 2, 2, height, width)
    return squares.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels // 4, 2 * height, 2 * width)


def spread(x: Tensor) -> Tensor:
    """Every second pixel in both directions, zeros between and after."""
    wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
    wide[..., ::2, ::2] = x
    return wide


def transposed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A transposed convolution of stride 1 is a convolution with the kernel turned round and its ends exchanged."""
    turned = weight.flip(2, 3).transpose(0, 1)
    return F.conv2d(x, turned, bias, padding=weight.shape[2] // 2)


def by_hand(kind: Cell, x: Tensor, weights: list[Tensor]) -> Tensor:
    """A cell from its description; its parameters are used up in their order."""

    def act(x: Tensor) -> Tensor:
        return {"none": x, "relu": x.clamp(min=0), "leaky": torch.where(x > 0, x, 0.2 * x)}[kind.activation]

    def conv(x: Tensor) -> Tensor:
        weight, pad = weights.pop(0), kind.kernel // 2
        match kind.conv:
            case "transposed":
                return transposed(x, weight, weights.pop(0))
            case "stacked":
                return F.conv2d(sum(x.chunk(4, dim=1)), weight, padding=pad)
            case "separable":
                alone = [F.conv2d(x[:, c : c + 1], weight[c : c + 1], padding=pad) for c in range(x.shape[1])]
                return torch.einsum("bchw,oc->bohw", torch.cat(alone, 1), weights.pop(0)[..., 0, 0])
            case "depthwise":
                return torch.cat([F.conv2d(x[:, c : c + 1], weight[c : c + 1], padding=pad) for c in range(16)], 1)
        return F.conv2d(x, weight, padding=pad)

    match kind.resize:
        case "strided":
            return act(transposed(spread(x), *weights))
        case "late shuffle":
            return act(shuffle(act(conv(x))))
        case "shuffle":
            return act(conv(act(shuffle(x))))
        case "nearest":
            resized = act(zoom(x))
        case _:
            resized = act(F.interpolate(x, scale_factor=2, mode=kind.resize, align_corners=False))
    return resized if kind.conv == "identity" else act(conv(resized))


@pytest.mark.parametrize("kernel", [1, 5])
@pytest.mark.parametrize("activation", ["none", "leaky"])
def test_every_kind_of_cell_computes_what_it_is_described_as(kernel: int, activation: str) -> None:
    kinds = [kind for kind in map(cell, BUILDABLE) if (kind.kernel, kind.activation) == (kernel, activation)]
    assert len(kinds) == (24 if kernel == 5 else 27)
    for kind in kinds:
        torch.manual_seed(2)
        network, x = upsampling_cell(kind, 16).double(), torch.randn(1, 16, 5, 7, dtype=torch.float64)
        expected = by_hand(kind, x, list(network.parameters()))
        assert expected.shape == (1, 16, 10, 14)
        assert torch.allclose(network(x), expected, rtol=0, atol=1e-12), kind


def test_routes_lead_one_scale_at_a_time_to_where_a_source_is_linked_and_no_further() -> None:
    links = [[False] * 4 for _ in range(4)]
    links[3][1] = links[0][2] = links[1][1] = True
    assert routes(links) == [(1, 1, 2), (1, 2, 3), (2, 2, 1), (2, 1, 0)]
    links[0][1] = True
    assert routes(links) == [(1, 1, 2), (1, 2, 3), (1, 1, 0), (2, 2, 1), (2, 1, 0)]


def only(scale: int, source: int) -> str:
    """A network of four scales with one link."""
    return "/".join("".join(str(int((s, t) == (scale, source))) for t in range(4)) for s in range(4))


@pytest.mark.parametrize("source", range(4))
@pytest.mark.parametrize("scale", range(4))
def test_a_link_gives_a_scale_a_source_through_the_parts_between(scale: int, source: int) -> None:
    """And no other scale or source anything: the forward pass again, from its parts."""
    torch.manual_seed(3)
    prior = small(f"158 {only(scale, source)}")
    network, code = prior.build(3).eval(), prior.code(32, 32)
    steps = [*range(source, scale + 1)] if source < scale else [*range(source, scale - 1, -1)]
    names = [f"s{here} to s{there}" for here, there in pairwise(steps)] or [f"s{scale} skip"]
    assert [name for name in network.parts if " to " in name or "skip" in name] == sorted(names)

    sources = [code]
    with torch.no_grad():
        for s in range(4):
            sources.append(network.parts[f"s{s} conv"](network.parts[f"s{s} stride"](sources[-1])))
        arriving = sources[source]
        for name in names:
            arriving = network.parts[name](arriving)
        x = sources[-1]
        for s in (3, 2, 1, 0):
            x = network.parts[f"s{s} cell"](x)
            if s == scale:
                x = x + arriving
            x = network.parts[f"s{s} mix"](network.parts[f"s{s} again"](network.parts[f"s{s} up"](x)))
        assert torch.equal(network.logits(code), network.out(x))
    assert arriving.count_nonzero() > 0


def test_links_that_share_a_step_share_its_weights() -> None:
    """Three sources through `s1 to s0` in one pass: a parameter that exists once and is masked once."""
    network = small("158 0111/0000/0000/0000").build(3)
    calls: Counter[str] = Counter()
    for name, part in network.parts.items():
        part.register_forward_hook(lambda *_, name=name: calls.update([name]))
    network(torch.rand(1, 5, 32, 32))
    assert {name: count for name, count in calls.items() if " to " in name} == {
        "s1 to s0": 3,
        "s2 to s1": 2,
        "s3 to s2": 1,
    }
    assert [name for name, _ in network.prunable_parameters() if " to " in name] == ["s1 to s0", "s2 to s1", "s3 to s2"]


def test_the_decoder_normalises_then_convolves_three_times() -> None:
    torch.manual_seed(4)
    network, x = small("158 1").build(3), torch.randn(1, 16, 8, 8)
    parts = [network.parts[f"s0 {part}"] for part in ("up", "again", "mix")]
    assert [type(m).__name__ for m in parts[0]] == ["BatchNorm2d", "ReflectConv", "BatchNorm2d", "LeakyReLU"]
    expected = F.batch_norm(x, None, None, training=True)
    for part, pad in zip(parts, (1, 1, 0), strict=True):
        conv = next(module for module in part if isinstance(module, nn.Conv2d))
        padded = F.pad(expected, (pad,) * 4, mode="reflect") if pad else expected
        convolved = F.batch_norm(F.conv2d(padded, conv.weight, conv.bias), None, None, training=True)
        expected = F.leaky_relu(convolved, 0.2)
    assert torch.allclose(parts[2](parts[1](parts[0](x))), expected, atol=1e-5)


@pytest.mark.parametrize(("links", "multiple", "smallest"), [("1", 2, 4), ("11/01", 4, 8), (FULL, 16, 32)])
def test_the_smallest_image_leaves_two_pixels_at_the_deepest_scale(links: str, multiple: int, smallest: int) -> None:
    prior = small(f"322 {links}")
    assert (prior.multiple, prior.smallest) == (multiple, smallest)
    assert prior.build(3)(prior.code(smallest, smallest)).shape == (1, 3, smallest, smallest)


def test_a_published_network_is_the_same_under_its_name_and_spelled_out() -> None:
    for name, net in PUBLISHED.items():
        assert Nas(net=name) == Nas(net=net)
        assert Nas(net=name).id == Nas(net=net).id
    assert Nas() == Nas(net="denoise")
    assert Nas().canonical() == {"kind": "nas", "revision": 2}
    assert Nas(net="superres").canonical() == {"kind": "nas", "revision": 2, "net": PUBLISHED["superres"]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"net": "denoice"}, "net: should be denoise, inpaint, superres or a cell and its links, such as '158 1111"),
        ({"net": 158}, "net: input should be a valid string, not 158"),
        ({"net": "158"}, "net: should be denoise, inpaint, superres or a cell"),
        ({"net": "324 1"}, "net: cells have the numbers 0 to 323, not '324 1'"),
        ({"net": "240 1"}, "net: cell 240 cannot be built"),
        ({"net": "158 11/1"}, "net: links should be as many rows as columns, at most 8"),
        ({"net": f"158 {'/'.join(['1' * 9] * 9)}"}, "net: links should be as many rows as columns, at most 8"),
        ({"width": 24}, "width: input should be a multiple of 16, not 24"),
        ({"size": 32}, "image astronaut is 32x32 pixels, the net needs at least 64x64"),
    ],
)
def test_a_network_that_cannot_be_is_said_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        parse_trajectory({"image": "astronaut", "size": 64, "prior": "nas", **changes}, InputLibrary(), "demo.yaml")
    assert str(error.value).startswith(f"demo.yaml: {sentence}")
    assert "\n" not in str(error.value)


def test_a_network_cannot_be_made_without_a_cell_that_can_be_built() -> None:
    with pytest.raises(ValidationError, match="cell 311 cannot be built"):
        Nas(net="311 11/01")


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("number", [20, 86, 119, 158, 200, 260, 320])
def test_the_gradient_is_deterministic(number: int) -> None:
    prior = small(f"{number} {FULL}")
    network = prior.build(3)
    network(prior.code(32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def kept(network: NasNet, mask: Mask) -> dict[str, Tensor]:
    names, weights = zip(*network.prunable_parameters(), strict=True)
    bits = torch.tensor(mask.bits).split([weight.numel() for weight in weights])
    return {name: part.view_as(weight) for name, weight, part in zip(names, weights, bits, strict=True)}


@pytest.mark.parametrize("number", [86, 322])
def test_pruned_transposed_weights_stay_exactly_zero(tiny, number: int) -> None:
    model = tiny.model(prior=small(f"{number} 111/010/001"), steps=6)
    draw = torch.rand(int(model.is_prunable.sum()), generator=torch.Generator().manual_seed(0))
    mask = Mask.keep_largest(model.layers, draw.numpy(), len(draw) // 2)
    before = model.weights()
    trained = train(model, mask)
    pruned = {name: ~part for name, part in kept(model.net, mask).items()}
    for name, weight in model.net.prunable_parameters():
        assert weight[pruned[name]].count_nonzero() == 0
        assert weight[~pruned[name]].count_nonzero() > 0
    weight = "parts.s0 cell.0.weight" if number == 322 else "parts.s0 cell.2.weight"
    moved = trained.weights[weight] != before[weight]
    assert moved[~pruned["s0 cell"]].all()


@pytest.mark.parametrize("pruner", ["snip", "grasp", "synflow", "layerwise"])
def test_pruners_at_initialisation_work_on_it(tiny, pruner: str) -> None:
    fit = tiny.trajectory(pruner=pruner, rounds=2, prior=small("86 11/11")).fits[2]
    mask = fit.recipe.build(tiny.model(fit), None)
    assert mask.sparsity == pytest.approx(0.36, abs=1e-4)


@pytest.mark.parametrize("net", [*PUBLISHED.values(), f"260 {'/'.join(['11111'] * 5)}"])
def test_the_flow_of_synflow_is_finite_and_conserved(tiny, net: str) -> None:
    """The scores of the last three layers, which all flow passes, each sum to the flow itself."""
    number, links = net.split()
    corner = "/".join(row[:3] for row in links.split("/")[:3])
    model = tiny.model(prior=small(f"{number} {corner}"))
    with torch.no_grad():
        for name, bias in model.net.named_parameters():
            if name.endswith("bias"):
                bias.zero_()
    flow = Flow(model)
    scores = flow.scores(Mask.dense(model.layers))
    assert scores.isfinite().all()
    assert scores.min() >= 0
    total = flow.net.logits(flow.code).sum().item()
    names, sizes = zip(*((layer.name, layer.size) for layer in model.layers), strict=True)
    through = {name: float(part.sum()) for name, part in zip(names, scores.split(sizes), strict=True)}
    for name in ("out", "s0 mix", "s0 again", "s0 up"):
        assert through[name] == pytest.approx(total, rel=1e-12)


def test_a_fit_is_published_with_its_net(tiny, ledger) -> None:
    fit = tiny.fit(prior=small("158 11/01"))
    tiny.run_fit(fit, ledger)
    (row,) = ledger.fits(["prior", "net", "width", "depth", "scales"]).to_pylist()
    assert row == {"prior": "nas", "net": "158 11/01", "width": 16, "depth": 5, "scales": None}
