"""What only a GPU shows: equal to the CPU to rounding, no waiting within a step, a graph that equals eager steps.

python -m pytest tests/gpu -m gpu
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lip.data.library import InputLibrary
from lip.masks import Mask
from lip.networks.encoder_decoder import ReflectConv
from lip.specs.request import parse_trajectory
from lip.training.record import Recorder
from lip.training.restore import Restoration, train

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

DEVICE = "cuda"
SMALL = {"image": "astronaut", "size": 64, "width": 16, "steps": 20}
PRIORS: dict[str, dict[str, Any]] = {
    "hourglass": {},
    "no skip": {"skip": 0},
    "decoder": {"prior": "decoder"},
    "unet": {"prior": "unet", "width": None, "scales": 3},
}


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def library() -> InputLibrary:
    return InputLibrary()


def model_on(device: str, library: InputLibrary, **changes: Any) -> Restoration:
    values = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    return Restoration(parse_trajectory(values, library, "test").fits[0], library.inputs, device)


def loss_and_gradient(model: Restoration) -> list[Tensor]:
    loss = model.loss(model.net(model.code))
    loss.backward()
    return [loss.detach().cpu(), model.grad.cpu()]


@pytest.mark.parametrize("prior", PRIORS)
def test_loss_and_gradient_are_those_of_the_cpu(library: InputLibrary, prior: str) -> None:
    models = [model_on(device, library, precision="float64", **PRIORS[prior]) for device in ("cpu", DEVICE)]
    expected, got = map(loss_and_gradient, models)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1)])
@pytest.mark.usefixtures("deterministic")
def test_padding_by_reflection_has_a_deterministic_gradient(kernel: int, stride: int) -> None:
    conv, x = ReflectConv(3, 4, kernel, stride).double(), torch.randn(2, 3, 9, 8, dtype=torch.float64)
    grads = []
    for device in ("cpu", DEVICE):
        given = x.to(device).requires_grad_()
        conv.to(device)(given).square().sum().backward()
        grads.append(given.grad.cpu())
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("backend", ["dense", "cuda_graph"])
def test_no_step_waits_for_the_device(library: InputLibrary, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Sampled steps are copied to the host, so only the last is sampled here."""
    model, calls = model_on(DEVICE, library), []
    monkeypatch.setattr(Recorder, "is_sampled", lambda recorder, step: step == recorder.steps)
    record = Recorder.record

    def watched(recorder: Recorder, step: int, *result: Tensor) -> None:
        record(recorder, step, *result)
        calls.append(step)
        torch.cuda.set_sync_debug_mode("error" if 5 <= step < recorder.steps - 1 else "default")

    monkeypatch.setattr(Recorder, "record", watched)
    try:
        train(model, Mask.dense(model.layers), backend=backend)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert calls == list(range(1, 21))


def test_a_graph_computes_what_eager_steps_do(library: InputLibrary) -> None:
    eager, graph = (model_on(DEVICE, library) for _ in range(2))
    expected = train(eager, Mask.dense(eager.layers), backend="dense")
    got = train(graph, Mask.dense(graph.layers), backend="cuda_graph")
    assert got.curve.loss == pytest.approx(expected.curve.loss, rel=1e-4)
    assert got.backtracks == expected.backtracks


@pytest.mark.parametrize("backend", ["dense", "cuda_graph"])
def test_a_fit_until_its_stop_is_the_beginning_of_the_whole_one(library: InputLibrary, backend: str) -> None:
    keys = {"rounds": 0, "steps": 200, "stop_window": 10, "stop_patience": 20}
    models = [model_on(DEVICE, library, **keys, until=until) for until in ("stop", None)]
    ended, whole = (train(model, Mask.dense(model.layers), backend=backend) for model in models)
    assert ended.steps < whole.steps == 200
    assert ended.scores["stop_ema"] == whole.scores["stop_ema"]


def test_pruned_weights_stay_zero(library: InputLibrary) -> None:
    model = model_on(DEVICE, library)
    bits = torch.rand(int(model.is_prunable.sum()), generator=torch.Generator().manual_seed(0)).numpy() < 0.1
    trained = train(model, Mask(model.layers, bits), backend="cuda_graph")
    assert ((trained.final_weights != 0) == bits).all()
