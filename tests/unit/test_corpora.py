"""Corpora without labels: real text, and the sequences of tasks."""

import shutil

import numpy as np
import pandas as pd
import pytest
from committed_tasks import receipt_of

from crossover.acquire.acquired import Acquired
from crossover.acquire.receipt import write_receipt
from crossover.errors import UserError
from crossover.files import sha256, write_sealed_json
from crossover.pretraining.corpus import read_corpus, read_documents, read_wikitext


def receipt(root):
    acquired = Acquired(root, list(receipt_of(root).paths), "here", None)
    write_receipt(root / "dataset.json", acquired, "text", "folder")
    return root / "dataset.json"


@pytest.mark.parametrize(("name", "tokens"), [("valid", 217646), ("test", 245569)])
def test_wikitext_has_the_published_articles_and_tokens(mirrored, name, tokens):
    path = mirrored(f"wikitext-2/wiki.{name}.tokens")
    articles = read_wikitext(path)
    assert len(articles) == 60
    assert all(article.startswith("= ") for article in articles)
    blank = sum(not line.strip() for line in path.read_text().split("\n")[:-1])
    words = sum(len(line.split()) + 1 for article in articles for line in article.split("\n"))
    assert words + blank == tokens  # published with an end of sentence for each line, blank ones too


def test_books_are_documents_and_the_test_part_of_wikitext_is_left_out(mirrored, tmp_path):
    books = sorted(mirrored("books").glob("*.md"))
    for path in [*books, mirrored("wikitext-2/wiki.test.tokens")]:
        shutil.copy(path, tmp_path)
    documents = read_documents(receipt(tmp_path))
    assert documents == [path.read_text(encoding="utf-8").strip() for path in books]


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="dataset text has no text in"):
        read_documents(receipt(tmp_path))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(UserError, match=r"a.txt, line 1: byte 3 is 0xe9, which is not utf-8"):
        read_documents(receipt(tmp_path))


def task_of(folder, **columns):
    pd.DataFrame({**columns, "target": "secret"}).to_parquet(folder / "train.parquet")
    write_sealed_json(folder / "card.json", {"sha256": {"train.parquet": sha256(folder / "train.parquet")}})
    return folder / "card.json"


@pytest.mark.parametrize(
    ("columns", "documents"),
    [
        ({"sequence": ["ACGT", "GG"], "group": ["b", "a"]}, ["ACGT", "GG"]),
        ({"sequence": [np.array([60, 62], dtype=np.int32), np.array([64])], "group": ["x", "y"]}, ["60 62", "64"]),
        ({"sequence": ["one", "two", "three"], "group": ["p", "q", "p"]}, ["one\nthree", "two"]),
        ({"sequence": ["premise", "s"], "second": ["hypothesis", "t"], "group": ["0", "1"]}, ["premise\nhypothesis", "s\nt"]),
    ],
)  # fmt: skip
def test_sequences_of_a_task_are_a_corpus_without_its_labels(tmp_path, columns, documents):
    assert read_corpus(task_of(tmp_path, **columns)) == documents


def test_sequences_that_are_not_those_of_the_card_are_refused(tmp_path):
    card = task_of(tmp_path, sequence=["ACGT"], group=["a"])
    pd.DataFrame({"sequence": ["GGGG"], "group": ["a"]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"train.parquet"):
        read_corpus(card)
