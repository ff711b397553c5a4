"""What the commands say of a ledger that holds what it should not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lip.errors import InputError
from lip.ledger.ledger import Ledger
from lip.ledger.schema import FITS, VERSION
from lip.ledger.tables import to_parquet
from lip.masks import Layer, Mask
from lip.specs.fit import Fit
from sweeps.cli import app
from sweeps.plan import Plan
from sweeps.spec import read

Write = Callable[..., str]


def row(fit: Fit, **values: object) -> pa.Table:
    known = {"fit": fit.id, "schema": VERSION, "spec": fit.canonical_text, "sparsity": 0.0, "collapsed": False}
    times = {"started": datetime(2026, 1, 2, tzinfo=UTC), "seconds": 1.0}
    return pa.Table.from_pylist([known | times | values], FITS)


@pytest.fixture
def spec(write: Write) -> str:
    return write(grid={"pruner": ["random"]}, profiles={"smoke": {"rounds": 2}})


@pytest.fixture
def fits(spec: str) -> list[Fit]:
    return list(Plan(read(spec)).fits.values())


@pytest.fixture
def published(tmp_path: Path, fits: list[Fit]) -> Ledger:
    """All fits of the sweep, by invented rows."""
    ledger = Ledger(tmp_path / "results")
    ticket = Mask.dense([Layer("s0", (2, 2, 1, 1))]).to_bytes({"schema": str(VERSION)})
    for place, fit in enumerate(fits):
        ledger.stores["next_masks"].put(fit.id, ticket)
        ledger.rows.put(fit.id, row(fit, psnr_last_ema=float(place)))
    return ledger


def said(command: str, ledger: Ledger, *arguments: str) -> str:
    result = CliRunner().invoke(app, [command, *arguments, "--storage", str(ledger.root)], env={"COLUMNS": "200"})
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0
    return result.output


def test_a_whole_ledger_is_not_complained_of(published: Ledger, spec: str) -> None:
    for command in ("status", "show"):
        output = said(command, published, spec)
        assert "3 of 3 results published" in output
        assert "conflict" not in output
        assert "damaged" not in output
    state = json.loads(said("status", published, spec, "--json"))
    assert (state["published_fits"], state["damaged"], state["conflicts"]) == (3, [], {})


def test_a_row_under_another_key_is_listed_and_to_do(published: Ledger, spec: str, fits: list[Fit]) -> None:
    own, other = (next(published.root.glob(f"fits/*/{fit.id}-*")) for fit in fits[:2])
    own.unlink()
    swapped = own.with_name(other.name.replace(fits[1].id, fits[0].id))
    swapped.write_bytes(other.read_bytes())
    output = said("status", published, spec)
    assert "2 of 3 results published" in output
    assert f"damaged and ignored: {swapped}" in output
    state = json.loads(said("status", published, spec, "--json"))
    assert (state["published_fits"], state["damaged"]) == (2, [str(swapped)])


def test_what_nobody_can_parse_ends_no_command(published: Ledger, spec: str, fits: list[Fit]) -> None:
    hurt = [shelf.add("zz", b"junk") for shelf in published.stores.values()]
    next(published.root.glob(f"fits/*/{fits[0].id}-*")).unlink()
    hurt.append(published.rows.blobs.add(fits[0].id, b"junk"))
    for command, *arguments in (("status", spec), ("compact",)):
        output = said(command, published, *arguments)
        assert output.count("damaged and ignored: ") == len(hurt)
        assert all(str(published.root / path) in output for path in hurt)
    assert "2 of 3 results published" in said("show", published, spec)


def test_results_that_differ_are_a_conflict_that_folding_keeps(published: Ledger, spec: str, fits: list[Fit]) -> None:
    """The true row is the one finished first; four others have been edited, whatever their hashes."""
    for psnr in (96.0, 97.0, 98.0, 99.0):
        published.rows.put(fits[1].id, row(fits[1], psnr_last_ema=psnr, seconds=psnr))
    conflict = f"conflict: fit {fits[1].id} was published with differing psnr_last_ema; the first finished is used"
    for _ in range(2):
        for command, *arguments in (("status", spec), ("show", spec), ("compact",)):
            assert said(command, published, *arguments).count(conflict) == 1
        assert json.loads(said("status", published, spec, "--json"))["conflicts"] == {fits[1].id: ["psnr_last_ema"]}
        assert published.fits(["psnr_last_ema"], [fits[1].id]).to_pylist() == [{"psnr_last_ema": 1.0}]


def test_a_conflict_of_another_sweep_does_not_disturb_this_one(published: Ledger, spec: str, fits: list[Fit]) -> None:
    other = fits[1].replace(seed=7)
    for psnr in (1.0, 2.0):
        published.rows.put(other.id, row(other, psnr_last_ema=psnr))
    assert "conflict" not in said("show", published, spec)
    assert "conflict" in said("status", published, spec)


@pytest.mark.parametrize(("version", "age"), [(99, "a newer"), (1, "an older")])
def test_another_schema_is_said_in_one_sentence_by_every_command(
    published: Ledger, spec: str, fits: list[Fit], version: int, age: str
) -> None:
    next(published.root.glob(f"fits/*/{fits[1].id}-*")).unlink()
    path = published.root / published.rows.blobs.add(fits[1].id, to_parquet(row(fits[1], schema=version)))
    for command, *arguments in (("status", spec), ("show", spec), ("run", spec), ("compact",)):
        with pytest.raises(InputError) as error:
            said(command, published, *arguments)
        assert str(error.value).startswith(
            f"{path} was written by {age} lip (schema {version}, this one reads {VERSION});"
        )
        assert "\n" not in str(error.value)
    assert path.exists()
