"""The specs of a study's baselines: one for each task at each data size that the study uses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crossover.planning.code import code_of
from crossover.planning.runs import PlannedCell
from crossover.specs.baselines import BaselineSpec
from crossover.specs.load import AnySpec
from crossover.specs.studies import StudyBaseline

WHOLE_SPLIT = (0,)  # the one seed where nothing is drawn


@dataclass(frozen=True)
class PlannedBaseline:
    """A baseline of a study, and the task at a data size that it is of."""

    task: str
    entry: StudyBaseline
    spec: BaselineSpec

    @property
    def specs(self) -> list[AnySpec]:
        """The spec of the baseline; those of its tokens are the ones of the cells."""
        return [self.spec]


def plan_baselines(cells: Sequence[PlannedCell]) -> Iterator[PlannedBaseline]:
    """Plan the baseline of each task at each data size, with the tokens and the seeds of its cells.

    Args:
        cells: of the study.
    """
    by_task: dict[str, list[PlannedCell]] = {}
    for planned in cells:
        by_task.setdefault(planned.cell.task, []).append(planned)
    for task, own in by_task.items():
        subset = own[0].run.train_subset
        spec = BaselineSpec.named(
            f"{task}-baseline",
            tokens=tuple(dict.fromkeys(planned.run.tokens for planned in own)),
            train_subset=subset,
            code=code_of("crossover.baselines.stage"),
        )
        seeds = tuple(dict.fromkeys(seed for planned in own for seed in planned.cell.seeds)) if subset else WHOLE_SPLIT
        yield PlannedBaseline(task, StudyBaseline(name=spec.name, seeds=seeds), spec)
