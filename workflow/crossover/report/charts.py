"""The charts of a report, apart from those of analyses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import altair as alt
import numpy as np
import pandas as pd

from crossover.charts.chart import (
    FOCUS,
    NARROW,
    WIDE,
    Chart,
    colour_of,
    dash_of,
    data_of,
    finish,
    focused,
    shape_of,
    tooltips,
    wrapped,
)
from crossover.charts.palette import Series, task_labels
from crossover.report import numbers
from crossover.report.facts import PretrainingRun
from crossover.report.findings import Sides, comparison_title
from crossover.specs.studies import StudySpec, StudyTask
from crossover.statistics.tables import StudyTables

LINE = 15  # pixels of a line of a label
ROW = 15  # pixels of one condition in a chart with a row of conditions for each task
BASELINE_DASH = [4, 2]
LARGEST_CURVE = 120  # evaluations of a run that are drawn; the tables have them all
OUTCOME_COLOURS = {
    "body": {"higher": "var(--blue)", "lower": "var(--vermillion)"},
    "input": {"higher": "var(--sky)", "lower": "var(--orange)"},
    "trained": {"higher": "var(--green)", "lower": "var(--purple)"},
    "asked": {"higher": "var(--green)", "lower": "var(--purple)"},
}


@dataclass(frozen=True)
class ReportCharts:
    """The charts of a report by the section that they stand in."""

    overview: list[Chart]
    sizes: list[Chart]
    contrasts: list[Chart]
    curves: list[Chart]
    convergence: list[Chart]
    rates: list[Chart]
    pretraining: list[Chart]
    analyses: list[Chart] = field(default_factory=list)

    @property
    def every(self) -> list[Chart]:
        """The charts of all sections."""
        return [chart for section in vars(self).values() for chart in section]


def draw_charts(
    spec: StudySpec,
    tables: StudyTables,
    pretraining: Mapping[str, PretrainingRun],
    series: Mapping[tuple[str, str], Series],
) -> ReportCharts:
    """Draw all charts of a study's report but those of its analyses.

    Args:
        spec: the study.
        tables: its tables; cells with the column `seeds_planned`.
        pretraining: of the checkpoints that were pretrained here.
        series: the looks of each checkpoint and condition.
    """
    labels = task_labels(spec.tasks)
    cells, runs, rates, curves, convergence = (
        _with_labels(table, labels, series)
        for table in (tables.cells, tables.runs, tables.rates, tables.curves, tables.convergence)
    )
    baselines = _with_rows(tables.baselines, labels)
    looks = list(series.values())
    tuned = set(rates.loc[~rates["selected"], "task"])
    return ReportCharts(
        overview=[draw_overview(cells, runs, baselines, looks)],
        sizes=draw_sizes(spec, cells, baselines, looks),
        contrasts=draw_contrasts(spec, tables.contrasts, labels),
        curves=[
            replace(draw_curves(name, labels[name], curves, cells, baselines, looks), simulated=task.simulated)
            for name, task in spec.tasks.items()
        ],
        convergence=[draw_convergence(convergence, cells, looks)],
        rates=[
            replace(draw_rates(name, labels[name], rates, looks), simulated=task.simulated)
            for name, task in spec.tasks.items()
            if name in tuned
        ],
        pretraining=[draw_pretraining(name, spec.checkpoints[name].title, run) for name, run in pretraining.items()],
    )


def _with_labels(
    table: pd.DataFrame, labels: Mapping[str, str], series: Mapping[tuple[str, str], Series]
) -> pd.DataFrame:
    return _with_rows(table, labels).assign(
        series=[series[key].label for key in zip(table["checkpoint"], table["condition"], strict=True)]
    )


def _with_rows(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    return table.assign(
        label=[labels[task] for task in table["task"]], row=[wrapped(labels[task]) for task in table["task"]]
    )


def _rows(table: pd.DataFrame) -> alt.Y:
    axis = alt.Axis(
        labelExpr="split(datum.label, '\\n')", title=None, labelColor="var(--ink)", labelFontSize=13, labelPadding=8
    )
    return alt.Y(
        "row:N",
        sort=list(dict.fromkeys(table["row"])),
        axis=axis,
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.15),
    )


def _offset(series: list[Series]) -> alt.YOffset:
    return alt.YOffset(
        "series:N", sort=[one.label for one in series], scale=alt.Scale(domain=[one.label for one in series])
    )


def _height(table: pd.DataFrame, series: list[Series]) -> int:
    """Return the pixels of a chart with a row for each task: conditions, and the space between tasks that `_rows` sets."""
    return int(table["row"].nunique()) * max(round(len(series) * ROW / 0.75), _label_height(table))


def _label_height(table: pd.DataFrame) -> int:
    """Return the pixels of the longest label of a row, and of a space below it."""
    return LINE * (int(table["row"].str.count("\n").max()) + 2)


# --- the charts -------------------------------------------------------------------------------------------


def draw_overview(cells: pd.DataFrame, runs: pd.DataFrame, baselines: pd.DataFrame, series: list[Series]) -> Chart:
    """Draw the score of every cell with its interval, its seeds, and the floor and the baseline of the task."""
    few = cells["seeds"] < cells["seeds_planned"]
    shown = cells[["label", "row", "series", "score", "low", "high", "floor"]].assign(
        said=[
            f"{numbers.percent(row.score)} ({numbers.percent_interval(row.low, row.high)})"
            + (f", {row.seeds} of {numbers.plural(row.seeds_planned, 'seed')}" if row.seeds < row.seeds_planned else "")
            for row in cells.itertuples()
        ],
        floor_said=cells["floor"].map(numbers.percent),
        few=few,
    )
    seeds = runs[["row", "series", "test_score"]]
    floors = cells.drop_duplicates("task")[["label", "row", "floor"]].assign(
        floor_said=lambda t: t["floor"].map(numbers.percent)
    )
    marks = baselines[["label", "row", "model", "score"]].assign(said=_said(baselines))
    lowest = float(pd.concat([cells["low"], baselines["score"]]).min())
    x = alt.X(
        "score:Q",
        scale=alt.Scale(domain=[min(0.0, lowest), 1]),  # a correlation may be negative
        axis=alt.Axis(format=".0%", title="score on the test split", tickCount=5),
    )
    base = alt.Chart(data_of(shown)).encode(
        y=_rows(cells), yOffset=_offset(series), color=colour_of(series), opacity=focused(1.0)
    )
    tooltip = tooltips(task="label", condition="series", score="said", floor="floor_said")
    chart = alt.layer(
        alt.Chart(data_of(floors))
        .mark_tick(orient="vertical", thickness=2, size=ROW * len(series) + 6, color="var(--soft)")
        .encode(x="floor:Q", y=_rows(cells), tooltip=tooltips(task="label", floor="floor_said")),
        alt.Chart(data_of(marks))
        .mark_bar(filled=False, strokeWidth=2, strokeDash=BASELINE_DASH, color="var(--ink)")
        .encode(
            x="score:Q", x2="score:Q", y=_rows(cells), tooltip=tooltips(task="label", baseline="model", score="said")
        ),
        base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q", tooltip=tooltip),
        alt.Chart(data_of(seeds))
        .mark_tick(orient="vertical", thickness=1, size=9)
        .encode(
            x="test_score:Q", y=_rows(cells), yOffset=_offset(series), color=colour_of(series), opacity=focused(0.55)
        ),
        base.transform_filter("!datum.few")
        .mark_point(filled=True, size=75, opacity=1)
        .encode(x=x, shape=shape_of(series), tooltip=tooltip),
    )
    if few.any():  # open marks
        chart += (
            base.transform_filter("datum.few")
            .mark_point(size=75, strokeWidth=2, fill="var(--page)")
            .encode(x="score:Q", shape=shape_of(series), tooltip=tooltip)
        )
    return finish(
        "overview",
        chart.add_params(FOCUS).properties(height=_height(cells, series)),
        "Test score of every condition",
        f"Scores with 95 % intervals for {numbers.plural(len(series), 'condition')} on each task, the task's floor as a grey line, "
        "and its baseline, the best model without a transformer, as a dashed one. The table of cells holds the same numbers.",
        WIDE,
    )


def _said(table: pd.DataFrame) -> list[str]:
    """Return scores with their intervals in words."""
    return [
        f"{numbers.percent(row.score)} ({numbers.percent_interval(row.low, row.high)})" for row in table.itertuples()
    ]


def draw_sizes(spec: StudySpec, cells: pd.DataFrame, baselines: pd.DataFrame, series: list[Series]) -> list[Chart]:
    """Draw the score by the number of training items for each task that was learned from several numbers of them."""
    tasks = cells["task"].map({name: task.of for name, task in spec.tasks.items()})
    several = [own for _, own in cells.groupby(tasks, sort=False) if own["train_items"].nunique() > 1]
    return [_draw_sizes(spec.tasks[own["task"].iloc[0]], own, baselines, series) for own in several]


def _draw_sizes(task: StudyTask, cells: pd.DataFrame, baselines: pd.DataFrame, series: list[Series]) -> Chart:
    shown = cells[["series", "train_items", "score", "low", "high"]].assign(said=_said(cells))
    sizes = cells.drop_duplicates("task")[["task", "train_items"]]  # of a large task the baseline is fitted on fewer
    compared = sizes.merge(baselines.drop(columns="train_items").assign(said=_said(baselines)), on="task")
    x = alt.X(
        "train_items:Q",
        scale=alt.Scale(type="log", padding=12, nice=False),
        axis=alt.Axis(title="training items", grid=False, values=sorted(set(cells["train_items"])), format=",d"),
    )
    y = alt.Y(
        "score:Q",
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(title="score on the test split", format=".1~%", tickCount=5),
    )
    base = alt.Chart(data_of(shown)).encode(x=x, color=colour_of(series), opacity=focused(1.0))
    chart = alt.layer(
        alt.Chart(data_of(cells.head(1)[["floor"]]))
        .mark_rule(color="var(--soft)", strokeWidth=1.5)
        .encode(y="floor:Q"),
        alt.Chart(data_of(compared[["train_items", "model", "score", "said"]]))
        .mark_line(color="var(--ink)", strokeDash=BASELINE_DASH, point={"color": "var(--ink)", "size": 30})
        .encode(x=x, y=y, tooltip=tooltips(baseline="model", training_items="train_items", score="said")),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash_of(series)),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=70).encode(
            y=y,
            shape=shape_of(series),
            tooltip=tooltips(condition="series", training_items="train_items", score="said"),
        ),
    )
    description = (
        f"{task.title}: test score with its 95 % interval by the number of training items, for each condition, "
        "and the baseline dashed."
    )
    finished = finish(
        f"sizes-{task.of}", chart.add_params(FOCUS).properties(height=200), task.title, description, NARROW
    )
    return replace(finished, simulated=task.simulated)


def draw_contrasts(spec: StudySpec, contrasts: pd.DataFrame, labels: Mapping[str, str]) -> list[Chart]:
    """Draw a forest plot of each comparison; those of one kind share their scale."""
    charts = []
    columns = ["kind", "question", *Sides._fields]
    for (kind, question, *names), table in contrasts.groupby(columns, sort=False):
        same = contrasts[contrasts["kind"] == kind]
        reach = float(np.ceil(20 * max(same["high"].max(), -same["low"].min())) * 5)
        sides = Sides(*names)
        title = comparison_title(spec, kind, question, sides)
        charts.append(draw_forest(f"contrast-{'-'.join(dict.fromkeys(sides))}", title, kind, table, labels, reach))
    return charts


def draw_forest(
    name: str, title: str, kind: str, table: pd.DataFrame, labels: Mapping[str, str], reach: float
) -> Chart:
    """Draw the differences of one comparison on every task, in percentage points from -reach to reach."""
    colours = OUTCOME_COLOURS[kind]
    shown = pd.DataFrame(
        {
            "label": [labels[task] for task in table["task"]],
            "row": [wrapped(labels[task]) for task in table["task"]],
            "difference": 100 * table["difference"],
            "low": 100 * table["low"],
            "high": 100 * table["high"],
            "said": [
                f"{numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"
                for row in table.itertuples()
            ],
            "p": table["p_holm"].map(numbers.p_value),
            "colour": [colours.get(outcome, "var(--soft)") for outcome in table["outcome"]],
            "fill": [
                "var(--soft)" if outcome == "equivalent" else colours.get(outcome, "var(--page)")
                for outcome in table["outcome"]
            ],
        }
    )
    axis = alt.Axis(
        title="lower \N{LEFTWARDS ARROW} percentage points \N{RIGHTWARDS ARROW} higher",
        tickCount=5,
        labelExpr="datum.value > 0 ? '+' + datum.label : datum.label",
    )
    x = alt.X("difference:Q", scale=alt.Scale(domain=[-reach, reach]), axis=axis)
    tooltip = tooltips(task="label", difference="said", corrected_p="p")
    base = alt.Chart(data_of(shown)).encode(y=_rows(shown), color=alt.Color("colour:N", scale=None), tooltip=tooltip)
    chart = alt.layer(
        alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color="var(--ink)", strokeWidth=1).encode(x="zero:Q"),
        base.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q"),
        base.mark_point(size=90, strokeWidth=2, opacity=1).encode(x=x, fill=alt.Fill("fill:N", scale=None)),
    )
    description = f"{title}: the difference in score with its 95 % interval on each task. The table of comparisons holds the same numbers."
    return finish(name, chart.properties(height=max(36, _label_height(shown)) * len(shown)), title, description, NARROW)


def draw_curves(
    task: str, label: str, curves: pd.DataFrame, cells: pd.DataFrame, baselines: pd.DataFrame, series: list[Series]
) -> Chart:
    """Draw the validation score while training, of every seed and their mean, beside the floor and the baseline."""
    own = curves[(curves["task"] == task) & (curves["split"] == "validation")]
    seeds = thinned(own[["series", "seed", "step", "score"]])
    means = mean_curves(seeds).assign(label=label, said=lambda t: t["score"].map(numbers.percent))
    floor = cells[cells["task"] == task].head(1)[["floor"]]
    baseline = baselines.loc[baselines["task"] == task, ["validation_score"]]
    x = alt.X("step:Q", axis=alt.Axis(title="training step", grid=False, tickCount=4, format="~s"))
    y = alt.Y(
        "score:Q",
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(title="validation score", format=".1~%", tickCount=5),
    )
    mean = alt.Chart(data_of(means)).encode(x=x, y=y, color=colour_of(series), opacity=focused(1.0))
    levels = [alt.Chart(data_of(floor)).mark_rule(color="var(--soft)", strokeWidth=1.5).encode(y="floor:Q")]
    if len(baseline):  # Vega warns of a layer without data
        rule = alt.Chart(data_of(baseline)).mark_rule(color="var(--ink)", strokeWidth=1.5, strokeDash=BASELINE_DASH)
        levels.append(rule.encode(y="validation_score:Q"))
    chart = alt.layer(
        *levels,
        alt.Chart(data_of(seeds))
        .mark_line(strokeWidth=1)
        .encode(x=x, y=y, color=colour_of(series), detail="seed:N", opacity=focused(0.35)),
        mean.mark_line(strokeWidth=2.5).encode(strokeDash=dash_of(series)),
        mean.mark_circle(size=60).encode(
            opacity=alt.value(0), tooltip=tooltips(condition="series", step="step", mean="said")
        ),
    )
    description = f"{label}: validation score by training step for each condition, single seeds thin, their mean bold; floor and baseline level."
    return finish(f"curves-{task}", chart.add_params(FOCUS).properties(height=200), label, description, NARROW)


def thinned(curves: pd.DataFrame) -> pd.DataFrame:
    """Return at most LARGEST_CURVE evaluations of each run, evenly chosen, the last one always among them."""
    size = curves.groupby(["series", "seed"])["step"].transform("size")
    place = curves.sort_values("step").groupby(["series", "seed"]).cumcount()
    stride = np.ceil(size / LARGEST_CURVE).astype(int)
    return curves[(size - 1 - place) % stride == 0]


def mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over seeds at each step that all seeds of the series have reached.

    A mean over the seeds that are left would jump wherever one of them stops.
    """
    seeds = curves.groupby("series")["seed"].nunique()
    means = curves.groupby(["series", "step"], as_index=False, sort=False).agg(
        score=("score", "mean"), seeds=("seed", "nunique")
    )
    return means[means["seeds"] == means["series"].map(seeds)].drop(columns="seeds")


def draw_convergence(convergence: pd.DataFrame, cells: pd.DataFrame, series: list[Series]) -> Chart:
    """Draw the step at which each run reached its task's threshold, or until when it had not, and the median of each cell."""
    known = convergence[convergence["threshold"].notna()]
    shown = known[["label", "row", "series", "seed"]].assign(
        step=known["steps"].astype(float).fillna(known["steps_run"]),
        state=["not reached" if censored else "reached" for censored in known["censored"]],
        said=[
            f"not reached in {row.steps_run} steps" if row.censored else f"reached at step {row.steps}"
            for row in known.itertuples()
        ],
    )
    medians = cells.loc[cells["median_steps"].notna(), ["row", "series", "median_steps"]]
    x = alt.X("step:Q", axis=alt.Axis(title="training step", tickCount=6, grid=True), scale=alt.Scale(domainMin=0))
    where = {"y": _rows(convergence), "yOffset": _offset(series), "color": colour_of(series)}
    base = alt.Chart(data_of(shown)).encode(
        x=x, **where, tooltip=tooltips(task="label", condition="series", seed="seed", threshold="said")
    )
    chart = alt.layer(
        alt.Chart(data_of(medians))
        .mark_tick(orient="vertical", thickness=2.5, size=14)
        .encode(x="median_steps:Q", **where, opacity=focused(1.0)),
        base.transform_filter("datum.state == 'reached'")
        .mark_point(filled=True, size=50)
        .encode(shape=shape_of(series), opacity=focused(0.75)),
        base.transform_filter("datum.state == 'not reached'")
        .mark_text(text="\N{MULTIPLICATION SIGN}", fontSize=15)
        .encode(opacity=focused(0.9)),
    )
    return finish(
        "convergence",
        chart.add_params(FOCUS).properties(height=_height(cells, series)),
        "Training steps until the threshold",
        "For each task, condition and seed the training step at which the task's threshold was reached, crosses where it was not, "
        "and the median as a bar. The table beneath holds the medians.",
        WIDE,
    )


def draw_rates(task: str, label: str, rates: pd.DataFrame, series: list[Series]) -> Chart:
    """Draw the validation scores that each seed reached at each learning rate, their means, and the rate that each selected."""
    own = rates[rates["task"] == task]
    shown = own[["series", "learning_rate", "validation_score", "selected", "seed"]].assign(
        rate=own["learning_rate"].map(numbers.rate),
        said=own["validation_score"].map(numbers.percent),
    )
    shown["learning_rate"] = np.log10(shown["learning_rate"])  # rounded below: rates themselves may be tiny
    ticks = sorted(set(shown["learning_rate"].round(4)))
    names = {tick: numbers.rate(10**tick) for tick in ticks}
    label_of = " : ".join(f"abs(datum.value - {tick}) < 1e-3 ? '{names[tick]}'" for tick in ticks) + " : ''"
    axis = alt.Axis(title="learning rate", grid=False, values=ticks, labelExpr=label_of)
    score = {
        "scale": alt.Scale(zero=False, nice=True),
        "axis": alt.Axis(title="best validation score", format=".1~%", tickCount=5),
    }
    base = alt.Chart(data_of(shown)).encode(
        x=alt.X("learning_rate:Q", scale=alt.Scale(zero=False, padding=16, nice=False), axis=axis),
        y=alt.Y("validation_score:Q", **score),
        color=colour_of(series),
    )
    tooltip = tooltips(condition="series", rate="rate", seed="seed", validation="said")
    chart = alt.layer(
        base.mark_line(strokeWidth=1.5).encode(
            y=alt.Y("mean(validation_score):Q", **score), strokeDash=dash_of(series), opacity=focused(0.7)
        ),
        base.mark_point(filled=True, size=25).encode(opacity=focused(0.9), tooltip=tooltip),
        base.transform_filter("datum.selected")
        .mark_point(filled=True, size=110)
        .encode(shape=shape_of(series), opacity=focused(1.0), tooltip=tooltip),
    )
    description = f"{label}: best validation score for each learning rate, condition and seed; the large marks are those that were selected."
    return finish(f"rates-{task}", chart.add_params(FOCUS).properties(height=170), label, description, NARROW)


BASELINES = {
    "unigram": "token frequencies alone",
    "trigram": "three tokens in a row, counted",
    "mean": "the mean of all training patches",
}


def draw_pretraining(name: str, title: str, run: PretrainingRun) -> Chart:
    """Draw the loss while pretraining, beside those of models that count tokens, or of the mean patch."""
    names = {"validation": "held-out sequences", "train": "training sequences"}
    shown = run.curve.assign(split=run.curve["split"].map(names), said=run.curve["loss"].map("{:.3f}".format))
    scale = alt.Scale(domain=list(names.values()), range=["var(--blue)", "var(--sky)"])
    dash = alt.StrokeDash("split:N", scale=alt.Scale(domain=list(names.values()), range=[[1, 0], [5, 3]]), title=None)
    x = alt.X("step:Q", axis=alt.Axis(title="training step", grid=False, tickCount=5))
    loss = "loss, nats per token" if run.description.perplexity else "mean squared error"
    y = alt.Y("loss:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=loss, tickCount=5))
    base = alt.Chart(data_of(shown)).encode(x=x, y=y, color=alt.Color("split:N", scale=scale, title=None))
    simpler = {name: loss for name, loss in run.description.loss.items() if name in BASELINES}
    counted = [{"loss": round(loss, 4), "text": BASELINES[name]} for name, loss in simpler.items()]
    line = alt.Chart(alt.InlineData(values=counted)).encode(y="loss:Q")
    chart = alt.layer(
        line.mark_rule(color="var(--soft)", strokeWidth=1.5),
        line.mark_text(align="right", dy=-7, color="var(--soft)", fontSize=12).encode(
            x=alt.value("width"), text="text:N"
        ),
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash),
        base.mark_circle(size=60).encode(
            opacity=alt.value(0), tooltip=tooltips(text="split", step="step", loss="said")
        ),
    )
    description = f"{title}: loss on held-out and on training sequences by step, and the losses of simpler models."
    return finish(f"pretraining-{name}", chart.properties(height=240), title, description, WIDE)
