"""Where a run computes, and how it is made repeatable there."""

import logging
import os
import resource

import torch

from crossover.runs.provenance import DeviceUse

log = logging.getLogger(__name__)


def pick_device(gpus: int) -> torch.device:
    """Return a GPU if one is asked for and there, else the CPU."""
    if gpus and torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, equal runs differ on a GPU
        return torch.device("cuda")
    if gpus:
        log.warning("no GPU was found: computing on the CPU")
    return torch.device("cpu")


def set_up_torch(threads: int) -> None:
    """Make equal runs equal, and use as many threads as the scheduler gave, not all that the machine has."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # with NaN: a tenth of a step


def device_use(device: torch.device) -> DeviceUse:
    """Return what this process has used of a device so far."""
    if device.type == "cuda":
        name, memory = torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    else:
        name, memory = "cpu", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return DeviceUse(name, torch.get_num_threads(), round(memory / 2**20))
