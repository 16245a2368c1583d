"""The stage `analyse`: a spec in, the table of its analysis out."""

import importlib
from pathlib import Path

import torch

from crossover.analyses.analysed_model import AnalysedModel
from crossover.analyses.kinds import measure_module
from crossover.files import sha256, write_parquet
from crossover.runs.files import VALUES, WEIGHTS, checked_provenance, run_folder, write_provenance
from crossover.runs.provenance import Recorder
from crossover.specs.analyses import AnalysisSpec
from crossover.training.device import device_use
from crossover.training.verification import verify_checkpoint


def analyse_models(spec: AnalysisSpec, seed: int, out: Path, device: torch.device, command: str) -> None:
    """Measure the models of one spec, and write values.parquet and provenance.json.

    Args:
        spec: of the analysis.
        seed: of the random weights of the models, and of the items and positions that are sampled.
        out: results/analyses/<analysis>/seed-<n>/.
        device: where to compute.
        command: the command line, for the provenance.

    Raises:
        UserError: an input is missing or damaged, or the architecture does not return what the analysis needs.
    """
    recorder = Recorder(spec.code, command)
    inputs = {}
    for number, model in enumerate(spec.models):
        inputs[f"checkpoint {number}"] = verify_checkpoint(model.checkpoint)
        if model.trained_by:
            folder = run_folder(model.trained_by, seed)
            checked_provenance(folder)
            inputs[f"weights {number}"] = sha256(folder / WEIGHTS)
        inputs[f"tokens {number}"] = sha256(Path("results/tokens", model.tokens, "encoding.json"))
    models = [AnalysedModel.build(model, seed, device) for model in spec.models]
    table = importlib.import_module(measure_module(spec.analysis)).measure(models, seed)
    write_parquet(out / VALUES[0], table)
    write_provenance(out, recorder.finish(device_use(device), 0, inputs), VALUES)
