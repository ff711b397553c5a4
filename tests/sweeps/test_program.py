"""`lip`: every command is found in one program, and what there is to choose from is listed."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

import lip
from lip import tickets
from lip.pruners import PRUNERS
from lip.specs.fit import Fit
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


COMMANDS = [
    "restore",
    "fit",
    "search",
    "bench",
    "report",
    "list",
    "tickets",
    "show",
    "export",
    "dataset",
    "redo",
    "forget",
    "sweep",
]


def test_all_commands_are_in_one_program(call: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("-h") == 0
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in COMMANDS)
    assert call("sweep", "-h") == 0
    assert " plan " in capsys.readouterr().out


def test_no_two_commands_have_one_name() -> None:
    names = [each.name or each.callback.__name__ for each in program.app.registered_commands if each.callback]
    assert len(names) == len(set(names))


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
    assert EXAMPLES.keys() == program.LISTS.keys() - {"tickets"}
    assert program.LISTS["pruners"]().keys() == PRUNERS.keys()


def test_a_sweep_is_listed_with_its_first_sentence() -> None:
    listed = program.LISTS["sweeps"]()
    assert all(re.search(r"[.?]$", about) for about in listed.values())
    assert listed["smoke"] == "A tiny sweep, with which CI checks that the whole system works."


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Fit]:
    """Three fits of IMP in ./results, each built on the one before."""
    monkeypatch.chdir(tmp_path)
    library, ledger = lip.InputLibrary(), lip.Ledger("results")
    keys = {"image": "astronaut", "size": 16, "width": 4, "scales": 2, "steps": 2, "rounds": 2}
    fits = list(lip.parse_trajectory(keys, library, "test").fits)
    for fit in fits:
        lip.run_fit(fit, library.inputs, ledger, outputs=True, backend="dense")
    ledger.record_sweep("mine", "smoke", [{"fit": fit.id} for fit in fits])
    return fits


def test_a_fit_is_shown_and_its_images_written(
    call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]
) -> None:
    fit = trained[0]
    assert call("show", fit.id[:8], "--out", "pictures") == 0
    said = capsys.readouterr().out
    assert fit.id in said
    assert "s0 stride" in said
    assert re.search(r"step +┃ loss +┃ psnr", said)
    with PIL.Image.open("pictures/last_ema.png") as picture:
        assert picture.size == (16, 16)
    assert call("show", "nothing") == 2
    assert "no fit has an id that begins with 'nothing'" in capsys.readouterr().err


def test_images_that_cannot_be_written_are_one_sentence(
    call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pictures").write_text("a file")
    assert call("show", trained[0].id, "--out", "pictures") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_tickets_are_listed(call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tickets") == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()[1:]] == [fit.id for fit in trained[1:]]
    assert "36.03%" in said
    assert call("tickets", "--storage", "elsewhere") == 2
    assert "there is no ticket in" in capsys.readouterr().err


def test_a_ticket_is_exported_and_restores(
    call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]
) -> None:
    fit = trained[2].id
    assert call("export", fit, "--to", "hub", "-o", "mine") == 0
    assert "mine/README.md: " in capsys.readouterr().out
    assert call("export", fit) == 0
    assert Path(f"{fit}.ticket.safetensors").stat().st_size < 4000
    PIL.Image.new("RGB", (16, 16)).save("cat.png")
    assert call("restore", "cat.png", "--ticket", "mine", "--steps", "2", "--backend", "dense") == 0
    assert call("export", fit, "--to", "torhc") == 2
    assert "there is no format 'torhc'; did you mean 'torch'?" in capsys.readouterr().err
    assert call("restore", "cat.png", "--ticket", "nameless") == 2
    assert "there is no file and no ticket 'nameless'" in capsys.readouterr().err


def test_tickets_that_come_with_the_package_are_listed(
    call: Program, trained: list[Fit], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tickets, "SHIPPED", Path("shipped"))
    assert call("list", "tickets") == 2
    assert "no tickets come with this version" in capsys.readouterr().err
    assert call("export", trained[1].id, "-o", "shipped/tiny.safetensors") == 0
    capsys.readouterr()
    assert call("list", "tickets") == 0
    assert re.match(r"tiny  hourglass, 20.0% pruned by imp, denoise astronaut, \d+.\d\d dB", capsys.readouterr().out)


def test_a_fit_is_trained_again_and_compared(
    call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("redo", trained[1].id) == 0
    assert "is the same again, bit for bit" in capsys.readouterr().out


def test_a_fit_that_others_build_on_is_forgotten_only_with_them(
    call: Program, trained: list[Fit], capsys: pytest.CaptureFixture[str]
) -> None:
    dense, first, last = (fit.id for fit in trained)
    assert call("forget", first) == 2
    assert f"1 published fit builds on {first} ({last}); forget them too" in capsys.readouterr().err
    assert call("forget", last) == 0
    assert "asked for by mine.smoke, which trains it again" in capsys.readouterr().out
    assert call("forget", dense, "--dependents") == 0
    assert not [path for path in Path("results").rglob("*.*") if {"sweeps", "environments"}.isdisjoint(path.parts)]


def test_an_unknown_list_is_refused(call: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "prunners") == 2
    assert capsys.readouterr().err == "error: there is no list of 'prunners'; did you mean 'pruners'?\n"
