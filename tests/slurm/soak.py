"""A long test by hand: hundreds of short runs on a real SLURM cluster, with mishaps at random moments.

    python tests/slurm/soak.py [--runs 200] [--batch 5] [--seed 0] [--folder DIR]

Prints what happened and figures, and fails when something was lost, differs from an undisturbed local computation,
or was computed twice. It is no part of `make test`: it takes tens of minutes.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "workflow")]

from cluster import Cluster, ClusterError  # noqa: E402
from configuration import PARTITIONS, QUICK  # noqa: E402

from crossover.runs.events import read_events  # noqa: E402
from crossover.runs.lock import read_owner  # noqa: E402
from workflow_copy import WorkflowCopy, fresh_copy, results  # noqa: E402

PAUSE = (8.0, 30.0)  # seconds between two mishaps
LIMIT = 5400  # seconds for the disturbed study


@dataclass
class Soak:
    """One disturbed computation.

    Attributes:
        copy: the workflow on the cluster.
        cluster: the cluster.
        batch: runs in a SLURM job.
        chance: where all random choices come from.
        happened: how often each mishap happened.
    """

    copy: WorkflowCopy
    cluster: Cluster
    batch: int
    chance: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    snakemake: subprocess.Popen | None = None
    starts: int = 0

    # --- the workflow -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Type the command, after `--unlock` as a user does when a Snakemake was killed."""
        self.copy.run("--unlock")
        batches = (
            ["--groups", "finetune_run=runs", "--group-components", f"runs={self.batch}"] if self.batch > 1 else []
        )
        arguments = ["--profile", "slurm", *batches, "--retries", "8", "--config", "study=tiny.yaml"]
        with (self.copy.root / "terminal.log").open("a") as terminal:
            self.snakemake = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=self.copy.root,
                env=os.environ | self.copy.environment,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )
        self.starts += 1

    def run(self) -> None:
        """Disturb the study until it is done."""
        end = time.monotonic() + LIMIT
        self.start()
        while True:
            assert self.snakemake and time.monotonic() < end, "the study does not end"
            try:
                status = self.snakemake.wait(self.chance.uniform(*PAUSE))
            except subprocess.TimeoutExpired:
                self.disturb()
                continue
            if status == 0:
                return
            self.start()

    # --- mishaps ----------------------------------------------------------------------------------------

    def disturb(self) -> None:
        """One mishap; those that hit everything are rarer."""
        mishaps: dict[Callable[[], bool], int] = {
            self.kill_training: 6,
            self.cancel_job: 4,
            self.requeue_job: 3,
            self.kill_node: 1,
            self.restart_controller: 1,
            self.stop_snakemake: 1,
            self.kill_snakemake: 1,
        }
        with suppress(
            ClusterError
        ):  # SLURM drains a node on which it finds a job that it had given up; as an administrator does
            self.cluster.run("scontrol", "update", "nodename=g1", "state=resume")
        mishap = self.chance.choices(list(mishaps), list(mishaps.values()))[0]
        with suppress(ClusterError):  # what it aimed at has just ended
            if mishap():
                self.happened[mishap.__name__] += 1

    def _running(self) -> list[int]:
        return [job.id for job in self.cluster.jobs() if job.state == "RUNNING"]

    def kill_training(self) -> bool:
        """Kill -9 of a process that trains."""
        locks = self.copy.root.glob("results/runs/*/*/.lock")
        owners = [owner.pid for owner in map(read_owner, locks) if owner]
        if not owners:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.chance.choice(owners), signal.SIGKILL)
        return True

    def cancel_job(self) -> bool:
        """Scancel of a running job."""
        if not (running := self._running()):
            return False
        self.cluster.run("scancel", str(self.chance.choice(running)))
        return True

    def requeue_job(self) -> bool:
        """Requeue of a running job, as a preemption does."""
        if not (running := self._running()):
            return False
        self.cluster.run("scontrol", "requeue", str(self.chance.choice(running)))
        return True

    def kill_node(self) -> bool:
        """A node that fails, with its processes or only from SLURM's sight, and comes back."""
        self.cluster.kill_node("g1", with_jobs=self.chance.random() < 0.5)
        time.sleep(self.chance.uniform(1, 4))
        self.cluster.revive_node("g1")
        return True

    def restart_controller(self) -> bool:
        """A controller that is away for a while."""
        self.cluster.stop_controller()
        time.sleep(self.chance.uniform(1, 8))
        self.cluster.start_controller()
        return True

    def stop_snakemake(self) -> bool:
        """Ctrl-C."""
        assert self.snakemake
        with suppress(ProcessLookupError):
            os.killpg(self.snakemake.pid, signal.SIGINT)
        return True

    def kill_snakemake(self) -> bool:
        """Kill -9 of Snakemake; its jobs live on."""
        assert self.snakemake
        self.snakemake.kill()
        return True


# --- what must hold -----------------------------------------------------------------------------------------


def check(soak: Soak, undisturbed: WorkflowCopy) -> Counter[str]:
    """Compare with the undisturbed study, and look for runs that were computed twice; return the events, counted."""
    assert results(soak.copy) == results(undisturbed), "the results differ"
    counts: Counter[str] = Counter()
    for folder in soak.copy.root.glob("results/runs/*/seed-*"):
        history = read_events(folder)
        counts.update(entry.event for entry in history)
        finished = [entry for entry in history if entry.event == "finished"]
        assert len(finished) == 1, f"{folder} was computed {len(finished)} times"
        trainings = [entry.pid for entry in history if entry.event in {"started", "resumed", "saved", "finished"}]
        order = [pid for pid, before in zip(trainings, [None, *trainings], strict=False) if pid != before]
        assert len(order) == len(set(order)), f"{folder} was trained by two processes at a time"
    return counts


def prepare(folder: Path, runs: int) -> WorkflowCopy:
    """The workflow with a study of that many runs, computed locally up to its tokens and checkpoint."""
    copy = fresh_copy(folder)
    copy.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xor]")
    copy.edit("tiny.yaml", "[pretrained-frozen, random-all]", "[random-all]")
    copy.edit("tiny.yaml", "[1e-3, 1e-2]", "[3e-5]")
    copy.edit("tiny.yaml", "seeds: [0, 1]", f"seeds: {list(range(runs))}")
    copy.edit("tiny.yaml", "length: 4 steps", "length: 300 steps")
    copy.edit("tiny.yaml", "evaluate_every: 2 steps", "evaluate_every: 50 steps\n  patience: 100")
    copy.finish("--cores", "2", "--until", "tokenize_task", "pretrain_checkpoint")
    return copy


def main() -> None:
    """Run the undisturbed and the disturbed study, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--batch", type=int, default=5, help="runs in a SLURM job")
    parser.add_argument("--seed", type=int, default=0, help="of the mishaps")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new temporary folder)")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it would be ignored
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    undisturbed = prepare(folder / "undisturbed", given.runs)
    disturbed = undisturbed.copy(folder / "disturbed")
    undisturbed.finish("--cores", "2")
    start = time.monotonic()
    with Cluster.start(folder / "cluster", requeue_wait=5) as cluster:
        copy = replace(disturbed, environment=cluster.environment | PARTITIONS | QUICK)
        soak = Soak(copy, cluster, given.batch, random.Random(given.seed))
        try:
            soak.run()
        finally:
            if soak.snakemake and soak.snakemake.poll() is None:
                soak.snakemake.kill()
        jobs = len(cluster.jobs())
    events = check(soak, undisturbed)
    print(f"{given.runs} runs in {jobs} SLURM jobs and {(time.monotonic() - start) / 60:.0f} minutes")
    print(f"mishaps: {sum(soak.happened.values())}: {dict(soak.happened)}; snakemake was started {soak.starts} times")
    print(f"events of the runs: {dict(events)}")
    print("the results are those of the undisturbed study, byte for byte; no run was finished twice")


if __name__ == "__main__":
    main()
