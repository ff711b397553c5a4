"""The base of everything that can be asked for: frozen, checked, and named by what it says.

Nothing here imports torch: a hundred thousand fits are planned in seconds.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, cached_property
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticUndefined

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Spec(BaseModel):
    """A frozen record whose `id` is a hash of its canonical form.

    Fields at their default are left out of that form, so a new field with a default moves no old id.
    `kind` names the class where several could stand in the same place (a task, a prior, a mask recipe).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ClassVar[str | None] = None
    revision: ClassVar[int] = 1
    """Raise this when the same spec gives other numbers than before: what was published until then is not reused."""

    def canonical(self) -> Any:
        """This spec as JSON values: what its id is the hash of."""
        values = self.__dict__
        said = {
            name: _canonical(value)
            for name, default in _defaults(type(self))
            if (value := values[name]) is not default and (default is PydanticUndefined or value != default)
        }
        return _identity(type(self)) | said

    def reference(self) -> Any:
        """Return its canonical form within another spec; subclasses may return an id instead."""
        return self._written

    @cached_property
    def _written(self) -> Any:
        return self.canonical()

    @cached_property
    def id(self) -> str:
        """16 hex digits; equal for equal requests, on every machine and in every release."""
        return id_of(self.canonical_text)

    @property
    def canonical_text(self) -> str:
        """The canonical form as JSON, of which the id is the hash."""
        return _JSON.encode(self.canonical())

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked anew (`model_copy` would keep the old id)."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)


def id_of(text: str) -> str:
    """The id of the spec whose canonical form is this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _defaults(owner: type[Spec]) -> list[tuple[str, Any]]:
    return [(name, field.get_default()) for name, field in owner.model_fields.items()]


@cache
def _identity(owner: type[Spec]) -> dict[str, Any]:
    revision = {"revision": owner.revision} if owner.revision != 1 else {}
    return ({"kind": owner.kind} if owner.kind else {}) | revision


def _canonical(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.reference()
    return [_canonical(part) for part in value] if isinstance(value, tuple) else value
