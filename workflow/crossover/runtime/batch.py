"""In the SLURM job of several runs, one that fails does not keep the others from being computed.

Snakemake does not hand `--keep-going` down to the Snakemakes that its jobs start. The one inside a batch would stop at the
first failed run, at each retry again, and the runs behind it would never have their turn.
"""

import functools
import logging
from typing import Any

from snakemake import spawn_jobs

log = logging.getLogger(__name__)


def hand_down_keep_going() -> None:
    """Give the Snakemake inside each job that this process submits the option `--keep-going`."""
    factory = getattr(spawn_jobs, "SpawnedJobArgsFactory", None)
    original = getattr(factory, "general_args", None)
    if factory is None or original is None:
        log.warning("this version of Snakemake hands options down otherwise: a failed run ends its batch")
        return

    @functools.wraps(original)
    def general_args(self: Any, *arguments: Any, **options: Any) -> str:
        return f"{original(self, *arguments, **options)} --keep-going"

    factory.general_args = general_args
