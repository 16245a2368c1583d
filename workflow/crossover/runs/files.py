"""The files of a run, an analysis or a baseline: where they lie, and whether they are still those that it wrote."""

from collections.abc import Sequence
from pathlib import Path

from crossover.errors import UserError
from crossover.files import check_file, read_json, sha256
from crossover.specs.descriptions import Metrics, Provenance

WEIGHTS = "weights.safetensors"
RESULTS = ("metrics.json", "curve.parquet", "predictions.parquet", WEIGHTS)
FILES = (*RESULTS, "provenance.json")
ANALYSES = Path("results/analyses")
VALUES = ("values.parquet",)
BASELINES = Path("results/baselines")
BASELINE_RESULTS = ("metrics.json", "predictions.parquet")


def run_folder(run: str, seed: int) -> Path:
    """Return the folder of a run with one of its seeds."""
    return Path(f"results/runs/{run}/seed-{seed}")


def log_file(run: str, seed: int) -> str:
    """Return the path of the log of a run with one of its seeds."""
    return f"logs/finetune_run/{run}/seed-{seed}.log"


def is_complete(folder: Path) -> bool:
    """Return whether every file of a run is there."""
    return all((folder / name).is_file() for name in FILES)


def analysis_folder(analysis: str, seed: int) -> Path:
    """Return the folder of an analysis with one of its seeds."""
    return ANALYSES / analysis / f"seed-{seed}"


def baseline_folder(baseline: str, seed: int) -> Path:
    """Return the folder of a baseline with one of its seeds."""
    return BASELINES / baseline / f"seed-{seed}"


def read_metrics(folder: Path) -> Metrics:
    """Read metrics.json of a run.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "metrics.json"
    return Metrics.parse(read_json(path), path)


def write_provenance(folder: Path, provenance: Provenance, results: Sequence[str] = RESULTS) -> None:
    """Write a run's provenance.json, the last of its files, with the digests of the others."""
    digests = {name: sha256(folder / name) for name in results}
    provenance.model_copy(update={"results": digests}).write(folder / "provenance.json")


def checked_provenance(folder: Path, results: Sequence[str] = RESULTS) -> Provenance:
    """Return the provenance of a run, once its results have been compared with the digests in it.

    Raises:
        UserError: one of its files is missing, or is not the one that the run wrote.
    """
    provenance = Provenance.load(folder / "provenance.json")
    for name in results:
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing; run snakemake to make it.")
        check_file(path, (provenance.results or {}).get(name), "the run wrote")
    return provenance
