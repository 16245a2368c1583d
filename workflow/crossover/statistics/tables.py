"""The tables of a study, and how records become rows of a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crossover.files import write_csv, write_parquet


@dataclass(frozen=True)
class StudyTables:
    """The tables of a study.

    Attributes:
        runs: one row per run and seed.
        rates: one row per run, seed and learning rate that was tried.
        cells: one row per cell: its mean test score with an interval, and its median steps to the threshold.
        contrasts: one row per comparison of two conditions on a task.
        pooled: one row per comparison of two conditions over all tasks of one metric.
        baselines: one row per task: the score of its baseline with an interval.
        baseline_contrasts: one row per cell: its paired comparison with the baseline of its task.
        convergence: one row per run and seed: its steps to the threshold.
        speed: one row per comparison of two bodies' steps to the threshold, over all tasks.
        curves: one row per evaluation of each run.
        costs: one row per computation: where, when and at what cost.
    """

    runs: pd.DataFrame
    rates: pd.DataFrame
    cells: pd.DataFrame
    contrasts: pd.DataFrame
    pooled: pd.DataFrame
    baselines: pd.DataFrame
    baseline_contrasts: pd.DataFrame
    convergence: pd.DataFrame
    speed: pd.DataFrame
    curves: pd.DataFrame
    costs: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Write each table as .parquet, and as .csv except for the curves, which are long."""
        for name, table in vars(self).items():
            write_parquet(folder / f"{name}.parquet", table)
            if name != "curves":
                write_csv(folder / f"{name}.csv", table)


def table_of(rows: Iterable[Sequence[object]], columns: list[str] | None = None) -> pd.DataFrame:
    """Return a table whose rows are records side by side.

    Args:
        rows: for each row one or more records, the attributes of which are its values.
        columns: the columns to take, in this order; by default all.
    """
    content = [{name: value for record in row for name, value in vars(record).items()} for row in rows]
    return pd.DataFrame(content, columns=columns)
