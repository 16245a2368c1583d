"""What makes two computations the same: hashes of settings, of raw files and of code.

A name such as `composer.topics-gpt2.random-all-1a2b3c4d` ends in the hash of everything that can change the
result, and of nothing else: settings, names of inputs (which carry hashes themselves), and the parsed syntax
of the modules that compute it. Labels, comments, docstrings and formatting are left out.
"""

import ast
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import read_json, sha256, tree_digest, write_json

PACKAGE = Path(__file__).parents[1]
# What computes nothing that ends up in a result: what a user writes and what specs hold enters by its values, the folder
# of a run and transfers hold or move bytes. A test holds these modules to it.
WITHOUT_RESULTS = ("config", "specs", "runs", "acquire.transfer", "analyses.kinds", "errors", "files")
REGISTRY = "registry"  # modules that name others; the one that is used is counted by itself
DIGEST_CACHE = Path("resources/downloads/.digests.json")


def hash8(value: Any) -> str:
    """Return the first 8 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


# --- code -------------------------------------------------------------------------------------------------


def code_digests(*modules: str) -> dict[str, str]:
    """Return the digest of each module of this package that the given ones import, themselves included.

    Imports are followed in the source, without running it, so that neither the order of imports nor what
    happens to be loaded matters.

    Args:
        modules: dotted names, such as `crossover.training.finetune`.

    Returns:
        Module name to the first 8 hexadecimal digits of the digest of its syntax tree.

    Raises:
        UserError: a module is not there any more.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or not computes_results(module):
            continue
        source = _source(module)
        if not source.is_file():
            raise UserError(f"{source} is missing, but a result depends on it; run snakemake again to plan without it.")
        digest, imports = _parsed(source)
        found[module] = digest
        waiting.extend(name for name in imports if _is_module(name))
    return dict(sorted(found.items()))


def computes_results(module: str) -> bool:
    """Return whether a module of this package takes part in computing results, so that its code belongs to their identity."""
    place = module.removeprefix("crossover").removeprefix(".")
    without = any(place == room or place.startswith(f"{room}.") for room in WITHOUT_RESULTS)
    return bool(place) and not without and place.rpartition(".")[2] != REGISTRY


def _source(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_module(name: str) -> bool:
    return name.split(".")[0] == "crossover" and _source(name).is_file()


@cache
def _parsed(path: Path) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = []
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_docstring(node)
    # The tree is written out again rather than dumped: comments and layout do not count, and the text is the
    # same for all versions of Python, which the dump of a tree is not.
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:8], tuple(imports)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all statements below it; expressions, most of a tree, hold neither imports nor docstrings."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _statements(child)


def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]


# --- raw files --------------------------------------------------------------------------------------------


def remembered_tree_digest(folder: Path) -> str:
    """Return `files.tree_digest`, with the digests of single files remembered by size and modification time.

    Every cluster job plans again, and a user's files may be large.

    Raises:
        UserError: the folder is missing or holds no files.
    """
    return _remembering(lambda digest: tree_digest(folder, digest))


def remembered_digest(path: Path) -> str:
    """Return `files.sha256` of one file, remembered likewise."""
    return _remembering(lambda digest: digest(path))


def _remembering(compute: Callable[[Callable[[Path], str]], str]) -> str:
    known = _read_digest_cache()
    fresh: dict[str, str] = {}

    def digest(path: Path) -> str:
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        fresh[key] = known.get(key) or sha256(path)
        return fresh[key]

    found = compute(digest)
    if not fresh.keys() <= known.keys():
        write_json(DIGEST_CACHE, known | fresh)
    return found


def _read_digest_cache() -> dict[str, str]:
    try:
        known = read_json(DIGEST_CACHE)
    except (UserError, ValueError):  # missing or damaged: it only saves time
        return {}
    return known if isinstance(known, dict) else {}
