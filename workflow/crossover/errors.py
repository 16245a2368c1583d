"""The one error that users meet."""

import difflib
from collections.abc import Iterable

MANY = 24


class UserError(Exception):
    """Something a user can put right.

    Its text is one sentence that says where the trouble is, what was expected and what to do. The command
    line prints it without a traceback and exits with status 1.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a half-sentence with the nearest known name, or with all of them (the first, where there are many)."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    if len(known) > MANY:
        return f"known: {', '.join(known[:MANY])} and {len(known) - MANY} more."
    return f"known: {', '.join(known)}." if known else "there are none yet."
