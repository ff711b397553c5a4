"""The networks: exact counts and layers, the forward pass against one written with PyTorch's functions alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lip.networks.encoder_decoder import ReflectConv, centre
from lip.priors import PRIORS, Decoder, Hourglass, Prior
from lip.priors.unet import Unet


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def prunable(network: nn.Module) -> int:
    return sum(weight.numel() for _, weight in network.prunable_parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("prior", [pytest.param(prior(), id=name) for name, prior in PRIORS.items()])
def test_every_prior_maps_its_code_to_an_image(prior: Prior, channels: int) -> None:
    height, width = prior.smallest, prior.smallest + prior.multiple

    def draw() -> Tensor:
        torch.manual_seed(5)
        with torch.no_grad():
            return prior.build(channels)(prior.code(height, width))

    image = draw()
    assert image.shape == (1, channels, height, width)
    assert image.min() > 0
    assert image.max() < 1
    assert image.std() > 0.01
    assert torch.equal(image, draw())


@pytest.mark.parametrize("prior", [pytest.param(prior(), id=name) for name, prior in PRIORS.items()])
def test_every_prior_prunes_its_own_parameters_each_under_a_name_of_its_own(prior: Prior) -> None:
    network = prior.build(3)
    names, weights = zip(*network.prunable_parameters(), strict=True)
    assert len(set(names)) == len(names)
    assert {id(weight) for weight in weights} <= {id(p) for p in network.parameters()}


def test_the_hourglass_has_the_published_number_of_parameters() -> None:
    colour, grey = Hourglass().build(3), Hourglass().build(1)
    assert (parameters(colour), prunable(colour)) == (2_217_831, 2_208_768)
    assert parameters(grey) == 2_217_573


def test_the_layers_of_the_hourglass_come_in_the_order_of_the_paper() -> None:
    """The x axis of figure 7, scale 0 being the full resolution."""
    conv, mix = (128, 128, 3, 3), (128, 128, 1, 1)
    expected = [("s0 skip", (4, 32, 1, 1)), ("s0 stride", (128, 32, 3, 3)), ("s0 conv", conv)]
    for scale in (1, 2, 3, 4):
        expected += [(f"s{scale} skip", (4, 128, 1, 1)), (f"s{scale} stride", conv), (f"s{scale} conv", conv)]
    for scale in (4, 3, 2, 1, 0):
        expected += [(f"s{scale} up", (128, 132, 3, 3)), (f"s{scale} mix", mix)]
    expected += [("out", (3, 128, 1, 1))]
    assert len(expected) == 26
    assert [(name, tuple(weight.shape)) for name, weight in Hourglass().build(3).prunable_parameters()] == expected


def test_the_code_is_uniform_up_to_a_tenth() -> None:
    torch.manual_seed(0)
    code = Hourglass().code(64, 96)
    assert code.shape == (1, 32, 64, 96)
    assert 0 <= code.min() < 1e-5
    assert 0.1 - 1e-5 < code.max() < 0.1
    assert code.mean() == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("scales", "multiple", "smallest"), [(1, 2, 4), (2, 4, 8), (5, 32, 64)])
def test_the_smallest_image_leaves_two_pixels_at_the_deepest_scale(scales: int, multiple: int, smallest: int) -> None:
    prior = Hourglass(width=4, scales=scales)
    assert (prior.multiple, prior.smallest) == (multiple, smallest)
    network = prior.build(3)
    assert network(prior.code(smallest, smallest)).shape == (1, 3, smallest, smallest)
    with pytest.raises((RuntimeError, ValueError)):
        network(prior.code(multiple, multiple))


def convolve(x: Tensor, conv: nn.Conv2d, stride: int = 1) -> Tensor:
    if border := conv.weight.shape[2] // 2:
        x = F.pad(x, (border,) * 4, mode="reflect")
    return F.conv2d(x, conv.weight, conv.bias, stride)


def normalise(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)


def by_hand(z: Tensor, network: nn.Module) -> Tensor:
    """The paper's network with functions alone: its modules are used up in their order, batch statistics throughout."""
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]

    def block(x: Tensor, stride: int = 1) -> Tensor:
        return F.leaky_relu(normalise(convolve(x, convs.pop(0), stride), norms.pop(0)), 0.2)

    skips = []
    for _ in network.down:
        if network.down[0].skip:
            skips.append(block(z))
        z = block(block(z, stride=2))
    for _ in network.up:
        z = F.interpolate(z, scale_factor=2, mode="bilinear")
        z = normalise(torch.cat([skips.pop(), z], 1) if skips else z, norms.pop(0))
        z = block(block(z))
    return convolve(z, convs.pop(0)).sigmoid()


@pytest.mark.parametrize("skip", [0, 4])
def test_the_hourglass_computes_what_the_paper_describes(skip: int) -> None:
    torch.manual_seed(1)
    prior = Hourglass(width=6, scales=3, skip=skip)
    network, code = prior.build(3).double(), prior.code(16, 24).double()
    for parameter in network.parameters():  # so that batch norm's factors and biases are not ones and zeros
        parameter.data += 0.1 * torch.randn_like(parameter)
    assert torch.allclose(network(code), by_hand(code, network), rtol=0, atol=1e-12)


def test_an_image_of_odd_size_is_cut_out_of_the_middle_of_what_is_doubled() -> None:
    """50 pixels go down by 25, 13, 7, 4, 2 and come back through the skip connections, as in the released code."""
    prior = Hourglass(width=4)
    for side in (50, 66):
        assert prior.build(3)(torch.rand(1, 32, side, side)).shape == (1, 3, side, side)
    x = torch.arange(36.0).view(1, 1, 6, 6)
    assert torch.equal(centre(x, x[..., :5, :4]), x[..., 0:5, 1:5])


def test_without_skip_connections_there_are_fewer_layers() -> None:
    names = [name for name, _ in Hourglass(width=4, scales=2, skip=0).build(3).prunable_parameters()]
    assert names == ["s0 stride", "s0 conv", "s1 stride", "s1 conv", "s1 up", "s1 mix", "s0 up", "s0 mix", "out"]


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_reflect_conv_is_pytorchs_with_reflection_padding(kernel: int, stride: int) -> None:
    ours = ReflectConv(2, 5, kernel, stride)
    theirs = nn.Conv2d(2, 5, kernel, stride, padding=kernel // 2, padding_mode="reflect")
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 2, 6, 9, requires_grad=True)
    assert torch.equal(ours(x), theirs(x))
    gradients = (torch.autograd.grad(conv(x).square().sum(), x)[0] for conv in (ours, theirs))
    assert torch.allclose(*gradients, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("deterministic")
def test_the_gradient_is_deterministic() -> None:
    network = Hourglass(width=4, scales=2).build(3)
    network(torch.rand(1, 32, 16, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("width", "count"), [(64, 25_536), (128, 100_224), (256, 397_056), (320, 619_200)])
def test_the_deep_decoder_has_exactly_the_published_parameters(width: int, count: int) -> None:
    net = PRIORS["decoder"](width=width).build(3)
    assert sum(p.numel() for p in net.parameters()) == count == 6 * width**2 + 12 * width + 3 * width
    assert [name for name, _ in net.prunable_parameters()] == ["c0", "c1", "c2", "c3", "c4", "c5", "out"]


def test_the_deep_decoder_doubles_after_each_convolution_but_the_last_two() -> None:
    prior = PRIORS["decoder"](width=4, scales=3)
    code = prior.code(40, 24)
    assert code.shape == (1, 4, 5, 3)
    assert prior.build(1)(code).shape == (1, 1, 40, 24)


def _norm(x: Tensor) -> Tensor:
    """Batch normalisation as it is at theta_0."""
    return F.batch_norm(x, None, None, training=True)


def test_the_deep_decoder_computes_what_its_paper_describes() -> None:
    torch.manual_seed(1)
    net = Decoder(width=6, scales=2).build(3).double()
    x = code = torch.rand(1, 6, 4, 5).double()
    *inner, out = (module.weight for module in net.modules() if isinstance(module, nn.Conv2d))
    for k, weight in enumerate(inner):
        x = F.conv2d(x, weight)
        if k < 2:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = _norm(F.relu(x))
    torch.testing.assert_close(net(code), F.conv2d(x, out).sigmoid())


def test_the_unet_computes_what_optimal_eye_surgeon_describes() -> None:
    torch.manual_seed(1)
    net = Unet(scales=2, depth=4).build(3).double()
    x = code = torch.rand(1, 4, 12, 16).double()
    convs = iter([module for module in net.modules() if isinstance(module, nn.Conv2d)])
    for _ in range(2):
        x = F.leaky_relu(_norm(F.avg_pool2d(convolve(x, next(convs)), 2)), 0.2)
        x = F.leaky_relu(_norm(convolve(x, next(convs))), 0.2)
    for _ in range(2):
        x = _norm(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = F.leaky_relu(_norm(convolve(x, next(convs))), 0.2)
    torch.testing.assert_close(net(code), convolve(x, next(convs)).sigmoid())


def test_the_unet_of_optimal_eye_surgeon_has_exactly_its_parameters() -> None:
    net = PRIORS["unet"]().build(3)
    assert sum(p.numel() for p in net.parameters()) == 3_008_867
    assert sum(weight.numel() for _, weight in net.prunable_parameters()) == 3_003_184
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert sum(norm.weight.numel() for norm in norms) == 2_096
    names = [name for name, _ in net.prunable_parameters()]
    assert names[:4] == ["s0 down", "s0 conv", "s1 down", "s1 conv"]
    assert names[-3:] == ["s1 up", "s0 up", "out"]
