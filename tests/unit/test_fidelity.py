"""Published files: sizes, class counts and floors as published, and every record as an independent parser reads it."""

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from Bio import SeqIO
from committed_tasks import prepared, read

from crossover.config.tasks import Target
from crossover.tasks.prepare.card import describe_items


@pytest.fixture
def files(mirrored, tmp_path) -> Callable[..., Path]:
    """Lay files of the mirror out as their datasets have them: archives unpacked, under their published names."""

    def lay_out(*paths: str) -> Path:
        for path in paths:
            source = mirrored(path)
            if source.is_dir():
                shutil.copytree(source, tmp_path / source.name)
            elif ".tar.gz" in source.name:
                with tarfile.open(source) as archive:
                    archive.extractall(tmp_path, filter="data")
            elif source.suffix == ".zip":
                with zipfile.ZipFile(source) as archive:
                    archive.extractall(tmp_path)
            else:
                shutil.copy(source, tmp_path / source.name.removesuffix(".subset"))
        return tmp_path

    return lay_out


def sizes(items):
    return items.table["split"].value_counts().to_dict()


def columns(items, split, *names):
    table = items.table
    return table.loc[table["split"] == split, list(names)].to_numpy().tolist()


def tsv(path, **options):
    """A tab-separated table as pandas reads it, quotation marks being characters."""
    return pd.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False, **options)


def stripped(table, *names):
    return table[list(names)].apply(lambda column: column.str.strip()).to_numpy().tolist()


# --- DNA --------------------------------------------------------------------------------------------------------


def test_splice_is_the_published_table_and_both_copies_are_equal(files):
    root = files("splice/splice.data", "hilbert-cnn/data/splice.txt")
    items, copy = prepared("splice", root), prepared("splice-hilbert", root)
    assert items.table["target"].value_counts().to_dict() == {"N": 1655, "IE": 768, "EI": 767}
    assert items.table["sequence"].str.len().eq(60).all()
    independent = pd.read_csv(
        root / "splice.data", header=None, names=["target", "name", "sequence"], skipinitialspace=True
    )
    for table in (items.table, copy.table):
        assert (table["target"].to_numpy() == independent["target"].to_numpy()).all()
        assert (table["sequence"] == independent["sequence"].str.replace("[DRS]", "N", regex=True)).all()
    assert items.counts == {"letters other than ACGTN, mapped to N": 4}
    assert describe_items(items, Target(kind="class")).floor.score == pytest.approx(0.519, abs=0.005)
    assert sizes(items) == {"train": 2872, "validation": 159, "test": 159}


@pytest.mark.parametrize(("task", "count"), [("h3", 4185), ("h4", 4110), ("h3k9ac", 4200)])
def test_histone_records_are_every_third_line(files, task, count):
    name = {"h3": "H3", "h4": "H4", "h3k9ac": "H3K9ac"}[task]
    root = files(f"hilbert-cnn/data/{name}.txt.subset")
    table = prepared(task, root).table
    lines = (root / f"{name}.txt").read_text().splitlines()
    assert len(table) == count
    assert table["item"].tolist() == [line[1:] for line in lines[0::3]]
    assert table["sequence"].tolist() == lines[1::3]
    assert table["target"].tolist() == lines[2::3]


def test_gue_has_the_splits_of_its_paper(files):
    root = files("gue/GUE")
    items = prepared("gue-promoter-tata", root)
    assert sizes(items) == {"train": 4904, "validation": 613, "test": 613}
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        independent = pd.read_csv(root / f"GUE/prom/prom_core_tata/{name}.csv", dtype=str)
        assert columns(items, split, "sequence", "target") == independent.to_numpy().tolist()


# --- proteins ---------------------------------------------------------------------------------------------------


def test_remote_homology_is_divided_as_deepsf_lists_it(files):
    root = files("remote_homology/remote_homology.tar.gz.subset", "deepsf/D2_Three_levels_dataset")
    lists, folds = {}, {}
    for name, published in (("Traindata.list", 12312), ("validation.list", 736), ("test_dataset.list_fold", 718)):
        table = read(
            root,
            kind="table",
            file=f"D2_Three_levels_dataset/{name}",
            format="tsv",
            header=False,
            columns={"item": 0, "sequence": 0, "target": 2},
        ).table
        assert len(table) == published
        lists[name], folds[name] = set(table["item"]), set(table["target"])
    assert len(folds["Traindata.list"]) == len(set.union(*folds.values())) == 1195  # all can be learned
    items = prepared("remote-homology", root, item="id")
    for split, name in zip(("train", "validation", "test"), lists, strict=True):
        assert {item for (item,) in columns(items, split, "item")} <= lists[name]
    independent = pd.read_json(root / "remote_homology/remote_homology_train.json", dtype={"fold_label": str})
    assert columns(items, "train", "item", "sequence", "target") == stripped(independent, "id", "primary", "fold_label")
    assert items.counts["items dropped with a rare class"] == 24  # the mirror lacks two thirds of the training part


def test_fluorescence_is_the_original_table_divided_by_mutations(files):
    root = files("fluorescence/fluorescence.tar.gz.subset", "fluorescence/amino_acid_genotypes_to_brightness.tsv")
    original = tsv(root / "amino_acid_genotypes_to_brightness.tsv")
    mutations = original["aaMutations"].map(lambda names: len(names.split(":")) if names else 0)
    assert ((mutations <= 3).sum(), (mutations > 3).sum()) == (26808, 27217)
    table = prepared("fluorescence", root, item="id").table
    rows = table["item"].astype(int)
    assert table["target"].tolist() == original["medianBrightness"].astype(float)[rows].tolist()
    assert (table["split"].eq("test").to_numpy() == (mutations[rows] > 3).to_numpy()).all()


def test_stability_is_the_json_of_tape(files):
    root = files("stability/stability.tar.gz.subset")
    items = prepared("stability", root)
    assert sizes(items) == {"train": 6000, "validation": 1500, "test": 3000}
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        records = json.loads((root / f"stability/stability_{name}.json").read_text())
        expected = [[record["primary"], record["stability_score"][0]] for record in records]
        assert columns(items, split, "sequence", "target") == expected


def test_localization_is_the_marked_split(files):
    root = files("deeploc/deeploc_data.fasta.subset")
    items = prepared("localization", root)
    records = [
        record
        for record in SeqIO.parse(root / "deeploc_data.fasta", "fasta")
        if "Cytoplasm-Nucleus" not in record.description
    ]
    assert items.table["item"].tolist() == [record.id for record in records]
    assert items.table["target"].nunique() == 10
    assert items.table["target"].tolist() == [record.description.split()[1].rsplit("-", 1)[0] for record in records]
    assert items.table["split"].eq("test").tolist() == [record.description.endswith(" test") for record in records]
    assert (sizes(items)["test"], items.counts["items dropped with no label"]) == (2768, 23)


def test_scope_records_are_those_that_biopython_reads(files):
    root = files("scope/astral-scopedom-seqres-gd-sel-gs-bib-20-2.08.fa")
    items = prepared("scop-class", root)
    records = list(SeqIO.parse(root / "astral-scopedom-seqres-gd-sel-gs-bib-20-2.08.fa", "fasta"))
    classes = [record.description.split()[1].split(".") for record in records]
    assert len(items.table) == len(records) == 7943
    assert items.table["item"].tolist() == [record.id for record in records]
    assert items.table["target"].tolist() == [levels[0] for levels in classes]
    assert items.table["group"].tolist() == [".".join(levels[:3]) for levels in classes]
    assert items.table["sequence"].str.len().tolist() == [len(record.seq) for record in records]


@pytest.mark.parametrize(("task", "classes"), [("scop-fold", 93), ("scop-superfamily", None)])
def test_scope_keeps_relatives_on_one_side(files, task, classes):
    table = prepared(task, files("scope/astral-scopedom-seqres-gd-sel-gs-bib-20-2.08.fa")).table
    assert table.groupby("group")["split"].nunique().eq(1).all()
    assert table.groupby("target")["split"].nunique().eq(3).all()
    assert classes is None or table["target"].nunique() == classes


def test_the_fasta_form_of_plus_is_the_json_of_tape(files):
    root = files("stability/stability.tar.gz.subset", "plus/Stability/stability_train.fa.subset")
    plus = read(root, kind="fasta", file="stability_train.fa", label=r"^\S+ (\S+)").table
    tape = prepared("stability", root, item="id").table.set_index("item").loc[plus["item"]]
    assert plus["sequence"].tolist() == tape["sequence"].tolist()
    assert plus["target"].astype(float).tolist() == tape["target"].tolist()


# --- logic ------------------------------------------------------------------------------------------------------


def test_listops_values_are_all_equal_to_the_published_ones(files):
    items = prepared("listops-nangia", files("listops/test_d20s.tsv"))
    lines = (files() / "test_d20s.tsv").read_text().splitlines()
    assert len(items.table) == len(lines) == 10_000  # the reader computes each again, and refuses one that differs
    for line, text, target in zip(lines, items.table["sequence"], items.table["target"], strict=True):
        value, expression = line.split("\t")
        assert (value, expression.replace("( ", "").replace(" )", "")) == (target, text)


# --- text -------------------------------------------------------------------------------------------------------


def test_cola_is_whole(files):
    items = prepared("cola", root := files("glue/CoLA.zip"))
    train, dev = (tsv(root / f"CoLA/{name}.tsv", header=None) for name in ("train", "dev"))
    assert (len(train), len(dev)) == (8551, 1043)
    words = {"0": "unacceptable", "1": "acceptable"}
    together = pd.concat([train, dev])
    assert items.table["sequence"].tolist() == together[3].str.strip().tolist()
    assert items.table["target"].tolist() == together[1].map(words).tolist()
    assert sizes(items)["test"] == 1043


def test_sst2_is_whole(files):
    items = prepared("sst2", root := files("glue/SST-2.zip"))
    train, dev = (tsv(root / f"SST-2/{name}.tsv") for name in ("train", "dev"))
    assert (len(train), len(dev)) == (67349, 872)
    together = pd.concat([train, dev])
    assert items.table["sequence"].tolist() == together["sentence"].str.strip().tolist()
    assert items.table["target"].tolist() == together["label"].map({"0": "negative", "1": "positive"}).tolist()
    assert describe_items(items, Target(kind="class")).floor.score == pytest.approx(0.509, abs=0.0005)


def test_rte_is_whole(files):
    items = prepared("rte", root := files("glue/RTE.zip"))
    train, dev = (tsv(root / f"RTE/{name}.tsv") for name in ("train", "dev"))
    assert (len(train), len(dev)) == (2490, 277)
    together = pd.concat([train, dev])
    assert items.table[["sequence", "second", "target"]].to_numpy().tolist() == stripped(
        together, "sentence1", "sentence2", "label"
    )
