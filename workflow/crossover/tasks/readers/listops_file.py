"""Published ListOps files."""

from collections.abc import Iterator
from pathlib import Path

from crossover.config.text_readers import Column, ListopsFileReader
from crossover.errors import UserError
from crossover.specs.descriptions import Receipt
from crossover.tasks.generators.listops import OPERATORS, apply_operator
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import RawItem, files_by_split, gather
from crossover.tasks.readers.rows import TableFormat, read_rows
from crossover.text_files import open_text

BRACKETS = str.maketrans("", "", "[]")


def read(reader: ListopsFileReader, receipt: Receipt) -> Items:
    """Read ListOps expressions, and recompute their values.

    Nangia & Bowman (2018) write `value TAB expression` without a header, the Long Range Arena (Tay et al. 2021)
    `Source TAB Target` with one; other names, and commas, are read as well. Both put binary parentheses around every
    application, which are redundant beside the brackets: `( ( ( [MAX 2 ) 9 ) ] )` is read as `[MAX 2 9 ]`.

    With `damaged: lu2021` the brackets are removed too, `MAX 2 9`, as in the published code of Lu et al. (2021), whose
    tokenizer kept only letters and digits, so that the end of a list is lost. Their truncation at 512 symbols is set in the
    encoding.

    Args:
        reader: its settings.
        receipt: of the raw files.

    Returns:
        One item per expression; `sequence` is its symbols, separated by spaces.

    Raises:
        UserError: an expression is incomplete, or its value is not the one in the file.
    """
    items = gather(_raw_items(reader, receipt), reader, receipt, unit="symbols")
    items.notes.append("the value of every expression was computed again and equals the one in the file")
    if reader.damaged:
        items.notes.append("damaged on purpose: the brackets are lost, as in the published code of Lu et al. (2021)")
    return items


def _raw_items(reader: ListopsFileReader, receipt: Receipt) -> Iterator[RawItem]:
    for split, file in files_by_split(reader, receipt):
        for source, expression, target in _expressions(file, reader.encoding, receipt):
            symbols = [symbol for symbol in expression.split() if symbol not in "()"]
            if (value := _evaluate(symbols, source)) != target:
                raise UserError(
                    f"{source}: the value is {value}, but the file has {target[:40]!r}; correct or remove the line."
                )
            text = " ".join(symbols)
            if reader.damaged:
                text = " ".join(text.translate(BRACKETS).split())
            yield RawItem(source, text, target, split=split)


def _expressions(file: str, encoding: str, receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Yield the source of each expression, the expression, and its value in the file."""
    path = receipt.root / file
    form, columns = _layout(path, encoding)
    for number, (expression, target) in read_rows(path, columns, form):
        yield f"{file}:{number}", expression or "", str(target).strip()


def _layout(path: Path, encoding: str) -> tuple[TableFormat, list[Column]]:
    """Return the format of a file, and its columns of expressions (the one with brackets) and values (the last other one)."""
    if path.suffix == ".parquet":
        return TableFormat("parquet"), ["Source", "Target"]
    with open_text(path, encoding) as stream:
        first, second = next(stream, ""), next(stream, "")
    tabs = "\t" in first
    names, sample = (line.strip("\r\n").split("\t" if tabs else ",") for line in (first, second))
    header = "[" not in first and not all(cell.strip().isdigit() for cell in names)
    if not header:
        sample = names
    expression = next((place for place, cell in enumerate(sample) if "[" in cell), len(sample) - 1)
    places = [expression, next((place for place in reversed(range(len(sample))) if place != expression), 0)]
    form = TableFormat("tsv" if tabs else "csv", header, "none" if tabs else "standard", encoding=encoding)
    return form, [names[place].strip() if header else place for place in places]


def _evaluate(symbols: list[str], source: str) -> str:
    """Return the value of an expression, from the stream of its symbols."""
    values: list[list[int]] = [[]]  # of the open lists, from the outside in; first that of the whole
    operators: list[str] = []
    for symbol in symbols:
        if symbol in OPERATORS:
            operators.append(symbol)
            values.append([])
        elif symbol == "]" and operators and values[-1]:
            arguments = values.pop()
            values[-1].append(apply_operator(operators.pop(), arguments))
        elif symbol.isdigit() and len(symbol) == 1:
            values[-1].append(int(symbol))
        else:
            raise UserError(
                f"{source}: {symbol[:40]!r} is not allowed here; expected digits, ] and {', '.join(OPERATORS)}."
            )
    if operators or len(values[0]) != 1:
        raise UserError(f"{source}: the expression is incomplete; expected one list with all its brackets.")
    return str(values[0][0])
