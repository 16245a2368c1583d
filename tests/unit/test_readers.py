"""Readers of own files, in each form that the files may have."""

import gzip
import io
import json
import os
import pickle

import lmdb
import numpy as np
import pandas as pd
import pytest
from committed_tasks import TASKS, read
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crossover.config.load import read_yaml
from crossover.errors import UserError
from crossover.tasks.readers.pickles import load_data

ROWS = [
    {"id": "a1", "text": "ACGT", "label": "yes", "family": "f1"},
    {"id": "a2", "text": "GGG", "label": "no", "family": "f2"},
    {"id": "a3", "text": "TTAA", "label": "yes", "family": "f1"},
]
COLUMNS = {"item": "id", "sequence": "text", "target": "label", "group": "family"}


def write_lmdb(path, rows, protocol=2):
    with lmdb.open(str(path), map_size=2**20) as base, base.begin(write=True) as transaction:
        transaction.put(b"num_examples", pickle.dumps(len(rows), protocol=protocol))
        for number, row in enumerate(rows):
            transaction.put(str(number).encode(), pickle.dumps(row, protocol=protocol))


def write_table(path):
    table = pd.DataFrame(ROWS)
    match path.suffix:
        case ".csv" | ".gz":
            table.to_csv(path, index=False)
        case ".tsv":
            table.to_csv(path, index=False, sep="\t")
        case ".json":
            path.write_text(json.dumps(ROWS))
        case ".jsonl":
            table.to_json(path, orient="records", lines=True)
        case ".parquet":
            table.to_parquet(path)
        case ".lmdb":
            write_lmdb(path, ROWS)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.json", "t.jsonl", "t.parquet", "t.lmdb"])
def test_a_table_is_read_the_same_from_every_format(tmp_path, name):
    write_table(tmp_path / name)
    table = read(tmp_path, kind="table", file=name, columns=COLUMNS).table
    assert table[["item", "sequence", "target", "group"]].to_numpy().tolist() == [
        [row["id"], row["text"], row["label"], row["family"]] for row in ROWS
    ]


def test_without_names_items_are_named_by_file_and_line(tmp_path):
    (tmp_path / "t.csv").write_text('text,label\n"a\nb",x\nc,y\n')
    table = read(tmp_path, kind="table", file="t.csv", columns={"sequence": "text", "target": "label"}).table
    assert table["item"].tolist() == ["t.csv:2", "t.csv:4"]
    assert table["sequence"].tolist() == ["a\nb", "c"]


def test_quotation_marks_are_characters_where_a_file_has_no_quoting(tmp_path):
    (tmp_path / "t.tsv").write_text('text\tlabel\n"open\tx\nhe said "no"\ty\n')
    columns = {"sequence": "text", "target": "label"}
    table = read(tmp_path, kind="table", file="t.tsv", quoting="none", columns=columns).table
    assert table["sequence"].tolist() == ['"open', 'he said "no"']


def test_pairs_lists_of_one_and_named_labels(tmp_path):
    rows = [{"a": "x", "b": "y", "score": [1]}, {"a": "z", "b": "w", "score": [0]}]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    columns = {"sequence": "a", "second": "b", "target": "score"}
    table = read(tmp_path, kind="table", file="t.json", columns=columns, labels={"1": "good", "0": "bad"}).table
    assert table[["sequence", "second", "target"]].to_numpy().tolist() == [["x", "y", "good"], ["z", "w", "bad"]]


def test_splits_come_from_a_column_or_from_files(tmp_path):
    (tmp_path / "t.csv").write_text("text,label,part\na,x,train\nb,y,test\nc,y,Dev\n")
    columns = {"sequence": "text", "target": "label"}
    table = read(tmp_path, kind="table", file="t.csv", columns=columns | {"split": "part"}).table
    assert table["split"].tolist() == ["train", "test", "validation"]
    (tmp_path / "u.csv").write_text("text,label\nc,x\n")
    table = read(tmp_path, kind="table", files={"test": "t.csv", "train": "u.csv"}, columns=columns).table
    assert table[["sequence", "split"]].to_numpy().tolist() == [
        ["c", "train"],
        ["a", "test"],
        ["b", "test"],
        ["c", "test"],
    ]


PAIRS = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n" + '1\t70\t71\tHe said "no.\tNo.\n' + "0\t72\t73\tb\tc\n"


def test_pairs_are_divided_by_a_list_of_their_ids_as_mrpc_has_it(tmp_path):
    (tmp_path / "msr_paraphrase_train.txt").write_text(PAIRS, encoding="utf-8")
    (tmp_path / "mrpc_dev_ids.tsv").write_text("72\t73\n")
    reader = read_yaml(TASKS / "mrpc.yaml")["reader"]
    table = read(tmp_path, **reader).table
    assert table[["item", "sequence", "second", "target", "split"]].to_numpy().tolist() == [
        ["70\t71", 'He said "no.', "No.", "paraphrase", "train"],
        ["72\t73", "b", "c", "different", "test"],
    ]
    (tmp_path / "mrpc_dev_ids.tsv").write_text("72\t74\n")
    with pytest.raises(UserError, match=r"mrpc_dev_ids.tsv:1: no item has the name '72\\t74'; correct the list"):
        read(tmp_path, **reader)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_lmdb_holds_numpy_values_as_tape_writes_them(tmp_path, protocol):
    rows = [{"primary": "MKV", "score": np.array([0.5], dtype=np.float32), "id": b"7", "pssm": np.zeros((3, 20))}]
    write_lmdb(tmp_path / "t.lmdb", rows, protocol)
    columns = {"sequence": "primary", "target": "score", "item": "id"}
    table = read(tmp_path, kind="table", file="t.lmdb", columns=columns).table
    assert table[["item", "sequence", "target"]].to_numpy().tolist() == [["7", "MKV", "0.5"]]


@given(
    array=hnp.arrays(st.sampled_from([">f4", "<f8", "i2", "u1", "?"]), hnp.array_shapes(max_dims=3, min_side=0)),
    protocol=st.integers(2, 5),
    by_column=st.booleans(),
)
def test_arrays_in_pickles_are_those_of_numpy(array, protocol, by_column):
    array = np.asfortranarray(array) if by_column else array
    scalars = [array.dtype.type(1), b"\xff", "\xe4"]
    found, *others = load_data(io.BytesIO(pickle.dumps([array, *scalars], protocol=protocol)))
    assert found.read().dtype == array.dtype
    assert np.array_equal(found.read(), array, equal_nan=array.dtype.kind == "f")
    assert others == scalars


class Command:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_a_pickle_that_would_run_something_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lmdb(tmp_path / "t.lmdb", [{"primary": Command(), "label": "x"}])
    with pytest.raises(UserError, match=r"record under '0' cannot be read \(it names \w+\.system, which is not data\)"):
        read(tmp_path, kind="table", file="t.lmdb", columns={"sequence": "primary", "target": "label"})
    assert not (tmp_path / "hacked").exists()


def test_a_damaged_lmdb_is_refused(tmp_path):
    write_lmdb(tmp_path / "t.lmdb", [{"primary": np.zeros(3), "label": "x"}])
    path = tmp_path / "t.lmdb/data.mdb"
    path.write_bytes(path.read_bytes().replace(b"ndarray", b"ndarrax"))
    columns = {"sequence": "primary", "target": "label"}
    with pytest.raises(UserError, match=r"t.lmdb: the record under '0' cannot be read \(.*\); unpack the file again"):
        read(tmp_path, kind="table", file="t.lmdb", columns=columns)
    path.write_bytes(b"no database")
    with pytest.raises(UserError, match=r"t.lmdb is not a complete LMDB database"):
        read(tmp_path, kind="table", file="t.lmdb", columns=columns)


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path):
    write_table(tmp_path / "t.parquet")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[20:60] = bytes(40)
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(
        UserError, match=r"t.parquet is not a complete Parquet file \([^\n]+\); download it again"
    ) as caught:
        read(tmp_path, kind="table", file="t.parquet", columns=COLUMNS)
    assert "\n" not in str(caught.value)


def test_what_is_no_number_is_a_missing_label(tmp_path):
    (tmp_path / "t.json").write_text('[{"a": "x", "b": NaN}, {"a": "y", "b": 1.5}]')
    table = read(tmp_path, kind="table", file="t.json", columns={"sequence": "a", "target": "b"}).table
    assert table["target"].isna().tolist() == [True, False]


FASTA = ">p1 kinase|fam1 test\nMKV\nLLA\n>p2 ligase|fam2\nMAA\n"


def test_fasta_headers_say_label_group_and_split(tmp_path):
    (tmp_path / "p.fasta").write_text(FASTA)
    patterns = {"label": r"^\S+ (\w+)\|", "group": r"\|(\w+)", "split": " (test)$"}
    table = read(tmp_path, kind="fasta", file="p.fasta", **patterns).table
    assert table[["item", "sequence", "target", "group", "split"]].to_numpy().tolist() == [
        ["p1", "MKVLLA", "kinase", "fam1", "test"],
        ["p2", "MAA", "ligase", "fam2", "train"],
    ]


def test_fasta_labels_come_from_a_table(tmp_path):
    (tmp_path / "p.fasta").write_text(FASTA)
    (tmp_path / "l.csv").write_text("name,class\np2,b\np9,c\n")
    label = {"file": "l.csv", "item": "name", "target": "class"}
    table = read(tmp_path, kind="fasta", file="p.fasta", label=label).table
    assert table["target"].isna().tolist() == [True, False]
    assert table["target"].iloc[1] == "b"


def test_long_range_arena_files_give_the_same_stream_as_those_of_nangia_and_bowman(tmp_path):
    expression = "( ( ( ( [MAX 2 ) ( ( ( [SM 7 ) 8 ) ] ) ) 3 ) ] )"
    (tmp_path / "lra.tsv").write_text(f"Source\tTarget\n{expression}\t5\n")
    (tmp_path / "nangia.tsv").write_text(f"5\t{expression}\n")
    pd.DataFrame({"Source": [expression], "Target": [5]}).to_parquet(tmp_path / "hub.parquet")
    for name in ("lra.tsv", "nangia.tsv", "hub.parquet"):
        items = read(tmp_path, kind="listops-file", file=name)
        assert items.table["sequence"].tolist() == ["[MAX 2 [SM 7 8 ] 3 ]"]
        assert items.table["target"].tolist() == ["5"]
    damaged = read(tmp_path, kind="listops-file", file="lra.tsv", damaged="lu2021")
    assert damaged.table["sequence"].tolist() == ["MAX 2 SM 7 8 3"]
    assert any("damaged on purpose" in note for note in damaged.notes)


@pytest.mark.parametrize(
    ("name", "content", "settings", "expected"),
    [
        ("t.csv", "txt,label\na,x\n", {}, r"t.csv has no column 'text'; did you mean txt\?"),
        ("t.csv", "text,label\na,b,x\n", {}, r"t.csv, line 2: 3 values, but the header has 2 columns"),
        ("t.csv", 'text,label\n"a,x\n', {}, r"t.csv, line 2: unexpected end of data"),
        ("t.csv", "text,label\n", {}, r"t.csv contains no items"),
        ("t.csv", "", {}, r"t.csv is empty; expected a header"),
        (
            "t.json",
            '[{"text": ["a", "b"], "label": 1}]',
            {},
            r"t.json:1: expected text or a number, but found \['a', 'b'\]",
        ),
        ("t.json", '[{"text": "a\\ud800", "label": 1}]', {}, r"t.json:1: 'a\\ud800' is not Unicode text"),
        ("t.json", '["a"]', {}, r"t.json, record 1: expected an object with names and values, not 'a'"),
        ("t.csv", "text,label,text\na,x,b\n", {}, r"t.csv has 2 columns 'text'; rename all but one"),
        (
            "t.csv",
            "text,label,part\na,x,tst\n",
            {"columns": {"split": "part"}},
            r"t.csv:2: the split 'tst' is unknown; did you mean te",
        ),
        ("t.csv", "text,label,part\na,x,\n", {"columns": {"group": "part"}}, r"t.csv:2: the item has no group"),
        ("t.csv", "text,label\na,q\n", {"labels": {"x": "X"}}, r"t.csv:2: the label 'q' is not in reader.labels"),
        ("t.json", "[{]", {}, r"t.json, line 1 is not JSON"),
        ("t.json", '{"text": "a"}', {}, r"t.json is not a list of objects; set reader.format to jsonl"),
        ("t.jsonl", '{"text": "a", "label": "x"}\nnope\n', {}, r"t.jsonl, line 2 is not JSON"),
        ("t.parquet", "PAR", {}, r"t.parquet is not a complete Parquet file"),
        ("t.json", "[" * 100_000, {}, r"t.json cannot be read \(maximum recursion"),
        ("t.json", f'[{{"text": {"1" * 5000}}}]', {}, r"t.json cannot be read \(Exceeds the limit"),
        ("t.jsonl", "[" * 100_000, {}, r"t.jsonl, line 1 is not JSON \(maximum recursion"),
        ("t.dat", "x", {}, r"t.dat ends in none of .csv, .tsv"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path, name, content, settings, expected):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=expected):
        columns = {"sequence": "text", "target": "label"} | settings.get("columns", {})
        read(tmp_path, kind="table", file=name, **settings | {"columns": columns})


def test_a_file_that_the_dataset_lacks_is_named_with_its_neighbour(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\n")
    with pytest.raises(UserError, match=r"dataset data has no file trian.csv; did you mean train.csv\?"):
        read(tmp_path, kind="table", file="trian.csv", columns={"sequence": "text", "target": "label"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("4\t( ( ( [MAX 2 ) 3 ) ] )\n", r"l.tsv:1: the value is 3, but the file says '4'"),
        ("3\t( ( [MAX 2 ) 3 )\n", r"l.tsv:1: the expression is incomplete"),
        ("3\t( ( ( [MAXX 2 ) 3 ) ] )\n", r"l.tsv:1: '\[MAXX' is out of place"),
        ("3\t( [MAX ] )\n", r"l.tsv:1: '\]' is out of place"),
    ],
)
def test_listops_that_do_not_add_up_are_refused(tmp_path, content, expected):
    (tmp_path / "l.tsv").write_text(content)
    with pytest.raises(UserError, match=expected):
        read(tmp_path, kind="listops-file", file="l.tsv")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (">a\nACGT\n1\nCCC\n", r"r.txt:4: expected > and a name, the first of three lines, but found 'CCC'"),
        (">a\nACGT\n>b\nCC\n1\n", r"r.txt:1: the record of 'a' is incomplete"),
        (">a\nACGT\n", r"r.txt:1: the record of 'a' is incomplete"),
    ],
)
def test_records_that_are_not_three_lines_are_refused(tmp_path, content, expected):
    (tmp_path / "r.txt").write_text(content)
    with pytest.raises(UserError, match=expected):
        read(tmp_path, kind="three-line", file="r.txt")


def test_gzip_files_are_read_packed(tmp_path):
    with gzip.open(tmp_path / "p.fasta.gz", "wt") as stream:
        stream.write(FASTA)
    assert len(read(tmp_path, kind="fasta", file="p.fasta.gz", label=r" (\w+)").table) == 2
