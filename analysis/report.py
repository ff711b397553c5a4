"""The report of a sweep: one page that needs nothing but itself, and beside it the figures and tables as files."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis import plots
from analysis.exhibits import EXHIBITS, Absent, Exhibit
from analysis.exhibits.exhibit import plural, values
from analysis.frames import Frames
from analysis.stats import FAILS, HOLDS, UNKNOWN, Verdict
from lip.errors import InputError
from lip.shelf import write_whole

MARKS = {HOLDS: "✓", FAILS: "✗", UNKNOWN: "?"}


@dataclass(frozen=True)
class Section:
    """An exhibit as the page shows it."""

    name: str
    exhibit: Exhibit | Absent
    svg: str = ""
    """As a data address: inside an image nothing in a drawing can run, and its ids meet no others."""

    @property
    def scoreboard(self) -> list[tuple[Verdict, dict[str, Verdict]]]:
        """A row per claim: its first verdict, and all by output."""
        rows: dict[str, dict[str, Verdict]] = {}
        for verdict in self.exhibit.claims if isinstance(self.exhibit, Exhibit) else []:
            rows.setdefault(verdict.claim, {})[verdict.output] = verdict
        return [(next(iter(row.values())), row) for row in rows.values()]


def default_folder(frames: Frames) -> Path:
    """<storage>/reports/<sweep>.<profile>. Raises InputError when these names would lead elsewhere."""
    name = f"{frames.sweep}.{frames.profile}"
    if Path(name).name != name:
        raise InputError(f"sweep {name!r} cannot name a folder; say where to write with --out")
    return frames.storage / "reports" / name


def sections(frames: Frames, folder: Path) -> Iterator[Section]:
    """Make the exhibits one by one, writing <name>.svg, <name>.png and <name>.csv of each into the folder."""
    for name, make in EXHIBITS.items():
        exhibit = make(frames)
        if isinstance(exhibit, Absent):
            yield Section(name, exhibit)
            continue
        drawing = plots.svg(exhibit.figure)
        write(folder / f"{name}.svg", drawing)
        write(folder / f"{name}.png", plots.png(exhibit.figure))
        write(folder / f"{name}.csv", exhibit.table.to_csv(index=False).encode())
        yield Section(name, exhibit, f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}")


def page(frames: Frames, parts: list[Section]) -> str:
    """The page as HTML. Names come from users, so everything is escaped."""
    environment = Environment(
        loader=PackageLoader("analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell}
    return environment.get_template("report.html").render(
        frames=frames,
        sections=parts,
        outputs=plots.OUTPUTS,
        marks=MARKS,
        Exhibit=Exhibit,
        provenance=provenance(frames),
        isinstance=isinstance,
    )


def provenance(frames: Frames) -> dict[str, str]:
    """What the results rest on: a few words for each question."""
    fits = frames.fits.drop_duplicates("fit")
    if fits.empty:
        return {"fits": f"0 of {frames.planned} planned"}
    pictures = fits[["image", "image_width", "image_height", "pixels"]].drop_duplicates().sort_values("image")
    rows = pictures.itertuples(index=False)
    facts = {
        "fits": f"{len(fits)} of {frames.planned} planned",
        "images": "; ".join(f"{name} {width}×{height} ({key})" for name, width, height, key in rows),
        "computing time": f"{_duration(fits['seconds'].sum())}, the fits added up",
        "trained": f"{fits['started'].min():%Y-%m-%d %H:%M} to {fits['started'].max():%Y-%m-%d %H:%M} UTC",
    }
    columns = {
        "seed": "seeds",
        "task": "task",
        "sigma": "noise sigma",
        "prior": "prior",
        "width": "width",
        "scales": "scales",
        "steps": "steps",
        "lr": "learning rate",
        "device": "devices",
        "threads": "threads per fit",
        "host": "hosts",
        "version_lip": "lip",
        "version_torch": "torch",
        "version_python": "Python",
        "code": "code of lip",
    }
    for column, label in columns.items():
        facts[label] = values(fits[column])
    return {label: fact for label, fact in facts.items() if fact}


def write(path: Path, data: bytes) -> None:
    """Put a file in place whole. Raises InputError when it cannot be written."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error


def tally(claims: list[Verdict]) -> str:
    """As in `2 hold, 1 does not hold`."""
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in MARKS}
    words = {HOLDS: "hold" if counts[HOLDS] != 1 else "holds", FAILS: "do not hold" if counts[FAILS] != 1 else FAILS}
    return ", ".join(f"{count} {words.get(verdict, verdict)}" for verdict, count in counts.items() if count)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{plural(round(seconds / 3600), 'hour')}"


def _cell(value: Any) -> str:
    """A table's cell: numbers short enough to read, nothing for what was not measured; the CSV has all digits."""
    if not isinstance(value, float):
        return str(value)
    if pd.isna(value):
        return ""
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
