"""Labels of files: by sub-folder, or in a table."""

from collections.abc import Container
from pathlib import Path, PurePosixPath

from crossover.config.media_readers import LabelledFilesReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt, SkippedInput, SplitName
from crossover.tasks.readers.raw import find_file, split_named
from crossover.tasks.readers.rows import read_plain


def read_labels(
    reader: LabelledFilesReader, receipt: Receipt, suffixes: Container[str]
) -> tuple[dict[str, str], list[SkippedInput]]:
    """Return the label of each file, and the files that have none.

    Args:
        reader: where the labels are. Paths in a table are relative to the table's folder.
        receipt: of the raw files.
        suffixes: endings, in lower case, of the files to read from sub-folders.

    Raises:
        UserError: a file is not in a class folder, or the table does not fit the files.
    """
    if table := reader.labels:
        rows = read_file_table(receipt, table.file, table.item, [table.target])
        labels = {file: label for file, [label] in rows.items()}
        reason = f"not in {table.file}"
        others = [file for file in receipt.paths if file not in labels and file != table.file]
    else:
        depth = 1 if reader.split_folders else 0
        wanted = [file for file in receipt.paths if Path(file).suffix.lower() in suffixes]
        labels = {file: _class_folder(receipt, file, depth) for file in wanted}
        reason = "its ending is not one of those that are read"
        others = [file for file in receipt.paths if file not in labels]
    return labels, [SkippedInput(input=file, reason=reason) for file in others]


def _class_folder(receipt: Receipt, file: str, depth: int) -> str:
    folders = Path(file).parts[:-1]
    if len(folders) <= depth:
        raise UserError(f"{receipt.root / file} is not in a class folder; move it into one, or remove it.")
    return folders[depth]


def split_of(receipt: Receipt, file: str) -> SplitName:
    """Return the split that a file's outermost folder names.

    Raises:
        UserError: there is no such split.
    """
    return split_named(Path(file).parts[0], str(receipt.root / file))


def read_file_table(receipt: Receipt, path: str, item: str, columns: list[str]) -> dict[str, list[str]]:
    """Read a table of files; return the values of `columns` by file.

    Args:
        receipt: of the raw files.
        path: of the table, one of the files.
        item: its column of paths, relative to the table's folder.
        columns: in which no cell may be empty.

    Raises:
        UserError: the table is missing or lacks a column or a value, or it names a missing file, or one twice.
    """
    known, found = set(receipt.paths), dict[str, list[str]]()
    for number, cells in read_plain(find_file(receipt, path), [item, *columns]):
        where = f"{receipt.root / path}, line {number}"
        name, *values = ((cell or "").strip() for cell in cells)
        file = (PurePosixPath(path).parent / name).as_posix()
        if file not in known or file in found:
            problem = "does not exist" if file not in known else "is named a second time"
            raise UserError(f"{where}: {file} {problem}; correct or remove the line.")
        for column, value in zip(columns, values, strict=True):
            if not value:
                raise UserError(f"{where}: {column} is empty; fill it in, or remove the line.")
        found[file] = values
    return found
