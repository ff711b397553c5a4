"""Fig 3: does a sparse prior restore as well as the dense one, and is it the pruner's doing?"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis import paper, stats
from analysis.exhibits.exhibit import LABELS, Absent, Exhibit, caption, lacking, native, plural, psnr_notes, span
from analysis.exhibits.scores import blocks, minus, scores, summary
from analysis.frames import Frames
from analysis.plots import OUTPUTS, percent, psnr_panels, styles
from analysis.stats import Verdict, judge

NAME, TITLE = "existence", "Sparse priors that match the dense one"


def existence(frames: Frames) -> Exhibit | Absent:
    """PSNR over sparsity per image, for every pruner in the sweep."""
    if gap := lacking(frames, NAME, TITLE, lambda rows: _shown(rows) & _ticket(rows), "IMP ticket"):
        return gap
    fits = frames.fits[_shown(frames.fits)]
    every = scores(fits)
    dense = every[every["round"] == 0].drop_duplicates(["image", "seed", "output"])
    every["minus_dense"] = minus(every, dense, ["image", "seed", "output"])
    labels = {name: LABELS.get(name, name) for name in sorted(fits["pruner"].unique())}
    tickets = every[_ticket(every)]
    claims = [_matching(tickets, output) for output in OUTPUTS]
    for rival, said in (("random", paper.BEATS_RANDOM), ("snip", paper.BEATS_SNIP)):
        if rival in labels:
            claims += [_beats(every, rival, said, output) for output in OUTPUTS]
    return Exhibit(
        NAME,
        TITLE,
        caption(frames, fits, "PSNR over sparsity; the dashed line is the dense prior.", psnr_notes(fits)),
        summary(every, ["image", "pruner"], "minus_dense"),
        psnr_panels(every, "pruner", labels, styles(list(labels))),
        claims,
        _table_4(tickets),
    )


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0)


def _ticket(rows: pd.DataFrame) -> pd.Series:
    return (rows["pruner"] == "imp") & (rows["round"] > 0)


def _matching(tickets: pd.DataFrame, output: str) -> Verdict:
    """Judged at the worst round up to the paper's, since all up to there must match."""
    limit = paper.MATCHING_ROUND
    rows = tickets[tickets["output"] == output]
    effects = blocks(rows[rows["round"] <= limit], "minus_dense", ["round", "image"])
    whole = effects.dropna()
    rows = rows[rows["seed"].isin(whole.index)]
    means = rows.groupby("round")["minus_dense"].mean()
    worst = min((k for k in means.index if k <= limit), key=lambda k: means[k], default=tickets["round"].min())
    verdict = judge(
        f"IMP tickets match the dense prior up to {percent(limit):.4g} % (within {stats.MATCHING_TOLERANCE_DB} dB)",
        paper.MATCHING,
        output,
        whole.loc[:, whole.columns.get_level_values("round") == worst].reindex(effects.index),
        stats.MATCHING,
    )
    if whole.empty:
        return verdict
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


def _beats(every: pd.DataFrame, rival: str, said: str, output: str) -> Verdict:
    rows = every[(every["output"] == output) & every["round"].isin(paper.BEATS_ROUNDS)]
    other = rows[rows["pruner"] == rival]
    imp = rows[rows["pruner"] == "imp"].merge(other[["image", "round"]].drop_duplicates())
    lead = imp.assign(lead=minus(imp, other, ["image", "seed", "round"]))
    by_round = lead.groupby("round")["lead"].mean()
    return judge(
        f"IMP tickets beat {LABELS[rival]} pruning at {span(lead['round'])}",
        said,
        output,
        blocks(lead, "lead", ["round", "image"]),
        stats.POSITIVE,
        f"{plural(lead['image'].nunique(), 'image')}, ahead at {int((by_round > 0).sum())} of {len(by_round)} rounds",
    )


def _table_4(tickets: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 4 beside our mean differences (oracle peak) at the nearest measured sparsity."""
    ours = tickets[tickets["output"] == "peak"].groupby("round")["minus_dense"].mean()
    dense = paper.TABLE_4[0][0]
    rows = []
    for level, (lip, synflow) in paper.TABLE_4.items():
        nearest = min(ours.index, key=lambda k: abs(percent(k) - level))
        near = level > 0 and abs(percent(nearest) - level) <= 5
        rows.append(
            {
                "sparsity in %, F16 (paper)": level,
                "LIP in dB (paper)": lip,
                "SynFlow in dB (paper)": synflow,
                "LIP - dense in dB (paper)": round(lip - dense, 2),
                "IMP - dense in dB, all images (ours)": ours[nearest] if near else None,
                "at sparsity in % (ours)": percent(nearest) if near else None,
            }
        )
    return pd.DataFrame(rows)
