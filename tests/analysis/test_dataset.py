"""What others read: the ledger by other programs, and the files that are written for them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

import analysis
from analysis.cli import main
from lip.ledger.ledger import Ledger
from lip.ledger.schema import COLUMNS, SWEEP_COLUMNS

TEXT = (Path(analysis.__file__).parent / "README.md").read_text()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Runs the example of the README that imports a library, on the sample; gives its names."""
    (tmp_path / "results").symlink_to(analysis.SAMPLE)
    monkeypatch.chdir(tmp_path)

    def run(library: str) -> dict[str, Any]:
        pytest.importorskip(library)
        (code,) = re.findall(rf"```python\n(import {library}\n.*?)```", TEXT, re.DOTALL)
        names: dict[str, Any] = {}
        exec(code, names)
        return names

    return run


@pytest.fixture(scope="module")
def means() -> dict[tuple[str, int], float]:
    fits = Ledger(analysis.SAMPLE).fits(["task", "mask_kind", "round", "psnr_last_ema"]).to_pandas()
    return fits[fits["task"] == "denoise"].groupby(["mask_kind", "round"])["psnr_last_ema"].mean().to_dict()


def test_duckdb_reads_the_ledger(
    example: Callable[[str], dict[str, Any]], means: dict[tuple[str, int], float], capsys: pytest.CaptureFixture[str]
) -> None:
    example("duckdb")
    printed = re.findall(r"│ (\w+) +│ +(\d+) │ +([\d.]+) │ +\d+ │", capsys.readouterr().out)
    assert {(kind, int(number)): float(psnr) for kind, number, psnr in printed} == pytest.approx(means)


def test_polars_reads_the_ledger(example: Callable[[str], dict[str, Any]], means: dict[tuple[str, int], float]) -> None:
    fits = example("polars")["fits"].select("mask_kind", "round", "psnr_last_ema").collect().to_dict(as_series=False)
    assert pd.DataFrame(fits).groupby(["mask_kind", "round"])["psnr_last_ema"].mean().to_dict() == pytest.approx(means)


def test_pandas_reads_the_ledger(
    example: Callable[[str], dict[str, Any]], means: dict[tuple[str, int], float], capsys: pytest.CaptureFixture[str]
) -> None:
    fits = example("pandas")["fits"].query("task == 'denoise'")
    assert fits.groupby(["mask_kind", "round"])["psnr_last_ema"].mean().to_dict() == pytest.approx(means)
    assert "mask_kind" in capsys.readouterr().out


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command of analysis; gives its exit status and output."""

    def one(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["analysis", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return one


@pytest.fixture
def exported(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> Path:
    folder = tmp_path / "data set"
    options = ["--storage", analysis.SAMPLE, "--out", folder, "--license", "CC-BY-4.0", "--name", "A sample: small"]
    code, output = run("dataset", *options)
    assert code == 0, output
    return folder


def test_exported_tables_are_the_ledger_with_every_column_described(exported: Path) -> None:
    ledger = Ledger(analysis.SAMPLE)
    for name, table, columns in (("fits", ledger.fits(), COLUMNS), ("sweeps", ledger.sweeps(), SWEEP_COLUMNS)):
        read = pq.read_table(exported / f"{name}.parquet")
        assert read.equals(table)
        assert {c.name: c.metadata[b"description"].decode() for c in read.schema} == {
            column: meaning for column, (_, meaning) in columns.items()
        }


def test_the_card_has_front_matter_and_describes_every_column(exported: Path) -> None:
    _, front, text = (exported / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(front)
    assert (front["license"], front["pretty_name"]) == ("cc-by-4.0", "A sample: small")
    assert [(one["config_name"], one["data_files"]) for one in front["configs"]] == [
        ("fits", "fits.parquet"),
        ("sweeps", "sweeps.parquet"),
    ]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [*COLUMNS, *SWEEP_COLUMNS]


def test_the_croissant_describes_every_column(exported: Path) -> None:
    described = json.loads((exported / "croissant.json").read_text())
    fields = {field["@id"]: field["description"] for one in described["recordSet"] for field in one["field"]}
    assert fields == {
        f"{table}/{name}": meaning
        for table, columns in (("fits", COLUMNS), ("sweeps", SWEEP_COLUMNS))
        for name, (_, meaning) in columns.items()
    }


@pytest.mark.filterwarnings("ignore")  # it uses deprecated parts of pandas and rdflib
def test_mlcroissant_accepts_it_and_reads_the_fits(exported: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    data = mlcroissant.Dataset(jsonld=str(exported / "croissant.json"))
    assert data.metadata.issues.report() == ""
    records = list(data.records("fits"))
    ledger = Ledger(analysis.SAMPLE).fits()
    assert [record["fits/fit"].decode() for record in records] == ledger["fit"].to_pylist()
    assert list(records[0]["fits/curve_psnr"]) == ledger["curve_psnr"][0].as_py()
    assert not caplog.records


def test_results_without_a_licence_claim_none(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    assert run("dataset", "--storage", analysis.SAMPLE, "--out", tmp_path)[0] == 0
    assert "license" not in json.loads((tmp_path / "croissant.json").read_text())
    assert "license" not in (tmp_path / "README.md").read_text()


def test_where_there_is_nothing_to_export_is_refused(tmp_path: Path, run: Callable[..., tuple[int, str]]) -> None:
    code, output = run("dataset", "--storage", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert output.startswith(f"error: there are no results in {tmp_path / 'nowhere'}; name them")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    code, output = run("dataset", "--storage", analysis.SAMPLE, "--out", tmp_path / "file")
    assert (code, output.count("\n")) == (2, 1)
    assert f"--out {tmp_path / 'file'} cannot be written" in output
