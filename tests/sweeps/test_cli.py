"""The commands: what they print, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from sweeps.spec import read
from tests.sweeps.helpers import publish

Cli = Callable[..., tuple[int, str]]


def test_plan_lists_trajectories_and_what_is_to_do(spec: str, published: Ledger, fits: list[Fit], cli: Cli) -> None:
    code, output = cli("plan", spec, "--storage", str(published.root))
    lines = output.splitlines()
    assert code == 0
    assert lines[0] == "tiny (smoke)"
    assert ["astronaut, random, seed 0", *"3330"] in [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in lines
    ]
    assert lines[-1] == "3 of 3 results published, 3 of 3 fits, 0 to do"
    next(published.root.glob(f"fits/*/{fits[2].id}-*")).unlink()
    _, output = cli("plan", spec, "--storage", str(published.root), "--slots", "2", "--price", "0.5")
    *_, progress, cost = output.splitlines()
    assert progress == "2 of 3 results published, 2 of 3 fits, 1 to do"
    assert cost.startswith("about ")
    assert "CPU-hours" in cost
    assert "on 2 slots), 0.00 at 0.5 per hour, from " in cost


def test_plan_names_what_is_replaced(spec: str, tmp_path: Path, cli: Cli) -> None:
    _, output = cli("plan", spec, "--profile", "mini", "--storage", str(tmp_path))
    assert "--profile mini: " not in output
    sized = tmp_path / "tiny.yaml"
    sized.write_text(sized.read_text().replace("image: astronaut", "image: astronaut\n  size: 48"))
    _, output = cli("plan", spec, "--profile", "mini", "--storage", str(tmp_path))
    assert "--profile mini: size 64 instead of 48" in output.splitlines()


def test_show_prints_only_what_varies(spec: str, published: Ledger, cli: Cli) -> None:
    code, output = cli("show", spec, "--storage", str(published.root))
    header = [cell.strip() for cell in output.splitlines()[2].strip("┃").split("┃")]
    assert (code, header) == (0, ["round", "psnr last ema"])


def test_a_narrow_terminal_breaks_column_names_between_words(
    spec: str, published: Ledger, fits: list[Fit], cli: Cli
) -> None:
    for number, fit in enumerate(fits):
        publish(published, fit, **{f"psnr_{output}_ema": 20.0 + number for output in ("peak", "last", "stop")})
    _, output = cli("show", spec, "--storage", str(published.root), columns=40)
    assert {"peak", "last", "stop"} <= set(output.split("┡")[0].split())


def test_show_writes_all_columns_to_a_file(spec: str, published: Ledger, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "all.csv"
    assert cli("show", spec, "--storage", str(published.root), "--csv", str(path)) == (0, f"3 rows in {path}\n")
    assert len(path.read_text().splitlines()) == 1 + 3
    path = tmp_path / "no folder" / "all.csv"
    code, output = cli("show", spec, "--storage", str(published.root), "--csv", str(path))
    assert code == 2
    assert output.startswith(f"error: --csv {path} cannot be written")


def test_show_without_results_names_the_command_that_makes_them(spec: str, tmp_path: Path, cli: Cli) -> None:
    storage = tmp_path / "results"
    assert cli("show", spec, "--storage", str(storage)) == (
        2,
        f"error: no result of tiny is published in {storage}; run `python -m sweeps run {spec}` first\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "existance"], "there is no sweep 'existance'; did you mean 'existence'?"),
        (["run", "smoke", "--backend", "nunba"], "there is no backend 'nunba'; did you mean 'numba'?"),
        (["run", "smoke", "--gpus", "1.5"], "--gpus 1.5: give a fraction of one GPU, or a whole number"),
        (["run", "smoke", "--profile", "mino"], "there is no profile 'mino'; did you mean 'mini'?"),
        (["plan", "smoke", "--only", "x"], "'x' is not understood; give it as key=value, for example task=inpaint"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], sentence: str, tmp_path: Path, cli: Cli) -> None:
    assert cli(*arguments, "--storage", str(tmp_path / "new")) == (2, f"error: {sentence}\n")
    assert not (tmp_path / "new").exists(), "nothing was started"


def test_storage_that_cannot_be_written_is_refused(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "file").write_text("")
    code, output = cli("run", "smoke", "--storage", str(tmp_path / "file" / "results"))
    assert code == 2
    assert output.startswith(f"error: storage {tmp_path / 'file' / 'results'} cannot be written")
    assert output.count("\n") == 1


def test_only_may_be_repeated_for_one_key(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("name: two\nprofile: smoke\nfixed: {image: astronaut, rounds: 0}\ngrid: {sigma: [10, 25, 1e2]}\n")
    for only, count in ((["sigma=10", "sigma=25"], 2), (["sigma=100"], 1), ([], 3)):
        options = [part for pair in only for part in ("--only", pair)]
        code, output = cli("plan", str(path), "--storage", str(tmp_path), *options)
        assert (code, f"{count} trajectories" in output) == (0, True)


def test_a_name_does_nothing_in_a_terminal(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a short path is not wrapped
    name = "a\x1b]0;pwn\x07[red].png"
    Image.linear_gradient("L").save(tmp_path / name)
    path = tmp_path / "odd.yaml"
    keys = {"name": "odd", "profile": "smoke", "fixed": {"rounds": 0}, "grid": {"image": [name]}}
    path.write_text(json.dumps(keys))
    code, output = cli("plan", str(path), "--storage", str(tmp_path), columns=400)
    assert code == 0
    assert "\x1b" not in output
    assert output.count(r"a\x1b]0;pwn\x07[red].png") == 2, "in the table and in the notes"


def test_a_cause_does_nothing_in_a_terminal(spec: str, published: Ledger, fits: list[Fit], cli: Cli) -> None:
    (trajectory,) = read(spec).trajectories
    for fit in fits:
        for file in published.root.glob(f"fits/*/{fit.id}-*"):
            file.unlink()
    published.record_failure(trajectory.id, "\x1b[31mfailed \x9b1m")
    code, output = cli("status", spec, "--storage", str(published.root))
    assert code == 1
    assert r"\x1b[31mfailed \x9b1m" in output
    assert not {"\x1b", "\x9b"} & set(output)


def test_a_cell_of_a_csv_file_is_no_formula(
    spec: str, published: Ledger, fits: list[Fit], tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fit in fits:
        publish(published, fit, host='=HYPERLINK("http://x")')
    monkeypatch.setenv("HOME", str(tmp_path))
    code, output = cli("show", spec, "--storage", str(published.root), "--csv", "~/all.csv")
    assert (code, "rows in" in output) == (0, True)
    written = pd.read_csv(tmp_path / "all.csv")
    assert all(str(cell)[:1] not in ("=", "+", "@") for cell in written.to_numpy().ravel())


def test_what_does_not_fit_into_memory_is_refused(
    spec: str, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lip.training.machine.available_memory", lambda: 0.5e9)
    for command in ("plan", "run"):
        code, output = cli(command, spec, "--storage", str(tmp_path / "results"))
        assert code == 2
        assert output.splitlines()[-1].startswith("error: image astronaut: a fit to 32x32 pixels takes about 0.6")
        assert not (tmp_path / "results").exists()
    code, output = cli("plan", spec, "--storage", str(tmp_path / "results"), "--gpus", "1")
    assert code == 0


def test_no_more_trials_run_at_a_time_than_fit_into_memory(
    spec: str, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lip.training.machine.usable_cores", lambda: 16)
    for there, slots in ((0.7e9, 1), (2.5e9, 4), (100e9, 16)):
        monkeypatch.setattr("lip.training.machine.available_memory", lambda there=there: there)
        _, output = cli("plan", spec, "--storage", str(tmp_path))
        assert f"on {slots} slots" in output
