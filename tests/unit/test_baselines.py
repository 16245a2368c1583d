"""Baselines: the same scores as scikit-learn's own pipelines, selected on validation data alone, for every kind of target."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler
from tiny_dna import PIECE, tokens
from tiny_runs import TASKS, write_tokens

from crossover.baselines import limits, models
from crossover.baselines.select import Data, select_baseline
from crossover.baselines.stage import fit_baselines
from crossover.encodings.tokens import Tokens
from crossover.files import read_json, sha256
from crossover.runs.files import BASELINE_RESULTS, checked_provenance
from crossover.seeds import derived_seed
from crossover.specs.baselines import BaselineSpec
from crossover.specs.descriptions import BaselineMetrics, EncodingDescription
from crossover.specs.runs import TrainSubset
from crossover.training.subsets import draw_subset

DNA = Path("results/tokens/dna-tokens")


def many(count: int) -> str:
    return "many" if count > 4 else "few"


def fitted(
    name: str = "dna-tokens", seed: int = 0, subset: TrainSubset | None = None
) -> tuple[BaselineMetrics, pd.DataFrame]:
    """What the stage writes for tokens in the working directory."""
    spec = BaselineSpec.named("dna-baseline", tokens=(name,), train_subset=subset, code={})
    out = Path("results/baselines", spec.name, f"seed-{seed}")
    fit_baselines(spec, seed, out, "test")
    checked_provenance(out, BASELINE_RESULTS)
    metrics = BaselineMetrics.parse(read_json(out / "metrics.json"), out)
    return metrics, pd.read_parquet(out / "predictions.parquet")


def split_of(root: Path, split: str) -> pd.DataFrame:
    return pd.read_parquet(root / "task" / f"{split}.parquet")


def pipelines(penalty: float) -> dict[str, Pipeline]:
    """The same models, from the letters themselves."""
    letters = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=1 / penalty, max_iter=models.ITERATIONS)
    )
    counted = {
        f"counts of {name}": make_pipeline(
            CountVectorizer(analyzer="char", lowercase=False, ngram_range=(1, longest)),
            MaxAbsScaler(),
            LogisticRegression(C=1 / penalty, max_iter=models.ITERATIONS),
        )
        for longest, name in ((1, "1-grams"), (2, "1- to 2-grams"), (3, "1- to 3-grams"))
    }
    return {"symbol at each position": letters} | counted


def as_input(name: str, texts: pd.Series) -> object:
    return np.array([list(text) for text in texts]) if name.startswith("symbol") else texts


def test_classes_are_scored_as_by_scikit_learn(tmp_path, monkeypatch):
    """Every linear candidate on validation data, and the selected one on the test split."""
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    train, validation, test = (split_of(tmp_path, split) for split in ("train", "validation", "test"))
    metrics, predictions = fitted()
    linear = {(one.features, one.strength): one for one in metrics.candidates if one.model == "logistic regression"}
    assert len(linear) == 4 * len(models.PENALTIES)
    own = {}
    for penalty in models.PENALTIES:
        for name, pipeline in pipelines(penalty).items():
            own[name, penalty] = pipeline.fit(as_input(name, train["sequence"]), train["target"])
            score = accuracy_score(validation["target"], pipeline.predict(as_input(name, validation["sequence"])))
            assert linear[name, penalty].validation_score == pytest.approx(score, abs=1 / len(validation)), (
                name,
                penalty,
            )
    best = max(metrics.candidates, key=lambda one: one.validation_score)
    assert metrics.selected == best, "of equal scores the first"
    assert best.model == "logistic regression"
    answers = own[best.features, best.strength].predict(as_input(best.features, test["sequence"]))
    assert metrics.test.score == pytest.approx(accuracy_score(test["target"], answers), abs=1 / len(test))
    assert metrics.test.score == predictions["score"].mean() > 0.85
    assert list(predictions["target"]) == list(test["target"])


def test_the_test_split_has_no_part_in_the_selection(tmp_path, monkeypatch):
    """Other test labels change the test score alone, and without test files the selection is the same."""
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    before, predictions = fitted()
    labels = np.load(DNA / "test.targets.npy")
    np.save(DNA / "test.targets.npy", 1 - labels)
    digests = EncodingDescription.load(DNA / "encoding.json")
    changed = digests.sha256 | {"test.targets.npy": sha256(DNA / "test.targets.npy")}
    digests.model_copy(update={"sha256": changed}).write(DNA / "encoding.json")
    after, flipped = fitted()
    assert after.test.score == pytest.approx(1 - before.test.score)
    assert after.model_dump(exclude={"test"}) == before.model_dump(exclude={"test"})
    assert list(flipped["prediction"]) == list(predictions["prediction"])
    for path in DNA.glob("test.*"):
        path.unlink()
    selected, candidates = select_baseline([DNA], None, 0)
    assert (selected.record, tuple(candidates)) == (before.selected, before.candidates)


def test_numbers_are_predicted_by_ridge_regression_in_their_own_units(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test, encoding = tokens(tmp_path, lambda count: 100.0 + 7.0 * count, kind="number", metric="spearman")
    train = split_of(tmp_path, "train")
    metrics, predictions = fitted()
    chosen = metrics.selected
    assert (chosen.model, chosen.features) == ("ridge regression", "counts of 1-grams"), (
        "the target is a count of one letter"
    )
    pipeline = make_pipeline(CountVectorizer(analyzer="char", lowercase=False), MaxAbsScaler(), Ridge(chosen.strength))
    scaled = (train["target"] - encoding.target.mean) / encoding.target.deviation
    own = encoding.target.mean + encoding.target.deviation * pipeline.fit(train["sequence"], scaled).predict(
        test["sequence"]
    )
    assert predictions["prediction"].to_numpy() == pytest.approx(own, rel=1e-4)
    assert predictions["target"].to_numpy() == pytest.approx(test["target"].to_numpy(), rel=1e-5)
    assert metrics.test.score > 0.98
    constant = metrics.candidates[0]
    assert (constant.model, constant.validation_score) == ("constant", 0.0)


def test_groups_vote(tmp_path, monkeypatch):
    """The answer for a group is what most of its items are called; of classes with equally many, the first by name."""
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class", vote=True)
    train, test = split_of(tmp_path, "train"), split_of(tmp_path, "test")
    metrics, predictions = fitted()
    assert len(predictions) == metrics.test.items == len(test) / PIECE
    chosen = metrics.selected
    pipeline = pipelines(chosen.strength)[chosen.features].fit(
        as_input(chosen.features, train["sequence"]), train["target"]
    )
    voted = test.assign(vote=pipeline.predict(as_input(chosen.features, test["sequence"]))).groupby("group")
    answers = voted["vote"].agg(lambda votes: votes.mode().min())
    assert predictions.set_index("group")["prediction"].to_dict() == answers.to_dict()
    assert metrics.test.score == (answers == voted["target"].first()).mean()


def bits(root: Path, reader: dict[str, object], sizes: dict[str, int], patch: int) -> str:
    """Tokens of a task of bits."""
    task = {"reader": reader, "sizes": sizes, "target": "bits", "encoding": {"kind": "patches", "patch": [patch]}}
    with pytest.MonkeyPatch.context() as tasks:
        tasks.setitem(TASKS, "these-bits", task)
        return write_tokens(root, "these-bits")


def test_no_linear_model_computes_the_xor_of_two_bits_but_trees_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = {"train": 160, "validation": 40, "test": 40}
    name = bits(tmp_path, {"kind": "bit-xor", "bits": 4}, sizes, patch=1)
    metrics, predictions = fitted(name)
    linear = [one.validation_score for one in metrics.candidates if one.model == "logistic regression"]
    assert len(linear) == len(models.PENALTIES)
    assert max(linear) < 0.7
    assert metrics.selected.model == "gradient boosting"
    assert metrics.test.score == predictions["score"].mean() > 0.9


@pytest.mark.parametrize("number", [8, 130], ids=["logistic", "ridge"])
def test_each_bit_has_a_linear_model_of_its_own(number, tmp_path, monkeypatch):
    """More than 64 of them are fitted by ridge regression; more than 127 are not mixed up."""
    monkeypatch.chdir(tmp_path)
    sizes = {"train": 120, "validation": 30, "test": 40}
    name = bits(tmp_path, {"kind": "bit-memory", "strings": 1, "bits": number}, sizes, patch=2)
    metrics, _ = fitted(name)
    folder = Path("results/tokens", name)
    splits = [Tokens.open(folder, split) for split in ("train", "validation")]
    (rows, answers), (other, truth) = (
        (one.gather(np.arange(len(one)))[0].reshape(len(one), -1), one.targets.reshape(len(one), -1)) for one in splits
    )
    scaler = StandardScaler().fit(rows)
    for one in metrics.candidates:
        if one.model == "logistic regression":
            each = [
                LogisticRegression(C=1 / one.strength, max_iter=models.ITERATIONS)
                .fit(scaler.transform(rows), answers[:, bit])
                .predict(scaler.transform(other))
                for bit in range(number)
            ]
            expected = (np.stack(each, axis=1) == truth).mean()
        elif one.model == "ridge regression":
            signs = Ridge(one.strength).fit(scaler.transform(rows), 2.0 * answers - 1).predict(scaler.transform(other))
            expected = ((signs > 0) == truth).mean()
        else:
            continue
        assert one.validation_score == pytest.approx(expected, abs=2e-3)
    assert metrics.selected.validation_score > 0.85, "the one string is there twice"


def test_each_seed_learns_from_the_items_of_its_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    subset = TrainSubset(items=20, drawn="stratified")
    data = Data.open(DNA, subset, seed=3)
    drawn = draw_subset(Tokens.open(DNA, "train"), subset, derived_seed(3, "train items"))
    assert data.training.offsets.tolist() == drawn.offsets.tolist()
    both = [fitted(seed=seed, subset=subset)[0] for seed in (3, 4)]
    assert {one.selected.train_items for one in both} == {20}
    assert both[0].candidates != both[1].candidates


def test_a_large_task_is_fitted_on_a_part_that_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    monkeypatch.setattr(limits, "SYMBOLS", 12 * 50)  # each item has 12 of them
    metrics, _ = fitted()
    assert {one.train_items for one in metrics.candidates} == {50}
    assert fitted()[0] == metrics
    whole, _ = fitted(subset=TrainSubset(items=30, drawn="plain"))
    assert whole.selected.train_items == 30, "fewer than the limit are all taken"


def test_what_is_counted_is_bounded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    monkeypatch.setattr(limits, "COLUMNS", 7)
    metrics, _ = fitted()
    assert {one.columns for one in metrics.candidates} == {0, 4, 7}, (
        "a constant, four letters, and what is more frequent"
    )


def test_one_class_leaves_a_constant(tmp_path, monkeypatch):
    """As a small part of the training split may have it."""
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    metrics, predictions = fitted(subset=TrainSubset(items=1, drawn="plain"))
    assert [one.model for one in metrics.candidates] == ["constant"]
    assert predictions["prediction"].nunique() == 1
    dummy = DummyClassifier().fit(np.zeros((1, 1)), predictions["prediction"].iloc[:1])
    truth = split_of(tmp_path, "test")["target"]
    assert metrics.test.score == dummy.score(np.zeros((len(truth), 1)), truth)


def test_the_same_tokens_give_the_same_bytes(tmp_path, monkeypatch):
    """Of two encodings each offers its candidates, and the constant stands before all."""
    monkeypatch.chdir(tmp_path)
    tokens(tmp_path, many, kind="class")
    shutil.copytree(DNA, "results/tokens/other-tokens")
    spec = BaselineSpec.named("dna-baseline", tokens=(DNA.name, "other-tokens"), train_subset=None, code={})
    written = []
    for name in ("once", "again"):
        fit_baselines(spec, 0, Path(name), "test")
        written.append([Path(name, file).read_bytes() for file in BASELINE_RESULTS])
    assert written[0] == written[1]
    metrics = BaselineMetrics.parse(read_json(Path("once/metrics.json")), Path("once"))
    halves = [[one for one in metrics.candidates if one.tokens == name] for name in spec.tokens]
    assert len(halves[0]) == len(halves[1]) + 1
    assert metrics.selected.tokens == DNA.name, "of equal scores the first"
