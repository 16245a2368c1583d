"""Whether the scheduler is set up as the profile, the account, the partitions and the study need it."""

import getpass
import os
import shlex
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable

from crossover.cluster.findings import Finding, Grade
from crossover.cluster.profile import Profile
from crossover.cluster.slurm import Partition, Scheduler, ask
from crossover.config.load import CONFIG, load_config, load_study, nearest, read_yaml
from crossover.config.model import Hardware
from crossover.errors import UserError

COMMANDS = ("sinfo", "scontrol", "sbatch", "squeue", "scancel", "srun")
ACCOUNT, PARTITION, GPU_PARTITION = "CROSSOVER_ACCOUNT", "CROSSOVER_PARTITION", "CROSSOVER_GPU_PARTITION"
RUN = "finetune_run"  # the rule whose jobs are a study's work
SHORTEST_WARNING = 30  # seconds; SLURM's own default of KillWait
GPU_FORMS = ("--gpus=1", "--gres=gpu:1")
PROBE_MINUTES = 15
PROBE_MEMORY_MB = 2000  # importing torch takes a few hundred
OPTIONS = {"slurm_partition": "partition", "slurm_account": "account", "qos": "qos", "constraint": "constraint"}


# --- is it there ------------------------------------------------------------------------------------------


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
    if scheduler.ping.status or not scheduler.nodes:
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
    """Whether Snakemake will learn how its jobs end, from the command that the profile names."""
    age = scheduler.seconds("MinJobAge") or 0
    needed = 3 * profile.first_check  # below this, the plugin does not trust squeue
    kept = f"MinJobAge is {age} s, at least three times the first check after {profile.first_check} s"
    if profile.status_command == "sacct" and not sacct_answers:
        text = "the profile asks sacct for the state of jobs, but there is no accounting: Snakemake would wait for ever"
        return Finding("FAIL", "accounting", text, f"slurm-status-command: squeue in {profile.path}")
    words = "sacct answers" if sacct_answers else "no accounting"
    if age < needed:
        text = f"{words}; MinJobAge is {age} s, so squeue forgets jobs before Snakemake has asked ({needed} s)"
        first = max(age // 3, 1)
        change = f"slurm-init-seconds-before-status-checks: {first} in {profile.path}"
        return Finding("warn" if sacct_answers else "FAIL", "accounting", text, change)
    if profile.status_command == "sacct":
        text = f"{words}, but the plugin does not understand its `CANCELLED by`; {kept}"
        return Finding("warn", "accounting", text, f"slurm-status-command: squeue in {profile.path}")
    return Finding("ok", "accounting", f"{words}; squeue is right in the profile: {kept}")


# --- where jobs go ----------------------------------------------------------------------------------------


def chosen_partition(scheduler: Scheduler, profile: Profile, gpu: bool) -> str | None:
    """The partition of runs: that of GPU runs if one is named, the profile's, or the default one."""
    named = os.environ.get(GPU_PARTITION) if gpu else None
    return named or profile.resource(RUN, "slurm_partition") or scheduler.default_partition


def check_partition(scheduler: Scheduler, profile: Profile, gpu: bool) -> tuple[Finding, Partition | None]:
    """Whether the partition of runs, with or without a GPU, exists and takes jobs of the account.

    Returns:
        The finding, and the partition if jobs can run there.
    """
    subject, variable = ("gpu partition", GPU_PARTITION) if gpu else ("partition", PARTITION)
    name = chosen_partition(scheduler, profile, gpu)
    good = [other.name for other in scheduler.partitions.values() if not _obstacle(other, profile, gpu)]
    change = f"export {variable}={good[0]}" if good else "ask the people who run the cluster which one to use"
    if len(good) > 1:
        change += f" (or {', '.join(good[1:])})"
    if name is None:
        return Finding("FAIL", subject, "none is named, and the scheduler has no default one", change), None
    partition = scheduler.partitions.get(name)
    if partition is None:
        text = f"there is no partition {name}; {nearest(name, scheduler.partitions)}"
        return Finding("FAIL", subject, text, change), None
    if obstacle := _obstacle(partition, profile, gpu):
        return Finding("FAIL", subject, f"{name} {obstacle}", change), None
    kinds = f", with {' and '.join(partition.gpu_kinds)} on a node" if gpu else ""
    return Finding("ok", subject, f"{name}{' (the default)' * partition.is_default}{kinds}"), partition


def _obstacle(partition: Partition, profile: Profile, gpu: bool) -> str | None:
    """What keeps runs out of a partition."""
    account = profile.resource(RUN, "slurm_account")
    if not partition.is_up:
        return f"is {partition.settings['State']}: it starts no jobs"
    if account and not partition.allows(account):
        return f"takes no jobs of account {account}"
    if gpu and not partition.gpus:
        return "has no GPUs"
    if not any(node.usable and (node.gpus or not gpu) for node in partition.nodes):
        return f"has no node{' with GPUs' * gpu} that is up"
    return None


def check_gpu_partition(
    scheduler: Scheduler, profile: Profile, asked: bool
) -> tuple[list[Finding], tuple[Partition, str] | None]:
    """Where GPUs are, and which form of a request for one is accepted there.

    Args:
        scheduler: what the scheduler said.
        profile: the account and the partition of runs.
        asked: whether the study's runs ask for a GPU.

    Returns:
        The findings, and the partition and form for a job on a GPU, if there is one.
    """
    there = [partition for partition in scheduler.partitions.values() if not _obstacle(partition, profile, gpu=True)]
    if not asked and not os.environ.get(GPU_PARTITION):
        if not there:
            text = "no partition has a GPU that is up; the study asks for none"
            return [Finding("ok", "gpu partition", text)], None
        names = ", ".join(f"{partition.name} ({', '.join(partition.gpu_kinds)})" for partition in there)
        text = f"GPUs are in {names}; the study asks for none. For one that does:"
        finding = Finding("ok", "gpu partition", text, f"export {GPU_PARTITION}={there[0].name}")
        partition: Partition | None = there[0]
    else:
        finding, partition = check_partition(scheduler, profile, gpu=True)
    if partition is None:
        return [finding], None
    request, form = check_gpu_form(partition, job_options(profile, partition.name), asked)
    return [finding, request], (partition, form) if form else None


def check_account(scheduler: Scheduler, profile: Profile) -> Finding:
    """Whether the account exists, as far as the accounting can tell."""
    account = profile.resource(RUN, "slurm_account")
    if not scheduler.has_accounting:
        if account:
            text = f"{account} cannot be checked without accounting, and the SLURM plugin then refuses to submit"
            return Finding("FAIL", "account", text, f"unset {ACCOUNT}")
        return Finding("ok", "account", "none is named; without accounting none is needed")
    user = getpass.getuser()
    shown = ask("sacctmgr", "--noheader", "--parsable2", "show", "associations", "where", f"user={user}",
                "format=account")  # fmt: skip
    accounts = sorted(set(shown.out.split()))
    if account and accounts and account.lower() not in {name.lower() for name in accounts}:
        text = f"{user} has no account {account}; {nearest(account, accounts)}"
        return Finding("FAIL", "account", text, f"export {ACCOUNT}={accounts[0]} ({user} has: {', '.join(accounts)})")
    if not accounts:
        text = f"sacctmgr names no account of {user}; jobs may be refused"
        enforced = "associations" in scheduler.settings.get("AccountingStorageEnforce", "")
        return Finding("FAIL" if enforced else "warn", "account", text, "ask the people who run the cluster for one")
    return Finding("ok", "account", account or f"the default one of {user} ({', '.join(accounts)})")


def job_options(profile: Profile, partition: str) -> list[str]:
    """What sbatch is told for a probe job in a partition: as for a run, with the time and memory of a probe."""
    given = {name: profile.resource(RUN, name) for name in OPTIONS} | {"slurm_partition": partition}
    options = [f"--{OPTIONS[name]}={value}" for name, value in given.items() if value]
    extra = shlex.split(profile.resource(RUN, "slurm_extra") or "")
    return [*options, *extra, f"--time={PROBE_MINUTES}", f"--mem={PROBE_MEMORY_MB}", "--cpus-per-task=1"]


# --- what the study asks for ------------------------------------------------------------------------------


def study_hardware() -> tuple[str, Hardware] | Finding:
    """The name and the hardware of the study in config/config.yaml."""
    try:
        name, study = load_study(load_config(read_yaml(CONFIG / "config.yaml") or {}).study)
    except UserError as error:
        return Finding("FAIL", "study", str(error), "correct it; snakemake -n says when it is right")
    return name, study.hardware


def check_study(name: str, asked: Hardware, partition: Partition) -> Finding:
    """Whether one run of the study fits into its partition."""
    text = f"{name}: a run asks for {asked.threads} CPU, {asked.memory_mb:,} MB, {asked.minutes} min"
    limits = [
        ("minutes", asked.minutes, partition.longest_minutes),
        ("memory_mb", asked.memory_mb, partition.most_memory_mb),
        ("threads", asked.threads, max((node.cpus for node in partition.nodes), default=0)),
    ]
    for key, value, most in limits:
        if value > most:
            text += f"; partition {partition.name} gives at most {key}: {most:g}"
            return Finding("FAIL", "study", text, f"hardware: {key} in the study's file, or another partition")
    return Finding("ok", "study", f"{text}{' and a GPU' if asked.gpu else ''}; partition {partition.name} gives it")


def check_gpu_form(partition: Partition, options: list[str], asked: bool) -> tuple[Finding, str | None]:
    """Ask the scheduler, without submitting, which form of a request for a GPU it accepts.

    Args:
        partition: where GPUs are.
        options: what every job says to sbatch.
        asked: whether the study's runs ask for a GPU.

    Returns:
        The finding, and the option that a job should use, or None if it takes neither.
    """
    answers = {form: ask("sbatch", "--test-only", *options, form, "--wrap=true") for form in GPU_FORMS}
    accepted = [form for form, answer in answers.items() if answer.status == 0]
    if GPU_FORMS[0] in accepted:
        text = f"{' and '.join(accepted)} accepted in {partition.name}: the rules' gpu=1 is right"
        return Finding("ok", "gpu request", text), GPU_FORMS[0]
    grade: Grade = "FAIL" if asked else "warn"
    if accepted:
        text = f"{partition.name} accepts only {accepted[0]}"
        change = f'set-resources: {{{RUN}: {{gpu: 0, gres: "gpu:1"}}, pretrain_checkpoint: {{gpu: 0, gres: "gpu:1"}}}}'
        return Finding(grade, "gpu request", text, f"{change} in slurm/profile.yaml"), accepted[0]
    text = f"{partition.name} accepts neither {' nor '.join(GPU_FORMS)}: {answers[GPU_FORMS[0]].words}"
    change = f"sbatch --test-only --partition={partition.name} --gpus=1 --wrap=true, until it is accepted"
    return Finding(grade, "gpu request", text, change), None


# --- how jobs end -----------------------------------------------------------------------------------------


def check_ends(scheduler: Scheduler, profile: Profile, partitions: Iterable[Partition]) -> list[Finding]:
    """What a time limit, the failure of a node and preemption do to a run."""
    return [_time_limit(scheduler), _node_failure(scheduler, profile), *_preemption(scheduler, partitions)]


def _time_limit(scheduler: Scheduler) -> Finding:
    tracking = scheduler.settings.get("ProctrackType", "").removeprefix("proctrack/")
    wait = scheduler.seconds("KillWait") or 0
    if tracking == "cgroup":
        text = "ProctrackType cgroup: only Snakemake is told; a run loses what came after its last save, a minute or so"
        return Finding("ok", "time limit", text)
    text = f"ProctrackType {tracking}: a run is told, and saves within KillWait, {wait} s"
    if wait < SHORTEST_WARNING:
        change = "more `hardware: minutes` in the study, so that runs do not meet the limit; KillWait is the cluster's"
        return Finding("warn", "time limit", f"{text}, which is short for a large model", change)
    return Finding("ok", "time limit", text)


def _node_failure(scheduler: Scheduler, profile: Profile) -> Finding:
    if scheduler.settings.get("JobRequeue") == "1" or profile.options["slurm_requeue"]:
        text = "JobRequeue: the job goes back to the queue, and its run goes on from its last save"
        return Finding("ok", "node failure", text)
    text = f"JobRequeue 0: the job is lost; Snakemake submits it anew, at most {profile.options['retries'] or 0} times"
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
            text = f"PreemptMode {modes}, GraceTime {grace} s: a preempted job {becomes[mode]}"
        names[text].append(partition.name)
    return [Finding("ok", "preemption", f"in {' and '.join(where)}, {text}") for text, where in names.items()]
