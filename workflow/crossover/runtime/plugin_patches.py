"""Patch the SLURM plugin of Snakemake, so that a study survives a scheduler that does not answer.

Version 2.8 of snakemake-executor-plugin-slurm forgets every job when one round of status queries fails, and then waits
forever; it turns to `sacct` when it cannot read the controller's settings, on clusters without accounting too; it does
not understand sacct's "CANCELLED by 1000"; and a job submitted while the controller restarts counts as failed
(snakemake-executor-plugin-slurm issues 207 and 331). Three of its functions are replaced by ones that ask until they are
answered, and a fourth by one that ends this when Snakemake ends. If a later version lacks one of them, the others are
still replaced, and the profile's `slurm-status-attempts` is the only protection left.
"""

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from crossover.slurm import ask, has_accounting, read_settings

log = logging.getLogger(__name__)
RETRY_INTERVAL = 5.0  # seconds between questions to a scheduler that does not answer
NEVER_FORGOTTEN = 10**6  # seconds that SLURM remembers an ended job, as good as forever
ENDING = threading.Event()  # Snakemake cancels its jobs and ends: nothing is waited for any more
last_states: dict[str, str] = {}  # the last state that SLURM gave, by job id


def patch_plugin() -> None:
    """Replace the functions in the installed plugin."""
    plugin = importlib.import_module("snakemake_executor_plugin_slurm")
    replace(plugin, "query_job_status", query_until_answered)
    replace(plugin, "get_min_job_age", cache_min_job_age)
    replace(plugin, "get_submit_command", submit_when_up)
    replace(plugin, "cancel_slurm_jobs", cancel_and_stop)


def replace(plugin: ModuleType, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Wrap a function of the plugin, unless it is wrapped already or does not exist any more."""
    original = getattr(plugin, name, None)
    if original is None:
        log.warning("this version of snakemake-executor-plugin-slurm has no %s: it is less patient", name)
    elif not getattr(original, "patched", False):
        wrapped = wrapper(original)
        wrapped.patched = True
        setattr(plugin, name, wrapped)


def query_until_answered(query: Callable[..., Any]) -> Callable[..., Any]:
    """Make a status query repeat until it is answered, in words that the plugin understands.

    States are reduced to their first word. A job that squeue has listed and no longer lists ended so long ago that SLURM
    has forgotten it; for the plugin that is UNKNOWN, upon which Snakemake looks for the job's files.

    Args:
        query: (command, logger) -> (states by job id, seconds), both None when there was no answer.
    """
    listed: set[str] = set()

    async def query_again(command: str, logger: Any) -> Any:
        silent_since = time.monotonic()
        while True:
            states, seconds = await query(command, logger)
            if states is not None:
                states = {job: state.partition(" ")[0] for job, state in states.items()}
                if command.startswith("squeue"):
                    states |= dict.fromkeys(listed - states.keys(), "UNKNOWN")
                    listed.update(states)
                last_states.update(states)
                return states, seconds
            if ENDING.is_set():
                return {}, 0.0
            silence = time.monotonic() - silent_since
            logger.warning(f"SLURM has not answered for {silence:.0f} s; jobs go on, and it is asked again.")
            await asyncio.sleep(RETRY_INTERVAL)

    return query_again


def cache_min_job_age(min_job_age: Callable[[], int | None]) -> Callable[[], int]:
    """Make the question how long SLURM remembers ended jobs never send the plugin to a `sacct` that cannot answer.

    Without an answer the last one holds. Without accounting the time is as good as unlimited, since
    `query_until_answered` deals with jobs that squeue has forgotten.

    Args:
        min_job_age: () -> seconds, or None when there was no answer.
    """
    last = NEVER_FORGOTTEN

    def ask_again() -> int:
        nonlocal last
        answer = min_job_age()
        if answer is not None:
            settings = read_settings(ask("scontrol", "show", "config").out)
            last = answer if has_accounting(settings) else NEVER_FORGOTTEN
        return last

    return ask_again


def submit_when_up(make_command: Callable[..., str]) -> Callable[..., str]:
    """Make a submission wait until the controller answers."""

    def wait(*arguments: Any, **options: Any) -> str:
        wait_for_controller()
        return make_command(*arguments, **options)

    return wait


def wait_for_controller() -> None:
    """Wait until the controller answers or Snakemake ends, and log a warning while it does not."""
    while not ENDING.is_set() and not controller_answers():
        log.warning("SLURM's controller does not answer; nothing is submitted until it does.")
        ENDING.wait(RETRY_INTERVAL)


def cancel_and_stop(cancel: Callable[..., None]) -> Callable[..., None]:
    """Make the cancellation of all jobs, as after Ctrl-C, stop all waiting for SLURM: Snakemake waits for it in turn."""

    def stop(*arguments: Any, **options: Any) -> None:
        ENDING.set()
        cancel(*arguments, **options)

    return stop


def controller_answers() -> bool:
    """Return whether the primary or a backup slurmctld is up; True where that cannot be asked."""
    answer = ask("scontrol", "ping", seconds=60)
    return "UP" in answer.out or (answer.status in (0, 127) and "DOWN" not in answer.out)
