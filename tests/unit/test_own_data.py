"""A user's own files: what `new-task` guesses of them, and what `check-task` says."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_tasks_midi import write_midi

from crossover.commands import check_task as command
from crossover.commands.new_task import guess, new_task
from crossover.config.load import load_task
from crossover.errors import UserError

LETTERS = list("ACGT")
SENTENCES = [
    f"The {thing} is {what}!" for thing in ("sea", "sky", "old house", "road") for what in ("blue", "far", "ä 1")
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config/tasks").mkdir(parents=True)
    return tmp_path


def dna(number: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(LETTERS, 20)) for _ in range(number)]


def check_task(name: str) -> str:
    """What check-task says of a task."""
    return command.check_task(name).text()


def written(source: str) -> dict:
    """What the file that new-task writes says, once it has been read back as a task."""
    return load_task(new_task(source).stem).model_dump()


# --- guesses ----------------------------------------------------------------------------------------------------


def test_a_table_is_understood_by_names_and_contents():
    rows = pd.DataFrame({"id": range(60), "dna": dna(60), "class": ["x", "y", "z"] * 20, "set": (["train"] * 4 + ["test"]) * 12})  # fmt: skip
    rows.to_csv("genes.csv", index=False)
    task = written("genes.csv")
    columns = {key: value for key, value in task["reader"]["columns"].items() if value is not None}
    assert columns == {"sequence": "dna", "target": "class", "item": "id", "split": "set"}
    assert (task["domain"], task["split"]["by"], task["target"]["kind"]) == ("dna", "given", "class")
    assert task["encoding"]["alphabet"] == "dna"
    text = check_task("genes")
    assert "floor     0.3333" in text
    assert text.count("decoded") == 3


def test_what_is_missing_or_repeated_is_told_by_the_check():
    rows = pd.DataFrame({"id": [*range(59), 3], "dna": [*dna(59), None], "class": ["x", "y"] * 30})
    rows.to_csv("genes.csv", index=False)
    path = new_task("genes.csv")
    assert "item: not id, because its values are not unique" in path.read_text()
    with pytest.raises(UserError, match=r"genes\.csv:61: the item has an empty sequence"):
        check_task("genes")


@pytest.mark.parametrize("form", ["tsv", "jsonl", "json", "parquet"])
def test_every_form_of_table_is_read(form):
    table = pd.DataFrame({"text": SENTENCES * 5, "score": np.arange(60) / 7})
    save = {
        "tsv": lambda path: table.to_csv(path, sep="\t", index=False),
        "jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        "json": lambda path: table.to_json(path, orient="records"),
        "parquet": table.to_parquet,
    }
    save[form](Path(f"marks.{form}"))
    task = written(f"marks.{form}")
    assert (task["domain"], task["encoding"]["kind"]) == ("text", "subwords")
    assert (task["target"]["kind"], task["target"]["metric"]) == ("number", "spearman")
    text = check_task("marks")
    assert "a correlation is 0 when all answers are the same" in text
    assert "add --checkpoint NAME" in text


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("p{n} class={c} other=1", "class={c}"),
        ("p{n} {c}", "{c}"),
        ("p{n}|swiss|{c}", "{c}"),
        ("p{n} of some thing {c}", "{c}"),
        ("p{n}_{c}", "{c}"),
    ],
)
def test_the_label_is_found_in_fasta_headers(header, label):
    lines = [
        f">{header.format(n=number, c='left' if number % 3 else 'right')}\nMKVLAAGW{'LKE' * (number % 5)}"
        for number in range(40)
    ]
    Path("own.fa").write_text("\n".join(lines) + "\n")
    assert written("own.fa")["domain"] == "protein"
    text = check_task("own")
    assert "left" in text
    assert "right" in text
    assert "TOTAL" not in text


def test_a_byte_order_mark_before_a_fasta_file_is_passed_over():
    records = "".join(f">p{number} {'ab'[number % 2]}\nMKVLAAGWLKE\n" for number in range(40))
    Path("own.fa").write_text(records, encoding="utf-8-sig")
    assert written("own.fa")["reader"]["kind"] == "fasta"


def test_numbers_in_fasta_headers_are_regressed():
    Path("own.fa").write_text(
        "".join(f">p{number} {number / 7:.3f}\nMKVLAAGWLKE{'A' * number}\n" for number in range(40))
    )
    assert written("own.fa")["target"]["kind"] == "number"


def test_scope_keeps_superfamilies_together(mirrored):
    source = mirrored("scope/astral-scopedom-seqres-gd-sel-gs-bib-20-2.08.fa")
    path = new_task(str(source), "scop")
    assert load_task("scop").split.by == "group"
    text = check_task("scop")
    assert "treated   7,943 x items with lower-case letters" in text
    assert "SCOP superfamily" in path.read_text()


def test_a_folder_of_midi_files():
    for label in ("one", "two"):
        for number in range(6):
            write_midi(
                Path(f"tunes/{label}/{number}.mid"), [(step, 60 + (step * (number + 2)) % 12) for step in range(300)]
            )
    task = written("tunes")
    assert (task["reader"]["kind"], task["split"]["by"], task["target"]["vote"]) == ("midi", "group", True)
    text = check_task("tunes")
    assert "groups" in text
    assert "groups of test items" in text


def test_a_folder_of_images():
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        Path("pets", label).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(rng.integers(0, 255, (32, 24, 3), dtype=np.uint8)).save(f"pets/{label}/{number}.png")
    task = written("pets")
    assert (task["reader"]["kind"], task["encoding"]["patch"]) == ("image-folder", [2, 2])
    text = check_task("pets")
    assert "patches   of 12 numbers" in text
    assert "longest   192 positions" in text


def test_images_within_a_table(tmp_path):
    rows = []
    for number in range(24):
        Image.fromarray(np.full((8, 8), number, dtype=np.uint8)).save("one.png")
        rows.append({"image": {"bytes": Path("one.png").read_bytes(), "path": None}, "label": number % 2})
    pd.DataFrame(rows).to_parquet("pets.parquet")
    task = written("pets.parquet")
    assert (task["reader"]["kind"], task["reader"]["colour"]) == ("image-table", False)
    assert "longest   64 positions" in check_task("pets")


def test_a_dataset_of_the_hub_is_a_form_to_fill_in():
    found = guess("hub:someone/reviews", "reviews")
    assert found.settings["dataset"]["id"] == "someone/reviews"
    assert found.settings["dataset"]["revision"] == "FILL-IN"


PUBLISHED = {
    "splice/splice.data": ("dna", {"kind": "table", "header": False}, "items"),
    "hilbert-cnn/data/H4.txt.subset": ("dna", {"kind": "three-line"}, "residues|nucleotides"),
    "listops/test_d20s.tsv": ("logic", {"kind": "listops-file"}, "symbols"),
    "gue/GUE/prom/prom_core_tata/dev.csv": ("dna", {"kind": "table", "header": True}, "floor"),
    "plus/Stability/stability_train.fa.subset": ("protein", {"kind": "fasta"}, "correlation"),
    "scope/astral-scopedom-seqres-gd-sel-gs-bib-35-2.08.fa.subset": ("protein", {"kind": "fasta"}, "groups"),
}


@pytest.mark.parametrize("source", PUBLISHED)
def test_published_files_are_understood(mirrored, source):
    """Files in their published formats, as someone's own."""
    domain, reader, words = PUBLISHED[source]
    copy = Path(Path(source).name.removesuffix(".subset"))
    shutil.copy(mirrored(source), copy)
    new_task(str(copy), "own")
    task = load_task("own").model_dump()
    assert task["domain"] == domain
    assert task["reader"].items() >= reader.items()
    assert re.search(words, check_task("own"))


@pytest.mark.parametrize(("member", "header"), [("CoLA/train.tsv", False), ("SST-2/train.tsv", True), ("RTE/train.tsv", True)])  # fmt: skip
def test_files_of_glue_are_understood(mirrored, member, header):
    archive = mirrored(f"glue/{member.split('/')[0]}.zip")
    with zipfile.ZipFile(archive) as members:
        Path("own.tsv").write_bytes(members.read(member))
    task = written("own.tsv")
    assert (task["domain"], task["reader"]["header"], task["target"]["kind"]) == ("text", header, "class")
    assert task["reader"]["columns"]["target"] == ("label" if header else 1)
    assert (task["reader"]["columns"]["second"] == "sentence2") == member.startswith("RTE")
    assert "add --checkpoint NAME" in check_task("own")


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("index", [True, False])
def test_columns_are_told_apart_by_what_separates_them(separator, index):
    rows = pd.DataFrame({"dna": dna(60), "class": ["NA", "yes"] * 30})
    rows.to_csv("genes.csv", sep=separator, index=index)  # an index is a column without a name
    task = written("genes.csv")
    assert (task["reader"]["columns"]["sequence"], task["reader"]["header"]) == ("dna", True)
    assert ("or lists as values: ''." in Path("config/tasks/genes.yaml").read_text()) == index
    assert "  NA " in check_task("genes")


def test_commas_within_texts_do_not_separate_columns():
    Path("own.txt").write_text(
        "".join(f"{number % 2}\tIt is late, dark, cold; so what, {number}?\n" for number in range(60))
    )
    assert written("own.txt")["reader"]["columns"]["sequence"] == 1


def test_a_first_line_that_comes_again_below_is_data():
    Path("own.csv").write_text("".join(f"AMP,GLFDIVKK{'VLA'[: number % 4]}\nnone,MKWLLE\n" for number in range(30)))
    columns = written("own.csv")["reader"]["columns"]
    assert (columns["sequence"], columns["target"]) == (1, 0)


def test_numbers_are_classes_only_if_they_are_few_and_whole():
    targets = {}
    for name, values in {"whole": range(4), "broken": np.arange(4) / 2, "many": range(150)}.items():
        pd.DataFrame({"dna": dna(600), "y": np.resize(list(values), 600)}).to_csv(f"{name}.csv", index=False)
        targets[name] = written(f"{name}.csv")["target"]["kind"]
    assert targets == {"whole": "class", "broken": "number", "many": "number"}


@pytest.mark.parametrize(
    ("letters", "domain"), [("ACGUARYN", "dna"), ("ACGT-ACGT--", "dna"), ("MKVLAAGW", "protein"), ("C=O C(=O)", "text")]
)
def test_the_letters_tell_the_domain(letters, domain):
    Path("own.fa").write_text("".join(f">s{number} {number % 2}\n{letters}\n" for number in range(60)))
    assert written("own.fa")["domain"] == domain


def test_short_lines_of_fasta_are_no_labels():
    """Windows of 70 nucleotides in lines of 60 have three lines each, too."""
    Path("own.fa").write_text(
        "".join(f">w{number} {number % 2}\n{text * 3}\n{text[:10]}\n" for number, text in enumerate(dna(40)))
    )
    assert written("own.fa")["reader"]["kind"] == "fasta"
    assert "least to most         70 to 70" in check_task("own")


def test_many_classes_in_headers_are_found():
    Path("own.fa").write_text("".join(f">p{number} fold{number % 150}\nMKVLAAGW\n" for number in range(600)))
    new_task("own.fa")
    assert "Label: the second word" in Path("config/tasks/own.yaml").read_text()


@pytest.mark.parametrize("header", ["Source\tTarget", "index\texpression\tvalue", ""])
def test_listops_is_read_under_any_header(header):
    row = (
        "{n}\t( ( ( [MAX 2 ) {n} ) ] )\t{value}" if header.startswith("index") else "( ( ( [MAX 2 ) {n} ) ] )\t{value}"
    )
    lines = [header] * bool(header) + [row.format(n=number % 10, value=max(2, number % 10)) for number in range(90)]
    Path("own.tsv").write_text("\n".join(lines))
    assert written("own.tsv")["reader"]["kind"] == "listops-file"
    assert "equals the one in the file" in check_task("own")


def test_a_folder_with_a_file_for_each_split():
    rows = pd.DataFrame({"dna": dna(60), "class": ["x", "y"] * 30})
    for name in ("train", "dev", "test"):
        Path("genes/sub").mkdir(parents=True, exist_ok=True)
        rows.to_csv(f"genes/sub/{name}.csv", index=False)
    files = {"train": "sub/train.csv", "validation": "sub/dev.csv", "test": "sub/test.csv"}
    assert written("genes")["reader"]["files"] == files
    assert re.search(r"items +60 +60 +60\n", check_task("genes"))


def test_folders_of_splits_and_tables_of_labels():
    for number in range(24):
        path = Path(f"pets/{'test' if number % 3 else 'train'}/{'cat' if number % 2 else 'dog'}/{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((17, 8), number, dtype=np.uint8)).save(path)
    reader = written("pets")["reader"]
    assert (reader["split_folders"], reader["colour"], reader["resize"]) == (True, False, [16, 8])
    assert re.search(r"  cat +\d", check_task("pets"))
    files = sorted(path.relative_to("pets").as_posix() for path in Path("pets").rglob("*.png"))
    pd.DataFrame({"path": files, "kind": ["a", "b"] * 12}).to_csv("pets/labels.csv", index=False)
    new_task("pets", "tabled")
    assert load_task("tabled").reader.labels.target == "kind"
    assert "floor     0.5000" in check_task("tabled")


@pytest.mark.parametrize(("data", "kind"), [("mnist", "idx"), ("maestro-v3.0.0", "maestro")])
def test_folders_of_published_data_have_readers_of_their_own(mirrored, data, kind):
    if kind == "maestro":
        Path(data, "2004").mkdir(parents=True)
        shutil.copy(mirrored("maestro/maestro-v3.0.0.csv"), data)
        write_midi(Path(data, "2004/a.midi"), [(0, 60)])
    task = guess(data if kind == "maestro" else str(mirrored(data)), "own")
    assert (task.settings["reader"]["kind"], task.settings["split"]["by"]) == (kind, "given")


def test_control_characters_of_the_data_do_not_spoil_the_file():
    pd.DataFrame({"text": SENTENCES * 5, "label\a": ["x\x01", "y"] * 30}).to_csv("own.csv", index=False)
    assert written("own.csv")["reader"]["columns"]["target"] == "label\a"
    Path("half.json").write_text(json.dumps([{"text": "a b", "label": "x\ud800", "\ud800": 1}]))
    assert written("half.json")["reader"]["columns"]["target"] == "label"
    with pytest.raises(UserError, match=r"the name of .* is not UTF-8; rename it"):
        new_task("\udcff.csv", "other")


# --- what cannot be guessed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "absent.csv is not there; give the path of a file or folder, or hub:OWNER/NAME"),
        ("song.mp3", b"ID3\0", "song.mp3 is not text; use FASTA, csv, tsv"),
        (
            "wide.csv",
            "a,b\n1,2\n".encode("utf-16"),
            "wide.csv is not text; use FASTA, csv, tsv, JSON, JSONL or Parquet, convert UTF-16 to UTF-8",
        ),
        ("page.fa", b"\n<!DOCTYPE html>\n", "page.fa is a web page, not data; download the file itself"),
        ("empty.fa", b"", "empty.fa is empty; give a file with sequences"),
        ("cut.fa.gz", b"\x1f\x8b\x08\x00", "cut.fa.gz is not a complete gzip file"),
        ("latin.fa", b">p M\xfcller\nMKV\n", "latin.fa, line 1: byte 4 is 0xfc, which is not utf-8"),
        ("broken.jsonl", b'{"a": 1\n', "broken.jsonl, line 1 is not JSON"),
        ("fake.parquet", b"<html>", "fake.parquet is not a complete Parquet file"),
        ("empty.csv", b"", "empty.csv is empty"),
        ("spaces.txt", b"id dna\n1 ACGT\n", "line 1, 'id dna', has no commas or tabs and does not begin with >"),
        ("head.csv", b"dna,class\n", "head.csv has no rows"),
        ("wide.csv", b"dna,class\nACGT,a,b\n", "wide.csv, line 2: 3 values, but the header has 2 columns"),
        ("one.json", b"[1]", "one.json, record 1: expected an object"),
        ("numbers.csv", b"a,b\n1,2\n", "no column has text of several letters"),
        ("§.csv", b"a,b\n1,2\n", "give --name with lower-case letters"),
    ],
)
def test_a_file_that_cannot_be_understood_is_one_sentence(name, content, words):
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        new_task(name, None if name.startswith("§") else "own")
    assert not list(Path("config/tasks").iterdir())


def test_folders_that_are_no_task_are_named(tmp_path):
    Path("data/one").mkdir(parents=True)
    Path("data/one/a.csv").write_text("x")
    with pytest.raises(
        UserError,
        match=r"data contains \.csv, but neither MIDI files nor images; give the path of a single file instead",
    ):
        new_task("data")
    write_midi(Path("data/one/a.mid"), [(step, 60) for step in range(20)])
    with pytest.raises(
        UserError, match=r"data needs one sub-folder per class with its files, or a csv .* but has 1 such"
    ):
        new_task("data")


def test_a_folder_of_images_too_large_to_open(monkeypatch):
    Path("pets/cat").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save("pets/cat/1.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match="pets: none of the images can be opened"):
        new_task("pets")


def test_a_task_that_exists_is_not_overwritten():
    Path("config/tasks/own.yaml").write_text("mine")
    Path("own.fa").write_text(">p a\nMKV\n")
    with pytest.raises(UserError, match=r"own\.yaml exists already; give another --name"):
        new_task("own.fa")
    assert Path("config/tasks/own.yaml").read_text() == "mine"


def test_a_file_that_changes_is_another_dataset(folder):
    """The file is read in place, and its digest is part of the dataset's name."""
    pd.DataFrame({"dna": dna(60), "class": ["x", "y"] * 30}).to_csv("genes.csv", index=False)
    new_task("genes.csv")
    check_task("genes")
    [receipt] = folder.glob("resources/downloads/genes-*/dataset.json")
    assert [entry["path"] for entry in json.loads(receipt.read_text())["files"]] == ["genes.csv"]
    shutil.copy("genes.csv", "more.csv")
    with Path("genes.csv").open("a") as stream:
        stream.write("ACGTACGT,x\n")
    check_task("genes")
    assert len(list(folder.glob("resources/downloads/genes-*/dataset.json"))) == 2


@pytest.mark.parametrize("letter", ["\x85", "\u2028", "\u2029", "\xa0", "é"])
def test_odd_letters_in_a_label_are_read_as_they_are(letter):
    """The line ends of Unicode are letters to a table, but line ends to YAML."""
    path = Path(f"a{letter}b.csv")
    path.write_text("sequence,label\n" + "ACGTACGT,x\nTTGACCAA,y\n" * 20, encoding="utf-8")
    assert load_task(new_task(str(path), "odd").stem).dataset.path == str(path)
