"""Concatenate the tables of a study's analyses into one tidy table for each kind."""

from pathlib import Path

import pandas as pd

from crossover.files import write_csv, write_parquet
from crossover.runs.files import VALUES, analysis_folder, checked_provenance
from crossover.specs.studies import StudyAnalysis, StudySpec


def gather_analyses(spec: StudySpec, kind: str, folder: Path) -> None:
    """Write <kind>.parquet and <kind>.csv.

    Args:
        spec: of the study.
        kind: of the analyses, as the study names it.
        folder: results/studies/<study>/analyses/.

    Raises:
        UserError: a file of an analysis is missing, or is not what the analysis wrote.
    """
    table = pd.concat(
        [values for entry in spec.analyses if entry.kind == kind for values in _read(entry)], ignore_index=True
    )
    write_parquet(folder / f"{kind}.parquet", table)
    write_csv(folder / f"{kind}.csv", table)


def _read(entry: StudyAnalysis) -> list[pd.DataFrame]:
    """Return the table of each seed of one analysis, with the columns task, model, other_model (of a pair) and seed."""
    labels = {"task": entry.task} | dict(
        zip(("model", "other_model"), (model.label for model in entry.models), strict=False)
    )
    tables = []
    for seed in entry.seeds:
        place = analysis_folder(entry.name, seed)
        checked_provenance(place, VALUES)
        values = pd.read_parquet(place / VALUES[0])
        tables.append(values.assign(**labels, seed=seed)[[*labels, "seed", *values.columns]])
    return tables
