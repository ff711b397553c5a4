"""A fit made concrete: separate streams of randomness, and one flat vector behind all parameters."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lip.masks import Layer, Mask
from lip.tasks.denoise import Denoise
from lip.training.model import stream
from lip.training.restore import Restoration, train


def drawn(problem: Restoration) -> dict[str, torch.Tensor]:
    """Everything random in a problem."""
    return {
        "theta_0": problem.theta.detach().clone(),
        "z": problem.code,
        "noise": problem.observation - problem.clean,
        "jitter": problem.jittered(problem.stream("jitter")) - problem.code,
        "mask": torch.rand(5, generator=problem.stream("random pruning")),
    }


def moved(one: Restoration, two: Restoration) -> set[str]:
    return {key for key, value in drawn(one).items() if not torch.equal(value, drawn(two)[key])}


def test_the_same_fit_is_the_same_problem(tiny) -> None:
    assert moved(tiny.problem(), tiny.problem()) == set()


def test_a_seed_draws_everything_anew(tiny) -> None:
    assert moved(tiny.problem(seed=0), tiny.problem(seed=1)) == {"theta_0", "z", "noise", "jitter", "mask"}


def test_what_one_setting_draws_moves_nothing_else(tiny) -> None:
    assert moved(tiny.problem(), tiny.problem(task=Denoise(sigma=50))) == {"noise"}
    assert moved(tiny.problem(), tiny.problem(jitter=0.1)) == {"jitter"}
    assert moved(tiny.problem(), tiny.problem(steps=99)) == set()
    assert not {"theta_0", "z"} & moved(tiny.problem(), tiny.problem(picture=tiny.pictures["other"]))


def test_the_code_does_not_depend_on_the_size_of_the_network(tiny) -> None:
    assert torch.equal(tiny.problem(width=8).code, tiny.problem(width=12).code)


def test_the_global_generator_is_neither_read_nor_moved(tiny) -> None:
    torch.manual_seed(1)
    before, one = torch.get_rng_state(), tiny.problem()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert moved(one, tiny.problem()) == set()


def test_streams_start_at_the_same_point_in_every_release() -> None:
    """Never edit these literals: the results published under an id were drawn from there."""
    assert stream(0, "theta_0").initial_seed() == 22169561641396059
    assert stream(7, "observation").initial_seed() == 51253679883424660


def test_every_parameter_is_a_view_of_theta_and_its_gradient_of_the_slope(tiny) -> None:
    problem = tiny.problem()
    problem.theta.data.copy_(torch.arange(problem.theta.numel()))
    problem.slope.copy_(-problem.theta.data)
    flat = torch.cat([p.detach().flatten() for p in problem.net.parameters()])
    slope = torch.cat([p.grad.flatten() for p in problem.net.parameters()])
    assert torch.equal(flat, torch.arange(problem.theta.numel()).float())
    assert torch.equal(slope, -flat)
    for p in problem.net.parameters():
        p.data.fill_(7)
    assert (problem.theta == 7).all()


def test_backward_fills_the_gradient_of_theta(tiny) -> None:
    problem = tiny.problem()
    loss = problem.loss(problem.net(problem.code))
    expected = torch.autograd.grad(loss, list(problem.net.parameters()), retain_graph=True)
    loss.backward()
    assert torch.equal(problem.theta.grad, torch.cat([part.flatten() for part in expected]))
    assert problem.theta.grad.count_nonzero() > 0


def test_theta_0_is_pytorchs_default_initialisation(tiny) -> None:
    problem = tiny.problem()
    torch.set_rng_state(problem.stream("theta_0").get_state())
    fresh = problem.fit.prior.build(3)
    assert torch.equal(problem.theta, torch.cat([p.detach().flatten() for p in fresh.parameters()]))


def test_the_clean_image_is_the_pixels_in_0_to_1(tiny, photo: np.ndarray) -> None:
    assert np.array_equal(tiny.problem().clean[0].permute(1, 2, 0).numpy(), photo.astype(np.float32) / 255)


def test_jitter_is_gaussian_around_the_code(tiny) -> None:
    problem = tiny.problem(depth=64, jitter=0.2)
    noise = (problem.jittered(problem.stream("jitter")) - problem.code).flatten()
    assert noise.mean() == pytest.approx(0, abs=4 * 0.2 / 256)
    assert noise.std() == pytest.approx(0.2, rel=0.02)


def test_jitter_is_drawn_anew_at_every_step(tiny) -> None:
    problem = tiny.problem()
    jitter = problem.stream("jitter")
    assert not torch.equal(problem.jittered(jitter), problem.jittered(jitter))


def test_a_mask_spread_over_theta_covers_the_convolution_weights_and_keeps_the_rest(tiny) -> None:
    problem = tiny.problem()
    bits = np.random.default_rng(0).random(int(problem.prunable.sum())) < 0.5
    problem.theta.data.copy_(problem.spread(Mask(problem.layers, bits)))
    weights = torch.cat([weight.detach().flatten() for _, weight in problem.net.prunable()])
    assert np.array_equal(weights.numpy(), bits)
    covered = {id(weight) for _, weight in problem.net.prunable()}
    assert all((p == 1).all() for p in problem.net.parameters() if id(p) not in covered)


def test_a_mask_of_another_network_is_refused(tiny) -> None:
    problem, other = tiny.problem(), tiny.problem(width=12)
    with pytest.raises(ValueError, match="another network"):
        problem.spread(Mask.dense(other.layers))
    renamed = tuple(Layer("x" + layer.name, layer.shape) for layer in problem.layers)
    with pytest.raises(ValueError, match="another network"):
        problem.spread(Mask.dense(renamed))


def test_weights_are_copies_that_a_problem_can_start_from(tiny) -> None:
    trained, fresh = tiny.problem(seed=1), tiny.problem(seed=2)
    trained.net(trained.code)  # moves batch norm's statistics
    weights = trained.weights()
    trained.theta.data.zero_()
    fresh.start_from(weights)
    assert fresh.weights().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in fresh.weights().items())
    assert torch.equal(fresh.theta, torch.cat([p.detach().flatten() for p in fresh.net.parameters()]))
    assert fresh.theta.count_nonzero() > 0
    with pytest.raises(RuntimeError):
        fresh.start_from(tiny.problem(width=12).weights())


def test_several_images_with_one_code_are_fitted_as_their_mean_would_be(tiny) -> None:
    """Alg. 2 sums the errors of one output to n images: n times the error to their mean, and a constant."""
    both = tiny.problem(also=(tiny.pictures["other"],))
    assert both.observation.shape == (2, 3, 32, 32)
    single = tiny.problem()
    for problem in (both, single):
        problem.net.double()
        problem.observation, problem.code = problem.observation.double(), problem.code.double()
    single.observation = both.observation.mean(dim=0, keepdim=True)

    def slopes(problem: Restoration) -> Tensor:
        loss = problem.loss(problem.net(problem.code))
        return torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, list(problem.net.parameters()))])

    assert torch.allclose(slopes(both), 2 * slopes(single), rtol=1e-10, atol=1e-14)


def test_several_images_may_have_a_code_each(tiny) -> None:
    problem = tiny.problem(also=(tiny.pictures["other"],), codes="per_image")
    assert problem.code.shape[0] == 2
    assert torch.equal(problem.code[:1], tiny.problem().code)
    assert problem.net(problem.code).shape == problem.clean.shape
    trained = train(problem, Mask.dense(problem.layers))
    assert trained.outputs["last"].shape == (3, 32, 32)


def test_each_of_several_images_has_noise_of_its_own(tiny) -> None:
    problem = tiny.problem(also=(tiny.pictures["other"],))
    assert torch.equal(problem.observation[:1], tiny.problem().observation)
    noise = problem.observation - problem.clean
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("moved", ["theta_seed", "z_seed", "noise_seed"])
def test_a_seed_of_its_own_moves_what_it_draws_and_nothing_else(tiny, moved: str) -> None:
    usual, other = tiny.problem(), tiny.problem(**{moved: 7})
    drawn = {"theta_seed": "theta", "z_seed": "code", "noise_seed": "observation"}
    same = {seed: torch.equal(getattr(usual, name), getattr(other, name)) for seed, name in drawn.items()}
    assert same == {seed: seed != moved for seed in drawn}
    assert torch.equal(getattr(other, drawn[moved]), getattr(tiny.problem(seed=7), drawn[moved]))
