"""Paths and URLs as users write them: with ~ and $VARIABLES, and never shown with the secrets in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lip.errors import InputError

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""How a URL begins, or what is left of it as a path, which has one slash; of one letter it is a drive."""

VARIABLE = re.compile(r"(?<![^/])\$(?:\w+|\{\w+\})(?![^/])", re.ASCII)
"""A whole part of a path: a folder may be called $HOME;# in truth."""

SECRETS = (
    (re.compile(rf"({URL.pattern}/?)[^\s'\"]*@"), r"\1"),
    (re.compile(rf"({URL.pattern}[^\s'\"?]*)\?[^\s'\";,)]*"), r"\1"),
)
"""In a text, the user and password of a URL, which may hold slashes, and its options, which may hold keys."""


def is_url(place: str | Path) -> bool:
    """Tell whether a place is meant as a URL."""
    return bool(URL.match(str(place)))


def without_secrets(text: str) -> str:
    """Remove users, passwords and options from all URLs in a text."""
    for pattern, kept in SECRETS:
        text = pattern.sub(kept, text)
    return text


def expand(path: str | Path) -> str:
    """Replace a leading ~, and parts that are a $VARIABLE.

    A URL stays as it is, and so does the name of a file that is there.
    """
    text = str(path)
    if is_url(text) or os.path.exists(text):
        return text
    return VARIABLE.sub(lambda found: os.path.expandvars(found[0]), os.path.expanduser(text))


def local(path: str | Path, option: str) -> Path:
    """Return the path on this machine that an option names. Raises InputError when it is a URL."""
    if is_url(path):
        raise InputError(f"{option} is a path on this machine, not {without_secrets(str(path))}; give a path")
    return Path(expand(path))


def data_folder(given: str | Path | None) -> Path | None:
    """Return the folder of the standard sets: the one given, else that of LIP_DATA, if any. Raises InputError."""
    if given:
        return local(given, "--data")
    return local(found, "LIP_DATA") if (found := os.environ.get("LIP_DATA")) else None
