"""Rebuild the spec of a published fit from its row, so that a ledger alone tells what to train again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from lip.errors import InputError
from lip.priors import GENERATORS, PRIORS, Hourglass, Prior
from lip.pruners import PRUNERS
from lip.specs.fit import Fit
from lip.specs.picture import DataSet, Picture
from lip.specs.recipe import Dense, Recipe
from lip.specs.spec import Spec
from lip.specs.target import Level
from lip.tasks import TASKS, Task

if TYPE_CHECKING:
    from lip.ledger.ledger import Ledger

SpecType = TypeVar("SpecType", bound=Spec)

_COLUMNS = ["fit", "spec", "image", "inpaint_mask", "image_height", "image_width", "channels"]
_OF_DATA_SETS = {"classes": "classes", "train": "train_images", "test": "test_images"}
_RECIPES: dict[str, type[Recipe]] = {"dense": Dense, **PRUNERS}
PRIOR_CLASSES: dict[str, type[Prior]] = {**PRIORS, **GENERATORS}
"""All priors by kind."""


def find(beginning: str, ledger: Ledger) -> str:
    """Return the id of the only published fit whose id begins so. Raises InputError."""
    ids = [key for key in ledger.fits(["fit"])["fit"].to_pylist() if key.startswith(beginning)]
    if len(ids) != 1:
        found = "no fit has" if not ids else f"{len(ids)} fits have"
        raise InputError(
            f"{found} an id that begins with {beginning!r} in {ledger.storage}; give another, or more of it"
        )
    return str(ids[0])


def recall(key: str, ledger: Ledger) -> Fit:
    """Return the spec of a published fit by its id, with the fits that it builds on.

    Names and sizes of pictures are those of the row. Raises InputError when the fit or one that it builds on is not
    published, or when this version gives other numbers for its spec (a `revision` was raised).
    """
    return _Rows(ledger).fit(key)


class _Rows:
    """The rows of a ledger, each fit recalled once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, Fit] = {}

    def fit(self, key: str) -> Fit:
        if key not in self._known:
            rows = self._ledger.fits([*_COLUMNS, *_OF_DATA_SETS.values()], [key]).to_pylist()
            if not rows:
                raise InputError(f"fit {key} is not published in {self._ledger.storage}; run its sweep first")
            self._known[key] = self._fit(key, rows[0])
        return self._known[key]

    def _fit(self, key: str, row: Mapping[str, Any]) -> Fit:
        given = json.loads(row["spec"])
        size = {"height": row["image_height"], "width": row["image_width"], "channels": row["channels"]}
        try:
            names = _names(row["image"], 1 + len(given.get("other_pictures", ())))
            hashes = [given["picture"], *given.get("other_pictures", ())]
            pictures = [Picture(name=n, content_hash=h, **size) for n, h in zip(names, hashes, strict=True)]
            if row["classes"] is not None:
                own = {name: row[column] for name, column in _OF_DATA_SETS.items()}
                pictures[0] = DataSet(**dict(pictures[0]), **own)
            task = self._task(given["task"], row, size)
            fields: dict[str, Any] = {
                "picture": pictures[0],
                "other_pictures": tuple(pictures[1:]),
                "task": task,
                "schedule": _spec(task.training, given["schedule"]),
                "prior": named(PRIOR_CLASSES, given["prior"]) if "prior" in given else Hourglass(),
                "recipe": self._recipe(given.get("recipe", {"kind": "dense"})),
                "start": self.fit(given["start"]) if "start" in given else None,
                "next_target": Level(**given["next_target"]) if "next_target" in given else None,
            }
            fit = Fit(**(given | fields))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise InputError(_changed(key)) from error
        if fit.id != key:
            raise InputError(_changed(key))
        return fit

    def _task(self, given: Mapping[str, Any], row: Mapping[str, Any], size: Mapping[str, int]) -> Task:
        if "inpaint_mask" in given:
            mask = Picture(name=row["inpaint_mask"], content_hash=given["inpaint_mask"], **{**size, "channels": 1})
            given = {**given, "inpaint_mask": mask}
        return named(TASKS, given)

    def _recipe(self, given: Mapping[str, Any]) -> Recipe:
        fields = dict(given)
        if "trained" in fields:
            fields["trained"] = self.fit(fields["trained"])
        if "template" in fields:
            fields["template"] = self._recipe(fields["template"])
        if isinstance(fields.get("target"), dict):
            fields["target"] = Level(**fields["target"])
        return named(_RECIPES, fields)


def named(known: Mapping[str, type[SpecType]], given: Mapping[str, Any]) -> SpecType:
    """Build the spec of the class that its kind names."""
    return _spec(known[given["kind"]], given)


def _spec(owner: type[SpecType], given: Mapping[str, Any]) -> SpecType:
    """Build a spec from its canonical form, without what identifies its class."""
    return owner(**{name: value for name, value in given.items() if name not in ("kind", "revision")})


def _names(joined: str, count: int) -> list[str]:
    """Split the names of images that are fitted together."""
    names = joined.split("+") if count > 1 else [joined]
    return names if len(names) == count else [joined] * count


def _changed(key: str) -> str:
    return f"fit {key} was made by a version of lip that gave other numbers for it; use the commit that its row names"
