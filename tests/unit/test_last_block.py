"""The last block at the positions that are read, against the whole block."""

import pytest
import torch
from test_heads import batch, build
from tiny_runs import SIZES, write_checkpoint
from torch.nn import functional

from crossover.models.discovery import ADAPTERS

WITH = [model for model in SIZES if ADAPTERS[model].last_block]
GROUPS = ["head", "input", "positions", "norms", "attention", "feedforward"]
LORA = ["head", {"groups": ["attention"], "lora": {"rank": 2, "alpha": 4}}]


def logits_and_gradients(sequence, task):
    values, lengths = batch(task)
    sequence.zero_grad()
    logits = sequence(values, lengths)
    functional.cross_entropy(logits.flatten(0, -2), torch.arange(logits.flatten(0, -2).shape[0]) % 2).backward()
    return logits.detach(), {name: one.grad for name, one in sequence.named_parameters() if one.requires_grad}


def test_the_transformers_of_one_stack_of_blocks_have_it():
    assert set(WITH) >= {"gpt2", "bert", "roberta", "llama", "vit", "esm"}


@pytest.mark.parametrize("trained", [GROUPS, LORA], ids=["all", "lora"])
@pytest.mark.parametrize("read", ["last", "cls", "last-position"])
@pytest.mark.parametrize("task", ["listops", "bits"])
@pytest.mark.parametrize("model", WITH)
def test_logits_and_gradients_are_those_of_the_whole_block(model, task, read, trained, tiny):
    sequence = build(tiny, model, task, trained=trained, head={"read": read})
    assert_equal_to_the_whole_block(sequence, task)


def assert_equal_to_the_whole_block(sequence, task):
    found, gradients = logits_and_gradients(sequence, task)
    sequence.whole = True
    expected, whole = logits_and_gradients(sequence, task)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for name, gradient in whole.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max() + 1))


def test_positions_of_esm_2_are_rotated(tiny, tmp_path):
    checkpoint = write_checkpoint(tmp_path, "esm", position_embedding_type="rotary")
    sequence = build(tiny, "esm", trained=GROUPS, checkpoint=checkpoint)
    assert_equal_to_the_whole_block(sequence, "listops")


@pytest.mark.parametrize("model", WITH)
def test_other_positions_do_not_enter_the_feedforward_layers(model, tiny):
    sequence, adapter = build(tiny, model), ADAPTERS[model]
    positions = {0: set(), 1: set()}  # that enter, by block
    for name, _ in sequence.body.named_parameters():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and adapter.group_of(name) == "feedforward":
            entering = positions[adapter.block_of(name)]
            sequence.body.get_submodule(layer).register_forward_hook(
                lambda _, inputs, __, entering=entering: entering.add(inputs[0].shape[1])
            )
    sequence(*batch())
    assert positions == {0: {12}, 1: {1}}
