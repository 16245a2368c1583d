"""Text to pretrain on."""

import ast
from pathlib import Path

from crossover.acquire.receipt import read_receipt
from crossover.errors import UserError


def read_documents(receipt: Path) -> list[str]:
    """The documents of a text dataset: Python's documentation topics, in the order of their names.

    Args:
        receipt: `dataset.json` of a dataset of kind `python-topics`.

    Raises:
        UserError: the file is not the one that was acquired, or holds no topics.
    """
    content = read_receipt(receipt)
    source = content.root / content.files[0]
    # Read as data, not imported: nothing that a file says is run.
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(name) for name in node.targets] == ["topics"]:
            topics = ast.literal_eval(node.value)
            return [topics[name] for name in sorted(topics)]
    raise UserError(f"{source} assigns no dict to `topics`; use a Python with its standard library whole.")
