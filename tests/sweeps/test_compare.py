"""Two ledgers told apart, fit by fit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest

from lip.ledger.ledger import Ledger
from lip.ledger.schema import COLUMNS, RESULTS
from lip.specs.fit import Fit
from sweeps.compare import Comparison, compare
from tests.sweeps.helpers import publish

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def of_two(tmp_path: Path, fits: list[Fit]) -> Callable[..., Comparison]:
    """Compares two ledgers of one fit each, whose rows have these columns."""

    def make(a: dict[str, object], b: dict[str, object]) -> Comparison:
        ledgers = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
        for ledger, values in zip(ledgers, (a, b), strict=True):
            publish(ledger, fits[0], **values)
        return compare(*ledgers)

    return make


def test_fits_are_only_in_one_or_in_both(tmp_path: Path, fits: list[Fit]) -> None:
    a, b = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
    for ledger, some in ((a, fits[:2]), (b, fits[1:])):
        for fit in some:
            publish(ledger, fit)
    found = compare(a, b)
    assert (found.only_a, found.only_b, found.equal) == ([fits[0].id], [fits[2].id], [fits[1].id])
    assert not found.different


@pytest.mark.parametrize(
    ("name", "a", "b", "greatest"),
    [
        ("psnr_last", 20.0, 20.5, 0.5),
        ("psnr_last", 20.0, None, None),
        ("psnr_last", nan, None, None),
        ("psnr_last", nan, 20.0, None),
        ("n_kept", 7, 4, 3.0),
        ("collapsed", False, True, None),
        ("image", "a", "b", None),
        ("image", None, "b", None),
        ("curve_psnr", [1.0, 2.0, 4.0], [1.0, 2.5, 3.0], 1.0),
        ("curve_psnr", [1.0, nan], [1.0, 2.0], None),
        ("curve_psnr", [1.0], [1.0, 2.0], None),
        ("curve_psnr", [], None, None),
        ("layer_name", ["a", "b"], ["a", "c"], None),
    ],
)
def test_the_greatest_difference_is_that_of_its_column(
    of_two: Callable[..., Comparison], name: str, a: object, b: object, greatest: float | None
) -> None:
    (one,) = of_two({name: a}, {name: b}).different
    assert one.columns == {name: greatest}


@pytest.mark.parametrize(
    ("name", "value"),
    [("psnr_last", nan), ("image", None), ("curve_psnr", [1.0, nan]), ("curve_psnr", []), ("layer_name", ["a"])],
)
def test_what_is_the_same_does_not_differ(of_two: Callable[..., Comparison], name: str, value: object) -> None:
    assert not of_two({name: value}, {name: value}).different


def test_every_column_of_the_schema_can_be_compared(of_two: Callable[..., Comparison]) -> None:
    example = {"string": "a", "int64": 1, "double": 1.0, "bool": True}
    for kind in ("int32", "int64", "float", "string"):
        example[f"list<element: {kind}>"] = example[f"list<item: {kind}>"] = ["a"] if kind == "string" else [1]
    values = {name: example[str(kind)] for name, (kind, _) in COLUMNS.items() if name in RESULTS}
    del values["fit"], values["schema"], values["spec"]
    (one,) = of_two(values, {}).different
    assert one.columns.keys() == values.keys()


def test_provenance_is_counted_by_pairs_and_is_no_result(of_two: Callable[..., Comparison]) -> None:
    found = of_two({"cpu": "one", "seconds": 1.0}, {"cpu": "another", "seconds": 2.0})
    assert len(found.equal) == 1
    assert found.provenance == {"cpu": Counter({("one", "another"): 1})}


def test_packages_of_unlike_environments_are_named(tmp_path: Path, fits: list[Fit]) -> None:
    ledgers = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
    for ledger, packages in zip(ledgers, ({"torch": "2.10", "numpy": "2.4"}, {"torch": "2.13"}), strict=True):
        key = "".join(packages.values()).replace(".", "")
        publish(ledger, fits[0], environment=key)
        ledger.stores["environments"].add(key, json.dumps({"packages": packages, "schema": 3}).encode())
    assert compare(*ledgers).packages == {"numpy": ("2.4", None), "torch": ("2.10", "2.13")}


def test_the_command_says_what_differs(published: Ledger, fits: list[Fit], tmp_path: Path, cli: Cli) -> None:
    a, b = str(published.root), str(tmp_path / "b")
    for number, fit in enumerate(fits[:2]):
        publish(Ledger(b), fit, psnr_last_ema=number + 0.25 * number, cpu="another")
    code, output = cli("compare", a, b)
    assert code == 1
    assert f"1 fits only in {a}, 0 only in {b}\n1 equal bit by bit, 1 with different results" in output
    assert [word for word in ("psnr_last_ema", "0.25", fits[1].id, "another") if word not in output] == []
    code, output = cli("compare", a, b, "--json")
    assert json.loads(output)["different"][0]["columns"] == {"psnr_last_ema": 0.25}
    assert cli("compare", a, a)[0] == 0


def test_a_storage_without_results_is_refused(published: Ledger, tmp_path: Path, cli: Cli) -> None:
    code, output = cli("compare", str(published.root), str(tmp_path / "nowhere"))
    assert (code, output) == (2, f"error: there are no results in {tmp_path / 'nowhere'}; correct the name\n")
