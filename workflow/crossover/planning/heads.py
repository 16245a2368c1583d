"""Whether a head fits the task, the checkpoint and the condition of a cell."""

from crossover.config.bodies import starts_random
from crossover.config.conditions import Condition
from crossover.config.heads import Head
from crossover.errors import UserError
from crossover.planning.base_checkpoints import PlannedCheckpoint
from crossover.planning.tasks import PlannedTask
from crossover.specs.tasks import TokensSpec


def check_head(
    head: Head, task: PlannedTask, tokens: TokensSpec, checkpoint: PlannedCheckpoint, name: str, condition: Condition
) -> None:
    """Refuse a head that could only fail in the jobs, or that would read what knows nothing of the sequence.

    Of a checkpoint whose architecture is not known yet, a missing pooler is found by the run, before its first step.

    Args:
        head: of the cell's recipe.
        task: of the cell.
        tokens: of the task, as the checkpoint reads them.
        checkpoint: of the cell.
        name: of the condition in config/conditions.yaml.
        condition: of the cell.

    Raises:
        UserError: the head does not fit.
    """
    where = f"head of task {task.name}, checkpoint {checkpoint.name} and condition {name}"
    adapter, symbols = checkpoint.adapter, tokens.encoding.kind != "patches"
    if task.config.target.kind == "bits" and head.read in ("cls", "mean"):
        raise UserError(f"{where}: bits are read position by position, not by read: {head.read}; set it to last.")
    if head.pads and symbols and condition.input != "new":
        raise UserError(
            f"{where}: read: last-position reads padding, which has an embedding with input new alone; choose another read or input."
        )
    if adapter and adapter.objective == "causal" and head.read == "cls":
        raise UserError(
            f"{where}: the first position of a {adapter.model_type} knows no other, so read: cls would read nothing of the "
            "sequence; set it to last or mean."
        )
    drawn = starts_random(condition.body) and adapter and adapter.pooler
    if head.pooler == "pretrained" and not drawn and not checkpoint.has_pooler:
        whole = adapter and adapter.pooler is None
        owner = f"the architecture {adapter.model_type}" if adapter and whole else f"checkpoint {checkpoint.name}"
        raise UserError(f"{where}: {owner} has no pooler that pooler: pretrained could take; set it to new or none.")
