"""Chart of linear probes: their test score on each layer of each model, beside the floor."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from crossover.analyses.charts import AnalysisCharts, Styles, label_models, layer_axis
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


def draw(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[Chart]:
    """Draw one chart for all models."""
    rows, series = label_models(table, styles)
    means = rows.groupby(["series", "layer"], as_index=False, sort=False)["score"].mean()
    means = means.assign(said=(100 * means["score"]).map("{:.1f} %".format))
    x = layer_axis(rows["layer"])
    y = alt.Y(
        "score:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="score of the probe", format=".1~%", tickCount=5)
    )
    mean = alt.Chart(data_of(means)).encode(x=x, y=y, color=colour_of(series), opacity=focused(1.0))
    chart = alt.layer(
        alt.Chart(data_of(rows[["floor"]].head(1))).mark_rule(color="var(--soft)", strokeWidth=1.5).encode(y="floor:Q"),
        alt.Chart(data_of(rows[["series", "seed", "layer", "score"]]))
        .mark_line(strokeWidth=1)
        .encode(x=x, y=y, color=colour_of(series), strokeDash=dash_of(series), detail="seed:N", opacity=focused(0.35)),
        mean.mark_line(strokeWidth=2.5).encode(strokeDash=dash_of(series)),
        mean.mark_point(filled=True, size=45).encode(
            shape=shape_of(series), tooltip=tooltips(model="series", layer="layer", mean="said")
        ),
    )
    description = f"{title}: test score of a linear probe on each layer of each model, and the floor."
    yield finish(f"probing-{task}", chart.add_params(FOCUS).properties(height=200), title, description, NARROW)


CHARTS = AnalysisCharts(["layer", "score", "floor"], draw)
