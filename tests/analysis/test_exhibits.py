"""Verdicts on invented results, whose truth is exact."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.claims import HERE
from analysis.exhibits import EXHIBITS, Exhibit, MissingExhibit
from analysis.exhibits.overlap import shared
from analysis.exhibits.stop_rule import stop_round
from analysis.frames import Frames
from analysis.style import has_pictures, svg
from analysis.verdicts import HOLDS, NOT_MEASURED, REFUTED, UNDECIDED, Verdict
from lip.errors import InputError
from lip.ledger.schema import OUTPUTS
from lip.masks import Layer, Mask

SEEDS = (0, 1, 2)


def approx(value):
    """Return what equals a value but for the invented spread."""
    return pytest.approx(value, abs=1e-4)


def make(invented, name: str) -> Exhibit | MissingExhibit:
    return analysis.EXHIBITS[name](analysis.load(invented.folder, "invented"))


def claims(exhibit: Exhibit | MissingExhibit, words: str, output: str = "last") -> Verdict:
    assert isinstance(exhibit, Exhibit)
    here = [each for each in exhibit.verdicts if each.scope == HERE and each.output == output]
    (one,) = [each for each in here if words in each.claim.statement]
    return one


def pruners(invented, *names: str, rounds: int = 9, images: tuple[str, ...] = ("cat", "dog"), seeds=SEEDS):
    return [
        invented.trajectory(image, name, seed, rounds=rounds) for image in images for name in names for seed in seeds
    ]


def test_tickets_match_as_far_as_the_pooled_mean_stays_within_the_tolerance(invented):
    # cat loses 0.019 dB a round, dog gains 0.02 dB a round up to 0.08: pooled, every round is within 0.1 dB
    def psnr(image, seed, round, **_):
        return 30 + seed + (-0.019 * round if image == "cat" else min(0.02 * round, 0.08))

    invented.sweep(pruners(invented, "imp", rounds=10), psnr)
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58 %")
    assert verdict.verdict == HOLDS
    assert verdict.n == 3
    assert verdict.note.startswith("matches up to 86.58 %, on cat up to 67.23 %; least certain at ")


def test_levels_and_what_is_done_as_released_disturb_no_round(invented):
    """They stand in one sweep with what they are compared with, but no average of whole rounds takes them in."""
    plain = pruners(invented, "imp", rounds=3)
    other = [
        [
            {**point, **change, "trajectory": point["trajectory"] + name, "fit": invented.id(name + point["fit"])}
            for point in part
        ]
        for part in plain
        for name, change in (("a", {"compat": "z"}), ("b", {"round": None}))
    ]
    invented.sweep(plain + other, lambda compat, round, **_: 30.0 if round is not None and not compat else 10.0)
    exhibit = make(invented, "existence")
    assert isinstance(exhibit, Exhibit)
    assert set(exhibit.frame["psnr_ema"].round(3)) == {30.0}
    assert exhibit.frame["round"].max() == 3
    fits = analysis.load(invented.folder, "invented").fits
    assert len(fits) == 3 * len(plain) * 4
    assert fits["round"].isna().sum() == len(plain) * 4
    assert set(fits["compat"]) == {"", "z"}


def test_a_round_that_does_not_match_ends_the_reach(invented):
    invented.sweep(pruners(invented, "imp"), lambda round, seed, **_: 30 + seed - 0.3 * (round == 4))
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert verdict.verdict == REFUTED
    assert verdict.effect == approx(-0.3)
    assert verdict.note.startswith("matches up to 48.8 %")
    assert verdict.note.endswith("refuted at 59.04 %")


def test_a_claim_about_every_round_is_as_certain_as_its_least_certain_round(invented):
    """Round 4 is worse than dense in all seeds alike; round 2 is better, but may be chance."""
    luck = (-0.3, 0.1, 0.5)
    invented.sweep(
        pruners(invented, "imp"),
        lambda round, seed, **_: 30 + seed - 0.05 * (round == 4) + luck[seed] * (round == 2),
    )
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert (verdict.verdict, verdict.effect) == (UNDECIDED, approx(0.1))
    assert "not certain at 36 %" in verdict.note


def test_matching_all_that_is_measured_is_not_enough_short_of_the_papers_round(invented):
    invented.sweep(pruners(invented, "imp", rounds=3), lambda seed, **_: 30.0 + seed)
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert verdict.verdict == NOT_MEASURED
    assert verdict.note.endswith("not measured at 86.6 %")


def test_outputs_are_judged_apart(invented):
    invented.sweep(
        pruners(invented, "imp"),
        lambda **_: 30.0,
        lambda round, seed, **_: {"psnr_last_ema": 30 - (0.5 + 0.001 * seed) * (round > 0)},
    )
    exhibit = make(invented, "existence")
    verdicts = {output: claims(exhibit, "match the dense prior up to 86.58", output).verdict for output in OUTPUTS}
    assert verdicts == {"peak": HOLDS, "last": REFUTED, "stop": HOLDS}


def test_imp_against_random_and_snip_is_paired_by_image_seed_and_round(invented):
    drop = {"imp": 0.0, "random": 0.25, "snip": -0.5}

    def psnr(image, pruner, seed, round, **_):
        # what image, seed and round do to all pruners alike must cancel
        return 25 + 3 * (image == "cat") + seed - 0.1 * round - drop[pruner] * (round > 0)

    invented.sweep(pruners(invented, "imp", "random", "snip", rounds=14), psnr)
    exhibit = make(invented, "existence")
    random, snip = claims(exhibit, "beat random"), claims(exhibit, "beat SNIP")
    assert (random.verdict, random.n) == (HOLDS, 3)
    assert (random.effect, random.low, random.high) == approx((0.25, 0.25, 0.25))
    assert random.note.startswith("2 images, ahead at 14 of 14 rounds, 20–95.6 %; least certain at ")
    assert (snip.verdict, snip.effect) == (REFUTED, approx(-0.5))


def test_a_rival_is_met_on_the_images_it_has(invented):
    trajectories = [*pruners(invented, "imp", rounds=14), *pruners(invented, "random", rounds=14, images=("cat",))]
    invented.sweep(trajectories, lambda pruner, round, **_: 30 - 0.5 * (pruner == "random") * (round > 0))
    random = claims(make(invented, "existence"), "beat random")
    assert (random.verdict, random.effect, random.n) == (HOLDS, approx(0.5), 3)
    assert random.note.startswith("1 image, ahead at 14 of 14 rounds, 20–95.6 %")


def test_a_claim_is_not_judged_before_all_that_it_speaks_of_is_measured(invented):
    invented.sweep(pruners(invented, "imp", "random", rounds=13), lambda pruner, **_: 30 - 0.5 * (pruner == "random"))
    random = claims(make(invented, "existence"), "beat random")
    assert (random.verdict, random.effect, random.n) == (NOT_MEASURED, approx(0.5), 3)
    assert random.note.startswith("2 images, ahead at 13 of 13 rounds, 20–94.5 %; ")
    assert random.note.endswith("; not measured at 95.6 %")


def test_one_seed_is_not_enough(invented):
    invented.sweep(pruners(invented, "imp", "random", "snip", seeds=(0,)))
    exhibit = make(invented, "existence")
    assert isinstance(exhibit, Exhibit)
    assert claims(exhibit, "match the dense prior up to 86.58").verdict == UNDECIDED
    assert claims(exhibit, "beat random").verdict == NOT_MEASURED
    assert {exhibit.verdict[output] for output in OUTPUTS} == {UNDECIDED}
    assert "One seed, so no band." in exhibit.caption


def test_a_seed_that_lacks_a_round_is_left_out(invented):
    def psnr(seed, round, **_):
        return None if seed == 3 and round == 7 else 30 - 5.0 * (seed == 3) * (round > 0)

    invented.sweep(pruners(invented, "imp", seeds=(0, 1, 2, 3)), psnr)
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert (verdict.verdict, verdict.n, verdict.effect) == (HOLDS, 3, approx(0))
    assert "1 incomplete seed left out" in verdict.note


def test_values_that_are_not_finite_are_dropped_and_said_and_collapsed_fits_count(invented):
    def values(seed, round, **_):
        if seed == 0 and round == 1:
            return {"psnr_last_ema": float("inf")}
        return {"collapsed": True} if seed == 1 and round == 2 else {}

    invented.sweep(pruners(invented, "imp", images=("cat",), seeds=(0, 1, 2, 3)), lambda seed, **_: 30.0 + seed, values)
    exhibit = make(invented, "existence")
    assert isinstance(exhibit, Exhibit)
    assert "Values that are not finite: 1, left out." in exhibit.caption
    assert "Fits that did not train as meant (×): 1 collapsed; means include them." in exhibit.caption
    assert claims(exhibit, "match the dense prior up to 86.58", "last").n == 3
    assert claims(exhibit, "match the dense prior up to 86.58", "peak").n == 4
    first = exhibit.frame.query("round == 1 and output == 'last'").iloc[0]
    assert first["psnr_ema"] == approx(32)  # the mean of 31, 32 and 33


def test_psnr_is_that_of_the_output_which_the_published_protocol_reports(invented):
    """The averaged one for denoising, the output itself for super-resolution."""
    plain = pruners(invented, "imp", rounds=6, images=("cat",))
    enlarged = [
        [
            {
                **point,
                "task": "superres",
                "trajectory": f"{point['trajectory']}-x4",
                "fit": invented.id(f"{point['fit']}x4"),
            }
        ]
        for part in plain
        for point in part
    ]

    def values(task, **_):
        both = {f"psnr_{output}{end}": psnr for output in OUTPUTS for end, psnr in (("", 20.0), ("_ema", 30.0))}
        return {**both, "task": task}

    invented.sweep(plain + enlarged, values=values)
    exhibit = make(invented, "sets")
    assert isinstance(exhibit, Exhibit)
    told = exhibit.frame.groupby("what")[["psnr", "psnr_ema", "psnr_raw"]].agg(set)
    assert told.loc["denoise"].tolist() == [{30.0}, {30.0}, {20.0}]
    assert told.loc["superres"].tolist() == [{20.0}, {30.0}, {20.0}]
    assert "PSNR of the averaged (EMA) output for denoise, of the output as it is for superres" in exhibit.caption
    denoised = make(invented, "existence")
    assert isinstance(denoised, Exhibit)
    assert "PSNR of the averaged (EMA) output." in denoised.caption


def test_tickets_that_vary_more_over_seeds_than_the_dense_prior_are_told(invented):
    def psnr(seed, round, **_):
        return 30.0 + (-1) ** seed * (0.1 + 0.5 * (round > 0))

    invented.sweep(pruners(invented, "imp", seeds=range(6)), psnr)
    verdict = claims(make(invented, "existence"), "vary over seeds no more")
    assert verdict.verdict == REFUTED
    assert verdict.effect == approx(0.5)


def test_ratios_explain_a_lead_that_random_masks_with_them_share(invented):
    def psnr(pruner, seed, round, **_):
        return 30.0 - (round > 0) * {"imp": 0, "shuffled": 0.1, "random": 0.4}[pruner]

    invented.sweep(pruners(invented, "imp", "shuffled", "random", rounds=10), psnr)
    verdict = claims(make(invented, "ratio"), "explains at least half")
    assert verdict.verdict == HOLDS
    assert verdict.effect == approx(0.1)


def test_super_resolution_is_compared_with_the_other_tasks_of_a_seed(invented):
    def task(part, name):
        return [{**point, "task": name, "fit": invented.id(f"{name}{point['fit']}")} for point in part]

    plain = pruners(invented, "imp", rounds=6, images=("cat",))
    parts = [task([*part], name) for part in plain for name in ("denoise", "inpaint", "superres")]
    gains = {"denoise": 0.4, "inpaint": 1.0, "superres": 0.2}
    named = [[{**point, "trajectory": f"{point['task']}-{point['trajectory']}"} for point in part] for part in parts]
    invented.sweep(
        named,
        lambda task, round, seed, **_: 30.0 + (round > 0) * gains[task] + 0.01 * seed * (task == "superres"),
        values=lambda task, **_: {"task": task},
    )
    verdict = claims(make(invented, "sets"), "gain less over the dense prior in super-resolution")
    assert verdict.effect == approx(0.2 - 0.7)


def test_a_verdict_says_where_raw_outputs_would_give_another(invented):
    """Tickets equal the dense prior by averaged outputs, which denoising reports, and are 1 dB below it by raw ones."""

    def values(round, seed, **_):
        return {f"psnr_{output}": 30.0 - (round > 0) * (1 + 0.01 * seed) for output in OUTPUTS}

    invented.sweep(pruners(invented, "imp"), values=values)
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert verdict.verdict == HOLDS
    assert verdict.by_protocol == {"raw": REFUTED, "averaged": HOLDS}
    assert verdict.note.endswith("refuted by raw outputs")


@pytest.mark.parametrize("fault", ["stalled", "diverged"])
@pytest.mark.parametrize("at", ["ticket", "dense prior"])
def test_a_fit_that_stalled_or_diverged_enters_no_verdict_and_is_counted(invented, fault, at):
    def hit(seed, round):
        return seed == 3 and round == (0 if at == "dense prior" else 7)

    invented.sweep(
        pruners(invented, "imp", images=("cat",), seeds=(0, 1, 2, 3)),
        lambda seed, round, **_: 10.0 if hit(seed, round) else 30.0,
        lambda seed, round, **_: {fault: hit(seed, round)},
    )
    exhibit = make(invented, "existence")
    verdict = claims(exhibit, "match the dense prior up to 86.58")
    assert (verdict.verdict, verdict.n, verdict.effect) == (HOLDS, 3, approx(0))
    assert f"1 of 40 fits {fault}: left out" in verdict.note
    assert "1 incomplete seed left out" in verdict.note
    assert isinstance(exhibit, Exhibit)
    assert f"(×): 1 {fault}; means include them, verdicts the collapsed ones only." in exhibit.caption
    assert exhibit.frame.groupby("output")[fault].sum().to_dict() == dict.fromkeys(OUTPUTS, 1)


def test_a_verdict_without_enough_sound_fits_is_withheld(invented):
    invented.sweep(pruners(invented, "imp"), values=lambda seed, **_: {"stalled": seed == 0})
    verdict = claims(make(invented, "existence"), "match the dense prior up to 86.58")
    assert (verdict.verdict, verdict.n) == (UNDECIDED, 2)
    assert "20 of 60 fits stalled: left out" in verdict.note


def test_a_collapsed_fit_is_a_result_and_is_counted_where_it_is_judged(invented):
    invented.sweep(
        pruners(invented, "imp", "random", images=("cat",), rounds=14),
        lambda pruner, **_: 30.0 - 20.0 * (pruner == "random"),
        lambda pruner, seed, round, **_: {"collapsed": round == 14 and (pruner == "random" or seed == 0)},
    )
    exhibit = make(invented, "existence")
    assert "1 of 42 fits collapsed: included" in claims(exhibit, "beat random").note
    assert claims(exhibit, "beat random").effect == approx(20 * 14 / 14)


def test_what_running_again_would_not_help_is_no_missing_fit(invented):
    def values(pruner, round, **_):
        return {"psnr_last_ema": float("nan")} if pruner == "random" and round == 1 else {}

    invented.sweep(pruners(invented, "imp", "random", rounds=2), values=values)
    exhibit = make(invented, "existence")
    assert claims(exhibit, "beat random", "last").note == "no seed has every value: some are not finite, or not planned"
    assert claims(exhibit, "beat random", "peak").n == 3


def test_the_table_holds_means_and_deviations_over_seeds(invented):
    invented.sweep(
        pruners(invented, "imp", images=("cat",), rounds=1), lambda seed, round, **_: 30 + seed - 0.5 * round
    )
    exhibit = make(invented, "existence")
    assert isinstance(exhibit, Exhibit)
    row = exhibit.frame.query("round == 1 and output == 'peak'").iloc[0]
    assert (row["psnr_ema"], row["psnr_ema_std"], row["minus_dense"], row["seeds"]) == approx((30.5, 1, -0.5, 3))
    assert exhibit.frame["output"].unique().tolist() == ["peak", "last", "stop"]


def test_how_far_tickets_match_stands_beside_the_papers_reach(invented):
    invented.sweep(pruners(invented, "imp"), lambda round, seed, **_: 30 + seed - 0.3 * (round == 4))
    exhibit = make(invented, "existence")
    assert isinstance(exhibit, Exhibit)
    assert exhibit.paper_table is not None
    peak = exhibit.paper_table.iloc[0]
    assert (peak["paper (%)"], peak["ours (%)"]) == approx((86.578227, 48.8))
    assert peak["remark"] == ""
    assert exhibit.paper_table["paper (%)"].isna().tolist() == [False, True, True], "the paper's are oracle peaks"


def test_pruners_that_are_missing_leave_their_claims_open_and_say_how_to_get_them(invented):
    invented.sweep(pruners(invented, "imp", "random", rounds=2))
    exhibit = make(invented, "existence")
    snip = claims(exhibit, "beat SNIP")
    assert (snip.verdict, snip.n, snip.measured) == (NOT_MEASURED, 0, "no data")
    assert snip.note.startswith("not measured; python -m sweeps run existence --profile smoke")


def test_masks_of_other_images_are_compared_with_own_ones(invented):
    # slightly worse at rounds 1 and 2, equal from round 3
    def psnr(source_image, seed, round, **_):
        return 30 + seed - 0.2 * (source_image is not None) * (round in (1, 2))

    own = pruners(invented, "imp", rounds=8)
    foreign = [
        invented.trajectory("cat", source=source, seed=seed, rounds=8) for source in ("dog", "owl") for seed in SEEDS
    ]
    invented.sweep([*own, *foreign], psnr)
    exhibit = make(invented, "images")
    assert isinstance(exhibit, Exhibit)
    assert set(exhibit.frame["image"]) == {"cat"}  # dog is evaluated with its own masks only
    assert set(exhibit.frame["masks"]) == {"own masks", "dog", "owl"}
    worse, equal = (claims(exhibit, words) for words in ("worse than own", "another image equal own"))
    assert (worse.effect, worse.verdict) == (approx(-0.2), HOLDS)
    assert (equal.effect, equal.verdict) == (approx(0), HOLDS)
    assert equal.note.startswith("at 73.8–83.2 %")


def test_rounds_that_are_not_measured_leave_their_claim_open(invented):
    invented.sweep(
        [
            *pruners(invented, "imp", rounds=2),
            *(invented.trajectory("cat", source="dog", seed=s, rounds=2) for s in SEEDS),
        ]
    )
    equal = claims(make(invented, "images"), "another image equal own")
    assert (equal.verdict, equal.n) == (NOT_MEASURED, 0)
    assert equal.note.startswith("not measured; python -m sweeps run")


def test_rewinding_is_compared_with_theta_0(invented):
    effect = {0.0: 0.0, 5.0: 0.05, 10.0: -0.5, 20.0: 0.5}
    trajectories = [invented.trajectory(rewind=rewind, seed=seed) for rewind in effect for seed in SEEDS]
    invented.sweep(trajectories, lambda rewind, seed, round, **_: 30 + seed + effect[rewind] * (round > 0))
    exhibit = make(invented, "rewinding")
    found = {
        level: (round(verdict.effect, 3), verdict.verdict)
        for level in (5, 10, 20)
        for verdict in [claims(exhibit, f"rewinding to {level} %")]
    }
    assert found == {5: (0.05, HOLDS), 10: (-0.5, HOLDS), 20: (0.5, REFUTED)}


def test_what_rewinding_costs_is_compared_with_what_it_costs_undone_as_released(invented):
    """Rewinding is harmless by our own rule and costs 1 dB by the released one, itself 0.2 dB worse."""
    trajectories = [
        invented.trajectory(rewind=rewind, seed=seed, compat=compat)
        for rewind in (0.0, 20.0)
        for seed in SEEDS
        for compat in (None, "backtrack")
    ]

    def psnr(rewind, seed, round, compat, **_):
        return 30 + seed - (0.2 + (rewind > 0) * (round > 0)) * (compat is not None)

    invented.sweep(trajectories, psnr)
    exhibit = make(invented, "rewinding")
    cost = claims(exhibit, "released code undoes")
    assert (round(cost.effect, 3), cost.verdict) == (-1.0, HOLDS)
    assert len(exhibit.figure.axes) == 2 * 3
    assert set(exhibit.frame["compat"]) == {"", "backtrack"}


def test_layers_are_judged_by_rank_correlation(invented):
    rising, nearly, flat, bent = [900, 800, 700, 600], [900, 800, 600, 700], [800] * 4, [900, 600, 700, 800]
    kept = {  # by seed: correlations of 1 and 0.8, the same reversed, and 0 and 0.2
        "imp": [rising, nearly, nearly],
        "snip": [rising[::-1], nearly[::-1], nearly[::-1]],
        "random": [flat, flat, bent],
    }
    invented.sweep(
        pruners(invented, "imp", "snip", "random", rounds=5),
        values=lambda pruner, seed, **_: {"layer_kept": kept[pruner][seed]},
    )
    exhibit = make(invented, "layers")
    assert isinstance(exhibit, Exhibit)
    found = {words: claims(exhibit, words, "masks") for words in ("IMP", "SNIP", "random")}
    assert {words: (v.effect, v.verdict) for words, v in found.items()} == {
        "IMP": (approx(2.6 / 3), HOLDS),
        "SNIP": (approx(-2.6 / 3), HOLDS),
        "random": (approx(0.2 / 3), HOLDS),
    }
    assert exhibit.frame["round"].unique().tolist() == [2, 4, 5]  # nearest to the paper's 2, 4, 10 and 13


@pytest.mark.parametrize(
    ("losses", "before", "at"),
    [
        ([5, 4, 3, 4, 5, 6, 7], 2, 5),
        ([5, 4, 5, 6, 5, 6, 7, 8], 4, 7),
        ([1, 2, 3, 4], 0, 3),
        ([5, 4, 5, 6, 6, 7, 8], None, None),
        ([3, 2, 1], None, None),
    ],
)
def test_the_stop_rule_waits_for_three_rises_in_a_row(losses, before, at):
    series = pd.Series(losses, dtype=float)
    for pick, wanted in (("before", before), ("at", at)):
        found = stop_round(series, pick=pick)
        assert isnan(found) if wanted is None else found == wanted


def test_the_picked_ticket_is_judged_against_the_dense_prior(invented):
    def losses(round, **_):
        return {"loss": float(abs(round - 3))}  # falls to round 3, has risen three times at round 6

    invented.sweep(pruners(invented, "imp", rounds=8), lambda round, seed, **_: 30 + seed - 0.05 * round, losses)
    exhibit = make(invented, "stop_rule")
    before, at = claims(exhibit, "before the loss rises"), claims(exhibit, "at which the loss has risen")
    assert (before.effect, before.verdict) == (approx(-0.15), REFUTED)
    assert at.effect == approx(-0.3)
    assert before.note == "it stops in 6 of 6 trajectories, at rounds 3"


def test_where_the_rule_never_stops_a_seed_says_nothing_and_is_counted(invented):
    def losses(seed, image, round, **_):
        never = (seed, image) == (2, "cat")
        return {"loss": 1 / (1 + round) if never else float(abs(round - 3))}

    invented.sweep(pruners(invented, "imp", rounds=8, seeds=(0, 1, 2, 3)), values=losses)
    before = claims(make(invented, "stop_rule"), "before the loss rises")
    assert before.n == 3
    assert before.note == "it stops in 7 of 8 trajectories, at rounds 3; 1 incomplete seed left out"


def test_a_rule_that_never_stops_is_no_missing_fit(invented):
    invented.sweep(pruners(invented, "imp", rounds=4), values=lambda round, **_: {"loss": 1.0 / (1 + round)})
    before = claims(make(invented, "stop_rule"), "before the loss rises")
    assert (before.verdict, before.n, before.note) == (NOT_MEASURED, 0, "it never stops")


def test_errors_of_generators_are_judged_against_the_dense_one(invented):
    """Tickets 5 % above, random pruning 15 or 37 % above it."""
    rises = {"imp": [1.0, *[1.05] * 6], "random": [1.0, *[1.15, 1.37] * 3]}

    def points(task, pruner, seed):
        tuned = {"task": task, "source_task": "generate", "source_image": "faces"}
        return [
            {
                **point,
                **tuned,
                "fit": invented.id(f"{task}-{pruner if point['round'] else 'dense'}-{seed}-{point['round']}"),
            }
            for point in invented.trajectory(pruner=pruner, seed=seed, rounds=6)
        ]

    def values(task, pruner, round, seed, **_):
        mse = (0.07 if task == "sense" else 0.05) * rises[pruner][round] * (1 + 1e-9 * seed * round)
        return {"task": task, "mse_last": mse, "mse_peak": 0.9 * mse, "prior": "dcgan"}

    runs = [(task, pruner, seed) for task in ("sense", "inpaint") for pruner in rises for seed in SEEDS]
    invented.sweep([points(*run) for run in runs], values=values)
    exhibit = make(invented, "gan")
    assert isinstance(exhibit, Exhibit)
    here = [each for each in exhibit.verdicts if each.scope == HERE]
    found = {each.claim.id: (round(each.effect), each.verdict) for each in here}
    assert found["gan_lip_inpaint"] == (5, HOLDS)
    assert found["gan_random_inpaint"][1] == HOLDS
    assert found["gan_better_inpaint"][1] == REFUTED
    ours = exhibit.paper_table.set_index(["task", "pruner", "sparsity (%)"])
    assert ours.loc[("inpainting", "random", 36.0), "ours (MSE)"] == approx(0.05 * 1.37)
    assert ours.loc[("inpainting", "random", 36.0), "paper (MSE)"] == 0.0748


def test_published_numbers_are_compared_with_the_output_that_they_are_of(invented):
    enlarged = [{**point, "task": "superres"} for point in invented.trajectory("set5/butterfly", rounds=0)]

    def values(**_):
        return {"task": "superres", "factor": 4, "psnr_last": 26.0, "psnr_last_ema": 27.0}

    invented.sweep([enlarged], values=values, name="anchors")
    exhibit = EXHIBITS["anchors"](analysis.load(invented.folder, "anchors"))
    assert isinstance(exhibit, Exhibit)
    (row,) = exhibit.frame.to_dict("records")
    assert row["published (dB)"] == 26.23
    assert row["ours less published (dB)"] == approx(-0.23)
    assert row["within"] == "yes (±0.5 dB)"


def test_masks_are_compared_with_what_random_ones_of_their_layers_share():
    layers = (Layer("a", (4,)), Layer("b", (4,)))
    one = Mask(layers, np.array([1, 1, 1, 0, 1, 0, 0, 0], np.bool_))
    other = Mask(layers, np.array([1, 1, 0, 0, 0, 1, 1, 0], np.bool_))
    assert shared(one, other) == {
        "shared": 100 * 2 / 4,
        "chance": 100 * (3 * 2 / 4 + 1 * 2 / 4) / 4,
        "beyond_chance": 0,
        "pruned_by_one": 100 * 2 / 4,
    }


def test_tickets_are_paired_where_they_differ_in_one_thing(paper: Frames):
    frame = EXHIBITS["overlap"](paper).frame.set_index(["differ_in", "task", "round"])["pairs"]
    assert frame["seed", "denoise", 1] == 3 * 2 + 3, "3 pairs of seeds of 2 images, and of an image in double precision"
    assert frame["image", "denoise", 1] == frame["image", "inpaint", 1] == 3
    assert frame["task", "denoise and inpaint", 1] == 3 * 2
    assert frame["precision", "denoise", 1] == 3


def test_tickets_whose_masks_are_gone_are_no_exhibit(paper: Frames, tmp_path):
    absent = EXHIBITS["overlap"](replace(paper, storage=tmp_path))
    assert isinstance(absent, MissingExhibit)
    assert absent.reason == "no two masks of tickets that differ in a single thing are stored"


@pytest.mark.parametrize("name", EXHIBITS)
class TestEveryExhibit:
    """The contract of every entry of EXHIBITS, on a ledger of the whole sweep `paper`."""

    def test_it_makes_frame_figure_and_verdicts(self, name: str, paper: Frames):
        if name == "explore":
            pytest.skip("the paper searches nothing; see test_searches.py")
        exhibit = EXHIBITS[name](paper)
        assert isinstance(exhibit, Exhibit)
        assert exhibit.name == name
        assert len(exhibit.frame)
        assert "rofile smoke" in exhibit.caption
        texts = [text.get_text() for legend in exhibit.figure.legends for text in legend.get_texts()]
        assert "n = 3 seeds" in texts or has_pictures(exhibit.figure)
        free = [each for each in exhibit.verdicts if not each.claim.covers]
        assert all(each.n == 3 for each in free), "judged by all that the sweep holds"
        assert not exhibit.missing

    def test_it_says_what_the_sweep_lacks(self, name: str, invented):
        if name == "contact":
            pytest.skip("every sweep has images")
        invented.sweep([invented.trajectory(rounds=0)])
        absent = make(invented, name)
        assert isinstance(absent, MissingExhibit)
        assert absent.reason.startswith(("the sweep has no ", "no "))
        run = EXHIBITS[name].experiment or {"explore": "tuning"}.get(name, name)
        assert absent.remedy == f"python -m sweeps run {run} --profile smoke --storage {invented.folder}"

    def test_values_that_are_not_finite_do_not_stop_it(self, name: str, paper: Frames):
        if name == "explore":
            pytest.skip("the paper searches nothing; see test_searches.py")
        scores = [column for column in paper.fits if str(column).startswith(("psnr_", "ssim_"))]
        broken = paper.fits.assign(**{column: float("nan") for column in scores}, loss=float("inf"))
        exhibit = EXHIBITS[name](replace(paper, fits=broken))
        assert isinstance(exhibit, Exhibit)
        judged = [each for each in exhibit.verdicts if each.claim.unit == "dB" and name != "spectra"]
        assert all(each.verdict == NOT_MEASURED for each in judged)


def test_an_exhibit_says_what_is_not_run_yet(paper: Frames):
    nothing = replace(paper, fits=paper.fits[:0], points=paper.points.assign(published=False))
    absent = EXHIBITS["ratio"](nothing)
    assert isinstance(absent, MissingExhibit)
    assert absent.reason == "there is no random mask with IMP's ratios among the published fits"
    assert absent.remedy == f"python -m sweeps run paper --profile smoke --storage {paper.storage}"


@pytest.mark.parametrize("name", ["existence", "transfer", "oes", "impedance", "sgld"])
def test_an_exhibit_never_averages_over_settings_unless_it_keeps_them_apart(name: str, paper: Frames):
    wide = paper.fits.assign(width=999, fit="wide" + paper.fits["fit"])
    absent = EXHIBITS[name](replace(paper, fits=pd.concat([paper.fits, wide], ignore_index=True)))
    assert isinstance(absent, MissingExhibit)
    assert absent.reason == "the sweep varies width within a point, which is never averaged"


def test_an_exhibit_wants_a_sweep(paper: Frames):
    with pytest.raises(InputError, match="an exhibit is made from a sweep"):
        EXHIBITS["existence"](replace(paper, sweep=None))


def test_what_is_done_as_released_has_a_line_each_and_one_for_all_of_it(paper: Frames):
    exhibit = analysis.EXHIBITS["compat"](paper)
    assert isinstance(exhibit, Exhibit)
    (legend,) = exhibit.figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said[0] == "as the paper says"
    assert said[-3:] == ["as released", "dense", "n = 3 seeds"]
    assert set(said[:-2]) == set(exhibit.frame["defect"])


def test_spectra_are_shown_on_one_scale(paper: Frames):
    exhibit = analysis.EXHIBITS["spectra"](paper)
    assert isinstance(exhibit, Exhibit)
    maps = [image for ax in exhibit.figure.axes for image in ax.images]
    for kind in ("magma", "viridis"):  # spectra, and how they differ
        assert len({image.get_clim() for image in maps if image.get_cmap().name == kind}) == 1


@pytest.mark.parametrize("name", ["gallery", "sets"])
def test_numbers_of_the_paper_that_stand_alone_are_explained(name: str, paper: Frames):
    exhibit = analysis.EXHIBITS[name](paper)
    assert isinstance(exhibit, Exhibit)
    assert "its numbers stand alone; the profile paper has its images" in exhibit.caption
    as_there = {"chelsea": "set5/zebra"}
    fits = paper.fits.replace({"image": as_there, "source_image": as_there})
    exhibit = analysis.EXHIBITS[name](replace(paper, fits=fits))
    assert isinstance(exhibit, Exhibit)
    assert "stand alone" not in exhibit.caption


@pytest.mark.parametrize("name", ["existence", "gallery", "sets"])
def test_the_same_data_give_the_same_svg(name: str, paper: Frames):
    first, second = (svg(analysis.EXHIBITS[name](paper).figure) for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first
