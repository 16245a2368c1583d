"""Keep the failure of one run from stopping the other runs of its batch, a SLURM job of several runs.

Snakemake does not pass `--keep-going` on to the Snakemakes that its jobs start. The one inside a batch would stop at the
first failed run, at each retry again, and the runs after it would never start.
"""

import functools
import logging
from typing import Any

from snakemake import spawn_jobs

log = logging.getLogger(__name__)


def propagate_keep_going() -> None:
    """Pass `--keep-going` to the Snakemake inside each job that this process submits."""
    factory = getattr(spawn_jobs, "SpawnedJobArgsFactory", None)
    original = getattr(factory, "general_args", None)
    if factory is None or original is None:
        log.warning("this version of Snakemake passes options to jobs in another way: a failed run ends its batch")
        return

    @functools.wraps(original)
    def general_args(self: Any, *arguments: Any, **options: Any) -> str:
        return f"{original(self, *arguments, **options)} --keep-going"

    factory.general_args = general_args
