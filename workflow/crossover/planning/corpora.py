"""The specs of what a checkpoint is pretrained on here."""

from dataclasses import dataclass
from typing import Literal

from crossover.config.checkpoints import PretrainedHere, TaskCorpus
from crossover.config.encodings import SubwordsEncoding
from crossover.errors import UserError
from crossover.planning.datasets import plan_dataset
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.specs.datasets import DatasetSpec
from crossover.specs.load import AnySpec
from crossover.specs.tasks import TaskSpec, TokensSpec


@dataclass(frozen=True)
class PlannedCorpus:
    """A corpus.

    Attributes:
        spec: of what is read: a dataset or a task as text, or a task's tokens.
        reads: what its sequences consist of.
        specs: all that make it.
        subset: what part of its data a mirror holds, in words, or None when it has all.
    """

    spec: DatasetSpec | TaskSpec | TokensSpec
    reads: Literal["text", "symbols", "patches"]
    specs: list[AnySpec]
    subset: str | None


def plan_corpus(name: str, checkpoint: PretrainedHere) -> PlannedCorpus:
    """Plan what a checkpoint is pretrained on.

    Args:
        name: of the file in config/checkpoints/.
        checkpoint: its content.

    Raises:
        UserError: the task is not known, or cannot be learned from in its own encoding.
    """
    corpus = checkpoint.corpus
    if not isinstance(corpus, TaskCorpus):
        dataset = plan_dataset(corpus)
        return PlannedCorpus(dataset, "text", [dataset], dataset.subset)
    task = plan_task(corpus.task, f"config/checkpoints/{name}.yaml")
    if corpus.encoding == "text":
        return PlannedCorpus(task.spec, "text", task.specs, task.subset)
    return _plan_encoded(name, checkpoint, task)


def _plan_encoded(name: str, checkpoint: PretrainedHere, task: PlannedTask) -> PlannedCorpus:
    """Plan the tokens of a task that fine-tuning of the checkpoint reads too."""
    where, encoding = f"config/checkpoints/{name}.yaml", task.encoding_for(name)
    if isinstance(encoding, SubwordsEncoding):
        raise UserError(
            f"{where}: corpus.encoding is task, but task {task.name} is encoded as the subwords of a tokenizer that there is "
            "already; set corpus.encoding to text, or give the task another encoding in its encodings_by_checkpoint."
        )
    if task.config.target.kind == "bits":
        raise UserError(
            f"{where}: corpus.encoding is task, but the sequences of task {task.name} are random bits, of which none can be predicted from others; "
            "choose another task."
        )
    longest = getattr(encoding, "max_length", 0)
    if longest > checkpoint.positions:
        raise UserError(
            f"{where}: positions is {checkpoint.positions}, but the encoding of task {task.name} has a max_length of {longest}; "
            "raise positions, or shorten the encoding."
        )
    tokens = task.tokens_as(encoding)
    reads: Literal["symbols", "patches"] = "patches" if encoding.kind == "patches" else "symbols"
    return PlannedCorpus(tokens, reads, [*task.specs, tokens], task.subset)
