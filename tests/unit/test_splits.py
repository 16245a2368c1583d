"""Splits: disjoint, complete, whole units, in the shares asked for, the same for every order of the rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossover.config.tasks import Split
from crossover.errors import UserError
from crossover.specs.descriptions import SPLITS
from crossover.tasks.items import Items
from crossover.tasks.prepare.similarity import find_clusters, jaccard_of_identity
from crossover.tasks.prepare.splits import UNIT, assign_splits, drop_rare_classes


def table_of(sizes, classes=2):
    """Units of these sizes, their classes taking turns; every unit is a group and a cluster."""
    units = np.repeat(np.arange(len(sizes)), sizes)
    names = [f"i{number:04d}" for number in range(len(units))]
    kinds = np.array(list("abcdef"))[units % classes]
    return pd.DataFrame({"item": names, "group": units.astype(str), "cluster": units.astype(str), "target": kinds})


UNITS = st.lists(st.integers(1, 6), min_size=12, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    sizes=UNITS, by=st.sampled_from(["item", "group", "similarity"]), stratified=st.booleans(), seed=st.integers(0, 99)
)
def test_drawn_splits(sizes, by, stratified, seed):
    table = table_of(sizes)
    asked = Split(by=by, validation=0.2, test=0.3, stratified=stratified, seed=seed)
    split = assign_splits(table, asked)
    assert set(split) == set(SPLITS)
    assert (pd.Series(split).groupby(table[UNIT[by]]).nunique() == 1).all()
    largest = 1 if by == "item" else max(sizes)
    parts = [table["target"] == label for label in ("a", "b")] if stratified else [table["target"] != ""]
    for part in parts:
        for name, share in (("validation", 0.2), ("test", 0.3)):
            assert abs(((split == name) & part).sum() - share * part.sum()) <= largest
    order = np.random.default_rng(seed).permutation(len(table))
    assert (assign_splits(table.iloc[order].reset_index(drop=True), asked) == split[order]).all()


@settings(max_examples=30, deadline=None)
@given(sizes=UNITS, seed=st.integers(0, 99))
def test_validation_is_carved_from_training_in_whole_groups(sizes, seed):
    table = table_of(sizes)
    table["split"] = np.where(table["group"].astype(int) % 3 == 0, "test", "train")
    split = assign_splits(table, Split(by="given", validation=0.25, seed=seed, stratified=False))
    assert ((split == "test") == (table["split"] == "test")).all()
    assert set(split) == set(SPLITS)
    assert (pd.Series(split).groupby(table["group"]).nunique() == 1).all()
    assert abs((split == "validation").sum() - 0.25 * (split != "test").sum()) <= max(sizes)


def test_given_splits_are_taken_as_they_are():
    table = table_of([1] * 9).assign(split=["train"] * 4 + ["validation"] * 2 + ["test"] * 3)
    assert assign_splits(table, Split(by="given")).tolist() == table["split"].tolist()
    with pytest.raises(UserError, match="the data have no items in the split test; give a file for it"):
        assign_splits(table.assign(split="train"), Split(by="given"))


def test_numbers_are_not_stratified():
    table = table_of([1] * 50).assign(target=np.linspace(0, 1, 50))
    split = assign_splits(table, Split(by="item", validation=0.2, test=0.2))
    assert pd.Series(split).value_counts().to_dict() == {"train": 30, "validation": 10, "test": 10}


def test_rare_classes_are_refused_by_name_or_dropped_and_counted():
    table = table_of([1] * 20)
    table.loc[:1, "target"] = "rare"
    with pytest.raises(UserError, match="class 'rare' has only 2 items; it needs at least 3, one per split"):
        assign_splits(table, Split(by="item"))
    left = drop_rare_classes(Items(table, "letters"), Split(by="item"))
    assert len(left.table) == 18
    assert left.counts == {"classes dropped as too rare": 1, "items dropped with a rare class": 2}
    numbers = Items(table.assign(target=np.arange(20.0)), "letters")
    assert drop_rare_classes(numbers, Split(by="item")) is numbers
    with pytest.raises(UserError, match="every class is too rare"):
        drop_rare_classes(Items(table.assign(target=table["item"]), "letters"), Split(by="item"))


# --- similarity -------------------------------------------------------------------------------------------------


def mutated(rng, letters, text, share):
    hit = rng.random(len(text)) < share
    return "".join(rng.choice(list(letters)) if change else letter for letter, change in zip(text, hit, strict=True))


def families(letters, length, count, size, share, seed=0):
    """Sequences of `count` unrelated families, whose members differ from an ancestor in `share` of their letters."""
    rng = np.random.default_rng(seed)
    rows = []
    for family in range(count):
        ancestor = "".join(rng.choice(list(letters), length))
        rows += [(f"f{family}-{member}", mutated(rng, letters, ancestor, share)) for member in range(size)]
    return pd.DataFrame(rows, columns=["item", "sequence"])


@pytest.mark.parametrize(
    ("letters", "name", "length"), [("ACGT", "dna", 300), ("ACDEFGHIKLMNPQRSTVWY", "protein", 150)]
)
def test_families_become_clusters(letters, name, length):
    table = families(letters, length, count=20, size=6, share=0.03)
    clusters = find_clusters(table, name, 0.8, "minhash")
    family = table["item"].str.split("-").str[0]
    assert clusters.groupby(family).nunique().eq(1).all()
    assert clusters.nunique() == 20
    shuffled = table.sample(frac=1, random_state=1)
    assert (find_clusters(shuffled, name, 0.8, "minhash").sort_index() == clusters).all()


def test_no_similar_pair_is_in_two_clusters():
    """Compared with all pairs: what shares enough words is in one cluster, what is joined is linked by such pairs."""
    table = families("ACDEFGHIKLMNPQRSTVWY", 120, count=12, size=5, share=0.12, seed=3)
    clusters = find_clusters(table, "protein", 0.7, "minhash").to_numpy()
    words = [{text[start : start + 4] for start in range(len(text) - 3)} for text in table["sequence"]]
    near = np.array(
        [[len(one & two) / len(one | two) >= jaccard_of_identity(0.7, 4) for two in words] for one in words]
    )
    assert 12 < near.sum() < near.size
    assert (clusters[:, None] == clusters)[near].all()
    for name in set(clusters):
        members = np.flatnonzero(clusters == name)
        reached = {members[0]}
        while grown := {other for one in reached for other in members if near[one, other]} - reached:
            reached |= grown
        assert reached == set(members)


def test_short_and_equal_sequences_are_clustered_too():
    table = pd.DataFrame({"item": list("abcd"), "sequence": ["MK", "MK", "W", "MKVLAAGIVG"]})
    clusters = find_clusters(table, "protein", 0.8, "minhash")
    assert clusters.tolist() == ["a", "a", "c", "d"]


def test_what_cannot_be_clustered_is_said():
    table = pd.DataFrame({"item": ["a"], "sequence": ["ACGT"]})
    with pytest.raises(UserError, match=r"split\.by similarity is only for DNA and proteins"):
        find_clusters(table, None, 0.8, "minhash")
    with pytest.raises(
        UserError,
        match=r"cannot tell sequences of identity 0.5 from unrelated ones; set split.identity to at least 0.71",
    ):
        find_clusters(table, "dna", 0.5, "minhash")


@pytest.mark.parametrize(("tool", "program"), [("mmseqs2", "mmseqs"), ("cd-hit", "cd-hit")])
def test_programs_cluster_where_they_are_installed_and_are_missed_in_a_sentence(tool, program, monkeypatch):
    import shutil

    table = families("ACDEFGHIKLMNPQRSTVWY", 150, count=5, size=4, share=0.03)
    if shutil.which(program):
        family = table["item"].str.split("-").str[0]
        clusters = find_clusters(table, "protein", 0.8, tool)
        assert clusters.groupby(family).nunique().eq(1).all()
        assert clusters.nunique() == 5
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=f"split.tool needs the program {program}, which is not on PATH; install it"):
        find_clusters(table, "protein", 0.8, tool)
