"""A fit made concrete: separate streams of randomness, and one flat vector behind all parameters."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.masks import Layer, Mask
from lip.tasks.denoise import Denoise
from lip.training.model import stream
from lip.training.restore import Restoration, train


def draw_candidates(model: Restoration) -> dict[str, torch.Tensor]:
    """Everything random in a model."""
    return {
        "theta_0": model.theta.detach().clone(),
        "z": model.code,
        "noise": model.observation - model.clean,
        "jitter": model.jittered(model.stream("jitter")) - model.code,
        "mask": torch.rand(5, generator=model.stream("random pruning")),
    }


def moved(one: Restoration, two: Restoration) -> set[str]:
    return {key for key, value in draw_candidates(one).items() if not torch.equal(value, draw_candidates(two)[key])}


def test_the_same_fit_is_the_same_problem(tiny) -> None:
    assert moved(tiny.model(), tiny.model()) == set()


def test_a_seed_draws_everything_anew(tiny) -> None:
    assert moved(tiny.model(seed=0), tiny.model(seed=1)) == {"theta_0", "z", "noise", "jitter", "mask"}


def test_what_one_setting_draws_moves_nothing_else(tiny) -> None:
    assert moved(tiny.model(), tiny.model(task=Denoise(sigma=50))) == {"noise"}
    assert moved(tiny.model(), tiny.model(jitter=0.1)) == {"jitter"}
    assert moved(tiny.model(), tiny.model(steps=99)) == set()
    assert not {"theta_0", "z"} & moved(tiny.model(), tiny.model(picture=tiny.pictures["other"]))


def test_the_code_does_not_depend_on_the_size_of_the_network(tiny) -> None:
    assert torch.equal(tiny.model(width=8).code, tiny.model(width=12).code)


def test_the_global_generator_is_neither_read_nor_moved(tiny) -> None:
    torch.manual_seed(1)
    before, one = torch.get_rng_state(), tiny.model()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert moved(one, tiny.model()) == set()


def test_streams_start_at_the_same_point_in_every_release() -> None:
    """Never edit these literals: the results published under an id were drawn from there."""
    assert stream(0, "theta_0").initial_seed() == 22169561641396059
    assert stream(7, "observation").initial_seed() == 51253679883424660


def test_every_parameter_is_a_view_of_theta_and_its_gradient_of_the_slope(tiny) -> None:
    model = tiny.model()
    model.theta.data.copy_(torch.arange(model.theta.numel()))
    model.grad.copy_(-model.theta.data)
    flat = torch.cat([p.detach().flatten() for p in model.net.parameters()])
    slope = torch.cat([p.grad.flatten() for p in model.net.parameters()])
    assert torch.equal(flat, torch.arange(model.theta.numel()).float())
    assert torch.equal(slope, -flat)
    for p in model.net.parameters():
        p.data.fill_(7)
    assert (model.theta == 7).all()


def test_backward_fills_the_gradient_of_theta(tiny) -> None:
    model = tiny.model()
    loss = model.loss(model.net(model.code))
    expected = torch.autograd.grad(loss, list(model.net.parameters()), retain_graph=True)
    loss.backward()
    assert torch.equal(model.theta.grad, torch.cat([part.flatten() for part in expected]))
    assert model.theta.grad.count_nonzero() > 0


def test_theta_0_is_pytorchs_default_initialisation(tiny) -> None:
    model = tiny.model()
    torch.set_rng_state(model.stream("theta_0").get_state())
    fresh = model.fit.prior.build(3)
    assert torch.equal(model.theta, torch.cat([p.detach().flatten() for p in fresh.parameters()]))


def test_the_clean_image_is_the_pixels_in_0_to_1(tiny, photo: np.ndarray) -> None:
    assert np.array_equal(tiny.model().clean[0].permute(1, 2, 0).numpy(), photo.astype(np.float32) / 255)


def test_jitter_is_gaussian_around_the_code(tiny) -> None:
    model = tiny.model(depth=64, jitter=0.2)
    noise = (model.jittered(model.stream("jitter")) - model.code).flatten()
    assert noise.mean() == pytest.approx(0, abs=4 * 0.2 / 256)
    assert noise.std() == pytest.approx(0.2, rel=0.02)


def test_jitter_is_drawn_anew_at_every_step(tiny) -> None:
    model = tiny.model()
    jitter = model.stream("jitter")
    assert not torch.equal(model.jittered(jitter), model.jittered(jitter))


def test_a_mask_spread_over_theta_covers_the_convolution_weights_and_keeps_the_rest(tiny) -> None:
    model = tiny.model()
    bits = np.random.default_rng(0).random(int(model.is_prunable.sum())) < 0.5
    model.theta.data.copy_(model.expand_mask(Mask(model.layers, bits)))
    weights = torch.cat([weight.detach().flatten() for _, weight in model.net.prunable_parameters()])
    assert np.array_equal(weights.numpy(), bits)
    covered = {id(weight) for _, weight in model.net.prunable_parameters()}
    assert all((p == 1).all() for p in model.net.parameters() if id(p) not in covered)


def test_a_mask_of_another_network_is_refused(tiny) -> None:
    model, other = tiny.model(), tiny.model(width=12)
    with pytest.raises(ValueError, match="another network"):
        model.expand_mask(Mask.dense(other.layers))
    renamed = tuple(Layer("x" + layer.name, layer.shape) for layer in model.layers)
    with pytest.raises(ValueError, match="another network"):
        model.expand_mask(Mask.dense(renamed))


def test_weights_are_copies_that_a_problem_can_start_from(tiny) -> None:
    trained, fresh = tiny.model(seed=1), tiny.model(seed=2)
    trained.net(trained.code)  # moves batch norm's statistics
    weights = trained.weights()
    trained.theta.data.zero_()
    fresh.start_from(weights)
    assert fresh.weights().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in fresh.weights().items())
    assert torch.equal(fresh.theta, torch.cat([p.detach().flatten() for p in fresh.net.parameters()]))
    assert fresh.theta.count_nonzero() > 0
    with pytest.raises(RuntimeError):
        fresh.start_from(tiny.model(width=12).weights())


def test_several_images_with_one_code_are_fitted_as_their_mean_would_be(tiny) -> None:
    """Alg. 2 sums the errors of one output to n images: n times the error to their mean, and a constant."""
    both = tiny.model(other_pictures=(tiny.pictures["other"],))
    assert both.observation.shape == (2, 3, 32, 32)
    single = tiny.model()
    for model in (both, single):
        model.net.double()
        model.observation, model.code = model.observation.double(), model.code.double()
    single.observation = both.observation.mean(dim=0, keepdim=True)

    def slopes(model: Restoration) -> Tensor:
        loss = model.loss(model.net(model.code))
        return torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, list(model.net.parameters()))])

    assert torch.allclose(slopes(both), 2 * slopes(single), rtol=1e-10, atol=1e-14)


def test_several_images_may_have_a_code_each(tiny) -> None:
    model = tiny.model(other_pictures=(tiny.pictures["other"],), codes="per_image")
    assert model.code.shape[0] == 2
    assert torch.equal(model.code[:1], tiny.model().code)
    assert model.net(model.code).shape == model.clean.shape
    trained = train(model, Mask.dense(model.layers))
    assert trained.outputs["last"].shape == (3, 32, 32)


def test_each_of_several_images_has_noise_of_its_own(tiny) -> None:
    model = tiny.model(other_pictures=(tiny.pictures["other"],))
    assert torch.equal(model.observation[:1], tiny.model().observation)
    noise = model.observation - model.clean
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("moved", ["theta_seed", "z_seed", "noise_seed"])
def test_a_seed_of_its_own_moves_what_it_draws_and_nothing_else(tiny, moved: str) -> None:
    usual, other = tiny.model(), tiny.model(**{moved: 7})
    drawn = {"theta_seed": "theta", "z_seed": "code", "noise_seed": "observation"}
    same = {seed: torch.equal(getattr(usual, name), getattr(other, name)) for seed, name in drawn.items()}
    assert same == {seed: seed != moved for seed in drawn}
    assert torch.equal(getattr(other, drawn[moved]), getattr(tiny.model(seed=7), drawn[moved]))
