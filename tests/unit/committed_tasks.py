"""Tasks of config/tasks/, read from a folder that stands for their dataset."""

from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from crossover.acquire.receipt import Receipt
from crossover.config.load import read_yaml
from crossover.config.readers import Reader
from crossover.config.tasks import Policy, Split
from crossover.tasks.items import Items
from crossover.tasks.prepare.policy import apply_policy
from crossover.tasks.prepare.stage import divide
from crossover.tasks.registry import READERS

TASKS = Path(__file__).parents[2] / "config/tasks"


def receipt_of(root: Path) -> Receipt:
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return Receipt("data", root, tuple(files))


def read(root: Path, **settings: Any) -> Items:
    """What a reader with these settings finds in the files of a folder."""
    reader = TypeAdapter(Reader).validate_python(settings)
    return import_module(READERS[reader.kind]).read(reader.model_dump(), receipt_of(root))


def settings_of_reader(task: dict[str, Any]) -> dict[str, Any]:
    """The reader of a task with its defaults, as a spec has it."""
    return TypeAdapter(Reader).validate_python(task["reader"]).model_dump()


def prepared(name: str, root: Path, **columns: str) -> Items:
    """The items of a committed task (with further columns of its table), its policy applied and divided."""
    task = read_yaml(TASKS / f"{name}.yaml")
    if columns:
        task["reader"]["columns"] |= columns
    spec = {
        "split": Split(**task["split"]).model_dump(),
        "policy": Policy(**task.get("policy", {})).model_dump(),
        "letters": task["domain"] if task["domain"] in ("dna", "protein") else None,
    }
    items = apply_policy(read(root, **task["reader"]), spec["policy"], spec["letters"], task["target"]["kind"])
    return divide(items, spec)
