"""Render a study's report: one HTML file that needs nothing else, and its charts as SVG files."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from crossover.files import write_text
from crossover.metrics import METRICS
from crossover.report import answer, facts, numbers
from crossover.report.analyses import draw_analyses, seconds_of_analyses
from crossover.report.charts import VL_VERSION, Chart, draw_charts, draw_pretraining, stamped
from crossover.report.palette import css_variables, make_series, metric_words, task_labels, unique_labels
from crossover.statistics.partial import Part, whole_of

ASSETS = files("crossover.report")


def render_report(spec: dict[str, Any], folder: Path) -> None:
    """Write report.html and figures/*.svg beside the study's tables.

    The same files give the same bytes: the report holds no time of its own making.

    Args:
        spec: the content of results/specs/study-<study>.json.
        folder: results/studies/<study>/, with the tables that aggregation wrote.

    Raises:
        UserError: a table, card or run's file is missing or damaged.
    """
    render_part(whole_of(spec), folder)


def render_part(part: Part, folder: Path) -> None:
    """Write the same of a part of a study beside its tables; when it is not all of it, the report says what is missing.

    Raises:
        UserError: a table, card or run's file is missing or damaged.
    """
    spec = part.spec
    tables = facts.read_tables(folder)
    tables["cells"]["seeds_planned"] = tables["cells"]["run"].map(part.seeds_planned)
    known: dict[str, dict[str, Any]] = {
        "cards": facts.read_cards(spec),
        "checkpoints": facts.read_checkpoints(spec),
        "computation": facts.describe_computation(tables["costs"]),
    }
    series = make_series(part.whole)
    charts = draw_charts(spec, tables, series)
    charts["pretraining"] = [
        draw_pretraining(name, spec["checkpoints"][name]["title"], made["curve"], made["loss"])
        for name, made in known["checkpoints"].items()
        if made
    ]
    if spec["analyses"] and not part.missing:
        drawn = draw_analyses(spec, folder)
        charts["analyses"] = [chart for kind in drawn for chart in kind.charts]
        seeds = len(spec["analyses"][0]["seeds"])
        known["analyses"] = {"drawn": drawn, "seeds": seeds, "seconds": seconds_of_analyses(spec)}
    for chart in (chart for section in charts.values() for chart in section):
        picture = stamped(chart.file, f"Incomplete: {part.count}") if part.missing else chart.file
        write_text(folder / "figures" / f"{chart.name}.svg", picture)
    write_text(folder / "report.html", _page(part, folder, tables, known, charts, series))


def _page(
    part: Part,
    folder: Path,
    tables: dict[str, pd.DataFrame],
    known: dict[str, dict[str, Any]],
    charts: dict[str, list[Chart]],
    series: dict[tuple[str, str], Any],
) -> str:
    spec = part.spec
    comparisons = answer.compare(spec, tables["contrasts"])
    scripts = {"bundle": _bundle(), "script": _asset("script.js")}
    drawn = {chart.name: chart.spec for section in charts.values() for chart in section}
    return _environment(folder).get_template("template.html.j2").render(
        spec=spec,
        part=part,
        missing=facts.missing_by_reason(part),
        style=Markup(_asset("style.css")),
        variables=Markup(css_variables()),
        scripts={name: Markup(text) for name, text in scripts.items()},
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
        charts=charts,
        specs=drawn,
        series=series,
        labels=task_labels(part.whole),
        metric_words=metric_words(part.whole),
        metrics=METRICS,
        checkpoint_labels=unique_labels(spec["checkpoints"]),
        headline=answer.headline(part.whole, comparisons),
        comparisons=comparisons,
        caveats=answer.caveats(part, tables, known["cards"]),
        verdicts=[answer.verdict(row, spec["confidence"]) for row in tables["contrasts"].itertuples()],
        tables={name: list(table.itertuples()) for name, table in tables.items() if name != "curves"},
        seeds_of={cell["run"]: cell["seeds"] for cell in spec["cells"]},
        rate_of={cell["run"]: cell["rate"] for cell in spec["cells"]},
        **known,
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
            "p_value",
            "count",
            "rate",
            "duration",
            "plural",
        )
    }
    environment.filters["link"] = lambda path: facts.link(folder, path)
    environment.filters["svg"] = Markup  # an SVG that vl-convert has serialised: text in it is escaped already
    environment.tests["missing"] = pd.isna
    return environment


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, with nothing in it that would end a script element early."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VL_VERSION)
    return bundle.replace("</script", "<\\/script")


def _digest(text: str) -> str:
    """The digest by which the page's security policy knows its scripts."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
