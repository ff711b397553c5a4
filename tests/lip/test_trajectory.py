"""Trajectories: which fits they share, and that publishing can stop anywhere and go on as if it had not."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lip.data.library import InputLibrary
from lip.ledger.ledger import Ledger
from lip.ledger.schema import RESULTS
from lip.masks import Mask
from lip.pruners import PRUNERS, Imp
from lip.pruners.random import Random
from lip.pruners.snip import Snip
from lip.specs.fit import Fit
from lip.specs.request import parse_trajectory
from lip.specs.target import Level
from lip.specs.trajectory import MaskSource
from lip.tasks.superres import SuperResolution
from lip.training.restore import train
from lip.training.run import build_mask, run_fit


def results(ledger: Ledger) -> pa.Table:
    """All that must not depend on when and how fast it was computed."""
    return ledger.fits(RESULTS)


@pytest.fixture
def run(tiny) -> Callable[..., list[bool]]:
    """Publishes all rounds in turn, as every caller does."""

    def all_rounds(trajectory, ledger: Ledger, **options: object) -> list[bool]:
        return [tiny.run_fit(fit, ledger, **options) for fit in trajectory.fits]

    return all_rounds


# Which fits


def test_imp_is_a_chain_in_which_each_round_is_cut_from_the_one_before(tiny) -> None:
    fits = tiny.trajectory(rounds=3).fits
    assert fits[0] == tiny.fit()
    assert [fit.recipe for fit in fits[1:]] == [Imp(trained=before) for before in fits[:-1]]
    assert [fit.dependencies for fit in fits] == [(), *((before,) for before in fits[:-1])]
    assert len({fit.id for fit in fits}) == 4


@pytest.mark.parametrize(("pruner", "recipe"), [("random", Random), ("snip", Snip)])
def test_rounds_of_masks_found_at_initialisation_depend_on_nothing(tiny, pruner: str, recipe: type) -> None:
    fits = tiny.trajectory(pruner=pruner, rounds=3).fits
    assert [fit.recipe for fit in fits[1:]] == [recipe(target=k) for k in (1, 2, 3)]
    assert all(fit.dependencies == () for fit in fits)


def test_the_dense_fit_is_shared_by_all_pruners_and_rewinds(tiny) -> None:
    trajectories = [tiny.trajectory(pruner=pruner, rewind=rewind) for pruner in PRUNERS for rewind in (0.0, 40.0)]
    assert len({trajectory.id for trajectory in trajectories}) == 2 * len(PRUNERS)
    assert {trajectory.fits[0].id for trajectory in trajectories} == {tiny.fit().id}
    later = [fit.id for trajectory in trajectories for fit in trajectory.fits[1:]]
    assert len(set(later)) == len(later) == 4 * len(PRUNERS)


def levels_of(trajectory) -> list[float | None]:
    return [fit.next_target and fit.next_target.sparsity for fit in trajectory.fits]


def test_rounds_of_another_share_are_levels_each_cut_from_the_fit_before(tiny) -> None:
    trajectory = tiny.trajectory(rounds=3, pruned_share=0.3)
    fits = trajectory.fits
    assert fits[0] == tiny.fit(next_target=Level(sparsity=0.3))
    assert [fit.recipe for fit in fits[1:]] == [Imp(trained=before) for before in fits[:-1]]
    assert levels_of(trajectory) == [0.3, 0.51, 0.657, 0.7599]
    assert tiny.trajectory(rounds=5, pruned_share=0.3).fits[:4] == fits, "fewer rounds are the beginning of more"
    random = tiny.trajectory(rounds=3, pruned_share=0.3, pruner="random").fits
    assert random == (tiny.fit(), *(tiny.fit(recipe=Random(target=before.next_target)) for before in fits[:-1]))


def test_a_level_is_reached_in_rounds_of_the_share(tiny) -> None:
    (_, fit) = tiny.trajectory(rounds=0, levels=(Level(sparsity=0.9),), pruned_share=0.5).fits
    assert fit.recipe.source_fit.recipe.target == Level(sparsity=0.875)
    (_, usual) = tiny.trajectory(rounds=0, levels=(Level(sparsity=0.9),)).fits
    assert usual.recipe.source_fit.recipe.target == 10


def test_a_cubic_schedule_ends_at_its_last_level_after_its_rounds(tiny) -> None:
    own = tiny.trajectory(rounds=4, pruning="cubic", levels=(Level(sparsity=0.9),))
    assert levels_of(own) == [pytest.approx(0.9 * (1 - (1 - k / 4) ** 3)) for k in (1, 2, 3)] + [0.9, None]
    assert [fit.recipe for fit in own.fits[1:]] == [Imp(trained=before) for before in own.fits[:-1]]
    assert levels_of(tiny.trajectory(rounds=4, pruning="cubic"))[3] == pytest.approx(1 - 0.8**4)
    assert tiny.trajectory(rounds=0, pruning="cubic").fits == (tiny.fit(),)


def test_tickets_of_another_share_are_transferred(tiny) -> None:
    other = tiny.pictures["other"]
    native = tiny.trajectory(picture=other, pruned_share=0.3)
    transfer = tiny.trajectory(source=other, pruned_share=0.3)
    assert [fit.recipe.source_fit for fit in transfer.fits] == [None, *native.fits[:-1]]
    assert transfer.fits[0] == tiny.fit()


def test_one_shot_masks_are_cut_from_the_trained_dense_network_at_once(tiny, ledger: Ledger) -> None:
    fits = tiny.trajectory(pruner="one_shot", rounds=3, pruned_share=0.5).fits
    dense = tiny.fit().rewound(100)
    assert [fit.dependencies for fit in fits] == [(), *[(dense,)] * 3]
    assert tiny.run_fit(fits[3], ledger)
    trained = train(tiny.model(), Mask.dense(tiny.model().layers))
    expected = Mask.keep_largest(tiny.model().layers, np.abs(trained.final_weights), trained.final_weights.size // 8)
    assert build_mask(fits[3], tiny.model(), ledger) == expected
    for path in ledger.root.glob("weights/*/*"):
        path.unlink()
    assert ledger.lost([fits[2]]) == {dense.id}
    assert tiny.run_fit(fits[2], ledger), "the dense network is trained again"


def test_fewer_rounds_are_the_beginning_of_more(tiny) -> None:
    assert tiny.trajectory(rounds=5).fits[:3] == tiny.trajectory(rounds=2).fits


def test_rewound_rounds_start_from_the_dense_run_of_the_same_seed(tiny) -> None:
    fits = tiny.trajectory(rewind=40.0, seed=3).fits
    start = tiny.fit(seed=3).rewound(40)
    assert start.schedule.steps == 2
    assert [fit.start for fit in fits] == [None, start, start]
    assert fits[2].dependencies == (start, fits[1])


def test_a_transfer_takes_the_tickets_of_its_source_and_a_dense_fit_of_its_own(tiny) -> None:
    other = tiny.pictures["other"]
    native, transfer = tiny.trajectory(picture=other), tiny.trajectory(source=other)
    assert transfer.source_trajectory == native
    assert transfer.fits[0] == tiny.fit()
    assert [fit.recipe.source_fit for fit in transfer.fits] == [None, *native.fits[:-1]]
    assert {fit.picture.name for fit in transfer.fits} == {"photo"}
    assert native.source_trajectory is None


def test_a_rewound_transfer_rewinds_each_image_to_its_own_weights(tiny) -> None:
    other = tiny.pictures["other"]
    transfer = tiny.trajectory(source=other, rewind=40.0)
    assert transfer.fits[2].start.picture == tiny.pictures["photo"]
    assert transfer.fits[2].recipe.source_fit.start.picture == other


# Publishing


def test_publishing_trains_what_is_missing_once(tiny, ledger: Ledger, run) -> None:
    trajectory = tiny.trajectory()
    assert run(trajectory, ledger) == [True, True, True]
    table = ledger.fits()
    assert run(trajectory, ledger) == [False, False, False]
    assert ledger.fits() == table
    assert sorted(table["round"].to_pylist()) == [0, 1, 2]
    assert sorted(table["n_kept"].to_pylist()) == [3886, 4858, 6072]


def test_publishing_the_last_round_publishes_all_it_builds_on(tiny, ledger: Ledger) -> None:
    fits = tiny.trajectory(rewind=40.0).fits
    assert tiny.run_fit(fits[-1], ledger)
    assert all(fit in ledger for fit in (*fits, fits[-1].start))
    assert ledger.fits().num_rows == 4


class Interrupted(Exception):  # noqa: N818 -- it is no error
    pass


@pytest.mark.parametrize("changes", [{}, {"rewind": 40.0}, {"pruner": "snip"}, {"pruner": "random"}])
def test_an_interrupted_trajectory_goes_on_as_if_nothing_had_happened(tiny, tmp_path: Path, run, changes) -> None:
    trajectory = tiny.trajectory(rounds=3, **changes)
    smooth, rough = Ledger(tmp_path / "smooth"), Ledger(tmp_path / "rough")
    run(trajectory, smooth)

    def trip(fit: Fit) -> Callable[[int, float], None]:
        def watch(step: int, psnr: float) -> None:
            if fit.recipe.round == 2 and step == 3:
                raise Interrupted

        return watch

    with pytest.raises(Interrupted):
        run(trajectory, rough, watch=trip)
    assert [fit in rough for fit in trajectory.fits] == [True, True, False, False]
    assert run(trajectory, rough) == [False, False, True, True]
    assert results(rough) == results(smooth)
    for fit in trajectory.fits:
        if fit.has_next_mask:
            assert rough.next_mask(fit) == smooth.next_mask(fit)


def test_the_ledger_says_the_same_whatever_else_the_process_has_computed(tiny, tmp_path: Path, run) -> None:
    alone, together = Ledger(tmp_path / "alone"), Ledger(tmp_path / "together")
    run(tiny.trajectory(), alone)
    torch.manual_seed(99)
    run(tiny.trajectory(seed=1, pruner="random"), together)
    run(tiny.trajectory(), together)
    ids = [fit.id for fit in tiny.trajectory().fits]
    assert together.fits(RESULTS, ids) == results(alone)


def test_a_published_trajectory_needs_no_next_masks(tiny, ledger: Ledger, run) -> None:
    trajectory = tiny.trajectory()
    run(trajectory, ledger)
    shutil.rmtree(ledger.root / "next_masks")
    assert run(trajectory, ledger) == [False, False, False]


def test_a_lost_next_mask_is_computed_again_the_same_by_the_round_that_needs_it(tiny, ledger: Ledger, run) -> None:
    """Which needs that of the round before it, which is lost too."""
    trajectory = tiny.trajectory()
    run(trajectory, ledger)
    before, masks = results(ledger), [ledger.next_mask(fit) for fit in trajectory.fits[:2]]
    shutil.rmtree(ledger.root / "next_masks")
    for path in (ledger.root / "fits").rglob(f"{trajectory.fits[2].id}-*"):
        path.unlink()
    assert run(trajectory, ledger) == [False, False, True]
    assert [ledger.next_mask(fit) for fit in trajectory.fits[:2]] == masks
    assert results(ledger) == before


def test_a_whole_fit_has_the_next_mask_that_others_need(tiny, ledger: Ledger) -> None:
    fit = tiny.fit()
    tiny.run_fit(fit, ledger)
    mask = ledger.next_mask(fit)
    shutil.rmtree(ledger.root / "next_masks")
    assert [tiny.run_fit(fit, ledger, whole=whole) for whole in (False, True, True)] == [False, True, False]
    assert ledger.next_mask(fit) == mask


def test_the_mask_of_a_round_is_the_ticket_of_the_one_before(tiny, ledger: Ledger, run) -> None:
    trajectory = tiny.trajectory()
    run(trajectory, ledger)
    for before, fit in pairwise(trajectory.fits):
        (row,) = ledger.fits(["layer_kept", "mask_fit"], ids=[fit.id]).to_pylist()
        assert row == {"layer_kept": ledger.next_mask(before).kept_per_layer, "mask_fit": before.id}
    tickets = [ledger.next_mask(fit).bits for fit in trajectory.fits]
    assert (tickets[2] <= tickets[1]).all()
    assert (tickets[1] <= tickets[0]).all()


def test_a_ticket_keeps_the_weights_that_ended_largest(tiny, ledger: Ledger) -> None:
    fit = tiny.fit()
    tiny.run_fit(fit, ledger)
    model = tiny.model(fit)
    magnitudes = np.abs(train(model, Mask.dense(model.layers)).final_weights)
    kept = ledger.next_mask(fit).bits
    assert magnitudes[kept].min() >= magnitudes[~kept].max()


def test_a_transfer_computes_its_source_when_that_is_absent(tiny, ledger: Ledger, run) -> None:
    other = tiny.pictures["other"]
    transfer = tiny.trajectory(source=other)
    assert run(transfer, ledger) == [True, True, True]
    native = tiny.trajectory(picture=other)
    assert [fit in ledger for fit in native.fits] == [True, True, False]
    rows = {row["fit"]: row for row in ledger.fits().to_pylist()}
    assert len(rows) == 5
    assert rows[transfer.fits[2].id]["mask_image"] == "other"
    assert rows[transfer.fits[1].id]["layer_kept"] == rows[native.fits[1].id]["layer_kept"]


def test_rewound_rounds_start_at_theta_j_and_not_at_theta_0(tiny, ledger: Ledger, run) -> None:
    rewound, plain = tiny.trajectory(rewind=100.0, rounds=1), tiny.trajectory(rounds=1)
    run(rewound, ledger)
    run(plain, ledger)
    first = {
        name: ledger.fits(["curve_loss"], ids=[fit.id])["curve_loss"][0].as_py()[0]
        for name, fit in (("dense", plain.fits[0]), ("plain", plain.fits[1]), ("rewound", rewound.fits[1]))
    }
    assert first["rewound"] < 0.9 * first["plain"]
    assert first["plain"] != first["dense"]


def test_the_watch_is_told_which_fit_begins_and_follows_its_steps(tiny, ledger: Ledger, run) -> None:
    seen: list[tuple[int, bool, int]] = []
    trajectory = tiny.trajectory(rounds=1, rewind=40.0)
    run(
        trajectory,
        ledger,
        watch=lambda fit: lambda step, psnr: seen.append((fit.recipe.round, fit.saves_weights, step)),
    )
    dense, rewound, pruned = [(0, False)] * 5, [(0, True)] * 2, [(1, False)] * 5
    assert seen == [(*which, step) for part in (dense, rewound, pruned) for step, which in enumerate(part, 1)]


@pytest.mark.parametrize("keep", [True, False])
def test_outputs_are_kept_when_asked_for_and_not_those_of_the_sources(tiny, ledger: Ledger, keep: bool) -> None:
    fits = tiny.trajectory(rounds=1).fits
    tiny.run_fit(fits[-1], ledger, outputs=keep)
    assert [ledger.has_outputs(fit) for fit in fits] == [False, keep]
    assert tiny.run_fit(fits[-1], ledger, outputs=True) == (not keep), "trained again only for outputs not kept"
    assert ledger.outputs(fits[-1])["last_ema"].shape == (32, 32, 3)


def test_the_picture_is_found_by_its_pixels(tiny, ledger: Ledger) -> None:
    with pytest.raises(KeyError, match=tiny.fit().picture.content_hash):
        run_fit(tiny.fit(), {}, ledger)
    assert ledger.fits().num_rows == 0


def test_masks_of_several_images_come_from_fits_of_them_all(tiny, ledger: Ledger, run) -> None:
    both = tuple(tiny.pictures.values())
    own = tiny.trajectory()
    transfer = own.replace(mask_source=MaskSource(pictures=both, task=own.task, schedule=own.schedule))
    assert transfer.source_image == "photo+other"
    assert transfer.source_trajectory.fits[0].pictures == both
    assert transfer.fits[0] == own.fits[0]
    assert run(transfer, ledger) == [True, True, True]
    rows = {row["fit"]: row for row in ledger.fits().to_pylist()}
    assert rows[transfer.fits[1].id]["mask_image"] == "photo+other"
    assert rows[transfer.source_trajectory.fits[1].id]["image"] == "photo+other"


def test_masks_of_another_task_come_from_its_own_schedule(tiny, ledger: Ledger, run) -> None:
    own = tiny.trajectory()
    mask_source = MaskSource(pictures=(own.picture,), task=SuperResolution(), schedule=own.schedule.replace(steps=4))
    transfer = own.replace(mask_source=mask_source)
    assert (transfer.source_image, transfer.source_task) == (None, "superres")
    assert {(fit.task.kind, fit.schedule.steps) for fit in transfer.source_trajectory.fits} == {("superres", 4)}
    assert run(transfer, ledger) == [True, True, True]
    rows = {row["fit"]: row for row in ledger.fits().to_pylist()}
    assert rows[transfer.fits[2].id]["mask_task"] == "superres"


def test_a_rewound_fit_reaches_the_level_of_the_fit_it_came_from(ledger: Ledger) -> None:
    """At 64 pixels and width 64, where undoing its first steps used to hold it 3 dB below."""
    library = InputLibrary()
    sizes = {"size": 64, "width": 64, "steps": 120, "rounds": 1}
    asked = {"image": "astronaut", "task": "denoise", "pruner": "imp", "rewind": 20.0, **sizes}
    dense, rewound = parse_trajectory(asked, library, "test").fits
    run_fit(rewound, library.inputs, ledger)
    rows = {row["fit"]: row for row in ledger.fits(ids=[dense.id, rewound.id]).to_pylist()}
    assert rows[rewound.id]["start_steps"] == 24
    assert rows[rewound.id]["backtracks"] == 0
    assert rows[rewound.id]["psnr_peak"] > rows[dense.id]["psnr_peak"] - 0.3
