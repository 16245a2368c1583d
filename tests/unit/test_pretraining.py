"""Language models that are made here, of every architecture, against the plain classes and against counting."""

import json
import math
import random
from collections import Counter
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import ask_to_end, outline, renamed, start
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from crossover.acquire.acquired import Acquired
from crossover.acquire.receipt import write_receipt
from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_model
from crossover.pretraining import text
from crossover.pretraining.corpus import read_documents
from crossover.pretraining.ngrams import ngram_losses
from crossover.pretraining.objectives import IGNORE_INDEX, evaluation_batches, masked
from crossover.pretraining.pretrain import pretrain_checkpoint
from crossover.pretraining.tokenizer import MASK, SPECIAL, split_documents, train_tokenizer
from crossover.specs.checkpoints import PretrainedSpec
from crossover.training.finetune import finetune_run
from crossover.training.loop import Interrupted

pytestmark = pytest.mark.training
CPU = torch.device("cpu")
NEVER = 1e9  # seconds between saves
OBJECTIVES = {name: adapter.objective for name, adapter in ADAPTERS.items() if adapter.objective}
EACH = pytest.mark.parametrize("model", OBJECTIVES)
PRETRAINING = {
    "name": "tiny-00000000",
    "code": {},
    "corpus": "topics",
    "reads": "text",
    "vocabulary": 270,
    "blocks": 2,
    "width": 16,
    "heads": 2,
    "positions": 16,
    "dropout": 0.1,
    "training": {
        "context": 12,
        "batch_size": 8,
        "steps": 60,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "held_out": 0.2,
        "seed": 4,
    },
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A receipt of a few documents in the form of Python's topics."""
    folder = tmp_path_factory.mktemp("corpus")
    words = random.Random(1)
    topics = {
        f"topic{number}": " ".join(words.choice(["the", "value", "of", "a", "name", "is", "été"]) for _ in range(60))
        for number in range(8)
    }
    (folder / "topics.py").write_text(f"# a comment\ntopics = {topics!r}\n", encoding="utf-8")
    write_receipt(folder / "dataset.json", Acquired(folder, ["topics.py"], "here", None), "topics", "python-topics")
    return folder / "dataset.json"


def spec_of(model, changes=MappingProxyType({}), **training):
    positions = max(ADAPTERS[model].window, PRETRAINING["positions"])
    fields = PRETRAINING | {"architecture": model, "positions": positions} | changes
    return PretrainedSpec(**fields | {"training": PRETRAINING["training"] | training})


@pytest.fixture(scope="session")
def pretrained(corpus, tmp_path_factory):
    """A checkpoint of each architecture."""
    torch.set_num_threads(1)  # as in a run: sums in another order are other numbers
    root = tmp_path_factory.mktemp("pretrained")
    for model in OBJECTIVES:
        pretrain_checkpoint(spec_of(model), corpus, root / model, CPU, NEVER, "test")
    return root


def parts(corpus, folder):
    """The tokenizer, and the token ids of the training and the held-out part."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = split_documents(read_documents(corpus), 0.2, 4)
    return tokenizer, *(
        [token for text in part for token in tokenizer.encode("<|endoftext|>" + text).ids] for part in texts
    )


@pytest.mark.parametrize("model", [name for name, objective in OBJECTIVES.items() if objective == "causal"])
def test_the_held_out_loss_is_that_of_one_token_after_another(model, corpus, pretrained):
    """From the files that were written, with the plain classes: each token is predicted from those before it in its window."""
    folder = pretrained / model
    report = read_json(folder / "checkpoint.json")
    tokenizer, training, held_out = parts(corpus, folder)
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    total = 0.0
    with torch.inference_mode():
        for position in range(1, len(held_out)):
            begin = (position - 1) // 12 * 12
            logits = plain(torch.tensor([held_out[begin:position]])).logits[0, -1].double()
            total -= functional.log_softmax(logits, -1)[held_out[position]].item()
    loss = total / (len(held_out) - 1)
    assert report["loss"]["model"] == pytest.approx(loss, abs=1e-5)
    assert report["perplexity"]["model"] == pytest.approx(math.exp(loss), rel=1e-5)

    size = tokenizer.get_vocab_size()
    each = [math.log((training.count(token) + 1) / (len(training) + size)) for token in held_out[1:]]
    unigram = -sum(each) / len(each)
    assert report["loss"]["unigram"] == pytest.approx(unigram, abs=1e-9)
    assert report["perplexity"]["unigram"] == pytest.approx(math.exp(unigram))
    assert report["loss"]["model"] < report["loss"]["unigram"] < math.log(size), "it learns more than frequencies"

    characters = sum(len(text) for text in split_documents(read_documents(corpus), 0.2, 4)[1])
    assert report["bits_per_character"]["model"] == pytest.approx(total / math.log(2) / characters, rel=1e-5)
    assert report["corpus"]["tokens"] == len(training) + len(held_out)
    assert report["corpus"]["held_out_tokens"] == len(held_out) == report["corpus"]["predicted_tokens"] + 1


@pytest.mark.parametrize("model", [name for name, objective in OBJECTIVES.items() if objective == "masked"])
def test_the_held_out_loss_is_that_of_the_hidden_tokens(model, corpus, pretrained):
    folder = pretrained / model
    report = read_json(folder / "checkpoint.json")
    tokenizer, training, held_out = parts(corpus, folder)
    hidden, size = tokenizer.token_to_id(MASK), tokenizer.get_vocab_size()
    if AutoConfig.from_pretrained(folder).is_encoder_decoder:
        whole = AutoModel.from_pretrained(folder).eval()
        table = whole.get_input_embeddings().weight

        def scores_of(ids):
            return whole.encoder(ids).last_hidden_state @ table.T
    else:
        plain = AutoModelForMaskedLM.from_pretrained(folder).eval()

        def scores_of(ids):
            return plain(ids).logits

    losses, places = [], []
    with torch.inference_mode():
        for read, labels in evaluation_batches(np.array(held_out), 12, masked(hidden, 3, size), 4):
            for window, wanted in zip(read, labels, strict=True):
                scores = functional.log_softmax(scores_of(torch.tensor(window)[None])[0].double(), -1)
                losses += [-scores[place, wanted[place]].item() for place in np.flatnonzero(wanted != IGNORE_INDEX)]
                places += (wanted != IGNORE_INDEX).tolist()
    assert report["loss"]["model"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert report["corpus"]["predicted_tokens"] == len(losses) == sum(places)
    trigram = ngram_losses(np.array(training), np.array(held_out), size, 3)[places].mean()
    assert report["loss"]["trigram"] == pytest.approx(trigram)
    assert report["loss"]["model"] < report["loss"]["unigram"], "it learns more than frequencies"
    assert report["bits_per_character"] is None


@EACH
def test_what_was_pretrained_is_a_checkpoint_of_a_run(model, pretrained, tiny, tmp_path):
    folder = pretrained / model
    spec = tiny.spec(checkpoint={"name": "made", "folder": str(folder)}, training={"length": "2 steps"})
    finetune_run(spec, 0, tmp_path, CPU, NEVER, "test")
    assert read_json(tmp_path / "metrics.json")["selected"]["steps"] == 2
    body = build_model(spec, tiny.encoding("listops"), tiny.items("listops"), 0).body
    stored = ADAPTERS[model].body_of(AutoModel.from_pretrained(folder)).state_dict()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in body.state_dict().items())
    assert body.config.model_type == model
    blocks = ADAPTERS[model].blocks
    assert len(body.get_submodule(blocks)) == len(outline(model).get_submodule(blocks))


@pytest.mark.parametrize("model", ["gpt2", "bert", "t5"])
def test_pretraining_that_was_stopped_twice_ends_with_the_same_weights(
    model, corpus, pretrained, tmp_path, monkeypatch
):
    ask_to_end(monkeypatch, text, "draw_windows", {10, 50})
    for _ in range(2):
        with pytest.raises(Interrupted):
            pretrain_checkpoint(spec_of(model), corpus, tmp_path, CPU, NEVER, "test")
        assert not (tmp_path / "model.safetensors").exists()
    pretrain_checkpoint(spec_of(model), corpus, tmp_path, CPU, NEVER, "test")
    for name in ("model.safetensors", "config.json", "tokenizer.json", "curve.parquet", "checkpoint.json"):
        assert (tmp_path / name).read_bytes() == (pretrained / model / name).read_bytes()
    assert read_json(tmp_path / "provenance.json")["resumed"] == 2


def test_pretraining_runs_as_a_command(corpus, tmp_path, forked):
    (tmp_path / "spec.json").write_text(renamed(spec_of("gpt2", steps=3)).text)
    arguments = ("--spec", tmp_path / "spec.json", "--corpus", corpus, "--output", tmp_path / "out", "--gpus", "0")
    process = start("pretrain-checkpoint", *arguments, env=forked)
    assert process.wait(60) == 0, process.stderr.read()
    assert json.loads((tmp_path / "out/checkpoint.json").read_text())["steps"] == 3


def test_a_corpus_shorter_than_the_context_is_refused(corpus, tmp_path):
    spec = spec_of("gpt2", {"positions": 5000}, context=5000)
    with pytest.raises(UserError, match=r"^\S+dataset\.json: the corpus is shorter than one context of 5000 tokens; "):
        pretrain_checkpoint(spec, corpus, tmp_path, CPU, NEVER, "test")


# --- corpora ----------------------------------------------------------------------------------------------------


@given(
    documents=st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=15),
    held_out=st.floats(0.05, 0.6),
    seed=st.integers(0, 100),
)
def test_documents_are_held_out_whole_until_the_share_is_reached(documents, held_out, seed):
    documents = [f"{number}{text}" for number, text in enumerate(documents)]
    kept, out = split_documents(documents, held_out, seed)
    assert sorted(kept + out) == sorted(documents)
    assert out == [text for text in documents if text in out]
    share = [len(text) / sum(map(len, documents)) for text in out]
    assert sum(share) >= held_out - 1e-9
    assert any(sum(share) - one <= held_out + 1e-9 for one in share), "not one document more than needed"


@pytest.fixture(scope="module", params=SPECIAL)
def tokenizer(request):
    return train_tokenizer(["the value of a name", "été"], 300, SPECIAL[request.param])


@given(text=st.text())
@settings(deadline=None)
def test_the_tokenizer_loses_nothing_and_has_its_special_tokens_first(text, tokenizer):
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    special = [name for name in SPECIAL["masked"] if tokenizer.token_to_id(name) is not None]
    assert [tokenizer.token_to_id(name) for name in special] == list(range(len(special)))


@given(
    training=st.lists(st.integers(0, 3), min_size=3, max_size=40),
    held_out=st.lists(st.integers(0, 3), min_size=2, max_size=12),
    order=st.integers(1, 3),
)
def test_counts_of_sequences_are_smoothed_as_witten_and_bell_do(training, held_out, order):
    def probability(context, token):
        """Recursively, from lists."""
        if not context:
            return (training.count(token) + 1) / (len(training) + 4)
        length = len(context)
        after = Counter(
            training[place + length]
            for place in range(len(training) - length)
            if training[place : place + length] == context
        )
        shorter = probability(context[1:], token)
        return (after[token] + len(after) * shorter) / (after.total() + len(after)) if after else shorter

    found = ngram_losses(np.array(training), np.array(held_out), 4, order)
    wanted = [
        -math.log(probability(held_out[max(0, place - order + 1) : place], held_out[place]))
        for place in range(1, len(held_out))
    ]
    assert found == pytest.approx(wanted)
    context = held_out[: order - 1]
    assert sum(probability(context, token) for token in range(4)) == pytest.approx(1)


# --- masks ------------------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 6), context=st.integers(2, 40), seed=st.integers(0, 99), training=st.booleans())
def test_as_many_tokens_are_asked_for_in_every_window(rows, context, seed, training):
    windows = np.random.default_rng(seed).integers(3, 50, (rows, context + 1))
    read, labels = masked(2, 3, 50)(windows, np.random.default_rng(seed), training)
    chosen = labels != IGNORE_INDEX
    assert set(chosen.sum(1)) == {max(1, round(0.15 * context))}
    assert (labels[chosen] == windows[:, 1:][chosen]).all()
    assert (read[~chosen] == windows[:, 1:][~chosen]).all(), "what is not asked for stays"
    assert (read[chosen] >= 2).all(), "no other special token is put in"
    assert training or (read[chosen] == 2).all()


def test_hidden_tokens_are_replaced_in_the_shares_of_bert():
    windows = np.full((4000, 101), 7)
    read, labels = masked(2, 3, 1000)(windows, np.random.default_rng(0), True)
    asked = read[labels != IGNORE_INDEX]
    shares = [(asked == 2).mean(), (asked == 7).mean(), ((asked != 2) & (asked != 7)).mean()]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.005)  # 60,000 draws: deviations of 0.0016 and 0.0012
    places = np.flatnonzero((labels != IGNORE_INDEX).any(0))
    assert len(places) == 100, "every place is asked for"
