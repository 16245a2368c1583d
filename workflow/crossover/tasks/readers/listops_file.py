"""Published ListOps files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossover.acquire.receipt import Receipt
from crossover.errors import UserError
from crossover.tasks.generators.listops import OPERATORS, apply_operator
from crossover.tasks.items import Items
from crossover.tasks.readers.raw import Record, files_by_split, gather, open_text
from crossover.tasks.readers.rows import read_rows

BRACKETS = str.maketrans("", "", "[]")


def read(settings: dict[str, Any], receipt: Receipt) -> Items:
    """Read ListOps expressions, and compute each value again.

    Nangia & Bowman (2018) write `value TAB expression` without a header, the Long Range Arena (Tay et al. 2021)
    `Source TAB Target` with one; other names, and commas, are read as well. Both put binary parentheses around every application, which say nothing that the
    brackets do not: `( ( ( [MAX 2 ) 9 ) ] )` is read as `[MAX 2 9 ]`.

    With `damaged: lu2021` the brackets are lost too, `MAX 2 9`, as in the published code of Lu et al. (2021), whose
    tokenizer kept letters and digits only: where a list ends can then not be known. Their cut at 512 symbols is
    the encoding's.

    Args:
        settings: `file` or `files`, `encoding`, `labels`, `damaged`.
        receipt: the files.

    Returns:
        One item per expression; `sequence` is its symbols, separated by spaces.

    Raises:
        UserError: an expression is not whole, or its value is not the one in the file.
    """
    items = gather(_records(settings, receipt), settings, receipt, unit="symbols")
    items.notes.append("the value of every expression was computed again and equals the one in the file")
    if settings["damaged"]:
        items.notes.append("damaged on purpose: the brackets are lost, as in the published code of Lu et al. (2021)")
    return items


def _records(settings: dict[str, Any], receipt: Receipt) -> Iterator[Record]:
    for split, file in files_by_split(settings, receipt):
        for source, expression, target in _expressions(file, settings, receipt):
            symbols = [symbol for symbol in expression.split() if symbol not in "()"]
            if (value := _evaluate(symbols, source)) != target:
                raise UserError(
                    f"{source}: the value is {value}, but the file says {target[:40]!r}; correct or remove the line."
                )
            text = " ".join(symbols)
            if settings["damaged"]:
                text = " ".join(text.translate(BRACKETS).split())
            yield {"source": source, "sequence": text, "target": target} | ({"split": split} if split else {})


def _expressions(file: str, settings: dict[str, Any], receipt: Receipt) -> Iterator[tuple[str, str, str]]:
    """Where each expression stands, the expression, and its value as the file has it."""
    path = receipt.root / file
    form, columns = _layout(path, settings)
    for number, (expression, target) in read_rows(path, columns, form):
        yield f"{file}:{number}", expression or "", str(target).strip()


def _layout(path: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """How a file is written, and its columns with expression and value: the one with brackets, and the last other one."""
    if path.suffix == ".parquet":
        return {"format": "parquet"}, ["Source", "Target"]
    with open_text(path, settings["encoding"]) as stream:
        first, second = next(stream, ""), next(stream, "")
    tabs = "\t" in first
    names, sample = (line.strip("\r\n").split("\t" if tabs else ",") for line in (first, second))
    header = "[" not in first and not all(cell.strip().isdigit() for cell in names)
    if not header:
        sample = names
    expression = next((place for place, cell in enumerate(sample) if "[" in cell), len(sample) - 1)
    places = [expression, next((place for place in reversed(range(len(sample))) if place != expression), 0)]
    form = {"format": "tsv" if tabs else "csv", "quoting": "none" if tabs else "standard", "separator": None}
    columns = [names[place].strip() for place in places] if header else places
    return form | {"header": header, "encoding": settings["encoding"]}, columns


def _evaluate(symbols: list[str], source: str) -> str:
    """The value of an expression in the stream of its symbols."""
    stack: list[list[Any]] = [[None]]
    for symbol in symbols:
        if symbol in OPERATORS:
            stack.append([symbol])
        elif symbol == "]" and len(stack) > 1 and len(stack[-1]) > 1:
            operator, *arguments = stack.pop()
            stack[-1].append(apply_operator(operator, arguments))
        elif symbol.isdigit() and len(symbol) == 1:
            stack[-1].append(int(symbol))
        else:
            raise UserError(
                f"{source}: {symbol[:40]!r} is out of place; expected digits, ] and {', '.join(OPERATORS)}."
            )
    if len(stack) != 1 or len(stack[0]) != 2:
        raise UserError(f"{source}: the expression is not whole; expected one list with all its brackets.")
    return str(stack[0][1])
