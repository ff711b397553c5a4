"""The contract of every pruner on every prior, whatever a mask covers: what makes comparisons between them fair."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numba.core.event import install_recorder

from lip.fast.backend import choose
from lip.ledger.ledger import Ledger
from lip.masks import Mask, kept_after
from lip.priors import PRIORS, Decoder, Hourglass, Prior
from lip.priors.nas import Nas
from lip.priors.unet import Unet
from lip.pruners import PRUNERS
from lip.specs.fit import Fit
from lip.specs.target import Level
from lip.specs.trajectory import Trajectory
from lip.training.model import Model
from lip.training.record import RestorationResult
from lip.training.restore import train
from lip.training.run import build_mask

SMALL: dict[str, Prior] = {
    "decoder": Decoder(width=8, scales=2),
    "hourglass": Hourglass(width=8, scales=2),
    "nas": Nas(net="80 11/01", width=16),  # bicubic, and a transposed convolution
    "unet": Unet(scales=2, depth=4),
}
LEVEL = Level(sparsity=0.6)


def test_every_prior_is_held_to_the_contract() -> None:
    assert SMALL.keys() == PRIORS.keys()


@pytest.fixture(params=SMALL)
def prior(request: pytest.FixtureRequest) -> Prior:
    return SMALL[request.param]


CASES = [(pruner, "hourglass") for pruner in PRUNERS]
CASES += [(pruner, prior) for prior in SMALL if prior != "hourglass" for pruner in ("imp", "random")]


@pytest.fixture(params=CASES, ids="-".join)
def trajectory(request: pytest.FixtureRequest, tiny, covers: str) -> Trajectory:
    """Two rounds and, towards a level, a third, of every pruner on the hourglass and of two pruners on every prior."""
    pruner, prior = request.param
    options = (("search", 2),) if pruner == "oes" else ()
    return tiny.trajectory(pruner=pruner, prior=SMALL[prior], covers=covers, options=options, rewind=40.0, steps=4)


@pytest.fixture(params=["weights", "all"])
def covers(request: pytest.FixtureRequest) -> str:
    return request.param


def mask_of(fit: Fit, tiny, ledger: Ledger) -> tuple[Model, Mask]:
    for source in fit.dependencies:
        tiny.run_fit(source, ledger)
    model = tiny.model(fit)
    return model, build_mask(fit, model, ledger)


def test_counts_are_exact_rounds_nested_and_seeds_repeatable(trajectory: Trajectory, tiny, ledger: Ledger) -> None:
    found = [mask_of(fit, tiny, ledger)[1] for fit in trajectory.fits]
    total = found[0].bits.size
    assert [mask.n_kept for mask in found] == [kept_after(total, k) for k in range(3)]
    nested = all((after.bits <= before.bits).all() for before, after in pairwise(found))
    assert nested or not PRUNERS[trajectory.pruner].nested
    assert found[-1] == mask_of(trajectory.fits[-1], tiny, ledger)[1]
    _, fit = trajectory.replace(rounds=0, levels=(LEVEL,), rewind=0.0).fits
    model, mask = mask_of(fit, tiny, ledger)
    assert mask.n_kept == LEVEL.n_kept(total, model.theta.numel()) < kept_after(total, 4)
    assert str(fit.recipe) == "level 0.6"


def test_survivors_start_at_the_rewind_point_and_the_pruned_stay_zero(
    trajectory: Trajectory, tiny, ledger: Ledger
) -> None:
    fit = trajectory.fits[-1]
    model, mask = mask_of(fit, tiny, ledger)
    start = ledger.weights(fit.start)
    seen: list[torch.Tensor] = []
    model.net.register_forward_pre_hook(lambda net, _: seen.append(model.theta.detach().clone()))
    kept = model.expand_mask(mask).bool()
    trained = train(model, mask, start)
    rewound = tiny.model(fit)
    rewound.start_from(start)
    assert torch.equal(seen[0][kept], rewound.theta.detach()[kept])
    for theta in (*seen, model.theta.detach()):
        assert (theta[~kept] == 0).all()
    assert not np.array_equal(
        trained.final_weights[mask.bits], seen[0][model.is_prunable][torch.tensor(mask.bits)].numpy()
    )


def test_a_net_of_hardly_any_weights_is_reported_and_crashes_nothing(prior: Prior, covers: str, tiny, ledger) -> None:
    trajectory = tiny.trajectory(prior=prior, covers=covers, pruner="random", rounds=0, levels=(Level(sparsity=0.999),))
    fit = trajectory.fits[-1]
    tiny.run_fit(fit, ledger)
    (row,) = ledger.fits(ids=[fit.id]).to_pylist()
    assert row["collapsed"]
    assert row["empty_layers"] == row["layer_kept"].count(0) > 0
    assert row["covers"] == covers


def test_masks_over_all_parameters_count_every_one_of_them(prior: Prior, tiny) -> None:
    model = tiny.model(prior=prior, covers="all")
    assert model.is_prunable.all()
    assert model.n_prunable == model.theta.numel() == sum(layer.size for layer in model.layers)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    assert {name for name, _ in model.net.prunable_parameters()} < set(names)


def test_what_survives_of_sgld_is_noised_in_the_convolutions_only(tiny) -> None:
    model: Model = tiny.model(covers="all", langevin=0.5, lr=1e-12, steps=1, backtrack=None)
    before = model.theta.detach().clone()
    trained: RestorationResult = train(model, Mask.dense(model.layers))
    moved = (model.theta.detach() - before).abs() > 1e-6
    assert torch.equal(moved, model.is_convolutional)
    assert trained.weights


@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_every_prior_is_the_same_on_both_backends(
    prior: Prior, covers: str, sparsity: float, tiny, ledger: Ledger
) -> None:
    """To rounding in the first steps; training amplifies the difference later. No step compiles anything."""
    trajectory = tiny.trajectory(
        prior=prior, covers=covers, pruner="random", rounds=0, levels=(Level(sparsity=sparsity),), steps=3
    )
    losses = []
    for backend in ("dense", "numba"):
        assert choose(backend, "cpu").name == backend
        model, mask = mask_of(trajectory.fits[-1], tiny, ledger)
        with install_recorder("numba:compile") as compiled:
            trained = train(model, mask, backend=backend)
        assert not compiled.buffer
        assert (trained.final_weights[~mask.bits] == 0).all()
        assert trained.final_weights.shape == mask.bits.shape
        assert trained.weights.keys() == tiny.model(trajectory.fits[-1]).weights().keys()
        losses.append(trained.curve.loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
