"""Beyond the paper: which settings a search found, and which keys matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.exhibits.exhibit import Contents, Definition, MissingError
from analysis.frames import Frames
from analysis.search_panels import label, search_panels
from analysis.searches import SearchResult, load_searches
from analysis.text import plural


@dataclass(frozen=True, kw_only=True)
class Explore(Definition):
    """The exhibit of all searches of a sweep."""

    def check(self, frames: Frames) -> None:
        """Raise MissingError if the sweep has no search with a judged setting."""
        if not (searches := load_searches(frames)):
            raise MissingError(f"the sweep has no {self.needs}", frames.command_for("tuning"))
        if all(search.proposed.empty for search in searches):
            raise MissingError("no setting is judged yet", frames.command)

    def contents(self, frames: Frames) -> Contents:
        """Show importance, parallel coordinates, interactions and slices, and the settings from the best on."""
        searches = [search for search in load_searches(frames) if not search.proposed.empty]
        return Contents(
            caption=" ".join([_WHAT, *map(_found, searches)]),
            frame=pd.concat([_table(search) for search in searches], ignore_index=True),
            figure=search_panels(searches),
            fits=frames.fits,
        )


_WHAT = (
    "Importance of a key: how far its distribution among the best quarter of settings is from that among all"
    " (PED-ANOVA); a sampler that learns tries few bad values, which then look less important. Interactions: share of"
    " the variance of ranks that a product of two keys explains beyond a quadratic of each. Slices: mean of the"
    " objective over blocks (photographs and seeds); dropped settings stand at the baseline's mean plus their"
    " difference to it on the blocks that they had; the worst tenth is not shown."
)


def _found(search: SearchResult) -> str:
    """Say what a search found, and what the blocks held out say of it."""
    settings = plural(len(search.proposed), "setting")
    dropped = int((search.proposed["state"] == "dropped").sum())
    text = f"{search.name}: {settings}, {dropped} dropped, by {label(search)}"
    if search.is_oracle:
        text += ", which the clean image chose"
    best = search.best
    if best is None:
        return f"{text}; none is fitted to all blocks yet."
    text += f"; best: {_setting(search, best)}"
    held_out = search.held_out
    if len(held_out) > 1 and np.isfinite(held_out["better_by"].iloc[-1]):
        row = held_out.iloc[-1]
        ends = f", 95 % interval {row['low']:+.3g} to {row['high']:+.3g}" if np.isfinite(row["low"]) else ""
        gain = f"better than the baseline by {row['better_by']:+.3g}{ends}"
        return f"{text}. On {plural(int(row['blocks']), 'block')} held out it is {gain}."
    return f"{text}. No blocks held out have judged it: being the best of many, its mean is too good."


def _setting(search: SearchResult, row: pd.Series) -> str:
    if row["number"] == 0:
        return "the baseline"
    given = {key: row[key] for key in search.keys if row[key] is not None and row[key] == row[key]}
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in given.items()
    )


def _table(search: SearchResult) -> pd.DataFrame:
    """Return the settings from the best on, then those on the blocks held out."""
    order = search.settings.sort_values("score", ascending=False)
    columns = ["setting", "state", "on", *search.keys, "blocks", "mean", "better_by", "low", "high"]
    parts = [order.assign(on="search"), search.held_out.assign(on="held out")]
    table = pd.concat([part.rename(columns={"number": "setting"}) for part in parts if len(part)], ignore_index=True)
    return table[columns].assign(search=search.name)[["search", *columns]]


explore = Explore(
    name="explore",
    title="What a search found (beyond the paper)",
    needed=lambda rows: pd.Series(True, index=rows.index),
    needs="search",
    experiment=None,
)
