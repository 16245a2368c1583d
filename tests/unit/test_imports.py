"""The rooms of the package, and which way its imports run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossover.specs.identity import PACKAGE, computes_results

# From the ground up: a room imports what stands before it, and itself.
ROOMS = """
    collector errors files text_files metrics alphabets seeds slurm config labels specs runs acquire tasks encodings models training baselines pretraining statistics
    charts analyses report planning cluster runtime guess commands cli __main__
""".split()
NUMERICAL = {"numpy", "pandas", "scipy", "torch", "transformers", "pyarrow", "sklearn", "statsmodels"}
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__"
)


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """What a module imports, wherever in it, and whether that is for type checkers alone."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "crossover":
            yield from ((f"crossover.{alias.name}", node in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in for_types
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node in for_types) for alias in node.names)


def room_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path):
    own = ROOMS.index(room_of(path))
    rooms = {name.split(".")[1] for name, _ in imports_of(path) if name.startswith("crossover.")}
    climbing = {room for room in rooms & set(ROOMS) if ROOMS.index(room) > own}
    assert not climbing, f"{path} imports {', '.join(sorted(climbing))}, which stand above it"


def dotted(path: Path) -> str:
    return "crossover." + ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize(
    "path", [path for path in MODULES if not computes_results(dotted(path)) and path.stem != "__init__"], ids=str
)
def test_modules_outside_of_the_identity_compute_nothing(path):
    """A change in them plans nothing anew, so none of them may take part in a result: they have no numerical library."""
    libraries = {name.split(".")[0] for name, for_types in imports_of(path) if not for_types}
    assert not libraries & NUMERICAL


def test_registries_hold_names_alone():
    registries = [path for path in MODULES if path.stem == "registry"]
    for path in registries:
        body = ast.parse((PACKAGE / path).read_text(encoding="utf-8")).body
        assert all(isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) for node in body), path
