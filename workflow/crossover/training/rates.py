"""The learning rate of a cell, selected on validation data alone."""

from pathlib import Path
from typing import Any

from crossover.files import read_json, write_sealed_json
from crossover.runs.files import checked_provenance, run_folder


def select_rate(spec: dict[str, Any], output: Path) -> None:
    """Write the rate whose run reached the best validation score; of equal scores, the one with the lower loss wins.

    Args:
        spec: the final run's spec; `learning_rate.selected_from` names the runs that tried the rates.
        output: results/rates/<run>.json.

    Raises:
        UserError: a file of one of these runs is missing, or is not what the run wrote.
    """
    candidates = []
    for entry in spec["learning_rate"]["selected_from"]:
        folder = run_folder(entry["run"], entry["seed"])
        checked_provenance(folder)
        metrics = read_json(folder / "metrics.json")
        candidates.append(
            {
                "run": entry["run"],
                "learning_rate": metrics["learning_rate"],
                "validation_score": metrics["validation"]["score"],
                "validation_loss": metrics["validation"]["loss"],
            }
        )
    best = max(candidates, key=lambda candidate: (candidate["validation_score"], -candidate["validation_loss"]))
    write_sealed_json(output, {"run": spec["name"], "learning_rate": best["learning_rate"], "candidates": candidates})
