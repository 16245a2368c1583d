"""Tables of a small study, written by hand: contrasts, convergence, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

from crossover.commands.plan_seeds import seed_plan
from crossover.config.bodies import StatisticsBody, TruncatedBody
from crossover.config.conditions import Condition
from crossover.config.inputs import ShiftInput
from crossover.config.studies import AskedComparison
from crossover.errors import UserError
from crossover.files import write_json, write_parquet
from crossover.report.numbers import SPACE
from crossover.runs.files import BASELINE_RESULTS, WEIGHTS, write_provenance
from crossover.specs.descriptions import (
    BaselineCandidate,
    BaselineMetrics,
    BaselineScore,
    Metrics,
    ParameterCounts,
    Provenance,
    TestResult,
    Trial,
    ValidationResult,
)
from crossover.specs.studies import Cell, StudyBaseline, StudyCheckpoint, StudySpec, StudyTask
from crossover.statistics.aggregate import aggregate_study
from crossover.statistics.contrasts import holm_adjusted
from crossover.statistics.convergence import compare_speed, median_steps, steps_to_threshold, thresholds
from crossover.statistics.pairs import comparable_pairs
from crossover.statistics.partial import computed_part
from crossover.statistics.pooled import pool, pool_differences


def condition(body="pretrained", input="new", trained="all") -> Condition:
    return Condition(title="", body=body, input=input, trained=trained)


CONDITIONS = {
    "pf": condition(trained="frozen"),
    "rf": condition("random", trained="frozen"),
    "pa": condition(),
    "ra": condition("random"),
}
SHARES = {"pf": 0.8, "rf": 0.5, "pa": 0.8, "ra": 0.8}
SEEDS = (0, 1, 2)
ITEMS = 60


def write_run(
    run: str,
    seed: int,
    scores: np.ndarray,
    rate: float = 1e-3,
    groups: int = ITEMS,
    validation: float = 0.7,
    answers: list[str] | None = None,
) -> None:
    folder = Path("results/runs") / run / f"seed-{seed}"
    names = [f"i{i}" for i in range(len(scores))]
    table = pd.DataFrame(
        {
            "item": names,
            "group": [f"g{i % groups}" for i in range(len(names))],
            "score": scores,
        }
    )
    table = table if answers is None else table.assign(prediction=answers)
    write_parquet(folder / "predictions.parquet", table.astype({"item": str, "group": str, "score": float}))
    (folder / WEIGHTS).touch()
    steps = [0, 10, 20]
    curve = {"step": steps, "split": "validation", "loss": 1.0, "score": [0.3, (0.3 + validation) / 2, validation]}
    write_parquet(folder / "curve.parquet", pd.DataFrame(curve))
    metrics = Metrics(
        run=run,
        seed=seed,
        task="t",
        checkpoint="c",
        condition="",
        train_items=40,
        metric="accuracy",
        floor=0.3,
        selected=trial(rate, validation),
        trials=(trial(rate / 10, validation / 2), trial(rate, validation)),
        test=TestResult(score=0.5, metrics={}, loss=1.0, items=len(scores)),
        parameters=ParameterCounts(trained=10, used=9, total=100),
    )
    write_json(folder / "metrics.json", metrics.content())
    write_provenance(folder, provenance(2.0))


def provenance(seconds: float, host: str = "h", resumed: int = 0, job: str | None = None) -> Provenance:
    return Provenance(
        host=host,
        platform="",
        cpu="",
        device="cpu",
        threads=1,
        python="",
        versions={},
        code={},
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:02+00:00",
        seconds=seconds,
        cpu_seconds=seconds,
        peak_memory_mb=100,
        resumed=resumed,
        command="",
        slurm_job_id=job,
        digests={},
    )


def trial(rate: float, score: float) -> Trial:
    validation = ValidationResult(score=score, loss=1.0)
    return Trial(learning_rate=rate, steps=20, best_step=20, stopped_early=False, validation=validation)


def study_of(conditions: dict[str, Condition], cells: tuple[Cell, ...] = ()) -> StudySpec:
    task = StudyTask(
        title="", description="", domain="", simulated=False, licence="", citation="", metric="accuracy",
        subset=None, card="", encodings={}, of="t", train_items=None,
    )  # fmt: skip
    folder = "results/checkpoints/c-00000001"
    checkpoint = StudyCheckpoint(
        title="", description="", licence="", folder=folder, has_weights=True, origin=None, fetched=None, pretraining=f"{folder}/checkpoint.json",
        subset=None,
    )  # fmt: skip
    return StudySpec(
        name="study-s", study="s", title="", question="", description="", confidence=0.95, margin=0.05, threshold=0.9,
        tasks={"t": task}, checkpoints={"c": checkpoint}, conditions=conditions, cells=cells, left_out=(), compare=(), analyses=(), reproduce="",
    )  # fmt: skip


def write_study():
    """The spec of a study of one task, whose files are written into the working directory."""
    cells = []
    for place, (name, share) in enumerate(SHARES.items()):
        for seed in SEEDS:
            rng = np.random.Generator(np.random.PCG64([place, seed]))
            rate = 3e-3 if (name, seed) == ("pf", 2) else 1e-3
            write_run(f"{name}-final", seed, (rng.random(ITEMS) < share) * 1.0, rate, validation=share)
        cells.append(Cell(task="t", checkpoint="c", condition=name, run=f"{name}-final", seeds=SEEDS))
    provenance(9.0).write(Path("results/checkpoints/c-00000001/provenance.json"))
    return study_of(CONDITIONS, tuple(cells))


def aggregate(spec) -> dict[str, pd.DataFrame]:
    folder = Path("results/studies/s")
    aggregate_study(spec, folder)
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The spec of the study; the working directory is its own, and may be changed."""
    monkeypatch.chdir(tmp_path)
    return write_study()


@pytest.fixture(scope="module")
def _aggregated(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return root, aggregate(write_study())


@pytest.fixture
def tables(_aggregated, monkeypatch):
    """The tables of the study; the working directory is one that all such tests share."""
    root, tables = _aggregated
    monkeypatch.chdir(root)
    return tables


def test_tables_hold_every_run_and_every_cell_with_its_interval(tables):
    assert {path.name for path in Path("results/studies/s").glob("*.csv")} == {
        f"{name}.csv"
        for name in (
            "runs",
            "rates",
            "cells",
            "contrasts",
            "pooled",
            "baselines",
            "baseline_contrasts",
            "convergence",
            "speed",
            "costs",
        )
    }
    assert len(tables["runs"]) == 12
    cell = tables["cells"].set_index("condition").loc["pf"]
    files = [pd.read_parquet(f"results/runs/pf-final/seed-{seed}/predictions.parquet") for seed in SEEDS]
    assert cell["score"] == pytest.approx(np.mean([table["score"].mean() for table in files]))
    assert cell["sd_seeds"] == pytest.approx(np.std([table["score"].mean() for table in files], ddof=1))
    assert cell["low"] < cell["score"] < cell["high"]
    assert cell["above_floor"]
    assert (cell["seeds"], cell["items"], cell["groups"], cell["interval_over"]) == (3, ITEMS, ITEMS, "seeds and items")
    assert (cell["learning_rate"], cell["seeds_with_rate"]) == (1e-3, 2)


def test_the_table_of_rates_holds_every_trial(tables):
    rates = tables["rates"].set_index(["condition", "seed", "learning_rate"])
    assert len(rates) == 24
    assert rates.loc[("pf", 2, 3e-3), ["validation_score", "selected"]].tolist() == [SHARES["pf"], True]
    assert rates.loc[("pf", 2, 3e-3 / 10), ["validation_score", "selected"]].tolist() == [SHARES["pf"] / 2, False]


def test_costs_have_a_row_for_every_computation(tables):
    costs = tables["costs"]
    assert costs["role"].value_counts().to_dict() == {"run": 12, "pretraining": 1}
    made = costs[costs["role"] == "pretraining"].iloc[0]
    assert (made["run"], made["checkpoint"], made["seconds"]) == ("c-00000001", "c", 9.0)
    assert pd.isna(made["seed"])
    run = costs[(costs["run"] == "pf-final") & (costs["seed"] == 1)].iloc[0]
    assert (run["seconds"], run["host"], run["path"]) == (2.0, "h", "results/runs/pf-final/seed-1")


def test_only_the_costs_tell_one_computation_from_another(study, _aggregated):
    """Equal results that were computed elsewhere, slower and with interruptions give the same bytes in all other tables."""
    folder = Path("results/studies/s")
    before = {path.name: path.read_bytes() for path in (_aggregated[0] / folder).iterdir()}
    other = provenance(7.0, host="elsewhere", resumed=3, job="42")
    for path in Path("results/runs").glob("*/*"):
        write_provenance(path, other)
    other.write(Path("results/checkpoints/c-00000001/provenance.json"))
    aggregate(study)
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"costs.parquet", "costs.csv"}
    assert set(pd.read_parquet(folder / "costs.parquet")["host"]) == {"elsewhere"}


def test_contrasts_compare_what_differs_in_one_choice_and_correct_each_kind_alone(tables):
    table = tables["contrasts"]
    assert list(zip(table["kind"], table["a"], table["b"], strict=True)) == [
        ("body", "pf", "rf"),
        ("body", "pa", "ra"),
        ("trained", "pf", "pa"),
        ("trained", "rf", "ra"),
    ]
    for _, own in table.groupby("kind"):
        assert own["p_holm"].to_numpy() == pytest.approx(multipletests(own["p"], method="holm")[1])
    frozen = table.iloc[0]
    assert frozen["difference"] == pytest.approx(0.3, abs=0.15)
    assert frozen["low"] > 0


def test_a_study_compares_across_checkpoints_what_it_asks_for(study):
    """Here the second checkpoint has the runs of the first, so that the answer is known; it is corrected by itself."""
    copied = tuple(cell.model_copy(update={"checkpoint": "d"}) for cell in study.cells)
    sides = {"a": {"checkpoint": "c", "condition": "pf"}, "b": {"checkpoint": "d", "condition": "rf"}}
    asked = AskedComparison(question="c or d", **sides)
    checkpoints = dict.fromkeys("cd", study.checkpoints["c"])
    both = study.model_copy(update={"cells": study.cells + copied, "checkpoints": checkpoints, "compare": (asked,)})
    table = aggregate(both)["contrasts"]
    own = table[table["kind"] == "asked"].iloc[0]
    known = table[(table["a"] == "pf") & (table["b"] == "rf") & (table["kind"] == "body")].iloc[0]
    assert (own["checkpoint"], own["other_checkpoint"], own["question"]) == ("c", "d", "c or d")
    assert (known["checkpoint"], known["other_checkpoint"]) == ("c", "c")
    assert own[["difference", "low", "high", "p"]].tolist() == known[["difference", "low", "high", "p"]].tolist()
    assert own["p_holm"] == own["p"]
    assert known["p_holm"] > known["p"]


def test_one_model_under_two_names_is_compared_once_and_not_with_itself(study):
    twin = study.cells[0].model_copy(update={"condition": "twin"})
    conditions = study.conditions | {"twin": study.conditions["pf"]}
    plain = aggregate(study)
    both = aggregate(study.model_copy(update={"cells": (*study.cells, twin), "conditions": conditions}))
    for name in ("contrasts", "speed"):
        pd.testing.assert_frame_equal(both[name], plain[name])
    assert len(both["cells"]) == len(plain["cells"]) + 1
    assert len(both["costs"]) == len(plain["costs"])


def test_a_row_that_is_trained_in_another_way_is_not_compared_by_itself(study):
    """Its cells are compared with each other alone: pf and rf here, pa and ra with the study's training."""
    cells = tuple(
        cell.model_copy(update={"own_training": 1} if cell.condition in ("pf", "rf") else {}) for cell in study.cells
    )
    found = aggregate(study.model_copy(update={"cells": cells}))
    assert list(zip(found["contrasts"]["a"], found["contrasts"]["b"], strict=True)) == [("pf", "rf"), ("pa", "ra")]
    mixed = tuple(cell.model_copy(update={"own_training": 1} if cell.condition == "rf" else {}) for cell in study.cells)
    found = aggregate(study.model_copy(update={"cells": mixed}))
    for name in ("contrasts", "speed"):
        assert ("pf", "rf") not in set(zip(found[name]["a"], found[name]["b"], strict=True))


def test_pairs_leave_out_what_differs_in_two_choices():
    conditions = {
        "a": condition("pretrained", "new", ["head", "norms"]),
        "b": condition("random", "pretrained", ["head", "norms"]),
        "c": condition("random"),
    }
    assert comparable_pairs(conditions) == []


def test_pretrained_is_compared_with_every_other_body_and_input():
    short, short_random = (TruncatedBody(kind="truncated", blocks=2, of=of) for of in ("pretrained", "random"))
    bodies = {"p": "pretrained", "r": "random", "s": StatisticsBody(kind="statistics"), "t": short, "tr": short_random}
    conditions = {name: condition(body, "pretrained") for name, body in bodies.items()}
    inputs = ["new", "re-embedded", ShiftInput(kind="shift", by=1)]
    conditions |= {f"p{n}": condition("pretrained", entry) for n, entry in enumerate(inputs)}
    assert {(pair.question, pair.a, pair.b) for pair in comparable_pairs(conditions)} == {
        ("pretrained or random body", "p", "r"),
        ("pretrained or random body", "t", "tr"),
        ("pretrained or statistics body", "p", "s"),
        ("pretrained or truncated body", "p", "t"),
        ("pretrained or new input", "p", "p0"),
        ("pretrained or re-embedded input", "p", "p1"),
        ("pretrained or shift input", "p", "p2"),
    }


def test_only_comparisons_that_ask_the_same_are_corrected_together():
    table = pd.DataFrame({"question": list("aabba"), "p": [0.01, 0.04, 0.01, np.nan, 0.03]})
    assert holm_adjusted(table).tolist() == pytest.approx([0.03, 0.06, 0.01, np.nan, 0.06], nan_ok=True)


def test_one_seed_gives_intervals_over_items_alone_and_no_verdict(study):
    tables = aggregate(study.of_cells(tuple(cell.model_copy(update={"seeds": (0,)}) for cell in study.cells)))
    assert set(tables["cells"]["interval_over"]) == {"items"}
    assert tables["cells"]["sd_seeds"].isna().all()
    assert set(tables["contrasts"]["seeds"]) == {1}
    assert set(tables["contrasts"]["outcome"]) == {"one seed"}
    assert tables["contrasts"][["p", "p_holm", "detectable", "seeds_needed"]].isna().all().all()


def write_answers(run: str, seed: int, right: float, answers: list[str] | None = None) -> None:
    """Write a run that is right on a share of the items, the same ones as others."""
    write_run(run, seed, (np.arange(ITEMS) < right * ITEMS) * 1.0, answers=answers)


def test_seeds_that_fail_are_counted(study):
    """The floor is 0.3; of 60 items 0.6 is above it, and 0.4 might be chance."""
    for seed, right, answers in ((0, 0.6, ["a", "b"]), (1, 0.4, ["a", "b"]), (2, 0.6, ["a", "a"])):
        write_answers("pf-final", seed, right, answers * (ITEMS // 2))
    cell = aggregate(study)["cells"].set_index("condition").loc["pf"]
    assert (cell["seeds_constant"], cell["seeds_at_floor"], cell["did_train"]) == (1, 1, True)


@pytest.mark.parametrize(("right", "answers"), [(0.35, None), (0.6, ["a"] * ITEMS)])
def test_what_did_not_train_is_not_compared_and_lends_no_variance(study, right, answers):
    before = aggregate(study)
    for seed in SEEDS:
        write_answers("rf-final", seed, right, answers)
    after = aggregate(study)
    cells = after["cells"].set_index("condition")
    assert cells["did_train"].to_dict() == {"pf": True, "rf": False, "pa": True, "ra": True}
    assert cells.loc["rf", ["seeds_constant", "seeds_at_floor"]].sum() == 3
    assert list(zip(after["contrasts"]["a"], after["contrasts"]["b"], strict=True)) == [("pa", "ra"), ("pf", "pa")]
    assert ("pf", "rf") in set(zip(before["speed"]["a"], before["speed"]["b"], strict=True))
    assert ("pf", "rf") not in set(zip(after["speed"]["a"], after["speed"]["b"], strict=True))
    alone = aggregate(study.of_cells(tuple(cell for cell in study.cells if cell.condition != "rf")))
    pd.testing.assert_frame_equal(after["contrasts"], alone["contrasts"])


def test_outcomes_follow_from_the_margin(study):
    """pf is above rf by about 30 points; pa and ra differ by less, which is within 40 points and undecided within one."""
    wide, narrow = (
        aggregate(study.model_copy(update={"margin": margin}))["contrasts"].set_index(["a", "b"])
        for margin in (0.4, 0.01)
    )
    assert [table.loc[("pf", "rf"), "outcome"] for table in (wide, narrow)] == ["higher", "higher"]
    assert [table.loc[("pa", "ra"), "outcome"] for table in (wide, narrow)] == ["equivalent", "undecided"]
    assert wide["seeds_needed"].isna().all()
    assert pd.isna(narrow.loc[("pa", "ra"), "seeds_needed"])  # 60 items never tell one point
    assert narrow.loc[("pa", "ra"), "detectable"] > narrow.loc[("pa", "ra"), "standard_error"] * 2.8


def test_differences_are_pooled_by_a_random_effects_model():
    """The numbers by hand: Paule and Mandel's variance makes Q as large as its degrees of freedom."""
    effects, errors = np.array([0.10, 0.22, 0.05, 0.31]), np.array([0.05, 0.07, 0.045, 0.14])
    found = pool(effects, errors, 0.95)

    def q(tau2: float) -> float:
        weights = 1 / (errors**2 + tau2)
        return weights @ (effects - weights @ effects / weights.sum()) ** 2 - 3

    tau2 = optimize.brentq(q, 0, 1)
    weights = 1 / (errors**2 + tau2)
    mean, error = weights @ effects / weights.sum(), weights.sum() ** -0.5
    half, reach = stats.t.isf(0.025, 3) * error, stats.t.isf(0.025, 2) * np.sqrt(tau2 + error**2)
    assert (found.difference, found.tau) == pytest.approx((mean, np.sqrt(tau2)), rel=1e-5)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-5)
    assert (found.new_task_low, found.new_task_high) == pytest.approx((mean - reach, mean + reach), rel=1e-5)
    assert found.i2 == pytest.approx(1 - 3 / (q(0) + 3))


def test_equal_differences_are_not_pooled_more_narrowly_than_their_errors_allow():
    found = pool(np.full(4, 0.1), np.full(4, 0.06), 0.95)
    assert (found.i2, found.tau) == pytest.approx((0, 0))
    assert found.high - found.difference == pytest.approx(stats.t.isf(0.025, 3) * 0.03)


def test_tasks_are_pooled_by_metric_and_number_of_training_items(study):
    plain, mcc = study.tasks["t"], study.tasks["t"].model_copy(update={"metric": "mcc"})
    small = plain.model_copy(update={"train_items": 50})
    tasks = {"a": plain, "b": plain, "c": plain, "s1": small, "s2": small, "s3": small, "m1": mcc, "m2": mcc}
    spec = study.model_copy(update={"tasks": tasks})
    one = {
        "checkpoint": "c",
        "other_checkpoint": "c",
        "kind": "body",
        "question": "q",
        "a": "pf",
        "b": "rf",
        "held": "",
    }
    table = pd.DataFrame([one | {"task": task, "difference": 0.1, "standard_error": 0.05, "p": 0.04} for task in tasks])
    pooled = pool_differences(spec, table)
    assert pooled["metric"].tolist() == ["accuracy", "accuracy"]
    assert pooled["train_items"].tolist() == [pd.NA, 50]
    assert pooled["tasks"].tolist() == [3, 3]
    untested = table.assign(p=np.where(table["task"] == "a", np.nan, 0.04))
    assert pool_differences(spec, untested)["train_items"].tolist() == [50]
    assert pool_differences(spec, table[:2]).empty


def test_groups_are_what_varies(study):
    for seed in SEEDS:
        write_run("pf-final", seed, np.tile([1.0, 1, 1, 0, 0, 1], 10), groups=6)
    cell = aggregate(study.of_cells(study.cells[:1]))["cells"].iloc[0]
    assert (cell["items"], cell["groups"]) == (60, 6)
    assert cell["high"] - cell["low"] > 0.5


def test_a_missing_run_is_named(study):
    Path("results/runs/rf-final/seed-1/predictions.parquet").unlink()
    with pytest.raises(UserError, match=r"results/runs/rf-final/seed-1/predictions.parquet is missing; run snakemake"):
        aggregate(study)


def test_missing_metrics_are_named(study):
    Path("results/runs/rf-final/seed-1/metrics.json").unlink()
    with pytest.raises(UserError, match=r"rf-final/seed-1/metrics.json is missing"):
        aggregate(study)


def test_a_file_of_another_form_is_named(study):
    folder = Path("results/runs/rf-final/seed-1")
    (folder / "curve.parquet").write_bytes(b"PAR1 cut short")
    write_provenance(folder, provenance(2.0))
    with pytest.raises(
        UserError, match=r"rf-final/seed-1/curve.parquet is not a Parquet file with step, split, loss, score"
    ):
        aggregate(study)


def test_conditions_with_other_items_are_not_compared(study):
    for seed in SEEDS:
        write_run("rf-final", seed, np.ones(ITEMS - 1))
    with pytest.raises(UserError, match="pf-final and rf-final cannot be compared"):
        aggregate(study)


def test_seeds_with_other_items_are_refused(study):
    write_run("rf-final", 2, np.ones(ITEMS - 1))
    with pytest.raises(UserError, match=r"rf-final/seed-2/predictions.parquet does not list the items of seed 0"):
        aggregate(study)


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_scores_that_are_no_numbers_are_refused(study, wrong):
    write_run("rf-final", 1, np.full(ITEMS, wrong))
    with pytest.raises(UserError, match="holds a score that is no number"):
        aggregate(study)


def test_one_group_is_not_enough(study):
    for seed in SEEDS:
        write_run("rf-final", seed, np.ones(ITEMS), groups=1)
    with pytest.raises(UserError, match="rf-final: the test split has 1 independent items"):
        aggregate(study)


def test_a_plan_of_seeds_lists_what_is_undecided(study):
    """Four thousand items tell five points with some seeds; sixty never do. A study that is decided needs none."""
    for name in ("pa", "ra"):
        for seed in SEEDS:
            rng = np.random.Generator(np.random.PCG64([5, seed, ord(name[0])]))
            write_run(f"{name}-final", seed, (rng.random(4000) < 0.6 + 0.03 * seed) * 1.0, groups=4000)
    spec = study.of_cells(study.cells[2:])
    row = aggregate(spec)["contrasts"].iloc[0]
    plan = seed_plan(spec)
    text = plan.text().replace(SPACE, " ")
    assert text.startswith(
        "Study s: 1 of 1 comparison is undecided. With the seeds to decide, a true difference of 5 points "
    )
    assert text.splitlines()[-1].split() == ["t", "c", "pa", "c", "ra", "3", f"{round(100 * row.detectable, 1):g}", "points", str(row.seeds_needed)]  # fmt: skip
    assert 3 < row.seeds_needed < 50
    assert json.loads(json.dumps(plan.facts()))["undecided"][0]["seeds_needed"] == row.seeds_needed
    frozen = study.of_cells(study.cells[:2])
    aggregate(frozen)
    assert seed_plan(frozen).text().replace(SPACE, " ") == "Study s: 0 of 1 comparison are undecided."
    aggregate(frozen.model_copy(update={"cells": tuple(c.model_copy(update={"seeds": (0,)}) for c in frozen.cells)}))
    assert seed_plan(frozen).tested == 0


def test_seeds_cannot_be_planned_before_there_are_tables(study):
    with pytest.raises(UserError, match=r"results/studies/s/contrasts.parquet is missing; run snakemake"):
        seed_plan(study)


# --- convergence ------------------------------------------------------------------------------------------


def runs_table(**columns) -> pd.DataFrame:
    size = len(columns["seed"])
    fixed = {"study": "s", "task": "t", "checkpoint": "c", "body": "b", "input": "new", "trained": "all", "floor": 0.5}
    return pd.DataFrame({**{name: [value] * size for name, value in fixed.items()}, **columns})


def test_the_threshold_is_one_for_all_conditions_and_absent_where_nothing_was_learned():
    runs = runs_table(condition=["x", "x", "y", "y"], seed=[0, 1, 0, 1], validation_score=[0.9, 1.0, 0.6, 0.7])
    cells = runs.drop_duplicates("condition").assign(above_floor=[True, False])
    assert thresholds(runs, cells, 0.9)["t"] == pytest.approx(0.5 + 0.9 * 0.45)
    assert np.isnan(thresholds(runs, cells.assign(above_floor=False), 0.9)["t"])


def test_steps_are_censored_and_early_stoppers_stay_at_risk():
    runs = runs_table(
        condition=["x"] * 3, seed=[0, 1, 2], run=["r"] * 3, steps=[100, 40, 100], stopped_early=[False, True, False]
    )
    curves = pd.DataFrame(
        [("r", 0, 50, 0.7), ("r", 0, 60, 0.95), ("r", 0, 70, 0.9), ("r", 1, 40, 0.6), ("r", 2, 100, 0.8)], columns=["run", "seed", "step", "score"]
    ).assign(split="validation")  # fmt: skip
    table = steps_to_threshold(runs, curves, pd.Series({"t": 0.9}))
    assert table["steps"].tolist()[0] == 60
    assert table["steps"].isna().tolist() == [False, True, True]
    assert table["censored"].tolist() == [False, True, True]
    assert table["followed"].tolist() == [60, 100, 100]
    cell = median_steps(table).iloc[0]
    assert cell["reached"] == 1
    assert np.isnan(cell["median_steps"])
    unknown = steps_to_threshold(runs, curves, pd.Series({"t": np.nan}))
    assert unknown["censored"].isna().all()
    assert pd.isna(median_steps(unknown).iloc[0]["reached"])


def test_the_median_is_kaplan_and_meiers():
    table = pd.DataFrame(
        {"task": "t", "checkpoint": "c", "condition": "x", "threshold": 0.9, "censored": [False, False, False, True, True],
         "followed": [10, 20, 30, 15, 40]}
    )  # fmt: skip
    # By hand: 4/5 after 10; the one at 15 leaves; 4/5 * 2/3 after 20; 4/5 * 2/3 * 1/2 = 0.27 after 30.
    assert median_steps(table).iloc[0]["median_steps"] == 30


def test_runs_that_all_arrive_at_once_have_no_order_to_test(tables):
    speed = tables["speed"]
    assert speed.loc[speed["a"] == "pa", "p"].isna().all()


def test_speed_is_compared_by_a_log_rank_test():
    steps, arrived = [6, 7, 10, 15, 19, 25, 1, 2, 3, 4, 5, 8], [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1]
    lifetimes = pd.DataFrame({0: list("xxxxxxyyyyyy"), 1: steps, 2: arrived})
    table = pd.DataFrame(
        {"task": "t", "checkpoint": "c", "condition": lifetimes[0], "seed": [*range(6), *range(6)], "threshold": 0.9,
         "followed": lifetimes[1], "steps": lifetimes[1].where(lifetimes[2] == 1).astype("Int64"), "censored": lifetimes[2] == 0}
    )  # fmt: skip
    row = compare_speed(study_of({"x": condition(), "y": condition("random")}), table).iloc[0]
    assert (row["earlier"], row["later"], row["tied"]) == (0, 5, 1)
    assert row["chi2"] == pytest.approx(log_rank(lifetimes), rel=1e-9)
    assert row["p_holm"] == row["p"]


def log_rank(table: pd.DataFrame) -> float:
    """The log-rank statistic from observed and expected events, as in a textbook."""
    difference = variance = 0.0
    for time in sorted(table[1][table[2] == 1]):
        risk, event = table[1] >= time, (table[1] == time) & (table[2] == 1)
        n, n_x, d, d_x = risk.sum(), (risk & (table[0] == "x")).sum(), event.sum(), (event & (table[0] == "x")).sum()
        difference += d_x - d * n_x / n
        variance += d * n_x / n * (1 - n_x / n) * (n - d) / (n - 1) if n > 1 else 0
    return difference**2 / variance


# --- baselines --------------------------------------------------------------------------------------------------


def write_baseline(seed: int, scores: np.ndarray, model: str = "ridge regression") -> None:
    """The files of a baseline of the task `t` with one seed; a constant was worse."""
    folder = Path("results/baselines/t-baseline") / f"seed-{seed}"
    names = [f"i{i}" for i in range(len(scores))]
    write_parquet(
        folder / "predictions.parquet",
        pd.DataFrame({"item": names, "group": [f"g{n[1:]}" for n in names], "score": scores}),
    )
    common = {"tokens": "t-tokens", "columns": 3, "train_items": 40}
    constant = BaselineCandidate(**common, model="constant", features=None, strength=None, validation_score=0.3)
    selected = BaselineCandidate(
        **common, model=model, features="values", strength=0.1 * (1 + seed), validation_score=0.6
    )
    metrics = BaselineMetrics(
        baseline="t-baseline",
        seed=seed,
        metric="accuracy",
        floor=0.3,
        selected=selected,
        test=BaselineScore(score=float(scores.mean()), metrics={}, items=len(scores)),
        candidates=(constant, selected),
    )
    write_json(folder / "metrics.json", metrics.content())
    write_provenance(folder, provenance(3.0), BASELINE_RESULTS)


def with_baseline(study: StudySpec, seeds: tuple[int, ...], train_items: int | None = None) -> StudySpec:
    tasks = {name: task.model_copy(update={"train_items": train_items}) for name, task in study.tasks.items()}
    return study.model_copy(update={"baselines": {"t": StudyBaseline(name="t-baseline", seeds=seeds)}, "tasks": tasks})


def test_a_baseline_has_an_interval_over_items_and_every_cell_is_compared_with_it(study):
    """Of one seed: Student's t of the items' scores, and of their paired differences where the cell has one seed too."""
    scores = (np.random.Generator(np.random.PCG64(9)).random(ITEMS) < 0.6) * 1.0
    write_baseline(0, scores)
    one_seed = tuple(cell.model_copy(update={"seeds": (0,)}) for cell in study.cells)
    tables = aggregate(with_baseline(study, (0,)).model_copy(update={"cells": one_seed}))
    [row] = tables["baselines"].itertuples()
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (row.score, row.low, row.high) == pytest.approx((scores.mean(), *expected), abs=1e-4)
    assert (row.model, row.features, row.strength, row.candidates) == ("ridge regression", "values", "0.1", 2)
    assert (row.seeds, row.interval_over, row.validation_score, row.linear_validation_score) == (1, "items", 0.6, 0.6)
    contrasts = tables["baseline_contrasts"]
    assert list(contrasts["condition"]) == list(CONDITIONS)
    for row in contrasts.itertuples():
        cell = pd.read_parquet(f"results/runs/{row.condition}-final/seed-0/predictions.parquet")["score"].to_numpy()
        test = stats.ttest_rel(cell, scores)
        assert row.difference == pytest.approx(cell.mean() - scores.mean())
        assert (row.low, row.high) == pytest.approx(tuple(test.confidence_interval(0.95)), abs=1e-4)
    assert contrasts[["p", "p_holm"]].isna().all().all()
    assert set(contrasts["outcome"]) == {"one seed"}
    costs = tables["costs"][tables["costs"]["role"] == "baseline"]
    assert list(costs["run"]) == ["t-baseline"]


def test_one_baseline_is_compared_with_all_seeds_of_a_cell(study):
    """It adds nothing to what varies between seeds; one that was fitted for each seed does."""
    scores = (np.random.Generator(np.random.PCG64(9)).random(ITEMS) < 0.6) * 1.0
    for seed in SEEDS:
        write_baseline(seed, scores)
    once = aggregate(with_baseline(study, (0,)))["baseline_contrasts"]
    thrice = aggregate(with_baseline(study, SEEDS, train_items=40))["baseline_contrasts"]
    assert once["difference"].tolist() == pytest.approx(thrice["difference"].tolist())
    assert (once["standard_error"] < thrice["standard_error"]).all()
    assert set(once["seeds"]) == {len(SEEDS)}
    assert list(once["p_holm"]) == pytest.approx(multipletests(once["p"], method="holm")[1])
    assert set(once.loc[once["p_holm"] < 0.05, "outcome"]) <= {"higher", "lower"}


def test_at_a_data_size_each_seed_is_compared_with_the_baseline_of_its_items(study):
    """Where the runs score what the baselines do, there is no difference."""
    for seed in SEEDS:
        cell = pd.read_parquet(f"results/runs/pf-final/seed-{seed}/predictions.parquet")["score"]
        write_baseline(seed, cell.to_numpy(), model="ridge regression" if seed else "gradient boosting")
    tables = aggregate(with_baseline(study, SEEDS, train_items=40))
    contrasts = tables["baseline_contrasts"].set_index("condition")
    assert contrasts.loc["pf", ["difference", "p"]].tolist() == [0.0, 1.0]
    [row] = tables["baselines"].itertuples()
    assert (row.model, row.strength) == ("gradient boosting; ridge regression", "0.1; 0.2; 0.3")
    assert (row.seeds, row.interval_over) == (len(SEEDS), "seeds and items")
    cells = tables["cells"].set_index("condition")
    assert (row.low, row.high) == pytest.approx(tuple(cells.loc["pf", ["low", "high"]]))


def test_contrasts_between_conditions_are_those_without_a_baseline(study):
    write_baseline(0, np.ones(ITEMS))
    with_one, without = aggregate(with_baseline(study, (0,))), aggregate(study)
    pd.testing.assert_frame_equal(with_one["contrasts"], without["contrasts"])
    assert len(without["baselines"]) == len(without["baseline_contrasts"]) == 0


def test_a_changed_file_of_a_baseline_is_named_and_left_out_of_a_part(study):
    write_baseline(0, np.ones(ITEMS))
    spec = with_baseline(study, (0,))
    assert computed_part(spec).spec.baselines == spec.baselines
    path = Path("results/baselines/t-baseline/seed-0/metrics.json")
    path.write_text(path.read_text() + " ")
    with pytest.raises(UserError, match=re.escape(f"{path} is not the file")):
        aggregate(spec)
    assert computed_part(spec).spec.baselines == {}
