"""Checkpoints that are pretrained on the tokens of a task, of every architecture, against the plain classes."""

import math
import shutil
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_cards import card_of
from tiny_runs import ask_to_end
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from crossover.config.encodings import EventsEncoding, KmersEncoding, SymbolsEncoding
from crossover.encodings.kmers import make_encoder as make_kmers
from crossover.encodings.midi_events import make_encoder as make_events
from crossover.encodings.symbols import make_encoder as make_symbols
from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.discovery import ADAPTERS
from crossover.models.embeddings import symbol_to_token_ids
from crossover.models.factory import build_model
from crossover.pretraining.objectives import IGNORE_INDEX, Masking, draw_places
from crossover.pretraining.patches import MASKED_PATCHES, PatchLearner
from crossover.pretraining.pretrain import FILES, pretrain_checkpoint
from crossover.pretraining.symbols import SymbolLearner
from crossover.pretraining.tokenizer import SPECIAL
from crossover.pretraining.vocabulary import make_tokenizer
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec
from crossover.training.finetune import finetune_run
from crossover.training.loop import Interrupted

pytestmark = pytest.mark.training
CPU = torch.device("cpu")
NEVER = 1e9  # seconds between saves
TASKS = {"symbols": "listops", "patches": "bits"}  # of tiny_runs
LEARNERS = {"symbols": SymbolLearner, "patches": PatchLearner}
OBJECTIVES = {name: adapter.objective for name, adapter in ADAPTERS.items() if adapter.objective}
EACH = pytest.mark.parametrize("model", OBJECTIVES)


def spec_of(model, reads="symbols", steps=40, **changes):
    size = {"blocks": 2, "width": 16, "heads": 2, "positions": max(ADAPTERS[model].window, 16), "dropout": 0.1}
    training = {"batch_size": 8, "steps": steps, "learning_rate": 1e-2, "seed": 4}
    fields = {"name": "self-00000000", "code": {}, "corpus": "tokens", "reads": reads, "vocabulary": None}
    return PretrainedSpec(**fields | size | {"architecture": model, "training": training} | changes)


@pytest.fixture(scope="module")
def pretrained(_tiny, tmp_path_factory):
    """A checkpoint of an architecture, pretrained on the tokens of a task; made when it is first asked for."""
    root = tmp_path_factory.mktemp("pretrained")

    def make(model, reads="symbols"):
        folder = root / reads / model
        if not folder.exists():
            corpus = _tiny.tokens[TASKS[reads]] / "encoding.json"
            pretrain_checkpoint(spec_of(model, reads), corpus, folder, CPU, NEVER, "test")
        return folder

    return make


def texts(tiny, split):
    """The sequences of the task of symbols, from what was prepared."""
    return pa.parquet.read_table(tiny.root / f"results/tasks/listops/{split}.parquet")["sequence"].to_pylist()


# --- symbols ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [name for name, objective in OBJECTIVES.items() if objective == "causal"])
def test_the_loss_is_that_of_one_symbol_after_another(model, pretrained, tiny):
    """From the files that were written and the validation sequences as text, one item at a time."""
    folder = pretrained(model)
    report = read_json(folder / "checkpoint.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    losses, wanted = [], []
    with torch.inference_mode():
        for text in texts(tiny, "validation"):
            ids = tokenizer.encode(text).ids
            scores = functional.log_softmax(plain(torch.tensor([ids])).logits[0].double(), -1)
            losses += [-scores[place - 1, ids[place]].item() for place in range(1, len(ids))]
            wanted += ids[1:]
    assert report["loss"]["model"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert report["perplexity"]["model"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)
    assert report["corpus"]["predicted_tokens"] == len(losses)

    learned = [token for text in texts(tiny, "train") for token in [0, *tokenizer.encode(text).ids]]
    counts, size = Counter(learned), tokenizer.get_vocab_size()
    unigram = np.mean([-math.log((counts[token] + 1) / (len(learned) + size)) for token in wanted])
    assert report["loss"]["unigram"] == pytest.approx(unigram)
    assert report["loss"]["model"] < report["loss"]["unigram"] < math.log(size), "it learns more than frequencies"


@pytest.mark.parametrize("model", [name for name, objective in OBJECTIVES.items() if objective == "masked"])
def test_the_loss_is_that_of_the_hidden_symbols(model, pretrained, tiny):
    folder = pretrained(model)
    report = read_json(folder / "checkpoint.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [tokenizer.encode(text).ids for text in texts(tiny, "validation")]
    longest = max(map(len, rows))
    ids = np.array([row + [1] * (longest - len(row)) for row in rows])
    masking = Masking(mask=2, first=3, end=tokenizer.get_vocab_size())
    read, labels = masking.hide(ids, ids != 1, np.random.default_rng([4, 1]), False)
    if AutoConfig.from_pretrained(folder).is_encoder_decoder:
        whole = AutoModel.from_pretrained(folder).eval()
        scores_of = lambda ids: whole.encoder(ids).last_hidden_state @ whole.get_input_embeddings().weight.T  # noqa: E731
    else:
        plain = AutoModelForMaskedLM.from_pretrained(folder).eval()
        scores_of = lambda ids: plain(ids).logits  # noqa: E731
    losses = []
    with torch.inference_mode():
        for row, inputs, wanted in zip(rows, read, labels, strict=True):  # each without padding
            scores = functional.log_softmax(scores_of(torch.tensor(inputs[: len(row)])[None])[0].double(), -1)
            losses += [-scores[place, wanted[place]].item() for place in np.flatnonzero(wanted != IGNORE_INDEX)]
    assert report["loss"]["model"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert report["corpus"]["predicted_tokens"] == len(losses) == sum(max(1, round(0.15 * len(row))) for row in rows)
    assert report["loss"]["model"] < math.log(tokenizer.get_vocab_size())
    assert report["tokens_seen"] == tokens_seen(
        tiny, [len(tokenizer.encode(text).ids) for text in texts(tiny, "train")]
    )


def tokens_seen(tiny, lengths):
    """In 40 steps of 8 items: an epoch of 100 items has 13, so that they are three epochs and a step."""
    first = np.random.default_rng([derived_seed(4, "order"), 3]).permutation(100)[:8]
    return 3 * sum(lengths) + sum(lengths[index] for index in first)


def test_padding_is_neither_predicted_nor_put_in_for_symbols():
    ids = np.array([[5, 6, 7, 8, 1, 1], [9, 5, 6, 7, 8, 9]] * 200)
    read, labels = Masking(2, 3, 10).hide(ids, ids != 1, np.random.default_rng(0), True)
    assert (labels[ids == 1] == IGNORE_INDEX).all()
    assert (read[ids == 1] == 1).all()
    assert ((labels != IGNORE_INDEX).sum(axis=1) == 1).all()
    swapped = (read != ids) & (read != 2)
    assert set(read[swapped]) == set(range(3, 10))
    assert not draw_places(np.zeros((2, 3), dtype=bool), 0.5, np.random.default_rng(0)).any()


ENCODINGS = {
    "dna": (make_symbols, SymbolsEncoding(kind="symbols", alphabet="dna", max_length=9), "ACGTN"),
    "protein": (make_symbols, SymbolsEncoding(kind="symbols", alphabet="protein", max_length=9), "MKVXW"),
    "surrounded": (
        make_symbols,
        SymbolsEncoding(kind="symbols", alphabet="dna", max_length=9, special_tokens=True),
        "ACGTN",
    ),
    "words": (make_symbols, SymbolsEncoding(kind="symbols", alphabet="whitespace", max_length=9), "[MAX 2 9 ]"),
    "characters": (make_symbols, SymbolsEncoding(kind="symbols", alphabet="characters", max_length=9), "a b"),
    "k-mers": (make_kmers, KmersEncoding(kind="kmers", alphabet="dna", k=3, max_length=9), "ACGTN"),
    "pitches": (make_symbols, SymbolsEncoding(kind="symbols", alphabet="midi-pitch", max_length=9), [60, 127]),
    "events": (make_events, EventsEncoding(kind="events", max_length=8), [100, 60, 500, 64]),
}


@pytest.mark.parametrize(("make", "encoding", "sequence"), ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("objective", SPECIAL)
def test_each_symbol_is_the_token_of_the_same_spelling(make, encoding, sequence, objective, tmp_path):
    text = isinstance(sequence, str)
    kind = pa.large_string() if text else pa.list_(pa.field("element", pa.int32()))
    table = pa.table({"sequence": pa.array([sequence], kind)})
    unit = "numbers (four per note)" if encoding.kind == "events" else "letters"
    encoder = make(encoding, card_of(unit=unit), table)
    tokenizer = make_tokenizer(encoder.facts, SPECIAL[objective])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    symbols_of_task = encoder.facts.vocabulary
    size, first = tokenizer.get_vocab_size(), len(SPECIAL[objective])
    assert [tokenizer.id_to_token(index) for index in range(size)] == [*SPECIAL[objective], *symbols_of_task]
    ids = symbol_to_token_ids("pretrained", encoder.facts, size, tmp_path / "tokenizer.json")
    assert (ids == np.arange(len(symbols_of_task)) + first).all()

    if encoding.kind != "events":  # whose names have spaces in them
        encoded = encoder.encode(table).values
        words = sequence if text else " ".join(map(str, sequence))
        if encoding.kind == "kmers":
            words = " ".join(words[start : start + 3] for start in range(len(words) - 2))
        assert tokenizer.encode(words).ids == (encoded.astype(int) + first).tolist()


def test_a_symbol_that_is_spelled_like_a_special_token_is_refused():
    table = pa.table({"sequence": pa.array(["a <|mask|>"], pa.large_string())})
    encoding = SymbolsEncoding(kind="symbols", alphabet="whitespace", max_length=9)
    with pytest.raises(
        UserError, match=r"the symbol '<\|mask\|>', which is the name of a special token too; rename it"
    ):
        make_tokenizer(make_symbols(encoding, card_of(), table).facts, SPECIAL["masked"])


# --- patches ----------------------------------------------------------------------------------------------------


@EACH
def test_the_loss_of_patches_is_the_mean_squared_error(model, tiny):
    """With the parts of the model, one item at a time."""
    folder = tiny.tokens["bits"]
    learner = PatchLearner(spec_of(model, "patches"), folder / "encoding.json", CPU)
    net = learner.model.eval()
    validation, train = (Tokens.open(folder, split) for split in ("validation", "train"))
    patches, real, _ = validation.gather(np.arange(len(validation)))
    masked = draw_places(real, MASKED_PATCHES, np.random.default_rng([4, 1]))
    if OBJECTIVES[model] == "masked":
        assert (masked.sum(axis=1) == round(patches.shape[1] / 2)).all()
    errors, constant = [], []
    with torch.inference_mode():
        for item, hidden in zip(torch.from_numpy(patches), masked, strict=True):
            embedded = item @ net.input.weight.T + net.input.bias
            wanted = range(1, len(item))
            if OBJECTIVES[model] == "masked":
                wanted = np.flatnonzero(hidden)
                embedded[wanted] = net.mask
            mask = torch.ones(1, len(item), dtype=torch.long)
            states = net.body(inputs_embeds=embedded[None], attention_mask=mask).last_hidden_state[0]
            given = states @ net.output.weight.T + net.output.bias
            for place in wanted:
                told = given[place] if OBJECTIVES[model] == "masked" else given[place - 1]
                errors.append((told - item[place]).square().mean().item())
                constant.append(np.square(item[place].numpy() - train.values.mean(0)).mean())
        assert learner.held_out_loss() == pytest.approx(np.mean(errors), rel=1e-5)
    report = learner.report(1.0, 0)
    assert report.loss["mean"] == pytest.approx(np.mean(constant))
    assert report.corpus.predicted_tokens == len(errors)


@pytest.mark.parametrize("model", ["gpt2", "bert", "t5", "bart", "longformer"])
def test_fine_tuning_starts_from_the_pretrained_input_layer_of_patches(model, pretrained, tiny, tmp_path):
    folder = pretrained(model, "patches")
    checkpoint = {"name": "self", "folder": str(folder)}
    spec = tiny.spec("bits", checkpoint=checkpoint, input="pretrained", training={"length": "2 steps"})
    built = build_model(spec, tiny.encoding("bits"), tiny.items("bits"), 0)
    stored = load_file(folder / "model.safetensors")
    assert torch.equal(built.input.weight, stored["patch_input.weight"])
    assert torch.equal(built.input.bias, stored["patch_input.bias"])
    learner = PatchLearner(spec_of(model, "patches"), tiny.tokens["bits"] / "encoding.json", CPU)
    assert not torch.equal(learner.model.input.weight, built.input.weight), "it was trained"
    used = [*built.body.parameters(), *built.input.parameters(), *learner.model.output.parameters()]
    mask = 0 if learner.model.mask is None else 16
    assert read_json(folder / "checkpoint.json")["parameters"] == sum(map(torch.Tensor.numel, used)) + mask
    plain = ADAPTERS[model].body_of(AutoModel.from_pretrained(folder)).state_dict()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in built.body.state_dict().items())
    finetune_run(spec, 0, tmp_path, CPU, NEVER, "test")
    assert read_json(tmp_path / "metrics.json")["selected"]["steps"] == 2


def test_a_new_input_layer_has_the_scale_of_the_pretrained_one_for_white_noise(pretrained, tiny):
    checkpoint = {"name": "self", "folder": str(pretrained("gpt2", "patches"))}
    new = build_model(tiny.spec(checkpoint=checkpoint), tiny.encoding("listops"), tiny.items("listops"), 0)
    own = tiny.spec("bits", checkpoint=checkpoint, input="pretrained")
    layer = build_model(own, tiny.encoding("bits"), tiny.items("bits"), 0).input
    noise = torch.randn(20000, 2, generator=torch.Generator().manual_seed(0))
    ids, real, _ = tiny.items("listops").gather(np.arange(100))
    given = new.input(torch.from_numpy(ids.astype(np.int64)))[torch.from_numpy(real)]
    assert given.square().mean().item() == pytest.approx(layer(noise).square().mean().item(), rel=0.05)


@pytest.mark.parametrize(("task", "has"), [("listops", "symbols"), ("bits", "patches of 2 values")])
def test_other_input_than_was_pretrained_on_is_refused(task, has, pretrained, tiny, tmp_path):
    wide = tmp_path / "wide"
    shutil.copytree(pretrained("gpt2", "patches"), wide)
    tensors = load_file(wide / "model.safetensors")
    tensors["patch_input.weight"] = torch.zeros(16, 5)
    save_file(tensors, wide / "model.safetensors", {"format": "pt"})
    spec = tiny.spec(task, checkpoint={"name": "self", "folder": str(wide)}, input="pretrained")
    with pytest.raises(
        UserError, match=rf"was pretrained on patches of 5 values, but the task has {has}; choose input new"
    ):
        build_model(spec, tiny.encoding(task), tiny.items(task), 0)


# --- both -------------------------------------------------------------------------------------------------------


@EACH
def test_fine_tuning_starts_from_the_pretrained_embeddings_of_symbols(model, pretrained, tiny, tmp_path):
    folder = pretrained(model)
    checkpoint = {"name": "self", "folder": str(folder)}
    spec = tiny.spec(checkpoint=checkpoint, input="pretrained", training={"length": "2 steps"})
    built = build_model(spec, tiny.encoding("listops"), tiny.items("listops"), 0)
    table = ADAPTERS[model].body_of(AutoModel.from_pretrained(folder)).get_submodule(ADAPTERS[model].token_table).weight
    names = tiny.encoding("listops").vocabulary
    with torch.inference_mode():
        embedded = built.input(torch.arange(len(names)))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert all(torch.equal(row, table[tokenizer.token_to_id(name)]) for row, name in zip(embedded, names, strict=True))
    finetune_run(spec, 0, tmp_path, CPU, NEVER, "test")
    assert read_json(tmp_path / "metrics.json")["selected"]["steps"] == 2


@pytest.mark.parametrize("reads", TASKS)
@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_no_item_of_the_test_split_is_read(model, reads, pretrained, tiny, tmp_path):
    """Without the files of the test split, and without the task that they were made from, the same bytes come out."""
    tokens = tmp_path / "tokens"
    shutil.copytree(tiny.tokens[TASKS[reads]], tokens, ignore=shutil.ignore_patterns("test.*"))
    pretrain_checkpoint(spec_of(model, reads), tokens / "encoding.json", tmp_path / "made", CPU, NEVER, "test")
    for name in (*FILES, "checkpoint.json"):
        assert (tmp_path / "made" / name).read_bytes() == (pretrained(model, reads) / name).read_bytes()
    for split in ("train", "validation"):
        (tokens / f"{split}.values.npy").write_bytes(b"")
        with pytest.raises(UserError, match=rf"{split}\.values\.npy"):
            pretrain_checkpoint(spec_of(model, reads), tokens / "encoding.json", tmp_path / "no", CPU, NEVER, "test")
        shutil.copy(tiny.tokens[TASKS[reads]] / f"{split}.values.npy", tokens)


@pytest.mark.parametrize("reads", TASKS)
@pytest.mark.parametrize("model", ["gpt2", "bert", "t5"])
def test_what_was_stopped_twice_ends_with_the_same_bytes(model, reads, pretrained, tiny, tmp_path, monkeypatch):
    expected = pretrained(model, reads)
    ask_to_end(monkeypatch, LEARNERS[reads], "loss", {10, 30})
    corpus = tiny.tokens[TASKS[reads]] / "encoding.json"
    for _ in range(2):
        with pytest.raises(Interrupted):
            pretrain_checkpoint(spec_of(model, reads), corpus, tmp_path, CPU, NEVER, "test")
        assert not (tmp_path / "model.safetensors").exists()
    pretrain_checkpoint(spec_of(model, reads), corpus, tmp_path, CPU, NEVER, "test")
    for name in (*FILES, "checkpoint.json"):
        assert (tmp_path / name).read_bytes() == (expected / name).read_bytes()
    assert read_json(tmp_path / "provenance.json")["resumed"] == 2


@pytest.mark.parametrize("reads", TASKS)
def test_items_longer_than_the_positions_are_refused(reads, tiny, tmp_path):
    corpus = tiny.tokens[TASKS[reads]] / "encoding.json"
    with pytest.raises(
        UserError, match=r"has sequences of \d+ positions, but checkpoint self-00000000 has only 3; raise"
    ):
        pretrain_checkpoint(spec_of("gpt2", reads, positions=3), corpus, tmp_path, CPU, NEVER, "test")
