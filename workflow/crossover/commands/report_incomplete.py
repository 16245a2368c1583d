"""Report what is there of a study while some of its runs are missing."""

from pathlib import Path

import pandas as pd

from crossover.files import write_csv
from crossover.planning.snapshot import plan_of
from crossover.report.render import INCOMPLETE, remove_incomplete, render_part
from crossover.runs.status import reason_of
from crossover.statistics.aggregate import make_tables
from crossover.statistics.partial import Part, ReasonOf, computed_part


def report_incomplete(study: str | None, why: ReasonOf = reason_of) -> str:
    """Write tables, missing.csv, figures and report of the runs that are there to results/studies/<study>/incomplete/.

    What an earlier call has written there is removed first.

    Args:
        study: name or path of a study, or None for the one in config/config.yaml.
        why: says why a run is missing.

    Returns:
        What to tell the user, in one line.

    Raises:
        UserError: the study cannot be planned, or what its runs were made from has changed or is missing.
    """
    plan = plan_of(study)
    part = computed_part(plan.study, why)
    folder = Path("results/studies") / plan.name
    remove_incomplete(folder)
    if not part.missing:
        return f"Study {plan.name}: none of its {part.runs} runs is missing; snakemake makes the report."
    if not part.spec.cells:
        return f"Study {plan.name}: no cell has a test score yet, since {part.count}; there is nothing to report."
    write_part(part, folder / INCOMPLETE)
    return f"{folder / INCOMPLETE / 'report.html'} is incomplete: {part.count}."


def write_part(part: Part, folder: Path) -> None:
    """Write the tables, the list of what is missing, the figures and the report of a part of a study."""
    tables = make_tables(part.spec)
    cells = tables.cells
    cells.insert(cells.columns.get_loc("seeds") + 1, "seeds_planned", cells["run"].map(part.seeds_planned))
    tables.write(folder)
    write_csv(folder / "missing.csv", pd.DataFrame(part.missing))
    render_part(part, folder)
