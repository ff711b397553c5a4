"""Text of users reaches terminals and spreadsheets without doing anything there."""

import os
import subprocess
import sys

import pytest

from lip.terminal import cell, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;pwn\x07.png", r"a\x1b]0;pwn\x07.png"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\tand", r"two\x0alines\x0d\x09and"),
        ("\x9b31m", r"\x9b31m"),
        ("gnp.\u202etac", r"gnp.\u202etac"),
        ("not utf-8 \udcff", r"not utf-8 \udcff"),
        ("café 猫 👩\u200d🔬 σ × \u3000[bold]", "café 猫 👩\u200d🔬 σ × \u3000[bold]"),
        ("s3://KEY:SEC/RET@bucket/lip is", "s3://bucket/lip is"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "=1", "-a.png"])
def test_a_formula_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [1, -2.5, None, True, "-1.5", "+2.1", "-1e-3", "-", "a=b", "astronaut", "café", ""])
def test_other_cells_stay(value: object) -> None:
    assert cell(value) == value


def test_a_formula_behind_a_control_character_is_shown_as_text() -> None:
    assert cell("\t=1+1") == r"\x09=1+1"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_the_encoding_lacks_is_escaped(encoding: str) -> None:
    code = (
        "import typer; from lip import terminal; a = typer.Typer(); a.command()(lambda: print('猫')); terminal.main(a)"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "\\u732b\n")
