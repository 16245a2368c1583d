"""Targets that are numbers, classes that are voted on, and further metrics, from the prepared task to the score."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from tiny_dna import tokens

from crossover.config.tasks import Target
from crossover.errors import UserError
from crossover.files import read_json
from crossover.specs.descriptions import EncodedTarget
from crossover.training.finetune import finetune_run
from crossover.training.scoring import Scorer


def finetuned(tiny, root, monkeypatch, **changes):
    spec = tiny.spec("dna", training={"length": "60 steps", "evaluate_every": "20 steps", "batch_size": 16}, **changes)
    monkeypatch.chdir(root)
    finetune_run(spec, 0, root / "run", torch.device("cpu"), 1e9, "test")
    return read_json(root / "run/metrics.json"), pd.read_parquet(root / "run/predictions.parquet")


def test_a_number_is_learned_and_given_back_in_its_own_units(tiny, tmp_path, monkeypatch):
    test, encoding = tokens(tmp_path, lambda count: 100.0 + 7.0 * count, kind="number", metric="spearman")
    assert (encoding.target.metric, encoding.floor) == ("spearman", 0.0)
    metrics, predictions = finetuned(tiny, tmp_path, monkeypatch)
    assert predictions["target"].to_numpy() == pytest.approx(test["target"].to_numpy(), rel=1e-5)
    expected = spearmanr(test["target"], predictions["prediction"]).statistic
    assert metrics["test"]["score"] == pytest.approx(expected)
    assert expected > 0.8, "counting one letter is easy"
    assert abs(predictions["prediction"] - predictions["target"]).mean() < test["target"].std() / 2
    assert predictions["score"].mean() == pytest.approx(expected)


def test_numbers_are_standardised_unless_the_target_leaves_them_as_they_are(tiny, tmp_path, monkeypatch):
    number = {"kind": "number", "metric": "spearman"}
    test, encoding = tokens(tmp_path, lambda count: 0.5 + 0.25 * count, **number, standardised=False)
    stored = np.load(tmp_path / "results/tokens/dna-tokens/test.targets.npy")
    assert stored.tolist() == test["target"].to_numpy(np.float32).tolist()
    assert (encoding.target.mean, encoding.target.deviation) == (0.0, 1.0)
    _, predictions = finetuned(tiny, tmp_path, monkeypatch)
    assert predictions["target"].tolist() == pytest.approx(test["target"].tolist(), rel=1e-6)
    assert abs(predictions["prediction"] - predictions["target"]).mean() < test["target"].std() / 2
    tokens(tmp_path / "default", lambda count: 0.5 + 0.25 * count, **number)
    training = np.load(tmp_path / "default/results/tokens/dna-tokens/train.targets.npy")
    assert (training.mean(), training.std()) == pytest.approx((0, 1), abs=1e-5)


def test_every_metric_that_is_asked_for_is_reported(tiny, tmp_path, monkeypatch):
    asked = {"metric": "f1", "also": ["accuracy", "mcc"], "positive": "many"}
    test, encoding = tokens(tmp_path, lambda count: "many" if count > 3 else "few", kind="class", **asked)
    right = test["target"] == "many"
    assert encoding.floor == pytest.approx(f1_score(right, np.ones(len(test))))
    metrics, predictions = finetuned(tiny, tmp_path, monkeypatch)
    truth, answers = predictions["target"], predictions["prediction"]
    assert metrics["test"]["metrics"] == pytest.approx(
        {
            "f1": f1_score(truth, answers, pos_label="many"),
            "accuracy": accuracy_score(truth, answers),
            "mcc": matthews_corrcoef(truth, answers),
        }
    )
    assert metrics["test"]["score"] == metrics["test"]["metrics"]["f1"]


def test_items_of_a_group_vote():
    items = pd.DataFrame({"item": list("abcdef"), "group": ["q", "q", "q", "p", "p", "r"]})
    target = EncodedTarget(kind="class", vote=True, classes=("x", "y", "z"))
    truth = np.array([1, 1, 1, 2, 2, 0])
    answers = np.array([1, 0, 1, 2, 1, 1])  # q: y by two to one; p: y and z tie, so y; r: y
    scorer = Scorer(target, items, truth)
    table = scorer.table(answers)
    assert table.to_dict("list") == {
        "item": ["p", "q", "r"],
        "group": ["p", "q", "r"],
        "score": [0.0, 1.0, 0.0],
        "target": ["z", "y", "x"],
        "prediction": ["y", "y", "y"],
    }
    assert scorer.score(answers) == pytest.approx(1 / 3)


def test_one_number_for_all_cannot_be_learned(tmp_path):
    with pytest.raises(UserError, match="all training targets are 5, so there is nothing to learn"):
        tokens(tmp_path, lambda count: 5.0, kind="number", metric="spearman")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"kind": "number"}, "accuracy is not a metric for kind number; use spearman"),
        ({"kind": "bits", "metric": "mcc"}, "mcc is not a metric for kind bits; use accuracy"),
        ({"kind": "class", "metric": "f1"}, "f1 needs positive"),
        ({"kind": "class", "positive": "x"}, "f1 needs positive"),
        ({"kind": "class", "also": ["accuracy"]}, "a metric is listed twice"),
        ({"kind": "bits", "vote": True}, "vote is only for kind class; remove it"),
        ({"kind": "class", "standardised": False}, "standardised is only for kind number; remove it"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(target, words):
    with pytest.raises(ValidationError, match=words):
        Target(**target)
