"""What the programs of a throw-away SLURM cluster read: their configuration, and wrappers of the commands."""

import os
import random
import shlex
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from string import Template

SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"  # the daemons are in sbin, which users lack
COMMANDS = (
    "srun",
    "sbatch",
    "salloc",
    "squeue",
    "scancel",
    "scontrol",
    "sinfo",
    "sacct",
    "sacctmgr",
    "sshare",
    "sstat",
)
# A GPU needs a character device of its own; any will do while nothing confines devices.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

# The environment of a user of the cluster: the site's partitions, and quick questions to save time.
QUICK = {"PYTHONPATH": str(Path(__file__).parent / "quick"), "SNAKEMAKE_POLL": "1"}
PARTITIONS = {"CROSSOVER_PARTITION": "cpu", "CROSSOVER_GPU_PARTITION": "gpu"}


@dataclass(frozen=True)
class Settings:
    """What a cluster is like.

    Attributes:
        accounting: with MariaDB and slurmdbd, for `sacct`; else there is `squeue` alone.
        memory_limits: kill the steps that use more memory than their job asked for.
        cpu_nodes: how many nodes (n1, n2, ...) the partition `cpu` has; each claims 8 CPUs and 16000 MB.
        gpus: how many GPUs, 1 to 5, node g1 claims to have, the partition `gpu`.
        proctrack: how SLURM follows processes. `pgid`: every process of a step gets every signal. `cgroup`: as on real
            clusters, only the step's own task does; needs a writable /sys/fs/cgroup and leaves empty folders there.
            `linuxproc`: processes whose parent has died escape.
        kill_wait: seconds between SIGTERM and SIGKILL.
        requeue_wait: seconds, at least 5, that a requeued job waits before it may start again.
        grace_time: seconds that a job goes on after it was preempted.
        min_job_age: seconds that `squeue` remembers a job that has ended.
    """

    accounting: bool = False
    memory_limits: bool = False
    cpu_nodes: int = 2
    gpus: int = 2
    proctrack: str = "pgid"
    kill_wait: int = 5
    requeue_wait: int = 10
    grace_time: int = 0
    min_job_age: int = 3600

    def __post_init__(self) -> None:
        if not 1 <= self.gpus <= len(DEVICES) or self.cpu_nodes < 1 or self.requeue_wait < 5:
            raise ValueError(f"outside of what SLURM or this cluster can do: {self}")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return (*(f"n{number + 1}" for number in range(self.cpu_nodes)), "g1")


SLURM = Template("""\
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$controller_port
SlurmUser=$user
SlurmdUser=$user
# Only this machine can reach the daemons.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny

AuthType=auth/munge
# A requeued job waits until its old credential has expired, 120 s by default.
AuthInfo=socket=$base/run/munge.socket,cred_expire=$requeue_wait

StateSaveLocation=$base/state
SlurmdSpoolDir=$base/spool/%n
SlurmctldPidFile=$base/run/slurmctld.pid
SlurmdPidFile=$base/run/slurmd-%n.pid
SlurmctldLogFile=$base/log/slurmctld.log
SlurmdLogFile=$base/log/slurmd-%n.log
MailProg=/bin/true

ProctrackType=proctrack/$proctrack
TaskPlugin=task/none
ReturnToService=2
# A node may claim more CPUs and memory than the machine has.
SlurmdParameters=config_overrides

SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu

# A job in the partition "prio" has the jobs in its way requeued.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE

SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
KillWait=$kill_wait
MinJobAge=$min_job_age
# Clusters side by side share the names of control groups, which end in the job's number.
FirstJobId=$first_job
""")

ACCOUNTING = Template("""
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$accounting_port
AccountingStoragePass=$base/run/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
""")

ACCOUNTING_DAEMON = Template("""\
AuthType=auth/munge
AuthInfo=socket=$base/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$accounting_port
CommunicationParameters=NoInAddrAny
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$database_port
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile=$base/log/slurmdbd.log
PidFile=$base/run/slurmdbd.pid
""")


def write_configuration(base: Path, settings: Settings) -> int:
    """Write all that the cluster's programs read below `base`, a short path of plain characters.

    Returns:
        The port of the database.
    """
    controller_port, accounting_port, database_port, *node_ports = _free_ports(3 + len(settings.nodes))
    values = {
        **vars(settings),
        "base": base,
        "user": getuser(),
        "controller_port": controller_port,
        "accounting_port": accounting_port,
        "database_port": database_port,
        "first_job": random.SystemRandom().randrange(1, 60_000_000),
    }
    for name in ("run", "log", "state", "bin", *(f"spool/{node}" for node in settings.nodes)):
        (base / name).mkdir(parents=True)
    _write_private(base / "run" / "munge.key", os.urandom(128))
    parts = [SLURM.substitute(values), ACCOUNTING.substitute(values) if settings.accounting else ""]
    parts += [_usage(settings), _nodes(settings, node_ports), _partitions(settings)]
    (base / "slurm.conf").write_text("\n".join(filter(None, parts)))
    gpus = [f"NodeName=g1 Name=gpu File={device}\n" for device in DEVICES[: settings.gpus]]
    (base / "gres.conf").write_text("".join(gpus))
    if settings.proctrack == "cgroup":
        old = Path("/sys/fs/cgroup/freezer").is_dir()
        text = "CgroupPlugin=cgroup/v1\n" if old else "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
        (base / "cgroup.conf").write_text(text)
    if settings.accounting:  # slurmdbd refuses a file that others could read
        _write_private(base / "slurmdbd.conf", ACCOUNTING_DAEMON.substitute(values).encode())
    _write_commands(base)
    return database_port


def _usage(settings: Settings) -> str:
    lines = []
    if settings.accounting or settings.memory_limits:
        lines = ["JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=task=1"]
    if settings.memory_limits:
        lines.append("JobAcctGatherParams=OverMemoryKill")
    return "\n".join(lines)


def _nodes(settings: Settings, ports: list[int]) -> str:
    common = "NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN"
    lines = [f"NodeName={node} Port={port} {common}" for node, port in zip(settings.nodes, ports, strict=True)]
    return "\n".join(lines) + f" Gres=gpu:{settings.gpus}"


def _partitions(settings: Settings) -> str:
    common = "MaxTime=INFINITE DefaultTime=60 State=UP"
    grace = f"PriorityTier=1 GraceTime={settings.grace_time}"
    return (
        f"PartitionName=cpu Nodes=n[1-{settings.cpu_nodes}] Default=YES {grace} {common}\n"
        f"PartitionName=gpu Nodes=g1 {grace} {common}\n"
        f"PartitionName=prio Nodes=ALL PriorityTier=10 PreemptMode=OFF {common}\n"
    )


def _write_commands(base: Path) -> None:
    """Write the commands in bin/, and env.sh, which makes them those of a terminal.

    The wrappers are needed because the SLURM plugin of Snakemake takes SLURM_CONF out of the environment of `srun`.
    """
    for command in COMMANDS:
        real = shutil.which(command, path=SYSTEM_PATH) or command
        file = base / "bin" / command
        file.write_text(f'#!/bin/sh\nSLURM_CONF={base}/slurm.conf exec {real} "$@"\n')
        file.chmod(0o755)
    script = f"export SLURM_CONF={base}/slurm.conf\nexport PATH={shlex.quote(f'{base}/bin')}:$PATH\n"
    (base / "env.sh").write_text(script)


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, below those that the system gives to outgoing connections.

    One of the latter could be taken while a daemon that listened there is being started again.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports = list(dict.fromkeys([*ports, port]))
    return ports
