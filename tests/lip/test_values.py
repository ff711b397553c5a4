"""Values are what people mean who write them, in a sweep file and on the command line alike."""

import math
from typing import Any

import pytest
import yaml

from lip.errors import InputError
from lip.values import choices, load, pair, settings

WRITTEN = [
    ("1e-3", 0.001),
    ("1E-3", 0.001),
    ("1.5e-2", 0.015),
    ("1.e-2", 0.01),
    (".5", 0.5),
    ("-2", -2),
    ("+3", 3),
    ("5.", 5.0),
    ("1_000", 1000),
    ("1_000.5", 1000.5),
    ("3e3", 3000),
    ("1e+2", 100),
    ("010", 10),
    ("0", 0),
    ("-.inf", -math.inf),
    ("true", True),
    ("no", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("1e3.png", "1e3.png"),
    ("12:30", "12:30"),
    ("2024-01-01", "2024-01-01"),
    ("0x1F", "0x1F"),
    ("1.2.3", "1.2.3"),
    ("1__0", "1__0"),
    ("_1", "_1"),
    ("1_", "1_"),
    ("e3", "e3"),
    ("1e", "1e"),
    ("-", "-"),
    (".", "."),
    ("astronaut", "astronaut"),
    ("~/photos/cat.png", "~/photos/cat.png"),
    ("[1e-2, 1e-3]", [0.01, 0.001]),
    ("{a: 1e-2}", {"a": 0.01}),
    ("'1e-3'", "1e-3"),
]


@pytest.mark.parametrize(("text", "value"), WRITTEN)
def test_a_sweep_file_and_an_option_mean_the_same(text: str, value: Any) -> None:
    for read in (load(f"key: {text}")["key"] if text != "-" else text, pair(f"key={text}")[1]):
        assert read == value
        assert type(read) is type(value)


@pytest.mark.parametrize(
    "name", ["photo #1.png", "a: b.png", "*.png", "&a", "!b", "%c", "@d", "`e", "x=y", "- z", "a, b"]
)
def test_an_option_takes_a_name_as_it_is(name: str) -> None:
    assert pair(f"image={name}") == ("image", name)


@pytest.mark.parametrize(
    "text", ["sigma", "=5", "", "key=[1", "key={a: *a}", "key={a: 1, a: 2}", "a=" + "[" * 5000, "a=" + "9" * 5000]
)
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is not understood; give it as key=value, for example task=inpaint$"):
        pair(text)


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: {b: 1, b: 1}", "a: &x [1]\nb: *x", "!!python/name:os.system"])
def test_what_is_ambiguous_or_code_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load(text)


def test_an_option_given_twice_with_two_values_is_refused() -> None:
    assert settings(["lr=1e-3", "lr=0.001", "seed=1"], "--set", {"sigma": 25}) == {"sigma": 25, "lr": 0.001, "seed": 1}
    with pytest.raises(InputError, match=r"^--set lr: it is given twice, as 0.001 and as 0.01; keep one$"):
        settings(["lr=1e-3", "lr=1e-2"], "--set", {})
    with pytest.raises(InputError, match=r"^--set sigma: it is given twice, as 25 and as 50; keep one$"):
        settings(["sigma=50"], "--set", {"sigma": 25})


def test_a_choice_given_twice_is_a_union() -> None:
    assert choices(["sigma=10", "sigma=25", "seed=0"]) == {"sigma": [10, 25], "seed": [0]}
