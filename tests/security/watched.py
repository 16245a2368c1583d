"""Run the workflow where every write can be seen: on a copy-on-write view of the whole file system."""

import compileall
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from workflow_copy import ROOT, TIMEOUT, WorkflowCopy

# Processes that the run has started may need a moment to end after it. What was written is then taken out of the view.
VIEW = """\
set -e
mount -t tmpfs crossover-view "$1" && cd "$1" && mkdir upper work view
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work crossover-view view
for folder in /proc /dev; do mount --rbind $folder view$folder; done
status=0; chroot view env --chdir "$3" "${@:4}" || status=$?
for _ in $(seq 100); do [ -z "$(ls -A "view$TMPDIR")" ] && break; sleep 0.1; done
cp -a upper/. "$2"
exit $status
"""


@dataclass(frozen=True)
class Watched:
    """What a run did.

    Attributes:
        status: its exit status.
        output: what it printed.
        written: a folder with everything that it wrote anywhere, at its place below the root.
        home: its home folder, below the root.
        temporary: its temporary folder, below the root.
        command_lines: the command lines of its processes, as far as they were met.
    """

    status: int
    output: str
    written: Path
    home: Path
    temporary: Path
    command_lines: set[bytes]


def can_watch() -> bool:
    """Whether this user may mount such a view."""
    command = ["unshare", "--mount", "true"]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0


def watch(copy: WorkflowCopy, folder: Path, *arguments: str, environment: dict[str, str]) -> Watched:
    """Run `snakemake ARGUMENTS` in a copy with nothing in its environment but PATH, fresh folders and what is given.

    Args:
        copy: the workflow; it stays as it is.
        folder: a new folder for the home and temporary folder of the run, and for what it wrote.
        arguments: of snakemake.
        environment: further variables.
    """
    home, temporary, mounted, written = (folder / name for name in ("home", "temporary", "mounted", "written"))
    for path in (home, temporary, mounted, written):
        path.mkdir(parents=True)
    compileall.compile_dir(ROOT / "workflow", quiet=2)  # as pip does, but for an editable installation
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    fresh = {"PATH": binaries, "HOME": str(home), "TMPDIR": str(temporary), "LANG": "C.UTF-8"}
    snakemake = [sys.executable, "-m", "snakemake", *arguments]
    command_lines: set[bytes] = set()
    ended = threading.Event()
    watcher = threading.Thread(target=_collect_command_lines, args=(ended, str(temporary).encode(), command_lines))
    watcher.start()
    try:
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", VIEW, "bash", mounted, written, copy.root, *snakemake],
            env=fresh | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        ended.set()
        watcher.join()
    below = [path.relative_to("/") for path in (home, temporary)]
    return Watched(done.returncode, done.stdout, written, *below, command_lines)


def _collect_command_lines(ended: threading.Event, mark: bytes, found: set[bytes]) -> None:
    """Read the command lines of all processes with a mark in their environment again and again, as `ps` does."""
    while not ended.wait(0.1):
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.add((process / "cmdline").read_bytes())
            except OSError:  # it has ended
                continue
