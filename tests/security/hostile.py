"""Names and words that a shell, Snakemake, a spreadsheet or a browser would take for something else."""

from pathlib import Path
from typing import Any

import yaml

from workflow_copy import CHECKPOINT, STUDY, TASKS, WorkflowCopy, write_tune

CANARY = "CANARY"
# All of it is legal in a file's name. A shell that ran a part of it would make a file called CANARY.
NAME = f"""-rf a'b"c $(touch {CANARY}) `touch {CANARY}`; touch {CANARY} & {{input}} {{{{ {{% * ~ \\ | #\n<b>ü$HOME"""
FORMULA = f"=cmd|'-C touch {CANARY}'!A0"


def canaries(folder: Path) -> list[Path]:
    """Files below a folder that only a command hidden in a name could have made."""
    return [path for path in folder.rglob("*") if path.name == CANARY]


def without(characters: str, name: str) -> str:
    """A name without some of its characters."""
    return name.translate(str.maketrans("", "", characters))


def write_study(copy: WorkflowCopy, study: str, name: str) -> Path:
    """A study of a few runs in which every word, folder, class and piece has this name.

    Args:
        copy: the workflow. The study's data are in a folder beside it.
        study: path of the study's file, below the copy.
        name: any name that a file may have.

    Returns:
        The folder of its checkpoint, in which the weights are missing.
    """
    # Snakemake takes braces and angle brackets in this path for its own, since it is an input of a rule.
    model = f"{without('{}<>', name)}.model"
    data = f"../{name}.data"
    words = {"title": name, "description": name}
    sources = {"licence": name, "citation": name}
    task: dict[str, Any] = yaml.safe_load(TASKS["tunes"]) | words | sources
    task["dataset"]["path"] = data
    whole = yaml.safe_load(STUDY)
    few = {"tasks": ["tunes"], "checkpoints": ["tiny", "own"], "seeds": [0]}
    one_rate = {"training": whole["training"] | {"learning_rates": [1e-3]}}
    write_yaml(copy.root / study, whole | words | {"question": name} | few | one_rate)
    write_yaml(copy.root / "config/tasks/tunes.yaml", task)
    write_yaml(copy.root / "config/checkpoints/tiny.yaml", yaml.safe_load(CHECKPOINT) | words | {"licence": name})
    own = {"kind": "folder", "path": model, "licence": name}
    write_yaml(copy.root / "config/checkpoints/own.yaml", words | own)
    for label, lowest in ((name, 70), (FORMULA, 40)):
        for piece in range(6):
            write_tune(copy.root / data / label / f"{piece}{name}.mid", lowest, piece)
    (copy.root / model).mkdir(exist_ok=True)
    (copy.root / model / "config.json").write_text('{"model_type": "gpt2", "n_positions": 16}')
    (copy.root / model / "model.safetensors").write_text("never read")
    return copy.root / model


def write_yaml(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump(content), encoding="utf-8"
    )  # escaped: unescaped, a U+0085 would be read as a line's end


def write_checkpoint(folder: Path) -> None:
    """A random model in Hugging Face form, of the size of the tiny study's."""
    from transformers import GPT2Config, GPT2Model
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    size = {"vocab_size": 257, "n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16}
    GPT2Model(GPT2Config(bos_token_id=0, eos_token_id=0, **size)).save_pretrained(folder)
