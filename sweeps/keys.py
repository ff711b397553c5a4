"""List the keys of a sweep file, from the specs.

Values and defaults come from the fields of the specs, descriptions from the docstrings below them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from textwrap import dedent
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from lip.priors import GENERATORS, PRIORS
from lip.pruners import PRUNERS
from lip.specs.request import INTERNAL_FIELDS, Request
from lip.specs.schedule import Adversarial, Schedule, Sgd
from lip.tasks import TASKS

HIDDEN = {*INTERNAL_FIELDS, "checkpoint"}
"""Fields of specs that are not keys of their own."""
NAMES: dict[str, Iterable[str]] = {
    "task": TASKS,
    "source_task": TASKS,
    "prior": PRIORS | GENERATORS,
    "pruner": PRUNERS,
}
"""Keys whose values are names of specs."""
TYPES = {int: "integer", float: "number", bool: "true or false", str: "text"}
"""How types are called that have no other name."""


EVERY = "every trajectory"
"""The title of the keys that do not depend on task, prior or pruner."""


class Key(NamedTuple):
    """A key of a sweep file."""

    name: str
    values: str
    default: str
    description: str


class Group(NamedTuple):
    """The keys that belong to something, such as `task: denoise`."""

    title: str
    description: str
    keys: list[Key]


def groups() -> Iterator[Group]:
    """Yield the keys of all trajectories, tasks, priors, pruners and schedules."""
    keys = _keys(Request)
    named = [key._replace(values=_choice(NAMES[key.name])) if key.name in NAMES else key for key in keys]
    yield Group(EVERY, "", named)
    for key, owners in (("task", TASKS), ("prior", PRIORS | GENERATORS)):
        for name, owner in owners.items():
            yield Group(f"{key}: {name}", _about(owner), [field for field in _keys(owner) if field.name not in HIDDEN])
    for name, pruner in PRUNERS.items():
        fields = [field for field in _keys(pruner) if field.name in pruner.options]
        known = {field.name for field in fields}
        fields += [_argument(pruner.for_target, option) for option in pruner.options if option not in known]
        yield Group(f"pruner: {name}", _about(pruner), fields)
    for title, schedule in (("restoration", Schedule), ("classify", Sgd), ("generators", Adversarial)):
        fields = [field for field in _keys(schedule) if field.name not in HIDDEN]
        yield Group(f"schedule of {title}", (inspect.getdoc(schedule) or "").partition("\n")[0], fields)


def as_markdown() -> str:
    """Return the keys as a table."""
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for group in groups():
        lines.append(f"| **{group.title}** | | | {group.description} |")
        lines += [f"| `{key.name}` | {key.values} | {key.default} | {key.description} |" for key in group.keys]
    return "\n".join(lines)


def _about(owner: type) -> str:
    """Return the first paragraph of the docstring of a class's module."""
    return " ".join((sys.modules[owner.__module__].__doc__ or "").split("\n\n")[0].split())


def _keys(owner: type[BaseModel]) -> list[Key]:
    docs = _docstrings(owner)
    return [
        Key(name, _values(field.annotation), _default(field.get_default(call_default_factory=True)), docs.get(name, ""))
        for name, field in owner.model_fields.items()
    ]


def _docstrings(owner: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of fields, inherited ones included.

    pydantic can do this too, but only while it makes a class, which would slow down every import by a quarter.
    """
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            (definition,) = ast.parse(dedent(inspect.getsource(base))).body
            assert isinstance(definition, ast.ClassDef)
            for field, below in pairwise(definition.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[name] = " ".join(text.split())
    return found


def _argument(method: Any, name: str) -> Key:
    """Return the key that is an argument of `Recipe.at`."""
    parameter = inspect.signature(method).parameters[name]
    description = (inspect.getdoc(method) or "").partition(f"`{name}`: ")[2]
    return Key(name, "a pruner", _default(parameter.default.kind), f"{description[:1].upper()}{description[1:]}")


def _values(hint: Any) -> str:
    """Describe a type."""
    if get_origin(hint) is Annotated:
        return _values(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return _choice(get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_values(part) for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is list:
        return f"list of {_values(get_args(hint)[0])}s"
    return TYPES.get(hint, "")


def _choice(values: Iterable[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _default(value: Any) -> str:
    match value:
        case None | []:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:.6g}`"
    return f"`{value}`"
