"""The report of a sweep: one self-contained page, and the figures and tables beside it as files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis import style
from analysis.claims import ANYWHERE, HERE, Claim
from analysis.exhibits import CLAIMS, EXHIBITS, Exhibit, MissingExhibit
from analysis.exhibits.scores import PROTOCOLS
from analysis.frames import FAULTS, Frames
from analysis.stats import LEVEL, MIN_PHOTOGRAPHS
from analysis.text import distinct_values, plural
from analysis.verdicts import FALSE_DISCOVERIES, HOLDS, NOT_MEASURED, REFUTED, UNDECIDED, Verdict
from lip.errors import InputError
from lip.ledger.filesystem import write_whole, writing
from lip.ledger.ledger import Ledger
from lip.ledger.schema import AXES, OUTPUTS
from lip.terminal import cell, plain

MARKS = {HOLDS: "✓", REFUTED: "✗", UNDECIDED: "?", NOT_MEASURED: "–"}

PUBLISHED, MISSING = "published", "missing"

_UNQUOTED = " /:=,;()+-.!~*@?$[]{}|"
"""Characters that a data address need not escape, so that drawings are smaller than in base64."""


@dataclass(frozen=True)
class Section:
    """An exhibit as the page shows it."""

    name: str
    exhibit: Exhibit | MissingExhibit
    picture: str = ""
    """A data address: an image cannot run scripts, and its ids do not clash with those of the page."""
    latex: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """Return the exhibit's verdicts; none if it is missing."""
        return self.exhibit.verdicts if isinstance(self.exhibit, Exhibit) else []

    @property
    def scoreboard(self) -> list[Row]:
        """Return a row per claim that is measured by some output."""
        return [row for row in self.rows if not row.missing]

    @property
    def rows(self) -> list[Row]:
        """Return a row per claim."""
        rows: dict[str, Row] = {}
        for verdict in self.verdicts:
            row = rows.setdefault(verdict.claim.id, Row(verdict.claim, {}))
            row.verdicts.setdefault(verdict.output, {})[verdict.scope] = verdict
        return list(rows.values())


@dataclass(frozen=True)
class Row:
    """A claim on the scoreboard, with its verdicts by output and scope."""

    claim: Claim
    verdicts: dict[str, dict[str, Verdict]]

    @property
    def columns(self) -> dict[str, dict[str, Verdict] | None]:
        """Return its verdicts by all reported outputs in order, or by what else was measured."""
        outputs = OUTPUTS if self.verdicts.keys() & OUTPUTS.keys() else self.verdicts
        return {output: self.verdicts.get(output) for output in outputs}

    @property
    def primary(self) -> Verdict:
        """Return its verdict on these photographs by its primary output."""
        return self.verdicts[self.claim.outputs[0]][HERE]

    @property
    def missing(self) -> bool:
        """Tell whether no output of it is measured."""
        return all(each[HERE].verdict == NOT_MEASURED for each in self.verdicts.values())


def default_folder(frames: Frames) -> Path:
    """Return <storage>/reports/<sweep>.<profile>. Raises InputError for a name that leads elsewhere."""
    name = f"{frames.sweep}.{frames.profile}"
    if Path(name).name != name:
        raise InputError(f"sweep {name!r} cannot name a folder; say where to write with --out")
    return frames.storage / "reports" / name


def sections(frames: Frames, folder: Path) -> Iterator[Section]:
    """Make the exhibits one by one, writing <name>.svg, .png, .pdf, .csv and .tex of each into the folder."""
    for name, make in EXHIBITS.items():
        exhibit = make(frames)
        if isinstance(exhibit, MissingExhibit):
            yield Section(name, exhibit)
            continue
        drawing = style.svg(exhibit.figure)
        write(folder / f"{name}.svg", drawing)
        write(folder / f"{name}.png", style.png(exhibit.figure))
        write(folder / f"{name}.pdf", style.pdf(exhibit.figure))
        write(folder / f"{name}.csv", as_csv(exhibit.frame))
        table = latex(main_table(exhibit))
        write(folder / f"{name}.tex", table.encode())
        if style.has_pictures(exhibit.figure):
            picture = base64.b64encode(style.jpeg(exhibit.figure)).decode()
            yield Section(name, exhibit, f"data:image/jpeg;base64,{picture}", table)
        else:
            lean = " ".join(drawing.decode().split())
            yield Section(name, exhibit, f"data:image/svg+xml,{quote(lean, safe=_UNQUOTED)}", table)


def claims_table(parts: Iterable[Section]) -> pd.DataFrame:
    """Return all verdicts as a table, one row per claim, output and scope."""
    return pd.DataFrame(
        [
            {
                "exhibit": part.name,
                "claim": verdict.claim.statement,
                "paper": verdict.claim.paper,
                "statistic": verdict.claim.statistic,
                "threshold": verdict.claim.threshold,
                "output": verdict.output,
                "scope": verdict.scope,
                "verdict": verdict.verdict,
                "effect": verdict.effect,
                "low": verdict.low,
                "high": verdict.high,
                "unit": verdict.claim.unit,
                "seeds": verdict.n,
                "photographs": verdict.photographs,
                "d": verdict.d,
                "p": verdict.p,
                "p_against": verdict.p_against,
                "q": verdict.q,
                **{f"by_{label}_outputs": verdict.by_protocol.get(label, "") for label in PROTOCOLS.values()},
                "note": verdict.note,
                "id": verdict.claim.id,
                "hash": verdict.claim.hash,
                "written": verdict.claim.written,
                "registration": verdict.registration,
            }
            for part in parts
            for verdict in part.verdicts
        ]
    )


def fits_table(frames: Frames) -> pd.DataFrame:
    """Return every planned fit once: axes, results, and whether it is published, missing or failed."""
    axes = ["experiment", *AXES]
    planned = frames.points.drop_duplicates("fit")[["fit", "trajectory", *axes, "published"]]
    results = [
        "sparsity",
        "kept_parameters",
        "psnr_peak_ema",
        "psnr_last_ema",
        "psnr_stop_ema",
        "accuracy_last",
        "loss",
    ]
    results = [name for name in results if frames.fits[name].notna().any()]
    results += [name for name in FAULTS if frames.fits[name].any()]
    table = planned.merge(frames.fits.drop_duplicates("fit")[["fit", *results]], on="fit", how="left")
    failures = Ledger(frames.storage).failures()
    table["state"] = [
        PUBLISHED if published else f"failed: {failures[trajectory]}" if trajectory in failures else MISSING
        for published, trajectory in zip(table["published"], table["trajectory"], strict=True)
    ]
    return table[["state", *axes, *results, "fit"]]


def write_files(frames: Frames, parts: list[Section], folder: Path) -> None:
    """Write the page, and the tables of claims and fits beside it."""
    claims = claims_table(parts)
    fits = fits_table(frames)
    write(folder / "claims.csv", as_csv(claims))
    printed_columns = ["claim", "threshold", "output", "scope", "effect", "low", "high", "seeds", "q", "verdict"]
    short = latex(claims[printed_columns]) if len(claims) else ""
    write(folder / "claims.tex", short.encode())
    write(folder / "fits.csv", as_csv(fits))
    tables = {"claims": (claims, short)} | {
        part.name: (part.exhibit.frame, part.latex) for part in parts if isinstance(part.exhibit, Exhibit)
    }
    write(folder / "index.html", page(frames, parts, fits, tables).encode())


def page(frames: Frames, parts: list[Section], fits: pd.DataFrame, tables: dict[str, tuple[pd.DataFrame, str]]) -> str:
    """Return the page as HTML; it offers `tables` as CSV and LaTeX.

    Names come from users, so everything is escaped.
    """
    environment = Environment(
        loader=PackageLoader("analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ledger = Ledger(frames.storage)
    return environment.get_template("report.html").render(
        frames=frames,
        sections=parts,
        outputs=OUTPUTS,
        marks=MARKS,
        answer=answer(frames, parts),
        unmeasured=[(part, row.primary) for part in parts for row in part.rows if row.missing],
        absent=[part for part in parts if isinstance(part.exhibit, MissingExhibit)],
        here=HERE,
        least=MIN_PHOTOGRAPHS,
        level=f"{100 * LEVEL:g} %",
        Exhibit=Exhibit,
        damaged=[path.removeprefix(f"{ledger.storage}/") for path in ledger.damaged()],
        conflicts=ledger.conflicts(frames.fits["fit"].unique()),
        provenance=provenance(frames),
        printed=printed,
        isinstance=isinstance,
        data=json.dumps(
            {
                "fits": _columns(fits),
                "tables": {name: {"table": _columns(table), "latex": text} for name, (table, text) in tables.items()},
            },
            separators=(",", ":"),
            ensure_ascii=False,
        ).replace("<", "\\u003c"),  # no name can end the script element
    )


def provenance(frames: Frames) -> dict[str, str]:
    """Describe what the results rest on, by label."""
    fits = frames.fits.drop_duplicates("fit")
    if fits.empty:
        return {"results": frames.progress}
    pictures = fits[["image", "image_width", "image_height", "content_hash"]].drop_duplicates().sort_values("image")
    rows = pictures.itertuples(index=False)
    facts = {
        "results": frames.progress,
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
        "backend": "backend",
        "threads": "threads per fit",
        "host": "hosts",
        "version_lip": "lip",
        "version_torch": "torch",
        "version_python": "Python",
        "code": "code of lip",
    }
    for column, label in columns.items():
        facts[label] = distinct_values(fits[column])
    return {label: fact for label, fact in facts.items() if fact}


def write(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises InputError if it cannot be written."""
    with writing(str(path), "another folder with --out"):
        write_whole(path, data)


def answer(frames: Frames, parts: list[Section]) -> list[str]:
    """Say in a few sentences what was measured and what came of it."""
    rows = [row for part in parts for row in part.rows]
    measured = [row for row in rows if not row.missing]
    fits = frames.fits.drop_duplicates("fit")
    if not measured:
        return [f"None of {plural(len(CLAIMS), 'claim')} is measured yet."]
    here = [row.primary for row in measured]
    decided = [each for each in here if each.decided]
    anywhere = [scopes[ANYWHERE] for row in measured for scopes in row.verdicts.values() if ANYWHERE in scopes]
    before = sum(each.registration == "written before its data" for each in here)
    sentences = [
        f"Of {plural(len(CLAIMS), 'claim')}, {len(measured)} are measured: {plural(fits['image'].nunique(), 'image')},"
        f" {plural(fits['seed'].nunique(), 'seed')}.",
        f"On these photographs, by the output that the paper's figures show, {tally(here)};"
        f" {sum(each.confirmed for each in decided)} of {len(decided)} decided ones stand if"
        f" {100 * FALSE_DISCOVERIES:g} % false discoveries are allowed within an exhibit.",
        f"On photographs in general, {sum(each.decided for each in anywhere)} of {len(anywhere)} verdicts are decided.",
        f"{before} of them {'was' if before == 1 else 'were'} written before {'its' if before == 1 else 'their'} data;"
        " the others are exploratory."
        if before
        else "None of them was written before its data: all are exploratory.",
    ]
    leading = next((row for row in measured if row.claim.id == "matching"), None)
    if leading:
        words = (f"{each[HERE].verdict} by {OUTPUTS[output]}" for output, each in leading.verdicts.items())
        sentences.insert(1, f"That {leading.claim.statement}: {', '.join(words)}.")
    return sentences


def tally(verdicts: list[Verdict]) -> str:
    """Count verdicts, as in `2 hold, 1 is refuted`; `shown` for an exhibit without claims."""
    counts = {word: sum(verdict.verdict == word for verdict in verdicts) for word in MARKS}
    texts = [_counted(count, word) for word, count in counts.items() if count]
    return ", ".join(texts) or "shown"


def _counted(count: int, word: str) -> str:
    if word == HOLDS:
        return f"{count} {'holds' if count == 1 else 'hold'}"
    return f"{count} {'is' if count == 1 else 'are'} {word}"


def main_table(exhibit: Exhibit) -> pd.DataFrame:
    """Return the table to print: the paper's numbers beside ours if there are any, else all of ours."""
    return exhibit.frame if exhibit.paper_table is None else exhibit.paper_table


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in which no text is a formula or moves a cursor."""
    safe = table.copy()
    for name in table.select_dtypes(["object", "string"]):
        safe[name] = table[name].map(cell)
    return safe.to_csv(index=False).encode()


def latex(table: pd.DataFrame) -> str:
    """Return a table for LaTeX with booktabs."""
    names = {name: str(name).replace("_", " ") for name in table.columns}
    return printed(table).map(plain).rename(columns=names).to_latex(index=False, escape=True)


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text, with the same number of digits within a column; the CSV has all digits."""
    return pd.DataFrame({name: _texts(column) for name, column in table.items()})


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Pack a table by column: numbers with six digits, or distinct texts and the index of each row's text."""
    packed: dict[str, list[Any]] = {}
    for name in table.columns:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = column.astype("float64")
            packed[str(name)] = [float(f"{x:.6g}") if np.isfinite(x) else None for x in numbers]
            packed[str(name)] = [int(x) if x is not None and x.is_integer() else x for x in packed[str(name)]]
        else:
            codes, texts = pd.factorize(column.astype("str").where(column.notna(), ""))
            packed[str(name)] = [{"texts": texts.tolist(), "codes": codes.tolist()}]
    return packed


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{plural(round(seconds / 3600), 'hour')}"


def _texts(column: pd.Series) -> list[str]:
    form = ""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        known = column.dropna().abs()
        most = known.max()
        form = ",.0f" if (known % 1 == 0).all() else ",.2f" if most >= 1 else ".4f" if most >= 0.01 else ".3g"
    return ["" if pd.isna(value) else f"{value:{form}}" for value in column]
