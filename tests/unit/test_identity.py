import ast
import io
import json
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_runs import ROOT, environment

from crossover.errors import UserError
from crossover.files import tree_digest
from crossover.models.discovery import adapter_modules
from crossover.planning import code
from crossover.planning.plan import make_plan
from crossover.specs import identity
from crossover.specs.base import Spec
from crossover.specs.identity import code_digests, computes_results, hash8, remembered_tree_digest

PACKAGE = ROOT / "workflow" / "crossover"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name not in {"__init__.py", "__main__.py"}]

# --- hashes of settings -----------------------------------------------------------------------------------------

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def reordered(value: object, draw) -> object:
    if isinstance(value, dict):
        return {key: reordered(value[key], draw) for key in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [reordered(inner, draw) for inner in value]
    return value


@given(st.data())
def test_the_order_of_keys_does_not_count(data):
    value = data.draw(VALUES)
    assert hash8(reordered(value, data.draw)) == hash8(value)


@given(VALUES, VALUES)
def test_another_value_has_another_hash(one, other):
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert hash8(one) != hash8(other)


def test_the_hash_is_that_of_the_canonical_json():
    # printf '{"a":[1,0.001,null],"b":"é"}' | sha256sum
    assert hash8({"b": "é", "a": [1, 1e-3, None]}) == "4ca4cc6c"
    assert hash8({}) == "44136fa3"


class Wine(Spec):
    ABOUT = frozenset({"licence"})

    year: int
    licence: str


def test_facts_without_effect_enter_no_name(tmp_path):
    spec = Wine.named("a", year=1, licence="CC0", code={})
    assert spec.name == Wine.named("a", year=1, licence="MIT", code={}).name
    path = tmp_path / "spec.json"
    path.write_text(spec.text)
    assert Wine.load(path) == spec
    path.write_text(spec.model_copy(update={"licence": "MIT"}).text)
    assert Wine.load(path).licence == "MIT"
    path.write_text(spec.model_copy(update={"year": 2}).text)
    with pytest.raises(UserError, match="its content no longer matches the hash in its name; delete it"):
        Wine.load(path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"name": "a", "code": {}, "year": "x", "licence": "y"}'])
def test_a_spec_of_another_shape_is_refused(content, tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"spec\.json cannot be read as Wine .*delete it and run snakemake again\."):
        Wine.load(path)


# --- code -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """Digest source texts as the modules of a package of their own: a function from {name: text} to digests."""
    root, count = tmp_path_factory.mktemp("packages"), iter(range(10**6))

    def digests(texts: dict[str, str], *modules: str) -> dict[str, str]:
        folder = root / str(next(count)) / "crossover"
        for name, text in {"__init__": "", **texts}.items():
            path = folder.joinpath(*name.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(identity, "PACKAGE", folder)
            return code_digests(*(modules or ["crossover.a"]))

    return digests


def noise(source: str, draw) -> str:
    """The same statements with other comments, blank lines, line breaks and trailing spaces at some places."""
    lines = source.splitlines(keepends=True)
    ends = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type in NEWLINES]
    chosen = draw(st.lists(st.sampled_from(ends), min_size=1, max_size=8, unique_by=lambda token: token.start))
    for token in sorted(chosen, key=lambda token: token.start, reverse=True):
        row, column = token.start[0] - 1, token.start[1]
        addition = draw(st.sampled_from(["  # noqa", "   ", "\n", "\n\n    # why\n", "  # é\n\n"]))
        lines[row] = lines[row][:column] + addition + lines[row][column:]
    return "".join(lines)


NEWLINES = {tokenize.NEWLINE, tokenize.NL}  # the ends of statements, and lines within brackets


def without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant("another docstring"))
    return ast.unparse(tree)


@given(data=st.data())
@settings(max_examples=40)
def test_comments_blank_lines_and_line_breaks_do_not_count(data, package):
    source = data.draw(st.sampled_from(MODULES)).read_text()
    changed = noise(source, data.draw)
    assume(changed != source)
    assert package({"a": changed})["crossover.a"] == package({"a": source})["crossover.a"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_docstrings_and_layout_do_not_count(path, package):
    source = path.read_text()
    assert package({"a": without_docstrings(source)})["crossover.a"] == package({"a": source})["crossover.a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f():\n    'words'\n", "def f():\n    pass\n"),
        ("class A:\n    '''words'''\n    x = 1\n", "class A:\n    x = 1\n"),
        ("'''words'''\nx = (1 +\n     2)\n", "x = 1 + 2\n"),
        ("async def f():\n    'words'\n    return 1", 'async def f():\n    """others"""\n    return (1)'),
    ],
)
def test_adding_a_docstring_does_not_count(one, other, package):
    assert package({"a": one}) == package({"a": other})


class Mutation(ast.NodeTransformer):
    """Change one place of a program: a constant, a name, an operator, or a statement that is dropped."""

    def __init__(self, chosen: int) -> None:
        self.left, self.done = chosen, False

    def visit(self, node: ast.AST) -> ast.AST | None:
        changed = self._changed(node)
        if changed is None:
            return self.generic_visit(node)
        self.left -= 1
        if self.left == -1:
            self.done = True
            return changed
        return self.generic_visit(node)

    def _changed(self, node: ast.AST) -> ast.AST | None:
        match node:
            case ast.Constant(value=bool()):
                return ast.Constant(not node.value)
            case ast.Constant(value=int() | float()):
                return ast.Constant(node.value + 1)
            case ast.Name():
                return ast.Name(node.id + "_", node.ctx)
            case ast.Add():
                return ast.Sub()
            case ast.Lt():
                return ast.LtE()
            case ast.Return(value=ast.AST()):
                return ast.Return(None)
            case ast.Assign() | ast.AugAssign():
                return ast.Pass()
        return None


@given(data=st.data())
@settings(max_examples=40)
def test_every_change_of_a_statement_counts(data, package):
    source = data.draw(st.sampled_from(MODULES)).read_text()
    mutation = Mutation(data.draw(st.integers(0, 400)))
    changed = ast.unparse(ast.fix_missing_locations(mutation.visit(ast.parse(source))))
    assume(mutation.done)
    assert package({"a": changed})["crossover.a"] != package({"a": source})["crossover.a"]


IMPORTS = [
    "import crossover.b",
    "import crossover.b as other",
    "from crossover import b",
    "from crossover.b import thing",
    "def f():\n    from crossover.b import thing",
    "if True:\n    import os, crossover.b",
    "try:\n    import torch\nexcept ImportError:\n    from crossover import b as torch",
]


@pytest.mark.parametrize("text", IMPORTS)
def test_every_way_to_import_is_followed(text, package):
    found = package({"a": text, "b": "from crossover.deep.c import x", "deep.c": "import crossover.a", "d": "x = 1"})
    assert set(found) == {"crossover.a", "crossover.b", "crossover.deep.c"}
    changed = package({"a": text, "b": "from crossover.deep.c import x", "deep.c": "import crossover.a\nx = 2"})
    assert {name for name in found if found[name] != changed[name]} == {"crossover.deep.c"}


def test_what_a_stage_loads_is_what_its_digests_cover():
    """Against Python's own imports: nothing that training loads may be missing from its digests."""
    stages = ["crossover.training.finetune", "crossover.pretraining.pretrain", "crossover.encodings.tokenize"]
    code = f"import sys; import {', '.join(stages)}; print(*(n for n in sys.modules if n.startswith('crossover')))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(stages) < loaded
    for module in filter(computes_results, loaded - set(code_digests(*stages, *adapter_modules(None)))):
        source = PACKAGE.parent.joinpath(*module.split("."), "__init__.py")
        assert [type(node) for node in ast.parse(source.read_text()).body] == [ast.Expr], f"{module} computes something"


# --- what enters the names of runs ------------------------------------------------------------------------------


def edit(path: Path, *where: str, value: object) -> None:
    """Set one place of a YAML file."""
    content = yaml.safe_load(path.read_text())
    inner = content
    for key in where[:-1]:
        inner = inner.setdefault(key, {})
    inner[where[-1]] = value
    path.write_text(yaml.safe_dump(content))


def kinds_of_names(study: str = "demo") -> dict[str, str]:
    """The kind of each spec but the study's own, by name."""
    return {spec.name: spec.kind for spec in make_plan(study).specs.values()}


def names(kind: str | None = None, study: str = "demo") -> set[str]:
    """The names of all specs of a kind but the study's own."""
    return {name for name, one in kinds_of_names(study).items() if kind in {None, one}}


WORDS = {"title", "description", "licence", "citation", "question", "domain", "hardware"}


def test_words_and_hardware_enter_no_name(config):
    before, study = names(), make_plan("demo").study
    for path in config.rglob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for part in content.values() if path.stem == "conditions" else [content]:
            part |= {key: "logic" if key == "domain" else "other words" for key in WORDS & set(part)}
            part |= {"hardware": {"threads": 7, "minutes": 3}} if "hardware" in part else {}
        path.write_text(yaml.safe_dump(content))
    assert names() == before
    assert make_plan("demo").study != study


@pytest.mark.parametrize(
    ("path", "where", "value", "changed"),
    [
        ("studies/demo.yaml", ["training", "patience"], 77, {"run": ""}),
        ("studies/demo.yaml", ["training", "gradient_clip"], 77.0, {"run": ""}),
        ("studies/demo.yaml", ["training_by_task", "digits", "dropout"], 0.77, {"run": "digits."}),
        ("recipes/fair.yaml", ["gradient_clip"], 77.0, {"run": ""}),
        ("recipes/fair.yaml", ["decayed"], "all", {"run": ""}),
        ("recipes/fair.yaml", ["input_scale"], 0.77, {"run": ""}),
        ("recipes/fair.yaml", ["random_init"], "gpt2-2020", {"run": ".random-"}),
        ("recipes/fair.yaml", ["vit_positions"], "zeros", {"run": ""}),
        (
            "studies/demo.yaml",
            ["training_by_condition", "random-all", "head"],
            {"dropout": 0.1},
            {"run": ".random-all-"},
        ),
        ("studies/demo.yaml", ["training_by_condition", "random-all", "dropout"], 0.77, {"run": ".random-all-"}),
        ("conditions.yaml", ["random-all", "trained"], ["head"], {"run": ".random-all-"}),
        ("conditions.yaml", ["random-all", "body"], "pretrained", {"run": ".random-all-"}),
        (
            "tasks/listops.yaml",
            ["encoding", "max_length"],
            23,
            {"tokens": "listops-", "baseline": "listops-", "run": "listops."},
        ),
        (
            "tasks/digits.yaml",
            ["split", "seed"],
            1,
            {"task": "digits-", "tokens": "digits-", "baseline": "digits-", "run": "digits."},
        ),
        (
            "tasks/bit-xor.yaml",
            ["reader", "seed"],
            1,
            {"task": "bit-x", "tokens": "bit-x", "baseline": "bit-x", "run": "bit-x"},
        ),
        (
            "tasks/composer.yaml",
            ["dataset", "seed"],
            1,
            {
                "dataset": "music21-",
                "task": "composer-",
                "tokens": "composer-",
                "baseline": "composer-",
                "run": "composer.",
            },
        ),
        ("checkpoints/topics-gpt2.yaml", ["training", "seed"], 1, {"checkpoint": "", "run": ""}),
        ("checkpoints/topics-gpt2.yaml", ["dropout"], 0.77, {"checkpoint": "", "run": ""}),
    ],
)
def test_a_setting_changes_the_names_of_what_it_changes_and_of_nothing_else(path, where, value, changed, config):
    before = kinds_of_names()
    edit(config / path, *where, value=value)
    gone = before.keys() - names()
    assert gone
    assert gone == {name for name, kind in before.items() if kind in changed and changed[kind] in name}


def test_the_scale_of_a_new_input_is_nothing_to_a_condition_with_another(config):
    edit(config / "conditions.yaml", "random-all", "input", value="re-embedded")
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    before = names("run")
    edit(config / "studies/demo.yaml", "training", "input_scale", value=0.77)
    assert names("run") & before == {name for name in before if ".random-all-" in name}


def test_a_mirror_with_a_part_of_the_data_renames_the_task_and_the_study_says_so(config, tmp_path, monkeypatch):
    download = {"kind": "download", "name": "digits", "files": [{"url": "https://data.org/digits.csv.gz"}]}
    edit(config / "tasks/digits.yaml", "dataset", value=download)
    before, task = names(), make_plan("demo").study.tasks["digits"]
    assert task.subset is None
    entry = {"file": "d", "upstream": "https://data.org/digits.csv.gz", "bytes": 1, "sha256": "0" * 64}
    manifest = {"files": [entry | {"status": "subset", "rows": "9 of 99"}]}
    (tmp_path / "MANIFEST.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("CROSSOVER_MIRROR", str(tmp_path))
    assert {name.split("-")[0].split(".")[0] for name in names() - before} == {"digits"}
    assert make_plan("demo").study.tasks["digits"].subset == "digits.csv.gz: 9 of 99"


def test_a_number_written_otherwise_is_the_same_setting(config):
    edit(config / "studies/demo.yaml", "training", "learning_rates", value=[1, 0.01, 1e-3])
    edit(config / "studies/demo.yaml", "training", "dropout", value=0)
    before = names()
    edit(config / "studies/demo.yaml", "training", "learning_rates", value=[0.001, 1.0, 1e-2])
    edit(config / "studies/demo.yaml", "training", "dropout", value=0.0)
    assert names() == before


def test_a_preset_is_the_groups_that_it_stands_for(config):
    before = names("run")
    edit(config / "conditions.yaml", "random-frozen", "trained", value=["positions", "norms", "head", "input"])
    assert names("run") == before


def test_one_more_seed_adds_runs_and_renames_none(config):
    before = make_plan("demo")
    edit(config / "studies/demo.yaml", "seeds", value=[0, 1, 2, 3])
    after = make_plan("demo")
    assert names() == set(before.specs)
    added = set(after.study.runs) - set(before.study.runs)
    assert added == {(cell.run, 3) for cell in before.study.cells}
    assert set(before.study.runs) < set(after.study.runs)


def test_a_run_that_two_studies_share_has_one_name(config):
    content = yaml.safe_load((config / "studies/demo.yaml").read_text())
    content |= {"title": "Other", "question": "Other?", "seeds": [5, 6], "hardware": {"gpu": 1}}
    content |= {"tasks": ["listops", "digits"], "conditions": ["random-all", "pretrained-frozen"]}
    content["training_by_task"] = {name: content["training_by_task"][name] for name in content["tasks"]}
    (config / "studies/other.yaml").write_text(yaml.safe_dump(content))
    assert names(study="other") < names()
    shared = {(cell.task, cell.condition): cell.run for cell in make_plan("other").study.cells}
    demo = {(cell.task, cell.condition): cell.run for cell in make_plan("demo").study.cells}
    assert len(shared) == 4
    assert shared.items() < demo.items()


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("crossover.training.finetune", {"run"}),
        ("crossover.baselines.select", {"baseline"}),
        ("crossover.training.scoring", {"baseline", "run"}),
        ("crossover.training.loop", {"checkpoint", "run"}),
        ("crossover.encodings.tokenize", {"tokens", "baseline", "run"}),
        ("crossover.statistics.aggregate", set()),
        ("crossover.files", set()),
    ],
)
def test_code_changes_the_names_of_what_it_computes(module, changed, config, monkeypatch, request):
    request.addfinalizer(code.code_of.cache_clear)
    before = kinds_of_names()

    def edited(*modules: str) -> dict[str, str]:
        return {name: "edited" if name == module else digest for name, digest in code_digests(*modules).items()}

    monkeypatch.setattr(code, "code_digests", edited)
    code.code_of.cache_clear()
    after = kinds_of_names()
    assert set(before.values()) == set(after.values()) == {"dataset", "task", "tokens", "checkpoint", "baseline", "run"}
    assert {kind for name, kind in before.items() if name not in after} == changed
    assert {kind for name, kind in before.items() if name in after} == set(before.values()) - changed


def test_names_can_be_taken_apart(config):
    for cell in make_plan("demo").study.cells:
        stem, digest = cell.run.rsplit("-", 1)
        assert tuple(stem.split(".")) == cell.key
        assert len(digest) == 8
        assert int(digest, 16) >= 0


# --- files ------------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(["a", "b", "ab", "c.txt", "é"])
TREES = st.dictionaries(
    st.lists(PARTS, min_size=1, max_size=2).map("/".join), st.binary(max_size=3), min_size=1, max_size=4
).filter(lambda tree: not any(f"{name}/{part}" in tree for name in tree for part in ["a", "b", "ab", "c.txt", "é"]))


def plant(folder: Path, tree: dict[str, bytes]) -> Path:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@given(one=TREES, other=TREES)
@settings(max_examples=40)
def test_two_folders_have_one_digest_when_names_and_contents_are_equal(one, other, tmp_path_factory):
    first, second, again = (tmp_path_factory.mktemp("tree") for _ in range(3))
    digest = tree_digest(plant(first, one))
    assert (digest == tree_digest(plant(second, other))) == (one == other)
    assert digest == tree_digest(plant(again, dict(reversed(one.items()))))
    plant(again, {".hidden": b"x", "a.hidden/.git/x": b"y"})
    assert digest == tree_digest(again)


@pytest.mark.parametrize("tree", [{}, {".hidden": b"x"}])
def test_a_folder_without_files_is_refused(tree, tmp_path):
    with pytest.raises(UserError, match=r"is not a folder with files in it; correct the path"):
        tree_digest(plant(tmp_path / "folder", tree))


def test_digests_are_remembered_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = plant(tmp_path / "data", {"a": b"1", "b/c": b"2"})
    before = remembered_tree_digest(folder)
    assert before == tree_digest(folder)
    read = []
    sha256 = identity.sha256
    monkeypatch.setattr(identity, "sha256", lambda path: read.append(path.name) or sha256(path))
    assert remembered_tree_digest(Path("data")) == before
    assert read == []
    (folder / "a").write_bytes(b"3")  # of the same size, but of another time
    assert remembered_tree_digest(folder) == tree_digest(folder) != before
    assert read == ["a"]


DAMAGED = [b"", b"{", b"\x00" * 40, b"\xff\xfe\x80", b"[]", b"null", b'"text"', b"3"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_memory_of_digests_is_ignored_and_written_anew(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = plant(tmp_path / "data", {"a": b"1"})
    plant(tmp_path, {str(identity.DIGEST_CACHE): content})
    assert remembered_tree_digest(folder) == tree_digest(folder)
    assert len(json.loads(identity.DIGEST_CACHE.read_text())) == 1


@pytest.mark.parametrize("module", ["crossover.statistics.aggregate", "crossover.report.render"])
def test_labels_are_part_of_what_tables_and_reports_are_made_with(module):
    assert "crossover.labels" in code_digests(module)


@pytest.mark.parametrize("module", ["crossover.training.finetune", "crossover.encodings.subwords"])
def test_how_receipts_are_written_is_no_part_of_what_reads_them(module):
    assert not {"crossover.acquire.receipt", "crossover.acquire.acquired"} & set(code_digests(module))
