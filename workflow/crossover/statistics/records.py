"""Read the tables that runs have written, and refuse what does not belong together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from crossover.errors import UserError
from crossover.runs.files import run_folder


@dataclass(frozen=True)
class Scores:
    """The scores of one cell, or of a baseline, on the whole test split.

    Attributes:
        run: the run, or the baseline.
        seeds: its seeds [S].
        items: names of the items [N].
        groups: the group of each item [N]; segments of one piece share a group.
        values: float [S, N]; their mean over items is the metric.
        constant: of each seed, whether it gives one answer to all items; where answers are not kept (bits), False.
    """

    run: str
    seeds: tuple[int, ...]
    items: np.ndarray
    groups: np.ndarray
    values: np.ndarray
    constant: tuple[bool, ...]


def read_curve(run: str, seed: int) -> pd.DataFrame:
    """Read the evaluations of a run: columns step, split, loss (nats), score (null for train)."""
    return read_table(run_folder(run, seed) / "curve.parquet", ["step", "split", "loss", "score"])


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read columns of a Parquet file.

    Raises:
        UserError: the file is missing, damaged, or lacks a column.
    """
    try:
        return pd.read_parquet(path, columns=columns)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run snakemake to make it.") from error
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these two
        wanted = ", ".join(columns)
        raise UserError(f"{path} is not a Parquet file with {wanted}; delete it and run snakemake again.") from error


def read_scores(run: str, seeds: Sequence[int], folder_of: Callable[[str, int], Path] = run_folder) -> Scores:
    """Read the test scores of a run or a baseline, all seeds.

    Args:
        run: its name.
        seeds: its seeds.
        folder_of: returns the folder of its files with one of the seeds.

    Raises:
        UserError: a file is missing or damaged, a score is not a finite number, the seeds do not list the same items,
            or fewer than two independent items were scored.
    """
    paths = [folder_of(run, seed) / "predictions.parquet" for seed in seeds]
    tables = [read_table(path, ["item", "group", "score"]).astype({"item": str, "group": str}) for path in paths]
    first = tables[0]
    for path, table in zip(paths, tables, strict=True):
        if not first[["item", "group"]].equals(table[["item", "group"]]):
            raise UserError(
                f"{path} does not list the items of seed {seeds[0]} in their order; delete {path.parent.parent} and run snakemake again."
            )
        if not np.isfinite(table["score"].to_numpy(float)).all():
            raise UserError(f"{path} holds a score that is no number; delete {path.parent} and run snakemake again.")
    if first["group"].nunique() < 2:
        raise UserError(
            f"{run}: the test split has {first['group'].nunique()} independent items, but an interval needs at least 2; "
            "use a larger test split."
        )
    values = np.stack([table["score"].to_numpy(float) for table in tables])
    constant = tuple(map(_is_constant, paths))
    return Scores(run, tuple(seeds), first["item"].to_numpy(str), first["group"].to_numpy(str), values, constant)


def _is_constant(predictions: Path) -> bool:
    """Return whether a run gives one answer to all items, as far as its table has answers."""
    if "prediction" not in pq.read_schema(predictions).names:
        return False
    return bool(read_table(predictions, ["prediction"])["prediction"].nunique() == 1)
