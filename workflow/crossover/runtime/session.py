"""What the terminal shows while a study is computed: its progress, and at the end what failed and why."""

import logging
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from crossover.runs.events import record as note
from crossover.runs.status import Overview, describe_failures
from crossover.specs.studies import StudySpec

EVERY = 10.0  # seconds between two looks
RESTART = "Trying to restart job"
# Lines of Snakemake and its SLURM plugin that say nothing to a user; its log file keeps them.
NOISE = re.compile(
    r"Select jobs to execute|SLURM run ID|Cleaning up SLURM log|Job \S+ has been submitted with SLURM|"
    rf"{RESTART}|Removing output files of failed job|No SLURM account given|No account was given|"
    r"Unable to guess SLURM account|No partition was given|Guessed SLURM account"
)
QUIET_EVENTS = {"JOB_STARTED", "JOB_FINISHED", "PROGRESS"}
SLURM_STATUS = re.compile(r"SLURM status is: '([A-Z_]+)'")
OUT_OF_MEMORY = re.compile("out of memory|exceeded memory limit|oom.kill", re.IGNORECASE)
UNREADABLE = re.compile(r"^((?!CalledProcessError)\w+ in file .*?, line \d+):?\s*(.*)", re.MULTILINE)
STATUS_IN_WORDS = {
    "TIMEOUT": "the time limit was reached; set hardware.minutes of the study if the retries do not get far enough",
    "OUT_OF_MEMORY": "out of memory; raise hardware.memory_mb of the study",
    "CANCELLED": "the job was cancelled",
    "NODE_FAIL": "its node failed",
}


def tell(text: str) -> None:
    """Say something to the user, between the lines of Snakemake."""
    print(text, file=sys.stderr, flush=True)


class Session(logging.Handler):
    """Listens to Snakemake, and tells how far the study is."""

    def __init__(self, study: StudySpec) -> None:
        super().__init__()
        self.overview = Overview(study)
        self.failed: dict[str, tuple[str, str]] = {}  # other jobs than runs: their files, reason and log
        self._just_failed: list[Path] = []  # folders of the runs of the last job that failed
        self._ended = threading.Event()

    def start(self) -> None:
        """Listen to Snakemake's log, and report progress from a thread until `stop`."""
        logger = logging.getLogger("snakemake.logging")
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(_without_noise)
        logger.addHandler(self)
        threading.Thread(target=self._report, daemon=True).start()

    def stop(self) -> None:
        """End the reports."""
        self._ended.set()
        logging.getLogger("snakemake.logging").removeHandler(self)

    def _report(self) -> None:
        last = ""
        while not self._ended.wait(EVERY):
            line = self.overview.look().line()
            if line.partition(";")[0] != last:
                tell(f"[{time.strftime('%H:%M:%S')}] {line}")
                last = line.partition(";")[0]

    def emit(self, record: logging.LogRecord) -> None:
        """Note the jobs that failed: for a run, among its events."""
        said = vars(record)
        event = _event(record)
        if event == "GROUP_ERROR":  # one SLURM job of several runs; its members' own records know less
            self._just_failed = []
            for job in said["job_error_info"]:
                self._note_failure(job, said.get("external_jobid"), said["aux_logs"])
        elif event == "JOB_ERROR" and not said.get("indent"):
            self._just_failed = []
            self._note_failure(said, (said.get("aux") or {}).get("external_jobid"), [])
        elif record.getMessage().startswith(RESTART):  # said of the job that has just failed
            for folder in self._just_failed:
                note(folder, "to be retried")

    def _note_failure(self, job: dict[str, Any], slurm_job_id: str | None, logs: list[str]) -> None:
        outputs = [str(path) for path in job.get("output") or []]
        logs = [str(path) for path in [*(job.get("log") or []), *logs]]
        said_by_slurm = _read(logs[-1]) if slurm_job_id and logs else ""
        reason = in_words(str(job.get("rule_msg") or ""), said_by_slurm)
        if job.get("rule_name") == "finetune_run" and outputs:
            facts = {"reason": reason, "of_job": slurm_job_id, "slurm_log": logs[-1] if slurm_job_id and logs else None}
            note(Path(outputs[0]).parent, "job failed", **facts)
            self._just_failed.append(Path(outputs[0]).parent)
        elif outputs:
            self.failed[outputs[0]] = (f"{job.get('rule_name')}: {reason}", " ".join(logs))

    def summary(self) -> str:
        """What is done and what failed, grouped by cause."""
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


def in_words(message: str, said_by_slurm: str = "") -> str:
    """The reason of a failure in words.

    Args:
        message: what Snakemake says of the job.
        said_by_slurm: the content of the log that SLURM kept of it.
    """
    status = SLURM_STATUS.search(message)
    if unreadable := UNREADABLE.search(said_by_slurm):
        problem = ": ".join(filter(None, unreadable.groups())).replace(f"{Path.cwd()}/", "")
        return f"the job could not read the workflow, {problem}; repair Snakefile or workflow/rules, which jobs read when they start"
    if status and OUT_OF_MEMORY.search(said_by_slurm):
        return STATUS_IN_WORDS["OUT_OF_MEMORY"]
    if status:
        return STATUS_IN_WORDS.get(status[1], f"SLURM status {status[1]}")
    if "sbatch failed" in message:
        said = re.search(r"The error message was '(.*?)'", message, flags=re.DOTALL)
        return f"SLURM did not take the job: {' '.join(said[1].split())}" if said else "SLURM did not take the job"
    return " ".join(message.split())[:200] or "its command failed; see its log"


def _event(record: logging.LogRecord) -> str:
    """The name of the kind of a log record of Snakemake, in capitals, or an empty text."""
    return str(getattr(record, "event", "") or "").rpartition(".")[2].upper()


def _read(log: str) -> str:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:  # the job never started
        return ""


def _without_noise(record: logging.LogRecord) -> bool:
    return _event(record) not in QUIET_EVENTS and not NOISE.match(record.getMessage())
