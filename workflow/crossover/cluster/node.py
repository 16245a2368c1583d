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

from crossover.cluster.installation import hub_cache
from crossover.files import write_json
from crossover.specs.base import Record

HERE, REPORT, LOCK = "here", "report.json", "lock"
ROUNDS = 3  # files sent to and fro
PATIENCE = 120  # seconds in which a file must arrive
PAUSE = 0.05  # seconds between two looks


def ask_name(number: int) -> str:
    """Return the name of the file that the submitting side writes in one round."""
    return f"ask-{number}"


def answer_name(number: int) -> str:
    """Return the name of the file that the node writes in one round."""
    return f"answer-{number}"


def arrived(folder: Path, name: str) -> bool:
    """Return whether a file is seen, by a look at the whole folder first: a network file system may remember an old one."""
    return any(path.name == name for path in folder.iterdir()) and (folder / name).exists()


def answer(folder: Path) -> None:
    """Answer the submitting side, then report."""
    (folder / HERE).touch()
    _answer_rounds(folder)
    write_json(folder / REPORT, report(folder).content())


def _answer_rounds(folder: Path) -> None:
    for number in range(ROUNDS):
        patience = time.monotonic() + PATIENCE
        while not arrived(folder, ask_name(number)):
            if time.monotonic() > patience:
                return  # the submitting side will see no answer, and says so
            time.sleep(PAUSE)
        (folder / answer_name(number)).touch()


class Gpu(Record):
    """A GPU that torch sees."""

    name: str
    memory_gb: float


class TorchReport(Record):
    """The installation of torch: its version, its version of CUDA and the GPU that it sees, or why it is not imported."""

    version: str | None = None
    cuda: str | None = None
    gpu: Gpu | None = None
    error: str | None = None


class CacheFolder(Record):
    """Path and file number of a folder, which are the same wherever the same folder is seen."""

    path: str
    inode: int


class NodeReport(Record):
    """What a run would find on a node.

    Attributes:
        host: its name.
        node: its name in SLURM.
        python: version.
        executable: the Python that runs.
        called: the Python that `python` would start.
        cpus: that the job may use.
        visible_devices: CUDA_VISIBLE_DEVICES.
        scratch: the folder for temporary files.
        scratch_gb: space left there.
        lock: whether a lock of the submitting side is `held` here too, `free`, or refused.
        hub: the cache of the Hugging Face hub.
        torch: the installation of torch.
    """

    host: str
    node: str
    python: str
    executable: str
    called: str | None
    cpus: int
    visible_devices: str | None
    scratch: str
    scratch_gb: float
    lock: str
    hub: CacheFolder | None
    torch: TorchReport


def report(folder: Path) -> NodeReport:
    """Return what a run would find on this node, and whether a lock that the submitting side holds is held here too."""
    scratch = Path(tempfile.gettempdir())
    while scratch.name.startswith("crossover-"):  # this process's own, in that of the job
        scratch = scratch.parent
    return NodeReport(
        host=socket.gethostname(),
        node=os.environ.get("SLURMD_NODENAME", socket.gethostname()),
        python=platform.python_version(),
        executable=sys.executable,
        called=shutil.which("python"),
        cpus=len(os.sched_getaffinity(0)),
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        scratch=str(scratch),
        scratch_gb=shutil.disk_usage(scratch).free / 1e9,
        lock=_lock(folder / LOCK),
        hub=hub_identity(),
        torch=_torch(),
    )


def hub_identity() -> CacheFolder | None:
    """Return the hub's cache, or None where there is none."""
    try:
        return CacheFolder(path=str(hub_cache()), inode=hub_cache().stat().st_ino)
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


def _torch() -> TorchReport:
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises
        return TorchReport(error=f"{type(error).__name__}: {error}")
    gpu = None
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        gpu = Gpu(name=device.name, memory_gb=device.total_memory / 1e9)
    return TorchReport(version=torch.__version__, cuda=torch.version.cuda, gpu=gpu)
