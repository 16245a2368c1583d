"""Readers of sequences of letters and words: tables, FASTA, and other text files."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from crossover.config.base import ConfigModel


def _has_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"must have exactly one group in parentheses, which captures the value, but has {groups}")
    return pattern


OneGroupPattern = Annotated[str, AfterValidator(_has_one_group)]


class SplitFiles(ConfigModel):
    """One file per split."""

    train: str
    """Training items."""
    validation: str | None = None
    """Validation items; by default they are taken from the training items."""
    test: str
    """Test items; they must have labels."""


class SplitLists(ConfigModel):
    """Files that list the names of the items of a split, one name per line. All other items are training items."""

    validation: str | None = None
    """Names of the validation items; by default they are taken from the training items."""
    test: str
    """Names of the test items."""


class FileReader(ConfigModel):
    """Base of readers of one file, or of one file per split. Files that end in .gz are decompressed."""

    file: str | None = None
    """Path of the file within the dataset, if there is only one; otherwise use `files`."""
    files: SplitFiles | None = None
    """One file per split; needs `split.by: given`."""
    split_names: SplitLists | None = None
    """With `file`: lists of the items of each split; needs `split.by: given`."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """Character encoding of the files."""
    labels: dict[str, str] = Field({})
    """Mapping from label in the file to class name. If empty, labels are used as they are; otherwise all must be
    listed."""

    @model_validator(mode="after")
    def file_or_files(self) -> "FileReader":
        """Raise unless there is either one file or one per split."""
        if (self.file is None) == (self.files is None):
            raise ValueError("set either file, or files with one file per split")
        return self

    @model_validator(mode="after")
    def split_names_need_file(self) -> "FileReader":
        """Raise if lists of names would split files that already are splits."""
        if self.split_names and self.files:
            raise ValueError("split_names splits the items of a single file; remove it, or set file instead of files")
        return self

    @property
    def defines_splits(self) -> bool:
        """Return whether the files define the split of each item."""
        return self.files is not None or self.split_names is not None


Column = str | NonNegativeInt


class Columns(ConfigModel):
    """Columns of a table: names in the header or, without a header, numbers counted from 0."""

    sequence: Column
    """Sequence, or the first text of a pair."""
    second: Column | None = None
    """Second text of a pair."""
    target: Column
    """Class label or number; a list with a single value is read as that value."""
    item: Column | list[Column] | None = None
    """Unique name of the item, or several columns that are unique together (joined by tabs); by default file and line."""
    group: Column | None = None
    """Group: items of one group stay in the same split. By default each item is its own group."""
    split: Column | None = None
    """Split: train, validation (or valid, val, dev) or test. Needs `split.by: given`."""


class TableReader(FileReader):
    """One item per row of a table. White space around values is removed."""

    kind: Literal["table"]
    format: Literal["csv", "tsv", "json", "jsonl", "parquet", "lmdb"] | None = None
    """File format; by default the ending of the file name. `json` is a list of objects, `lmdb` a database in TAPE's
    format."""
    header: bool = True
    """Whether the first line of a csv or tsv names the columns."""
    quoting: Literal["standard", "none"] = "standard"
    """Quotation marks in a csv or tsv: `standard` if they enclose values, which may then contain separators and newlines;
    `none` if they are ordinary characters."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Separator of a csv or tsv; by default a comma or a tab."""
    columns: Columns
    """Which column holds what."""

    @property
    def defines_splits(self) -> bool:
        """Return whether the files, or a column, define the split of each item."""
        return super().defines_splits or self.columns.split is not None

    @model_validator(mode="after")
    def columns_fit_header(self) -> "TableReader":
        """Raise unless columns are named where there is a header, and numbered where there is none."""
        expected = "a name, since there is a header" if self.header else "a number, since there is no header"
        for key, value in self.columns:
            for column in value if isinstance(value, list) else [value]:
                if isinstance(column, int) == self.header and column is not None:
                    raise ValueError(f"columns.{key} must be {expected}")
        return self


class LabelTable(ConfigModel):
    """A csv or tsv with a header that contains the labels of sequences in other files."""

    file: str
    """Path of the table within the dataset."""
    item: str
    """Column with the name of the sequence."""
    target: str
    """Column with its label."""


class FastaReader(FileReader):
    """One item per FASTA record, named by the first word of its header."""

    kind: Literal["fasta"]
    label: OneGroupPattern | LabelTable
    """Regular expression whose group captures the label in the header (without >), or a table of labels."""
    group: OneGroupPattern | None = None
    """Regular expression that captures the group in the header: items of one group stay in the same split. By default each
    item is its own group."""
    split: OneGroupPattern | None = None
    """Regular expression that captures train, validation or test in the header; headers that do not match are train."""

    @property
    def defines_splits(self) -> bool:
        """Return whether the files, or the headers, define the split of each item."""
        return super().defines_splits or self.split is not None


class ThreeLineReader(FileReader):
    """Records of three lines: `>` and the name, the sequence, the label."""

    kind: Literal["three-line"]


class ListopsFileReader(FileReader):
    """Published ListOps files: Nangia & Bowman (2018) or the Long Range Arena. Every value is recomputed and checked."""

    kind: Literal["listops-file"]
    damaged: Literal["lu2021"] | None = None
    """`lu2021` removes all brackets, as the loader of Lu et al. (2021) did; only for replication."""
