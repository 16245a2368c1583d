"""Sizes of the training split: an axis of a study."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

TrainItems = Annotated[int, Field(ge=1)] | Literal["all"]
Drawn = Literal["plain", "stratified"]


class TaskAtSize(NamedTuple):
    """A task with some of its training items: a task of its own for statistics and report, since a data size is never averaged.

    Attributes:
        task: name of a file in config/tasks/.
        items: of the training split.
    """

    task: str
    items: TrainItems

    @property
    def name(self) -> str:
        """Its name in a study: that of the task, with the number of items unless it has all."""
        return self.task if self.items == "all" else f"{self.task}-{self.items}-items"
