from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.claims import ANYWHERE, HERE
from analysis.cli import main
from analysis.report import answer, as_csv, default_folder, printed, sections, write, write_files
from lip.errors import InputError

HOSTILE = "<script>alert(1)</script> & $x_1$"


class Page(HTMLParser):
    """Collects what matters of a page, and sees that its tags are balanced."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "srcset", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["analysis", *map(str, arguments)])
    with pytest.raises(SystemExit) as ending:
        main()
    return int(ending.value.code or 0)


def test_a_report_from_end_to_end(measured, tmp_path, monkeypatch, capsys):
    out = tmp_path / "a page"
    assert run(monkeypatch, "report", "some/where/tiny.yaml", "--storage", measured, "--out", out) == 0
    said = capsys.readouterr().out
    assert "18 of 18 results published, 14 of 14 fits of their own" in said
    assert all(name in said for name in analysis.EXHIBITS)
    assert said.strip().endswith("index.html")
    shown = {"existence", "layers", "rewinding", "stop_rule", "images", "curves", "bird", "overlap"}
    expected = {f"{name}.{suffix}" for name in shown for suffix in ("svg", "png", "pdf", "csv", "tex")}
    tables = {"claims.csv", "claims.tex", "fits.csv"}
    assert {path.name for path in out.iterdir()} == {"index.html", *tables, *expected}
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    assert {address.split(":")[0] for address in page.addresses if ":" in address} == {"data"}
    assert all((out / address).exists() for address in page.addresses if "." in address and ":" not in address)
    judged = [claim for name in shown for claim in analysis.EXHIBITS[name].claims]
    assert len(pd.read_csv(out / "claims.csv")) == sum(len(claim.outputs) * len(claim.scopes) for claim in judged)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', (out / "index.html").read_text())
    tables = json.loads(data)["tables"]
    assert set(tables) == {"claims", *shown}, "the page has them, should it leave its folder"
    assert tables["claims"]["latex"] == (out / "claims.tex").read_text(encoding="utf-8")
    assert len(tables["claims"]["table"]["effect"]) == len(pd.read_csv(out / "claims.csv"))
    assert "\\toprule" in (out / "existence.tex").read_text(encoding="utf-8")
    with (out / "fits.csv").open(encoding="utf-8", newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["published"] * 14
    assert "18 of 18 results published, 14 of 14 fits of their own" in " ".join(page.text.split())
    with open(out / "existence.csv", encoding="utf-8", newline="") as file:
        assert {row["pruner"] for row in csv.DictReader(file)} == {"imp", "random", "snip"}


def test_names_are_escaped_everywhere(invented, monkeypatch, capsys):
    invented.sweep(
        [invented.trajectory(HOSTILE, pruner) for pruner in ("imp", "random")]
        + [invented.trajectory(HOSTILE, source="[red]dog", rounds=2)]
    )
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    folder = invented.folder / "reports" / "invented.smoke"
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert HOSTILE in Page(text).text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert HOSTILE in json.loads(data)["fits"]["image"][0]["texts"]
    assert b"<script" not in (folder / "existence.svg").read_bytes()


def test_what_is_missing_is_said_with_the_command(invented, monkeypatch, capsys):
    invented.sweep([invented.trajectory()], lambda round, **_: None if round == 3 else 30.0)
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "missing: the sweep has no rewound IMP ticket; python -m sweeps run rewinding --profile smoke" in said
    with (invented.folder / "reports/invented.smoke/fits.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["round"], row["state"]) for row in csv.DictReader(file)][-1] == ("3", "missing")
    page = Page((invented.folder / "reports/invented.smoke/index.html").read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert "1 planned fit is not published yet; the table of all fits says which." in text
    assert "Run them with python -m sweeps run invented --profile smoke" in text
    assert "the sweep has no rewound IMP ticket; python -m sweeps run rewinding --profile smoke" in text


def test_a_sweep_without_any_fit_makes_a_page_too(invented, monkeypatch):
    invented.sweep([invented.trajectory()], lambda **_: None)
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    page = (invented.folder / "reports/invented.smoke/index.html").read_text(encoding="utf-8")
    assert "0 of 4 results published" in page


def test_a_damaged_ledger_is_reported_and_the_rest_is_built(invented, monkeypatch):
    invented.sweep([invented.trajectory(rounds=2)])
    damaged = sorted((invented.folder / "fits").glob("*/*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    invented.ledger.record_failure("cat-None-imp-0-0", "OSError: the disk is full")
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    folder = invented.folder / "reports/invented.smoke"
    text = " ".join(Page((folder / "index.html").read_text(encoding="utf-8")).text.split())
    assert "2 of 3 results published, 2 of 3 fits of their own" in text
    assert (
        f"1 damaged file counts as missing; the same command computes what was lost: fits/{damaged.parent.name}/"
        in text
    )
    with (folder / "fits.csv").open(encoding="utf-8", newline="") as file:
        states = sorted(row["state"] for row in csv.DictReader(file))
    assert states == ["failed: OSError: the disk is full", "published", "published"]


@pytest.mark.slow
def test_the_page_of_the_whole_paper_is_light_and_complete(paper, tmp_path):
    parts = list(sections(paper, tmp_path))
    assert not [part.name for part in parts if isinstance(part.exhibit, analysis.MissingExhibit)]
    write_files(paper, parts, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6e6, "half of it pictures of noise, which compress badly"
    assert {address.split(":")[0] for address in Page(text).addresses if ":" in address} == {"data"}
    claims = pd.read_csv(tmp_path / "claims.csv")
    assert set(claims["claim"]) == {claim.statement for claim in analysis.CLAIMS.values()}
    tested = claims[claims["q"].notna()]
    assert (tested["q"] >= tested[["p", "p_against"]].min(axis="columns")).all()
    assert all((tmp_path / f"{name}.tex").read_text(encoding="utf-8").count("\\midrule") for name in analysis.EXHIBITS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_browser_shows_the_fits_and_fits_on_a_phone(measured, tmp_path, monkeypatch):
    assert run(monkeypatch, "report", "tiny", "--storage", measured, "--out", tmp_path) == 0
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    # what a user would do: open a table, filter by a menu and by words, download, and look whether all fits a phone
    probe = (
        "<script>document.querySelector('details[data-table]').open = true;"
        "const change = (field, value, kind) => { field.value = value; field.dispatchEvent(new Event(kind)); };"
        "const imp = choices.find(([column]) => fits.names[column] === 'pruner')[1];"
        "change(imp, 'imp', 'change'); const chosen = found.length; change(imp, '', 'change');"
        "change(words, 'snip', 'input');"
        "document.addEventListener('click', event => event.preventDefault()); download.click();"
        "setTimeout(async () => { const lines = (await (await fetch(download.href)).text()).trim().split('\\n').length;"
        "document.title = [chosen, found.length, lines, document.documentElement.scrollWidth].join() }, 300)"
        "</script>"
    )
    (tmp_path / "probe.html").write_text(page + probe, encoding="utf-8")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    browser = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", *quiet]
    browser.append(f"--user-data-dir={tmp_path / 'profile'}")
    seen = subprocess.run(
        [
            *browser,
            "--window-size=500,900",
            "--virtual-time-budget=5000",
            "--dump-dom",
            f"file://{tmp_path}/probe.html",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    (title,) = re.findall("<title>(.*?)</title>", seen)
    chosen, found, lines, width = map(int, title.split(","))
    assert chosen == len(pd.read_csv(tmp_path / "fits.csv").query("pruner == 'imp'"))
    assert found == 2
    assert lines == 1 + found, "the download holds what is shown"
    assert width <= 500
    assert "2 of 14 fits" in seen
    assert seen.count('<table class="data">') >= 3, "the paper's numbers, the table that was opened, and the fits"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tini"], "no sweep 'tini' was started here; start it with python -m sweeps run tini --storage "),
        (["tiny", "--profile", "paper"], "was not run with profile 'paper'"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_status_2(measured, monkeypatch, capsys, arguments, sentence):
    assert run(monkeypatch, "report", *arguments, "--storage", measured) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_numbers_of_a_column_have_as_many_digits():
    table = pd.DataFrame(
        {
            "what": ["a", None],
            "dB": [31.0, 27.444],
            "error": [0.0725, 0.5],
            "loss": [0.00123, float("nan")],
            "count": [100224, 5],
            "parameters": [100224.0, float("nan")],
        }
    )
    assert printed(table).to_dict("list") == {
        "what": ["a", ""],
        "dB": ["31.00", "27.44"],
        "error": ["0.0725", "0.5000"],
        "loss": ["0.00123", ""],
        "count": ["100,224", "5"],
        "parameters": ["100,224", ""],
    }


def test_a_verdict_stands_in_the_column_of_its_output(invented):
    invented.sweep([invented.trajectory(seed=seed) for seed in range(3)])
    (existence,) = [
        part
        for part in sections(analysis.load(invented.folder, "invented"), invented.folder / "page")
        if part.name == "existence"
    ]
    verdicts = [each for each in existence.verdicts if each.output != "stop"][::-1]
    part = replace(existence, exhibit=replace(existence.exhibit, verdicts=verdicts))
    for row in [row for row in part.rows if "peak" in row.claim.outputs]:
        assert list(row.columns) == ["peak", "last", "stop"]
        assert row.columns["stop"] is None
        assert row.primary is row.columns["peak"][HERE]
        for output, scopes in row.verdicts.items():
            assert {(each.claim.id, each.output) for each in scopes.values()} == {(row.claim.id, output)}
            assert list(scopes) == [ANYWHERE, HERE]


def test_the_answer_counts_what_was_measured(invented, tmp_path):
    """Tickets of three images match at every round, by every output."""
    seeds, names = range(3), ("cat", "dog", "owl")
    invented.sweep([invented.trajectory(image, seed=seed, rounds=9) for image in names for seed in seeds])
    frames = analysis.load(invented.folder, "invented")
    sentences = answer(frames, list(sections(frames, tmp_path)))
    assert len(sentences) == 5
    assert sentences[1] == (
        "That IMP tickets match the dense prior up to 86.58 %: holds by oracle peak, holds by last output,"
        " holds by ES-WMV stop."
    )
    assert sentences[4] == "None of them was written before its data: all are exploratory."


def test_nothing_measured_is_the_answer_too(invented, tmp_path):
    invented.sweep([invented.trajectory()], lambda **_: None)
    frames = analysis.load(invented.folder, "invented")
    assert answer(frames, list(sections(frames, tmp_path)))[0].endswith("is measured yet.")


def test_help_lists_the_command(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    assert "report" in capsys.readouterr().out


def test_files_are_replaced_whole(tmp_path):
    write(tmp_path / "deep" / "file", b"old")
    write(tmp_path / "deep" / "file", b"new")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep" / "file").read_bytes() == b"new"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .* choose another folder with --out"):
        write(tmp_path / "file" / "page", b"")


def test_names_never_become_paths_unchecked(invented):
    invented.sweep([invented.trajectory()])
    frames = analysis.load(invented.folder, "invented")
    assert default_folder(frames) == invented.folder / "reports" / "invented.smoke"
    with pytest.raises(InputError, match="cannot name a folder"):
        default_folder(replace(frames, sweep="../up"))


def test_no_cell_of_a_csv_is_a_formula() -> None:
    table = pd.DataFrame({"name": ["=1+1", "\x1b[31mred", None], "psnr": [-1.5, 2.0, np.nan]})
    assert as_csv(table).decode() == "name,psnr\n'=1+1,-1.5\n\\x1b[31mred,2.0\n,\n"
