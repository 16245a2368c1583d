"""Whether the scheduler is there, tells Snakemake how jobs end, and what it does to them before they end."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable

from crossover.cluster.findings import Finding
from crossover.cluster.profile import Profile
from crossover.cluster.slurm import Partition, Scheduler

COMMANDS = ("sinfo", "scontrol", "sbatch", "squeue", "scancel", "srun")
LONGEST_PAUSE = 180  # seconds; the plugin's pause between two questions grows up to this
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
    """Whether the scheduler answers, and how many of its nodes run jobs."""
    if not scheduler.nodes:
        text = f"the scheduler does not answer: {scheduler.ping.words}"
        return Finding("FAIL", "scheduler", text, "scontrol ping; if it stays down, ask the people who run the cluster")
    away = Counter(node.state.rstrip("*") for node in scheduler.nodes.values() if not node.usable)
    words = "".join(f", {count} {state}" for state, count in sorted(away.items()))
    usable = len(scheduler.nodes) - away.total()
    text = f"SLURM {scheduler.version}; {len(scheduler.nodes)} nodes: {usable} up{words}"
    if not usable:
        return Finding("FAIL", "scheduler", text, "sinfo -R says why; jobs would wait until nodes come back")
    return Finding("ok", "scheduler", text)


def check_status_command(scheduler: Scheduler, profile: Profile, sacct_answers: bool) -> Finding:
    """Whether Snakemake will learn how its jobs end: a job that it hears nothing of is waited for without end."""
    age = scheduler.seconds("MinJobAge") or 0
    asks_squeue = profile.status_command == "squeue"
    trusted = 3 * profile.first_check  # the plugin turns to sacct when squeue remembers jobs for a shorter time
    if asks_squeue and age >= trusted:
        if age >= LONGEST_PAUSE:
            return Finding("ok", "job states", f"squeue remembers jobs for {age} s (MinJobAge): long enough")
        text = f"squeue forgets jobs after {age} s (MinJobAge), but may be asked only every {LONGEST_PAUSE} s"
        if sacct_answers:
            return Finding("warn", "job states", text, f"slurm-status-command: sacct in {profile.path}")
        return Finding("warn", "job states", text, "ask the people who run the cluster for MinJobAge=300")
    if sacct_answers:
        return Finding("ok", "job states", "Snakemake asks sacct, which answers")
    if asks_squeue:
        text = f"squeue forgets jobs after {age} s (MinJobAge), so the plugin turns to sacct: there is no accounting"
        first = f"slurm-init-seconds-before-status-checks: {max(age // 3, 1)} in {profile.path}"
        return Finding("FAIL", "job states", text, first)
    text = "Snakemake asks sacct, but there is no accounting"
    return Finding("FAIL", "job states", text, f"slurm-status-command: squeue in {profile.path}")


def check_ends(scheduler: Scheduler, profile: Profile, partitions: Iterable[Partition]) -> list[Finding]:
    """What a time limit, the failure of a node and preemption do to a run."""
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
