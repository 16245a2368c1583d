"""The selection of each seed's learning rate, and ranges that widen."""

import pandas as pd
import pytest
import torch
from tiny_runs import ask_to_end
from torch import nn

from crossover.config.recipes import CandidateRates, RateRange
from crossover.files import read_json
from crossover.models.weights import load_trained
from crossover.runs.files import WEIGHTS
from crossover.training import finetune as stage
from crossover.training.finetune import build_model, finetune_run
from crossover.training.loop import Interrupted, Progress
from crossover.training.rates import RateSearch
from crossover.training.state import StateStore

CPU = torch.device("cpu")
LOWER, HIGHER = ((1e-5,), (1e-6,)), ((1e-2,), (1e-1,), (1.0,))
SHORT = {"length": "6 steps", "evaluate_every": "2 steps"}
DROPOUT = SHORT | {"dropout": 0.3}  # so that what earlier rates draw would change later ones


def search_of(rates: CandidateRates, tmp_path) -> tuple[RateSearch, nn.Parameter]:
    parameter = nn.Parameter(torch.zeros(2))
    return RateSearch(rates, {"weight": parameter}, StateStore(tmp_path / "state", 1e9)), parameter


def select(scores: dict[float, float], rates: CandidateRates, tmp_path) -> tuple[float, list[float]]:
    """Selected rate, and the rates that were tried, in this order; a rate without a score reaches 0."""
    search, parameter = search_of(rates, tmp_path)
    tried = []

    def train(rate, share, _):
        assert share == 1
        assert parameter.tolist() == [0.0, 0.0], "every rate starts from the same weights"
        parameter.data.fill_(rate)
        tried.append(rate)
        return Progress(step=9, best_step=9, best_score=scores.get(rate, 0.0), best_loss=1.0)

    selected, _ = search.run(train)
    if len(rates.rates) > 1:
        assert parameter.tolist() == pytest.approx([selected] * 2), "its weights are those of the best rate"
    return selected, tried


@pytest.mark.parametrize(
    ("scores", "selected", "further"),
    [
        ({1e-5: 0.5, 1e-4: 0.6, 1e-3: 0.2}, 1e-4, [1e-5]),
        ({1e-4: 0.6, 1e-3: 0.7, 1e-2: 0.5}, 1e-3, [1e-2]),
        ({1e-6: 0.1, 1e-5: 0.8, 1e-4: 0.6}, 1e-5, [1e-5, 1e-6]),
        ({1e-6: 0.9, 1e-5: 0.8, 1e-4: 0.6}, 1e-6, [1e-5, 1e-6]),  # the limit
        ({1e-3: 0.6, 1e-2: 0.7, 1e-1: 0.8, 1.0: 0.9}, 1.0, [1e-2, 1e-1, 1.0]),
        ({1e-3: 0.6, 1e-2: 0.7, 1e-1: 0.8, 1.0: 0.1}, 1e-1, [1e-2, 1e-1, 1.0]),
        ({}, 1e-6, [1e-5, 1e-6]),  # nothing was learned at any rate
    ],
)
def test_a_range_widens_by_a_decade_while_its_best_rate_is_at_an_edge(scores, selected, further, tmp_path):
    rates = CandidateRates(rates=(1e-4, 1e-3), lower=LOWER, higher=HIGHER)
    assert select(scores, rates, tmp_path) == (selected, [1e-4, 1e-3, *further])


def test_a_range_whose_best_rate_is_inside_stays(tmp_path):
    rates = CandidateRates(rates=(1e-4, 1e-3, 1e-2), lower=LOWER, higher=HIGHER[1:])
    assert select({1e-3: 0.5}, rates, tmp_path) == (1e-3, [1e-4, 1e-3, 1e-2])


def test_a_list_never_widens(tmp_path):
    assert select({0.1: 0.5}, CandidateRates(rates=(0.1, 0.2)), tmp_path) == (0.1, [0.1, 0.2])
    assert select({}, CandidateRates(rates=(0.25,)), tmp_path) == (0.25, [0.25])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({0.1: (0.5, 1.0, 1), 0.2: (0.7, 2.0, 1), 0.3: (0.6, 0.1, 1)}, 0.2),
        ({0.1: (0.7, 1.0, 1), 0.2: (0.7, 0.9, 1), 0.3: (0.7, 1.1, 1)}, 0.2),  # of equal scores the lowest loss
        ({0.1: (0.7, 1.0, 1), 0.2: (0.7, 1.0, 1)}, 0.1),
        ({0.1: (0.9, 1.0, 0), 0.2: (0.2, 2.0, 1)}, 0.2),  # the first diverged before it had weights to keep
    ],
)
def test_the_rate_with_the_best_validation_score_is_selected(found, expected, tmp_path):
    search, _ = search_of(CandidateRates(rates=tuple(found)), tmp_path)

    def train(rate, *_):
        score, loss, best_step = found[rate]
        return Progress(step=9, best_step=best_step, best_score=score, best_loss=loss)

    assert search.run(train)[0] == expected


def test_rates_that_are_tried_for_a_share_end_in_one_whole_training(tmp_path):
    search, parameter = search_of(CandidateRates(rates=(0.1, 0.2), higher=((0.3,),), share=0.25), tmp_path)
    asked = []

    def train(rate, share, _):
        assert parameter.tolist() == [0.0, 0.0]
        parameter.data.fill_(rate)
        asked.append((rate, share))
        return Progress(step=9, best_step=9, best_score=0.9 - abs(rate - 0.2) if share < 1 else 0.1, best_loss=1.0)

    rate, final = search.run(train)
    assert asked == [(0.1, 0.25), (0.2, 0.25), (0.3, 0.25), (0.2, 1.0)]
    assert (rate, final.best_score, sorted(search.tried)) == (0.2, 0.1, [0.1, 0.2, 0.3])
    assert parameter.tolist() == pytest.approx([0.2, 0.2])


def test_a_range_is_that_of_one_that_is_wide_from_the_start():
    narrow = RateRange(low=1e-4, high=1e-3, per_decade=2, widen=1).candidates
    wide = RateRange(low=1e-5, high=1e-2, per_decade=2, widen=0).candidates
    assert (*narrow.lower[0], *narrow.rates, *narrow.higher[0]) == wide.rates


# --- whole runs -------------------------------------------------------------------------------------------------


def run(spec, out):
    finetune_run(spec, 3, out, CPU, 1e9, "test")
    return read_json(out / "metrics.json")


def tables(out) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("curve.parquet", "predictions.parquet", WEIGHTS)]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_run_with_several_rates_is_the_run_with_the_selected_one_alone(keep, tiny, tmp_path):
    rates = (1e-5, 3e-3, 1.0)
    several = run(tiny.spec(learning_rates={"rates": rates}, training=DROPOUT, keep_weights=keep), tmp_path / "several")
    alone = {}
    for rate in rates:
        spec = tiny.spec(learning_rates={"rates": (rate,)}, training=DROPOUT, keep_weights=keep)
        alone[rate] = run(spec, tmp_path / f"{rate:g}")
    selected = several["selected"]["learning_rate"]
    assert several["trials"] == [alone[rate]["selected"] for rate in rates]
    assert several["selected"] == max(several["trials"], key=lambda one: one["validation"]["score"])
    assert several["test"] == alone[selected]["test"]
    assert tables(tmp_path / "several") == tables(tmp_path / f"{selected:g}")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_trials_are_short_runs_and_the_result_is_the_run_with_the_selected_rate_alone(keep, tiny, tmp_path):
    training = DROPOUT | {"schedule": "linear", "warm_up": "2 steps"}
    rates = {"rates": (1e-5, 3e-3, 1.0), "share": 0.5}
    tried = run(tiny.spec(learning_rates=rates, training=training, keep_weights=keep), tmp_path / "tried")
    short = training | {"length": "3 steps", "warm_up": "1 step"}
    for trial in tried["trials"]:
        rate = trial["learning_rate"]
        assert trial == run(tiny.spec(learning_rate=rate, training=short), tmp_path / f"short-{rate:g}")["selected"]
    selected = tried["selected"]["learning_rate"]
    alone = run(tiny.spec(learning_rate=selected, training=training, keep_weights=keep), tmp_path / "alone")
    assert (tried["selected"], tried["test"]) == (alone["selected"], alone["test"])
    assert tables(tmp_path / "tried") == tables(tmp_path / "alone")


def test_a_range_that_has_widened_finds_what_a_wide_one_finds(tiny, tmp_path):
    narrow = {"rates": (1e-7, 1e-6), "lower": ((1e-8,),), "higher": ((1e-5,), (1e-4,), (3e-3,))}
    widened = run(tiny.spec(learning_rates=narrow, training=SHORT), tmp_path / "widened")
    tried = tuple(trial["learning_rate"] for trial in widened["trials"])
    assert len(tried) > 2
    wide = run(tiny.spec(learning_rates={"rates": tried}, training=SHORT), tmp_path / "wide")
    assert widened["trials"] == wide["trials"]
    assert tables(tmp_path / "widened") == tables(tmp_path / "wide")


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("steps", [{2}, {8}, {13}, {2, 9}], ids=str)
def test_a_run_that_was_stopped_at_any_rate_ends_as_if_it_had_not_been(steps, share, tiny, tmp_path, monkeypatch):
    rates = {"rates": (1e-4, 3e-3, 1e-2), "share": share}
    spec = tiny.spec(learning_rates=rates, training=DROPOUT, keep_weights="last")
    run(spec, tmp_path / "whole")
    ask_to_end(monkeypatch, stage, "losses_of", steps)
    for _ in steps:
        with pytest.raises(Interrupted):
            run(spec, tmp_path / "stopped")
    assert run(spec, tmp_path / "stopped") == read_json(tmp_path / "whole/metrics.json")
    assert tables(tmp_path / "stopped") == tables(tmp_path / "whole")
    assert read_json(tmp_path / "stopped/provenance.json")["resumed"] == len(steps)


def test_the_test_split_is_read_once_whatever_was_tried(tiny, tmp_path, monkeypatch):
    scored = []
    score_test = stage._score_test
    monkeypatch.setattr(stage, "_score_test", lambda *given: scored.append(1) or score_test(*given))
    run(tiny.spec(learning_rates={"rates": (1e-3, 3e-3)}, training=SHORT), tmp_path)
    assert scored == [1]


def test_weights_that_are_kept_are_those_of_the_selected_rate(tiny, tmp_path):
    spec = tiny.spec(learning_rates={"rates": (3e-3, 1e-9)}, training=SHORT, keep_weights="best")
    metrics = run(spec, tmp_path)
    assert metrics["selected"]["learning_rate"] == 3e-3
    model = build_model(spec, tiny.encoding("listops"), tiny.items("listops"), 3).eval()
    load_trained(model, tmp_path / WEIGHTS)
    values, lengths, _ = stage.collate(stage.Tokens.open(tiny.tokens["listops"], "test"), torch.arange(5).numpy(), CPU)
    found = model(values, lengths).argmax(1).tolist()
    classes = tiny.encoding("listops").target.classes
    assert [classes[one] for one in found] == pd.read_parquet(tmp_path / "predictions.parquet")["prediction"][
        :5
    ].tolist()
