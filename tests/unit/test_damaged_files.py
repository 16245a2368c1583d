"""Real files, damaged: each kind of damage is one clear sentence, or is treated by a named policy and counted."""

import gzip
import shutil

import pytest
from committed_tasks import TASKS, prepared, read, receipt_of

from crossover import text_files
from crossover.acquire.acquired import Acquired
from crossover.acquire.receipt import write_receipt
from crossover.config.load import read_yaml
from crossover.config.tasks import Policy
from crossover.errors import UserError
from crossover.files import read_json
from crossover.specs.tasks import TaskSpec
from crossover.tasks.prepare.policy import apply_policy
from crossover.tasks.prepare.stage import prepare_task

SPLICE = read_yaml(TASKS / "splice.yaml")["reader"]
SCOPE = "astral-scopedom-seqres-gd-sel-gs-bib-20-2.08.fa"
CLASS = r"^\S+ ([a-l])\."


@pytest.fixture
def splice(mirrored, tmp_path):
    """Change lines of the real splice.data, counted from 1; return its folder."""

    def change(edits=None, whole=lambda text: text):
        lines = mirrored("splice/splice.data").read_text().splitlines(keepends=True)
        for number, edit in (edits or {}).items():
            lines[number - 1] = edit(lines[number - 1])
        (tmp_path / "splice.data").write_bytes(whole("".join(lines)).encode())
        return tmp_path

    return change


@pytest.fixture
def scope(mirrored, tmp_path):
    """Change the text of the real SCOPe file; return its folder."""

    def change(old, new):
        text = mirrored(f"scope/{SCOPE}").read_text()
        assert old in text
        (tmp_path / SCOPE).write_text(text.replace(old, new, 1))
        return tmp_path

    return change


def treat(items, letters, **policy):
    return apply_policy(items, Policy(**policy), letters, "class")


def test_a_missing_label(splice):
    items = read(splice({7: lambda line: line.removeprefix("EI")}), **SPLICE)
    with pytest.raises(UserError, match=r"splice.data:7: the item has no label; add it, or set policy.missing_label"):
        treat(items, "dna")
    left = treat(items, "dna", missing_label="drop")
    assert (len(left.table), left.counts["items dropped with no label"]) == (3189, 1)


def test_a_label_that_occurs_only_in_the_test_split(mirrored, tmp_path):
    shutil.copytree(mirrored("gue/GUE"), tmp_path / "GUE")
    test = tmp_path / "GUE/prom/prom_core_tata/test.csv"
    test.write_text(test.read_text().rstrip()[:-1] + "2\n")
    files = [file for file in receipt_of(tmp_path).paths if "tata" in file]
    write_receipt(tmp_path / "dataset.json", Acquired(tmp_path, files, "here", None), "gue", "folder")

    def spec_of(**policy) -> TaskSpec:
        reader = read_yaml(TASKS / "gue-promoter-tata.yaml")["reader"]
        settings = {"reader": reader, "split": {"by": "given"}, "policy": policy, "target": {"kind": "class"}}
        about = {"name": "gue-0", "task": "gue", "dataset": "gue", "licence": "none", "code": {}}
        return TaskSpec(**about, **settings, letters="dna", simulated=False)

    with pytest.raises(UserError, match="no training item has the class '2', so it cannot be learned"):
        prepare_task(spec_of(), tmp_path / "dataset.json", tmp_path / "task")
    prepare_task(spec_of(rare_class="drop"), tmp_path / "dataset.json", tmp_path / "task")
    card = read_json(tmp_path / "task/card.json")
    assert card["counts"] == {"classes dropped as too rare": 1, "items dropped with a rare class": 1}
    assert card["items"] == {"train": 4904, "validation": 613, "test": 612}


def test_a_name_that_is_there_twice(scope):
    root = scope(">d4i0va_ ", ">d2bkma_ ")
    with pytest.raises(
        UserError, match=r"record 2: the name 'd2bkma_' is also used in .*, record 1; names must be unique"
    ):
        read(root, kind="fasta", file=SCOPE, label=CLASS)


def test_windows_line_ends(splice, mirrored):
    table = prepared("splice", splice(whole=lambda text: text.replace("\n", "\r\n"))).table
    assert table.equals(prepared("splice", mirrored("splice")).table)


@pytest.mark.parametrize("task", ["h3", "listops-nangia", "localization", "cola"])
def test_windows_line_ends_in_every_form(mirrored, tmp_path, task):
    sources = {
        "h3": ("hilbert-cnn/data/H3.txt.subset", "H3.txt"),
        "listops-nangia": ("listops/test_d20s.tsv", "test_d20s.tsv"),
        "localization": ("deeploc/deeploc_data.fasta.subset", "deeploc_data.fasta"),
        "cola": ("glue/CoLA.zip", "CoLA"),
    }
    source, name = sources[task]
    for side in ("unix", "windows"):
        (tmp_path / side).mkdir()
        if task == "cola":
            shutil.unpack_archive(mirrored(source), tmp_path / side)
        else:
            shutil.copy(mirrored(source), tmp_path / side / name)
    for path in (tmp_path / "windows").rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert prepared(task, tmp_path / "windows").table.equals(prepared(task, tmp_path / "unix").table)


def test_lower_case(splice):
    items = treat(read(splice({5: str.lower, 9: str.lower}), **SPLICE), "dna")
    assert items.counts["items with lower-case letters, converted to upper case"] == 2
    assert items.table["sequence"].str.fullmatch("[ACGTN]{60}").all()


def test_rna_is_read_as_dna(splice):
    items = treat(read(splice(), **SPLICE), "dna")
    rna = treat(read(splice(whole=lambda text: text.replace("T", "U")), **SPLICE), "dna")
    assert rna.table["sequence"].equals(items.table["sequence"])
    assert rna.counts["items with U (RNA), converted to T"] == items.table["sequence"].str.contains("T").sum()


@pytest.mark.parametrize("strange", ["7", "\0", "ä", " "])
def test_what_is_no_letter_is_never_read_as_one(splice, strange):
    root = splice({3: lambda line: f"{line[:60]}{strange}{line[61:]}"})
    items = read(root, **SPLICE)
    with pytest.raises(UserError, match=r"splice.data:3: the item has '.*', which is not a letter; correct it, or set"):
        treat(items, "dna")
    assert len(treat(items, "dna", unknown="drop").table) == 3185


def test_gaps_and_a_stop_sign(scope):
    root = scope("vntpdhld\n", "vnt--p.dhld*\n")
    items = read(root, kind="fasta", file=SCOPE, label=CLASS)
    with pytest.raises(UserError, match=r"record 1: the item has gaps \(- or .\)"):
        treat(items, "protein")
    treated = treat(items, "protein", gaps="remove")
    assert treated.table["sequence"].iloc[0].endswith("VNTPDHLD")
    assert treated.counts["items with gaps (- or .), which were removed"] == 1
    assert treated.counts["stop symbols (*) removed at the end"] == 1


@pytest.mark.parametrize(
    ("policy", "left", "counted"),
    [
        ("map", 3190, {"letters other than ACGTN, mapped to N": 4}),
        ("drop", 3186, {"items dropped with letters other than ACGTN": 4}),
    ],
)
def test_unknown_letters(splice, policy, left, counted):
    items = treat(read(splice(), **SPLICE), "dna", unknown=policy)
    assert (len(items.table), items.counts) == (left, counted)


def test_unknown_letters_can_be_an_error(splice):
    with pytest.raises(UserError, match=r"splice.data:\d+: the item has letters other than ACGTN"):
        treat(read(splice(), **SPLICE), "dna", unknown="error")


def test_an_empty_sequence(splice):
    items = read(splice({3: lambda line: line.rsplit(",", 1)[0] + ",   \n"}), **SPLICE)
    with pytest.raises(UserError, match=r"splice.data:3: the item has an empty sequence"):
        treat(items, "dna")
    assert treat(items, "dna", empty="drop").counts["items dropped with an empty sequence"] == 1


def test_items_that_are_too_short_or_too_long(scope):
    items = read(scope(">", ">"), kind="fasta", file=SCOPE, label=CLASS)
    left = treat(items, "protein", shortest=50, longest=500)
    assert left.table["sequence"].str.len().between(50, 500).all()
    dropped = sum(count for what, count in left.counts.items() if what.startswith("items dropped"))
    assert dropped == 7943 - len(left.table) > 0


def test_a_csv_with_quotes_and_newlines(mirrored, tmp_path):
    shutil.unpack_archive(mirrored("glue/RTE.zip"), tmp_path)
    dev = (tmp_path / "RTE/dev.tsv").read_text().splitlines()
    text = dev[1].split("\t")[1]
    quoted = "text,label\n" + f'"{text[:20]}\n""{text[20:]}""",x\n' + "plain,y\n"
    (tmp_path / "t.csv").write_text(quoted)
    table = read(tmp_path, kind="table", file="t.csv", columns={"sequence": "text", "target": "label"}).table
    assert table["sequence"].tolist() == [f'{text[:20]}\n"{text[20:]}"', "plain"]
    (tmp_path / "t.csv").write_text(quoted.replace('""",x', "x"))
    with pytest.raises(UserError, match=r"t.csv, line 2: .*; correct the line, or set reader.quoting"):
        read(tmp_path, kind="table", file="t.csv", columns={"sequence": "text", "target": "label"})


def test_text_that_is_not_utf8(mirrored, tmp_path):
    shutil.unpack_archive(mirrored("glue/SST-2.zip"), tmp_path)
    dev = tmp_path / "SST-2/dev.tsv"
    lines = dev.read_bytes().splitlines(keepends=True)
    lines[400] = b"a caf\xe9 " + lines[400]
    dev.write_bytes(b"".join(lines))
    byte = sum(map(len, lines[:400])) + 5
    with pytest.raises(
        UserError, match=rf"dev.tsv, line 401: byte {byte} is 0xe9, which is not utf-8; save the file as"
    ):
        prepared("sst2", tmp_path)
    reader = read_yaml(TASKS / "sst2.yaml")["reader"] | {"encoding": "latin-1"}
    assert read(tmp_path, **reader).table["sequence"].str.startswith("a café").sum() == 1


def test_a_wrong_column_name(mirrored, tmp_path):
    shutil.unpack_archive(mirrored("glue/SST-2.zip"), tmp_path)
    reader = read_yaml(TASKS / "sst2.yaml")["reader"]
    with pytest.raises(UserError, match=r"train.tsv has no column 'sentense'; did you mean sentence\?"):
        read(tmp_path, **reader | {"columns": {"sequence": "sentense", "target": "label"}})


def test_a_truncated_gzip(mirrored, tmp_path):
    whole = gzip.compress(mirrored("splice/splice.data").read_bytes())
    (tmp_path / "splice.data.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"splice.data.gz is not a complete gzip file \(.*\); download it again"):
        read(tmp_path, **SPLICE | {"file": "splice.data.gz"})


def test_a_target_that_is_no_number(mirrored, tmp_path):
    shutil.unpack_archive(mirrored("glue/RTE.zip"), tmp_path)
    reader = read_yaml(TASKS / "rte.yaml")["reader"]
    with pytest.raises(UserError, match=r"RTE/train.tsv:2: the target is 'not_entailment', but target.kind is number"):
        apply_policy(read(tmp_path, **reader), Policy(), None, "number")


def test_a_gzip_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "ALWAYS_ALLOWED", 10_000)
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"A" * 9_000))
    with text_files.open_text(tmp_path / "text.gz") as stream:
        assert len(stream.read()) == 9_000
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"A" * 5_000_000))
    with pytest.raises(UserError, match=r"bomb\.gz unpacks to more than 100 times its size"), text_files.open_text(tmp_path / "bomb.gz") as stream:  # fmt: skip
        stream.readline()
