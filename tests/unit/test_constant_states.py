"""Training on states that are computed once, against training on items."""

import pandas as pd
import pytest
import torch
from tiny_runs import SIZES, ask_to_end, results

from crossover.files import read_json
from crossover.models.discovery import ADAPTERS
from crossover.training import finetune as stage
from crossover.training.finetune import finetune_run
from crossover.training.loop import Interrupted

CPU = torch.device("cpu")
HEAD = ["head"]
LAST = ["head", {"groups": ["norms", "attention", "feedforward"], "blocks": {"which": "last", "count": 1}}]
PLAIN = [model for model in SIZES if ADAPTERS[model].last_block]  # whose blocks take and return states


def run(spec, out):
    finetune_run(spec, 0, out, CPU, 1e9, "test")
    curve = pd.read_parquet(out / "curve.parquet")
    return read_json(out / "metrics.json"), curve.loc[curve["split"] == "train", "loss"].tolist()


def assert_equal_to_plain(spec, tmp_path, monkeypatch):
    metrics, losses = run(spec, tmp_path / "once")
    monkeypatch.setattr(stage, "constant_states", lambda *_: None)
    expected, plain = run(spec, tmp_path / "plain")
    assert losses == pytest.approx(plain, abs=1e-5)
    assert metrics["selected"]["validation"]["loss"] == pytest.approx(
        expected["selected"]["validation"]["loss"], abs=1e-5
    )
    assert metrics["parameters"] == expected["parameters"]


@pytest.mark.parametrize(
    ("trained", "model"),
    [pytest.param(HEAD, model, id=f"head-{model}") for model in SIZES]
    + [pytest.param(LAST, model, id=f"last-{model}") for model in PLAIN],
)
@pytest.mark.parametrize("task", ["listops", "bits"])
def test_what_is_before_a_trained_head_or_last_block_is_computed_once(
    task, trained, model, tiny, tmp_path, monkeypatch
):
    logged = []
    monkeypatch.setattr(stage.log, "info", lambda text, *_: logged.append(text))
    spec = tiny.spec(task, model, trained=trained, training={"length": "40 steps"})
    assert_equal_to_plain(spec, tmp_path, monkeypatch)
    assert sum("computed once" in text for text in logged) == 1  # of the two runs


@pytest.mark.parametrize(
    "head", [{"read": "last-position"}, {"read": "mean"}, {"read": "cls", "pooler": "new"}], ids=str
)
def test_whatever_the_head_reads(head, tiny, tmp_path, monkeypatch):
    spec = tiny.spec("listops", "bert", trained=LAST, head=head, training={"length": "40 steps"})
    assert_equal_to_plain(spec, tmp_path, monkeypatch)


def test_blocks_that_are_skipped_are_not_computed_in_training(tiny, tmp_path, monkeypatch):
    calls = [0, 0]

    def counting(model, *rest):
        constant = find_constant_states(model, *rest)
        for number, block in enumerate(model.body.encoder.layer):

            def count(*_, number=number):
                calls[number] += torch.is_grad_enabled()

            block.attention.self.key.register_forward_pre_hook(count)
        return constant

    find_constant_states = stage.constant_states
    monkeypatch.setattr(stage, "constant_states", counting)
    run(tiny.spec("listops", "bert", trained=LAST, training={"length": "40 steps"}), tmp_path)
    assert calls == [0, 40]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"trained": ["head", "input"]}, "the input is trained"),
        ({"training": {"dropout": 0.1}}, "dropout changes the states"),
        ({"training": {"length": "2 steps", "evaluate_every": "1 step"}}, "items are read less than twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_states_that_are_not_constant_or_not_read_again_are_not_kept(changes, why, tiny, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(stage.log, "info", lambda text, *_: logged.append(text))
    run(tiny.spec("listops", "gpt2", **{"trained": HEAD} | changes), tmp_path)
    assert not any("computed once" in text for text in logged)


def test_states_that_are_too_large_are_not_kept(tiny, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(stage.log, "info", lambda text, *_: logged.append(text))
    monkeypatch.setattr("crossover.training.constant_states.LARGEST_MB", 0)
    run(tiny.spec("listops", "gpt2", trained=HEAD), tmp_path)
    assert not any("computed once" in text for text in logged)


@pytest.mark.parametrize("trained", [HEAD, LAST], ids=["head", "last"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(trained, tiny, tmp_path, monkeypatch):
    spec = tiny.spec("listops", "bert", trained=trained, training={"length": "40 steps"})
    run(spec, tmp_path / "whole")
    ask_to_end(monkeypatch, stage, "collate", {29})
    with pytest.raises(Interrupted):
        run(spec, tmp_path / "stopped")
    run(spec, tmp_path / "stopped")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
