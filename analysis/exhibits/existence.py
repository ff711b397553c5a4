"""Fig 3: does a sparse prior restore as well as the dense one, and is it the pruner's doing?"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis import paper, stats
from analysis.claims import CLAIMS
from analysis.exhibits.exhibit import (
    Absent,
    Exhibit,
    caption,
    faults,
    gap,
    labels_of,
    lacking,
    native,
    plural,
    psnr_notes,
    span,
    verdicts,
)
from analysis.exhibits.scores import blocks, minus, of, scores, summary
from analysis.frames import Frames
from analysis.plots import OUTPUTS, percent, psnr_panels, styles
from analysis.stats import Verdict, judge, p_value

NAME, TITLE = "existence", "Sparse priors that match the dense one (Fig. 3)"


def existence(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity per image, for every pruner in the sweep."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, lambda rows: _shown(rows) & _ticket(rows), "IMP ticket"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    every = scores(fits)
    dense = every[every["round"] == 0]
    every["minus_dense"] = minus(every, dense, ["image", "seed", "output"])
    labels = labels_of(fits["pruner"])
    tickets = every[_ticket(every)]
    judged = [_matching(frames, tickets, name, output) for name in ("matching", "matching_again") for output in OUTPUTS]
    for name, rival in (("beats_random", "random"), ("beats_snip", "snip")):
        judged += _beats(frames, every, name, rival)
    return Exhibit(
        NAME,
        TITLE,
        caption(frames, fits, "PSNR over sparsity; the dashed line is the dense prior.", psnr_notes(fits)),
        summary(every, ["image", "pruner"], "minus_dense"),
        psnr_panels(every, "pruner", labels, styles(list(labels))),
        judged,
        _reach_beside(tickets),
        gap(frames),
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0)


def _ticket(rows: pd.DataFrame) -> pd.Series:
    return (rows["pruner"] == "imp") & (rows["round"] > 0)


def _matching(frames: Frames, tickets: pd.DataFrame, name: str, output: str) -> Verdict:
    """Judged at the worst round up to the paper's, since all up to there must match; and so must all be tested.

    The round with the worst mean need not be the least certain one: p is the largest of all rounds (an
    intersection-union test).
    """
    limit = CLAIMS[name].rounds[-1]
    rows = of(tickets, output)
    effects = blocks(rows[rows["round"] <= limit], "minus_dense", ["round", "image"])
    whole = effects.dropna()
    rows = rows[rows["seed"].isin(whole.index)]
    means = rows.groupby("round")["minus_dense"].mean()
    worst = min((k for k in means.index if k <= limit), key=lambda k: means[k], default=tickets["round"].min())
    at_worst = whole.loc[:, whole.columns.get_level_values("round") == worst].reindex(effects.index)
    nothing = f"not measured; {frames.command}"
    said = [nothing if at_worst.dropna().empty else "", *faults(frames.fits, rows)]
    verdict = judge(CLAIMS[name], output, at_worst, "; ".join(filter(None, said)))
    if whole.empty:
        return verdict
    by_round = whole.T.groupby("round").mean()
    verdict = replace(verdict, p=max(p_value(seeds, CLAIMS[name].region) for _, seeds in by_round.iterrows()))
    images = {str(image): _reach(part.groupby("round")["minus_dense"].mean()) for image, part in rows.groupby("image")}
    least = min(images, key=lambda image: images[image])
    notes = [
        f"worst at {percent(worst):.4g} %",
        f"matches up to {percent(_reach(means)):.4g} %, on {least} up to {percent(images[least]):.4g} %",
        verdict.note,
    ]
    if verdict.verdict == stats.HOLDS and means.index.max() < limit:
        notes.append(f"not measured beyond {percent(means.index.max()):.4g} %")
        verdict = replace(verdict, verdict=stats.UNKNOWN)
    return replace(verdict, note="; ".join(filter(None, notes)))


def _reach(means: pd.Series) -> int:
    """The last round that matches and so do all before it, given mean differences by round; 0 if the first does not."""
    failing = means.index[[mean not in stats.MATCHING for mean in means]]
    before = means.index[means.index < failing.min()] if len(failing) else means.index
    return int(before.max()) if len(before) else 0


def _beats(frames: Frames, every: pd.DataFrame, name: str, rival: str) -> list[Verdict]:
    rows = every[every["round"].isin(paper.BEATS_ROUNDS)]
    other = rows[rows["pruner"] == rival]
    imp = rows[rows["pruner"] == "imp"].merge(other[["image", "round"]].drop_duplicates())
    lead = imp.assign(lead=minus(imp, other, ["image", "seed", "round", "output"]))
    judged = []
    for output in OUTPUTS:
        by_round = of(lead, output).groupby("round")["lead"].mean()
        ahead = f"ahead at {int((by_round > 0).sum())} of {plural(len(by_round), 'round')}, {span(lead['round'])}"
        note = f"{plural(lead['image'].nunique(), 'image')}, {ahead}"
        judged += verdicts(frames, name, lead, "lead", ["round", "image"], [output], note)
    return judged


def _reach_beside(tickets: pd.DataFrame) -> pd.DataFrame:
    """Compare how far tickets match, in percent: the paper's and ours by output, mean over images and seeds."""
    rows = []
    for output, title in OUTPUTS.items():
        means = of(tickets, output).groupby("round")["minus_dense"].mean().dropna()
        ours = percent(_reach(means))
        theirs = percent(paper.MATCHING_ROUNDS[-1]) if output == "peak" else float("nan")
        rows.append({"matches up to, by": title, "paper (%)": theirs, "ours (%)": ours, "difference": ours - theirs})
    return pd.DataFrame(rows)
