"""The stage `fit-baselines`: a spec in; the selected baseline's test score, predictions and candidates out."""

from pathlib import Path

import torch

from crossover.baselines.select import select_baseline
from crossover.encodings.tokens import Tokens
from crossover.files import sha256, write_json, write_parquet
from crossover.runs.files import BASELINE_RESULTS, write_provenance
from crossover.runs.provenance import Recorder
from crossover.specs.baselines import BaselineSpec
from crossover.specs.descriptions import BaselineMetrics, BaselineScore
from crossover.training.device import device_use


def fit_baselines(spec: BaselineSpec, seed: int, out: Path, command: str) -> None:
    """Fit the candidates of a task's baseline, score the selected one on the test split, and write its files.

    Args:
        spec: of the baseline.
        seed: of the training items, where they are a part of the split.
        out: results/baselines/<baseline>/seed-<n>/, which gets metrics.json, predictions.parquet (the whole test split, as runs
            write it) and provenance.json.
        command: what was called, for the provenance.

    Raises:
        UserError: a file of the tokens is missing or damaged.
    """
    recorder = Recorder(spec.code, command)
    folders = [Path("results/tokens", tokens) for tokens in spec.tokens]
    selected, candidates = select_baseline(folders, spec.train_subset, seed)
    test = Tokens.open(selected.data.folder, "test")
    scorer = selected.data.scorer("test", test)
    answers = selected.answers(test)
    metrics = scorer.metrics(answers)
    table = scorer.table(answers)
    target = selected.data.encoding.target
    write_parquet(out / "predictions.parquet", table)
    described = BaselineMetrics(
        baseline=spec.name,
        seed=seed,
        metric=target.metric,
        floor=selected.data.encoding.floor,
        selected=selected.record,
        test=BaselineScore(score=metrics[target.metric], metrics=metrics, items=len(table)),
        candidates=tuple(candidates),
    )
    write_json(out / "metrics.json", described.content())
    inputs = {f"tokens {number}": sha256(folder / "encoding.json") for number, folder in enumerate(folders)}
    write_provenance(out, recorder.finish(device_use(torch.device("cpu")), 0, inputs), BASELINE_RESULTS)
