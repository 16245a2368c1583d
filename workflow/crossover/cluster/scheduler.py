"""Whether the scheduler is there, tells Snakemake how jobs end, and what it does to them before they end."""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable

from crossover.cluster.findings import Finding
from crossover.cluster.profile import Profile
from crossover.slurm import Partition, Scheduler, ask

COMMANDS = ("sinfo", "scontrol", "sbatch", "squeue", "scancel", "srun")
LONGEST_PAUSE = 180  # seconds; the plugin's pause between two questions grows up to this
NO_CONFIGURATION = "have /etc/slurm/slurm.conf, or wrappers of the commands in PATH that set SLURM_CONF"
ASK = "ask the people who run the cluster"
SHORTEST_WARNING = 30  # seconds; SLURM's own default of KillWait


def check_commands() -> Finding | None:
    """None when there is a scheduler to ask."""
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if "sinfo" in missing:
        return Finding("skip", "scheduler", "no SLURM here: snakemake runs on this machine alone")
    if missing:
        text = f"sinfo is here, but not {', '.join(missing)}"
        return Finding("FAIL", "scheduler", text, "run crossover doctor where jobs are submitted: on a login node")
    return None


def check_nodes(scheduler: Scheduler) -> Finding:
    """Check whether the scheduler answers, and how many of its nodes run jobs."""
    if not scheduler.nodes:
        text = f"the scheduler does not answer: {scheduler.ping.words}"
        return Finding("FAIL", "scheduler", text, f"scontrol ping; if it stays down, {ASK}")
    away = Counter(node.state.rstrip("*") for node in scheduler.nodes.values() if not node.usable)
    words = "".join(f", {count} {state}" for state, count in sorted(away.items()))
    usable = len(scheduler.nodes) - away.total()
    text = f"SLURM {scheduler.version}; {len(scheduler.nodes)} nodes: {usable} up{words}"
    if not usable:
        return Finding("FAIL", "scheduler", text, "sinfo -R says why; jobs would wait until nodes come back")
    return Finding("ok", "scheduler", text)


def check_configuration() -> Finding | None:
    """None, unless SLURM's commands need SLURM_CONF here: Snakemake takes it from the steps of its jobs."""
    if "SLURM_CONF" not in os.environ or ask("env", "--unset=SLURM_CONF", "scontrol", "ping").status == 0:
        return None
    text = (
        "SLURM's commands need SLURM_CONF here, which steps of jobs do not get; a probe job shows whether they need it"
    )
    return Finding("warn", "scheduler", text, NO_CONFIGURATION)


def check_status_command(scheduler: Scheduler, profile: Profile, sacct_answers: bool) -> Finding:
    """Check whether Snakemake will learn how its jobs end: a job that it hears nothing of is waited for without end."""
    age = scheduler.seconds("MinJobAge") or 0
    forgets = f"squeue forgets jobs {age} s after their end (MinJobAge)"
    # The plugin turns from squeue to sacct by this rule, and crossover keeps it from that where there is no accounting.
    turns = profile.status_command == "squeue" and scheduler.has_accounting and age < 3 * profile.first_check
    if profile.status_command == "sacct" or turns:
        why = f"{forgets}, so Snakemake asks sacct" if turns else "Snakemake asks sacct"
        if sacct_answers:
            return Finding("ok", "job states", f"{why}, which answers")
        change = "--profile slurm --profile profiles/slurm-squeue" if turns else "slurm-status-command: squeue"
        change = f"snakemake {change}" if turns else f"{change} in {profile.path}"
        return Finding("FAIL", "job states", f"{why}, which does not answer", change)
    if age >= LONGEST_PAUSE:
        return Finding("ok", "job states", f"{forgets}: late enough")
    text = f"{forgets}, and is asked every {LONGEST_PAUSE} s at times: it may never show a short job"
    change = f"slurm-status-command: sacct in {profile.path}"
    return Finding("warn", "job states", text, change if sacct_answers else f"{ASK} for MinJobAge=300")


def check_ends(scheduler: Scheduler, profile: Profile, partitions: Iterable[Partition]) -> list[Finding]:
    """Check what a time limit, the failure of a node and preemption do to a run."""
    return [_time_limit(scheduler), _node_failure(scheduler, profile), *_preemption(scheduler, partitions)]


def _time_limit(scheduler: Scheduler) -> Finding:
    tracking = scheduler.settings.get("ProctrackType", "").removeprefix("proctrack/")
    wait = scheduler.seconds("KillWait") or 0
    text = f"a run is told, and has {wait} s to save its state (KillWait; ProctrackType {tracking})"
    if wait < SHORTEST_WARNING:
        change = "hardware: minutes in the study, so large that runs do not meet the limit"
        return Finding("warn", "time limit", f"{text}; a large model takes longer, and goes back a minute", change)
    return Finding("ok", "time limit", text)


def _node_failure(scheduler: Scheduler, profile: Profile) -> Finding:
    if scheduler.settings.get("JobRequeue") == "1" or profile.options["slurm_requeue"]:
        text = "the job goes back to the queue, and its run goes on from its last save"
        return Finding("ok", "node failure", text)
    text = f"the job is lost (JobRequeue 0); Snakemake submits it anew, at most {profile.retries} times"
    return Finding("warn", "node failure", text, f"slurm-requeue: true in {profile.path}")


def _preemption(scheduler: Scheduler, partitions: Iterable[Partition]) -> list[Finding]:
    becomes = {
        "REQUEUE": "goes back to the queue, and its run goes on from its last save",
        "CANCEL": "ends; Snakemake submits it anew, and its run goes on from its last save",
        "SUSPEND": "is suspended, and goes on later",
    }
    names = defaultdict(list)
    for partition in partitions:
        modes = partition.settings.get("PreemptMode", "OFF")
        mode = next((mode for mode in modes.split(",") if mode in becomes), None)
        if mode is None or scheduler.settings.get("PreemptType") == "preempt/none":
            text = "jobs are not preempted"
        else:
            grace = partition.settings.get("GraceTime", "0")
            text = f"a preempted job {becomes[mode]} (PreemptMode {modes}, GraceTime {grace} s)"
        names[text].append(partition.name)
    return [Finding("ok", "preemption", f"in {' and '.join(where)}, {text}") for text, where in names.items()]
