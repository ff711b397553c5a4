"""The one exception a user is meant to read."""


class InputError(Exception):
    """Input that cannot be used, said in one sentence: what (file and key), why, and the remedy.

    Command lines print the sentence and exit with status 2; nothing has been started or changed by then.
    """


def nearest(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """The remedy for an unknown name: the closest known one, else all of them."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
