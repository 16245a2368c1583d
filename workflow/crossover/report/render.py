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
from crossover.report import answer, facts, numbers
from crossover.report.charts import VL_VERSION, Chart, draw_charts, draw_pretraining
from crossover.report.palette import css_variables, make_series, task_labels, unique_labels
from crossover.statistics.order import in_study_order

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
    spec = in_study_order(spec)
    tables = facts.read_tables(folder)
    cards = facts.read_cards(spec)
    computation = facts.describe_computation(tables["costs"])
    checkpoints = facts.read_checkpoints(spec)
    series = make_series(spec)
    charts = draw_charts(spec, tables, series)
    charts["pretraining"] = [
        draw_pretraining(name, spec["checkpoints"][name]["title"], made["curve"], made["loss"]["unigram"])
        for name, made in checkpoints.items()
        if made
    ]
    for chart in (chart for section in charts.values() for chart in section):
        write_text(folder / "figures" / f"{chart.name}.svg", chart.file)
    write_text(folder / "report.html", _page(spec, folder, tables, cards, checkpoints, computation, charts, series))


def _page(
    spec: dict[str, Any],
    folder: Path,
    tables: dict[str, pd.DataFrame],
    cards: dict[str, Any],
    checkpoints: dict[str, Any],
    computation: dict[str, Any],
    charts: dict[str, list[Chart]],
    series: dict[tuple[str, str], Any],
) -> str:
    comparisons = answer.compare(spec, tables["contrasts"])
    scripts = {"bundle": _bundle(), "script": _asset("script.js")}
    drawn = {chart.name: chart.spec for section in charts.values() for chart in section}
    return _environment(folder).get_template("template.html.j2").render(
        spec=spec,
        style=Markup(_asset("style.css")),
        variables=Markup(css_variables()),
        scripts={name: Markup(text) for name, text in scripts.items()},
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
        charts=charts,
        specs=drawn,
        series=series,
        labels=task_labels(spec),
        checkpoint_labels=unique_labels(spec["checkpoints"]),
        headline=answer.headline(comparisons),
        comparisons=comparisons,
        caveats=answer.caveats(spec, tables, cards),
        verdicts=[answer.verdict(row, spec["confidence"]) for row in tables["contrasts"].itertuples()],
        tables={name: list(table.itertuples()) for name, table in tables.items() if name != "curves"},
        seeds_of={cell["run"]: cell["seeds"] for cell in spec["cells"]},
        rate_of={cell["run"]: cell["rate"] for cell in spec["cells"]},
        cards=cards,
        checkpoints=checkpoints,
        computation=computation,
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
