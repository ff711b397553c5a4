from __future__ import annotations

import csv
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import analysis
from analysis.cli import main
from analysis.report import default_folder, write
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
        if self.open and self.open[-1] != "style":
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
    assert "14 of 14 fits published" in said
    assert all(name in said for name in analysis.EXHIBITS)
    assert said.strip().endswith("index.html")
    expected = {f"{name}.{suffix}" for name in analysis.EXHIBITS for suffix in ("svg", "png", "csv")}
    assert {path.name for path in out.iterdir()} == {"index.html", *expected}
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    assert {address.split(":")[0] for address in page.addresses if ":" in address} == {"data"}
    assert all((out / address).exists() for address in page.addresses if address.endswith((".svg", ".png", ".csv")))
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.text.count("not enough data") == 3 + 3 + 3 + 9 + 3 + 3 + 6
    assert "14 of 14 planned" in page.text
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
    assert "<script" not in text
    assert HOSTILE in Page(text).text
    assert b"<script" not in (folder / "existence.svg").read_bytes()


def test_what_is_missing_is_said_with_the_command(invented, monkeypatch, capsys):
    invented.sweep([invented.trajectory()], lambda round, **_: None if round == 3 else 30.0)
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "absent: the sweep has no rewound IMP ticket; python -m sweeps run rewinding --profile smoke" in said
    page = Page((invented.folder / "reports/invented.smoke/index.html").read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert "1 planned fit is not published yet. Run them with python -m sweeps run invented --profile smoke" in text
    assert "Not shown: the sweep has no rewound IMP ticket." in text


def test_a_sweep_without_any_fit_makes_a_page_too(invented, monkeypatch):
    invented.sweep([invented.trajectory()], lambda **_: None)
    assert run(monkeypatch, "report", "invented", "--storage", invented.folder) == 0
    assert "0 of 4 planned" in (invented.folder / "reports/invented.smoke/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tini"], "no sweep 'tini' was started here; start it with python -m sweeps run tini (did you mean 'tiny'?)"),
        (["tiny", "--profile", "paper"], "was not run with profile 'paper'"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_status_2(measured, monkeypatch, capsys, arguments, sentence):
    assert run(monkeypatch, "report", *arguments, "--storage", measured) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


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
    from dataclasses import replace

    invented.sweep([invented.trajectory()])
    frames = analysis.load(invented.folder, "invented")
    assert default_folder(frames) == invented.folder / "reports" / "invented.smoke"
    with pytest.raises(InputError, match="cannot name a folder"):
        default_folder(replace(frames, sweep="../up"))
