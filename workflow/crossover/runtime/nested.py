"""Train a run from within another job, in a process of its own: `crossover finetune-run`, as the rule of that name calls it.

So it takes the same path: a job step under SLURM, a fork of the fork server, locks, events, a log, and a process that has
computed nothing before.
"""

import logging
import signal
import subprocess
import sys
from pathlib import Path

from crossover.errors import UserError
from crossover.runs.files import log_file
from crossover.runs.result_backup import forget
from crossover.specs.runs import SeededRun

log = logging.getLogger(__name__)


def train_run(run: SeededRun, spec: Path, options: dict[str, object]) -> None:
    """Train a run with one seed into its own folder, and wait for it; SIGTERM is passed on.

    Args:
        run: its name and seed.
        spec: the file of its spec.
        options: further options of `finetune-run`, by name.

    Raises:
        UserError: it failed, or was asked to end.
    """
    own_log = log_file(run.run, run.seed)
    Path(own_log).unlink(missing_ok=True)  # it holds one attempt alone
    given = {"spec": spec, "seed": run.seed, "output": run.folder, **options, "log": own_log}
    arguments = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    log.info("training %s with seed %d; its log is %s", run.run, run.seed, own_log)
    process = subprocess.Popen([sys.executable, "-m", "crossover", "finetune-run", *arguments])
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if status:
        raise UserError(f"run {run.run} with seed {run.seed} ended with status {status}: see {own_log}.")
    forget(run.folder)  # Snakemake deletes none of its files, which are outputs of no job here
