"""`python -m crossover`, which the rules call, and the command `crossover`."""

import os
import signal
import sys

# Ctrl-C ends the process at once: in the middle of an import it would give a puzzling traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from crossover import SOCKET  # noqa: E402

IN_A_STEP = {"finetune-run", "pretrain-checkpoint", "doctor-probe"}  # what must hear SLURM's signals
IN_A_FORK = {"finetune-run", "export-weights", "pretrain-checkpoint", "analyse", "fit-baselines"}  # what imports torch


def main() -> int:
    """Run one command where it belongs: in a job step, in a fork of the fork server, or in this process.

    A run that is handed over must cost next to nothing here, so the command line's library is imported last.

    Returns:
        The exit status.
    """
    argv = sys.argv[1:]
    command = argv[0] if argv else ""
    if command in IN_A_STEP and "SLURM_JOB_ID" in os.environ:
        from crossover.runtime.srun import become_step

        become_step(argv)
    if command in IN_A_FORK and SOCKET in os.environ:
        from crossover.runtime.proxy import hand_over

        status = hand_over(argv)
        if status is not None:
            return status
    _use_own_temporary_folder()
    from crossover.cli import main as run

    return run(argv)


def _use_own_temporary_folder() -> None:
    """Let what libraries leave in the temporary folder (torch and music21 do, when imported) go with this process."""
    import atexit
    import shutil
    import tempfile

    tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="crossover-")
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
