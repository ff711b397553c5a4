"""Each pruner against what defines it; what they all promise is in test_contract.py."""

import hashlib
from math import ceil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from lip.masks import Layer, Mask, kept_after
from lip.priors import Hourglass
from lip.pruners import PRUNERS
from lip.pruners.imp import prune_to
from lip.pruners.oes import divergence
from lip.pruners.pruner import Pruner
from lip.pruners.synflow import Flow, cut_sizes
from lip.training.run import build_mask


@pytest.fixture(params=PRUNERS)
def pruner(request: pytest.FixtureRequest) -> str:
    return request.param


def next_ticket(mask: Mask, random: np.random.Generator) -> Mask:
    return prune_to(mask, random.normal(size=mask.bits.size), kept_after(mask.n_kept, 1))


@pytest.fixture
def masks(tiny):
    """The masks of a trajectory's rounds; IMP and one-shot are handed what a training leaves that drew weights."""

    def rounds(pruner: str, rounds: int = 5, **changes: object) -> list[Mask]:
        quick = {"options": (("search", 2),)} if pruner == "oes" else {}
        fits = tiny.trajectory(pruner=pruner, rounds=rounds, **quick, **changes).fits
        random = np.random.default_rng(fits[0].seed)
        found: list[Mask] = []
        for fit in fits:
            model = tiny.model(fit)
            recipe = fit.recipe
            stored = next_ticket(found[-1], random) if recipe.source_fit else None
            if pruner == "one_shot":
                draw = np.random.default_rng(fit.seed)
                stored = {name: torch.tensor(draw.normal(size=p.shape)) for name, p in model.net.named_parameters()}
            found.append(recipe.build(model, stored) if isinstance(recipe, Pruner) else Mask.dense(model.layers))
            assert found[-1].layers == model.layers
        return found

    return rounds


@pytest.mark.parametrize(
    ("pruner", "drawn"), [("random", "59b2628d"), ("layerwise", "03bf805d"), ("shuffled", "76a3402d")]
)
def test_what_is_drawn_for_an_id_stays_what_it_was(tiny, pruner: str, drawn: str) -> None:
    """Another stream, or another order of draws, would give published ids another meaning."""
    options = (("counts_of", "random"),) if pruner == "shuffled" else ()
    _, fit = tiny.trajectory(pruner=pruner, rounds=1, options=options).fits
    mask = fit.recipe.build(tiny.model(fit), None)
    assert hashlib.sha256(np.packbits(mask.bits).tobytes()).hexdigest()[:8] == drawn


def test_another_seed_gives_another_mask(masks, pruner: str) -> None:
    assert masks(pruner, rounds=1)[1] != masks(pruner, rounds=1, seed=1)[1]


def test_a_recipe_knows_its_round(tiny, pruner: str) -> None:
    fits = tiny.trajectory(pruner=pruner, rounds=3).fits
    assert [fit.recipe.round for fit in fits] == [0, 1, 2, 3]
    assert [fit.recipe.kind for fit in fits] == ["dense", pruner, pruner, pruner]


def test_dense_keeps_everything(tiny, ledger) -> None:
    model = tiny.model()
    assert build_mask(tiny.fit(), model, ledger) == Mask.dense(model.layers)


def test_random_takes_the_same_share_of_every_layer(masks) -> None:
    """Uniform over all layers together, so that shares differ by chance alone: four standard deviations are allowed."""
    mask = masks("random", rounds=5, width=32)[-1]
    size = np.array([layer.size for layer in mask.layers])
    density = 1 - mask.sparsity
    deviation = np.array(mask.kept_per_layer) - density * size
    assert (np.abs(deviation) < 4 * np.sqrt(size * density * (1 - density))).all()


def test_imp_cuts_the_smallest_fifth_of_what_is_kept() -> None:
    layers = (Layer("a", (2, 3, 1, 1)), Layer("b", (6, 1, 1, 1)))
    kept = np.array([1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1], bool)
    trained = np.array([0.5, -0.1, 0.9, 99.0, 0.3, -0.8, 0.4, -0.2, 0.7, 1.1, 0.0, -0.6])
    ticket = prune_to(Mask(layers, kept), trained, 8)  # of 10 kept weights -0.1 and -0.2 go
    assert np.flatnonzero(ticket.bits).tolist() == [0, 2, 4, 5, 6, 8, 9, 11]
    assert ticket.layers == layers


def test_imp_never_takes_back_a_pruned_weight_even_when_kept_ones_have_died() -> None:
    layers = (Layer("a", (10, 1, 1, 1)),)
    kept = np.arange(10) < 5
    trained = np.where(kept, 0.0, 1e9)
    assert np.flatnonzero(prune_to(Mask(layers, kept), trained, 4).bits).tolist() == [0, 1, 2, 3]


def test_imp_refuses_a_training_that_diverged() -> None:
    layers = (Layer("a", (10, 1, 1, 1)),)
    with pytest.raises(ValueError, match="NaN"):
        prune_to(Mask.dense(layers), np.full(10, np.nan), 8)


def test_imp_uses_the_ticket_it_is_handed(tiny) -> None:
    fit = tiny.trajectory().fits[1]
    model = tiny.model(fit)
    ticket = Mask.keep_largest(model.layers, np.arange(int(model.is_prunable.sum())), 100)
    assert fit.recipe.build(model, ticket) is ticket


def test_snip_keeps_the_weights_whose_masking_moves_the_loss_most(tiny) -> None:
    """Scores by their definition: |dL/dm| at m = 1, L being one step's loss at theta_0."""
    fit = tiny.trajectory(pruner="snip", rounds=5).fits[5]
    model = tiny.model(fit)
    jitter = torch.empty_like(model.code).normal_(0, 1 / 30, generator=model.stream("snip"))
    gates = {name: torch.ones_like(p, requires_grad=True) for name, p in model.net.named_parameters()}
    gated = {name: gates[name] * p.detach() for name, p in model.net.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.net.named_buffers()}
    output = torch.func.functional_call(model.net, gated | buffers, (model.code + jitter,))
    slopes = torch.autograd.grad(F.mse_loss(output, model.observation), list(gates.values()))
    flat = torch.cat([slope.flatten() for slope in slopes])

    ours = model.theta.detach()[model.is_prunable] * model.gradient("snip")
    assert torch.allclose(ours, flat[model.is_prunable], rtol=1e-4, atol=1e-9)
    scores, kept = flat[model.is_prunable].abs().numpy(), fit.recipe.build(model, None).bits
    assert scores[kept].min() >= scores[~kept].max() * (1 - 1e-4)
    assert scores[kept].min() > 1.05 * np.median(scores)


def test_snip_leaves_no_trace_in_the_problem(tiny) -> None:
    model, untouched = tiny.model(), tiny.model()
    PRUNERS["snip"](target=1).build(model, None)
    assert all(torch.equal(value, untouched.weights()[name]) for name, value in model.weights().items())
    assert model.grad.count_nonzero() == 0
    assert all(p.grad.count_nonzero() == 0 for p in model.net.parameters())


def test_layerwise_takes_the_same_share_of_every_layer_to_the_weight(masks) -> None:
    for mask in masks("layerwise"):
        density = 1 - mask.sparsity
        for layer, kept in zip(mask.layers, mask.kept_per_layer, strict=True):
            assert abs(kept - density * layer.size) <= 1


def test_shuffled_keeps_the_counts_of_imp_and_nothing_else(tiny) -> None:
    fit = tiny.trajectory(pruner="shuffled").fits[1]
    model = tiny.model(fit)
    ticket = Mask.keep_largest(model.layers, np.arange(int(model.is_prunable.sum())), 700)
    mask = fit.recipe.build(model, ticket)
    assert mask.kept_per_layer == ticket.kept_per_layer
    assert mask != ticket


def test_shuffled_masks_come_from_the_tickets_of_imp(tiny) -> None:
    shuffled, imp = tiny.trajectory(pruner="shuffled"), tiny.trajectory()
    assert [fit.recipe.source_fit for fit in shuffled.fits] == [fit.recipe.source_fit for fit in imp.fits]
    assert shuffled.fits[0] == imp.fits[0]


def test_magnitude_keeps_the_largest_weights_of_theta_0(tiny) -> None:
    fit = tiny.trajectory(pruner="magnitude", rounds=3).fits[3]
    model = tiny.model(fit)
    sizes, kept = model.theta.detach()[model.is_prunable].abs().numpy(), fit.recipe.build(model, None).bits
    assert sizes[kept].min() >= sizes[~kept].max()


def test_grasp_scores_by_the_change_of_the_gradient_norm(tiny) -> None:
    """theta * H g over the weights, H g being half the slope of |g|^2: here by central differences in float64."""
    model = tiny.model()
    model.net.double()
    jitter = torch.empty_like(model.code).normal_(0, 1 / 30, generator=model.stream("grasp"))
    weights = [weight for _, weight in model.net.prunable_parameters()]
    start = [p.detach().clone() for p in weights]
    draw = torch.Generator().manual_seed(0)
    direction = [torch.randn(p.shape, generator=draw, dtype=torch.float64) for p in start]

    def squared_slope(distance: float) -> Tensor:
        with torch.no_grad():
            for p, at, way in zip(weights, start, direction, strict=True):
                p.copy_(at + distance * way)
        output = model.net((model.code + jitter).double())
        slopes = torch.autograd.grad(F.mse_loss(output, model.observation.double()), weights)
        return torch.cat([slope.flatten() for slope in slopes]).square().sum()

    step = 1e-7  # short enough to cross no kink of the leaky ReLUs
    expected = (squared_slope(step) - squared_slope(-step)) / (4 * step)
    along = torch.cat([way.flatten() for way in direction])
    fresh = tiny.model()
    assert (fresh.curvature("grasp").double() * along).sum() == pytest.approx(float(expected), rel=1e-3)
    recipe = PRUNERS["grasp"](target=3)
    scores, kept = recipe.scores(fresh).numpy(), recipe.build(fresh, None).bits
    assert scores[kept].min() >= scores[~kept].max(), "the largest -theta * H g go, the signed score counts"
    assert scores[~kept].max() < 0 < scores.max()


@pytest.mark.parametrize("pruner", ["grasp", "oes", "synflow"])
def test_scoring_leaves_no_trace_in_the_problem(tiny, pruner: str) -> None:
    model, untouched = tiny.model(), tiny.model()
    PRUNERS[pruner](target=1).build(model, None)
    assert all(torch.equal(value, untouched.weights()[name]) for name, value in model.weights().items())
    assert model.grad.count_nonzero() == 0


def test_synflow_is_conserved(tiny) -> None:
    """The scores of every cut through the network that all flow passes sum to R, the flow itself."""
    model = tiny.model()
    with torch.no_grad():
        for name, bias in model.net.named_parameters():
            if name.endswith("bias"):
                bias.zero_()  # what flows in at a bias has not passed the cuts before it
    flow = Flow(model)
    scores = flow.scores(Mask.dense(model.layers))
    assert scores.dtype == torch.float64
    assert scores.isfinite().all()
    assert scores.min() > 0
    total = flow.net.logits(flow.code).sum().item()
    names, sizes = zip(*((layer.name, layer.size) for layer in model.layers), strict=True)
    through = {name: float(part.sum()) for name, part in zip(names, scores.split(sizes), strict=True)}
    assert through["out"] == pytest.approx(total, rel=1e-12)
    assert through["s0 mix"] == pytest.approx(total, rel=1e-12)
    assert through["s0 up"] == pytest.approx(total, rel=1e-12)


def test_synflow_never_empties_a_layer_while_others_have_weights_to_give(tiny) -> None:
    """What SynFlow is for: iterating with conserved scores avoids layer collapse, where one shot would not."""
    fit = tiny.trajectory(pruner="synflow", rounds=14, prior=Hourglass(width=8, scales=2, skip=0)).fits[14]
    mask = fit.recipe.build(tiny.model(fit), None)
    assert mask.n_kept == kept_after(mask.bits.size, 14)
    assert min(mask.kept_per_layer) > 0


def test_oes_learns_masks_under_which_theta_0_is_closer_to_the_observation_than_under_random_ones(tiny) -> None:
    losses = {}
    for pruner in ("oes", "random"):
        quick = (("search", 8),) if pruner == "oes" else ()
        fit = tiny.trajectory(pruner=pruner, rounds=2, steps=60, options=quick).fits[2]
        model = tiny.model(fit)
        model.theta.data.mul_(model.expand_mask(fit.recipe.build(model, None)))
        with torch.no_grad():
            losses[pruner] = model.loss(model.net(model.code)).item()
    assert losses["oes"] < 0.8 * losses["random"]


def test_oes_searches_as_published(tiny) -> None:
    """Adam at 0.01 on logits from 0, a Gumbel softmax at 0.2, and 1e-9 of the divergence, in `search` steps a step."""
    model = tiny.model(steps=2)
    total = model.n_prunable
    wanted = kept_after(total, 2) / total
    theta = model.theta.detach().clone()
    draw = model.stream("oes")
    logits = torch.zeros(total, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.01)
    for _ in range(3 * 2):
        uniform = torch.empty(total).uniform_(1e-6, 1 - 1e-6, generator=draw)
        mask = torch.ones_like(theta).masked_scatter(
            model.is_prunable, torch.sigmoid((logits + uniform.log() - (1 - uniform).log()) / 0.2)
        )
        parts = (theta * mask).split([p.numel() for p in model.net.parameters()])
        named = {name: part.view_as(p) for (name, p), part in zip(model.net.named_parameters(), parts, strict=True)}
        error = functional_call(model.net, named, (model.code,)) - model.observation
        adam.zero_grad()
        (error.square().mean() + 1e-9 * divergence(logits.sigmoid(), wanted)).backward()
        adam.step()
    found = PRUNERS["oes"](target=2, search=3).scores(tiny.model(steps=2))
    torch.testing.assert_close(found, logits.detach(), rtol=0, atol=1e-5)
    assert PRUNERS["oes"](target=2).search * 3000 == 60_000


def test_synflow_cuts_in_a_hundred_steps_of_one_rate(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    largest = Mask.keep_largest
    monkeypatch.setattr(Mask, "keep_largest", lambda *given: asked.append(given[-1]) or largest(*given))
    model = tiny.model()
    mask = PRUNERS["synflow"](target=5).build(model, None)
    total = model.n_prunable
    assert asked == [ceil(total * (mask.n_kept / total) ** (t / 100) - 1e-6) for t in range(1, 101)]


@pytest.mark.parametrize("total", [3944, 2_208_768])
def test_the_last_cut_of_synflow_keeps_what_is_asked_for(total: int) -> None:
    """In floating point the rate alone would keep one weight more now and then."""
    for round in range(1, 51):
        kept = kept_after(total, round)
        counts = cut_sizes(total, kept)
        assert (len(counts), counts[-1]) == (100, kept)
        assert counts == sorted(counts, reverse=True)


def test_the_divergence_of_oes_is_that_of_bernoulli_variables() -> None:
    kept = torch.tensor([0.5, 0.05, 0.9], dtype=torch.float64)
    other = torch.distributions.Bernoulli(torch.full((3,), 0.05, dtype=torch.float64))
    exact = torch.distributions.kl_divergence(torch.distributions.Bernoulli(kept), other).sum()
    assert divergence(kept, 0.05) == pytest.approx(exact.item(), rel=1e-4)
    assert divergence(torch.full((3,), 0.05), 0.05) == pytest.approx(0, abs=1e-6)
