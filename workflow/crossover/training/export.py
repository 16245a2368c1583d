"""Write what a run has trained as a checkpoint in Hugging Face form."""

import shutil
from pathlib import Path

from crossover.encodings.tokens import Tokens
from crossover.files import replacing, sha256, write_text
from crossover.models.export import export_body
from crossover.models.factory import build_model_and_table
from crossover.models.load import load_config
from crossover.models.weights import load_trained
from crossover.runs.files import WEIGHTS, checked_provenance, run_folder
from crossover.specs.checkpoints import TrainedSpec
from crossover.specs.descriptions import CheckpointDescription, EncodingDescription
from crossover.specs.runs import RunSpec
from crossover.training.verification import verify_checkpoint

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def export_trained(spec: TrainedSpec, run: RunSpec, out: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and, last, checkpoint.json with their SHA-256.

    Without a tokenizer, tokenizer.json is written with `null`.

    Args:
        spec: of the checkpoint.
        run: the run that has trained it.
        out: results/trained/<checkpoint>/.

    Raises:
        UserError: a file of the run, or one that it read, is missing or damaged.
    """
    folder = run_folder(run.name, spec.seed)
    checked_provenance(folder)
    verify_checkpoint(run.checkpoint)
    start, tokens = Path(run.checkpoint.folder), Path("results/tokens") / run.tokens
    encoding = EncodingDescription.load(tokens / "encoding.json")
    model, replaced = build_model_and_table(run, encoding, Tokens.open(tokens, "train"), spec.seed)
    load_trained(model, folder / WEIGHTS)
    export_body(model, replaced, load_config(start), out)
    tokenizer = start / "tokenizer.json"
    if tokenizer.is_file():
        with replacing(out / "tokenizer.json") as temporary:
            shutil.copyfile(tokenizer, temporary)
    else:
        write_text(out / "tokenizer.json", "null\n")
    digests = {name: sha256(out / name) for name in FILES}
    CheckpointDescription(name=spec.name, sha256=digests).write(out / "checkpoint.json")
