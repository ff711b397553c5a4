"""Levels: exact counts, and IMP cut to them between two rounds."""

import pytest
from pydantic import ValidationError

from lip.masks import kept_after
from lip.priors import Hourglass
from lip.priors.unet import Unet
from lip.pruners import Imp
from lip.specs.target import Level
from lip.tasks.denoise import Denoise

HOURGLASS = (2_208_768, 2_217_831)


@pytest.mark.parametrize(
    ("level", "total", "parameters", "kept"),
    [
        (Level(sparsity=0.95), 2_217_831, 2_217_831, 110_891),  # Optimal Eye Surgeon's 5 %: int(0.05 * all)
        (Level(sparsity=0.95), 3_008_867, 3_008_867, 150_443),
        (Level(sparsity=0.2), *HOURGLASS, kept_after(2_208_768, 1)),
        (Level(sparsity=0.9), 10, 10, 1),
        (Level(parameters=100_224), *HOURGLASS, 91_161),  # the deep decoder of width 128, less biases and batch norm
        (Level(parameters=2_217_831), *HOURGLASS, 2_208_768),
    ],
)
def test_a_level_keeps_an_exact_number_of_weights(level: Level, total: int, parameters: int, kept: int) -> None:
    assert level.n_kept(total, parameters) == kept


@pytest.mark.parametrize("fields", [{}, {"sparsity": 0.5, "parameters": 3}, {"sparsity": 1.0}, {"parameters": 0}])
def test_a_level_is_one_of_two(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Level(**fields)


def test_a_task_counts_a_priors_parameters_without_building_it(tiny) -> None:
    task, picture = Denoise(), tiny.pictures["photo"]
    assert task.counts(Hourglass(), picture, "weights") == HOURGLASS
    assert task.counts(Hourglass(), picture, "all") == (2_217_831, 2_217_831)
    assert task.counts(Unet(), picture, "weights") == (3_003_184, 3_008_867)


def test_imp_reaches_a_level_from_the_last_round_that_keeps_more(tiny) -> None:
    levels = (Level(sparsity=0.3), Level(sparsity=0.5), Level(sparsity=0.52))
    fits = tiny.trajectory(levels=levels, rounds=0).fits
    chain = tiny.trajectory(rounds=4).fits
    assert fits[0] == chain[0]
    assert [fit.recipe for fit in fits[1:]] == [
        Imp(trained=chain[k].replace(next_target=level)) for k, level in zip((1, 3, 3), levels, strict=True)
    ]
    assert [str(fit.recipe) for fit in fits] == ["round 0", "level 0.3", "level 0.5", "level 0.52"]
    assert [fit.recipe.round for fit in fits] == [0, None, None, None]


def test_imp_reaches_a_level_of_fewer_weights_than_rounds_can_leave(tiny) -> None:
    """A fifth of two weights is none: on the way to one weight, rounds end there."""
    fit = tiny.fit()
    total, parameters = fit.task.counts(fit.prior, fit.picture, "weights")
    level = Level(parameters=1 + parameters - total)
    (_, fit) = tiny.trajectory(rounds=0, levels=(level,)).fits
    before = fit.recipe.source_fit.recipe.round
    assert kept_after(total, before) == 2 < kept_after(total, before - 1)


def test_a_level_that_is_a_whole_number_of_rounds_is_those(tiny) -> None:
    rounds = tiny.trajectory(rounds=3).fits
    levels = tiny.trajectory(rounds=0, levels=(Level(sparsity=0.2), Level(sparsity=0.488))).fits
    assert levels == (rounds[0], rounds[1], rounds[3])


def test_a_level_of_as_many_parameters_as_a_round_keeps_is_cut_by_a_fifth(tiny) -> None:
    """Not from the round itself, which would remove nothing after another training."""
    fit = tiny.fit()
    total, parameters = fit.task.counts(fit.prior, fit.picture, "weights")
    level = Level(parameters=kept_after(total, 2) + parameters - total)
    (_, fit) = tiny.trajectory(rounds=0, levels=(level,)).fits
    assert fit.recipe.source_fit == tiny.trajectory(rounds=1).fits[1].replace(next_target=level)


def test_a_ticket_cut_to_a_level_is_published_with_its_fit(tiny, ledger) -> None:
    level = Level(sparsity=0.3)
    _, fit = tiny.trajectory(rounds=0, levels=(level,)).fits
    assert tiny.run_fit(fit, ledger)
    whole, ticket = ledger.next_mask(fit.recipe.source_fit.recipe.source_fit), ledger.next_mask(fit.recipe.source_fit)
    assert ticket.n_kept == level.n_kept(ticket.bits.size, 0)
    assert (ticket.bits <= whole.bits).all()
    (row,) = ledger.fits(ids=[fit.id]).to_pylist()
    assert (row["round"], row["sparsity_asked"], row["n_kept"]) == (None, 0.3, ticket.n_kept)
    assert row["sparsity"] == pytest.approx(0.3, abs=1 / ticket.bits.size)
