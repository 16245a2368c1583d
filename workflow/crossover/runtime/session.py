"""Show in the terminal how far a study is while it is computed, and at the end what failed and why.

A handler of Snakemake's log does this rather than a logger plugin. A plugin is told of events by a queue, so that the
last failures would be missing from the summary; it is switched on by an option, not by a Snakefile; and it cannot hide a
line of Snakemake's own without replacing all of them.
"""

import logging
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from crossover.runs.events import record as note
from crossover.runs.status import Overview, describe_failures
from crossover.runtime.plugin_patches import last_states
from crossover.slurm import ENDED
from crossover.specs.studies import StudySpec

INTERVAL = 10.0  # seconds between two looks
# Messages of Snakemake and its SLURM plugin that are no events and say nothing to a user; the log file keeps them.
NOISE = re.compile(
    r"Select jobs to execute|SLURM run ID|Cleaning up SLURM log|Job \S+ has been submitted with SLURM|"
    r"Trying to restart job|Removing output files of failed job|No SLURM account given|No account was given|"
    r"Unable to guess SLURM account|No partition was given|Guessed SLURM account"
)
HIDDEN_EVENTS = {LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS}
OUT_OF_MEMORY = re.compile("out of memory|exceeded memory limit|oom.kill", re.IGNORECASE)
UNREADABLE = re.compile(r"^((?!CalledProcessError)\w+ in file .*?, line \d+):?\s*(.*)", re.MULTILINE)
FAILED_STATES = ENDED - {"COMPLETED"}
REASONS = {
    "TIMEOUT": "the time limit was reached; set hardware.minutes of the study if the retries do not get far enough",
    "OUT_OF_MEMORY": "out of memory; raise hardware.memory_mb of the study",
    "CANCELLED": "the job was cancelled",
    "NODE_FAIL": "its node failed",
}


def tell(text: str) -> None:
    """Print something for the user, between the lines of Snakemake."""
    print(text, file=sys.stderr, flush=True)


class Session(logging.Handler):
    """Handle Snakemake's log: report progress, and note the jobs that failed."""

    def __init__(self, study: StudySpec) -> None:
        super().__init__()
        self.overview = Overview(study)
        self.failed: dict[str, tuple[str, str]] = {}  # other jobs than runs: their files, reason and log
        self._failures: Counter[int] = Counter()  # failed attempts by Snakemake's job id
        self._retries = 0
        self._ended = threading.Event()

    def start(self, retries: int) -> None:
        """Handle Snakemake's log, and report progress from a thread until `stop`.

        Args:
            retries: how often Snakemake starts a failed job again.
        """
        self._retries = retries
        logger = logging.getLogger("snakemake.logging")
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_shown)
        logger.addHandler(self)
        threading.Thread(target=self._report, daemon=True).start()

    def stop(self) -> None:
        """End the reports."""
        self._ended.set()
        logging.getLogger("snakemake.logging").removeHandler(self)

    def _report(self) -> None:
        last = ""
        while not self._ended.wait(INTERVAL):
            line = self.overview.look().line()
            if line.partition(";")[0] != last:
                tell(f"[{time.strftime('%H:%M:%S')}] {line}")
                last = line.partition(";")[0]

    def emit(self, record: logging.LogRecord) -> None:
        """Note the jobs that failed: for a run, among its events."""
        event, fields = getattr(record, "event", None), vars(record)
        if event == LogEvent.GROUP_ERROR:  # one SLURM job of several runs; its members' own records know less
            for job in fields["job_error_info"]:
                self._note_failure(job, fields.get("external_jobid"), fields["aux_logs"])
        elif event == LogEvent.JOB_ERROR and not fields["indent"]:
            self._note_failure(fields, fields["aux"].get("external_jobid"), [])

    def _note_failure(self, job: Mapping[str, Any], slurm_job_id: str | None, logs: list[str]) -> None:
        self._failures[job["jobid"]] += 1
        outputs = [str(path) for path in job["output"]]
        logs = [str(path) for path in [*job["log"], *logs]]
        slurm_log = logs[-1] if slurm_job_id and logs else None
        state = last_states.get(slurm_job_id or "", "")
        reason = reason_of_failure(str(job["rule_msg"] or ""), state, _read(slurm_log) if slurm_log else "")
        if job["rule_name"] == "finetune_run" and outputs:
            folder = Path(outputs[0]).parent
            note(folder, "job failed", reason=reason, of_job=slurm_job_id, slurm_log=slurm_log)
            if self._failures[job["jobid"]] <= self._retries:
                note(folder, "to be retried")
        elif outputs:
            self.failed[outputs[0]] = (f"{job['rule_name']}: {reason}", " ".join(logs))

    def summary(self) -> str:
        """Return what is done and what failed, grouped by cause."""
        self.overview.forget()  # Snakemake has removed the files of jobs that failed
        lines = [f"Study {self.overview.study}: {self.overview.look().line()}."]
        lines += describe_failures(self.overview)
        lines += [f"failed: {reason}\n    {path}\n        {log}" for path, (reason, log) in self.failed.items()]
        if self.overview.of("failed"):
            lines.append(report_incomplete(self.overview.study))
        return "\n".join([*lines, "What is done stays done: run snakemake again to go on."])


def report_incomplete(study: str) -> str:
    """Make the report of what is there of a study, in a process of its own; return what it said."""
    command = [sys.executable, "-m", "crossover", "report-incomplete", study]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


def reason_of_failure(message: str, state: str = "", slurm_log: str = "") -> str:
    """Say in words why a job failed.

    Args:
        message: what Snakemake says of the job.
        state: the last state that SLURM gave of it, or an empty text.
        slurm_log: the content of the log that SLURM kept of it.
    """
    if unreadable := UNREADABLE.search(slurm_log):
        problem = ": ".join(filter(None, unreadable.groups())).replace(f"{Path.cwd()}/", "")
        return f"the job could not read the workflow, {problem}; repair Snakefile or workflow/rules, which jobs read when they start"
    if state in FAILED_STATES and OUT_OF_MEMORY.search(slurm_log):
        return REASONS["OUT_OF_MEMORY"]
    if state in FAILED_STATES:
        return REASONS.get(state, f"SLURM status {state}")
    return " ".join(message.split())[:200] or "its command failed; see its log"


def _read(log: str) -> str:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:  # the job never started
        return ""


def _is_shown(record: logging.LogRecord) -> bool:
    return getattr(record, "event", None) not in HIDDEN_EVENTS and not NOISE.match(record.getMessage())
