"""Derived adapters: equal to those that are described, and right for architectures that no file describes."""

import re

import pytest
import torch
from tiny_runs import SIZES, VOCABULARY
from torch.nn import functional
from transformers import AutoConfig, AutoModel

from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.derive import check_forward_contract, derive_adapter
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_model
from crossover.models.load import load_body, load_config
from crossover.planning.architectures import stored_size

PLAIN = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL = PLAIN | {"intermediate_size": 24, "max_position_embeddings": 24}
NEW = {  # architectures that may not be described, with the maximum length of each
    "distilbert": ({"vocab_size": VOCABULARY, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 24}, 24),
    "electra": (SMALL | {"embedding_size": 8}, 24),
    "opt": (PLAIN | {"ffn_dim": 24, "max_position_embeddings": 24, "word_embed_proj_dim": 16}, 24),
    "mpnet": (SMALL | {"max_position_embeddings": 26}, 24),
    "gpt_neox": (SMALL, 24),
    "qwen2": (SMALL | {"num_key_value_heads": 1}, 24),
    "bloom": (PLAIN | {"n_layer": 2, "n_head": 2}, None),
}  # fmt: skip


DERIVABLE = {"bart", "bert", "gpt2", "llama", "longformer", "roberta", "t5"}


@pytest.mark.parametrize("model", SIZES)
def test_a_derived_adapter_equals_the_described_one_or_is_refused(model, tiny):
    folder = tiny.root / "checkpoints" / model
    config = load_config(folder)
    described = ADAPTERS[model]
    try:
        derived = derive_adapter(config)
        check_forward_contract(derived.body_of(AutoModel.from_pretrained(folder)), derived)
    except UserError:
        assert model not in DERIVABLE
        return
    body = load_body(folder, config)
    for name, _ in body.named_parameters():
        assert derived.group_of(name) == described.group_of(name)
    assert (derived.blocks, derived.token_table) == (described.blocks, described.token_table)
    assert derived.max_length(config) == described.max_length(config)
    assert derived.widths(config) == described.widths(config)
    assert derived.has_segments(config) == described.has_segments(config)
    assert {name for name in derived.dropouts if getattr(config, name)} <= set(described.dropouts)
    assert derived.load_options == described.load_options


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("new")
    torch.manual_seed(5)
    for model, (sizes, _) in NEW.items():
        AutoModel.from_config(AutoConfig.for_model(model, **sizes)).save_pretrained(root / model)
    return root


@pytest.mark.parametrize("model", NEW)
def test_an_architecture_that_no_file_describes_can_be_trained(model, checkpoints, tiny):
    config = load_config(checkpoints / model)
    adapter = derive_adapter(config)
    assert adapter.max_length(config) == NEW[model][1]
    checkpoint = {"name": model, "folder": str(checkpoints / model)}
    encoding = tiny.encoding("listops")
    sequence = build_model(tiny.spec(checkpoint=checkpoint), encoding, tiny.items("listops"), 0).eval()

    plain = load_body(checkpoints / model, config)
    found = {name: adapter.group_of(name) for name, _ in plain.named_parameters()}
    assert {"norms", "attention", "feedforward", "embeddings"} <= set(found.values())
    in_blocks = {kind for name, kind in found.items() if re.match(rf"{re.escape(adapter.blocks)}\.\d+\.", name)}
    assert in_blocks == {"norms", "attention", "feedforward"}
    assert len(plain.get_submodule(adapter.blocks)) == 2

    symbols = torch.arange(20).reshape(2, 10) % 8
    lengths = torch.tensor([10, 6])
    with torch.inference_mode():
        alone = sequence(symbols[1:, :6], lengths[1:])
        torch.testing.assert_close(sequence(symbols, lengths)[1:], alone, atol=1e-5, rtol=0)

    before = {name: tensor.clone() for name, tensor in sequence.state_dict().items()}
    trained = [parameter for parameter in sequence.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        functional.cross_entropy(sequence(symbols, lengths), torch.tensor([1, 2])).backward()
        optimizer.step()
    moved = {name for name, tensor in sequence.state_dict().items() if not torch.equal(tensor, before[name])}
    reached = {name for name, parameter in sequence.named_parameters() if parameter.grad is not None}
    assert moved == reached
    assert reached >= {
        name for name, parameter in sequence.named_parameters() if name.startswith(f"body.{adapter.blocks}.")
    }


def test_the_sizes_of_an_architecture_that_no_file_describes_are_known_before_it_is_loaded(checkpoints):
    stored = read_json(checkpoints / "electra/config.json")
    assert [stored_size(stored, size) for size in ("depth", "width", "positions")] == [2, 16, 24]
    assert [stored_size({}, size) for size in ("depth", "width", "positions")] == [None, None, None]


@pytest.mark.parametrize(
    ("model", "settings", "piece"),
    [
        ("clip_vision_model", {}, "it does not take inputs_embeds"),
        ("albert", {"num_hidden_layers": 3}, "it has no list of 3 blocks"),
        ("xlm", {"emb_dim": 16, "n_layers": 2, "n_heads": 2}, "its blocks are spread over several lists"),
        ("opt", PLAIN | {"word_embed_proj_dim": 8}, "its last hidden states are not as wide as its blocks"),
        ("canine", {"num_hidden_layers": 2}, "its token embeddings are no table of its own"),
        ("encodec", {}, "transformers cannot build|it does not take"),
    ],
)
def test_what_keeps_an_adapter_from_being_derived_is_named(model, settings, piece):
    with pytest.raises(
        UserError, match=rf"no adapter for the architecture '{model}' and cannot derive one, since .*({piece})"
    ):
        derive_adapter(AutoConfig.for_model(model, **settings))


@pytest.mark.parametrize(
    ("model", "settings", "piece"),
    [
        ("convbert", SMALL | {"embedding_size": 16}, "padding changes what it makes of a sequence"),
        ("esm", SMALL | {"pad_token_id": 1, "mask_token_id": 2}, "it changes the embeddings of tokens on their way in"),
        ("dpr", SMALL, "it cannot read embedded sequences"),
    ],
)
def test_a_body_that_violates_the_forward_contract_is_refused(model, settings, piece):
    """Which its modules do not tell: neighbours are mixed outside of its attention, or token ids are embedded otherwise."""
    config = AutoConfig.for_model(model, **settings)
    adapter = derive_adapter(config)
    with pytest.raises(UserError, match=rf"no adapter for the architecture '{model}' .* since {piece}"):
        check_forward_contract(AutoModel.from_config(config, **adapter.load_options), adapter)
