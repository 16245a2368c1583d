"""The selection of a rate from a range that may widen, and the training of a run from within another job."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_runs import environment, results, start

from crossover.errors import UserError
from crossover.files import read_json, write_json
from crossover.runs.events import read_events, watched
from crossover.runs.files import RESULTS, write_provenance
from crossover.runs.lock import exclusive, is_held
from crossover.runs.status import Overview, describe
from crossover.runtime.nested import train_run
from crossover.specs.descriptions import Provenance
from crossover.specs.runs import RunSpec, SeededRun
from crossover.specs.studies import Candidate, Cell
from crossover.training.rates import select_rate
from workflow_copy import wait_for

METRICS = {
    **{"run": "a", "seed": 9, "task": "t", "checkpoint": "c", "condition": "d", "learning_rate": 0.1},
    **{"metric": "accuracy", "floor": 0.1, "steps": 10, "best_step": 10, "stopped_early": False, "test": None},
    "parameters": {"trained": 1, "used": 1, "total": 2},
    "train_items": 9,
}
READ = {"checkpoint": "weights"}
SEEDS = (8, 9)


def of_rate(*rates: float) -> list[dict[str, object]]:
    """The runs that try these rates, as a spec names them."""
    return [{"run": f"at-{rate:g}", "seed": seed} for rate in rates for seed in SEEDS]


@dataclass
class Sweep:
    """A range from 1e-4 to 1e-3 that may grow by two decades below and by three above, and what each rate would reach.

    Attributes:
        scores: of each rate, with both seeds or with each.
        spec: of a run whose rate is selected.
        trained: the runs of further decades that were asked for, in this order.
        read: what all runs read.
    """

    scores: dict[float, float | tuple[float, float]]
    spec: RunSpec
    trained: list[SeededRun] = field(default_factory=list)
    read: dict[str, str] = field(default_factory=lambda: READ)

    def write(self, run: SeededRun) -> None:
        """Leave what a run leaves that has ended."""
        rate = float(run.run.removeprefix("at-"))
        given = self.scores.get(rate, 0.0)
        score = given[SEEDS.index(run.seed)] if isinstance(given, tuple) else given
        validation = {"score": score, "loss": 1.0}
        about = {"run": run.run, "seed": run.seed, "learning_rate": rate, "validation": validation}
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / "metrics.json", METRICS | about)
        for table in RESULTS[1:]:
            (run.folder / table).write_bytes(b"")
        write_provenance(run.folder, provenance(self.read))

    def train(self, run: SeededRun) -> None:
        self.trained.append(run)
        self.write(run)

    def select(self) -> tuple[float, list[float], list[float]]:
        """Selected rate, rates that were trained for it, and rates among the candidates, each with both seeds."""
        for run in self.spec.learning_rate.selected_from:
            self.write(run)
        self.trained.clear()
        select_rate(self.spec, Path("rate.json"), self.train)
        found = read_json(Path("rate.json"))
        pairs = [(one["learning_rate"], one["seed"]) for one in found["candidates"]]
        tried = [rate for rate, seed in pairs if seed == SEEDS[0]]
        assert pairs == [(rate, seed) for rate in tried for seed in SEEDS]
        asked = [float(run.run.removeprefix("at-")) for run in self.trained]
        return found["learning_rate"], asked[:: len(SEEDS)], tried


def provenance(read: dict[str, str]) -> Provenance:
    words = dict.fromkeys(["host", "platform", "cpu", "device", "python", "started", "ended", "command"], "x")
    numbers = {"threads": 1, "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 1, "resumed": 0}
    return Provenance(**words, **numbers, versions={}, code={}, slurm_job_id=None, digests=read)


@pytest.fixture
def sweep(tiny, tmp_path, monkeypatch):
    """Makes a sweep from scores."""
    monkeypatch.chdir(tmp_path)
    lower = [of_rate(1e-5), of_rate(1e-6)]
    higher = [of_rate(1e-2), of_rate(1e-1), of_rate(1.0)]
    rates = {"selected_from": of_rate(1e-4, 1e-3), "lower": lower, "higher": higher}
    spec = tiny.spec(learning_rate=rates)
    return lambda scores: Sweep(scores, spec)


@pytest.mark.parametrize(
    ("scores", "selected", "trained"),
    [
        ({1e-5: 0.5, 1e-4: 0.6, 1e-3: 0.2}, 1e-4, [1e-5]),
        ({1e-4: 0.6, 1e-3: 0.7, 1e-2: 0.5}, 1e-3, [1e-2]),
        ({1e-6: 0.1, 1e-5: 0.8, 1e-4: 0.6}, 1e-5, [1e-5, 1e-6]),
        ({1e-6: 0.9, 1e-5: 0.8, 1e-4: 0.6}, 1e-6, [1e-5, 1e-6]),  # the limit
        ({1e-3: 0.6, 1e-2: 0.7, 1e-1: 0.8, 1.0: 0.9}, 1.0, [1e-2, 1e-1, 1.0]),
        ({1e-3: 0.6, 1e-2: 0.7, 1e-1: 0.8, 1.0: 0.1}, 1e-1, [1e-2, 1e-1, 1.0]),
        ({1e-4: (0.9, 0.1), 1e-3: (0.6, 0.5), 1e-2: (0.6, 0.4)}, 1e-3, [1e-2]),  # the mean over the seeds
        ({}, 1e-6, [1e-5, 1e-6]),  # nothing was learned at any rate
    ],
)
def test_a_range_widens_by_a_decade_while_its_best_rate_is_at_an_edge(sweep, scores, selected, trained):
    ours = sweep(scores)
    tried = sorted([1e-4, 1e-3, *trained])
    assert ours.select() == (selected, trained, tried)
    assert ours.select() == (selected, [], tried), "what is there is not trained again"


def test_a_range_whose_best_rate_is_inside_trains_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rates = {"selected_from": of_rate(1e-4, 1e-3, 1e-2), "lower": [of_rate(1e-5)], "higher": [of_rate(1e-1)]}
    ours = Sweep({1e-3: 0.5}, tiny.spec(learning_rate=rates))
    assert ours.select() == (1e-3, [], [1e-4, 1e-3, 1e-2])


def test_half_a_decade_is_completed(sweep):
    ours = sweep({1e-4: 0.5})
    first, second = (SeededRun(**one) for one in of_rate(1e-5))
    ours.write(first)
    assert ours.select()[0] == 1e-4
    assert ours.trained == [second]


def test_results_of_other_weights_are_not_used(sweep):
    """A checkpoint that was made again on a machine that rounds otherwise: its runs are trained again, those of further rates too."""
    ours = sweep({1e-4: 0.5})
    ours.select()
    ours.read = {"checkpoint": "other weights"}
    assert ours.select() == (1e-4, [1e-5], [1e-5, 1e-4, 1e-3])


def test_a_changed_result_of_a_further_rate_is_named_and_not_overwritten(sweep):
    ours = sweep({1e-4: 0.5})
    ours.select()
    path = SeededRun(**of_rate(1e-5)[0]).folder / "curve.parquet"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"curve\.parquet"):
        ours.select()
    assert path.read_bytes() == b"x"


def test_a_range_that_has_to_widen_is_refused_where_nothing_is_trained(sweep):
    ours = sweep({1e-4: 0.5})
    ours.select()
    select_rate(ours.spec, Path("again.json"))
    (SeededRun(**of_rate(1e-5)[0]).folder / "metrics.json").unlink()
    with pytest.raises(UserError, match="call crossover widen-range"):
        select_rate(ours.spec, Path("again.json"))


# --- in a process of its own ------------------------------------------------------------------------------


@pytest.fixture
def further(tiny, monkeypatch):
    """A run that widens a range, and the file of its spec; the working directory has its tokens and checkpoint."""
    monkeypatch.chdir(tiny.root)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    monkeypatch.delenv("CROSSOVER_FORKSERVER", raising=False)

    def make(**changes: object) -> tuple[SeededRun, Path]:
        spec = tiny.spec(score_test=False, **changes)
        return SeededRun(run=spec.name, seed=9), tiny.write(spec, tiny.root / f"{spec.name}.json")

    return make


OPTIONS = {"gpus": 0, "threads": 1, "save-every": 60.0}


def test_a_further_run_is_that_of_the_stage(further):
    run, spec = further(training={"length": "2 steps", "evaluate_every": "1 step"})
    train_run(run, spec, OPTIONS)
    assert [event.event for event in read_events(run.folder)] == ["started", "finished"]
    assert not (run.folder / "finished").exists()
    log = Path(f"logs/finetune_run/{run.run}/seed-9.log").read_text()
    assert f"crossover finetune-run --spec {spec} --seed 9 --output {run.folder} --gpus 0" in log
    by_hand = start(
        "finetune-run", "--spec", spec, "--seed", "9", "--output", "by-hand", "--gpus", "0", env=environment()
    )
    assert by_hand.wait(120) == 0
    assert results(run.folder) == results(Path("by-hand"))


def test_a_further_run_that_fails_is_named_with_its_log(further, capfd):
    run, spec = further(tokens="nowhere")
    with pytest.raises(UserError) as caught:
        train_run(run, spec, OPTIONS)
    log = f"logs/finetune_run/{run.run}/seed-9.log"
    assert str(caught.value) == f"run {run.run} with seed 9 ended with status 1: see {log}."
    assert "results/tokens/nowhere" in Path(log).read_text()
    assert read_events(run.folder)[-1].event == "failed"


def test_sigterm_is_passed_on_and_the_run_saves_its_state(further):
    run, spec = further(training={"length": "100000 steps", "evaluate_every": "50000 steps"})
    program = (
        "import sys\nfrom pathlib import Path\nfrom crossover.runtime.nested import train_run\n"
        "from crossover.specs.runs import SeededRun\n"
        "train_run(SeededRun(run=sys.argv[1], seed=9), Path(sys.argv[2]), {'gpus': 0, 'save-every': 0})"
    )
    command = [sys.executable, "-c", program, run.run, str(spec)]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (run.folder / "state" / "latest.pt").exists(), seconds=120)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "seed 9 ended with status 143" in said
    assert read_events(run.folder)[-1].event == "stopped"
    assert not is_held(run.folder / ".lock")


# --- what status says -------------------------------------------------------------------------------------


def test_runs_that_widen_a_range_are_shown_and_not_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, further = "bits.tiny.random-all-01234567", SeededRun(run="bits.tiny.random-all-89abcdef", seed=9)
    cell = Cell(
        task="bits",
        checkpoint="tiny",
        condition="random-all",
        run=run,
        seeds=(0,),
        rate=f"results/widened/{run}.json",
        sweep=(),
        further=(Candidate(**dict(further), learning_rate=0.1),),
    )
    study = SimpleNamespace(study="s", runs=[(run, 0)], cells=(cell,))
    assert describe(Overview(study).look()) == "Study s: 0 of 1 runs done, 0 running."
    with pytest.raises(MemoryError), watched(further.folder):
        raise MemoryError
    said = describe(Overview(study).look())
    assert said.startswith("Study s: 0 of 1 runs done, 0 running.\n  1 failed: out of memory")
    assert f"{further.run} seed 9" in said
    monkeypatch.setattr("crossover.runs.status.runs_command", lambda *_: True)  # this process is called pytest
    with exclusive(further.folder / ".lock", "it"):
        [shown] = Overview(study).look().widening("running")
        assert (shown.run, shown.seed) == (further.run, 9)
    Path(cell.rate).parent.mkdir(parents=True)
    Path(cell.rate).write_text("{}")
    assert "failed" not in describe(Overview(study).look()), "the rate is selected, and whatever was tried is over"
