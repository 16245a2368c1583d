"""Parts that the charts of several kinds of analyses share: the `chart` modules of `crossover.analyses` draw with them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import altair as alt
import pandas as pd

from crossover.charts.chart import Chart
from crossover.charts.palette import Series

MAX_LAYER_LABELS = 12  # on an axis

Styles = dict[str, Series]


@dataclass(frozen=True)
class AnalysisCharts:
    """The charts of one kind of analysis.

    Attributes:
        columns: that its table must have, beside `task`, `model` and `seed`.
        draw: yields the charts of a task, from its name, its label, its rows, and the style of each model.
        measures: the series in its legend, where they are measures and not models; empty for no legend.
    """

    columns: list[str]
    draw: Callable[[str, str, pd.DataFrame, Styles], Iterator[Chart]]
    measures: Styles | None = None


def layer_axis(layers: pd.Series, field: str = "layer") -> alt.X:
    """Return the x channel of a chart by layer, labelled with whole numbers."""
    first, last = int(layers.min()), int(layers.max())
    step = (last - first) // MAX_LAYER_LABELS + 1
    axis = alt.Axis(title="layer", grid=False, format="d", values=list(range(first, last + 1, step)))
    return alt.X(f"{field}:Q", axis=axis, scale=alt.Scale(zero=False, padding=12, nice=False))


def model_pairs(task: str, title: str, table: pd.DataFrame, styles: Styles) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield a name, a title and the rows of each pair of models."""
    for number, ((model, other), rows) in enumerate(table.groupby(["model", "other_model"], sort=False)):
        yield f"{task}-{number}", f"{title}: {styles[model].label} and {styles[other].label}", rows


def label_models(table: pd.DataFrame, styles: Styles) -> tuple[pd.DataFrame, list[Series]]:
    """Add the column `series`, the label of each row's model; return the table and the styles of its models."""
    series = [styles[model] for model in dict.fromkeys(table["model"])]
    return table.assign(series=[styles[model].label for model in table["model"]]), series
