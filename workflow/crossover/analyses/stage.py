"""The stage `analyse`: a spec in, the table of its analysis out."""

import importlib
from pathlib import Path
from typing import Any

import torch

from crossover.analyses.analysed_model import AnalysedModel
from crossover.analyses.kinds import measure_module
from crossover.files import sha256, write_parquet
from crossover.runs.files import VALUES, write_provenance
from crossover.runs.provenance import Recorder
from crossover.training.reading import check_checkpoint


def analyse_models(spec: dict[str, Any], seed: int, out: Path, device: torch.device, command: str) -> None:
    """Measure the models of one spec, and write values.parquet and provenance.json.

    Args:
        spec: the content of results/specs/<analysis>.json.
        seed: of the random weights of the models, and of the items and positions that are sampled.
        out: results/analyses/<analysis>/seed-<n>/.
        device: where to compute.
        command: the command line, for the provenance.

    Raises:
        UserError: an input is missing or damaged, or the architecture does not return what the analysis needs.
    """
    recorder = Recorder(device, spec["code"], command)
    inputs = {}
    for number, model in enumerate(spec["models"]):
        inputs[f"checkpoint {number}"] = check_checkpoint(model["checkpoint"])
        inputs[f"tokens {number}"] = sha256(Path("results/tokens", model["tokens"], "encoding.json"))
    models = [AnalysedModel.build(model, seed, device) for model in spec["models"]]
    table = importlib.import_module(measure_module(spec["analysis"])).measure(models, seed)
    write_parquet(out / VALUES[0], table)
    write_provenance(out, recorder.finish(0, inputs), VALUES)
