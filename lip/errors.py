"""The one exception a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(Exception):
    """Input that cannot be used, said in one sentence: what (file and key), why, and the remedy.

    Command lines print the sentence and exit with status 2; nothing has been started or changed by then.
    """


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """The remedy for an unknown name: the closest known one, else all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.65)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


@contextmanager
def location(where: str) -> Iterator[None]:
    """Put a file, or a key of it, before the sentence of an InputError raised within."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def explained(error: ValidationError, keys: list[str]) -> InputError:
    """The first complaint of pydantic as a sentence for users; `keys` are those that would have been known."""
    first = error.errors()[0]
    # Of a union's branch, "list[str]", or of a key instead of its value, "[key]", pydantic says more than helps.
    key = ".".join(str(part) for part in first["loc"] if part != "str" and "[" not in str(part))
    if first["type"] == "extra_forbidden":
        return InputError(f"there is no key {key!r}; {nearest(key, keys)}")
    if first["type"] == "missing":
        return InputError(f"the key {key!r} is missing; add it")
    return InputError(f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}")
