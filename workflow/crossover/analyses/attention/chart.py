"""Charts of attention: the mean distance of each head by layer, and for each model the mean map of each layer."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from crossover.analyses.charts import AnalysisCharts, Styles, label_models, layer_axis
from crossover.charts.chart import FOCUS, NARROW, Chart, colour_of, data_of, finish, focused, shape_of, tooltips
from crossover.charts.palette import Series

MAPS_IN_A_ROW = 4


def draw(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[Chart]:
    """Draw the distances of all models in one chart, and the maps of each model in another."""
    rows, series = label_models(table, styles)
    yield _draw_distances(f"distance-{task}", title, rows, series)
    for number, (model, maps) in enumerate(rows[rows["measure"] == "map"].groupby("series", sort=False)):
        colour = next(one.colour for one in series if one.label == model)
        yield _draw_maps(f"maps-{task}-{number}", f"{title}: {model}, mean maps", maps, colour)


def _draw_distances(name: str, title: str, rows: pd.DataFrame, series: list[Series]) -> Chart:
    heads = (
        rows[rows["measure"] == "distance"]
        .groupby(["series", "layer", "head"], as_index=False, sort=False)["value"]
        .mean()
    )
    lines = {
        measure: rows[rows["measure"] == measure]
        .groupby(["series", "layer"], as_index=False, sort=False)["value"]
        .mean()
        for measure in ("distance", "even distance")
    }
    x = layer_axis(rows["layer"])
    y = alt.Y("value:Q", axis=alt.Axis(title="mean attention distance, positions", tickCount=5))
    channels = {"x": x, "y": y, "color": colour_of(series)}
    tooltip = tooltips(model="series", layer="layer", head="head", positions="said")
    chart = alt.layer(
        alt.Chart(data_of(lines["even distance"]))
        .mark_line(strokeWidth=1.5, strokeDash=[4, 3])
        .encode(**channels, opacity=focused(0.8)),
        alt.Chart(data_of(lines["distance"])).mark_line(strokeWidth=2.5).encode(**channels, opacity=focused(1.0)),
        alt.Chart(data_of(heads.assign(said=heads["value"].map("{:.1f}".format))))
        .mark_point(filled=True, size=40)
        .encode(**channels, shape=shape_of(series), opacity=focused(0.6), tooltip=tooltip),
    )
    description = f"{title}: mean attention distance of every head by layer and model; dashed, that of even attention."
    return finish(name, chart.add_params(FOCUS).properties(height=200), title, description, NARROW)


def _draw_maps(name: str, title: str, maps: pd.DataFrame, colour: str) -> Chart:
    """Draw the mean maps of all layers side by side."""
    means = maps.groupby(["layer", "query", "key"], as_index=False)["value"].mean()
    size = int(means["key"].max()) + 1
    place = means["layer"].astype(int) - 1
    shown = pd.DataFrame(
        {
            "x": place % MAPS_IN_A_ROW * (size + 2) + means["key"].astype(int),
            "y": place // MAPS_IN_A_ROW * (size + 5) + means["query"].astype(int) + 3,
            "share": means["value"] / means.groupby("layer")["value"].transform("max"),
        }
    ).astype({"x": int, "y": int})
    names = shown.assign(layer=means["layer"]).groupby("layer", as_index=False)[["x", "y"]].min()
    names = names.assign(y=names["y"] - 1.6, text=[f"layer {layer}" for layer in names["layer"]])[["x", "y", "text"]]
    rows = int(place.max()) // MAPS_IN_A_ROW + 1
    hidden = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)
    x = alt.X("x:Q", axis=hidden, scale=alt.Scale(domain=[0, MAPS_IN_A_ROW * (size + 2) - 2], nice=False))
    y = alt.Y("y:Q", axis=hidden, scale=alt.Scale(domain=[rows * (size + 5), 0], nice=False))
    chart = alt.layer(
        alt.Chart(data_of(shown))
        .transform_calculate(x1="datum.x + 1", y1="datum.y + 1")
        .mark_rect(color=colour)
        .encode(
            x=x,
            y=y,
            x2="x1:Q",
            y2="y1:Q",
            fillOpacity=alt.FillOpacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 1]), legend=None),
        ),
        alt.Chart(data_of(names))
        .mark_text(align="left", fontSize=11, color="var(--soft)")
        .encode(x=x, y=y, text="text:N"),
    )
    description = (
        f"{title}: queries from top to bottom, keys from left to right; full colour is the largest value of a layer."
    )
    return finish(name, chart.properties(height=100 * rows + 60), title, description, NARROW)


CHARTS = AnalysisCharts(["measure", "layer", "head", "query", "key", "value"], draw)
