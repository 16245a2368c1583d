"""Say how many seeds would decide what a study has left undecided: `crossover plan-seeds`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crossover.commands.output import Row, aligned, table
from crossover.planning.snapshot import plan_of
from crossover.report import numbers
from crossover.specs.studies import StudySpec
from crossover.statistics.records import read_table

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = ["task", "checkpoint", "a", "other_checkpoint", "b", "seeds", "outcome", "detectable", "seeds_needed"]
HEAD = ("task", "first", "second", "seeds", "could have shown", "seeds to decide")
NOT_BY_SEEDS = "limited by its test items"


@dataclass(frozen=True)
class UndecidedComparison:
    """A comparison that is undecided.

    Attributes:
        task: where two conditions are compared.
        a: the first checkpoint and condition.
        b: the second ones.
        seeds: of the condition that has fewer.
        detectable: the smallest true difference that four of five such comparisons would show.
        seeds_needed: of each condition, so that this is the study's margin; None if the test items are too few for any.
    """

    task: str
    a: str
    b: str
    seeds: int
    detectable: float
    seeds_needed: int | None

    @property
    def row(self) -> Row:
        """The same as cells of a table."""
        needed = NOT_BY_SEEDS if self.seeds_needed is None else f"{self.seeds_needed:,}"
        return self.task, self.a, self.b, str(self.seeds), numbers.size(self.detectable), needed


@dataclass(frozen=True)
class SeedPlan:
    """The undecided comparisons of a study.

    Attributes:
        study: its name.
        margin: the smallest difference that matters in it.
        tested: number of its comparisons with several seeds.
        undecided: those that are undecided.
    """

    study: str
    margin: float
    tested: int
    undecided: list[UndecidedComparison]

    def text(self) -> str:
        """Return how many comparisons are undecided, and a line for each."""
        rows = [one.row for one in self.undecided]
        return "\n".join([self._summary, *(aligned([HEAD, *rows]) if rows else ())])

    def facts(self) -> dict[str, object]:
        """Return the margin, the number of comparisons, and the undecided ones."""
        return asdict(self)

    def page(self) -> "RenderableType":
        """Return the same as a table."""
        from rich.console import Group

        return Group(self._summary, *([table(HEAD, [one.row for one in self.undecided])] if self.undecided else ()))

    @property
    def _summary(self) -> str:
        number = len(self.undecided)
        head = f"Study {self.study}: {number:,} of {numbers.plural(self.tested, 'comparison')} {'is' if number == 1 else 'are'} undecided."
        if not self.undecided:
            return head
        return (
            f"{head} With the seeds to decide, a true difference of {numbers.size(self.margin)} would be shown in four of five "
            "cases, if seeds vary as they do now."
        )


def plan_seeds(study: str | None) -> SeedPlan:
    """Read which comparisons of a study are undecided, and with how many seeds they would be decided.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.

    Raises:
        UserError: the study cannot be planned, or its tables are missing.
    """
    return seed_plan(plan_of(study).study)


def seed_plan(spec: StudySpec) -> SeedPlan:
    """Read the same of a study that is planned.

    Raises:
        UserError: its tables are missing.
    """
    contrasts = read_table(Path("results/studies") / spec.study / "contrasts.parquet", COLUMNS)
    tested = contrasts[contrasts["outcome"] != "one seed"]
    undecided = [
        UndecidedComparison(
            task=row.task,
            a=f"{row.checkpoint} {row.a}",
            b=f"{row.other_checkpoint} {row.b}",
            seeds=row.seeds,
            detectable=row.detectable,
            seeds_needed=None if pd.isna(row.seeds_needed) else int(row.seeds_needed),
        )
        for row in tested[tested["outcome"] == "undecided"].itertuples()
    ]
    return SeedPlan(spec.study, spec.margin, len(tested), undecided)
