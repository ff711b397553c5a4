"""The commands: what they print, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
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
