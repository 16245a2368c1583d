"""The parts that the cells of a study combine."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from crossover.config.conditions import Condition
from crossover.config.training import KeptWeights
from crossover.planning.base_checkpoints import PlannedCheckpoint
from crossover.planning.checkpoints import TrainedCheckpoint
from crossover.planning.tasks import PlannedTask
from crossover.planning.tokens import PlannedTokens, check_fit, misfit, plan_tokens
from crossover.specs.studies import LeftOut


@dataclass(frozen=True)
class Parts:
    """The tasks, checkpoints and conditions of a study, and what a task and a checkpoint have in common.

    Attributes:
        tasks: of the study, by name.
        checkpoints: likewise.
        conditions: likewise.
        tokens: by names of task and checkpoint, as far as they were asked for.
        left_out: cells whose condition does not fit, by names of task, checkpoint and condition.
    """

    tasks: dict[str, PlannedTask]
    checkpoints: dict[str, PlannedCheckpoint]
    conditions: dict[str, Condition]
    tokens: dict[tuple[str, str], PlannedTokens] = field(default_factory=dict)
    left_out: dict[tuple[str, str, str], LeftOut] = field(default_factory=dict)

    @property
    def kept_runs(self) -> dict[str, KeptWeights]:
        """The runs whose weights are checkpoints: which they are, by the names of the runs without them."""
        trained = [one for one in self.checkpoints.values() if isinstance(one, TrainedCheckpoint)]
        runs = [run for one in trained for run in one.runs]
        return {run.without_weights: run.keep_weights for run in runs if run.keep_weights}

    def tokens_of(self, task: PlannedTask, checkpoint: PlannedCheckpoint) -> PlannedTokens:
        """Return the tokens of a task as a checkpoint reads them.

        Raises:
            UserError: the encoding's tokenizer is missing.
        """
        key = task.name, checkpoint.name
        if key not in self.tokens:
            self.tokens[key] = plan_tokens(task, checkpoint)
        return self.tokens[key]

    def fitting(self, task: PlannedTask, checkpoint: PlannedCheckpoint, names: Iterable[str]) -> dict[str, Condition]:
        """Return those of some conditions that fit a task and a checkpoint, by name, and note the others.

        Raises:
            UserError: the checkpoint has too few positions, or a condition embeds tokens that the task does not have.
        """
        tokens = self.tokens_of(task, checkpoint).spec
        fitting = {}
        for name in names:
            if reason := misfit(tokens, checkpoint, self.conditions[name]):
                left_out = LeftOut(task=task.name, checkpoint=checkpoint.name, condition=name, reason=reason)
                self.left_out[left_out.task, left_out.checkpoint, name] = left_out
            else:
                fitting[name] = self.conditions[name]
        check_fit(task, tokens, checkpoint, fitting)
        return fitting
