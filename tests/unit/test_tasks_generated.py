"""The generators: their labels are checked by independent means, their draws against the published numbers."""

import re
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from committed_tasks import reader_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

import published_listops
from crossover.errors import UserError
from crossover.tasks.generators import bits, folds, listops, splice

SIZES = {"train": 300, "validation": 60, "test": 120}


# --- listops --------------------------------------------------------------------------------------------------

LISTOPS = {
    "kind": "listops",
    "max_depth": 4,
    "max_args": 4,
    "min_length": 5,
    "max_length": 30,
    "sizes": SIZES,
    "seed": 0,
}


def evaluate_by_rewriting(text: str) -> int:
    """Replace innermost lists by their values until one value is left."""
    rules = {
        "MIN": min,
        "MAX": max,
        "MED": lambda values: int(np.median(values)),
        "SM": lambda values: int(np.sum(values)) % 10,
    }
    innermost = re.compile(r"\[(\w+)((?: \d)+) \]")
    while "[" in text:
        text = innermost.sub(lambda match: str(rules[match[1]]([int(digit) for digit in match[2].split()])), text)
    return int(text)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), depth=st.integers(2, 6), args=st.integers(2, 8))
def test_listops_targets_are_the_values_of_the_expressions(seed, depth, args):
    sizes = {"train": 20, "validation": 2, "test": 2}
    changed = {"seed": seed, "max_depth": depth, "max_args": args, "min_length": 4, "max_length": 60, "sizes": sizes}
    table = listops.read(reader_of(**LISTOPS | changed), None).table
    for text, target in zip(table["sequence"], table["target"], strict=True):
        assert evaluate_by_rewriting(text) == int(target)
        assert 4 <= len(text.split(" ")) <= 60
        nesting = np.cumsum([symbol.startswith("[") - (symbol == "]") for symbol in text.split(" ")])
        assert nesting.max() < depth


def traits(texts):
    """What a distribution of expressions is made of: lengths, depths, arguments, symbols and values."""
    found = {"length": [], "depth": [], "arguments": [], "symbol": [], "value": []}
    for text in texts:
        symbols = text.split(" ")
        found["length"].append(len(symbols))
        found["symbol"] += [symbol for symbol in symbols if symbol != "]"]
        found["value"].append(evaluate_by_rewriting(text))
        open_lists, deepest = [0], 1
        for symbol in symbols:
            if symbol == "]":
                found["arguments"].append(open_lists.pop())
                continue
            open_lists[-1] += 1
            if symbol.startswith("["):
                open_lists.append(0)
                deepest = max(deepest, len(open_lists))
        found["depth"].append(deepest)
    return found


def two_sample(one, other):
    """The p-value of a chi-squared test that two samples are of one distribution; rare values count together."""
    counts = pd.crosstab(np.repeat([0, 1], [len(one), len(other)]), np.array([*one, *other]))
    expected = counts.sum() * counts.sum(axis=1).min() / counts.to_numpy().sum()
    rare = counts.columns[expected < 5]
    table = counts.drop(columns=rare).assign(**({"rare": counts[rare].sum(axis=1)} if len(rare) else {}))
    return chi2_contingency(table.loc[:, table.sum() > 0]).pvalue


PUBLISHED = {"max_depth": 5, "max_args": 5, "min_length": 10, "max_length": 80}


@pytest.mark.parametrize("trait", ["length", "depth", "arguments", "symbol", "value"])
def test_listops_are_distributed_as_the_published_algorithm_draws_them(trait, samples):
    assert two_sample(samples["ours"][trait], samples["published"][trait]) > 0.001


def test_the_comparison_sees_a_generator_with_one_argument_more(samples):
    assert two_sample(samples["other"]["arguments"], samples["published"]["arguments"]) < 1e-6


@pytest.fixture(scope="module")
def samples():
    count = 3000
    sizes = {"train": count - 2, "validation": 1, "test": 1}
    plain = islice(published_listops.expressions(1, **PUBLISHED), count)
    return {
        "ours": traits(listops.read(reader_of(**LISTOPS | PUBLISHED | {"sizes": sizes}), None).table["sequence"]),
        "other": traits(
            listops.read(reader_of(**LISTOPS | PUBLISHED | {"sizes": sizes, "max_args": 6}), None).table["sequence"]
        ),
        "published": traits(text for text, _ in plain),
    }


def test_listops_never_repeats_an_expression():
    table = listops.read(reader_of(**LISTOPS), None).table
    assert table["sequence"].is_unique
    assert table["split"].value_counts().to_dict() == SIZES


def test_listops_uses_operators_and_argument_counts_evenly():
    table = listops.read(
        reader_of(**LISTOPS | {"max_depth": 2, "max_length": 6, "sizes": SIZES | {"train": 3000}}), None
    ).table
    words = table["sequence"].str.split(" ")
    operators = words.str[0].value_counts(normalize=True)
    assert set(operators.index) == set(listops.OPERATORS)
    assert operators.between(0.2, 0.3).all()
    digits = words.map(lambda symbols: symbols[1:-1]).explode().value_counts(normalize=True)
    assert digits.between(0.08, 0.12).all()


def test_listops_says_when_there_are_too_few_expressions(monkeypatch):
    monkeypatch.setattr(listops, "MAX_FUTILE_DRAWS", 20_000)
    with pytest.raises(UserError, match=r"only 400 expressions of 4 to 4 symbols, but sizes ask for 480"):
        listops.read(reader_of(**LISTOPS | {"max_depth": 2, "max_args": 2, "min_length": 4, "max_length": 4}), None)


# --- bits -------------------------------------------------------------------------------------------------------

MEMORY = {"kind": "bit-memory", "strings": 3, "bits": 12, "sizes": SIZES, "seed": 0}
XOR = {"kind": "bit-xor", "bits": 5, "sizes": {"train": 700, "validation": 124, "test": 200}, "seed": 0}


def test_bit_memory_hides_half_of_a_string_that_was_shown():
    items = bits.read(reader_of(**MEMORY), None)
    sequences = np.stack(items.table["sequence"]).reshape(-1, 4, 12)
    targets = np.stack(items.table["target"]) * 2 - 1
    shown, recall = sequences[:, :3], sequences[:, 3]
    assert (shown == targets[:, None]).all(axis=2).any(axis=1).all()
    assert np.isin(shown, [-1, 1]).all()
    assert (recall == np.where(recall == 0, 0, targets)).all()
    assert abs((recall == 0).mean() - 0.5) < 0.02


def test_bit_memory_floor_is_what_copying_scores():
    items = bits.read(reader_of(**MEMORY), None)
    test = items.table[items.table["split"] == "test"]
    visible = np.mean(np.stack(test["sequence"])[:, -12:] != 0)
    assert items.floor.score == pytest.approx((1 + visible) / 2)
    assert items.floor.score == pytest.approx(0.75, abs=0.02)


def test_bit_xor_is_the_xor_and_its_splits_are_disjoint():
    table = bits.read(reader_of(**XOR), None).table
    sequences = np.stack(table["sequence"]).astype(int)
    assert (np.stack(table["target"]) == (sequences[:, :5] != sequences[:, 5:])).all()
    assert len(np.unique(sequences, axis=0)) == 1024


def test_bit_xor_does_not_promise_more_inputs_than_there_are():
    with pytest.raises(UserError, match=r"1024 inputs of 2 x 5 bits, but sizes ask for 1025"):
        bits.read(reader_of(**XOR | {"sizes": {"train": 701, "validation": 124, "test": 200}}), None)


def test_bit_xor_takes_long_strings():
    table = bits.read(reader_of(**XOR | {"bits": 200}), None).table
    assert len(table["sequence"].iloc[0]) == 400


# --- simulated biology ------------------------------------------------------------------------------------------

SPLICE = {"kind": "splice-sim", "flank": 30, "sizes": {"train": 3000, "validation": 300, "test": 1000}, "seed": 0}
FOLDS = {"kind": "folds-sim", "sizes": {"train": 2000, "validation": 100, "test": 600}, "seed": 0}


def splice_windows():
    table = splice.read(reader_of(**SPLICE), None).table
    return np.array([list(window) for window in table["sequence"]]), table["target"].to_numpy()


def test_splice_windows_follow_the_published_tables():
    windows, targets = splice_windows()
    letters = np.array(list("ACGT"))
    for name, start, table in (("EI", 27, splice.DONOR), ("IE", 16, splice.ACCEPTOR)):
        share = (windows[targets == name, start : start + len(table), None] == letters).mean(axis=0)
        expected = table / table.sum(axis=1, keepdims=True)
        assert np.abs(share - expected).max() < 0.06
    assert windows.shape[1] == 60
    assert np.abs((windows[targets == "N"] == "A").mean() - 0.25) < 0.02


def invariant_letters(windows):
    donor = (windows[:, 30] == "G") & (windows[:, 31] == "T")
    acceptor = (windows[:, 28] == "A") & (windows[:, 29] == "G")
    return donor, acceptor


def test_splice_decoys_have_the_invariant_letters_too():
    windows, targets = splice_windows()
    donor, acceptor = invariant_letters(windows)
    assert donor[targets == "EI"].all()
    assert acceptor[targets == "IE"].all()
    assert (donor | acceptor)[targets == "N"].all()
    assert 0.45 < donor[targets == "N"].mean() < 0.6


def test_splice_task_is_neither_trivial_nor_hopeless():
    """The best possible classifier knows the tables: the posterior of each class given the whole window."""
    windows, targets = splice_windows()
    codes = np.argmax(windows[..., None] == np.array(list("ACGT")), axis=-1)
    background = splice.BACKGROUND / splice.BACKGROUND.sum()
    a, _, g, t = background
    odds = {}
    for name, start, table in (("EI", 27, splice.DONOR), ("IE", 16, splice.ACCEPTOR)):
        ratio = table / table.sum(axis=1, keepdims=True) / background
        part = codes[:, start : start + len(table)]
        odds[name] = ratio[np.arange(len(table)), part].prod(axis=1)
    donor, acceptor = invariant_letters(windows)
    odds["N"] = (donor / (g * t) + acceptor / (a * g)) / 2
    posterior = np.array([odds[name] * count for name, count in splice.CLASSES.items()])
    best = np.array(list(splice.CLASSES))[posterior.argmax(axis=0)]
    assert 0.9 < (best == targets).mean() < 0.98


def fold_shares(table, letters):
    return (
        table["sequence"]
        .map(lambda text: np.mean([letter in letters for letter in text]))
        .groupby(table["target"])
        .mean()
    )


def test_fold_classes_differ_in_composition_except_for_the_mixed_ones():
    table = folds.read(reader_of(**FOLDS), None).table
    helical, extended = fold_shares(table, "AEM"), fold_shares(table, "VIY")
    assert helical["all-alpha"] > helical["alpha/beta"] + 0.03 > helical["all-beta"] + 0.06
    assert extended["all-beta"] > extended["alpha/beta"] + 0.015 > extended["all-alpha"] + 0.03
    assert abs(helical["alpha/beta"] - helical["alpha+beta"]) < 0.01
    assert table["sequence"].str.fullmatch(f"[{folds.RESIDUES}]+").all()
    assert table["sequence"].str.len().between(25, 90).all()


def test_fold_residues_follow_the_published_propensities():
    rng = np.random.default_rng(0)
    text = folds._draw_residues(np.full(200_000, folds.STRAND), rng)
    share = np.array([text.count(letter) for letter in folds.RESIDUES]) / len(text)
    weights = folds.COMPOSITION * folds.PROPENSITIES[folds.STRAND]
    assert np.abs(share - weights / weights.sum()).max() < 0.004


@pytest.mark.parametrize("name", folds.CLASSES)
def test_fold_segments_are_arranged_by_class(name):
    rng = np.random.default_rng(1)
    for _ in range(50):
        structure = folds._draw_structure(name, rng)
        starts = np.flatnonzero(np.diff(structure, prepend=-1))
        order = [int(kind) for kind in structure[starts] if kind != folds.TURN]
        changes = np.count_nonzero(np.diff(order))
        assert changes == {"all-alpha": 0, "all-beta": 0, "alpha/beta": len(order) - 1, "alpha+beta": 1}[name]


# --- all --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "spec"), [(listops, LISTOPS), (bits, MEMORY), (bits, XOR), (splice, SPLICE), (folds, FOLDS)]
)
def test_a_seed_fixes_every_draw(module, spec):
    first, second, other = (module.read(reader_of(**spec | {"seed": seed}), None).table for seed in (5, 5, 6))
    assert [list(one) for one in first["sequence"]] == [list(one) for one in second["sequence"]]
    assert [list(one) for one in first["sequence"]] != [list(one) for one in other["sequence"]]
    assert first["item"].is_unique
    assert first["split"].value_counts().to_dict() == spec["sizes"]


@pytest.mark.parametrize(("module", "spec"), [(splice, SPLICE), (folds, FOLDS)])
def test_simulated_tasks_say_so(module, spec):
    items = module.read(reader_of(**spec), None)
    assert items.simulated
    assert any("simulated" in note for note in items.notes)
