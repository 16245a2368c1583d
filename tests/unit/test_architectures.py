"""The files of models/architectures/: what they promise, and what planning makes of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_runs import POSITIONS, ROOT, SIZES, VOCABULARY, environment, tiny_config, write_checkpoint

from crossover.errors import UserError
from crossover.models.discovery import ADAPTERS
from crossover.planning import code
from crossover.planning.plan import make_plan
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.identity import code_digests

EACH = pytest.mark.parametrize("model", ADAPTERS)


@EACH
def test_a_tiny_model_has_the_sizes_that_the_tests_expect(model):
    adapter, config = ADAPTERS[model], tiny_config(model)
    assert adapter.widths(config)[1] == 16
    assert getattr(config, adapter.depth) == 2
    assert adapter.heads is None or getattr(config, adapter.heads) == 2
    assert adapter.max_length(config) in (POSITIONS, None)
    assert SIZES[model].get("vocab_size", VOCABULARY) == VOCABULARY


def test_a_file_that_is_not_named_after_its_model_type_is_refused(tmp_path):
    """As a copy of another, whose place it would take."""
    shutil.copytree(ROOT / "workflow/crossover", tmp_path / "crossover")
    folder = tmp_path / "crossover/models/architectures"
    shutil.copy(folder / "bert.py", folder / "newbert.py")
    script = "import crossover.models.discovery"
    command = {"env": environment(PYTHONPATH=str(tmp_path)), "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", script], **command)
    assert f"{folder}/newbert.py: model_type is bert; name the file after it." in done.stderr


def test_adapters_are_read_without_torch():
    script = "import sys, crossover.planning.plan; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- pretraining ------------------------------------------------------------------------------------------------


def pretrain_with(config: Path, **settings: object) -> None:
    """Change the settings of the demo's checkpoint."""
    path = config / "checkpoints/topics-gpt2.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"architecture": "gtp2"}, "unknown architecture gtp2; did you mean gpt2? Known: albert, bart, bert, "),
        ({"architecture": "frob"}, "unknown architecture frob; known: albert, bart, bert, "),
        ({"architecture": "esm"}, "models of architecture esm cannot be built here; choose albert, bart, bert, "),
        (
            {"architecture": "longformer", "positions": 100},
            "positions must be a multiple of 64, the attention window of longformer.",
        ),
        (
            {"architecture": "bert", "vocabulary": 258},
            "vocabulary must be at least 259: masked-token prediction needs 256 bytes and three special tokens.",
        ),
    ],
)
def test_what_cannot_be_pretrained_is_refused_before_anything_runs(settings, expected, config):
    pretrain_with(config, **settings)
    with pytest.raises(UserError) as caught:
        make_plan("demo")
    assert str(caught.value).startswith(f"config/checkpoints/topics-gpt2.yaml: {expected}")


@pytest.mark.parametrize("model", [model for model, adapter in ADAPTERS.items() if adapter.objective])
def test_every_architecture_with_an_objective_can_be_planned(model, config):
    pretrain_with(config, architecture=model)
    [planned] = (spec for spec in make_plan("demo").specs.values() if isinstance(spec, PretrainedSpec))
    assert planned.architecture == model


# --- what enters the names of runs ------------------------------------------------------------------------------

FAMILY = "crossover.models.architectures."


def names(monkeypatch, edited: str | None = None) -> set[tuple[str, str]]:
    """Kind and name of all specs of the demo, as if the code of a module had been edited."""

    def digests(*modules: str) -> dict[str, str]:
        return {name: "edited" if name == edited else digest for name, digest in code_digests(*modules).items()}

    with monkeypatch.context() as patch:
        patch.setattr(code, "code_digests", digests)
        code.code_of.cache_clear()
        found = {(spec.kind, spec.name) for spec in make_plan("demo").specs.values()}
    code.code_of.cache_clear()
    return found


def only(config: Path, name: str, **checkpoint: object) -> None:
    """Let the demo have one checkpoint, and an analysis of it."""
    content = {"title": "Mine", "licence": "none", **checkpoint}
    (config / f"checkpoints/{name}.yaml").write_text(yaml.safe_dump(content))
    path = config / "studies/demo.yaml"
    study = {"checkpoints": [name], "analyses": [{"kind": "probing", "tasks": ["listops"]}]}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | study))


def kinds(specs: set[tuple[str, str]]) -> set[str]:
    return {kind for kind, _ in specs}


def test_an_architecture_is_in_the_names_of_what_is_pretrained_and_of_its_runs(config, monkeypatch):
    pretrain_with(config, architecture="roberta")
    before = names(monkeypatch)
    for model, renamed in {"roberta": True, "bert": True, "gpt2": False, "lstm.module": False}.items():
        gone = before - names(monkeypatch, FAMILY + model)
        assert kinds(gone) == ({"checkpoint", "run"} if renamed else set()), model
    pretrain_with(config, architecture="lstm")
    assert kinds(names(monkeypatch) - names(monkeypatch, f"{FAMILY}lstm.module")) == {"checkpoint", "run"}


def test_of_a_folder_its_architecture_is_in_the_names_of_runs_and_analyses(config, tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "weights", "gpt2", n_positions=128)
    only(config, "mine", kind="folder", path="weights")
    before = names(monkeypatch)
    gone = before - names(monkeypatch, f"{FAMILY}gpt2")
    assert kinds(gone) == {"run", "analysis"}
    assert names(monkeypatch, f"{FAMILY}vit.module") == before


def test_of_a_checkpoint_of_the_hub_the_declared_architecture_is_in_the_names(config, monkeypatch):
    size = {"architecture": "gpt2", "blocks": 12, "width": 768, "positions": 1024}
    only(config, "theirs", kind="hub", id="someone/model", revision="0" * 40, **size)
    before = names(monkeypatch)
    assert kinds(before - names(monkeypatch, f"{FAMILY}gpt2")) == {"run", "analysis"}
    assert names(monkeypatch, f"{FAMILY}vit.module") == before


def test_every_architecture_is_in_the_names_where_a_gguf_file_says_it(config, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/model.gguf").touch()
    only(config, "mine", kind="folder", path="weights")
    before = names(monkeypatch)
    for model in ("gpt2", "vit.module"):
        assert kinds(before - names(monkeypatch, FAMILY + model)) == {"run", "analysis"}


def test_an_architecture_that_no_file_describes_has_no_code_of_its_own(config, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/config.json").write_text('{"model_type": "electra"}')
    (tmp_path / "weights/model.safetensors").touch()
    only(config, "mine", kind="folder", path="weights")
    before = names(monkeypatch)
    assert names(monkeypatch, f"{FAMILY}bert") == before
    assert kinds(before - names(monkeypatch, "crossover.models.derive")) == {"run", "analysis"}
