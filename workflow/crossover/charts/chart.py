"""A chart, built once with Altair and used three ways, and the parts that charts share.

In the report a chart is drawn by Vega, as wide as its place; beneath it lies the same chart as SVG, which readers
without JavaScript and the printer get. A third copy with its own title, legend and fixed colours goes to figures/.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from markupsafe import escape

from crossover.charts.palette import Series, with_light_colours

# Altair checks each part of a chart against its schema when it is made; a test does that once for all charts.
alt.utils.schemapi.disable_debug_mode()

VegaLite = dict[str, Any]  # a specification of a chart, or a part of one

WIDE, NARROW = 720, 340  # pixels of the fixed copies
VL_VERSION = alt.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif"
THEME: VegaLite = {
    "aria": False,  # the figure has one description and a table; hundreds of labelled marks would bury them
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 200,
    },
    "axisY": {"domain": False, "ticks": False},
    "text": {"color": "var(--ink)"},
    "title": {"color": "var(--ink)", "anchor": "start", "fontSize": 14, "fontWeight": 600},
    "legend": {"labelColor": "var(--ink)", "titleColor": "var(--soft)", "orient": "top", "labelLimit": 400, "columns": 2,
               "symbolOpacity": 1, "symbolDash": [1, 0]},
}  # fmt: skip
FOCUS = alt.param(name="focus", value="")  # the series that the reader has picked in the legend


@dataclass(frozen=True)
class Chart:
    """A chart in its three forms.

    Attributes:
        name: unique in the report; also of its file in figures/.
        title: what it shows.
        description: the same for those who cannot see it.
        spec: Vega-Lite, as wide as its container.
        svg: for the page, in CSS variables.
        file: SVG that stands alone.
        simulated: the data of its task imitate nature.
    """

    name: str
    title: str
    description: str
    spec: VegaLite
    svg: str
    file: str
    simulated: bool = False


def finish(name: str, chart: alt.LayerChart, title: str, description: str, width: int) -> Chart:
    """Return the three forms of a chart."""
    spec = {**chart.to_dict(validate=False), "config": THEME, "autosize": {"type": "fit-x", "contains": "padding"}}
    bare = {**spec, "config": THEME | {"legend": {"disable": True}}, "width": width}
    heading = {
        "text": textwrap.wrap(title, 80),
        "subtitle": textwrap.wrap(description, 110),
        "subtitleColor": "var(--soft)",
    }
    whole = {**spec, "width": WIDE, "background": "white", "padding": 12, "title": heading}
    return Chart(
        name=name,
        title=title,
        description=description,
        spec={**bare, "width": "container"},
        svg=vl_convert.vegalite_to_svg(bare, vl_version=VL_VERSION),
        file=with_light_colours(vl_convert.vegalite_to_svg(whole, vl_version=VL_VERSION)),
    )


def stamped(svg: str, words: str) -> str:
    """Return an SVG that stands alone with these words in its lower left corner."""
    style = 'x="12" y="100%" dy="-8" font-size="12" font-weight="600" font-family="sans-serif" fill="var(--alarm)"'
    return svg.replace("</svg>", with_light_colours(f"<text {style}>{escape(words)}</text></svg>"))


def wrapped(label: str) -> str:
    """Return a label in lines of at most 16 letters, so that it leaves room for the chart on a phone."""
    return "\n".join(textwrap.wrap(label, 16)) or label


def data_of(table: pd.DataFrame) -> alt.InlineData:
    """Return rows for Vega, rounded to what can be seen, with null for what is missing."""
    rounded = table.round(dict.fromkeys(table.select_dtypes("float"), 4))
    rows = rounded.astype(object).where(rounded.notna(), None).to_dict("records")
    return alt.InlineData(values=rows)


def colour_of(series: list[Series]) -> alt.Color:
    """Return the colour channel: one for each series."""
    scale = alt.Scale(domain=[one.label for one in series], range=[one.colour for one in series])
    return alt.Color("series:N", scale=scale, title=None)


def shape_of(series: list[Series]) -> alt.Shape:
    """Return the shape channel of points: one for each series."""
    scale = alt.Scale(domain=[one.label for one in series], range=[one.shape for one in series])
    return alt.Shape("series:N", scale=scale, title=None)


def dash_of(series: list[Series]) -> alt.StrokeDash:
    """Return the dash channel of lines: one for each series."""
    scale = alt.Scale(domain=[one.label for one in series], range=[list(one.dash) for one in series])
    return alt.StrokeDash("series:N", scale=scale, title=None)


def focused(strong: float) -> dict[str, object]:
    """Return the opacity channel: `strong`, and faint while the reader has picked another series."""
    opacity: dict[str, object] = alt.condition(
        "focus == '' || datum.series == focus", alt.value(strong), alt.value(strong / 8)
    )
    return opacity


def tooltips(**fields: str) -> list[alt.Tooltip]:
    """Return what is shown of a mark under the pointer: titles with `_` for spaces, and fields."""
    return [alt.Tooltip(f"{field}:N", title=title.replace("_", " ")) for title, field in fields.items()]
