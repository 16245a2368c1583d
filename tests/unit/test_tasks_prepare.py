import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tasks_midi import write_midi

from crossover.acquire.acquired import Acquired
from crossover.acquire.receipt import write_receipt
from crossover.config.tasks import Split, Target
from crossover.errors import UserError
from crossover.files import read_json, sha256
from crossover.specs.descriptions import SPLITS, Card, Lengths
from crossover.specs.tasks import TaskSpec
from crossover.tasks.items import Items
from crossover.tasks.prepare.card import describe_items
from crossover.tasks.prepare.splits import assign_splits
from crossover.tasks.prepare.stage import prepare_task
from crossover.tasks.registry import READERS

SPLIT = {"by": "group", "validation": 0.2, "test": 0.3}
MIDI = {"kind": "midi", "segment": 10}


def table_of(groups: list[int], targets: list[str]) -> pd.DataFrame:
    names = [f"i{number}" for number in range(len(groups))]
    return pd.DataFrame({"item": names, "group": [f"g{group}" for group in groups], "target": targets})


# --- splits -----------------------------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 5), min_size=6, max_size=40),
    by=st.sampled_from(["item", "group"]),
    seed=st.integers(0, 1000),
)
def test_splits_keep_groups_whole_and_hold_every_class(sizes, by, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes).tolist()
    table = table_of(groups, ["even" if group % 2 == 0 else "odd" for group in groups])
    table["split"] = assign_splits(table, Split(**SPLIT | {"by": by, "seed": seed}))
    assert set(table["split"]) == set(SPLITS)
    assert (table.groupby("split")["target"].nunique() == 2).all()
    if by == "group":
        assert (table.groupby("group")["split"].nunique() == 1).all()


def test_splits_have_the_shares_asked_for():
    table = table_of(list(range(200)), ["a"] * 100 + ["b"] * 100)
    split = assign_splits(table, Split(**SPLIT | {"by": "item"}))
    for label in "ab":
        counts = pd.Series(split[table["target"] == label]).value_counts().to_dict()
        assert counts == {"train": 50, "validation": 20, "test": 30}
    assert (split == assign_splits(table, Split(**SPLIT | {"by": "item"}))).all()
    assert (split != assign_splits(table, Split(**SPLIT | {"by": "item", "seed": 1}))).any()


def test_a_class_too_small_to_split_is_refused_by_name():
    table = table_of([0, 0, 0, 1, 2, 3, 4], ["a", "a", "a", "b", "b", "b", "b"])
    with pytest.raises(UserError, match=r"class 'a' has only 1 group;"):
        assign_splits(table, Split(**SPLIT))


# --- card -------------------------------------------------------------------------------------------------------


def card_of(sequences, targets, splits, unit="letters", **target):
    names = [f"i{number}" for number in range(len(sequences))]
    columns = {"item": names, "group": names, "sequence": sequences, "target": targets, "split": splits}
    return describe_items(Items(pd.DataFrame(columns), unit), Target(**({"kind": "class"} | target)))


def test_card_measures_items():
    card = card_of(
        ["AC", "ACG", "ACGT", "AC", "T", "AC", "GG"],
        ["x", "x", "y", "x", "y", "y", "x"],
        ["train"] * 4 + ["validation"] + ["test"] * 2,
    )
    assert card.items == {"train": 4, "validation": 1, "test": 2}
    assert card.classes["train"] == {"x": 3, "y": 1}
    assert card.lengths["train"] == Lengths(minimum=2, lower_quartile=2, median=2.5, upper_quartile=3.25, maximum=4)
    assert card.duplicates == {"train": 1, "validation": 0, "test": 0}
    assert card.leakage == {"validation": 0, "test": 1}
    assert card.floor.score == 0.5
    assert "'x'" in card.floor.rule
    json.dumps(card.content(), allow_nan=False)


def test_card_counts_symbols_by_words():
    card = card_of(["[MAX 1 2 ]", "[MIN 1 2 3 ]", "[SM 1 1 ]"], ["2", "1", "2"], list(SPLITS), unit="symbols")
    assert card.lengths["train"].maximum == 4
    assert card.lengths["validation"].maximum == 5


def test_floor_comes_from_the_training_class_not_from_the_test():
    card = card_of(list("abcdef"), ["x", "x", "y", "x", "y", "y"], ["train"] * 3 + ["validation"] + ["test"] * 2)
    assert card.floor.score == 0


def test_floor_of_bits_is_the_more_frequent_training_bit():
    bits = [np.array(row, dtype=np.int8) for row in ([1, 1, 0], [0, 1, 0], [1, 0, 0])]
    card = card_of(list("abc"), bits, list(SPLITS), kind="bits")
    assert card.floor.score == pytest.approx(1 / 3)
    assert card.classes is None


# --- prepare ----------------------------------------------------------------------------------------------------

XOR = {"kind": "bit-xor", "bits": 3, "sizes": {"train": 40, "validation": 4, "test": 20}, "seed": 0}


def spec_of(reader, *, split=None, policy=None, **changes) -> TaskSpec:
    fields = {"split": split, "policy": policy or {}, "letters": None, "target": {"kind": "class"}, "simulated": False}
    about = {"name": "t-0", "task": "t", "dataset": "d-0", "licence": "none", "code": {}}
    return TaskSpec(**about | {"reader": reader} | fields | changes)


def listops(**changes):
    sizes = {"train": 60, "validation": 5, "test": 20}
    return {
        "kind": "listops",
        "max_depth": 3,
        "max_args": 4,
        "min_length": 4,
        "max_length": 20,
        "sizes": sizes,
        "seed": 0,
    } | changes


def music_receipt(root, pieces):
    for label, count in pieces.items():
        for number in range(count):
            write_midi(root / label / f"{number}.mid", [(tick, 40 + (tick * number) % 20) for tick in range(25)])
    files = [path.relative_to(root).as_posix() for path in root.rglob("*.mid")]
    return receipt_of(root, *files)


def receipt_of(root, *files):
    write_receipt(root / "dataset.json", Acquired(root, list(files), "here", None), "d-0", "folder")
    return root / "dataset.json"


def test_a_task_is_three_files_and_a_card(tmp_path):
    prepare_task(spec_of(XOR, target={"kind": "bits"}), None, tmp_path)
    card = Card.load(tmp_path / "card.json")
    assert card.task == "t"
    for split, count in XOR["sizes"].items():
        table = pd.read_parquet(tmp_path / f"{split}.parquet")
        assert list(table) == ["item", "group", "sequence", "target"]
        assert len(table) == count
        assert (table["sequence"].iloc[0].dtype, table["target"].iloc[0].dtype) == (np.float32, np.int8)
        assert sha256(tmp_path / f"{split}.parquet") == card.sha256[f"{split}.parquet"]
    assert card.leakage == {"validation": 0, "test": 0}
    assert card.notes


def test_preparing_again_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        prepare_task(spec_of(listops()), None, tmp_path / folder)
    for name in ("train.parquet", "validation.parquet", "test.parquet", "card.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_music_is_split_by_piece(tmp_path):
    receipt = music_receipt(tmp_path / "midi", {"a": 8, "b": 6})
    prepare_task(spec_of(MIDI, split=SPLIT), receipt, tmp_path / "task")
    tables = [pd.read_parquet(tmp_path / "task" / f"{split}.parquet") for split in SPLITS]
    groups = [set(table["group"]) for table in tables]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 14
    assert all(set(table["target"]) == {"a", "b"} for table in tables)
    assert tables[0]["sequence"].iloc[0].dtype == np.int32


def test_digits_are_images_of_8_by_8(tmp_path):
    lines = [[pixel % 17] * 64 + [pixel % 2] for pixel in range(40)]
    with gzip.open(tmp_path / "digits.csv.gz", "wt") as stream:
        stream.writelines(",".join(map(str, line)) + "\n" for line in lines)
    receipt = receipt_of(tmp_path, "digits.csv.gz")
    prepare_task(spec_of({"kind": "digits"}, split=SPLIT | {"by": "item"}), receipt, tmp_path / "task")
    card = read_json(tmp_path / "task" / "card.json")
    assert card["shape"] == [8, 8]
    pixels = np.stack(pd.read_parquet(tmp_path / "task" / "train.parquet")["sequence"])
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < pixels.max() == 1


def test_pairs_have_a_second_text_and_repeat_only_as_pairs(tmp_path):
    rows = [f"t{number % 6},h{number % 5},{number % 2}\n" for number in range(30)]
    (tmp_path / "t.csv").write_text("text,hypothesis,label\n" + "".join(rows) + "t0,h0,0\n,x,0\n")
    columns = {"sequence": "text", "second": "hypothesis", "target": "label"}
    reader = {"kind": "table", "file": "t.csv", "columns": columns}
    spec = spec_of(reader, split=SPLIT, policy={"empty": "drop"})
    prepare_task(spec, receipt_of(tmp_path, "t.csv"), tmp_path / "task")
    card = read_json(tmp_path / "task" / "card.json")
    tables = [pd.read_parquet(tmp_path / "task" / f"{split}.parquet") for split in SPLITS]
    assert all(list(table) == ["item", "group", "sequence", "second", "target"] for table in tables)
    assert sum(map(len, tables)) == 31
    assert card["counts"] == {"items dropped that have an empty sequence": 1}
    assert sum(card["duplicates"].values()) + sum(card["leakage"].values()) == 1


def test_one_class_alone_is_refused(tmp_path):
    receipt = music_receipt(tmp_path / "midi", {"a": 5})
    with pytest.raises(UserError, match="all items are of the class 'a'"):
        prepare_task(spec_of(MIDI, split=SPLIT), receipt, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_class_without_training_items_is_refused_by_name(tmp_path):
    sizes = {"train": 2, "validation": 20, "test": 20}
    with pytest.raises(UserError, match=r"no training item is of the class '\d'"):
        prepare_task(spec_of(listops(sizes=sizes)), None, tmp_path)


def test_a_simulated_task_must_be_named_as_such(tmp_path):
    reader = {"kind": "splice-sim", "flank": 30, "sizes": {"train": 60, "validation": 20, "test": 20}, "seed": 0}
    with pytest.raises(UserError, match="set simulated: true"):
        prepare_task(spec_of(reader), None, tmp_path)
    prepare_task(spec_of(reader, simulated=True), None, tmp_path)
    assert read_json(tmp_path / "card.json")["simulated"]


def test_the_wrong_kind_of_target_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"set target\.kind to bits"):
        prepare_task(spec_of(XOR), None, tmp_path)


def test_the_registry_names_modules_that_read():
    from importlib import import_module

    assert all(callable(import_module(module).read) for module in READERS.values())
