"""Bodies between the pretrained and the random one, for every architecture."""

import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_runs import SIZES, outline, write_checkpoint

from crossover.config.bodies import PermutedBody, RandomBody, ReinitBody, StatisticsBody, TruncatedBody
from crossover.errors import UserError
from crossover.models.discovery import ADAPTERS
from crossover.models.factory import build_body, detach_token_embedding
from crossover.models.load import load_body, load_config
from crossover.models.surgery import block_order, blocks_of, change_body, reorder_blocks

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
