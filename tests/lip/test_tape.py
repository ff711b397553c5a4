"""A tape computes, bit for bit, what the recorded network does."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lip.fast.accelerate import accelerate
from lip.fast.replay import TapedNetwork
from lip.fast.tape import Tape
from lip.masks import Mask
from lip.priors import Decoder, Hourglass, Nas, Unet
from lip.training.restore import Restoration

PRIORS: dict[str, Any] = {
    "hourglass": Hourglass(width=12, scales=3),
    "no skip": Hourglass(width=12, scales=2, skip=0),
    "decoder": Decoder(width=12, scales=3),
    "unet": Unet(scales=3),
    "nas": Nas(net="158 11/01", width=16),
    "shared": Nas(net="260 11/11", width=16),
}


def accelerated(tiny: Any, density: float, **changes: Any) -> Restoration:
    """A model with modules replaced, but no tape."""
    model = tiny.model(**changes)
    bits = np.random.default_rng(0).random(int(model.is_prunable.sum())) < density
    model.is_stored = accelerate(model.net, model.code, model.prune(Mask(model.layers, bits)))
    model.flatten()
    return model


def steps(model: Restoration, compute: Any) -> list[Tensor]:
    """Outputs, gradients and buffers of three steps, each from another input and other weights."""
    found, jitter = [], model.stream("jitter")
    for _ in range(3):
        output = compute(model.jittered(jitter))
        model.loss(output).backward()
        found += [output.detach(), model.grad.clone(), *(buffer.clone() for buffer in model.net.buffers())]
        model.theta.data.sub_(model.grad, alpha=0.01)
        model.grad.zero_()
    return found


@pytest.mark.parametrize("density", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("name", PRIORS)
def test_a_tape_computes_the_bits_of_its_network(tiny: Any, name: str, density: float) -> None:
    plain, taped = (accelerated(tiny, density, prior=PRIORS[name]) for _ in range(2))
    expected, got = steps(plain, plain.net), steps(taped, TapedNetwork(taped.net, taped.code))
    assert all(torch.equal(*pair) for pair in zip(expected, got, strict=True))


def test_several_images_are_computed_at_once(tiny: Any) -> None:
    several = {"other_pictures": (tiny.pictures["other"],), "codes": "per_image"}
    plain, taped = (accelerated(tiny, 0.2, **several) for _ in range(2))
    assert len(plain.code) == 2
    expected, got = steps(plain, plain.net), steps(taped, TapedNetwork(taped.net, taped.code))
    assert all(torch.equal(*pair) for pair in zip(expected, got, strict=True))


def test_recording_changes_nothing(tiny: Any) -> None:
    model = accelerated(tiny, 0.3)
    before = [tensor.clone() for tensor in (model.theta, model.code, *model.net.buffers())]
    TapedNetwork(model.net, model.code)
    assert all(map(torch.equal, before, (model.theta, model.code, *model.net.buffers())))


def with_grads(net: nn.Module) -> nn.Module:
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    return net


class Branches(nn.Module):
    """Uses a value three times, one module twice and one not at all; asks for shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.unused = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        self.unused(y)
        return self.shared(self.shared(y)) * y + y.reshape(x.shape[0], -1)


def test_gradients_of_what_is_used_several_times_add_up() -> None:
    net, x, grad = with_grads(Branches().double()), torch.randn(2, 3).double(), torch.randn(2, 3).double()
    used = [*net.first.parameters(), *net.shared.parameters()]
    expected = torch.autograd.grad(net(x), used, grad)
    for _ in range(2):  # gradients are replaced, not added to
        TapedNetwork(net, x)(x).backward(grad)
    torch.testing.assert_close([p.grad for p in used], list(expected))
    assert not any(p.grad.any() for p in net.unused.parameters())


def test_a_function_that_returns_several_tensors_is_refused() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack(x.chunk(2)).sum(dim=0)

    with pytest.raises(NotImplementedError, match="several tensors"):
        TapedNetwork(Halves(), torch.zeros(2, 3))


def test_released_memory_is_lent_again_in_parts_and_as_a_whole() -> None:
    tape = Tape()
    whole = tape.empty((4, 8), np.float64)
    assert whole.ctypes.data % 64 == 0
    tape.release(whole.ctypes.data)
    parts = [tape.empty(shape, np.float32) for shape in ((3, 7), (16,), (0, 5), (2,))]
    assert [part.ctypes.data - whole.ctypes.data for part in parts[:2]] == [0, 128]
    for part in (parts[1], parts[0]):
        tape.release(part.ctypes.data)
    assert tape.empty((6, 8), np.float32).ctypes.data == whole.ctypes.data
    assert tape.bytes == 256 + 64


def test_gradients_of_activations_replace_one_another() -> None:

    def taken(depth: int) -> int:
        net = with_grads(nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(depth))))
        return TapedNetwork(net, torch.zeros(64, 8)).bytes

    activation = 64 * 8 * 4
    assert taken(12) - taken(4) == 8 * activation
