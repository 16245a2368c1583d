"""A real SLURM cluster on this machine, to be thrown away: for tests, and for trying things by hand.

python tests/slurm/cluster.py start /tmp/cluster     starts it, and says what to type next
python tests/slurm/cluster.py stop /tmp/cluster      stops its jobs and daemons; the logs stay

It needs no root and no systemd, writes nothing outside its folder, and cannot be reached from other machines; any number
of clusters run side by side. Nodes n1, n2, ... are the partition `cpu`; node g1 with fake GPUs is `gpu`; `prio` has all
nodes, and its jobs have others requeued.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from getpass import getuser
from pathlib import Path
from typing import Any

from configuration import SYSTEM_PATH, Settings, write_configuration
from processes import Process, descendants, processes, send

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sinfo": "slurm-client", "munged": "munge"}
ACCOUNTING_PACKAGES = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
DAEMONS = {"munged", "mariadbd", "slurmdbd", "slurmctld", "slurmscriptd", "slurmd"}
SHORT = 60  # characters; a socket's path has at most 107, and SLURM puts sockets into the spool folders


class ClusterError(Exception):
    """The cluster does not do what it was asked for; one sentence, perhaps with the ends of its logs."""


@dataclass(frozen=True)
class Job:
    """A job as `squeue` shows it; the comment holds what Snakemake runs in it."""

    id: int
    name: str
    comment: str
    state: str
    node: str
    partition: str
    workdir: str
    restarts: int


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs, or has run.

    Attributes:
        folder: where all its files are.
        base: the same folder by a short path of plain characters, which SLURM and sockets need.
        settings: what it is like.
        database_port: where MariaDB listens when there is accounting.
    """

    folder: Path
    base: Path
    settings: Settings
    database_port: int

    # --- life -----------------------------------------------------------------------------------------

    @classmethod
    def start(cls, folder: Path, **settings: Any) -> "Cluster":
        """Start a cluster.

        Args:
            folder: a new or empty one.
            settings: the attributes of `Settings`, each with a default.

        Raises:
            ClusterError: a program is missing, the folder is in use, or a daemon does not come up.
        """
        chosen = Settings(**settings)
        if packages := missing(chosen.accounting):
            raise ClusterError(install(packages))
        folder = folder.absolute()
        if folder.exists() and any(folder.iterdir()):
            raise ClusterError(f"{folder} is not empty: give the cluster a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        base = _plain(folder)
        cluster = cls(folder, base, chosen, write_configuration(base, chosen))
        record = {"base": str(base), "settings": asdict(chosen), "database_port": cluster.database_port}
        (folder / "cluster.json").write_text(json.dumps(record))
        try:
            cluster._start_all()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def open(cls, folder: Path) -> "Cluster":
        """The cluster that was started in a folder, perhaps by another process.

        Raises:
            ClusterError: none was.
        """
        try:
            record = json.loads((folder / "cluster.json").read_text())
        except FileNotFoundError:
            raise ClusterError(f"{folder} holds no cluster") from None
        return cls(folder.absolute(), Path(record["base"]), Settings(**record["settings"]), record["database_port"])

    def stop(self) -> None:
        """Cancel its jobs and stop its daemons, also after some of them were killed; the files stay.

        Whatever else was started with its environment, such as a Snakemake, is left alone.
        """
        with suppress(ClusterError, subprocess.TimeoutExpired):
            if self._daemons("slurmctld"):
                self.run("scancel", "--user", getuser())
                self._wait("the end of the jobs", self.settings.kill_wait + 10, lambda: not self.run("squeue", "-h"))
        self._halt("slurmd")
        self._halt("slurmctld")
        self._wait("the end of what jobs left", 10, self._none_left)
        for name in ("slurmscriptd", "slurmdbd", "mariadbd", "munged"):
            self._halt(name)
        if self.base != self.folder:
            shutil.rmtree(self.base.parent, ignore_errors=True)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- use ------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use the cluster."""
        return {
            "SLURM_CONF": str(self.base / "slurm.conf"),
            "PATH": os.pathsep.join([str(self.base / "bin"), os.environ["PATH"]]),
        }

    def run(self, *command: str) -> str:
        """Run a command, such as `squeue`, on the cluster.

        Returns:
            Its standard output.

        Raises:
            ClusterError: it failed; with what it said.
        """
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ClusterError(f"{' '.join(command)} failed: {done.stderr.strip()}")
        return done.stdout

    def jobs(self) -> list[Job]:
        """The jobs that wait, run or have ended, in the order in which they were submitted."""
        fields = ("JobID", "Name", "Comment", "State", "NodeList", "Partition", "WorkDir", "RestartCnt")
        widths = ",".join(f"{field}:4096\x1f" for field in fields)
        lines = self.run("squeue", "--noheader", "--states=all", "--sort=i", f"--Format={widths}").splitlines()
        rows = [[value.strip().replace("(null)", "") for value in line.split("\x1f")] for line in lines]
        return [Job(int(row[0]), *row[1:7], int(row[7])) for row in rows]

    # --- mishaps --------------------------------------------------------------------------------------

    def kill_node(self, name: str, with_jobs: bool = False) -> None:
        """Kill a node's slurmd, and tell the controller that the node is down.

        Args:
            name: n1, n2, ... or g1.
            with_jobs: kill the processes of the node's jobs as well, as when the machine dies; otherwise they go on, as
                when only the network is gone.
        """
        send(signal.SIGKILL, self._slurmd(name))
        if with_jobs:
            self._wait(f"the end of the jobs of {name}", 10, lambda: self._none_left(name))
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=killed")

    def revive_node(self, name: str) -> None:
        """Start a node's slurmd, and wait until the node takes jobs again."""
        if not self._slurmd(name):
            self._start("slurmd", "-N", name)

        def resumed() -> bool:
            with suppress(ClusterError):  # it is not down any more
                self.run("scontrol", "update", f"nodename={name}", "state=resume")
            return self._states(name) <= {"idle", "mixed", "allocated"}

        self._wait(f"node {name}", 30, resumed)

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs go on, and it knows them when it starts again."""
        self._halt("slurmctld")

    def start_controller(self) -> None:
        """Start slurmctld with the state that it had, and wait until it has heard of its nodes."""
        self._start("slurmctld")
        self._wait("slurmctld", 30, lambda: self._succeeds("scontrol", "ping"))
        if living := [slurmd.command[-1] for slurmd in self._daemons("slurmd")]:
            self._wait("the nodes", 30, lambda: "unknown" not in self._states(*living))

    def stop_database(self) -> None:
        """Stop slurmdbd; MariaDB goes on."""
        self._halt("slurmdbd")

    def start_database(self) -> None:
        """Start slurmdbd."""
        self._start("slurmdbd")
        self._wait("slurmdbd", 30, lambda: self._succeeds("sacctmgr", "-n", "show", "cluster"))

    # --- daemons --------------------------------------------------------------------------------------

    def _none_left(self, node: str | None = None) -> bool:
        """Kill what jobs left: slurmstepd outlives slurmd, its tasks outlive it, and they start others until they are hit."""
        left = self._of_jobs(node)
        send(signal.SIGKILL, left)
        return not left

    def _start_all(self) -> None:
        run, log = self.base / "run", self.base / "log"
        files = [f"--key-file={run}/munge.key", f"--socket={run}/munge.socket", f"--pid-file={run}/munged.pid"]
        # --force: a folder that others cannot enter, such as one of mktemp, is good enough.
        self._start("munged", "--force", *files, f"--seed-file={run}/munged.seed", f"--log-file={log}/munged.log")
        self._wait("munged", 10, lambda: self._succeeds("munge", "--no-input", "--socket", f"{run}/munge.socket"))
        if self.settings.accounting:
            self._start_mariadb()
            self.start_database()
            for what in (["cluster", "lab"], ["account", "lab"], ["user", getuser(), "account=lab"]):
                self.run("sacctmgr", "--immediate", "--quiet", "add", *what)
        self.start_controller()
        for node in self.settings.nodes:
            self._start("slurmd", "-N", node)
        self._wait("the nodes", 30, lambda: self._states(*self.settings.nodes) == {"idle"})

    def _start_mariadb(self) -> None:
        who = ["--no-defaults", f"--user={getuser()}", f"--datadir={self.base}/db", "--skip-name-resolve"]
        self._start("mariadb-install-db", *who, "--auth-root-authentication-method=normal", "--skip-test-db")
        where = ["--bind-address=127.0.0.1", f"--port={self.database_port}", f"--socket={self.base}/run/db.socket"]
        files = [f"--pid-file={self.base}/run/mariadbd.pid", f"--log-error={self.base}/log/mariadbd.log"]
        small = ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
        self._start("setsid", "--fork", "mariadbd", *who, *where, *files, *small)
        client = ["mariadb", "--no-defaults", f"--socket={self.base}/run/db.socket", "--user=root"]
        self._wait("MariaDB", 30, lambda: self._succeeds(*client, "--execute=select 1"))
        user = "slurm@'127.0.0.1'"
        made = f"create database slurm; create user {user} identified by 'slurm'; grant all on slurm.* to {user}"
        self.run(*client, f"--execute={made}")

    def _start(self, *command: str) -> None:
        """Start a program that goes to the background by itself; it inherits nothing from this process."""
        environment = {"PATH": SYSTEM_PATH, "SLURM_CONF": str(self.base / "slurm.conf")}
        with (self.base / "log" / "start.log").open("ab") as stream:
            started = subprocess.run(
                command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
            )
        if started.returncode:
            raise ClusterError(f"{' '.join(command)} failed:\n{self._logs()}")

    def _halt(self, name: str) -> None:
        """End the daemons of that name: politely, and if that takes too long, at once."""
        send(signal.SIGTERM, self._daemons(name))
        with suppress(ClusterError):
            self._wait(f"the end of {name}", 20, lambda: not self._daemons(name))
        send(signal.SIGKILL, self._daemons(name))

    def _wait(self, what: str, seconds: float, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise ClusterError(f"{what}: waited {seconds:.0f} s in vain; the ends of the logs:\n{self._logs()}")
            time.sleep(0.05)

    def _succeeds(self, *command: str) -> bool:
        try:
            self.run(*command)
        except ClusterError:
            return False
        return True

    def _states(self, *nodes: str) -> set[str]:
        return set(self.run("sinfo", "--noheader", f"--nodes={','.join(nodes)}", "--format=%T").split())

    def _logs(self) -> str:
        logs = sorted((self.base / "log").glob("*.log"))
        ends = {log.name: log.read_text(errors="replace").splitlines()[-10:] for log in logs}
        return "\n".join(f"{name}: {line}" for name, lines in ends.items() for line in lines)

    # --- processes ------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """Its daemons, and the processes of its jobs."""
        return [*self._daemons(*DAEMONS), *self._of_jobs()]

    def _daemons(self, *names: str) -> list[Process]:
        return [process for process in self._own(processes()) if process.name in names]

    def _slurmd(self, node: str) -> list[Process]:
        return [process for process in self._daemons("slurmd") if process.command[1:] == ("-N", node)]

    def _of_jobs(self, node: str | None = None) -> list[Process]:
        """The processes of jobs, those that control others first: of all jobs, or of those on one node."""
        everything = processes()
        steps = [process for process in self._own(everything) if process.name == "slurmstepd"]
        tasks = [process for process in self._own(everything) if "SLURM_JOB_ID" in process.environment]
        if node:
            tasks = [task for task in tasks if task.environment.get("SLURMD_NODENAME") == node]
            steps = [step for step in steps if set(descendants([step], everything)) & set(tasks)]
        return list(dict.fromkeys([*steps, *tasks, *descendants([*steps, *tasks], everything)]))

    def _own(self, candidates: list[Process]) -> list[Process]:
        """Those of this cluster: they, and they alone, were started with its configuration."""
        return [one for one in candidates if one.environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]]


def missing(accounting: bool = False) -> list[str]:
    """The Debian packages that a cluster needs and this machine lacks."""
    wanted = PACKAGES | (ACCOUNTING_PACKAGES if accounting else {})
    return [package for program, package in wanted.items() if not shutil.which(program, path=SYSTEM_PATH)]


def install(packages: list[str]) -> str:
    """A sentence that says how to install them."""
    return f"no SLURM: apt-get install -y --no-install-recommends {' '.join(packages)}"


def _plain(folder: Path) -> Path:
    """A short path of plain characters for a folder: itself, or a link to it."""
    if len(str(folder)) <= SHORT and re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        return folder
    link = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")) / "cluster"
    link.symlink_to(folder)
    return link


# --- by hand ----------------------------------------------------------------------------------------------------------


def main() -> None:
    """The command."""
    arguments = _parser().parse_args()
    try:
        arguments.act(arguments)
    except ClusterError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A real SLURM cluster on this machine, to be thrown away.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, act: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("folder", type=Path, metavar="DIR", help="the cluster's folder")
        command.set_defaults(act=act)
        return command

    start = add("start", _start, "start a cluster in a new folder")
    start.add_argument("--accounting", action="store_true", help="with MariaDB and slurmdbd, for sacct")
    start.add_argument(
        "--memory-limits", action="store_true", help="kill steps that use more memory than they asked for"
    )
    start.add_argument(
        "--proctrack", choices=["pgid", "cgroup", "linuxproc"], default="pgid", help="how SLURM follows processes"
    )
    add("stop", lambda given: Cluster.open(given.folder).stop(), "cancel its jobs and stop it; its files stay")
    kill = add(
        "kill-node", lambda given: Cluster.open(given.folder).kill_node(given.node, given.with_jobs), "kill a node"
    )
    kill.add_argument(
        "--with-jobs", action="store_true", help="and the processes of its jobs, as when the machine dies"
    )
    revive = add("revive-node", lambda given: Cluster.open(given.folder).revive_node(given.node), "start a killed node")
    for command in (kill, revive):
        command.add_argument("node", metavar="NODE", help="n1, n2 or g1")
    add("restart-controller", _restart_controller, "stop slurmctld and start it again; jobs go on")
    return parser


def _start(given: argparse.Namespace) -> None:
    cluster = Cluster.start(
        given.folder,
        accounting=given.accounting,
        memory_limits=given.memory_limits,
        proctrack=given.proctrack,
    )
    print(f"""The cluster runs. To use it from a terminal:

  . {shlex.quote(f"{cluster.base}/env.sh")}
  sinfo
  CROSSOVER_PARTITION=cpu CROSSOVER_GPU_PARTITION=gpu snakemake --profile slurm --config study=demo

To stop it:

  python {shlex.quote(sys.argv[0])} stop {shlex.quote(str(given.folder))}""")


def _restart_controller(given: argparse.Namespace) -> None:
    cluster = Cluster.open(given.folder)
    cluster.stop_controller()
    cluster.start_controller()


if __name__ == "__main__":
    main()
