"""Charts of matched attention heads: their distances by layer, beside the mean over all pairs of heads."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from crossover.analyses.charts import AnalysisCharts, Styles, layer_axis, model_pairs
from crossover.charts.chart import NARROW, Chart, data_of, finish, tooltips


def draw(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[Chart]:
    """Draw one chart for each pair of models."""
    for name, heading, rows in model_pairs(task, title, table, styles):
        means = rows.groupby("layer", as_index=False)[["distance", "chance"]].mean()
        shown = rows.assign(said=rows["distance"].map("{:.2f}".format))
        x = layer_axis(rows["layer"])
        y = alt.Y("distance:Q", axis=alt.Axis(title="L1 distance of maps", tickCount=5))
        line = alt.Chart(data_of(means)).encode(x=x)
        dots = alt.Chart(data_of(shown)).mark_circle(size=40, color="var(--blue)", opacity=0.4)
        chart = alt.layer(
            dots.encode(x=x, y=y, tooltip=tooltips(layer="layer", first="head_a", second="head_b", distance="said")),
            line.mark_line(strokeWidth=2, strokeDash=[4, 3], color="var(--soft)", point=_point("var(--soft)")).encode(
                y="chance:Q"
            ),
            line.mark_line(strokeWidth=2.5, color="var(--blue)", point=_point("var(--blue)")).encode(y=y),
        )
        description = (
            f"{heading}: distance of the attention maps of paired heads by layer, and of all pairs of heads, dashed."
        )
        yield finish(f"heads-{name}", chart.properties(height=200), heading, description, NARROW)


def _point(colour: str) -> alt.OverlayMarkDef:
    return alt.OverlayMarkDef(color=colour, size=30, filled=True)


CHARTS = AnalysisCharts(["other_model", "layer", "head_a", "head_b", "distance", "chance"], draw, measures={})
