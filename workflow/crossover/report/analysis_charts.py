"""Charts of analyses: one function for each kind, which draws the values of one task."""

from collections.abc import Callable, Iterator

import altair as alt
import numpy as np
import pandas as pd

from crossover.report.charts import (
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
from crossover.report.palette import Series

Looks = dict[str, Series]
DECADES = alt.Axis(tickCount=6, tickMinStep=1, labelExpr="format(pow(10, datum.value), '~e')")
MAPS_IN_A_ROW = 4
LABELS = 12  # of layers on an axis at most
ROUNDING = 1e-6  # singular values below this share of the largest are rounding, and are not drawn
MEASURES = {
    "cka": Series("CKA", "var(--blue)", "circle", (1, 0)),
    "svcca": Series("SVCCA", "var(--vermillion)", "square", (1, 0)),
    "pwcca": Series("PWCCA", "var(--green)", "diamond", (1, 0)),
}


def _layers(layers: pd.Series, field: str = "layer") -> alt.X:
    """Layers from left to right, with whole numbers as labels."""
    first, last = int(layers.min()), int(layers.max())
    axis = alt.Axis(
        title="layer", grid=False, format="d", values=list(range(first, last + 1, (last - first) // LABELS + 1))
    )
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(zero=False, padding=12, nice=False))


# --- two models -------------------------------------------------------------------------------------------


def _pairs(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each pair of models: a name, a title, and its rows."""
    for number, ((model, other), own) in enumerate(table.groupby(["model", "other_model"], sort=False)):
        yield f"{task}-{number}", f"{title}: {looks[model].label} and {looks[other].label}", own


def draw_similarity(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """For each pair of models the measures at equal depth, and CKA of all pairs of layers."""
    for name, heading, own in _pairs(task, title, table, looks):
        means = own.groupby(["layer_a", "layer_b", "measure"], as_index=False)[["value", "control"]].mean()
        yield _draw_depths(f"similarity-{name}", heading, means)
        yield _draw_cka(f"cka-{name}", f"{heading}, CKA of all layers", means[means["measure"] == "cka"])


def _draw_depths(name: str, title: str, means: pd.DataFrame) -> Chart:
    deepest = means["layer_b"].max() / max(means["layer_a"].max(), 1)
    own = means[means["layer_b"] == (means["layer_a"] * deepest).round()]
    shown = own.assign(series=own["measure"].map({key: one.label for key, one in MEASURES.items()}))
    shown = shown.assign(said=own["value"].map("{:.2f}".format), shuffled=own["control"].map("{:.2f}".format))
    series = list(MEASURES.values())
    base = alt.Chart(data_of(shown)).encode(x=_layers(shown["layer_a"], "layer_a"), color=colour_of(series))
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


def draw_heads(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """For each pair of models the distances of paired heads by layer, beside those of all pairs."""
    for name, heading, own in _pairs(task, title, table, looks):
        means = own.groupby("layer", as_index=False)[["distance", "chance"]].mean()
        shown = own.assign(said=own["distance"].map("{:.2f}".format))
        x = _layers(own["layer"])
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


# --- one model --------------------------------------------------------------------------------------------


def _labelled(table: pd.DataFrame, looks: Looks) -> tuple[pd.DataFrame, list[Series]]:
    """Rows with the label of their model, and the looks of those models."""
    series = [looks[model] for model in dict.fromkeys(table["model"])]
    return table.assign(series=[looks[model].label for model in table["model"]]), series


def draw_probing(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """The score of a linear probe on each layer of each model."""
    own, series = _labelled(table, looks)
    means = own.groupby(["series", "layer"], as_index=False, sort=False)["score"].mean()
    means = means.assign(said=(100 * means["score"]).map("{:.1f} %".format))
    x = _layers(own["layer"])
    y = alt.Y(
        "score:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="score of the probe", format=".1~%", tickCount=5)
    )
    mean = alt.Chart(data_of(means)).encode(x=x, y=y, color=colour_of(series), opacity=focused(1.0))
    chart = alt.layer(
        alt.Chart(data_of(own[["floor"]].head(1))).mark_rule(color="var(--soft)", strokeWidth=1.5).encode(y="floor:Q"),
        alt.Chart(data_of(own[["series", "seed", "layer", "score"]]))
        .mark_line(strokeWidth=1)
        .encode(x=x, y=y, color=colour_of(series), strokeDash=dash_of(series), detail="seed:N", opacity=focused(0.35)),
        mean.mark_line(strokeWidth=2.5).encode(strokeDash=dash_of(series)),
        mean.mark_point(filled=True, size=45).encode(
            shape=shape_of(series), tooltip=tooltips(model="series", layer="layer", mean="said")
        ),
    )
    description = f"{title}: test score of a linear probe on each layer of each model, and the floor."
    yield finish(f"probing-{task}", chart.add_params(FOCUS).properties(height=200), title, description, NARROW)


def draw_attention(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """The mean attention distance of each head by layer, and for each model the mean map of each layer."""
    own, series = _labelled(table, looks)
    heads = (
        own[own["measure"] == "distance"]
        .groupby(["series", "layer", "head"], as_index=False, sort=False)["value"]
        .mean()
    )
    lines = {
        measure: own[own["measure"] == measure].groupby(["series", "layer"], as_index=False, sort=False)["value"].mean()
        for measure in ("distance", "even distance")
    }
    x = _layers(own["layer"])
    y = alt.Y("value:Q", axis=alt.Axis(title="mean attention distance, positions", tickCount=5))
    where = {"x": x, "y": y, "color": colour_of(series)}
    said = tooltips(model="series", layer="layer", head="head", positions="said")
    chart = alt.layer(
        alt.Chart(data_of(lines["even distance"]))
        .mark_line(strokeWidth=1.5, strokeDash=[4, 3])
        .encode(**where, opacity=focused(0.8)),
        alt.Chart(data_of(lines["distance"])).mark_line(strokeWidth=2.5).encode(**where, opacity=focused(1.0)),
        alt.Chart(data_of(heads.assign(said=heads["value"].map("{:.1f}".format))))
        .mark_point(filled=True, size=40)
        .encode(**where, shape=shape_of(series), opacity=focused(0.6), tooltip=said),
    )
    description = f"{title}: mean attention distance of every head by layer and model; dashed, that of even attention."
    yield finish(f"distance-{task}", chart.add_params(FOCUS).properties(height=200), title, description, NARROW)
    for number, (model, maps) in enumerate(own[own["measure"] == "map"].groupby("series", sort=False)):
        colour = next(one.colour for one in series if one.label == model)
        yield _draw_maps(f"maps-{task}-{number}", f"{title}: {model}, mean maps", maps, colour)


def _draw_maps(name: str, title: str, maps: pd.DataFrame, colour: str) -> Chart:
    """The mean map of each layer, side by side."""
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
    none = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)
    x = alt.X("x:Q", axis=none, scale=alt.Scale(domain=[0, MAPS_IN_A_ROW * (size + 2) - 2], nice=False))
    y = alt.Y("y:Q", axis=none, scale=alt.Scale(domain=[rows * (size + 5), 0], nice=False))
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


def draw_optimisation(task: str, title: str, table: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """Cosines of gradients, singular values of the Jacobian, and changes under weight noise, of each model."""
    own, series = _labelled(table, looks)
    yield _draw_cosines(
        f"gradients-{task}", f"{title}: agreement of gradients", own[own["measure"] == "cosine"], series
    )
    values = own[own["measure"] == "singular value"]
    values = values.groupby(["series", "number"], as_index=False, sort=False)["value"].mean()
    last = values.groupby("series")["number"].transform("max").astype(float).clip(lower=1)
    seen = values["value"] > ROUNDING * values.groupby("series")["value"].transform("max")
    ranks = values.assign(at=values["number"].astype(float) / last)[seen]
    x = alt.X(
        "at:Q", axis=alt.Axis(title="rank, from the largest to the smallest", grid=False, format=".0%", tickCount=5)
    )
    yield _draw_decades(
        f"jacobian-{task}", f"{title}: singular values of the Jacobian", ranks, x, "singular value", series
    )
    noise = own[own["measure"] == "noise"].groupby(["series", "scale"], as_index=False, sort=False)["value"].mean()
    scales = noise.assign(at=np.log10(noise["scale"]))
    ticks = alt.Axis(
        **DECADES.to_dict() | {"title": "deviation of the noise", "values": sorted(set(scales["at"])), "grid": False}
    )
    x = alt.X("at:Q", axis=ticks, scale=alt.Scale(zero=False, padding=12, nice=False))
    yield _draw_decades(f"noise-{task}", f"{title}: change under weight noise", scales, x, "relative change", series)


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


def _draw_decades(name: str, title: str, table: pd.DataFrame, x: alt.X, unit: str, series: list[Series]) -> Chart:
    """Lines of positive values of any size, by the column `at`."""
    positive = table[table["value"] > 0]
    shown = positive.assign(logarithm=np.log10(positive["value"]), said=positive["value"].map("{:.2g}".format))
    y = alt.Y("logarithm:Q", scale=alt.Scale(zero=False), axis=alt.Axis(**DECADES.to_dict() | {"title": unit}))
    base = alt.Chart(data_of(shown[["series", "at", "logarithm", "said"]])).encode(x=x, y=y, color=colour_of(series))
    chart = alt.layer(
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash_of(series), opacity=focused(1.0)),
        base.mark_circle(size=60).encode(opacity=alt.value(0), tooltip=tooltips(model="series", value="said")),
    )
    return finish(name, chart.add_params(FOCUS).properties(height=200), title, f"{title}, for each model.", NARROW)


DRAW: dict[str, tuple[Callable[[str, str, pd.DataFrame, Looks], Iterator[Chart]], list[str]]] = {
    "similarity": (draw_similarity, ["other_model", "layer_a", "layer_b", "measure", "value", "control"]),
    "heads": (draw_heads, ["other_model", "layer", "head_a", "head_b", "distance", "chance"]),
    "probing": (draw_probing, ["layer", "score", "floor"]),
    "attention": (draw_attention, ["measure", "layer", "head", "query", "key", "value"]),
    "optimisation": (draw_optimisation, ["measure", "number", "scale", "value"]),
}
