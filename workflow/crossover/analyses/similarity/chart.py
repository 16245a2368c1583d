"""Charts of layer similarity: each measure at equal relative depth, and CKA of all pairs of layers."""

from collections.abc import Iterator

import altair as alt
import pandas as pd

from crossover.analyses.charts import AnalysisCharts, Styles, layer_axis, model_pairs
from crossover.charts.chart import FOCUS, NARROW, Chart, colour_of, data_of, finish, focused, shape_of, tooltips
from crossover.charts.palette import Series

MEASURES = {
    "cka": Series("CKA", "var(--blue)", "circle", (1, 0)),
    "svcca": Series("SVCCA", "var(--vermillion)", "square", (1, 0)),
    "pwcca": Series("PWCCA", "var(--green)", "diamond", (1, 0)),
}


def draw(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[Chart]:
    """Draw both charts for each pair of models."""
    for name, heading, rows in model_pairs(task, title, table, styles):
        means = rows.groupby(["layer_a", "layer_b", "measure"], as_index=False)[["value", "control"]].mean()
        yield _draw_depths(f"similarity-{name}", heading, means)
        yield _draw_cka(f"cka-{name}", f"{heading}, CKA of all layers", means[means["measure"] == "cka"])


def _draw_depths(name: str, title: str, means: pd.DataFrame) -> Chart:
    depth_ratio = means["layer_b"].max() / max(means["layer_a"].max(), 1)
    rows = means[means["layer_b"] == (means["layer_a"] * depth_ratio).round()]
    shown = rows.assign(series=rows["measure"].map({key: one.label for key, one in MEASURES.items()}))
    shown = shown.assign(said=rows["value"].map("{:.2f}".format), shuffled=rows["control"].map("{:.2f}".format))
    series = list(MEASURES.values())
    base = alt.Chart(data_of(shown)).encode(x=layer_axis(shown["layer_a"], "layer_a"), color=colour_of(series))
    y = alt.Y("value:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title="similarity", tickCount=5))
    chart = alt.layer(
        base.mark_line(strokeWidth=1.5, strokeDash=[4, 3]).encode(y="control:Q", opacity=focused(0.8)),
        base.mark_line(strokeWidth=2.5).encode(y=y, opacity=focused(1.0)),
        base.mark_point(filled=True, size=45).encode(
            y=y,
            shape=shape_of(series),
            opacity=focused(1.0),
            tooltip=tooltips(
                measure="series", layer="layer_a", other_layer="layer_b", value="said", shuffled="shuffled"
            ),
        ),
    )
    description = f"{title}: CKA, SVCCA and PWCCA of layers at the same relative depth, and the same for shuffled positions, dashed."
    return finish(name, chart.add_params(FOCUS).properties(height=200), title, description, NARROW)


def _draw_cka(name: str, title: str, cka: pd.DataFrame) -> Chart:
    shown = cka.assign(said=cka["value"].map("{:.2f}".format), shuffled=cka["control"].map("{:.2f}".format))
    sizes = {"paddingInner": 0.05, "paddingOuter": 0}
    chart = alt.layer(
        alt.Chart(data_of(shown))
        .mark_rect(color="var(--blue)", stroke="var(--line)", strokeWidth=1)
        .encode(
            x=alt.X("layer_b:O", title="layer of the second", axis=alt.Axis(labelAngle=0), scale=alt.Scale(**sizes)),
            y=alt.Y("layer_a:O", title="layer of the first", sort="descending", scale=alt.Scale(**sizes)),
            fillOpacity=alt.FillOpacity("value:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
            tooltip=tooltips(first="layer_a", second="layer_b", CKA="said", shuffled="shuffled"),
        )
    )
    return finish(name, chart.properties(height=200), title, f"{title}, from 0 (empty) to 1 (full colour).", NARROW)


CHARTS = AnalysisCharts(["other_model", "layer_a", "layer_b", "measure", "value", "control"], draw, MEASURES)
