"""The node's side of a probe job: `crossover doctor-probe FOLDER`.

It answers the submitting side's files, and reports what a run would find here. It speaks through files in the folder,
since they are all that a run and Snakemake share.
"""

import fcntl
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from crossover.cluster.installation import hub_cache
from crossover.files import write_json

HERE, REPORT, LOCK = "here", "report.json", "lock"
ROUNDS = 3  # files sent to and fro
PATIENCE = 120  # seconds in which a file must arrive
PAUSE = 0.05  # seconds between two looks


def ask_name(number: int) -> str:
    """The file that the submitting side writes in one round."""
    return f"ask-{number}"


def answer_name(number: int) -> str:
    """The file that the node writes in one round."""
    return f"answer-{number}"


def arrived(folder: Path, name: str) -> bool:
    """Whether a file is seen, by a look at the whole folder first: a network file system may remember an old one."""
    return any(path.name == name for path in folder.iterdir()) and (folder / name).exists()


def answer(folder: Path) -> None:
    """Answer the submitting side, then report."""
    (folder / HERE).touch()
    _answer_rounds(folder)
    write_json(folder / REPORT, report(folder))


def _answer_rounds(folder: Path) -> None:
    for number in range(ROUNDS):
        patience = time.monotonic() + PATIENCE
        while not arrived(folder, ask_name(number)):
            if time.monotonic() > patience:
                return  # the submitting side will see no answer, and says so
            time.sleep(PAUSE)
        (folder / answer_name(number)).touch()


def report(folder: Path) -> dict[str, Any]:
    """What a run would find on this node, and whether a lock that the submitting side holds is held here too."""
    scratch = Path(tempfile.gettempdir())
    while scratch.name.startswith("crossover-"):  # this process's own, in that of the job
        scratch = scratch.parent
    return {
        "host": socket.gethostname(),
        "node": os.environ.get("SLURMD_NODENAME", socket.gethostname()),
        "python": platform.python_version(),
        "executable": sys.executable,
        "called": shutil.which("python"),
        "cpus": len(os.sched_getaffinity(0)),
        "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "scratch": str(scratch),
        "scratch_gb": shutil.disk_usage(scratch).free / 1e9,
        "lock": _lock(folder / LOCK),
        "hub": hub_identity(),
        "torch": _torch(),
    }


def hub_identity() -> list[Any] | None:
    """Path and file number of the hub's cache, which are the same wherever the same folder is seen."""
    try:
        return [str(hub_cache()), hub_cache().stat().st_ino]
    except OSError:
        return None


def _lock(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    except OSError as error:
        return f"refused ({error.strerror})"
    return "free"


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises
        return {"error": f"{type(error).__name__}: {error}"}
    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "gpu": None}
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        found["gpu"] = {"name": device.name, "memory_gb": device.total_memory / 1e9}
    return found
