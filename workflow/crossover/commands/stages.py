"""The stages: what the rules of the workflow run. A stage reads files and writes files, and never reads the config.

Heavy libraries are imported by the stage that needs them.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crossover import PLAN_FOLDER
from crossover.collector import without_collector
from crossover.errors import UserError
from crossover.runs.events import record, watched
from crossover.runs.lock import exclusive
from crossover.runs.result_backup import keep, restore

if TYPE_CHECKING:
    import torch

log = logging.getLogger("crossover")
FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Compute:
    """What a stage that computes with torch may use, and how it was called.

    Attributes:
        gpus: 1 for a GPU where there is one, 0 for the CPU.
        threads: CPU threads.
        command_line: the command, for the provenance.
    """

    gpus: int
    threads: int
    command_line: str

    def device(self) -> "torch.device":
        """Set torch up for this process, and return where it computes."""
        from crossover.training.device import pick_device, set_up_torch

        set_up_torch(self.threads)
        return pick_device(self.gpus)


def log_to(handler: logging.Handler) -> None:
    """Send the log of this process to a handler alone."""
    handler.setFormatter(FORMAT)
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)


@contextmanager
def logged(path: Path | None, command_line: str) -> Iterator[None]:
    """Send the log of a stage to its file, if one is named, with its command in the first line and its error in the last."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    log_to(logging.FileHandler(path, mode="a", encoding="utf-8"))
    log.info("%s", command_line)
    try:
        yield
    except UserError as error:
        log.error("%s", error)
        raise
    except Exception:
        log.exception("this is a defect of crossover")
        raise


@contextmanager
def _failure_noted(folder: Path) -> Iterator[None]:
    """Record a user's error among the events of a training."""
    try:
        yield
    except UserError as error:
        record(folder, "failed", reason=str(error))
        raise


def acquire_dataset(spec: Path, output: Path, threads: int) -> None:
    """Fetch the raw files of a dataset, and write their receipt beside them."""
    from crossover.acquire.dataset import acquire_dataset
    from crossover.specs.datasets import DatasetSpec

    acquire_dataset(DatasetSpec.load(spec), output.parent, workers=threads)


def prepare_task(spec: Path, dataset: Path | None, output: Path) -> None:
    """Make labelled sequences in three splits, and the task's card."""
    from crossover.specs.tasks import TaskSpec
    from crossover.tasks.prepare.stage import prepare_task

    prepare_task(TaskSpec.load(spec), dataset, output)


def tokenize_task(spec: Path, task: Path, output: Path) -> None:
    """Turn sequences into arrays that a model reads."""
    from crossover.encodings.tokenize import tokenize_task
    from crossover.specs.tasks import TokensSpec

    tokenize_task(TokensSpec.load(spec), task, output)


def fetch_checkpoint(spec: Path, output: Path) -> None:
    """Fetch a checkpoint that was made elsewhere."""
    from crossover.acquire.checkpoint import fetch_checkpoint
    from crossover.models.size import read_size
    from crossover.specs.checkpoints import FetchedSpec

    fetch_checkpoint(FetchedSpec.load(spec), output, read_size)


def describe_architecture(spec: Path, output: Path) -> None:
    """Write the config of a model without weights."""
    from crossover.models.blank import describe_architecture
    from crossover.specs.checkpoints import ArchitectureSpec

    describe_architecture(ArchitectureSpec.load(spec), output)


def export_weights(spec: Path, output: Path) -> None:
    """Write what a run has trained as a checkpoint in Hugging Face form."""
    from crossover.specs.checkpoints import TrainedSpec
    from crossover.specs.runs import RunSpec

    with without_collector():
        from crossover.training.export import export_trained

    content = TrainedSpec.load(spec)
    export_trained(content, RunSpec.load(spec.with_name(f"{content.run}.json")), output)


def pretrain_checkpoint(spec: Path, corpus: Path, output: Path, compute: Compute, save_every: float) -> None:
    """Pretrain a model on text, or on the tokens of a task."""
    from crossover.specs.checkpoints import PretrainedSpec

    with _failure_noted(output):
        content = PretrainedSpec.load(spec)
        with exclusive(output / ".lock", f"checkpoint {content.name}"), watched(output):
            with without_collector():
                from crossover.pretraining.pretrain import pretrain_checkpoint

            pretrain_checkpoint(content, corpus, output, compute.device(), save_every, compute.command_line)


def finetune_run(spec: Path, seed: int, output: Path, compute: Compute, save_every: float) -> None:
    """Fine-tune one run with one seed and score it, or put its results back if it had finished before."""
    from crossover.specs.runs import RunSpec

    of_workflow = PLAN_FOLDER in os.environ
    with _failure_noted(output):
        content = RunSpec.load(spec)
        with exclusive(output / ".lock", f"run {content.name} with seed {seed}"):
            if of_workflow and restore(output):
                record(output, "restored")
                return
            with watched(output):
                with without_collector():
                    from crossover.training.finetune import finetune_run

                finetune_run(content, seed, output, compute.device(), save_every, compute.command_line)
            if of_workflow:
                keep(output)


def fit_baselines(spec: Path, seed: int, output: Path, compute: Compute) -> None:
    """Fit models without a transformer to a task, and score the one that validation data select."""
    from crossover.specs.baselines import BaselineSpec

    content = BaselineSpec.load(spec)
    from threadpoolctl import threadpool_limits

    with without_collector():
        from crossover.baselines.stage import fit_baselines

    compute.device()
    with threadpool_limits(compute.threads):
        fit_baselines(content, seed, output, compute.command_line)


def analyse(spec: Path, seed: int, output: Path, compute: Compute) -> None:
    """Measure one model, or compare two, before or after they are fine-tuned."""
    from crossover.specs.analyses import AnalysisSpec

    content = AnalysisSpec.load(spec)
    from threadpoolctl import threadpool_limits

    with without_collector():
        from crossover.analyses.stage import analyse_models

    device = compute.device()
    with threadpool_limits(compute.threads):  # NumPy's and scikit-learn's, which would take all that the machine has
        analyse_models(content, seed, output, device, compute.command_line)


def gather_analyses(spec: Path, kind: str, output: Path) -> None:
    """Gather a study's analyses of one kind into a table."""
    from crossover.analyses.gather import gather_analyses
    from crossover.specs.studies import StudySpec

    gather_analyses(StudySpec.load(spec), kind, output)


def aggregate_study(spec: Path, output: Path) -> None:
    """Gather a study's runs into tables with intervals and tests."""
    from crossover.specs.studies import StudySpec
    from crossover.statistics.aggregate import aggregate_study

    aggregate_study(StudySpec.load(spec), output)


def render_report(spec: Path, output: Path) -> None:
    """Render a study's report and figures, in place of an incomplete report."""
    from crossover.report.render import remove_incomplete, render_report
    from crossover.specs.studies import StudySpec

    render_report(StudySpec.load(spec), output)
    remove_incomplete(output)
