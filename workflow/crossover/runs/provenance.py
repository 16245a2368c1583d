"""Where, when, with what and at what cost a result was made."""

import os
import platform
import resource
import socket
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "transformers", "numpy", "pandas", "pyarrow")


class Recorder:
    """Notes the start of a computation, and describes it at its end."""

    def __init__(self, device: torch.device, code: dict[str, str], command: str) -> None:
        self.device, self.code, self.command = device, code, command
        self.started, self._clock = datetime.now(UTC), time.monotonic()
        self._cpu = time.process_time()

    def finish(self, resumed: int, inputs: dict[str, str]) -> dict[str, Any]:
        """The provenance as JSON values; times are those of this process alone, after the last resumption.

        Args:
            resumed: how often the computation was taken up again after an interruption.
            inputs: SHA-256 of the inputs, by name.
        """
        gpu = self.device.type == "cuda"
        memory = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "cpu": _cpu_name(),
            "device": torch.cuda.get_device_name() if gpu else "cpu",
            "threads": torch.get_num_threads(),
            "python": sys.version.split()[0],
            "versions": {name: version(name) for name in PACKAGES},
            "code": self.code,
            "started": self.started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mb": round(memory / 2**20),
            "resumed": resumed,
            "command": self.command,
            "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
            "digests": inputs,
        }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
