"""Tasks of the papers, from files in their published formats to the report."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

STUDY = """\
title: Published tasks
question: Does every kind of task reach the report?
tasks: [splice, fluorescence, sst2, cola, cifar10, composer-maestro]
checkpoints: [books]
conditions: [random-all]
seeds: [0]
training: {learning_rates: [1e-3], batch_size: 8, length: 2 steps, evaluate_every: 2 steps}
hardware: {gpu: 0, threads: 1}
"""
CHECKPOINT = "title: Books\nkind: folder\nlicence: public domain\npath: models/books\n"
KINDS = {
    "splice": ("class", "accuracy"),
    "fluorescence": ("number", "spearman"),
    "sst2": ("class", "accuracy"),
    "cola": ("class", "mcc"),
    "cifar10": ("class", "accuracy"),
    "composer-maestro": ("class", "accuracy"),
}
SUBSETS = {"fluorescence", "cifar10", "composer-maestro"}


PRETRAINED = """\
title: {name}
kind: pretrain
licence: see the corpus
corpus: {corpus}
architecture: gpt2
vocabulary: 300
blocks: 1
width: 8
heads: 2
positions: 64
training: {{context: 16, batch_size: 2, steps: 2, learning_rate: 1e-3}}
"""
WIKITEXT = "https://s3.amazonaws.com/research.metamind.io/wikitext"
CORPORA = {
    "books": "{kind: folder, name: books, path: books}",
    "proteins": "{kind: task, task: fluorescence}",
    "numbers": "{kind: task, task: bit-memory}",
    "wiki": f"{{kind: download, name: wiki, files: [{{url: {WIKITEXT}/wikitext-2-v1.zip, name: wiki.valid.tokens}}]}}",
}


@pytest.fixture
def published(fresh, mirror):
    """The workflow where downloads come from the mirror, with a study of real tasks and a real checkpoint."""
    (fresh.root / "published.yaml").write_text(STUDY)
    (fresh.root / "config/checkpoints/books.yaml").write_text(CHECKPOINT)
    shutil.copytree(mirror / "models/bert-l2-h128-books", fresh.root / "models/books")
    return replace(fresh, environment={"CROSSOVER_MIRROR": str(mirror)})


def test_published_tasks_reach_the_report(published):
    """Downloads, archives, every kind of target and encoding, and what part of the data was there."""
    published.finish("--cores", "2", study="published.yaml")
    study = published.root / "results/studies/published"
    cells = pd.read_csv(study / "cells.csv").set_index("task")
    assert dict(cells["metric"]) == {task: metric for task, (_, metric) in KINDS.items()}
    assert cells["score"].between(-1, 1).all()
    cards = {path.parent.name.rsplit("-", 1)[0]: json.loads(path.read_text()) for path in published.root.glob("results/tasks/*/card.json")}  # fmt: skip
    assert {task for task, card in cards.items() if card["origin"]["subset"]} == SUBSETS
    assert {task: card["target"]["kind"] for task, card in cards.items()} == {task: kind for task, (kind, _) in KINDS.items()}  # fmt: skip
    assert sum(cards["splice"]["items"].values()) == 3190
    assert cards["sst2"]["items"]["test"] == 872
    text = (study / "report.html").read_text()
    assert "Computed on a part of the data" in text
    assert "Spearman correlation" in text
    [votes] = published.root.glob("results/runs/composer-maestro.*/seed-0/predictions.parquet")
    assert len(pd.read_parquet(votes)) == cards["composer-maestro"]["groups"]["test"]
    assert "Nothing to be done" in published.finish("--dry-run", study="published.yaml")


def test_checkpoints_are_pretrained_on_text_and_on_the_sequences_of_tasks(published, mirror):
    shutil.copytree(mirror / "books", published.root / "books")
    for name, corpus in CORPORA.items():
        text = PRETRAINED.format(name=name, corpus=corpus)
        (published.root / f"config/checkpoints/{name}.yaml").write_text(text)
    published.edit("published.yaml", "checkpoints: [books]", f"checkpoints: [{', '.join(CORPORA)}]")
    published.edit("published.yaml", STUDY.split("\n")[2], "tasks: [splice]")
    published.finish("--cores", "2", "--until", "pretrain_checkpoint", study="published.yaml")
    reports = {path.parent.name.rsplit("-", 1)[0]: json.loads(path.read_text()) for path in published.root.glob("results/checkpoints/*/checkpoint.json")}  # fmt: skip
    assert set(reports) == set(CORPORA)
    assert reports["books"]["corpus"]["characters"] > 9_000_000
    assert reports["wiki"]["corpus"]["characters"] == pytest.approx(1_120_000, rel=0.02)
