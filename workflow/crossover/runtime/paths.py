"""Check paths that reach a shell on the way to a cluster job."""

import shlex
from pathlib import Path

from crossover.errors import UserError


def check_paths(*paths: str | Path) -> None:
    """Raise unless a shell reads each path as one plain word.

    Snakemake writes the paths of working folder, Snakefile and config into the command of a cluster job without quoting
    them for a shell.

    Raises:
        UserError: a path has a space, a quote, a dollar sign or the like.
    """
    for path in map(str, paths):
        if shlex.quote(path) != path:
            raise UserError(
                f"{path!r} cannot be used on a cluster: it reaches a shell there; rename it so that it has only letters, "
                "digits and the characters _ - . / in it."
            )
