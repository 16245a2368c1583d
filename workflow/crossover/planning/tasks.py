"""The specs of a task."""

from dataclasses import dataclass

from crossover.config.encodings import Encoding
from crossover.config.load import known_names, load_task
from crossover.config.tasks import Task
from crossover.encodings.registry import ENCODERS
from crossover.errors import UserError, nearest
from crossover.planning.code import code_of
from crossover.planning.datasets import plan_dataset
from crossover.specs.datasets import DatasetSpec
from crossover.specs.load import AnySpec
from crossover.specs.tasks import TaskSpec, TokenizerFile, TokensSpec
from crossover.tasks.registry import CLUSTERING, READERS


@dataclass(frozen=True)
class PlannedTask:
    """A task of config/tasks/, and the specs that make it.

    Attributes:
        name: of its file in config/tasks/.
        config: its settings.
        spec: of its items.
        dataset: of its raw files; None for a generator.
    """

    name: str
    config: Task
    spec: TaskSpec
    dataset: DatasetSpec | None

    @property
    def specs(self) -> list[AnySpec]:
        """All specs of the task."""
        return [self.spec, *([self.dataset] if self.dataset else [])]

    @property
    def subset(self) -> str | None:
        """What part of its data a mirror holds, in words, or None when it has all."""
        return self.dataset.subset if self.dataset else None

    def tokens_as(self, encoding: Encoding, tokenizer: TokenizerFile | None = None, suffix: str = "") -> TokensSpec:
        """Return the spec of its tokens in an encoding.

        Args:
            encoding: how its items become model input.
            tokenizer: of subwords.
            suffix: of the stem of the name, behind task and kind of encoding.
        """
        stem = f"{self.name}-{encoding.kind}{suffix}"
        code = code_of("crossover.encodings.tokenize", ENCODERS[encoding.kind])
        return TokensSpec.named(stem, task=self.spec.name, encoding=encoding, tokenizer=tokenizer, code=code)

    def encoding_for(self, checkpoint: str | None) -> Encoding:
        """Return how its items become input of a checkpoint, whose name is given."""
        return self.config.encodings_by_checkpoint.get(checkpoint or "", self.config.encoding)


def plan_task(name: str, where: str | None = None) -> PlannedTask:
    """Plan a task of config/tasks/.

    Args:
        name: of its file.
        where: what asked for it, for errors.

    Raises:
        UserError: the task is not known, or its config or its files are wrong.
    """
    task = load_task(name, where)
    known = known_names("checkpoints")
    if strangers := [checkpoint for checkpoint in task.encodings_by_checkpoint if checkpoint not in known]:
        raise UserError(
            f"config/tasks/{name}.yaml: encodings_by_checkpoint names the unknown checkpoint {strangers[0]}; "
            f"{nearest(strangers[0], known)}"
        )
    dataset = plan_dataset(task.dataset) if task.dataset else None
    splitters = [CLUSTERING] if task.split and task.split.by == "similarity" else []
    spec = TaskSpec.named(
        name,
        task=name,
        dataset=dataset.name if dataset else None,
        reader=task.reader,
        split=task.split,
        policy=task.policy if dataset else None,
        letters=task.domain if dataset and task.domain in ("dna", "protein") else None,
        target=task.target,
        simulated=task.simulated,
        licence=task.licence,
        code=code_of("crossover.tasks.prepare.stage", READERS[task.reader.kind], *splitters),
    )
    return PlannedTask(name, task, spec, dataset)
