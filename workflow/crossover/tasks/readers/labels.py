"""The labels of files: their sub-folder, or a row of a table."""

from collections.abc import Container
from pathlib import Path, PurePosixPath
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.readers.raw import find_file, split_named
from crossover.tasks.readers.rows import read_plain

Skipped = list[dict[str, str]]


def read_labels(receipt: Receipt, settings: dict[str, Any], kinds: Container[str]) -> tuple[dict[str, str], Skipped]:
    """The label of each file, and the files that have none.

    Args:
        receipt: the files.
        settings: `labels`, which is None for labels by sub-folder, else `file` (one of the files), and its columns `item`
            (paths relative to the table's folder) and `target`; and `split_folders` (whether the sub-folders of classes lie
            in one folder for each split).
        kinds: endings, in lower case, of the files that are wanted from sub-folders.

    Raises:
        UserError: a file lies beside the class folders, or the table does not fit the files.
    """
    if table := settings["labels"]:
        rows = read_table(receipt, table["file"], table["item"], [table["target"]])
        labels = {file: label for file, [label] in rows.items()}
        others = [file for file in receipt.files if file not in labels and file != table["file"]]
        return labels, [{"input": file, "reason": f"not in {table['file']}"} for file in others]
    wanted = [file for file in receipt.files if Path(file).suffix.lower() in kinds]
    depth = 1 if settings["split_folders"] else 0
    labels = {file: _folder_of(receipt, file, depth) for file in wanted}
    others = [file for file in receipt.files if file not in labels]
    return labels, [{"input": file, "reason": "its ending is not one of those that are read"} for file in others]


def _folder_of(receipt: Receipt, file: str, depth: int) -> str:
    folders = Path(file).parts[:-1]
    if len(folders) <= depth:
        raise UserError(f"{receipt.root / file} lies beside the class folders; move it into one of them, or away.")
    return folders[depth]


def split_of(receipt: Receipt, file: str) -> str:
    """The split that a file's outermost folder names.

    Raises:
        UserError: it names none.
    """
    return split_named(Path(file).parts[0], str(receipt.root / file))


def read_table(receipt: Receipt, path: str, item: str, columns: list[str]) -> dict[str, list[str]]:
    """What a table says of files: the values of `columns` by file.

    Args:
        receipt: the files.
        path: the table, one of the files.
        item: its column with paths relative to its own folder.
        columns: of which no cell may be empty.

    Raises:
        UserError: the table is not there or lacks a column or a value, or it names a file that is not there, or one twice.
    """
    known, found = set(receipt.files), dict[str, list[str]]()
    for number, values in read_plain(find_file(receipt, path), [item, *columns]):
        where = f"{receipt.root / path}, line {number}"
        name, *values = ((value or "").strip() for value in values)
        file = (PurePosixPath(path).parent / name).as_posix()
        if file not in known or file in found:
            problem = "is not there" if file not in known else "is named a second time"
            raise UserError(f"{where}: {file} {problem}; correct or remove the line.")
        for column, value in zip(columns, values, strict=True):
            if not value:
                raise UserError(f"{where}: no {column}; give one, or remove the line.")
        found[file] = values
    return found
