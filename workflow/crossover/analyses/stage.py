"""The stage of all analyses: a spec in, a table out."""

import importlib
from pathlib import Path
from typing import Any

import torch

from crossover.analyses.registry import ANALYSES
from crossover.analyses.subject import Subject
from crossover.files import sha256, write_parquet
from crossover.runs.files import VALUES, write_provenance
from crossover.runs.provenance import Recorder
from crossover.training.reading import check_checkpoint


def analyse_models(spec: dict[str, Any], seed: int, out: Path, device: torch.device, command: str) -> None:
    """Analyse the models of one spec, and write values.parquet and provenance.json.

    Args:
        spec: the content of results/specs/<analysis>.json.
        seed: what is random in the models follows from it, and which items and positions are drawn.
        out: results/analyses/<analysis>/seed-<n>/.
        device: where to compute.
        command: what was called, for the provenance.

    Raises:
        UserError: an input is missing or damaged, or an architecture does not give what is asked of it.
    """
    recorder = Recorder(device, spec["code"], command)
    inputs = {}
    for number, model in enumerate(spec["models"]):
        inputs[f"checkpoint {number}"] = check_checkpoint(model["checkpoint"])
        inputs[f"tokens {number}"] = sha256(Path("results/tokens", model["tokens"], "encoding.json"))
    subjects = [Subject.build(model, seed, device) for model in spec["models"]]
    table = importlib.import_module(ANALYSES[spec["analysis"]].module).analyse(subjects, seed)
    write_parquet(out / VALUES[0], table)
    write_provenance(out, recorder.finish(0, inputs), VALUES)
