"""Compare the weights that two tickets share with what random masks of the same counts per layer would."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pandas as pd

from analysis.claims import HERE, POSITIVE, Claim
from analysis.exhibits.exhibit import Contents, Custom, MissingError
from analysis.exhibits.rows import Rows, pruned, restoring_imp
from analysis.exhibits.scores import task_and_factor
from analysis.frames import Frames
from analysis.panels import overlap_panels
from analysis.stats import Region
from lip.masks import Mask

KINDS = {"seed": "two seeds", "image": "two images", "task": "two tasks", "precision": "two roundings"}
"""What two tickets may differ in, all else being equal, and its label."""

CHANCE_POINTS = 1.0
"""Masks share no more than by chance if they share at most this many percent of their weights more."""
SAME_TICKET = 90.0
"""Two tickets that share more percent of their weights than this would be called the same."""

VALUES = ["shared", "chance", "beyond_chance", "pruned_by_one"]
"""Percentages of the kept weights: those that both masks keep, those that random ones with the same counts in every
layer would, and the difference; and of the pruned weights, those that the other mask keeps."""


def _shown(rows: pd.DataFrame) -> pd.Series:
    return restoring_imp(rows) & pruned(rows)


def _make(frames: Frames) -> Contents:
    """Compare the masks of tickets in pairs."""
    fits = frames.fits[_shown(frames.fits)]
    dense = frames.fits[frames.fits["round"] == 0].drop_duplicates("trajectory").set_index("trajectory")["fit"]
    fits = fits.assign(task=task_and_factor(fits), root=fits["trajectory"].map(dense))
    fits = fits.dropna(subset=["mask_fit", "root"]).drop_duplicates([*KINDS, "round"])
    effects = pd.DataFrame(pair for _, tickets in fits.groupby("round") for pair in _pairs(frames, tickets))
    if effects.empty:
        raise MissingError("no two masks of tickets that differ in a single thing are stored")
    effects["line"] = effects["differ_in"].map(KINDS) + ", " + effects["task"]
    lines = [f"{label}, {task}" for label in KINDS.values() for task in sorted(effects["task"].unique())]
    pairs = effects.groupby(["differ_in", "task", "round"], sort=False)
    return Contents(
        caption="Share of the weights of a ticket that another ticket keeps too, where the two differ in nothing but"
        " the seed (and so in θ₀), the image, the task, or the precision of the arithmetic (float32 and float64, with"
        " the same random draws). Left: all of it; dashed: the share that random masks with the same counts in every"
        " layer have in common. Right: what goes beyond that. Line: mean over seeds and pairs; band: one standard"
        " deviation. Every seed is paired with the next one, so pairs of seeds are not quite independent.",
        frame=pairs[VALUES].mean().assign(pairs=pairs.size()).reset_index(),
        figure=overlap_panels(effects, [line for line in lines if line in set(effects["line"])]),
        fits=fits,
        effects=effects,
    )


def _pairs(frames: Frames, tickets: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yield a row per pair of tickets of one round that differ in one of KINDS and whose masks are stored."""
    read = [frames.mask(fit, root) for fit, root in zip(tickets["mask_fit"], tickets["root"], strict=True)]
    seeds = sorted(set(tickets["seed"]))
    following = dict(zip(seeds, seeds[1:] + seeds[:1], strict=True))
    both = permutations(zip(tickets.to_dict("records"), read, strict=True), 2)
    for (one, mask), (other, second) in both:
        differing = [kind for kind in KINDS if one[kind] != other[kind]]
        if len(differing) != 1 or mask is None or second is None or mask.layers != second.layers:
            continue
        (kind,) = differing
        if following[one["seed"]] == other["seed"] if kind == "seed" else one[kind] < other[kind]:
            names = {name: one[name] for name in ("image", "task", "precision")}
            names |= {} if kind == "seed" else {kind: f"{one[kind]} and {other[kind]}"}
            yield {"differ_in": kind, "seed": one["seed"], "round": one["round"], **names, **shared(mask, second)}


def shared(one: Mask, other: Mask) -> dict[str, float]:
    """Return VALUES of two masks of equal layers that keep equally many weights."""
    counts = zip(one.layers, one.kept_per_layer, other.kept_per_layer, strict=True)
    by_chance = sum(here * there / layer.size for layer, here, there in counts)
    both = np.count_nonzero(one.bits & other.bits)
    only_one = one.n_kept - both
    return {
        "shared": 100 * both / one.n_kept,
        "chance": 100 * by_chance / one.n_kept,
        "beyond_chance": 100 * (both - by_chance) / one.n_kept,
        "pruned_by_one": 100 * only_one / (one.bits.size - one.n_kept),
    }


def _differ_in(kind: str) -> Rows:
    return lambda pairs: pairs["differ_in"] == kind


def _claim(kind: str, statement: str, region: Region, value: str = "beyond_chance") -> Claim:
    statistics = {
        "beyond_chance": "share of the kept weights that both keep, less that of random masks with the same counts in"
        " every layer, on every task, at every round",
        "shared": "share of the kept weights that both keep, at every round from 2 on",
    }
    return Claim(
        id=f"overlap_{kind}",
        statement=statement,
        paper="not in the paper",
        statistic=statistics[value],
        region=region,
        unit="points" if value == "beyond_chance" else "%",
        rounds=() if value == "beyond_chance" else (2,),
        open_ended=value != "beyond_chance",
        every=("round", "task"),
        value=value,
        rows=_differ_in(kind),
        cells=("round", "image", "task", "precision"),
        outputs=("masks",),
        scopes=(HERE,),
    )


overlap = Custom(
    name="overlap",
    title="Weights that two tickets share (not in the paper)",
    needed=_shown,
    needs="IMP ticket",
    make=_make,
    apart=("precision",),
    claims=(
        _claim("seed", "tickets of two seeds share no more weights than by chance", Region(high=CHANCE_POINTS)),
        _claim("image", "tickets of two images with one θ₀ share more weights than by chance", POSITIVE),
        _claim("task", "tickets of two tasks with one θ₀ share more weights than by chance", POSITIVE),
        _claim(
            "precision",
            f"tickets of two roundings of the same fit share less than {SAME_TICKET:g} % of their weights from 36 % on",
            Region(high=SAME_TICKET, open=True),
            "shared",
        ),
    ),
)
