"""At which scale a new input layer enters: that of the embeddings that the body was built for."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import POSITIONS, SIZES, VOCABULARY
from torch import nn
from transformers import AutoModel

from crossover.encodings.tokens import Tokens
from crossover.models.derive import adapter_for
from crossover.models.embeddings import new_input, scale_input, scale_of
from crossover.models.factory import build_model, random_token_embedding
from crossover.models.load import load_config
from crossover.specs.descriptions import EncoderFacts

WITH_TOKENS = [model for model in SIZES if "vocab_size" in SIZES[model]]
WITHOUT_POSITIONS = {"llama", "lstm", "t5"}  # in the input of the first block


def rms(values: torch.Tensor) -> float:
    return values.double().square().mean().sqrt().item()


def tokens_of(items: list[np.ndarray]) -> Tokens:
    """A split of these items."""
    lengths = np.array([len(item) for item in items])
    return Tokens(np.concatenate(items), np.concatenate([[0], lengths.cumsum()]), np.zeros(len(items), int), lengths)


def given_by(layer: nn.Module, tokens: Tokens) -> torch.Tensor:
    """What a layer gives at all real positions of a split, one item after the other."""
    parts = [tokens.values[start:end] for start, end in pairwise(tokens.offsets)]
    values = [torch.tensor(part if part.dtype.kind == "f" else part.astype(np.int64)) for part in parts]
    with torch.no_grad():
        return torch.cat([layer(value) for value in values])


@pytest.mark.parametrize("task", ["listops", "bits"])
@pytest.mark.parametrize("model", SIZES)
def test_a_new_input_enters_at_the_scale_of_the_checkpoints_own_embeddings(model, task, tiny):
    config = load_config(tiny.root / "checkpoints" / model)
    adapter = adapter_for(config)
    table = adapter.body_of(AutoModel.from_pretrained(tiny.checkpoints[model].folder)).get_submodule(
        adapter.token_table
    )
    layer = build_model(tiny.spec(task, model), tiny.encoding(task), tiny.items(task), 0).input
    # Patch embeddings are tried below.
    own = rms(table.weight[table.weight.any(dim=1)]) if model in WITH_TOKENS else scale_of(table)
    expected = own * adapter.token_scale(config)
    assert rms(given_by(layer, tiny.items(task))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", WITH_TOKENS)
def test_under_a_random_body_it_is_the_scale_of_the_initialisation(model, tiny):
    torch.manual_seed(0)
    drawn = rms(random_token_embedding(load_config(tiny.root / "checkpoints" / model)).weight)
    layer = build_model(tiny.spec(model=model, body="random"), tiny.encoding("listops"), tiny.items("listops"), 0).input
    assert rms(given_by(layer, tiny.items("listops"))) == pytest.approx(drawn, rel=0.15)


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"kind": "statistics"}, True),
        ({"kind": "truncated", "blocks": 1, "of": "pretrained"}, True),
        ({"kind": "truncated", "blocks": 1, "of": "random"}, False),
        ({"kind": "random", "kept": ["positions"]}, True),
        ({"kind": "random", "kept": ["attention"]}, False),
    ],
)
def test_a_changed_body_expects_the_scale_that_its_positions_are_added_to(body, own, tiny):
    items = tiny.items("listops")
    found, pretrained, random = (
        rms(given_by(build_model(tiny.spec(body=one), tiny.encoding("listops"), items, 0).input, items))
        for one in (body, "pretrained", "random")
    )
    assert pretrained > 2 * random
    assert found == pytest.approx(pretrained if own else random, rel=1e-5)


@pytest.mark.parametrize("task", ["listops", "bits"])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_any_scale_can_be_set_and_another_changes_nothing_else(scale, task, tiny):
    def layer(scale):
        return build_model(tiny.spec(task, input_scale=scale), tiny.encoding(task), tiny.items(task), 0).input

    found, published = layer(scale), layer("lu2021")
    assert rms(given_by(found, tiny.items(task))) == pytest.approx(scale, rel=1e-5)
    ratio = found.weight / published.weight
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-5, atol=0)


def test_an_input_of_zeros_is_left_as_it_is():
    layer = new_input(EncoderFacts(kind="patches", width=3), 16)
    before = layer.weight.clone()
    scale_input(layer, tokens_of([np.zeros((2, 3), np.float32)]), 0.02)
    assert torch.equal(layer.weight, before)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    size=st.floats(1e-3, 1e3),
    scale=st.floats(1e-3, 10),
    seed=st.integers(0, 99),
)
def test_the_scale_is_that_of_all_real_positions(lengths, size, scale, seed):
    draw = np.random.default_rng(seed)
    tokens = tokens_of([(size * draw.normal(size=(length, 3))).astype(np.float32) for length in lengths])
    layer = new_input(EncoderFacts(kind="patches", width=3), 16)
    scale_input(layer, tokens, scale)
    assert rms(given_by(layer, tokens)) == pytest.approx(scale, rel=1e-4)


def test_patch_embeddings_are_measured_on_white_noise(tiny):
    torch.manual_seed(0)
    vit = AutoModel.from_pretrained(tiny.checkpoints["vit"].folder, add_pooling_layer=False)
    noise = torch.randn(2000, 1, 8, 12)
    assert scale_of(vit.embeddings.patch_embeddings) == pytest.approx(
        rms(vit.embeddings.patch_embeddings(noise).detach()), rel=0.02
    )


def share_of_positions(states: torch.Tensor) -> float:
    """The variance of states [items, positions, width] that their position explains, of all their variance."""
    means = states.mean(0)
    return (means.var(0).sum() / states.flatten(0, 1).var(0).sum()).item()


@pytest.mark.parametrize("body", ["pretrained", "random"])
@pytest.mark.parametrize("model", WITH_TOKENS)
def test_positions_weigh_as_much_as_beside_the_checkpoints_own_embeddings(body, model, tiny):
    torch.manual_seed(0)
    symbols = torch.randint(0, VOCABULARY, (400, POSITIONS - 2))
    items = tokens_of(list(symbols.numpy().astype(np.uint16)))
    facts = {"vocabulary": tuple(f"t{index}" for index in range(VOCABULARY))}
    encoding = tiny.encoding("listops").model_copy(update=facts)

    def share(entry: object) -> float:
        # of a random body: random embeddings, as the architecture draws both
        spec = tiny.spec(model=model, body=body, input=entry)
        sequence = build_model(spec, encoding, items, 0).eval()
        lengths = torch.full((len(symbols),), symbols.shape[1])
        with torch.inference_mode():
            return share_of_positions(sequence.read(symbols, lengths, output_hidden_states=True).hidden_states[0])

    own = {"kind": "shift", "by": VOCABULARY} if body == "pretrained" else "re-embedded"
    new, expected = share("new"), share(own)
    if model in WITHOUT_POSITIONS:
        assert max(new, expected) < 0.01
    else:
        assert 0.03 < expected < 0.97
        assert expected / 2 < new < 2 * expected
