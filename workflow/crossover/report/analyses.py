"""The report's section about models before they are fine-tuned: for each kind of analysis its charts and what they mean."""

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from crossover.analyses.charts import AnalysisCharts, Styles
from crossover.analyses.kinds import AnalysisText, report_modules, text_of
from crossover.charts.chart import Chart
from crossover.charts.palette import make_models, task_labels
from crossover.runs.files import analysis_folder
from crossover.specs.descriptions import Provenance
from crossover.specs.studies import StudySpec
from crossover.statistics.records import read_table


@dataclass(frozen=True)
class AnalysisSection:
    """One kind of analysis in the report.

    Attributes:
        kind: its name.
        text: its heading and explanations.
        noun: what a series of its legend is.
        legend: the styles of those series; empty for no legend.
        charts: of all tasks.
    """

    kind: str
    text: AnalysisText
    noun: str
    legend: Styles
    charts: list[Chart]


def draw_analyses(spec: StudySpec, folder: Path) -> list[AnalysisSection]:
    """Draw every kind of analysis of a study from the tables in its folder.

    Raises:
        UserError: a table is missing or damaged.
    """
    styles = make_models(spec)
    tasks = {entry.task: entry for entry in spec.analyses}
    labels = task_labels(tasks)
    sections = []
    for kind in dict.fromkeys(entry.kind for entry in spec.analyses):
        drawing = charts_of(kind)
        table = read_table(folder / "analyses" / f"{kind}.parquet", ["task", "model", "seed", *drawing.columns])
        charts = [
            replace(chart, simulated=tasks[str(task)].simulated)
            for task, rows in table.groupby("task", sort=False)
            for chart in drawing.draw(str(task), labels[str(task)], rows, styles)
        ]
        if drawing.measures is None:
            models = {name: style for name, style in styles.items() if name in set(table["model"])}
            sections.append(AnalysisSection(kind, text_of(kind), "model", models, charts))
        else:
            sections.append(AnalysisSection(kind, text_of(kind), "measure", drawing.measures, charts))
    return sections


def charts_of(kind: str) -> AnalysisCharts:
    """Return the charts of a kind of analysis."""
    charts: AnalysisCharts = importlib.import_module(report_modules(kind)[0]).CHARTS
    return charts


def seconds_of_analyses(spec: StudySpec) -> float:
    """Return the total computing time of a study's analyses, in seconds."""
    places = [analysis_folder(entry.name, seed) for entry in spec.analyses for seed in entry.seeds]
    return float(sum(Provenance.load(place / "provenance.json").seconds for place in places))
