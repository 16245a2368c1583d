"""Bodies between the pretrained and the random one, for every architecture."""

import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_runs import SIZES, outline, tiny_config, write_checkpoint

from crossover.config.bodies import (
    MimeticBody,
    PermutedBody,
    RandomBody,
    ReinitBody,
    ScaledBody,
    StatisticsBody,
    TruncatedBody,
)
from crossover.errors import UserError
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_body
from crossover.models.load import load_body, load_config
from crossover.models.surgery import block_order, blocks_of, change_body, reorder_blocks
from crossover.models.token_table import detach_token_embedding

BLOCKS = 4
EACH = pytest.mark.parametrize("model", SIZES)
SEPARATE = pytest.mark.parametrize(  # whose blocks are not one block that is applied several times
    "model", [model for model in SIZES if len(blocks_of(outline(model), ADAPTERS[model])) > 1]
)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("deep")
    for model in SIZES:
        write_checkpoint(root / model, model, **{ADAPTERS[model].depth: BLOCKS})
    return root


def load(folders, model):
    return load_body(folders / model, load_config(folders / model)).eval()


def tensors(body):
    return {name: tensor.detach().clone() for name, tensor in body.named_parameters()}


def changed(folders, model, body, seed=0):
    """The tensors before and after a change."""
    loaded = load(folders, model)
    before = tensors(loaded)
    change_body(loaded, ADAPTERS[model], body, torch.Generator().manual_seed(seed))
    return before, tensors(loaded), loaded


def block_of(model, name):
    match = re.match(rf"{re.escape(ADAPTERS[model].blocks)}\.(\d+)\.", name)
    return int(match[1]) if match else None


def output(body, hidden):
    mask = torch.ones(hidden.shape[:2], dtype=torch.long)
    with torch.inference_mode():
        return body(inputs_embeds=hidden, attention_mask=mask).last_hidden_state


def random_input(body, model):
    width = ADAPTERS[model].widths(body.config)[0]
    return torch.randn(2, 7, width, generator=torch.Generator().manual_seed(3))


@EACH
def test_statistics_keep_the_moments_of_every_tensor_and_nothing_else(model, folders):
    before, after, _ = changed(folders, model, StatisticsBody(kind="statistics"))
    for name, old in before.items():
        new, size = after[name], old.numel()
        assert not torch.equal(new, old), name
        error = old.std(unbiased=False).item() / np.sqrt(size)
        assert abs(new.mean() - old.mean()) <= 5 * error + 1e-7, name
        assert new.std(unbiased=False).item() == pytest.approx(old.std(unbiased=False).item(), rel=4 / np.sqrt(size)), (
            name
        )
    _, again, _ = changed(folders, model, StatisticsBody(kind="statistics"))
    assert all(torch.equal(after[name], again[name]) for name in after), "the seed decides"


@SEPARATE
@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"which": "first", "count": 1}, {0}),
        ({"which": "last", "count": 3}, {1, 2, 3}),
        ({"which": "window", "count": 2, "start": 1}, {1, 2}),
        ({"which": "inverse", "count": 2, "start": 1}, {0, 3}),
        ({"which": "window", "count": 1, "start": 3}, {3}),
    ],
)
@pytest.mark.parametrize("norms", ["kept", "redrawn"])
@pytest.mark.parametrize("biases", ["kept", "redrawn"])
def test_reinit_touches_the_named_blocks_and_nothing_else(model, which, expected, norms, biases, folders):
    before, after, _ = changed(folders, model, ReinitBody(kind="reinit", blocks=which, norms=norms, biases=biases))
    for name, old in before.items():
        group, new = ADAPTERS[model].group_of(name), after[name]
        touched = block_of(model, name) in expected and group != "positions"
        if group == "norms":
            touched &= norms == "redrawn"
        elif old.dim() == 1:
            touched &= biases == "redrawn"
        assert torch.equal(new, old) != touched, name
        if touched and group == "norms":
            assert (new == (1 if name.endswith("weight") else 0)).all(), name
        elif touched and old.dim() == 1:
            assert not new.any(), name


def test_the_two_scales_of_reinit_are_those_of_the_paper_and_of_its_code(folders):
    """The code's call of scipy gives a deviation of 0.00046 (truncnorm(-0.04, 0.04, scale=0.02))."""
    from scipy.stats import truncnorm

    for weights, distribution in (
        ("truncated-normal", truncnorm(-2, 2, scale=0.02)),
        ("tamkin2020", truncnorm(-0.04, 0.04, scale=0.02)),
    ):
        body = ReinitBody(kind="reinit", blocks={"which": "first", "count": BLOCKS}, weights=weights)
        before, after, _ = changed(folders, "bert", body)
        drawn = torch.cat(
            [after[n].ravel() for n, t in before.items() if block_of("bert", n) is not None and t.dim() == 2]
        )
        assert drawn.std().item() == pytest.approx(distribution.std(), rel=0.05)
        assert drawn.abs().max().item() <= distribution.support()[1] + 1e-9


@SEPARATE
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_a_permutation_moves_whole_blocks_and_its_inverse_restores_the_model(model, seed, folders):
    before, after, body = changed(folders, model, PermutedBody(kind="permuted", seed=seed))
    order = block_order(BLOCKS, seed)
    assert sorted(order) == list(range(BLOCKS))
    prefix = ADAPTERS[model].blocks
    for name, tensor in after.items():
        place = block_of(model, name)
        if place is None or ADAPTERS[model].group_of(name) == "positions":
            assert torch.equal(tensor, before[name]), name
        else:
            source = name.replace(f"{prefix}.{place}.", f"{prefix}.{order[place]}.", 1)
            assert torch.equal(tensor, before[source]), name
    reorder_blocks(body, ADAPTERS[model], np.argsort(order).tolist())
    assert all(torch.equal(tensor, before[name]) for name, tensor in body.named_parameters())


@EACH
@pytest.mark.parametrize("depth", [1, 2, BLOCKS])
def test_truncated_is_the_whole_model_without_what_its_last_blocks_do(model, depth, folders):
    _, _, body = changed(folders, model, TruncatedBody(kind="truncated", blocks=depth))
    whole = load(folders, model)
    hidden, calls = random_input(whole, model), iter(range(BLOCKS))

    def skip(_, positional, named, output):
        """A block hands on what it was given."""
        given = positional[0] if positional else named["hidden_states"]
        if next(calls) < depth:
            return output
        return given if isinstance(output, torch.Tensor) else (given, *output[1:])

    for block in blocks_of(whole, ADAPTERS[model]):
        block.register_forward_hook(skip, with_kwargs=True)
    expected = output(whole, hidden)
    assert next(calls, None) is None
    torch.testing.assert_close(output(body, hidden), expected, atol=1e-6, rtol=0)


@EACH
def test_a_random_body_keeps_the_groups_that_it_is_told_to(model, folders):
    config, kept = load_config(folders / model), ["positions", "norms"]

    def body(settings):
        pretrained = load(folders, model)
        table = detach_token_embedding(pretrained, ADAPTERS[model])
        return tensors(pretrained), tensors(build_body(settings, pretrained, table, config, 0)[0])

    pretrained, found = body(RandomBody(kind="random", kept=kept))
    _, random = body("random")
    for name, tensor in found.items():
        source = pretrained if ADAPTERS[model].group_of(name) in kept else random
        assert torch.equal(tensor, source[name]), name
        assert not torch.equal(pretrained[name], random[name]), name


@SEPARATE
def test_a_short_random_body_is_the_first_blocks_of_the_whole_one(model, folders):
    config = load_config(folders / model)
    whole = tensors(build_body("random", None, None, config, 0)[0])
    settings = TruncatedBody(kind="truncated", blocks=2, of="random")
    short = tensors(build_body(settings, None, None, load_config(folders / model), 0)[0])
    assert {name for name in whole if (block_of(model, name) or 0) < 2} == set(short)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in short.items())


def test_permutations_are_those_of_the_published_code():
    """np.random.RandomState(1).permutation(12), as Tamkin et al.'s run for seed 1."""
    assert block_order(12, 1) == [2, 3, 4, 10, 1, 6, 0, 7, 11, 9, 8, 5]


@EACH
def test_blocks_that_are_not_there_are_named(model, folders):
    with pytest.raises(UserError, match="body reinit names blocks 0 to 4, but the checkpoint has"):
        changed(folders, model, ReinitBody(kind="reinit", blocks={"which": "first", "count": 5}))
    with pytest.raises(UserError, match="body truncated asks for 5 blocks, but the checkpoint has 4"):
        changed(folders, model, TruncatedBody(kind="truncated", blocks=5))


# --- controls of initialisation ---------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("groups", [None, ["norms"], ["attention", "positions"]])
@pytest.mark.parametrize("per", ["tensor", "weight"])
def test_a_scaled_body_is_the_random_one_at_the_pretrained_scale(per, groups, model, folders):
    config = load_config(folders / model)

    def body(settings):
        pretrained = load(folders, model)
        table = detach_token_embedding(pretrained, ADAPTERS[model])
        built, replaced = build_body(settings, pretrained, table, config, 0)
        return tensors(built), tensors(pretrained), replaced is table

    found, pretrained, has_their_scale = body(ScaledBody(kind="scaled", per=per, groups=groups))
    random, _, _ = body("random")
    assert has_their_scale == (groups is None or "positions" in groups)
    for name, tensor in found.items():
        start, wanted = random[name], pretrained[name]
        if groups is not None and ADAPTERS[model].group_of(name) not in groups:
            assert torch.equal(tensor, start), name
        elif per == "weight":
            assert torch.equal(tensor, torch.where(start == 0, 0.0, torch.copysign(wanted, start))), name
        elif start.any():
            assert tensor.norm().item() == pytest.approx(wanted.norm().item(), rel=1e-5), name
            torch.testing.assert_close(tensor / tensor.norm(), start / start.norm())
        else:
            assert not tensor.any(), name


WIDTH = 96
SIZES_OF_HEADS = {"t5": "d_kv"}  # which others derive from the width


def products(model, heads):
    """Of each block of a mimetic body: W_Q W_K^T of each head, and W_V W_O, as its layers compute them."""
    adapter = ADAPTERS[model]
    changes = {adapter.width: WIDTH, adapter.heads: heads}
    changes |= {SIZES_OF_HEADS[model]: WIDTH // heads} if model in SIZES_OF_HEADS else {}
    changes |= {"num_key_value_heads": heads} if model == "llama" else {}
    body = build_body(MimeticBody(kind="mimetic"), None, None, tiny_config(model, **changes), 0)[0].eval()
    identity = torch.eye(WIDTH)
    for block in blocks_of(body, adapter):
        *first, leave = (block.get_submodule(path) for path in adapter.projections)
        with torch.inference_mode():  # a body that is drawn has no biases yet
            entered = [one(identity) for one in first] if len(first) == 3 else first[0](identity).chunk(3, dim=1)
            query, key, value = entered
            pairs = zip(query.chunk(heads, dim=1), key.chunk(heads, dim=1), strict=True)
            yield [one @ other.T for one, other in pairs], leave(value)


WITH_PROJECTIONS = pytest.mark.parametrize("model", [model for model in SIZES if ADAPTERS[model].projections])


@WITH_PROJECTIONS
def test_products_of_mimetic_attention_weights_are_close_to_the_identity(model):
    blocks = list(products(model, heads=1))
    assert len(blocks) == (1 if model == "albert" else 2)
    for [query_key], value_output in blocks:
        for product, noise, identity in ((query_key, 0.7, 0.7), (value_output, 0.4, -0.4)):
            rest = product - identity * torch.eye(WIDTH)
            assert product.diagonal().mean().item() == pytest.approx(identity, abs=0.05)
            assert rest.std().item() == pytest.approx(noise / WIDTH**0.5, rel=0.05)


@WITH_PROJECTIONS
def test_every_head_of_a_mimetic_body_has_the_largest_part_of_a_product_of_its_own(model):
    for heads, _ in products(model, heads=2):
        for product in heads:
            values = torch.linalg.svdvals(product)
            assert values[WIDTH // 2 - 1] > 0.1
            assert values[WIDTH // 2] < 1e-4 < product.diagonal().mean()
        assert not torch.allclose(*heads, atol=0.05)


def test_attention_that_cannot_be_mimetic_is_refused():
    for model, expected in (
        ("lstm", "body mimetic is not known for the architecture lstm"),
        (
            "llama",
            "body mimetic needs as many key and value weights as query weights, .* this llama has 8 and 16; choose",
        ),
    ):
        with pytest.raises(UserError, match=expected):
            build_body(MimeticBody(kind="mimetic"), None, None, tiny_config(model), 0)


@pytest.mark.parametrize("model", [model for model in SIZES if ADAPTERS[model].projections and model != "llama"])
def test_only_attention_weights_of_a_mimetic_body_differ_from_the_random_one(model):
    mimetic, random = (
        tensors(build_body(settings, None, None, tiny_config(model), 0)[0])
        for settings in (MimeticBody(kind="mimetic"), "random")
    )
    differing = {name for name in random if not torch.equal(mimetic[name], random[name])}
    assert {ADAPTERS[model].group_of(name) for name in differing} == {"attention"}
    again = tensors(build_body(MimeticBody(kind="mimetic"), None, None, tiny_config(model), 0)[0])
    assert all(torch.equal(tensor, again[name]) for name, tensor in mimetic.items())
