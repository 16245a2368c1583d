"""Tasks of config/tasks/, read from a folder that stands for their dataset."""

from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from crossover.config.load import parse, read_yaml
from crossover.config.readers import Reader
from crossover.config.tasks import Task
from crossover.specs.descriptions import Receipt, ReceiptFile
from crossover.tasks.items import Items
from crossover.tasks.prepare.policy import apply_policy
from crossover.tasks.prepare.stage import split_items
from crossover.tasks.registry import READERS

TASKS = Path(__file__).parents[2] / "config/tasks"


def receipt_of(root: Path) -> Receipt:
    """The receipt of all files of a folder, whose digests are not looked at."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    files = tuple(ReceiptFile(path=path, bytes=0, sha256="") for path in paths)
    return Receipt(name="data", kind="folder", origin=str(root), version=None, root=root, files=files)


def reader_of(**settings: Any) -> Reader:
    """The typed settings of a reader."""
    return TypeAdapter(Reader).validate_python(settings)


def read(root: Path, **settings: Any) -> Items:
    """What a reader with these settings finds in the files of a folder."""
    reader = reader_of(**settings)
    return import_module(READERS[reader.kind]).read(reader, receipt_of(root))


def prepared(name: str, root: Path, **columns: str) -> Items:
    """The items of a committed task (with further columns of its table), its policy applied and split."""
    content = read_yaml(TASKS / f"{name}.yaml")
    if columns:
        content["reader"]["columns"] |= columns
    task = parse(Task, content, name)
    letters = task.domain if task.domain in ("dna", "protein") else None
    items = apply_policy(read(root, **content["reader"]), task.policy, letters, task.target.kind)
    return split_items(items, task.split, task.policy, letters)
