"""Check in one go what a first study needs, on this machine and on the cluster, and say what to change."""

from collections.abc import Iterator

from crossover.cluster.findings import Finding
from crossover.cluster.installation import check_installation
from crossover.cluster.placement import (
    RUN,
    Needs,
    check_account,
    check_gpus,
    check_partition,
    check_study,
    needs_of_study,
    partition_of,
)
from crossover.cluster.probe import run_probes
from crossover.cluster.profile import Profile
from crossover.cluster.scheduler import (
    check_commands,
    check_configuration,
    check_ends,
    check_nodes,
    check_status_command,
)
from crossover.slurm import Scheduler, ask, ask_scheduler

Section = tuple[str, list[Finding]]
Request = tuple[str, str | None]


def check_everything(study: str | None, jobs: bool, wait: float) -> Iterator[Section]:
    """Check the installation, the scheduler and a node of each partition; give each section when it is known.

    Args:
        study: name or path of the study that is to run, or None for the one in config/config.yaml.
        jobs: whether probe jobs may be submitted.
        wait: seconds that a probe job may wait in the queue.
    """
    findings, profile = check_installation()
    yield "This machine", findings
    missing = check_commands()
    if missing or profile is None:
        yield "Scheduler", [missing or Finding("skip", "scheduler", "what failed comes first")]
        return
    findings, requests = _check_scheduler(ask_scheduler(), profile, study)
    yield "Scheduler", findings
    if not jobs or not requests:
        yield "Jobs", [Finding("skip", "probe jobs", "what failed comes first" if jobs else "--no-jobs")]
        return
    for title, findings in run_probes(profile, requests, wait):
        yield f"A job in partition {title}", findings


def _check_scheduler(scheduler: Scheduler, profile: Profile, study: str | None) -> tuple[list[Finding], list[Request]]:
    """Return what the scheduler says, and the jobs that can try it."""
    answers = check_nodes(scheduler)
    if answers.grade == "FAIL":
        return [answers], []
    sacct_answers = scheduler.has_accounting and ask("sacct", "--allocations", "--noheader").status == 0
    needs = needs_of_study(study)
    asked = isinstance(needs, Needs) and needs.gpu > 0
    whose, account = check_account(scheduler, profile)
    where, partition = check_partition(scheduler, profile, account)
    gpu_findings, gpu = check_gpus(scheduler, profile, account, asked)
    configuration = check_configuration()
    findings = [
        answers,
        *([configuration] if configuration else []),
        check_status_command(scheduler, profile, sacct_answers),
        whose,
        where,
        *gpu_findings,
    ]
    runs_in = scheduler.partitions.get(partition_of(scheduler, profile, RUN) or "")
    if isinstance(needs, Finding):
        findings.append(needs)
    elif runs_in:
        findings.append(check_study(needs, runs_in, profile.retries))
    used = {used.name: used for used in (partition, runs_in) if used}
    findings += check_ends(scheduler, profile, used.values())
    requests: list[Request] = [(partition.name, None)] if partition else []
    if gpu:
        requests.append((gpu[0].name, gpu[1]))
    return findings, requests
