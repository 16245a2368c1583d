"""Readers of sequences of letters and words: tables, FASTA, and other text files."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from crossover.config.base import Model


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"needs one group in parentheses, which is what it finds, but has {groups}")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class SplitFiles(Model):
    """One file for each split."""

    train: str
    """Training items."""
    validation: str | None = None
    """Validation items; by default they are taken from training."""
    test: str
    """Test items; they must have labels."""


class SplitNames(Model):
    """Files that list the names of the items of a split, one on each line; all other items are training."""

    validation: str | None = None
    """Names of the validation items; by default they are taken from training."""
    test: str
    """Names of the test items."""


class Files(Model):
    """Text files of a dataset, named by their paths in it; those that end in .gz are unpacked while they are read."""

    file: str | None = None
    """The one file; give this or `files`."""
    files: SplitFiles | None = None
    """One file for each split; the split is then `by: given`."""
    split_names: SplitNames | None = None
    """With `file`: lists of the items of each split; the split is then `by: given`."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """Character set of the files."""
    labels: dict[str, str] = Field({})
    """Label in the file to the name of the class; empty takes the labels as they are, else all must be listed."""

    @model_validator(mode="after")
    def one_or_several(self) -> "Files":
        """Either one file or one for each split."""
        if (self.file is None) == (self.files is None):
            raise ValueError("give either file, or files with one for each split")
        if self.split_names and self.files:
            raise ValueError("split_names divides the items of one file; leave it out, or give file instead of files")
        return self

    @property
    def gives_split(self) -> bool:
        """Whether the files say which split an item belongs to."""
        return self.files is not None or self.split_names is not None


Column = str | NonNegativeInt


class Columns(Model):
    """Which column holds what: its name in the header, or its number, counted from 0, where there is no header."""

    sequence: Column
    """The sequence, or the first text of a pair."""
    second: Column | None = None
    """The second text of a pair."""
    target: Column
    """Class label or number; a list of one value is taken as that value."""
    item: Column | list[Column] | None = None
    """A unique name of the item, or several columns that together make one (with tabs between); by default file and
    line."""
    group: Column | None = None
    """What must stay in one split; by default the item."""
    split: Column | None = None
    """train, validation (or valid, val, dev) or test; the split is then `by: given`."""


class TableReader(Files):
    """One item per row of a table; white space around values is dropped."""

    kind: Literal["table"]
    format: Literal["csv", "tsv", "json", "jsonl", "parquet", "lmdb"] | None = None
    """By default what the file name ends in; json is a list of objects, lmdb a database as TAPE makes them."""
    header: bool = True
    """Whether the first line of a csv or tsv names the columns."""
    quoting: Literal["standard", "none"] = "standard"
    """Quotation marks in csv or tsv: around values, which may then hold separators and newlines, or ordinary characters."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between the values of a csv or tsv: by default a comma or a tab."""
    columns: Columns
    """Which column holds what."""

    @property
    def gives_split(self) -> bool:
        """Whether the files, or a column, say which split an item belongs to."""
        return super().gives_split or self.columns.split is not None

    @model_validator(mode="after")
    def named_or_numbered(self) -> "TableReader":
        """Columns are named by the header, and numbered where there is none."""
        wanted = "a name, since there is a header" if self.header else "a number, since there is no header"
        for key, value in self.columns:
            for column in value if isinstance(value, list) else [value]:
                if isinstance(column, int) == self.header and column is not None:
                    raise ValueError(f"columns.{key} must be {wanted}")
        return self


class LabelTable(Model):
    """A csv or tsv with a header that holds the labels of sequences that are in other files."""

    file: str
    """Its path in the dataset."""
    item: str
    """Column with the name of the sequence."""
    target: str
    """Column with its label."""


class FastaReader(Files):
    """One item per FASTA record, named by the first word of its header."""

    kind: Literal["fasta"]
    label: Pattern | LabelTable
    """A regular expression that finds the label in the header (without >) as its group, or a table of labels."""
    group: Pattern | None = None
    """Finds in the header what must stay in one split; by default the item."""
    split: Pattern | None = None
    """Finds train, validation or test in the header; a header in which it finds nothing is train."""

    @property
    def gives_split(self) -> bool:
        """Whether the files, or the headers, say which split an item belongs to."""
        return super().gives_split or self.split is not None


class ThreeLineReader(Files):
    """Records of three lines: `>` and the name, the sequence, the label."""

    kind: Literal["three-line"]


class ListopsFileReader(Files):
    """Published ListOps files: Nangia & Bowman (2018) or the Long Range Arena; every value is computed again."""

    kind: Literal["listops-file"]
    damaged: Literal["lu2021"] | None = None
    """`lu2021` drops all brackets, as the loader of Lu et al. (2021) did: for replication only."""
