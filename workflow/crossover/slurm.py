"""Ask the commands of a SLURM scheduler, and read their answers."""

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

# The characters that sinfo appends to a node's state (sinfo(1), NODE STATE CODES); "*": it does not answer.
STATE_SUFFIXES = "*~#!%$@^-+"
ACCOUNTING = "accounting_storage/slurmdbd"
USABLE = {"idle", "mixed", "allocated", "completing", "planned"}
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
}


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Its complaint, or its answer, on one line and without ornament."""
        return " ".join((self.err.strip() or self.out.strip()).replace("*", " ").split())


def ask(*command: str, seconds: float = 30) -> Answer:
    """Run one command without a shell; a command that is missing or silent gives an answer that says so.

    Args:
        command: the command and its arguments.
        seconds: how long to wait for the answer.
    """
    # Inside a job, its variables would be taken as options of new ones; Snakemake's plugin removes them as well.
    inside = "SLURM_JOB_ID" in os.environ
    environment = {key: value for key, value in os.environ.items() if not (inside and key.startswith("SLURM_"))}
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment | {"SLURM_TIME_FORMAT": "standard"},  # a person's own format would be one more to read
        )
    except OSError as error:
        return Answer(127, "", f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"{command[0]} gave no answer within {seconds:g} s")
    return Answer(run.returncode, run.stdout, run.stderr)


@dataclass(frozen=True)
class Node:
    """A node as sinfo shows it in one partition."""

    name: str
    state: str
    gres: str
    memory_mb: int
    cpus: int

    @property
    def usable(self) -> bool:
        """Whether it runs jobs, now or when its present ones end; a powered-down node is started when needed."""
        return "*" not in self.state and self.state.rstrip(STATE_SUFFIXES) in USABLE

    @property
    def gpus(self) -> int:
        """GPUs in its generic resources: `gpu:2`, `gpu:a100:4(S:0-1)`."""
        return sum(int(count) for count in re.findall(r"(?:^|,)gpu:(?:[^:,(]+:)?(\d+)", self.gres))


@dataclass(frozen=True)
class Partition:
    """A partition: its settings as scontrol shows them, and its nodes."""

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether jobs that name no partition go here."""
        return self.settings.get("Default") == "YES"

    @property
    def is_up(self) -> bool:
        """Whether it takes jobs and starts them."""
        return self.settings.get("State", "UP") == "UP"

    @property
    def longest_minutes(self) -> float:
        """The longest time limit of a job."""
        return minutes(self.settings.get("MaxTime", "UNLIMITED"))

    @property
    def most_memory_mb(self) -> float:
        """The most memory that a job can have on one node."""
        limit = self.settings.get("MaxMemPerNode", "UNLIMITED")
        largest = max((node.memory_mb for node in self.nodes), default=0)
        return min(int(limit), largest) if limit.isdigit() else largest

    @property
    def gpus(self) -> int:
        """GPUs of all its nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def gpu_kinds(self) -> list[str]:
        """The generic resources of its nodes with GPUs, each once."""
        return sorted({node.gres for node in self.nodes if node.gpus})

    def allows(self, account: str) -> bool:
        """Return whether jobs of an account may run here."""
        allowed, denied = (self.settings.get(key, "") for key in ("AllowAccounts", "DenyAccounts"))
        if allowed not in {"", "ALL"}:
            return account in allowed.split(",")
        return account not in denied.split(",")


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it."""

    state: str
    reason: str
    queued_seconds: float | None
    """Between submission and start, by the scheduler's clock; None before the start."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun yet."""
        return self.state in {"PENDING", "CONFIGURING"}

    @property
    def has_ended(self) -> bool:
        """Whether it will not go on."""
        return self.state in ENDED


def has_accounting(settings: Mapping[str, str]) -> bool:
    """Return whether a database keeps ended jobs, by the settings of the controller."""
    return settings.get("AccountingStorageType") == ACCOUNTING


@dataclass(frozen=True)
class Scheduler:
    """Everything that was asked once."""

    version: str
    ping: Answer
    settings: dict[str, str]
    partitions: dict[str, Partition]

    @cached_property
    def default_partition(self) -> str | None:
        """The partition of jobs that name none."""
        return next((name for name, partition in self.partitions.items() if partition.is_default), None)

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """All nodes by name."""
        return {node.name: node for partition in self.partitions.values() for node in partition.nodes}

    @property
    def has_accounting(self) -> bool:
        """Whether a database keeps finished jobs, which sacct and sacctmgr need."""
        return has_accounting(self.settings)

    def seconds(self, key: str) -> int | None:
        """Return a setting in seconds, such as `MinJobAge = 300 sec`, or None if it is not one."""
        found = re.match(r"(\d+)\b", self.settings.get(key, ""))
        return int(found[1]) if found else None


def ask_scheduler() -> Scheduler:
    """Ask sinfo and scontrol for all that the checks need; nothing more once the controller does not answer."""
    ping = ask("scontrol", "ping")
    if " UP" not in ping.out:
        return Scheduler("", ping, {}, {})
    version = ask("sinfo", "--version").out.strip().rpartition(" ")[2]
    nodes = read_nodes(ask("sinfo", "--noheader", "--Node", "--format=%P|%N|%T|%G|%m|%c").out)
    settings = read_settings(ask("scontrol", "show", "config").out)
    return Scheduler(
        version, ping, settings, read_partitions(ask("scontrol", "--oneliner", "show", "partition").out, nodes)
    )


def ask_job(job_id: str) -> Job | None:
    """Return a job's state, or None while the scheduler does not answer; a job that it has forgotten is complete."""
    answer = ask("squeue", "--noheader", "--states=all", f"--jobs={job_id}", "--format=%T|%r|%V|%S")
    if "Invalid job id" in answer.err:
        return Job("COMPLETED", "", None)
    return read_job(answer.out) if answer.status == 0 and answer.out.strip() else None


def read_job(text: str) -> Job:
    """Return the job in the output of `squeue --format=%T|%r|%V|%S`: state, reason, submission, start."""
    state, reason, submitted, started = text.splitlines()[0].split("|")
    if state == "PENDING" or started in {"N/A", "Unknown"}:  # of a waiting job %S is a guess
        return Job(state, reason, None)
    queued = datetime.fromisoformat(started) - datetime.fromisoformat(submitted)
    return Job(state, reason, queued.total_seconds())


def read_settings(text: str) -> dict[str, str]:
    """Return the settings in the output of `scontrol show config`."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_nodes(text: str) -> dict[str, list[Node]]:
    """Return the nodes of each partition in the output of `sinfo --Node --format=%P|%N|%T|%G|%m|%c`."""
    nodes = defaultdict(list)
    for line in text.splitlines():
        partition, name, state, gres, memory, cpus = line.split("|")
        node = Node(name, state, "" if gres == "(null)" else gres, int(memory), int(cpus))
        nodes[partition.rstrip("*")].append(node)
    return nodes


def read_partitions(text: str, nodes: dict[str, list[Node]]) -> dict[str, Partition]:
    """Return the partitions in the output of `scontrol --oneliner show partition`, each with its nodes."""
    partitions = {}
    for line in text.splitlines():
        settings = dict(re.findall(r"(\w+)=(\S*)", line))
        if name := settings.get("PartitionName"):
            partitions[name] = Partition(name, settings, tuple(nodes.get(name, ())))
    return partitions


def minutes(text: str) -> float:
    """Return a time limit (`UNLIMITED`, `2-00:00:00`, `01:30:00`, `30:00`) in minutes."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not found:
        return float("inf")
    days, hours, whole, seconds = (int(part or 0) for part in found.groups())
    return days * 1440 + hours * 60 + whole + seconds / 60
