"""The base class of specs: frozen, validated, and identified by a hash of their fields.

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

    Fields at their default are left out of that form, so a new field with a default changes no old id.
    `kind` names the class where there is a choice (of task, prior or recipe).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ClassVar[str | None] = None
    revision: ClassVar[int] = 1
    """Raise this when the same spec gives other numbers than before, so that older fits are not reused."""

    def canonical(self) -> Any:
        """Return this spec as JSON values, of which the id is the hash."""
        values = self.__dict__
        given = {
            name: _canonical(value)
            for name, default in _defaults(type(self))
            if (value := values[name]) is not default and (default is PydanticUndefined or value != default)
        }
        return _identity(type(self)) | given

    def canonical_in_parent(self) -> Any:
        """Return the canonical form when nested in another spec; subclasses may return an id instead."""
        return self._canonical

    @cached_property
    def _canonical(self) -> Any:
        return self.canonical()

    @cached_property
    def id(self) -> str:
        """Return 16 hex digits, equal for equal specs on every machine and in every release."""
        return id_of(self.canonical_text)

    @property
    def canonical_text(self) -> str:
        """Return the canonical form as JSON, of which the id is the hash."""
        return _JSON.encode(self.canonical())

    def replace(self, **changes: Any) -> Self:
        """Copy with some fields changed, validated again (`model_copy` would keep the old id)."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)


def id_of(text: str) -> str:
    """Return the id of the spec whose canonical form is this text."""
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
        return value.canonical_in_parent()
    return [_canonical(part) for part in value] if isinstance(value, tuple) else value
