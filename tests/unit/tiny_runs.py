"""Tokens, checkpoints and runs so small that training takes a second; made by the workflow's own stages."""

import importlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from crossover.encodings.tokenize import tokenize_task
from crossover.encodings.tokens import Tokens
from crossover.files import tree_digest
from crossover.models.discovery import ADAPTERS, adapter_modules
from crossover.runs.files import RESULTS
from crossover.specs.base import Spec
from crossover.specs.checkpoints import CheckpointFiles
from crossover.specs.descriptions import EncodingDescription
from crossover.specs.identity import code_digests
from crossover.specs.runs import RunSpec
from crossover.specs.tasks import TaskSpec, TokensSpec
from crossover.tasks.prepare.stage import prepare_task

S = TypeVar("S", bound=Spec)
ROOT = Path(__file__).parents[2]
POSITIONS = 24
VOCABULARY = 30  # of the checkpoints; no task's vocabulary has this size

TASKS: dict[str, dict[str, Any]] = {
    "listops": {  # symbols of different lengths, one class each
        "reader": {"kind": "listops", "max_depth": 2, "max_args": 9, "min_length": 4, "max_length": 12},
        "sizes": {"train": 100, "validation": 20, "test": 24},
        "target": "class",
        "encoding": {"kind": "symbols", "alphabet": "whitespace", "max_length": 12},
    },
    "bits": {  # patches, several bits read out at several positions
        "reader": {"kind": "bit-memory", "strings": 2, "bits": 4},
        "sizes": {"train": 40, "validation": 16, "test": 20},
        "target": "bits",
        "encoding": {"kind": "patches", "patch": [2]},
    },
}


SIZES: dict[str, dict[str, Any]] = {  # of the checkpoint of each architecture
    model_type: importlib.import_module(*adapter_modules(model_type)).TINY for model_type in ADAPTERS
}


def write_tokens(root: Path, task: str) -> str:
    """Prepare and tokenize one of TASKS below `root`; return the name of the tokens."""
    settings = TASKS[task]
    name = f"{task}-tokens"
    reader = settings["reader"] | {"sizes": settings["sizes"], "seed": 0}
    prepared = TaskSpec(
        **{
            "name": task,
            "task": task,
            "dataset": None,
            "reader": reader,
            "split": None,
            "policy": None,
            "letters": None,
        },
        **{"target": {"kind": settings["target"]}, "simulated": False, "licence": "none", "code": {}},
    )
    prepare_task(prepared, None, root / "results/tasks" / task)
    tokens = TokensSpec(name=name, task=task, encoding=settings["encoding"], code={})
    tokenize_task(tokens, root / "results/tasks" / task, root / "results/tokens" / name)
    return name


def tiny_config(model_type: str, **changes: Any) -> Any:
    """The config of the tiny checkpoint of an architecture."""
    from transformers import AutoConfig

    ADAPTERS[model_type].register()
    return AutoConfig.for_model(model_type, **SIZES[model_type] | changes)


@cache
def outline(model_type: str) -> Any:
    """The body of a tiny checkpoint without memory for its weights: its modules, and what it takes."""
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        return ADAPTERS[model_type].body_of(AutoModel.from_config(tiny_config(model_type)))


def write_checkpoint(folder: Path, model_type: str, **changes: Any) -> CheckpointFiles:
    """Save a random model in Hugging Face form; return how a run's spec refers to it."""
    import torch
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.manual_seed(7)
    model = AutoModel.from_config(tiny_config(model_type, **changes))
    for parameter in model.parameters():  # away from the initialisation: biases that are not 0, norms that are not 1
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return CheckpointFiles(name=f"tiny-{model_type}", folder=str(folder), sha256=tree_digest(folder))


def parts(trained: list) -> list[dict[str, Any]]:
    """What is trained as a spec says it, from names of groups and parts of them."""
    whole = [group for group in trained if isinstance(group, str)]
    more = [
        {"blocks": None, "only": None, "rate": 1.0, "lora": None} | part
        for part in trained
        if not isinstance(part, str)
    ]
    return ([{"groups": whole, "blocks": None, "only": None, "rate": 1.0, "lora": None}] if whole else []) + more


@dataclass(frozen=True)
class Tiny:
    """A working directory with the tokens of TASKS and a checkpoint of each architecture."""

    root: Path
    checkpoints: dict[str, CheckpointFiles]

    def spec(self, task: str = "listops", model: str = "gpt2", **changes: Any) -> RunSpec:
        """The spec of a run; `training` is merged, everything else is replaced. `trained` may be names of groups.

        `learning_rate` is short for the only one of `learning_rates`.
        """
        rate = changes.pop("learning_rate", 3e-3)
        training = {
            "batch_size": 8,
            "micro_batch": None,
            "precision": "fp32",
            "length": "20 steps",
            "evaluate_every": "5 steps",
            "patience": 100,
            "weight_decay": 0.01,
            "gradient_clip": 1.0,
            "dropout": 0.0,
        }
        fields = {
            "cell": {"task": task, "checkpoint": f"tiny-{model}", "condition": "tried"},
            "tokens": f"{task}-tokens",
            "train_subset": None,
            "checkpoint": self.checkpoints[model],
            "body": "pretrained",
            "input": "new",
            "trained": parts(["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]),
            "learning_rates": {"rates": (rate,)},
            "keep_weights": None,
            "code": code_digests("crossover.training.finetune", *adapter_modules(model)),
            **changes | ({"trained": parts(changes["trained"])} if "trained" in changes else {}),
            "training": training | changes.get("training", {}),
        }
        scale = "checkpoint" if fields["input"] == "new" else None
        defaults = {"input_scale": scale, "random_init": "library", "vit_positions": "checkpoint", "head": {}}
        return RunSpec.named(f"{task}.tiny-{model}.tried", **defaults | fields)

    def encoding(self, task: str) -> EncodingDescription:
        """What is known of the tokens of a task."""
        return EncodingDescription.load(self.tokens[task] / "encoding.json")

    def items(self, task: str) -> Tokens:
        """The training split of a task."""
        return Tokens.open(self.tokens[task], "train")

    def write(self, spec: Spec, path: Path) -> Path:
        """Write a spec to a file."""
        path.write_text(spec.text)
        return path

    @property
    def tokens(self) -> dict[str, Path]:
        """The folders of the tokens by task."""
        return {task: self.root / f"results/tokens/{task}-tokens" for task in TASKS}


def make_tiny(root: Path) -> Tiny:
    """Make the tokens and the checkpoints."""
    for task in TASKS:
        write_tokens(root, task)
    folder = root / "checkpoints"
    return Tiny(root, {model: write_checkpoint(folder / model, model) for model in SIZES})


def renamed(spec: S, **changes: Any) -> S:
    """A spec with other settings, and the name that belongs to them."""
    fields = {key: value for key, value in spec if key != "name"}
    return type(spec).named(spec.stem, **fields | changes)


# --- commands ---------------------------------------------------------------------------------------------


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command: it finds the package, and no fork server but the one given."""
    kept = {key: value for key, value in os.environ.items() if key != "CROSSOVER_FORKSERVER"}
    return kept | {"PYTHONPATH": str(ROOT / "workflow")} | changes


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen:
    """Start `crossover ARGUMENTS`; `options` are those of Popen."""
    defaults = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "crossover", *map(str, arguments)], **defaults | options)


def serve_forks(path: Path) -> subprocess.Popen:
    """Start a fork server that listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        descriptor = listener.fileno()
        return start("serve-forks", str(descriptor), str(os.getpid()), pass_fds=[descriptor], stdout=None, stderr=None)


def finetune(spec: Path, out: Path, *more: str | Path, seed: int = 0, **options: Any) -> subprocess.Popen:
    """Start `crossover finetune-run` on the CPU."""
    given = ("--spec", spec, "--seed", str(seed), "--output", out, "--gpus", "0")
    return start("finetune-run", *given, *more, **options)


def results(out: Path) -> dict[str, bytes]:
    """The bytes of what a run has found, which must not depend on how it came about."""
    return {name: (out / name).read_bytes() for name in RESULTS}


def ask_to_end(monkeypatch: Any, module: Any, name: str, when: set[int]) -> None:
    """Let this process ask itself to end at some of the calls of a function, counted from 0."""
    function, calls = getattr(module, name), iter(range(10**6))

    def interrupting(*arguments):
        if next(calls) in when:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments)

    monkeypatch.setattr(module, name, interrupting)
