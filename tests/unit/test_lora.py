"""LoRA adapters, against the sum of matrices that they stand for."""

import pytest
import torch
from tiny_runs import SIZES, ask_to_end, renamed
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from crossover.config.conditions import TrainedPart
from crossover.errors import UserError
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_model
from crossover.training import finetune as stage
from crossover.training.finetune import finetune_run
from crossover.training.loop import Interrupted

LORA = [
    TrainedPart(groups=["head", "input"]),
    TrainedPart(groups=["attention"], lora={"rank": 3, "alpha": 6}),
]
SYMBOLS, LENGTHS = torch.arange(20).reshape(2, 10) % 8, torch.tensor([10, 6])


def build(tiny, model, trained=LORA, seed=0):
    spec = renamed(tiny.spec(model=model), trained=tuple(trained))
    return build_model(spec, tiny.encoding("listops"), tiny.items("listops"), seed).eval()


def logits(sequence):
    with torch.inference_mode():
        return sequence(SYMBOLS, LENGTHS)


@pytest.mark.parametrize("model", [model for model in SIZES if ADAPTERS[model].heads])
def test_what_is_learned_is_a_sum_of_low_rank(model, tiny):
    sequence, plain = build(tiny, model), build(tiny, model, LORA[:1])
    torch.testing.assert_close(logits(sequence), logits(plain), atol=0, rtol=0)  # at first nothing changes

    before = {name: tensor.clone() for name, tensor in sequence.state_dict().items()}
    optimizer = torch.optim.AdamW([one for one in sequence.parameters() if one.requires_grad], lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(sequence(SYMBOLS, LENGTHS), torch.tensor([1, 2])).backward()
        optimizer.step()
    after = sequence.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    added = {name for name, _ in sequence.named_parameters() if ".lora_" in name}
    used = {name for name in added if "_global" not in name}  # Longformer's for positions that attend to all
    assert moved == used | {"head.weight", "head.bias", "input.weight"}

    linear = {  # the layers that were to be changed, found in the plain model
        name: module
        for name, module in plain.body.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and ADAPTERS[model].group_of(f"{name}.weight") == "attention"
    }
    assert len(added) == 2 * len(linear)
    assert sum(after[name].numel() for name in added) == sum(3 * sum(one.weight.shape) for one in linear.values())
    for name, module in linear.items():
        wide, narrow = (after[f"body.{name}.lora_{side}.default.weight"] for side in "BA")
        change = 6.0 / 3 * wide @ narrow
        module.weight.data += change.T if isinstance(module, Conv1D) else change
    plain.input.load_state_dict(sequence.input.state_dict())
    plain.head.load_state_dict(sequence.head.state_dict())
    torch.testing.assert_close(logits(plain), logits(sequence), atol=1e-5, rtol=0)


def test_seeds_draw_them(tiny):
    one, same, other = (build(tiny, "gpt2", seed=seed).state_dict() for seed in (0, 0, 1))
    name = "body.h.0.attn.c_attn.lora_A.default.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_blocks_and_rates_are_those_of_the_part(tiny):
    part = TrainedPart(groups=["feedforward"], blocks={"which": "last", "count": 1}, rate=5, lora={})
    rates = build(tiny, "gpt2", [part]).rates
    layers = {f"body.h.1.mlp.{layer}.lora_{side}.default.weight" for layer in ("c_fc", "c_proj") for side in "AB"}
    assert rates == dict.fromkeys(layers, 5.0)


def test_layers_that_have_adapters_get_no_others(tiny):
    part = TrainedPart(groups=["attention"], lora={})
    with pytest.raises(UserError, match=r"^the model has no linear layers in attention that lora could change"):
        build(tiny, "gpt2", [part, part])


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tiny, tmp_path, monkeypatch):
    spec = renamed(tiny.spec(model="bert", training={"dropout": 0.2, "evaluate_every": "4 steps"}), trained=tuple(LORA))

    def run(out):
        finetune_run(spec, 0, out, torch.device("cpu"), 1e9, "test")
        return [(out / name).read_bytes() for name in ("metrics.json", "predictions.parquet", "curve.parquet")]

    whole = run(tmp_path / "whole")
    ask_to_end(monkeypatch, stage, "collate", {9})
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped")
    assert run(tmp_path / "stopped") == whole
