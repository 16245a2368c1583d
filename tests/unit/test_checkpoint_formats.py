"""Checkpoints in every format of weights, brought into the one form that runs read."""

import json
import re
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import write_checkpoint
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForCausalLM, BertTokenizer, LlamaConfig

from crossover.acquire.formats import convert, find_weights
from crossover.errors import UserError
from crossover.files import sha256

FORMS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]


@pytest.fixture
def original(tmp_path) -> Path:
    write_checkpoint(tmp_path / "original", "bert")
    return tmp_path / "original"


def in_form(original: Path, form: str, target: Path) -> Path:
    """The same checkpoint with weights in another format, in a folder of its own."""
    target.mkdir()
    (target / "config.json").write_bytes((original / "config.json").read_bytes())
    tensors = load_file(original / "model.safetensors")
    match form:
        case "model.safetensors":
            (target / form).write_bytes((original / form).read_bytes())
        case "model.safetensors.index.json":
            AutoModel.from_pretrained(original).save_pretrained(target, max_shard_size="5KB")
            assert len(list(target.glob("*.safetensors"))) > 2
        case "pytorch_model.bin":
            torch.save(tensors, target / form)
    return target


def converted(source: Path, folder: Path, **options) -> tuple[str, ...]:
    folder.mkdir()
    return convert(source, folder, **options)


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_tensors_and_states(form, original, tmp_path):
    converted(in_form(original, form, tmp_path / "source"), tmp_path / "out")
    found, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", original))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    ids = torch.tensor([[1, 2, 3]])
    states = [
        AutoModel.from_pretrained(folder).eval()(ids).last_hidden_state for folder in (tmp_path / "out", original)
    ]
    assert torch.equal(*states)
    assert json.loads((tmp_path / "out/tokenizer.json").read_text()) is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_files_give_the_same_bytes(form, original, tmp_path):
    digests = []
    for number in (1, 2):
        converted(in_form(original, form, tmp_path / f"source{number}"), tmp_path / f"out{number}")
        digests.append({path.name: sha256(path) for path in (tmp_path / f"out{number}").iterdir()})
    assert digests[0] == digests[1]


def test_tensors_that_share_memory_are_all_written(original, tmp_path):
    source = in_form(original, "pytorch_model.bin", tmp_path / "source")
    tensor = torch.arange(6.0).reshape(2, 3)
    torch.save({"a": tensor, "b": tensor, "c": tensor.T}, source / "pytorch_model.bin")
    assert converted(source, tmp_path / "out") == ("weights converted from pytorch_model.bin",)
    found = load_file(tmp_path / "out/model.safetensors")
    assert torch.equal(found["a"], tensor)
    assert torch.equal(found["b"], tensor)
    assert torch.equal(found["c"], tensor.T)


# --- GGUF ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A tiny Llama, its GGUF file of 32-bit numbers, and one that is quantised."""
    torch.manual_seed(0)
    config = LlamaConfig(
        **{"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32},
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    folder = tmp_path_factory.mktemp("gguf")
    for name, kind in (("plain", gguf.LlamaFileType.ALL_F32), ("quantised", gguf.LlamaFileType.MOSTLY_Q4_1)):
        (folder / name).mkdir()
        write_gguf(model, folder / name / "model.gguf", kind)
    return model, folder


def write_gguf(model, path: Path, kind: gguf.LlamaFileType) -> None:
    """Write a Llama as llama.cpp's converter does, which reorders rows of queries and keys for its rotary positions."""
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_file_type(kind)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    tokens = [*(chr(ord("!") + index) for index in range(config.vocab_size - 1)), "AB"]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(["A B"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        for part, count in heads.items():
            if part in name:
                half = values.shape[0] // count // 2
                values = values.reshape(count, 2, half, -1).swapaxes(1, 2).reshape(values.shape)
        stored = names.get_name(name, try_suffixes=(".weight",))
        if kind == gguf.LlamaFileType.MOSTLY_Q4_1 and values.ndim == 2:
            quantised = gguf.quantize(np.ascontiguousarray(values), gguf.GGMLQuantizationType.Q4_1)
            writer.add_tensor(stored, quantised, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
        else:
            writer.add_tensor(stored, np.ascontiguousarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(folder: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(torch.arange(12)[None]).logits


def test_a_gguf_file_gives_the_logits_of_the_model(llama, tmp_path):
    model, folder = llama
    assert converted(folder / "plain", tmp_path / "out") == ("weights converted from F32 (GGUF)",)
    with torch.inference_mode():
        torch.testing.assert_close(logits(tmp_path / "out"), model(torch.arange(12)[None]).logits, atol=1e-5, rtol=0)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert tokenizer.encode("#%AB").ids == [2, 4, 63]


def test_quantised_weights_are_those_that_the_file_stands_for(llama, tmp_path):
    """Each row as the reference quantiser of gguf rounds it, and the same bytes when it is read again."""
    model, folder = llama
    assert converted(folder / "quantised", tmp_path / "out") == ("weights de-quantised from Q4_1 (GGUF)",)
    found = load_file(tmp_path / "out/model.safetensors")
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 2 and not re.search("[qk]_proj", name):
            rounded = gguf.quantize(tensor.numpy(), gguf.GGMLQuantizationType.Q4_1)
            np.testing.assert_array_equal(found[name], gguf.dequantize(rounded, gguf.GGMLQuantizationType.Q4_1))
            assert not torch.equal(found[name], tensor)
    converted(folder / "quantised", tmp_path / "again")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert sha256(tmp_path / "out" / name) == sha256(tmp_path / "again" / name)


def test_a_gguf_file_that_was_cut_off_is_named(llama, tmp_path):
    _, folder = llama
    (tmp_path / "cut").mkdir()
    content = (folder / "plain/model.gguf").read_bytes()
    (tmp_path / "cut/model.gguf").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cut/model.gguf cannot be de-quantised \(.*\); get it again"):
        converted(tmp_path / "cut", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


# --- tokenizers ---------------------------------------------------------------------------------------------

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sit", ","]


@pytest.mark.parametrize("more", [[], ["The"]])
def test_a_vocabulary_of_wordpiece_becomes_the_tokenizer_of_transformers(more, original, tmp_path):
    (original / "vocab.txt").write_text("\n".join([*WORDS, *more]))
    changes = converted(original, tmp_path / "out")
    assert changes == ("tokenizer made from vocab.txt, with WordPiece",)
    ours = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    ids = {token: index for index, token in enumerate([*WORDS, *more])}
    theirs = BertTokenizer(vocab=ids, do_lower_case=not more).backend_tokenizer
    for text in ("The cats, the sit", "Th\u00e9 cat\tsits [MASK]", ""):
        assert ours.encode(text).ids == theirs.encode(text).ids
    first = "The" if more else "the"
    assert ours.encode("The cats,").tokens == ["[CLS]", first, "cat", "##s", ",", "[SEP]"]


def test_a_vocabulary_of_something_else_is_named(original, tmp_path):
    (original / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"vocab.txt lacks \[CLS\], \[SEP\], \[UNK\]; only vocabularies of WordPiece"):
        converted(original, tmp_path / "out")


# --- what is damaged ----------------------------------------------------------------------------------------


class Code:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def spoil(source: Path, how: str) -> None:
    """Damage a checkpoint of one of the formats."""
    index = source / "model.safetensors.index.json"
    shards = sorted(source.glob("model-*.safetensors"))
    match how:
        case "no weights":
            for path in source.glob("*.safetensors"):
                path.unlink()
        case "no config":
            (source / "config.json").unlink()
        case "two gguf":
            (source / "model.safetensors").unlink()
            for name in "ab":
                (source / f"{name}.gguf").touch()
        case "lost shard":
            shards[0].unlink()
        case "cut shard":
            shards[1].write_bytes(shards[1].read_bytes()[:-9])
        case "shard elsewhere":
            index.write_text('{"weight_map": {"a": "../a.safetensors"}}')
        case "no index":
            index.write_text("[]")
        case "code":
            torch.save({"a": Code()}, source / "pytorch_model.bin")
        case "no tensors":
            torch.save({"epoch": 3}, source / "pytorch_model.bin")
        case "not torch":
            (source / "pytorch_model.bin").write_bytes(b"version https://git-lfs")


@pytest.mark.parametrize(
    ("form", "how", "expected"),
    [
        (
            "model.safetensors",
            "no weights",
            "source has no model.safetensors, .* or .gguf file; a checkpoint is a folder",
        ),
        ("model.safetensors", "two gguf", "source has 2 GGUF files"),
        ("model.safetensors", "no config", "source/config.json is missing"),
        (
            "model.safetensors.index.json",
            "lost shard",
            "00001-of-\\d+.safetensors is missing, which model.safetensors.index",
        ),
        ("model.safetensors.index.json", "cut shard", "00002-of-\\d+.safetensors is not a complete safetensors file"),
        ("model.safetensors.index.json", "shard elsewhere", "index.json does not list safetensors files beside it"),
        ("model.safetensors.index.json", "no index", "index.json does not list safetensors files beside it"),
        ("pytorch_model.bin", "code", "cannot be read as weights alone .*; code in it is never run"),
        ("pytorch_model.bin", "no tensors", "does not map names to tensors; save the state_dict"),
        ("pytorch_model.bin", "not torch", "cannot be read as weights alone"),
    ],
)
def test_damaged_weights_are_named_in_one_sentence(form, how, expected, original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = in_form(original, form, tmp_path / "source")
    spoil(source, how)
    with pytest.raises(UserError, match=expected) as told:
        converted(source, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not Path("ran").exists()
    assert not (tmp_path / "out/model.safetensors").exists()


def test_safetensors_come_before_other_formats(original, tmp_path):
    save_file({"a": torch.ones(1)}, original / "model.safetensors")
    (original / "pytorch_model.bin").write_bytes(b"")
    assert find_weights(original).name == "model.safetensors"
