"""Whether the account, the partitions and the form of a request for a GPU are right, and whether the study fits."""

import getpass
import shlex
from dataclasses import dataclass

from crossover.cluster.findings import Finding, Grade
from crossover.cluster.profile import Profile
from crossover.cluster.scheduler import ASK
from crossover.config.load import CONFIG, load_config, read_yaml
from crossover.errors import UserError, nearest
from crossover.planning import resources as demand
from crossover.planning.plan import make_plan
from crossover.slurm import Partition, Scheduler, ask
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.runs import RunSpec

RUN, OTHER = "finetune_run", "prepare_task"  # a rule that may use a GPU, and one that does not
ACCOUNT, PARTITION, GPU_PARTITION = "CROSSOVER_ACCOUNT", "CROSSOVER_PARTITION", "CROSSOVER_GPU_PARTITION"
PROBE_MINUTES = 15  # the time limit of a probe job; it ends by itself before
PROBE_MEMORY_MB = 2000  # importing torch takes a few hundred
OPTIONS = {"slurm_partition": "partition", "slurm_account": "account", "qos": "qos", "constraint": "constraint"}


# --- where jobs go ----------------------------------------------------------------------------------------


def partition_of(scheduler: Scheduler, profile: Profile, rule: str) -> str | None:
    """Return the partition that a rule's jobs go to: the profile's, or the scheduler's default."""
    return profile.resource(rule, "slurm_partition") or scheduler.default_partition


def check_partition(
    scheduler: Scheduler, profile: Profile, account: str | None, gpu: bool = False
) -> tuple[Finding, Partition | None]:
    """Check whether the partition of runs on GPUs, or that of all other jobs, exists and takes jobs of the account.

    Args:
        scheduler: what the scheduler said.
        profile: the partition of runs and of other jobs.
        account: the account of jobs, if it is known.
        gpu: whether the partition of runs is meant, and they ask for a GPU.

    Returns:
        The finding, and the partition if jobs can run there.
    """
    rule, subject, variable = (RUN, "gpu partition", GPU_PARTITION) if gpu else (OTHER, "partition", PARTITION)
    name = partition_of(scheduler, profile, rule)
    good = [other.name for other in scheduler.partitions.values() if not _obstacle(other, account, gpu)]
    change = f"export {variable}={good[0]}" if good else f"{ASK} which one to use"
    if len(good) > 1:
        change += f" (or {', '.join(good[1:])})"
    if name is None:
        return Finding("FAIL", subject, "none is named, and the scheduler has no default one", change), None
    partition = scheduler.partitions.get(name)
    if partition is None:
        text = f"there is no partition {name}; {nearest(name, scheduler.partitions)}"
        return Finding("FAIL", subject, text, change), None
    if obstacle := _obstacle(partition, account, gpu):
        return Finding("FAIL", subject, f"{name} {obstacle}", change), None
    kinds = f", with {' and '.join(partition.gpu_kinds)} on a node" if gpu else ""
    return Finding("ok", subject, f"{name}{' (the default)' * partition.is_default}{kinds}"), partition


def _obstacle(partition: Partition, account: str | None, gpu: bool) -> str | None:
    """Say what keeps jobs, with or without a GPU, out of a partition."""
    if not partition.is_up:
        return f"is {partition.settings['State']}: it starts no jobs"
    if account and not partition.allows(account):
        return f"takes no jobs of account {account} (see {ACCOUNT})"
    if gpu and not partition.gpus:
        return "has no GPUs"
    if not any(node.usable and (node.gpus or not gpu) for node in partition.nodes):
        return f"has no node{' with GPUs' * gpu} that is up"
    return None


def check_account(scheduler: Scheduler, profile: Profile) -> tuple[Finding, str | None]:
    """Check whether the account exists, as far as the accounting can tell.

    Returns:
        The finding, and the account that jobs are counted under, if it is known.
    """
    account = profile.resource(OTHER, "slurm_account")
    if not scheduler.has_accounting:
        text = f"{account or 'none is named'}; there is no accounting that would ask for it"
        return Finding("ok", "account", text), account
    user = getpass.getuser()
    show = ("sacctmgr", "--noheader", "--parsable2", "show", "user", user, "withassoc")
    rows = [line.split("|") for line in ask(*show, "format=account,defaultaccount").out.splitlines()]
    accounts, default = sorted({row[0] for row in rows}), next((row[1] for row in rows), None)
    if not accounts:
        text = f"sacctmgr names no account of {user}: jobs may be refused"
        enforced = "associations" in scheduler.settings.get("AccountingStorageEnforce", "")
        return Finding("FAIL" if enforced else "warn", "account", text, f"{ASK} for one"), account
    if account and account.lower() not in {name.lower() for name in accounts}:
        text = f"{user} has no account {account}; {nearest(account, accounts)}"
        change = f"export {ACCOUNT}={accounts[0]} ({user} has: {', '.join(accounts)})"
        return Finding("FAIL", "account", text, change), account
    text = account or f"{default}, the default one of {user} (who has: {', '.join(accounts)})"
    return Finding("ok", "account", text), account or default


# --- GPUs -------------------------------------------------------------------------------------------------


def check_gpus(
    scheduler: Scheduler, profile: Profile, account: str | None, asked: bool
) -> tuple[list[Finding], tuple[Partition, str] | None]:
    """Check where GPUs are, and which form of a request for one is accepted there.

    Args:
        scheduler: what the scheduler said.
        profile: the partition of runs, and how they ask for a GPU.
        account: the account of jobs, if it is known.
        asked: whether the study's runs ask for a GPU.

    Returns:
        The findings, and the partition and form for a job on a GPU, if there is one.
    """
    there = [partition for partition in scheduler.partitions.values() if not _obstacle(partition, account, gpu=True)]
    if asked or profile.resource(RUN, "slurm_partition") != profile.resource(OTHER, "slurm_partition"):
        finding, partition = check_partition(scheduler, profile, account, gpu=True)
    elif there:
        names = ", ".join(f"{partition.name} ({', '.join(partition.gpu_kinds)})" for partition in there)
        text = f"GPUs are in {names}; the study asks for none. For one that does:"
        partition = there[0]
        finding = Finding("ok", "gpu partition", text, f"export {GPU_PARTITION}={partition.name}")
    else:
        return [Finding("ok", "gpu partition", "no GPU is up, and the study asks for none")], None
    if partition is None:
        return [finding], None
    request, form = _check_form(partition, profile, asked)
    return [finding, request], (partition, form) if form else None


def _check_form(partition: Partition, profile: Profile, asked: bool) -> tuple[Finding, str | None]:
    """Ask the scheduler, without submitting, which form of a request for a GPU it accepts."""
    gres, model = (profile.resource(RUN, name) for name in ("gres", "gpu_model"))
    chosen = f"--gres={gres}" if gres else f"--gpus={model}:1" if model else "--gpus=1"
    options = job_options(profile, partition.name)
    answers = {
        form: ask("sbatch", "--test-only", *options, form, "--wrap=true")
        for form in dict.fromkeys([chosen, "--gpus=1", "--gres=gpu:1"])
    }
    accepted = [form for form, answer in answers.items() if answer.status == 0]
    if chosen in accepted:
        also = "".join(f"; {form} too" for form in accepted if form != chosen)
        return Finding("ok", "gpu request", f"{chosen} is accepted in {partition.name}, as runs ask{also}"), chosen
    text = f"{chosen}, as runs ask, is refused in {partition.name}: {answers[chosen].words}"
    change = f"sbatch --test-only --partition={partition.name} {chosen} --wrap=true, until it is accepted"
    if accepted:
        text += f"; {accepted[0]} is accepted"
        change = "unset CROSSOVER_GRES" if accepted[0] == "--gpus=1" else "export CROSSOVER_GRES=gpu:1"
    grade: Grade = "FAIL" if asked else "warn"
    return Finding(grade, "gpu request", text, change), accepted[0] if accepted else None


def job_options(profile: Profile, partition: str) -> list[str]:
    """Return what sbatch is told for a probe job in a partition: as for a run, with the time and memory of a probe."""
    given = {name: profile.resource(RUN, name) for name in OPTIONS} | {"slurm_partition": partition}
    options = [f"--{OPTIONS[name]}={value}" for name, value in given.items() if value]
    extra = shlex.split(profile.resource(RUN, "slurm_extra") or "")
    return [*options, *extra, f"--time={PROBE_MINUTES}", f"--mem={PROBE_MEMORY_MB}", "--cpus-per-task=1"]


# --- what the study asks for ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Needs:
    """What the most demanding training of a study asks the scheduler for at its first attempt."""

    study: str
    gpu: int
    threads: int
    memory_mb: int
    minutes: int


def needs_of_study(study: str | None) -> Needs | Finding:
    """Return the needs of a study by its name or path, or of the one in config/config.yaml."""
    try:
        plan = make_plan(study or load_config(read_yaml(CONFIG / "config.yaml") or {}).study)
    except UserError as error:
        return Finding("FAIL", "study", str(error), "correct it; snakemake -n says when it is right")
    asked = plan.settings.hardware
    trainings = [spec for spec in plan.specs.values() if isinstance(spec, RunSpec | PretrainedSpec)]
    works = [demand.work_of(spec, plan.specs) for spec in trainings]
    memory = asked.memory_mb or max(demand.memory_mb(work, asked.gpu) for work in works)
    minutes = asked.minutes or max(demand.minutes(work, asked.gpu, asked.threads) for work in works)
    return Needs(plan.name, asked.gpu, asked.threads, memory, minutes)


def check_study(needs: Needs, partition: Partition, retries: int) -> Finding:
    """Check whether the study's runs fit into their partition, at the last attempt too, which asks for more."""
    text = f"{needs.study}: a run asks for {needs.threads} CPU, {needs.memory_mb:,} MB, {needs.minutes} min"
    most_cpus = max((node.cpus for node in partition.nodes), default=0)
    if needs.threads > most_cpus:
        text += f", but a node of {partition.name} has {most_cpus} CPU"
        return Finding("FAIL", "study", text, f"hardware: {{threads: {most_cpus}}} in the study's file")
    limits = [
        ("minutes", needs.minutes, partition.longest_minutes),
        ("memory_mb", needs.memory_mb, partition.most_memory_mb),
    ]
    for key, value, most in limits:
        if value > most:
            text += f"; {partition.name} gives at most {key}: {most:g}"
            return Finding(
                "FAIL", "study", text, f"hardware: {{{key}: {most:g}}} in the study's file, or another partition"
            )
    for key, value, most in limits:
        if value * (retries + 1) > most:
            text += f", times the number of the attempt; {partition.name} gives at most {key}: {most:g}"
            change = f"hardware: {{{key}: {most // (retries + 1):g}}} in the study's file"
            return Finding("warn", "study", text, change)
    if partition.gpus and not needs.gpu and not partition.is_default:
        text += f", and no GPU, but goes to {partition.name}, which has some"
        return Finding("warn", "study", text, f"unset {GPU_PARTITION} for this study")
    return Finding("ok", "study", f"{text}{' and a GPU' * needs.gpu}; {partition.name} gives it")
