"""Charts of optimisation: gradient cosines, singular values of the Jacobian, and changes under weight noise."""

from collections.abc import Iterator

import altair as alt
import numpy as np
import pandas as pd

from crossover.analyses.charts import AnalysisCharts, Styles, label_models
from crossover.charts.chart import (
    FOCUS,
    NARROW,
    Chart,
    colour_of,
    dash_of,
    data_of,
    finish,
    focused,
    shape_of,
    tooltips,
)
from crossover.charts.palette import Series

LOG_AXIS = alt.Axis(tickCount=6, tickMinStep=1, labelExpr="format(pow(10, datum.value), '~e')")
RANK_TOLERANCE = 1e-6  # relative to the largest singular value; smaller ones are rounding errors, and not drawn


def draw(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[Chart]:
    """Draw each of the three charts for all models."""
    rows, series = label_models(table, styles)
    cosines = rows[rows["measure"] == "cosine"]
    yield _draw_cosines(f"gradients-{task}", f"{title}: agreement of gradients", cosines, series)
    values = rows[rows["measure"] == "singular value"]
    values = values.groupby(["series", "number"], as_index=False, sort=False)["value"].mean()
    last = values.groupby("series")["number"].transform("max").astype(float).clip(lower=1)
    visible = values["value"] > RANK_TOLERANCE * values.groupby("series")["value"].transform("max")
    ranks = values.assign(at=values["number"].astype(float) / last)[visible]
    x = alt.X(
        "at:Q", axis=alt.Axis(title="rank, from the largest to the smallest", grid=False, format=".0%", tickCount=5)
    )
    yield _draw_logarithmic(
        f"jacobian-{task}", f"{title}: singular values of the Jacobian", ranks, x, "singular value", series
    )
    noise = rows[rows["measure"] == "noise"].groupby(["series", "scale"], as_index=False, sort=False)["value"].mean()
    scales = noise.assign(at=np.log10(noise["scale"]))
    ticks = alt.Axis(
        **LOG_AXIS.to_dict() | {"title": "deviation of the noise", "values": sorted(set(scales["at"])), "grid": False}
    )
    x = alt.X("at:Q", axis=ticks, scale=alt.Scale(zero=False, padding=12, nice=False))
    yield _draw_logarithmic(
        f"noise-{task}", f"{title}: change under weight noise", scales, x, "relative change", series
    )


def _draw_cosines(name: str, title: str, cosines: pd.DataFrame, series: list[Series]) -> Chart:
    means = cosines.groupby("series", as_index=False, sort=False)["value"].agg(["mean", "min"])
    means = means.assign(said=means["mean"].map("{:+.2f}".format), lowest=means["min"].map("{:+.2f}".format))
    labels = [one.label for one in series]
    y = alt.Y("series:N", sort=labels, title=None, axis=alt.Axis(labels=False))
    x = alt.X("value:Q", scale=alt.Scale(domain=[-1, 1]), axis=alt.Axis(title="cosine of two batches", tickCount=5))
    chart = alt.layer(
        alt.Chart(alt.InlineData(values=[{"zero": 0}]))
        .mark_rule(color="var(--soft)", strokeWidth=1.5)
        .encode(x="zero:Q"),
        alt.Chart(data_of(cosines[["series", "value"]]))
        .mark_tick(thickness=1, size=16)
        .encode(x=x, y=y, color=colour_of(series), opacity=focused(0.5)),
        alt.Chart(data_of(means))
        .mark_point(filled=True, size=90)
        .encode(
            x=alt.X("mean:Q"),
            y=y,
            color=colour_of(series),
            shape=shape_of(series),
            opacity=focused(1.0),
            tooltip=tooltips(model="series", mean="said", lowest="lowest"),
        ),
    )
    description = f"{title}: the cosines of the gradients of all pairs of batches for each model, and their means."
    return finish(name, chart.add_params(FOCUS).properties(height=34 * len(series) + 20), title, description, NARROW)


def _draw_logarithmic(name: str, title: str, table: pd.DataFrame, x: alt.X, unit: str, series: list[Series]) -> Chart:
    """Draw the positive values of each model against the column `at` on a logarithmic y axis."""
    positive = table[table["value"] > 0]
    shown = positive.assign(logarithm=np.log10(positive["value"]), said=positive["value"].map("{:.2g}".format))
    y = alt.Y("logarithm:Q", scale=alt.Scale(zero=False), axis=alt.Axis(**LOG_AXIS.to_dict() | {"title": unit}))
    base = alt.Chart(data_of(shown[["series", "at", "logarithm", "said"]])).encode(x=x, y=y, color=colour_of(series))
    chart = alt.layer(
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash_of(series), opacity=focused(1.0)),
        base.mark_circle(size=60).encode(opacity=alt.value(0), tooltip=tooltips(model="series", value="said")),
    )
    return finish(name, chart.add_params(FOCUS).properties(height=200), title, f"{title}, for each model.", NARROW)


CHARTS = AnalysisCharts(["measure", "number", "scale", "value"], draw)
