"""Where, when, with what and at what cost a result was made."""

import os
import platform
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from crossover.specs.descriptions import Provenance

PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class DeviceUse:
    """What a computation has used of its device.

    Attributes:
        name: `cpu`, or the name of the GPU.
        threads: CPU threads.
        peak_memory_mb: memory taken at most, of the GPU where there is one.
    """

    name: str
    threads: int
    peak_memory_mb: int


class Recorder:
    """Notes the start of a computation, and describes it at its end."""

    def __init__(self, code: dict[str, str], command: str) -> None:
        self.code, self.command = code, command
        self.started, self._clock = datetime.now(UTC), time.monotonic()
        self._cpu = time.process_time()

    def finish(self, device: DeviceUse, resumed: int, inputs: dict[str, str]) -> Provenance:
        """Return the provenance; times are those of this process alone, after the last resumption.

        Args:
            device: what was used of it.
            resumed: how often the computation was resumed after an interruption.
            inputs: SHA-256 of the inputs, by name.
        """
        return Provenance(
            host=socket.gethostname(),
            platform=platform.platform(),
            cpu=_cpu_name(),
            device=device.name,
            threads=device.threads,
            python=sys.version.split()[0],
            versions={name: version(name) for name in PACKAGES},
            code=self.code,
            started=self.started.isoformat(timespec="seconds"),
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            cpu_seconds=round(time.process_time() - self._cpu, 3),
            peak_memory_mb=device.peak_memory_mb,
            resumed=resumed,
            command=self.command,
            slurm_job_id=os.environ.get("SLURM_JOB_ID"),
            digests=inputs,
        )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
