"""Conditions as a whole, on every architecture: what is trained, that it learns, and that a resumed run is the same one."""

import os
import re
import signal
from typing import Any

import pytest
import torch
from test_models import ALL, EACH, group_by_type, weights
from tiny_runs import POSITIONS, ROOT, SIZES, VOCABULARY, renamed, write_checkpoint
from torch import nn
from torch.nn import functional
from transformers import GPT2Config, GPT2Model

from crossover.config.bodies import BlockSelection
from crossover.config.conditions import TRAINED_PRESETS, Condition, TrainedPart
from crossover.config.load import load_conditions, read_yaml
from crossover.config.parameters import parameters_of
from crossover.config.studies import Study
from crossover.errors import UserError
from crossover.files import sha256
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_model
from crossover.models.module import SequenceModel
from crossover.models.trainable import count_parameters, trained_rates
from crossover.specs.descriptions import EncodedTarget
from crossover.training.loop import Interrupted, LoopSettings, train
from crossover.training.state import StateStore

FIRST, LAST = ({"which": which, "count": 1, "start": 0} for which in ("first", "last"))
REINIT = {"kind": "reinit", "norms": "redrawn", "biases": "kept", "weights": "truncated-normal"}
CONDITIONS = {  # every kind of body and of input, and every way to say what is trained
    "full": ("pretrained", "new", ALL),
    "frozen": ("pretrained", "new", list(TRAINED_PRESETS["frozen"])),
    "reservoir": ("random", "new", ["head"]),
    "scratch": ("random", "re-embedded", ALL),
    "statistics": ({"kind": "statistics"}, "pretrained", ["head", "norms"]),
    "scaled": ({"kind": "scaled", "per": "weight", "groups": None}, "new", ALL),
    "reinit": (REINIT | {"blocks": LAST}, {"kind": "shift", "by": 3}, ALL),
    "permuted": ({"kind": "permuted", "seed": 1}, {"kind": "permutation", "seed": 2}, ["head", "feedforward"]),
    "probe": ({"kind": "truncated", "blocks": 1, "of": "pretrained"}, "pretrained", ["head"]),
    "shallow": ({"kind": "truncated", "blocks": 1, "of": "random"}, "re-embedded", ["head", "input"]),
    "kept": (
        {"kind": "random", "kept": ["positions", "embeddings"]},
        "pretrained",
        ["head", {"groups": ["norms", "attention"], "blocks": FIRST, "rate": 2.0}],
    ),
    "biases": ("pretrained", "new", ["head", {"groups": ["norms", "attention", "feedforward"], "only": "biases"}]),
    "except": ("pretrained", "new", [*ALL, {"groups": ["attention", "feedforward"], "blocks": FIRST, "rate": 0.0}]),
}
WITHOUT_BIASES = {"llama", "t5"}
EVERY = pytest.mark.parametrize("condition", CONDITIONS)
SYMBOLS = torch.tensor(
    [[1, 2, 3, 4, 5], [2, 2, 9, 9, 1], [7, 8, 1, 0, 0], [5, 4, 3, 2, 1], [6, 1, 0, 0, 0], [9, 9, 8, 1, 2]]
)
LENGTHS = torch.tensor([5, 5, 3, 5, 2, 5])
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])
TARGET = EncodedTarget(kind="class", classes=("a", "b", "c"))


def entry_of(model: str, condition: str) -> Any:
    """The input of a condition; for a model without tokens all are new."""
    return CONDITIONS[condition][1] if "vocab_size" in SIZES[model] else "new"


def build(tiny, model: str, condition: str, dropout: float = 0.0) -> SequenceModel:
    body, _, trained = CONDITIONS[condition]
    entry = entry_of(model, condition)
    facts = {"vocabulary": tuple(f"t{index}" for index in range(VOCABULARY)), "target": TARGET}
    if entry == "pretrained":  # as a seeded map does, which needs no tokenizer
        entry = {"kind": "shift", "by": VOCABULARY}
    # At the scale of the tiny checkpoint, the states of a reservoir are so small that its head would learn slowly.
    choices = {"body": body, "input": entry, "input_scale": "lu2021" if entry == "new" else None, "trained": trained}
    spec = tiny.spec(model=model, training={"dropout": dropout}, **choices)
    return build_model(spec, tiny.encoding("listops").model_copy(update=facts), tiny.items("listops"), 0)


def learn(sequence: SequenceModel, store: StateStore, steps: int) -> list[float]:
    """Train on six items that are to be learned by heart; return the loss of each step."""
    losses = []

    def losses_of(step: int) -> list[torch.Tensor]:
        loss = functional.cross_entropy(sequence(SYMBOLS, LENGTHS), CLASSES)
        losses.append(loss.item())
        return [loss]

    settings = LoopSettings(steps, steps, lambda step: 0.02, weight_decay=0.01, keep="last")
    train(sequence, settings, losses_of, lambda: (0.0, 0.0), store, sequence.rates)
    return losses


@EACH
@EVERY
def test_it_learns_by_heart_moves_what_is_trained_and_nothing_else(model, condition, tiny, tmp_path):
    sequence = build(tiny, model, condition)
    before = weights(sequence)
    losses = learn(sequence, StateStore(tmp_path, 1e9), 25)
    # Lu et al.'s LSTM as a reservoir hardly changes with what it reads: its norms start near 0.
    assert (
        losses[-1] < (0.99 if model.startswith("lstm") and CONDITIONS[condition][2] == ["head"] else 0.85) * losses[0]
    )
    after = weights(sequence)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    expected = set(expected_rates(sequence, model, condition))
    assert moved == {name for name in expected if "_global" not in name}  # Longformer's, if a position attends to all


@EACH
@EVERY
def test_rates_follow_from_groups_and_blocks(model, condition, tiny):
    sequence = build(tiny, model, condition)
    assert sequence.rates == expected_rates(sequence, model, condition)


def expected_rates(sequence: SequenceModel, model: str, condition: str) -> dict[str, float]:
    """What is trained, told from the classes of modules and not from tables of names."""
    entry, trained = entry_of(model, condition), CONDITIONS[condition][2]
    groups = {f"body.{name}": group for name, group in group_by_type(sequence.body).items()}
    own = "input" if entry in ("new", "re-embedded") else "embeddings"
    groups |= {
        name: {"input": own}.get(name.split(".")[0], "head")
        for name, _ in sequence.named_parameters()
        if name not in groups
    }
    rates = {name: 1.0 for name, group in groups.items() if group in trained}
    for part in trained:
        if isinstance(part, dict):
            block = f"body.{ADAPTERS[model].blocks}.0." if "blocks" in part else "body."
            chosen = [name for name, group in groups.items() if group in part["groups"] and name.startswith(block)]
            if "only" in part:
                chosen = [name for name in chosen if "bias" in name.split(".")[-1]]
            assert chosen or model in WITHOUT_BIASES
            rates |= dict.fromkeys(chosen, part.get("rate", 1.0))
    return {name: rate for name, rate in rates.items() if rate}


@pytest.mark.parametrize(
    ("model", "condition"),
    [(list(SIZES)[(i + j) % len(SIZES)], name) for i, name in enumerate(CONDITIONS) for j in (0, 3)],
)
def test_a_resumed_run_is_the_one_that_was_not_disturbed(model, condition, tiny, tmp_path):
    class Stopping(StateStore):
        def due(self) -> bool:
            os.kill(os.getpid(), signal.SIGTERM)  # at the next step
            return False

    def started(seed: int) -> SequenceModel:
        sequence = build(tiny, model, condition, dropout=0.1)
        torch.manual_seed(seed)
        return sequence

    whole = started(1)
    learn(whole, StateStore(tmp_path / "whole", 1e9), 6)
    for start in range(6):
        resumed = started(99 if start else 1)  # a process that goes on has another state of the generator
        try:
            learn(resumed, Stopping(tmp_path / "state", 1e9), 6)
        except Interrupted:
            continue
        break
    assert start > 1
    assert all(map(torch.equal, weights(resumed).values(), weights(whole).values()))


@EACH
@pytest.mark.parametrize("condition", ["statistics", "scratch", "reinit"])
def test_neither_padding_nor_company_changes_a_prediction_under_any_input(model, condition, tiny):
    sequence = build(tiny, model, condition).eval()
    with torch.inference_mode():
        together = sequence(torch.cat([SYMBOLS, SYMBOLS.flip(1)], 1), LENGTHS)  # what stands behind an item is noise
        alone = [sequence(row[None, :length], length[None]) for row, length in zip(SYMBOLS, LENGTHS, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


# --- what is trained ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "blocks", "heads", "published", "really"),
    [(768, 12, 12, 105_984, 845_578), (1024, 24, 16, 190_464, 1_176_586), (1280, 36, 20, 299_520, 1_532_170)],
)
def test_lu_et_al_count_the_positions_in_use_and_no_biases(width, blocks, heads, published, really):
    """Section 2.2 counts 4dL + ld + 16d + 10d for l = 64 patches of 16 numbers and 10 classes; their code trains more."""
    target = EncodedTarget(kind="class", classes=tuple("0123456789"))
    with torch.device("meta"):
        body = GPT2Model(GPT2Config(n_embd=width, n_layer=blocks, n_head=heads))
        model = SequenceModel(body, nn.Linear(16, width), target, ADAPTERS["gpt2"])
    frozen = [TrainedPart(groups=TRAINED_PRESETS["frozen"])]
    rates = trained_rates(model, frozen, ADAPTERS["gpt2"], "input")
    sizes = {name: parameter.shape for name, parameter in model.named_parameters() if name in rates}
    assert sum(size.numel() for size in sizes.values()) == really
    in_blocks = [size for name, size in sizes.items() if name.startswith("body.h.")]
    linear = [sizes["input.weight"], sizes["head.weight"]]
    assert sum(size.numel() for size in in_blocks + linear) + 64 * sizes["body.wpe.weight"][1] == published


def test_the_later_of_two_parts_counts(tiny):
    body = TrainedPart(groups=["head", "attention", "norms"])
    last = TrainedPart(groups=["attention"], blocks=LAST, rate=5)
    sequence = build(tiny, "bert", "full")
    rates = trained_rates(sequence, [body, last], ADAPTERS["bert"], "input")
    for name, rate in rates.items():
        inside = name.removeprefix("body.")
        assert rate == (
            5 if ".attention." in name and "Norm" not in name and ADAPTERS["bert"].block_of(inside) == 1 else 1
        )
    assert set(trained_rates(sequence, [last, body], ADAPTERS["bert"], "input").values()) == {1.0}


def test_a_rate_of_its_own_is_that_multiple_at_every_step(tiny, tmp_path):
    """A first step of Adam moves each parameter by its rate."""
    sequence = build(tiny, "gpt2", "kept")
    before = weights(sequence)
    learn(sequence, StateStore(tmp_path, 1e9), 1)
    steps = {name: (weights(sequence)[name] - before[name]).abs().max().item() for name in sequence.rates}
    for name, multiple in sequence.rates.items():
        decay = 0.01 * 0.02 * multiple * before[name].abs().max().item() if before[name].dim() > 1 else 0
        assert steps[name] == pytest.approx(0.02 * multiple, abs=decay + 1e-4), name


def test_nothing_to_train_is_refused(tiny):
    with pytest.raises(UserError, match=r"no parameters of the groups that are to be trained \(positions\); add head"):
        trained_rates(build(tiny, "llama", "full"), [TrainedPart(groups=["positions"])], ADAPTERS["llama"], "input")


def test_blocks_that_are_not_there_cannot_be_trained(tiny):
    part = TrainedPart(groups=["norms"], blocks=BlockSelection(which="last", count=3))
    with pytest.raises(UserError, match="trained names blocks 0 to 2, but the checkpoint has 2"):
        trained_rates(build(tiny, "gpt2", "full"), [part], ADAPTERS["gpt2"], "input")


@EACH
def test_positions_that_no_item_reaches_are_trained_but_not_used(model, tiny):
    sequence = build(tiny, model, "frozen")
    counts = count_parameters(sequence, longest=7)
    sizes = {name: one.numel() for name, one in sequence.named_parameters()}
    assert (counts.trained, counts.total) == (sum(sizes[name] for name in sequence.rates), sum(sizes.values()))
    adapter = ADAPTERS[model]
    rows = 0 if adapter.positions is None or model == "llama" else POSITIONS + adapter.reserved_positions - 7
    rows += 2 if model == "bart" else 0  # positions in front of the first
    assert counts.trained - counts.used == rows * adapter.widths(sequence.body.config)[0]
    assert count_parameters(build(tiny, model, "reservoir"), longest=7).used == sum(
        one.numel() for one in sequence.head.parameters()
    )


def test_the_parameters_of_the_paper_are_counted_as_the_paper_counts_them(tiny):
    """Lu et al. (2021) give 4 d L + l d + d_in d + d d_out: 106K for GPT-2 on CIFAR-10, without biases and the last norm."""
    config = GPT2Config(vocab_size=2)
    with torch.device("meta"):
        body = GPT2Model(config)
        target = EncodedTarget(kind="class", classes=tuple("abcdefghij"))
        model = SequenceModel(body, nn.Linear(16, 768), target, ADAPTERS["gpt2"])
    rates = trained_rates(model, [TrainedPart(groups=list(TRAINED_PRESETS["frozen"]))], ADAPTERS["gpt2"], "input")
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in rates
    without = 2 * 768 + 768 + 10  # the last norm, and the biases of input and output
    assert (
        count_parameters(model, longest=64).used - without == 4 * 768 * 12 + 64 * 768 + 16 * 768 + 768 * 10 == 105_984
    )


# --- config/conditions.yaml ---------------------------------------------------------------------------------


VALUES = {
    "scaled-frozen": {"per": ["tensor", "weight"]},
    "scaled-all": {"per": ["tensor", "weight"]},
    "first-head-norms": {"of": ["pretrained", "random"], "blocks": [1, 12]},
    "first-head": {"of": ["pretrained", "random"], "blocks": [1, 12]},
    "reinit-last": {"count": "0..12"},
    "reinit-last-tamkin2020": {"count": "1..12"},
    "reinit-last-norms-kept": {"count": "1..12"},
    "reinit-last-rate": {"count": "1..12", "rate": [5, 0.5]},
    "reinit-window": {"count": [1, 3], "start": "0..9"},
    "reinit-inverse": {"count": 3, "start": "1..8"},
    "permuted": {"seed": [1, 2, "run"]},
    "probe": {"blocks": "1..12"},
}


@pytest.fixture(scope="session")
def committed() -> dict[str, Condition]:
    """Every condition, those with parameters for many values of them."""
    entries = read_yaml(ROOT / "config/conditions.yaml")
    assert {name for name, entry in entries.items() if parameters_of(entry)} == set(VALUES)
    listed = [{name: VALUES[name]} if name in VALUES else name for name in entries]
    study = {"title": "s", "question": "q", "tasks": ["t"], "checkpoints": ["c"], "seeds": [0], "conditions": listed}
    return load_conditions(Study(**study).chosen_conditions, "study s")


def test_every_family_of_committed_conditions_can_be_built(committed, tiny, tmp_path):
    checkpoint = write_checkpoint(tmp_path, "bert", num_hidden_layers=12, vocab_size=1100)
    (tmp_path / "tokenizer.json").write_text("{}")
    vocabulary = tuple(f"t{index}" for index in range(1100))
    facts = {"vocabulary": vocabulary, "tokenizer": sha256(tmp_path / "tokenizer.json"), "target": TARGET}
    encoding = tiny.encoding("listops").model_copy(update=facts)
    families = {re.sub(r"\d+", "k", name): name for name in committed}  # the last of each
    for name in families.values():
        condition = committed[name]
        choices = {
            "body": condition.body,
            "input": condition.input,
            "input_scale": None,
            "trained": condition.trained_parts,
        }
        sequence = build_model(renamed(tiny.spec(checkpoint=checkpoint), **choices), encoding, tiny.items("listops"), 0)
        assert "head.weight" in sequence.rates, name
        assert sequence(SYMBOLS, LENGTHS).isfinite().all(), name


def test_committed_conditions_differ_and_name_their_paper(committed):
    assert committed.pop("reinit-last-0").body == committed["pretrained-tokens-all"].body == "pretrained"
    chosen = [condition.model_dump_json(exclude={"title", "description"}) for condition in committed.values()]
    assert len(set(chosen)) == len(chosen)
    titles = [condition.title for condition in committed.values()]
    assert len(set(titles)) == len(titles)
    assert all("20" in condition.description for condition in committed.values())
