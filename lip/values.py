"""Plain values as users write them, by one parser for sweep files, --set and --only.

YAML, with the numbers of its version 1.2: 1e-3 is one, 010 is ten, and 12:30 and 2024-01-01 are text. As in Python,
1_000 is a thousand. Duplicate keys are refused, of which YAML would take the last, and so are aliases, of which a few
lines can make a list of billions or one that contains itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from lip.errors import InputError

DIGITS = "[0-9]+(?:_[0-9]+)*"
NUMBER = rf"[-+]?(?:{DIGITS}\.?(?:{DIGITS})?|\.{DIGITS})(?:[eE][-+]?[0-9]+)?"
NO_NUMBER = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
NUMBER_TAG = "tag:yaml.org,2002:float"
REPLACED = {NUMBER_TAG, "tag:yaml.org,2002:int", "tag:yaml.org,2002:timestamp"}
"""What YAML 1.1 takes for numbers and dates."""


class Loader(yaml.SafeLoader):
    """Load nothing but plain values."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # yaml's own
        first: [(tag, pattern) for tag, pattern in pairs if tag not in REPLACED]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise yaml.composer.ComposerError(
                None, None, f"write out the value of the alias *{event.anchor}", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made = super().construct_mapping(node, deep)
        if len(made) < len(node.value):
            keys = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
            key = max(keys, key=keys.__getitem__)
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", node.start_mark)
        return made


def _number(loader: Loader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    if text.endswith((".inf", ".nan")):
        return float(text.replace(".", ""))
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    value = float(text)
    whole = "." not in text and abs(value) < 2**53 and value.is_integer()
    return int(value) if whole else value  # 1e3 steps


Loader.add_implicit_resolver(NUMBER_TAG, re.compile(rf"(?:{NUMBER}|{NO_NUMBER})$"), list("-+.0123456789"))
Loader.add_constructor(NUMBER_TAG, _number)


def load(text: str) -> Any:
    """Read a document. Raises ValueError, RecursionError or yaml.YAMLError."""
    return yaml.load(text, Loader)  # a SafeLoader


def pair(text: str) -> tuple[str, Any]:
    """Read `key=value`: a list, a mapping or quotes as YAML, else one value as it is. Raises InputError."""
    key, equals, value = (part.strip() for part in text.partition("="))
    try:
        if not (key and equals):
            raise ValueError("there is no =")
        return key, load(value) if value[:1] in ("[", "{", "'", '"') and value else _scalar(value)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{text!r} is not understood; give it as key=value, for example task=inpaint") from error


def settings(texts: Iterable[str], option: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the `key=value` of an option beside what other options say. Raises InputError when a key has two values."""
    found = dict(given)
    for key, value in map(pair, texts):
        if key in found and found[key] != value:
            raise InputError(f"{option} {key}: it is given twice, as {found[key]} and as {value}; keep one")
        found[key] = value
    return found


def choices(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Read the `key=value` of an option that picks: any of its values for a key that is repeated. Raises InputError."""
    found: dict[str, list[Any]] = {}
    for key, value in map(pair, texts):
        found.setdefault(key, []).append(value)
    return found


def _scalar(text: str) -> Any:
    loader = Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, text))
