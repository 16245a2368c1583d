"""A study's files as the workflow writes them, with made-up scores: seven tasks, four conditions, three seeds.

The scores follow a logistic model in which items, pieces, seeds and both together differ, so that the report shows all
that it can: clear and doubtful differences in both directions, a task that nothing learns, and one at the ceiling.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from crossover.analyses.attention.measure import tabulate
from crossover.analyses.kinds import analysis_kinds, text_of
from crossover.config.conditions import Condition
from crossover.config.tasks import Target
from crossover.files import sha256, write_json, write_parquet, write_text
from crossover.runs.files import BASELINE_RESULTS, WEIGHTS, write_provenance
from crossover.specs.descriptions import (
    BaselineCandidate,
    BaselineMetrics,
    BaselineScore,
    Card,
    CorpusSize,
    EncodedTarget,
    EncodingDescription,
    Floor,
    Lengths,
    Metrics,
    Origin,
    ParameterCounts,
    PretrainedDescription,
    Provenance,
    SkippedInput,
    TestResult,
    Trial,
    ValidationResult,
)
from crossover.specs.studies import (
    Cell,
    ModelLabels,
    StudyAnalysis,
    StudyBaseline,
    StudyCheckpoint,
    StudySpec,
    StudyTask,
)

CONDITIONS = {
    "pretrained-frozen": ("pretrained, frozen", "pretrained", "frozen"),
    "random-frozen": ("random, frozen", "random", "frozen"),
    "pretrained-all": ("pretrained, all trained", "pretrained", "all"),
    "random-all": ("random, all trained", "random", "all"),
}
# What scores higher than every condition, lower than one, and like the best; and no baseline of the last task.
BASELINES = {
    "composer": ("logistic regression", "counts of 1- to 3-grams", 0.90),
    "digits": ("gradient boosting", "pixels", 0.96),
    "listops": ("logistic regression", "counts of 1-grams", 0.46),
    "bit-memory": ("logistic regression", "values", 0.80),
    "bit-xor": ("constant", None, 0.50),
    "splice-sim": ("logistic regression", "symbol at each position", 0.93),
}
RATES = (3e-4, 1e-3, 3e-3)
SEEDS = (0, 1, 2)
MAX_STEPS, EVERY = 600, 20

# title, domain, simulated, floor, test items, items per group, classes,
# and the share of right answers in the order of CONDITIONS
TASKS: dict[str, tuple[str, str, bool, float, int, int, list[str] | None, tuple[float, ...]]] = {
    "composer": ("Composer of a piece", "music", False, 0.31, 320, 5, ["bach", "palestrina", "trecento"], (0.71, 0.52, 0.74, 0.70)),
    "digits": ("Handwritten digits", "images", False, 0.10, 360, 1, [str(i) for i in range(10)], (0.90, 0.86, 0.97, 0.968)),
    "listops": ("ListOps", "logic", False, 0.20, 800, 1, [str(i) for i in range(10)], (0.43, 0.40, 0.47, 0.46)),
    "bit-memory": ("Bit memory", "logic", False, 0.75, 400, 1, None, (0.93, 0.77, 0.80, 0.97)),
    "bit-xor": ("Bit XOR", "logic", False, 0.50, 200, 1, None, (1.0, 0.82, 1.0, 1.0)),
    "splice-sim": ("Splice sites (simulated)", "dna", True, 0.50, 600, 1, ["EI", "IE", "N"], (0.79, 0.78, 0.80, 0.795)),
    "folds-sim": ("Protein classes (simulated)", "protein", True, 0.26, 600, 1, ["a", "a+b", "a/b", "b"], (0.26, 0.26, 0.265, 0.26)),
}  # fmt: skip


def write_study(root: Path, tasks: dict[str, tuple] | None = None, seeds: tuple[int, ...] = SEEDS) -> StudySpec:
    """Write every file that aggregation and the report read, below `root`.

    Args:
        root: the working directory of the study.
        tasks: like TASKS, which is the default.
        seeds: of the final runs.

    Returns:
        The study's spec; its paths are relative to `root`.
    """
    tasks = tasks or TASKS
    cells = []
    for number, (task, facts) in enumerate(tasks.items()):
        _write_task(root, task, facts)
        for condition, share in zip(CONDITIONS, facts[-1], strict=True):
            cells.append(_write_cell(root, number, task, facts, condition, share, seeds))
    _write_checkpoint(root)
    checkpoint = "results/checkpoints/topics-gpt2-00000001"
    spec = StudySpec(
        name="study-demo",
        study="demo",
        title="Does English prose help?",
        question="Does a small transformer that has read English prose learn music, images, logic, DNA and proteins "
        "better than one that has read nothing?",
        description="A study with made-up numbers, for tests.",
        confidence=0.95,
        margin=0.05,
        threshold=0.9,
        left_out=(),
        compare=(),
        baselines={
            task: _write_baseline(root, list(TASKS).index(task), task, tasks[task])
            for task in BASELINES
            if task in tasks
        },
        tasks={name: _study_task(name, facts) for name, facts in tasks.items()},
        checkpoints={
            "topics-gpt2": StudyCheckpoint(
                title="Topics GPT-2",
                description="A small GPT-2, pretrained on the topics of Python's own documentation.",
                licence="PSF-2.0",
                folder=checkpoint,
                has_weights=True,
                origin=None,
                fetched=None,
                pretraining=f"{checkpoint}/checkpoint.json",
                subset="wiki.tokens: 100 of 200 articles",
            )
        },
        conditions={
            name: Condition(title=title, description=f"The {title} condition.", body=body, input="new", trained=trained)
            for name, (title, body, trained) in CONDITIONS.items()
        },
        cells=tuple(cells),
        analyses=_write_analyses(root) if "splice-sim" in tasks else (),
        reproduce="snakemake --config study=demo",
    )
    write_text(root / "results/specs/study-demo.json", spec.text)
    return spec


def _write_analyses(root: Path) -> tuple[StudyAnalysis, ...]:
    """Write one analysis of each kind, and of each body where it is about one model; return what the study's spec says."""
    bodies = [
        ModelLabels(checkpoint="topics-gpt2", checkpoint_title="Topics GPT-2", body=body, input="new", condition=None)
        for body in ("pretrained", "random")
    ]
    entries = []
    for kind in analysis_kinds():
        for number, models in enumerate([bodies] if text_of(kind).paired else [[body] for body in bodies]):
            name = f"{kind}.splice-sim.{number}-00000001"
            entries.append(
                StudyAnalysis(
                    name=name,
                    kind=kind,
                    seeds=(0, 1),
                    task="splice-sim",
                    title=TASKS["splice-sim"][0],
                    simulated=True,
                    metric="accuracy",
                    subset=None,
                    models=tuple(models),
                )
            )
            for seed in (0, 1):
                folder = root / "results/analyses" / name / f"seed-{seed}"
                write_parquet(
                    folder / "values.parquet", _values(kind, np.random.Generator(np.random.PCG64([number, seed])))
                )
                write_provenance(folder, provenance(2.0, "crossover"), ["values.parquet"])
    return tuple(entries)


def _values(kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """What an analysis of two blocks with two heads finds."""
    layers = range(3)
    match kind:
        case "similarity":
            rows = [
                (a, b, measure, rng.random(), 0.3)
                for a in layers
                for b in layers
                for measure in ("cka", "svcca", "pwcca")
            ]
            return pd.DataFrame(rows, columns=["layer_a", "layer_b", "measure", "value", "control"])
        case "heads":
            rows = [(layer, head, 1 - head, rng.random(), 1.5) for layer in (1, 2) for head in (0, 1)]
            return pd.DataFrame(rows, columns=["layer", "head_a", "head_b", "distance", "chance"])
        case "probing":
            rows = [(layer, 0.5 + 0.1 * layer + 0.05 * rng.random(), 0.6, 1.0, 0.5) for layer in layers]
            return pd.DataFrame(rows, columns=["layer", "score", "validation_score", "strength", "floor"])
        case "attention":
            maps = rng.dirichlet(np.ones(4), (2, 2, 8, 8))[..., 0]
            return tabulate(rng.uniform(3, 9, (2, 2)), np.full(2, 6.0), maps[0])
    return pd.DataFrame(
        [("cosine", number, None, rng.uniform(-1, 1)) for number in range(6)]
        + [("confusion", None, None, 0.2)]
        + [("singular value", number, None, 10.0**-number) for number in range(5)]
        + [("noise", None, scale, 10 * scale) for scale in (1e-8, 1e-6, 1e-4, 1e-2)],
        columns=["measure", "number", "scale", "value"],
    ).astype({"number": "Int64", "scale": float})


def _study_task(name: str, facts: tuple) -> StudyTask:
    return StudyTask(
        title=facts[0],
        description=f"What {facts[0].lower()} is about, in one or two sentences.",
        domain=facts[1],
        simulated=facts[2],
        metric="accuracy",
        subset="1,000 of 1,797 items" if name == "digits" else None,
        licence="CC BY 4.0",
        citation="Author & Author (2020), A Title, Journal 1:2-3",
        card=f"results/tasks/{name}-0000000a/card.json",
        encodings={"topics-gpt2": f"results/tokens/{name}-symbols-0000000b/encoding.json"},
        of=name,
        train_items=None,
    )


def _write_task(root: Path, name: str, facts: tuple) -> None:
    _, _, simulated, floor, items, per_group, classes, _ = facts
    sizes = {"train": items * 5, "validation": items // 2, "test": items}
    lengths = Lengths(minimum=8, lower_quartile=20, median=32, upper_quartile=40, maximum=64)
    origin = Origin(
        name=f"{name}-0", kind="download", origin="https://data.org/a&b", version=None, subset=None, files=()
    )
    target = Target(kind="class" if classes else "bits")
    card = Card(
        task=name,
        licence="CC BY 4.0",
        origin=None if simulated else origin,
        unit="symbols",
        simulated=simulated,
        shape=(8, 8) if name == "digits" else None,
        skipped=(SkippedInput(input="odd.mid", reason="no notes"),) if name == "composer" else (),
        notes=(),
        counts={"letters other than ACGTN, read as N": 7} if name == "splice-sim" else {},
        target=target,
        items=sizes,
        groups={split: size // per_group for split, size in sizes.items()},
        classes={split: {label: size // len(classes) for label in classes} for split, size in sizes.items()} if classes else None,
        lengths=dict.fromkeys(sizes, lengths),
        duplicates={"train": 12 if name == "splice-sim" else 0, "validation": 0, "test": 0},
        leakage={"validation": 0, "test": 3 if name == "splice-sim" else 0},
        floor=Floor(score=floor, rule="share of the test items of the most frequent training class"),
        sha256={f"{split}.parquet": "0" * 64 for split in sizes},
    )  # fmt: skip
    card.write(root / f"results/tasks/{name}-0000000a/card.json")
    encoded = {"classes": classes} if classes else {"positions": 4, "bits": 10}
    encoding = EncodingDescription(
        kind="symbols",
        vocabulary=tuple("ACGT"),
        longest=64,
        target=EncodedTarget(kind=target.kind, **encoded),
        floor=floor,
        truncated=dict.fromkeys(sizes, 0.0),
        truncated_items=dict.fromkeys(sizes, 0),
        unknown=dict.fromkeys(sizes, 0),
        counts={split: {} for split in sizes},
        items=sizes,
        sha256={},
    )
    encoding.write(root / f"results/tokens/{name}-symbols-0000000b/encoding.json")


def _write_cell(
    root: Path, number: int, task: str, facts: tuple, condition: str, share: float, seeds: tuple[int, ...]
) -> Cell:
    """Write the runs of a cell."""
    stem = f"{task}.topics-gpt2.{condition}"
    place = list(CONDITIONS).index(condition)
    rng = np.random.Generator(np.random.PCG64([number, place]))
    floor = facts[3]
    trials = []
    for index, rate in enumerate(RATES):
        score = float(floor + (share - floor) * (0.6, 0.85, 1.0)[index] + rng.normal(0, 0.005))
        trials.append(_trial(rate, min(max(score, 0.0), 1.0)))
    run = f"{stem}-{number:07x}f"
    for seed, scores in zip(seeds, _draw_scores(number, place, facts, share, len(seeds)), strict=True):
        _write_run(
            root, run, seed, task, condition, trials, float(scores.mean()), _predictions(facts, scores), floor, rng
        )
    return Cell(task=task, checkpoint="topics-gpt2", condition=condition, run=run, seeds=seeds)


def _trial(rate: float, score: float) -> Trial:
    validation = ValidationResult(score=score, loss=1.6 - score)
    return Trial(learning_rate=rate, steps=MAX_STEPS, best_step=MAX_STEPS, stopped_early=False, validation=validation)


def _write_baseline(root: Path, number: int, task: str, facts: tuple) -> StudyBaseline:
    """Write the files of a baseline that was fitted to the whole training split; a constant was a candidate too."""
    model, features, share = BASELINES[task]
    name, seed = f"{task}-baseline-{number:07x}e", 0
    [scores] = _draw_scores(number, len(CONDITIONS), facts, share, 1)
    common = {"tokens": f"{task}-symbols-0000000b", "train_items": 1000}
    constant = BaselineCandidate(
        **common, features=None, columns=0, model="constant", strength=None, validation_score=facts[3]
    )
    linear = BaselineCandidate(
        **common,
        features="values",
        columns=64,
        model="ridge regression",
        strength=1.0,
        validation_score=facts[3] - 0.01,
    )
    fitted = BaselineCandidate(
        **common, features=features, columns=64, model=model, strength=10.0, validation_score=share
    )
    selected = fitted if features else constant
    metrics = BaselineMetrics(
        baseline=name,
        seed=seed,
        metric="accuracy",
        floor=facts[3],
        selected=selected,
        test=BaselineScore(score=float(scores.mean()), metrics={"accuracy": float(scores.mean())}, items=len(scores)),
        candidates=tuple(dict.fromkeys((constant, linear, selected))),
    )
    folder = root / "results/baselines" / name / f"seed-{seed}"
    write_parquet(folder / "predictions.parquet", _predictions(facts, scores))
    write_json(folder / "metrics.json", metrics.content())
    write_provenance(folder, provenance(2.0, "crossover fit-baselines"), BASELINE_RESULTS)
    write_json(root / f"results/specs/{name}.json", {"name": name, "kind": "baseline"})
    write_text(root / f"logs/fit_baselines/{name}/seed-{seed}.log", "crossover fit-baselines\n")
    return StudyBaseline(name=name, seeds=(seed,))


def _draw_scores(number: int, place: int, facts: tuple, share: float, seeds: int) -> np.ndarray:
    """Scores [seeds, items] around `share`; the same items are hard for all conditions of a task."""
    items, per_group, classes = facts[4], facts[5], facts[6]
    if share == 1.0:
        return np.ones((seeds, items))
    common = np.random.Generator(np.random.PCG64([number]))
    own = np.random.Generator(np.random.PCG64([number, place, 7]))
    difficulty = np.repeat(common.normal(0, 1.0, items // per_group), per_group) + common.normal(0, 1.0, items)
    chance = (
        math.log(share / (1 - share)) * 1.3
        + difficulty
        + own.normal(0, 0.08, (seeds, 1))
        + own.normal(0, 0.3, (seeds, items))
    )
    bits = 1 if classes else 40
    return own.binomial(bits, 1 / (1 + np.exp(-chance))) / bits


def _predictions(facts: tuple, scores: np.ndarray) -> pd.DataFrame:
    names = [f"item-{i:04d}" for i in range(len(scores))]
    groups = [f"piece-{i // facts[5]:04d}" if facts[5] > 1 else name for i, name in enumerate(names)]
    table = pd.DataFrame({"item": names, "group": groups, "score": scores})
    if classes := facts[6]:
        table["target"] = [classes[i % len(classes)] for i in range(len(names))]
        table["prediction"] = np.where(scores > 0, table["target"], classes[0])
    return table


def _write_run(
    root: Path,
    run: str,
    seed: int,
    task: str,
    condition: str,
    trials: list[Trial],
    score: float,
    predictions: pd.DataFrame,
    floor: float,
    rng: np.random.Generator,
) -> None:
    folder = root / "results/runs" / run / f"seed-{seed}"
    half = 60 if condition.startswith("pretrained") else 110
    last = MAX_STEPS if score < 0.995 else 300
    steps = np.arange(0, last + 1, EVERY)
    rise = 1 - np.exp(-steps / (half * rng.uniform(0.8, 1.25)))
    noise = rng.normal(0, 0.012, len(steps)) * (score < 0.995)
    learned = np.clip(floor + (score - floor) * rise / rise[-1] + noise, 0, 1)
    learned[-1] = score
    rows = [
        (int(step), "validation", float(1.6 - value), float(value)) for step, value in zip(steps, learned, strict=True)
    ]
    rows += [
        (int(step), "train", float(1.55 - value), None) for step, value in zip(steps[1:], learned[1:], strict=True)
    ]
    curve = pd.DataFrame(rows, columns=["step", "split", "loss", "score"]).astype({"score": float})
    write_parquet(folder / "curve.parquet", curve.sort_values(["step", "split"]))
    write_parquet(folder / "predictions.parquet", predictions)
    test = TestResult(score=score, metrics={"accuracy": score}, loss=1.6 - score, items=len(predictions))
    validation = ValidationResult(score=float(learned.max()), loss=1.6 - float(learned.max()))
    best = max(trials, key=lambda trial: trial.validation.score)
    reached = {"steps": int(last), "best_step": int(steps[int(np.argmax(learned))]), "stopped_early": last < MAX_STEPS}
    selected = best.model_copy(update=reached | {"validation": validation})
    metrics = Metrics(
        run=run,
        seed=seed,
        task=task,
        checkpoint="topics-gpt2",
        condition=condition,
        train_items=1000,
        metric="accuracy",
        floor=floor,
        selected=selected,
        trials=tuple(selected if trial == best else trial for trial in trials),
        test=test,
        parameters=ParameterCounts(
            trained=21_000 if condition.endswith("frozen") else 560_000, used=20_000, total=560_000
        ),
    )
    write_json(folder / "metrics.json", metrics.content())
    save_file({}, folder / WEIGHTS)
    seconds = round(float(rng.uniform(3, 9)), 3)
    write_provenance(
        folder,
        provenance(seconds, f"crossover finetune-run --spec results/specs/{run}.json --seed {seed}"),
    )
    write_json(root / f"results/specs/{run}.json", {"name": run, "kind": "run"})
    write_text(root / f"logs/finetune_run/{run}/seed-{seed}.log", "crossover finetune-run\n")


def provenance(seconds: float, command: str) -> Provenance:
    return Provenance(
        host="node01",
        platform="Linux-6.1-x86_64-with-glibc2.36",
        cpu="Example CPU @ 2.0 GHz",
        device="cpu",
        threads=1,
        python="3.11.2",
        versions={"torch": "2.13.0", "transformers": "5.0.0", "numpy": "2.3.0"},
        code={"crossover.training.finetune": "1a2b3c4d", "crossover.training.loop": "5e6f7a8b"},
        started="2026-01-02T03:04:05+00:00",
        ended="2026-01-02T03:05:05+00:00",
        seconds=seconds,
        cpu_seconds=round(seconds * 1.05, 3),
        peak_memory_mb=780,
        resumed=0,
        command=command,
        slurm_job_id=None,
        digests={"tokens": "0" * 64, "checkpoint": "1" * 64},
    )


def _write_checkpoint(root: Path) -> None:
    folder = root / "results/checkpoints/topics-gpt2-00000001"
    steps = np.arange(0, 801, 40)
    held_out = 4.1 + 3.5 * np.exp(-steps / 120)
    parts = [
        pd.DataFrame({"step": steps, "split": split, "loss": held_out + shift})
        for split, shift in (("train", -0.15), ("validation", 0.0))
    ]
    write_parquet(folder / "curve.parquet", pd.concat(parts, ignore_index=True))
    loss = {"model": 4.1, "unigram": 5.9, "trigram": 4.6}
    description = PretrainedDescription(
        name="topics-gpt2-00000001",
        objective="causal",
        vocabulary=2048,
        corpus=CorpusSize(characters=640_000, tokens=190_000, held_out_tokens=19_000, predicted_tokens=18_999),
        loss=loss,
        perplexity={name: math.exp(value) for name, value in loss.items()},
        bits_per_character={"model": 1.75, "unigram": 2.5, "trigram": 1.96},
        parameters=560_000,
        steps=800,
        best_step=800,
        tokens_seen=1_638_400,
        sha256={"model.safetensors": "1" * 64, "curve.parquet": sha256(folder / "curve.parquet")},
    )
    description.write(folder / "checkpoint.json")
    made = provenance(70.0, "crossover pretrain-checkpoint --spec results/specs/topics-gpt2-00000001.json")
    made.write(folder / "provenance.json")
    write_json(root / "results/specs/topics-gpt2-00000001.json", {"name": "topics-gpt2-00000001", "kind": "checkpoint"})
