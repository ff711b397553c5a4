"""`lip`: every command is found in one program, and what there is to choose from is listed."""

import subprocess
import sys
from collections.abc import Callable

import pytest

import lip
from lip.pruners import PRUNERS
from sweeps import program

Program = Callable[..., int]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Runs the program; returns its exit status."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["lip", *arguments])
        with pytest.raises(SystemExit) as exit:
            program.main()
        return int(exit.value.code or 0)

    return run


def test_all_commands_are_in_one_program(call: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("-h") == 0
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in ("restore", "fit", "search", "bench", "report", "list", "sweep"))
    assert call("sweep", "-h") == 0
    assert " plan " in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, sweeps.program; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "ray", "pandas", "numpy", "pydantic", "matplotlib"} & set(done.stdout.split())


def test_the_version_is_printed(call: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"{lip.__version__}\n"


EXAMPLES = {
    "sweeps": "existence",
    "images": "set5",
    "pruners": "synflow",
    "priors": "hourglass",
    "tasks": "inpaint",
    "profiles": "mini",
    "keys": "sigma",
}


@pytest.mark.parametrize(("what", "name"), EXAMPLES.items())
def test_what_there_is_is_listed(call: Program, what: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", what) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.split(maxsplit=1)[:1] == [name]]
    assert len(line.split()) > 1


def test_every_list_is_tested_and_every_pruner_listed() -> None:
    assert EXAMPLES.keys() == program.LISTS.keys()
    assert program.LISTS["pruners"]().keys() == PRUNERS.keys()


def test_an_unknown_list_is_refused(call: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "prunners") == 2
    assert capsys.readouterr().err == "error: there is no list of 'prunners'; did you mean 'pruners'?\n"
