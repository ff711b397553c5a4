"""Fig 3: does a sparse prior restore as well as the dense one, and is it the pruner's doing?"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis import paper
from analysis.claims import MATCHING, NEGATIVE, NO_GAIN, POSITIVE, Claim
from analysis.exhibits.comparison import MINUS_DENSE, Comparison, Difference, is_dense
from analysis.exhibits.rows import Rows, from_theta_0, imp, native, native_imp, pruned
from analysis.exhibits.scores import select_output
from analysis.text import percent, plural, sparsity_range
from lip.ledger.schema import OUTPUTS


def reach(differences: pd.Series) -> int:
    """Return the last round that matches and all before it do, given mean differences by round; 0 for none."""
    failing = differences.index[[mean not in MATCHING for mean in differences]]
    before = differences.index[differences.index < failing.min()] if len(failing) else differences.index
    return int(before.max()) if len(before) else 0


def _reach_note(rows: pd.DataFrame) -> str:
    means = rows.groupby("round")["minus_dense"].mean()
    images = {str(image): reach(part.groupby("round")["minus_dense"].mean()) for image, part in rows.groupby("image")}
    least = min(images, key=lambda image: images[image])
    return f"matches up to {percent(reach(means)):.4g} %, on {least} up to {percent(images[least]):.4g} %"


def _reach_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare how far tickets match, in percent: the paper's and ours by output, mean over images and seeds."""
    rows: list[dict[str, object]] = []
    tickets = scores[_tickets(scores)]
    for output, title in OUTPUTS.items():
        means = select_output(tickets, output).groupby("round")["minus_dense"].mean().dropna()
        last = reach(means)
        beyond = f"not measured beyond {percent(last):.4g} %" if last and last == means.index.max() else ""
        theirs = percent(paper.MATCHING_ROUNDS[-1]) if output == "peak" else float("nan")
        rows.append({"matches up to, by": title, "paper (%)": theirs, "ours (%)": percent(last), "remark": beyond})
    return pd.DataFrame(rows)


def _spread(scores: pd.DataFrame) -> pd.DataFrame:
    """Add how far the PSNR of a seed is from the mean over seeds."""
    mean = scores.groupby(["image", "pruner", "round", "output"])["psnr"].transform("mean")
    return scores.assign(deviation=(scores["psnr"] - mean).abs())


def _tickets(rows: pd.DataFrame) -> pd.Series:
    return imp(rows) & pruned(rows)


def _tickets_once(rows: pd.DataFrame) -> pd.Series:
    return _tickets(rows) & (rows["output"] == "peak")


def _pruned_by(pruner: str) -> Rows:
    return lambda rows: rows["pruner"] == pruner


def _met_by(rival: str) -> Rows:
    """Mark tickets of images and rounds that a rival was measured on."""

    def met(rows: pd.DataFrame) -> pd.Series:
        measured = rows.loc[rows["pruner"] == rival, ["image", "round"]]
        pairs = pd.MultiIndex.from_frame(rows[["image", "round"]])
        return _tickets(rows) & pairs.isin(pd.MultiIndex.from_frame(measured))

    return met


def _lead_note(column: str) -> Callable[[pd.DataFrame], str]:
    def note(rows: pd.DataFrame) -> str:
        by_round = rows.groupby("round")[column].mean()
        ahead = f"ahead at {int((by_round > 0).sum())} of {plural(len(by_round), 'round')}"
        return f"{plural(rows['image'].nunique(), 'image')}, {ahead}, {sparsity_range(rows['round'])}"

    return note


existence = Comparison(
    name="existence",
    title="Sparse priors that match the dense one (Fig. 3)",
    about="PSNR over sparsity; the dashed line is the dense prior.",
    shown=lambda rows: native(rows) & from_theta_0(rows),
    needed=lambda rows: native_imp(rows) & pruned(rows),
    needs="IMP ticket",
    within=None,
    prepare=_spread,
    differences={
        "minus_dense": MINUS_DENSE,
        "minus_random": Difference(_pruned_by("random")),
        "minus_snip": Difference(_pruned_by("snip")),
        "gap_minus_dense": Difference(is_dense, at=(), value="peak_less_last"),
        "spread_minus_dense": Difference(is_dense, at=(), value="deviation"),
    },
    compare=_reach_table,
    claims=(
        Claim(
            id="matching",
            statement="IMP tickets match the dense prior up to 86.58 %",
            paper="matching up to 86.58 % on the observation (Fig. 3 a-d)",
            statistic="PSNR less that of the dense prior, at every round up to 86.58 %",
            region=MATCHING,
            rounds=paper.MATCHING_ROUNDS,
            value="minus_dense",
            rows=_tickets,
            note=_reach_note,
        ),
        Claim(
            id="matching_again",
            statement="IMP tickets match the dense prior up to 83.22 %, trained again from their masks",
            paper="matching up to 83.23 % with the found masks (Fig. 3 e-h)",
            statistic="PSNR less that of the dense prior, at every round up to 83.22 %; masks are found on the"
            " observation, so a fit of IMP and the one that evaluates its mask are the same",
            region=MATCHING,
            rounds=paper.AGAIN_ROUNDS,
            repeats="matching",
            value="minus_dense",
            rows=_tickets,
            note=_reach_note,
        ),
        Claim(
            id="beats_dense",
            statement="IMP tickets beat the dense prior from 20 to 49 %",
            paper="LIP is above the dense prior at low sparsity (Fig. 3, Table 4)",
            statistic="PSNR less that of the dense prior, at every round from 1 to 3",
            region=POSITIVE,
            rounds=paper.LOW_ROUNDS,
            value="minus_dense",
            rows=_tickets,
        ),
        Claim(
            id="overfits_less",
            statement="IMP tickets lose less after their peak than the dense prior, up to 86.58 %",
            paper="sparse priors overfit less than the dense prior (Fig. 11 and the title)",
            statistic="oracle peak less last output, minus that of the dense prior, at every round up to 86.58 %",
            region=NEGATIVE,
            rounds=paper.MATCHING_ROUNDS,
            value="gap_minus_dense",
            rows=_tickets_once,
            outputs=("peak less last",),
        ),
        Claim(
            id="seeds_alike",
            statement="IMP tickets vary over seeds no more than the dense prior does, up to 86.58 %",
            paper="small variance over ten seeds (Fig. 3)",
            statistic="distance of a seed's PSNR from the mean over seeds, less that of the dense prior, at every round"
            " up to 86.58 %",
            region=NO_GAIN,
            rounds=paper.MATCHING_ROUNDS,
            value="spread_minus_dense",
            rows=_tickets,
        ),
        Claim(
            id="random_worsens",
            statement="the lead of IMP tickets over random pruning grows with sparsity from 20 to 96 %",
            paper="random pruning is worse especially at high sparsity (Fig. 3)",
            statistic="slope over rounds 1 to 14 of PSNR less that of random pruning",
            region=POSITIVE,
            unit="dB per round",
            rounds=paper.BEATS_ROUNDS,
            trend="round",
            value="minus_random",
            rows=_met_by("random"),
        ),
        Claim(
            id="beats_random",
            statement="IMP tickets beat random pruning from 20 to 96 %",
            paper="better than random pruning on 20-96 % (Fig. 3)",
            statistic="PSNR less that of random pruning, at every round from 1 to 14",
            region=POSITIVE,
            rounds=paper.BEATS_ROUNDS,
            value="minus_random",
            rows=_met_by("random"),
            note=_lead_note("minus_random"),
        ),
        Claim(
            id="beats_snip",
            statement="IMP tickets beat SNIP from 20 to 96 %",
            paper="better than SNIP on 20-96 % (Fig. 3)",
            statistic="PSNR less that of SNIP, at every round from 1 to 14",
            region=POSITIVE,
            rounds=paper.BEATS_ROUNDS,
            value="minus_snip",
            rows=_met_by("snip"),
            note=_lead_note("minus_snip"),
        ),
    ),
)
