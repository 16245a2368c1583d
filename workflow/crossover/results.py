"""The files of a run: where they lie, and whether they are still what the run wrote."""

from pathlib import Path
from typing import Any

from crossover.errors import UserError
from crossover.files import check_file, read_sealed_json, sha256, write_sealed_json

RUNS = Path("results/runs")
RESULTS = ("metrics.json", "curve.parquet", "predictions.parquet")


def run_folder(run: str, seed: int) -> Path:
    """Where the files of a run with one of its seeds lie."""
    return RUNS / run / f"seed-{seed}"


def write_provenance(folder: Path, provenance: dict[str, Any]) -> None:
    """Write a run's provenance.json, the last of its files, with the digests of the others."""
    digests = {name: sha256(folder / name) for name in RESULTS}
    write_sealed_json(folder / "provenance.json", {**provenance, "results": digests})


def checked_provenance(folder: Path) -> dict[str, Any]:
    """The provenance of a run, once its results have been compared with the digests in it.

    Raises:
        UserError: one of its four files is missing, or is not what the run wrote.
    """
    provenance = read_sealed_json(folder / "provenance.json")
    for name in RESULTS:
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing; run snakemake to make it.")
        check_file(path, provenance["results"].get(name), "the run wrote")
    return provenance
