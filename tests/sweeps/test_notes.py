"""What a user notes about runs, what is run when they are done, and the page of their state."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from sweeps.page import page
from sweeps.plan import Plan
from sweeps.spec import read
from sweeps.status import TrajectoryStatus
from sweeps.when_done import run_command

Cli = Callable[..., tuple[int, str]]
MARKUP = "[red]<script>alert(1)</script>\x1b[31m & done"


def test_notes_and_tags_are_kept_once_a_run_and_shown(spec: str, published: Ledger, cli: Cli) -> None:
    options = (spec, "--storage", published.url)
    for note in ((), ("--note", MARKUP), ("--note", "second", "--tag", "draft", "--tag", "v1.2")):
        assert cli("run", *options, *note)[0] == 0
    notes = published.notes("tiny", "smoke")
    assert [(note["note"], note["tags"]) for note in notes] == [(MARKUP, []), ("second", ["draft", "v1.2"])]
    for command in ("status", "show"):
        lines = [line for line in cli(command, *options)[1].splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]
        assert lines[0].endswith(": [red]<script>alert(1)</script>\\x1b[31m & done")
        assert lines[1].endswith(" [draft, v1.2]: second")
    found = json.loads(cli("status", *options, "--json")[1])["notes"]
    assert [note["tags"] for note in found] == [[], ["draft", "v1.2"]]


def test_a_tag_is_one_word(spec: str, tmp_path: Path, cli: Cli) -> None:
    code, output = cli("run", spec, "--storage", str(tmp_path), "--tag", "two words")
    assert (code, output) == (
        2,
        "error: --tag 'two words': a tag is one word of letters, digits and . _ : / + -; correct it\n",
    )


def test_a_command_is_told_how_a_run_has_ended(spec: str, published: Ledger, tmp_path: Path, cli: Cli) -> None:
    told = tmp_path / "told"
    command = f'echo "$LIP_STATUS $LIP_SWEEP $LIP_PROFILE $LIP_PUBLISHED_FITS/$LIP_FITS" > "{told}"; exit 7'
    code, output = cli("run", spec, "--storage", published.url, "--when-done", command)
    assert code == 0, "it is the run's own status"
    assert output.splitlines()[-1] == "--when-done: the command has ended with status 7"
    assert told.read_text() == "done tiny smoke 3/3\n"


@pytest.mark.parametrize(("status", "word"), [(0, "done"), (1, "failed"), (3, "drained"), (130, "interrupted")])
def test_no_text_of_a_run_is_part_of_a_command(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, word: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    ledger = Ledger(tmp_path / "$(touch broken); results")
    command = f'test -z "$RAY_AUTH_TOKEN" && printf "%s" "$LIP_STATUS:$LIP_STORAGE" > "{tmp_path}/told"'
    assert run_command(command, Plan(read(spec)), ledger, status) == 0
    assert (tmp_path / "told").read_text() == f"{word}:{ledger.storage}"
    assert not (tmp_path / "broken").exists()
    assert not os.path.exists("broken")


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


def test_a_page_reloads_itself_and_runs_nothing(spec: str, published: Ledger) -> None:
    published.record_note("a", "tiny", "smoke", MARKUP, ["draft"])
    found = [TrajectoryStatus(MARKUP, 1, 3, "failed", MARKUP), TrajectoryStatus("quiet", 3, 3, "done", "")]
    text = page(Plan.make(read(spec), published), published, found)
    elements = Elements()
    elements.feed(text)
    assert "script" not in elements.tags
    assert text.count("&lt;script&gt;alert(1)") == 3
    assert "\x1b" not in text
    assert 'http-equiv="refresh" content="60"' in text
    assert "3 of 3 results published, 3 of 3 fits" in text
    assert "quiet" not in text


def test_status_writes_the_page(spec: str, published: Ledger, tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "pages" / "tiny.html"
    assert cli("status", spec, "--storage", published.url, "--html", str(file))[0] == 0
    assert "1 done, 0 running, 0 failed, 0 waiting" in file.read_text()
    code, output = cli("status", spec, "--storage", published.url, "--html", str(tmp_path / "pages"))
    assert (code, output) == (2, f"error: --html {tmp_path / 'pages'} is a folder; name a file\n")
    assert file.exists()
