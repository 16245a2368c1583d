"""How sequences enter: the checkpoint's own embeddings, those of other tokens, random ones, for every architecture."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_models import plain_model
from safetensors.torch import save_file
from test_models import weights
from tiny_runs import SIZES, VOCABULARY
from transformers import AutoModel, AutoTokenizer

from crossover.acquire.formats import convert
from crossover.alphabets import ALPHABETS
from crossover.config.inputs import PermutationInput, ShiftInput, TableInput
from crossover.encodings.tokenizer import read_tokenizer, separator_id
from crossover.errors import UserError
from crossover.files import sha256
from crossover.models.embeddings import OFFSET, symbol_to_token_ids, token_map
from crossover.models.factory import build_model
from crossover.models.load import load_config
from crossover.models.module import SequenceModel, segment_ids
from crossover.specs.descriptions import EncoderFacts

BERT, GPT2 = "models/bert-l2-h128-books", "models/gpt2-l2-h128-books"
WITH_TOKENS = pytest.mark.parametrize("model", [model for model in SIZES if "vocab_size" in SIZES[model]])
MAPS = [ShiftInput(kind="shift", by=7), PermutationInput(kind="permutation", seed=3)]


@pytest.fixture
def on_subwords(tiny, tmp_path):
    """Build a model for subwords of a tiny checkpoint's own vocabulary."""

    def make(model: str, entry: object, separator: int | None = None, **changes) -> SequenceModel:
        folder = tmp_path / model
        shutil.copytree(tiny.checkpoints[model].folder, folder, dirs_exist_ok=True)
        (folder / "tokenizer.json").write_text("{}")  # only its digest is looked at
        facts = {
            "vocabulary": tuple(f"t{index}" for index in range(VOCABULARY)),
            "tokenizer": sha256(folder / "tokenizer.json"),
            "separator": separator,
        }
        spec = tiny.spec(model=model, input=entry, checkpoint={"name": "mine", "folder": str(folder)}, **changes)
        return build_model(spec, tiny.encoding("listops").model_copy(update=facts), tiny.items("listops"), 0).eval()

    return make


def read_out(model: SequenceModel, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """What the head is given, float32 [batch, width]."""
    found = []
    with torch.inference_mode(), model.head.register_forward_hook(lambda _, given, __: found.append(given[0][:, 0])):
        model(ids, lengths)
    return found[0]


def test_a_model_of_images_has_no_tokens(on_subwords):
    for entry in ("pretrained", "re-embedded", *MAPS):
        with pytest.raises(UserError, match=r"^checkpoints of the architecture vit have no token embeddings"):
            on_subwords("vit", entry)


# --- the checkpoint's own embeddings ------------------------------------------------------------------------


@WITH_TOKENS
def test_pretrained_embeddings_give_what_the_plain_model_computes_from_ids(model, on_subwords, tiny):
    ids = torch.randint(2, VOCABULARY, (4, 11), generator=torch.Generator().manual_seed(0))  # RoBERTa counts no id 1
    lengths = torch.tensor([11, 5, 2, 8])
    found = read_out(on_subwords(model, "pretrained"), ids, lengths)
    plain = plain_model(tiny.checkpoints[model].folder)
    for item, length in enumerate(lengths):
        with torch.inference_mode():
            expected = plain(input_ids=ids[item : item + 1, :length]).last_hidden_state[0, -1]
        torch.testing.assert_close(found[item], expected, atol=1e-5, rtol=0)


def test_the_segments_of_pairs_are_told_to_models_that_know_them(on_subwords, tiny):
    ids = torch.tensor([[1, 4, 9, 5, 6, 9], [1, 9, 5, 9, 0, 0], [1, 2, 9, 0, 0, 0]])
    types = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    assert torch.equal(segment_ids(ids, separator=9), types)
    lengths = torch.tensor([6, 4, 3])
    found = read_out(on_subwords("bert", "pretrained", separator=9), ids, lengths)
    plain = plain_model(tiny.checkpoints["bert"].folder)
    mask = (torch.arange(6) < lengths[:, None]).long()
    with torch.inference_mode():
        states = plain(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
    torch.testing.assert_close(found, states[torch.arange(3), lengths - 1], atol=1e-5, rtol=0)
    for separator in (None, 9):
        assert on_subwords("gpt2", "pretrained", separator).separator is None


@pytest.mark.parametrize("name", [BERT, GPT2])
def test_segments_are_those_of_the_tokenizer(name, mirrored):
    folder = mirrored(name)
    separator = separator_id(read_tokenizer(folder / "tokenizer.json"))
    assert (separator is None) == (name == GPT2)
    if separator is not None:
        plain = AutoTokenizer.from_pretrained(folder)(["call me", "a", "b"], ["ishmael. some years", "b c", ""])
        for ids, types in zip(plain["input_ids"], plain["token_type_ids"], strict=True):
            assert segment_ids(torch.tensor([ids]), separator)[0].tolist() == types


@pytest.mark.parametrize("name", [BERT, GPT2])
def test_a_text_that_spells_a_special_token_is_a_text_like_any_other(name, mirrored):
    path = mirrored(name) / "tokenizer.json"
    plain = AutoTokenizer.from_pretrained(path.parent)
    special = dict(zip(plain.all_special_tokens, plain.all_special_ids, strict=True))
    special.pop(plain.unk_token if name == BERT else None, None)  # which stands for what the vocabulary lacks
    text = f"call {' me '.join(special)} ishmael"
    assert set(special.values()) <= set(plain(text)["input_ids"]), "where nothing is done about it"
    assert not set(read_tokenizer(path).encode(text, add_special_tokens=False).ids) & set(special.values())


@WITH_TOKENS
@pytest.mark.parametrize("body", ["random", {"kind": "statistics"}])
def test_input_and_body_are_chosen_independently(model, body, on_subwords):
    def parts(entry, body):
        found = weights(on_subwords(model, entry, body=body))
        return found["input.table.weight"], [one for name, one in found.items() if name.startswith("body.")]

    own, _ = parts("pretrained", "pretrained")
    table, inside = parts("pretrained", body)
    drawn, same_inside = parts("re-embedded", body)
    assert torch.equal(table, own)
    assert drawn.shape == own.shape
    assert not (drawn == own).all(1).any()
    assert torch.equal(drawn, parts("re-embedded", "pretrained")[0])
    assert all(map(torch.equal, inside, same_inside))


@WITH_TOKENS
def test_every_row_of_a_random_table_is_drawn_and_learns(model, on_subwords, tiny):
    sequence = on_subwords(model, "re-embedded")
    table = sequence.input.table.weight
    config = load_config(Path(tiny.checkpoints[model].folder))
    std = AutoModel.from_config(config).get_input_embeddings().weight.std().item()  # of T5 it is 1
    assert table.std().item() == pytest.approx(std, rel=0.2)
    assert table.std(dim=1).min() > 0.2 * std
    ids = torch.arange(VOCABULARY)[:24].reshape(2, 12)
    states = sequence.read(ids, torch.tensor([12, 12])).last_hidden_state
    states.square().sum().backward()
    assert table.grad[:24].any(dim=1).all()


@WITH_TOKENS
def test_own_embeddings_belong_to_the_embeddings_and_new_ones_to_the_input(model, on_subwords):
    for entry, group in (("pretrained", "embeddings"), (MAPS[0], "embeddings"), ("re-embedded", "input")):
        for other in ("embeddings", "input"):
            rates = on_subwords(model, entry, trained=["head", other]).rates
            assert ("input.table.weight" in rates) == (group == other)


# --- tokens of symbols --------------------------------------------------------------------------------------


@given(
    size=st.integers(OFFSET + 2, 4000), seed=st.integers(0, 99), by=st.integers(1, 9000), special=st.integers(1, 300)
)
def test_maps_are_bijections_and_special_tokens_never_become_data(size, seed, by, special):
    maps = [
        ShiftInput(kind="shift", by=by),
        PermutationInput(kind="permutation", seed=seed),
        TableInput(kind="table", seed=seed),
    ]
    for settings in ["pretrained", "re-embedded", *maps]:
        tokens = token_map(settings, size)
        assert (np.sort(tokens) == np.arange(size)).all()
        assert (tokens == token_map(settings, size)).all()
        assert not set(tokens[:special]) & set(tokens[special:])
    shift, _, table = (token_map(settings, size) for settings in maps)
    assert shift.tolist() == [(index + by) % size for index in range(size)]
    assert table[:-OFFSET].min() == OFFSET  # so that nothing in use becomes one of the first tokens
    assert (table[-OFFSET:] == np.arange(OFFSET)).all()


def test_other_seeds_are_other_maps():
    for shape, kind in ((PermutationInput, "permutation"), (TableInput, "table")):
        assert (token_map(shape(kind=kind, seed=0), 3000) != token_map(shape(kind=kind, seed=1), 3000)).any()


@WITH_TOKENS
@pytest.mark.parametrize("entry", MAPS)
def test_a_mapped_symbol_has_the_embedding_of_the_token_that_it_becomes(model, entry, on_subwords):
    mapped, plain = (on_subwords(model, one) for one in (entry, "pretrained"))
    symbols = torch.arange(VOCABULARY)[None]
    tokens = torch.from_numpy(token_map(entry, VOCABULARY))[None]
    assert torch.equal(mapped.input(symbols), plain.input(tokens))


@pytest.mark.parametrize("name", [BERT, GPT2])
@pytest.mark.parametrize("symbols", [list(ALPHABETS["dna"]), list(ALPHABETS["protein"]), [str(n) for n in range(10)]])
def test_symbols_become_the_tokens_with_their_spelling(name, symbols, mirrored):
    path = mirrored(name) / "tokenizer.json"
    tokens = symbol_to_token_ids("pretrained", EncoderFacts(kind="symbols", vocabulary=tuple(symbols)), 10**5, path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent)
    assert [text.strip().upper() for text in tokenizer.convert_ids_to_tokens(tokens)] == symbols
    assert not set(tokens) & set(tokenizer.all_special_ids)
    assert len(set(tokens)) == len(symbols)


def test_special_tokens_are_those_of_the_tokenizer(mirrored):
    """Letters between special tokens are what BERT's tokenizer makes of them as words."""
    path = mirrored(BERT) / "tokenizer.json"
    facts = EncoderFacts(kind="symbols", vocabulary=("A", "C", "G", "T", "[CLS]", "[SEP]"), special_tokens=True)
    tokens = symbol_to_token_ids("pretrained", facts, 10**5, path)
    assert tokens[[4, 2, 0, 0, 5]].tolist() == AutoTokenizer.from_pretrained(path.parent)("G A A")["input_ids"]


def test_the_letter_that_stands_for_all_others_is_the_unknown_token(tmp_path):
    """A model of the 20 amino acids has no X; where a letter has a token of its own, that is taken (N of DNA)."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (tmp_path / "vocab.txt").write_text("\n".join([*special, *ALPHABETS["protein"][:-1]]))
    (tmp_path / "config.json").write_text("{}")
    save_file({}, tmp_path / "model.safetensors")
    (tmp_path / "made").mkdir()
    convert(tmp_path, tmp_path / "made")
    path = tmp_path / "made/tokenizer.json"

    def ids(*letters: str, **changes: bool) -> list[int]:
        facts = EncoderFacts(kind="symbols", vocabulary=letters, **changes)
        return symbol_to_token_ids("pretrained", facts, 25, path).tolist()

    assert ids(*ALPHABETS["protein"]) == [*range(5, 25), 1]
    assert ids(*ALPHABETS["protein"], "[CLS]", "[SEP]", special_tokens=True) == [*range(5, 25), 1, 2, 3]
    assert ids(*ALPHABETS["dna"]) == [5 + ALPHABETS["protein"].index(letter) for letter in "ACGTN"]
    with pytest.raises(UserError, match="no token for the symbol 'X'"):
        ids("A", "X")


def refused(settings: object, facts: dict, tokens: int, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        symbol_to_token_ids(settings, EncoderFacts(kind="symbols", **facts), tokens, path)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "facts", "tokens", "expected"),
    [
        ("pretrained", {"vocabulary": ["[MAX"]}, 9999, "has no token for the symbol '[MAX'"),
        ("pretrained", {"vocabulary": ["[SEP]"]}, 9999, "has no token for the symbol '[SEP]'"),
        ("pretrained", {"vocabulary": ["☃"]}, 9999, "has no token for the symbol '☃'"),
        ("pretrained", {"vocabulary": ["a", "A"]}, 9999, "has one token for the symbols 'a' and 'A'"),
        ("pretrained", {"vocabulary": ["a"], "tokenizer": "0"}, 9999, "the task's subwords are not those of"),
        (MAPS[0], {"vocabulary": ["a"], "tokenizer": "0"}, 9999, "the task's subwords are not those of"),
        ("re-embedded", {"vocabulary": ["a", "b"]}, 1, "the task has 2 symbols, but the checkpoint of"),
        ("re-embedded", {"vocabulary": None}, 9, "patches have no tokens"),
        (TableInput(kind="table"), {"vocabulary": ["a"]}, 1000, "more than 1000 tokens, but this one has 1000"),
    ],
)
def test_symbols_that_have_no_tokens_are_refused(settings, facts, tokens, expected, mirrored):
    assert expected in refused(settings, facts, tokens, mirrored(BERT) / "tokenizer.json")


def test_a_tokenizer_without_special_tokens_around_texts_is_refused(mirrored):
    facts = {"vocabulary": ["A", "[CLS]", "[SEP]"], "special_tokens": True}
    expected = "does not put texts between two special tokens, as special_tokens of the task's encoding asks for"
    assert expected in refused("pretrained", facts, 10**5, mirrored(GPT2) / "tokenizer.json")


def test_spelling_needs_a_tokenizer(tmp_path):
    assert "tokenizer.json is missing" in refused("pretrained", {"vocabulary": ["a"]}, 9, tmp_path / "tokenizer.json")


def test_what_an_alphabet_lacks_becomes_what_the_tokenizer_lacks(mirrored):
    path = mirrored(BERT) / "tokenizer.json"
    facts = EncoderFacts(kind="symbols", vocabulary=("a", "<unknown>"))
    [_, unknown] = symbol_to_token_ids("pretrained", facts, 9999, path)
    assert AutoTokenizer.from_pretrained(path.parent).unk_token_id == unknown
