"""The table of keys in sweeps/README.md. `python -m tests.sweeps.test_keys` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from lip.priors import GENERATORS, PRIORS
from lip.pruners import PRUNERS
from lip.tasks import TASKS
from sweeps import keys

README = Path(keys.__file__).with_name("README.md")
TABLE = re.compile(r"(?<=<!-- keys -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def test_readme_holds_the_keys_as_they_are_defined() -> None:
    (table,) = TABLE.findall(README.read_text())
    assert table == keys.as_markdown(), "write it anew: python -m tests.sweeps.test_keys"


def test_every_key_is_described() -> None:
    assert [key.name for group in keys.groups() for key in group.keys if not (key.values and key.description)] == []


def test_every_task_prior_and_pruner_has_its_keys() -> None:
    found = {group.title: [key.name for key in group.keys] for group in keys.groups()}
    named = [f"task: {name}" for name in TASKS] + [f"prior: {name}" for name in PRIORS | GENERATORS]
    assert set(named) | {f"pruner: {name}" for name in PRUNERS} <= found.keys()
    assert found["task: inpaint"] == ["keep", "per_channel", "pad", "quartic"], "not the picture that `mask` names"
    assert (found["pruner: oes"], found["pruner: shuffled"]) == (["search"], ["counts_of"])


def test_a_key_has_its_values_default_and_meaning() -> None:
    by_name = {key.name: key for group in keys.groups() for key in group.keys}
    factor = "Ratio of the image's height and width to those of the observation."
    assert by_name["factor"] == keys.Key("factor", "`2`, `4`, `8`", "`4`", factor)
    assert (by_name["sparsities"].values, by_name["sparsities"].default) == ("list of numbers", "")
    assert (by_name["compat"].values, by_name["rewinds"].default) == ("`released` or list of texts", "`true`")


if __name__ == "__main__":
    README.write_text(TABLE.sub(lambda _: keys.as_markdown(), README.read_text()))
