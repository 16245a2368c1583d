"""The corpora of pretraining: text, and the sequences of tasks."""

import ast
import re
from pathlib import Path

import numpy as np

from crossover.acquire.receipt import read_receipt
from crossover.errors import UserError
from crossover.files import check_file
from crossover.specs.descriptions import Card
from crossover.text_files import open_text

ARTICLE = re.compile(r"= [^=].* =")  # WikiText: a heading of the first level; those below have more signs


def read_corpus(description: Path) -> list[str]:
    """Return the documents of a corpus; a held-out split keeps each of them whole.

    Args:
        description: `dataset.json` of a text dataset, or `card.json` of a prepared task.

    Raises:
        UserError: a file is not the one that was acquired or prepared, or there is no text.
    """
    return read_sequences(description) if description.name == "card.json" else read_documents(description)


def read_documents(receipt: Path) -> list[str]:
    """Return the documents of a text dataset, file by file in the order of names.

    - `topics.py`: Python's documentation topics, in the order of their names;
    - `.tokens`: WikiText (Merity et al. 2017), one document per article; its test file is left for tests;
    - `.txt` and `.md`: one document per file, such as a book.

    Args:
        receipt: `dataset.json` of the dataset.

    Raises:
        UserError: a file is not the one that was acquired, is no UTF-8, or there is no text.
    """
    content = read_receipt(receipt)
    documents: list[str] = []
    for file in content.paths:
        path = content.root / file
        match path.suffix:
            case ".py" if path.name == "topics.py":
                documents += _topics(path)
            case ".tokens" if ".test." not in path.name:
                documents += read_wikitext(path)
            case ".txt" | ".md":
                with open_text(path) as stream:
                    documents.append(stream.read().strip())
    documents = [document for document in documents if document]
    if not documents:
        raise UserError(
            f"dataset {content.name} has no text in {content.root}; expected files that end in .txt, .md or .tokens."
        )
    return documents


def read_wikitext(path: Path) -> list[str]:
    """Return the articles of a WikiText file, its tokens as they are, separated by spaces; headings begin lines of their own."""
    articles: list[list[str]] = []
    before = ""
    with open_text(path) as stream:
        for line in map(str.strip, stream):
            if not before and ARTICLE.fullmatch(line):  # within an article, such a line is an equation
                articles.append([])
            if line and articles:
                articles[-1].append(line)
            before = line
    return ["\n".join(lines) for lines in articles]


def read_sequences(card: Path) -> list[str]:
    """Return the training sequences of a prepared task, without their labels: letters, words, or numbers with spaces between.

    Only the training split, so that a model which learns from them has not seen what it will be tested on. The sequences
    of a group, such as the segments of a piece, are the lines of one document, and so are the two texts of a pair.

    Args:
        card: `card.json` of the task.

    Raises:
        UserError: the sequences are not those that the card describes.
    """
    import pyarrow.parquet as pq

    name = "train.parquet"
    path = check_file(card.with_name(name), Card.load(card).sha256[name], f"{card} describes")
    columns = [name for name in ("sequence", "second") if name in pq.read_schema(path).names]
    table = pq.read_table(path, columns=["group", *columns]).to_pandas()
    lines = table[columns].map(_written).agg("\n".join, axis=1)
    documents: list[str] = lines.groupby(table["group"], sort=False).agg("\n".join).to_list()
    return documents


def _written(sequence: str | np.ndarray) -> str:
    return sequence if isinstance(sequence, str) else " ".join(map(str, sequence.tolist()))


def _topics(source: Path) -> list[str]:
    # Read as data, not imported: nothing that a file says is run.
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(name) for name in node.targets] == ["topics"]:
            topics = ast.literal_eval(node.value)
            return [topics[name] for name in sorted(topics)]
    raise UserError(f"{source} assigns no dict to `topics`; use a Python with its standard library whole.")
