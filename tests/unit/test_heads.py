"""What the head reads and through what: against transformers' own classes, and against closed forms."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_models import plain_model
from safetensors.torch import load_file, save_file
from tiny_runs import SIZES, VOCABULARY, ask_to_end, results, tiny_config
from transformers import AutoModelForSequenceClassification

from crossover.errors import UserError
from crossover.files import read_json, tree_digest
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_model
from crossover.models.heads import read_states
from crossover.models.module import SequenceModel
from crossover.planning.plan import make_plan
from crossover.specs.checkpoints import CheckpointFiles
from crossover.training import finetune as stage
from crossover.training.finetune import finetune_run
from crossover.training.loop import Interrupted

EACH = pytest.mark.parametrize("model", SIZES)
OWN_TOKENS = {"kind": "shift", "by": VOCABULARY}  # every token is itself
CPU = torch.device("cpu")


def build(tiny, model="bert", task="listops", seed=0, facts=None, **changes) -> SequenceModel:
    encoding = tiny.encoding(task).model_copy(update=facts or {})
    return build_model(tiny.spec(task, model, **changes), encoding, tiny.items(task), seed).eval()


def batch(task: str = "listops") -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    if task == "bits":
        return torch.randn(3, 12, 2, generator=generator), torch.tensor([7, 3, 12])
    return torch.randint(0, 8, (3, 12), generator=generator), torch.tensor([7, 3, 12])


# --- transformers' classifiers ----------------------------------------------------------------------------------


@pytest.fixture
def classifier(tmp_path):
    """Save a random classifier of transformers; return it, and the checkpoint that it is."""

    def make(model: str) -> tuple[torch.nn.Module, CheckpointFiles]:
        torch.manual_seed(3)
        whole = AutoModelForSequenceClassification.from_config(tiny_config(model, num_labels=10)).eval()
        for parameter in whole.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        whole.save_pretrained(tmp_path / model)
        files = CheckpointFiles(name=model, folder=str(tmp_path / model), sha256=tree_digest(tmp_path / model))
        return whole, files

    return make


@pytest.mark.parametrize("model", ["bert", "albert"])
def test_logits_are_those_of_the_classifier_of_transformers(model, classifier, tiny):
    whole, checkpoint = classifier(model)
    facts = {"vocabulary": tuple(f"t{index}" for index in range(VOCABULARY))}
    head = {"read": "cls", "pooler": "pretrained", "dropout": 0.1}
    sequence = build(tiny, model, facts=facts, checkpoint=checkpoint, input=OWN_TOKENS, head=head)
    sequence.head.load_state_dict(whole.classifier.state_dict())
    ids, lengths = torch.randint(1, VOCABULARY, (4, 11)), torch.tensor([11, 4, 1, 8])
    mask = (torch.arange(11) < lengths[:, None]).long()
    with torch.inference_mode():
        torch.testing.assert_close(sequence(ids, lengths), whole(ids, mask).logits, atol=1e-6, rtol=0)


def test_logits_of_a_new_pooler_are_those_of_the_classifier_of_roberta(classifier, tiny):
    """Whose dropout stands in front of the pooler too, which evaluation does not see."""
    whole, checkpoint = classifier("roberta")
    facts = {"vocabulary": tuple(f"t{index}" for index in range(VOCABULARY))}
    head = {"read": "cls", "pooler": "new"}
    sequence = build(tiny, "roberta", facts=facts, checkpoint=checkpoint, input=OWN_TOKENS, head=head)
    sequence.pooler.dense.load_state_dict(whole.classifier.dense.state_dict())
    sequence.head.load_state_dict(whole.classifier.out_proj.state_dict())
    ids, lengths = torch.randint(2, VOCABULARY, (4, 11)), torch.tensor([11, 4, 1, 8])
    mask = (torch.arange(11) < lengths[:, None]).long()
    with torch.inference_mode():
        torch.testing.assert_close(sequence(ids, lengths), whole(ids, mask).logits, atol=1e-6, rtol=0)


# --- what is read -----------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("read", ["cls", "mean"])
def test_the_first_state_or_the_mean_of_the_real_ones_is_read(model, read, tiny):
    sequence = build(tiny, model, head={"read": read})
    values, lengths = batch()
    with torch.inference_mode():
        logits = sequence(values, lengths)
        for item, length in enumerate(lengths.tolist()):
            embedded = sequence.input(values[item : item + 1, :length])
            [states] = plain_model(tiny.checkpoints[model].folder)(inputs_embeds=embedded).last_hidden_state
            read_state = states[0] if read == "cls" else states.mean(0)
            expected = sequence.head.weight @ read_state + sequence.head.bias
            torch.testing.assert_close(logits[item], expected, atol=1e-5, rtol=0)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), more=st.integers(0, 3), seed=st.integers(0, 99))
def test_no_state_of_padding_is_read(lengths, more, seed):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(len(lengths), max(lengths) + more, 4, generator=generator)
    real = torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]
    unknown = torch.where(real[:, :, None], states, torch.nan)
    for read, of in (
        ("last", lambda item: item[-1]),
        ("last-position", lambda item: item[-1]),
        ("cls", lambda item: item[0]),
        ("mean", lambda item: item.mean(0)),
    ):
        found = read_states(unknown, torch.tensor(lengths), read, 1)
        expected = [of(item[:length]) for item, length in zip(states, lengths, strict=True)]
        torch.testing.assert_close(found[:, 0], torch.stack(expected))


@EACH
@pytest.mark.parametrize("task", ["listops", "bits"])
def test_at_the_last_position_padding_is_read_like_symbols(model, task, tiny):
    """The plain model without a mask, on items that are filled up to the longest of the task."""
    encoding = tiny.encoding(task)
    sequence = build(tiny, model, task, head={"read": "last-position"})
    tokens = tiny.items(task)
    padded = tokens.padded(encoding)
    items = torch.arange(5).numpy()
    values, _, _ = padded.gather(items)
    assert values.shape[1] == encoding.longest
    assert set(padded.lengths) == {encoding.longest}
    with torch.inference_mode():
        logits = sequence(torch.from_numpy(values), torch.from_numpy(padded.lengths[items]))
        for item in items:
            own, _, _ = tokens.gather(items[item : item + 1])
            symbols = torch.from_numpy(own.astype("int64") if task == "listops" else own)
            missing = encoding.longest - symbols.shape[1]
            if task == "listops":
                fill = torch.full((1, missing), len(encoding.vocabulary))
                assert sequence.input.num_embeddings == len(encoding.vocabulary) + 1
            else:
                fill = torch.zeros(1, missing, 2)
            embedded = sequence.input(torch.cat([symbols, fill], 1))
            [states] = plain_model(tiny.checkpoints[model].folder)(inputs_embeds=embedded).last_hidden_state
            read = states[-sequence.positions :] @ sequence.head.weight.T + sequence.head.bias
            torch.testing.assert_close(logits[item].flatten(), read.flatten(), atol=1e-5, rtol=0)


def test_a_part_of_a_padded_split_is_the_padded_part(tiny):
    tokens, encoding, chosen = tiny.items("listops"), tiny.encoding("listops"), torch.tensor([7, 2, 90]).numpy()
    places = torch.arange(3).numpy()
    one, other = tokens.padded(encoding).items(chosen), tokens.items(chosen).padded(encoding)
    for found, expected in zip(one.gather(places), other.gather(places), strict=True):
        assert (found == expected).all()
    values, real, _ = one.gather(places)
    assert ((values == len(encoding.vocabulary)) == ~real).all()
    assert real.sum(1).tolist() == tokens.lengths[chosen].tolist()


def test_padding_has_no_part_in_the_scale_of_a_new_input(tiny):
    items, symbols = tiny.items("listops"), torch.from_numpy(tiny.items("listops").values.astype("int64"))
    encoding, scales = tiny.encoding("listops"), []
    for read, tokens in (("last", items), ("last-position", items.padded(encoding))):
        spec = tiny.spec(head={"read": read}, input_scale=0.5)
        scales.append(build_model(spec, encoding, tokens, 0).input(symbols).square().mean().sqrt().item())
    assert scales == pytest.approx([0.5, 0.5], rel=1e-4)


# --- poolers ----------------------------------------------------------------------------------------------------


def test_body_input_and_head_are_the_same_with_every_head(tiny):
    plain = build(tiny).state_dict()
    for head in ({"read": "mean"}, {"pooler": "new"}, {"dropout": 0.3}):
        other = build(tiny, head=head).state_dict()
        assert all(torch.equal(tensor, other[name]) for name, tensor in plain.items())
        assert {name.split(".")[0] for name in other.keys() - plain.keys()} <= {"pooler"}


@pytest.mark.parametrize(
    ("pooler", "trained", "expected"),
    [
        ("new", ["head"], True),
        ("new", ["input"], False),
        ("pretrained", ["head"], False),
        ("pretrained", ["head", "input", "positions", "norms"], False),
        ("pretrained", ["head", "feedforward"], True),
        ("pretrained", ["head", {"groups": ["feedforward"], "blocks": {"which": "last", "count": 1}}], False),
        ("pretrained", ["head", {"groups": ["feedforward"], "lora": {"rank": 2, "alpha": 2}}], False),
    ],
)
def test_a_new_pooler_is_trained_with_the_head_and_that_of_the_checkpoint_with_the_body(
    pooler, trained, expected, tiny
):
    sequence = build(tiny, trained=trained, head={"pooler": pooler})
    names = {"pooler.dense.weight", "pooler.dense.bias"}
    assert names & sequence.rates.keys() == (names if expected else set())
    assert {name for name, one in sequence.named_parameters() if one.requires_grad} == sequence.rates.keys()


@pytest.mark.parametrize("model", ["bert", "albert", "roberta", "longformer", "esm"])
def test_under_a_random_body_the_pooler_is_drawn_as_the_architecture_draws_it(model, tiny):
    stored = load_file(Path(tiny.checkpoints[model].folder, "model.safetensors"))
    [name] = [one for one in stored if re.search(r"pooler(\.dense)?\.weight$", one)]
    head = {"pooler": "pretrained"}
    assert torch.equal(build(tiny, model, head=head).pooler.dense.weight, stored[name])
    drawn, again, other = (build(tiny, model, body="random", head=head, seed=seed).pooler.dense for seed in (0, 0, 1))
    assert drawn.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not drawn.bias.any()
    assert torch.equal(drawn.weight, again.weight)
    assert not torch.equal(drawn.weight, other.weight)
    kept = build(tiny, model, body={"kind": "statistics"}, head=head).pooler.dense
    assert torch.equal(kept.weight, stored[name])


@pytest.mark.parametrize("model", sorted(model for model in SIZES if ADAPTERS[model].pooler is None))
def test_an_architecture_without_a_pooler_is_refused(model, tiny):
    for body in ("pretrained", "random"):
        with pytest.raises(
            UserError, match=rf"^crossover knows no pooler of the architecture {model}, which head\.pool"
        ):
            build(tiny, model, body=body, head={"pooler": "pretrained"})


def test_a_file_without_the_pooler_is_refused(tiny, tmp_path):
    source = Path(tiny.checkpoints["bert"].folder)
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    tensors = {name: one for name, one in load_file(source / "model.safetensors").items() if "pooler" not in name}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    checkpoint = {"name": "mine", "folder": str(tmp_path)}
    assert build(tiny, checkpoint=checkpoint, body="random", head={"pooler": "pretrained"})
    with pytest.raises(UserError) as caught:
        build(tiny, checkpoint=checkpoint, head={"pooler": "pretrained"})
    assert str(caught.value) == (
        f"{tmp_path}/model.safetensors has no pooler.dense.weight of shape [16, 16], which head.pooler asks for; set "
        "head.pooler to new or none, or take another checkpoint."
    )


# --- runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        {"read": "cls", "pooler": "pretrained", "dropout": 0.3},
        {"read": "mean", "pooler": "new"},
        {"read": "last-position"},
    ],
)
def test_a_stopped_run_with_another_head_ends_as_the_run_that_was_not(head, tiny, tmp_path, monkeypatch):
    spec = tiny.spec(model="bert", head=head, training={"evaluate_every": "4 steps"})
    finetune_run(spec, 0, tmp_path / "whole", CPU, 0, "test")
    ask_to_end(monkeypatch, stage, "collate", {15})
    with pytest.raises(Interrupted):
        finetune_run(spec, 0, tmp_path / "stopped", CPU, 0, "test")
    finetune_run(spec, 0, tmp_path / "stopped", CPU, 0, "test")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
    plain = tiny.spec(model="bert", training={"evaluate_every": "4 steps"})
    finetune_run(plain, 0, tmp_path / "plain", CPU, 0, "test")
    losses = [
        read_json(tmp_path / name / "metrics.json")["selected"]["validation"]["loss"] for name in ("whole", "plain")
    ]
    assert losses[0] != losses[1]


# --- planning ---------------------------------------------------------------------------------------------------

STUDY = """\
title: Heads
question: Which?
tasks: [{task}]
checkpoints: [{checkpoint}]
conditions: [{condition}]
seeds: [0]
training: {{head: {head}}}
"""


@pytest.mark.parametrize(
    ("task", "checkpoint", "condition", "head", "expected"),
    [
        (
            "bit-xor",
            "topics-gpt2",
            "random-all",
            "{read: mean}",
            "bits are read position by position, not by read: mean",
        ),
        ("listops", "topics-gpt2", "random-all", "{read: cls}", "the first position of a gpt2 knows no other"),
        ("listops", "topics-gpt2", "random-all", "{pooler: pretrained}", "the architecture gpt2 has no pooler that"),
        ("listops", "here", "pretrained-all", "{pooler: pretrained}", "checkpoint here has no pooler"),
        (
            "listops",
            "here",
            "random-reembedded-all",
            "{read: last-position}",
            "read: last-position reads padding, which has",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused_before_anything_runs(task, checkpoint, condition, head, expected, config):
    topics = (config / "checkpoints/topics-gpt2.yaml").read_text()
    (config / "checkpoints/here.yaml").write_text(topics.replace("architecture: gpt2", "architecture: bert"))
    Path("heads.yaml").write_text(STUDY.format(task=task, checkpoint=checkpoint, condition=condition, head=head))
    with pytest.raises(UserError) as caught:
        make_plan("heads.yaml")
    where = f"head of task {task}, checkpoint {checkpoint} and condition {condition}: "
    assert str(caught.value).startswith(where + expected)


def test_a_body_drawn_at_random_draws_its_pooler_too(config):
    topics = (config / "checkpoints/topics-gpt2.yaml").read_text()
    (config / "checkpoints/here.yaml").write_text(topics.replace("architecture: gpt2", "architecture: bert"))
    head = "{read: cls, pooler: pretrained, dropout: 0.1}"
    Path("heads.yaml").write_text(STUDY.format(task="listops", checkpoint="here", condition="random-all", head=head))
    assert make_plan("heads.yaml").specs
