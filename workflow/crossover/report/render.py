"""Render a study's report: one HTML file that needs nothing else, and its charts as SVG files."""

import base64
import hashlib
import shutil
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from crossover.charts.chart import stamped
from crossover.charts.palette import Series, checkpoint_labels, css_variables, make_series, metric_words, task_labels
from crossover.files import write_text
from crossover.metrics import METRICS
from crossover.report import facts, findings, numbers
from crossover.report.analyses import AnalysisSection, draw_analyses, seconds_of_analyses
from crossover.report.baselines import baseline_sentences
from crossover.report.bundle import chart_scripts
from crossover.report.charts import ReportCharts, draw_charts
from crossover.specs.descriptions import Card
from crossover.specs.studies import StudySpec
from crossover.statistics.partial import Part, complete_part
from crossover.statistics.tables import StudyTables

ASSETS = files("crossover.report")
INCOMPLETE = "incomplete"  # below the study's own folder: the declared outputs are those of a complete study


@dataclass(frozen=True)
class Analyses:
    """The section about what models hold.

    Attributes:
        drawn: its charts.
        seeds: how many are behind each number.
        seconds: that the analyses took.
        before: whether models before they are fine-tuned are among them.
        after: whether models after that are.
    """

    drawn: list[AnalysisSection]
    seeds: int
    seconds: float
    before: bool
    after: bool


@dataclass(frozen=True)
class Content:
    """Everything that the report shows.

    Attributes:
        part: the study, as far as it is there.
        tables: its tables; cells with the column `seeds_planned`.
        cards: of the tasks, by name.
        encodings: of the tasks, by name.
        pretraining: of the checkpoints that were pretrained here, by name.
        changes: of the files of checkpoints that were made elsewhere, by name.
        analyses: None where there are none, or while runs are missing.
        computation: where, when, with what and at what cost it was computed.
        charts: by section.
        series: the looks of each checkpoint and condition.
    """

    part: Part
    tables: StudyTables
    cards: dict[str, Card]
    encodings: dict[str, list[facts.UsedEncoding]]
    pretraining: dict[str, facts.PretrainingRun]
    changes: dict[str, tuple[str, ...]]
    analyses: Analyses | None
    computation: facts.ComputationSummary
    charts: ReportCharts
    series: dict[tuple[str, str], Series]


def render_report(spec: StudySpec, folder: Path) -> None:
    """Write report.html and figures/*.svg beside the study's tables.

    The same files give the same bytes: the report holds no time of its own making.

    Args:
        spec: the study.
        folder: results/studies/<study>/, with the tables that aggregation wrote.

    Raises:
        UserError: a table, card or run's file is missing or damaged.
    """
    render_part(complete_part(spec), folder)


def remove_incomplete(folder: Path) -> None:
    """Remove the incomplete report of the study whose folder this is; a complete one takes its place."""
    shutil.rmtree(folder / INCOMPLETE, ignore_errors=True)


def render_part(part: Part, folder: Path) -> None:
    """Write the same of a part of a study beside its tables; when it is not all of it, the report says what is missing.

    Raises:
        UserError: a table, card or run's file is missing or damaged.
    """
    content = _gather(part, folder)
    for chart in content.charts.every:
        picture = stamped(chart.file, f"Incomplete: {part.count}") if part.missing else chart.file
        write_text(folder / "figures" / f"{chart.name}.svg", picture)
    write_text(folder / "report.html", _page(content, folder))


def _gather(part: Part, folder: Path) -> Content:
    tables = facts.read_tables(folder)
    planned = tables.cells["run"].map(part.seeds_planned)
    tables = replace(tables, cells=tables.cells.assign(seeds_planned=planned))
    series = make_series(part.whole)
    pretraining, changes = facts.read_pretraining(part.spec), facts.read_changes(part.spec)
    cards, encodings = facts.read_cards(part.spec), facts.read_encodings(part.spec)
    computation = facts.summarise_computation(tables.costs)
    # Drawing takes seconds: a damaged card, checkpoint or provenance is named before.
    charts = draw_charts(part.spec, tables, pretraining, series)
    analyses = _analyses(part.spec, folder) if part.spec.analyses and not part.missing else None
    if analyses:
        charts = replace(charts, analyses=[chart for kind in analyses.drawn for chart in kind.charts])
    return Content(
        part=part,
        tables=tables,
        cards=cards,
        encodings=encodings,
        pretraining=pretraining,
        changes=changes,
        analyses=analyses,
        computation=computation,
        charts=charts,
        series=series,
    )


def _analyses(spec: StudySpec, folder: Path) -> Analyses:
    seeds, seconds = len(spec.analyses[0].seeds), seconds_of_analyses(spec)
    tuned = {model.condition is not None for entry in spec.analyses for model in entry.models}
    drawn = draw_analyses(spec, folder)
    return Analyses(drawn=drawn, seeds=seeds, seconds=seconds, before=False in tuned, after=True in tuned)


def _page(content: Content, folder: Path) -> str:
    part, spec, tables = content.part, content.part.spec, content.tables
    comparisons = findings.describe_comparisons(spec, tables.contrasts, tables.pooled)
    scripts = {"bundle": chart_scripts(), "script": _asset("script.js")}
    return _environment(folder).get_template("template.html.j2").render(
        spec=spec,
        part=part,
        missing=facts.missing_by_reason(part),
        style=Markup(_asset("style.css")),
        variables=Markup(css_variables()),
        scripts={name: Markup(text) for name, text in scripts.items()},
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
        charts=content.charts,
        specs={chart.name: chart.spec for chart in content.charts.every},
        series=content.series,
        labels=task_labels(part.whole.tasks),
        tasks_with_sizes=facts.tasks_with_sizes(spec),
        metric_words=metric_words(part.whole),
        metrics=METRICS,
        checkpoint_labels=checkpoint_labels(spec),
        headline=findings.headline(part.whole, comparisons),
        comparisons=comparisons,
        baseline_sentences=baseline_sentences(part.whole, tables.baselines, tables.baseline_contrasts),
        baselines={row.task: row for row in tables.baselines.itertuples()},
        against_baseline={(row.task, row.checkpoint, row.condition): row for row in tables.baseline_contrasts.itertuples()},
        caveats=findings.caveats(part, tables, content.cards),
        tables={name: list(table.itertuples()) for name, table in vars(tables).items() if name != "curves"},
        seeds_of={cell.run: cell.seeds for cell in spec.cells},
        agreement=findings.agreement_on_rates(tables.cells),
        weights_of={run: folder for cell in spec.cells for run, folder in cell.weights_of.items()},
        cards=content.cards,
        encodings=content.encodings,
        pretraining=content.pretraining,
        changes=content.changes,
        analyses=content.analyses,
        computation=content.computation,
    )  # fmt: skip


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(numbers, name)
        for name in (
            "percent",
            "percent_interval",
            "points",
            "points_interval",
            "size",
            "p_value",
            "count",
            "rate",
            "duration",
            "plural",
        )
    }
    environment.filters["failures"] = lambda row: findings.failures_in_words(
        row.seeds_constant, row.seeds_at_floor, row.seeds
    )
    environment.filters["link"] = lambda path: facts.link(folder, path)
    environment.filters["svg"] = Markup  # an SVG that vl-convert has serialised: text in it is escaped already
    environment.tests["missing"] = pd.isna
    return environment


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the digest by which the page's security policy knows its scripts."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
