"""The section of the report about the models before they are fine-tuned: charts, and what they can and cannot tell."""

from dataclasses import dataclass, replace
from pathlib import Path

from crossover.report.analysis_charts import DRAW, MEASURES, Looks
from crossover.report.charts import Chart
from crossover.report.palette import make_models, task_labels
from crossover.runs.files import analysis_folder
from crossover.specs.descriptions import Provenance
from crossover.specs.studies import StudySpec
from crossover.statistics.records import read_table


@dataclass(frozen=True)
class Words:
    """What is said of one kind of analysis.

    Attributes:
        title: its heading.
        measures: what it measures, in a sentence.
        cannot: what it cannot tell, in a sentence.
        reading: how its charts are read.
    """

    title: str
    measures: str
    cannot: str
    reading: str


WORDS = {
    "similarity": Words(
        "Are their layers alike?",
        "Linear CKA, SVCCA and PWCCA say how far the states of two models at the same positions of the same items agree up to a "
        "rotation (CKA) or to any linear map (SVCCA, PWCCA).",
        "They cannot tell whether what is shared matters for the task; with few positions for the width, SVCCA and PWCCA are high "
        "for layers that share nothing, so that only the distance from the shuffled control counts.",
        "Lines: layers at the same relative depth; dashed: the same measure with the positions of one model shuffled. Squares: CKA "
        "of each layer with each, from 0 (empty) to 1 (full).",
    ),
    "heads": Words(
        "Do their attention heads look at the same positions?",
        "In each layer the heads of two models are paired so that the L1 distances of their attention maps (0: equal, 2: never at "
        "the same position) have the smallest sum, by the Hungarian method.",
        "Maps cannot tell what a head does with what it looks at, and a best pairing is closer than a blind one even where nothing "
        "is shared.",
        "Dots: pairs of heads in each seed; line: their mean; dashed: the mean of all pairs, which a blind pairing would have.",
    ),
    "probing": Words(
        "What can be read from each layer?",
        "A linear probe is fitted to the frozen states of each layer where the head would read, and scored on test items.",
        "It cannot tell whether the model uses what a probe finds, nor whether the layer matters once it is fine-tuned: Tamkin et "
        "al. (2020) found it neither necessary nor sufficient.",
        "Layer 0 is what enters the first block. Thin: single seeds; bold: their mean; level: the floor. At most 2,000 read-out "
        "positions of each split are used.",
    ),
    "attention": Words(
        "How far do attention heads look?",
        "The mean distance between a position and those that it attends to, in positions, and the mean of all attention maps of a "
        "layer.",
        "Distances and maps cannot tell what is done with what is looked at; much of a head's attention may rest on positions that "
        "it makes no use of.",
        "Dots: heads; line: their mean; dashed: attention spread evenly over all positions that may be looked at. Maps: queries "
        "from top to bottom, keys from left to right, by their place in a sequence; full colour is the largest value of a layer.",
    ),
    "optimisation": Words(
        "How easily could they be trained?",
        "The agreement (cosine) of gradients of different batches, the singular values of the Jacobian of the state that the head "
        "reads, and how much that state changes when noise is added to all weights of the body.",
        "They describe the first step from a fresh head alone, and noise of one size weighs more on a body with smaller weights; so "
        "they cannot tell where training ends.",
        "Ticks: pairs of batches in each seed; marks: their means. Singular values: all near 1 would be dynamical isometry; a "
        "norm at the end always makes some of them 0, and what is below a millionth of the largest is left out. Noise: the change relative to the state's size.",
    ),
}


@dataclass(frozen=True)
class Drawn:
    """One kind of analysis in the report: its name, words, legend and charts."""

    kind: str
    words: Words
    legend: Looks
    charts: list[Chart]


def draw_analyses(spec: StudySpec, folder: Path) -> list[Drawn]:
    """The charts of every kind of analysis of a study, from the tables in its folder.

    Raises:
        UserError: a table is missing or damaged.
    """
    looks = make_models(spec)
    tasks = {entry.task: entry for entry in spec.analyses}
    labels = task_labels(tasks)
    drawn = []
    for kind in dict.fromkeys(entry.kind for entry in spec.analyses):
        draw, columns = DRAW[kind]
        table = read_table(folder / "analyses" / f"{kind}.parquet", ["task", "model", "seed", *columns])
        charts = []
        for task, own in table.groupby("task", sort=False):
            drawn_here = draw(str(task), labels[str(task)], own, looks)
            charts += [replace(chart, simulated=tasks[str(task)].simulated) for chart in drawn_here]
        used = {name: look for name, look in looks.items() if name in set(table["model"])}
        drawn.append(
            Drawn(kind, WORDS[kind], MEASURES if kind == "similarity" else {} if kind == "heads" else used, charts)
        )
    return drawn


def seconds_of_analyses(spec: StudySpec) -> float:
    """What all analyses of a study took together."""
    places = [analysis_folder(entry.name, seed) for entry in spec.analyses for seed in entry.seeds]
    return sum(Provenance.load(place / "provenance.json").seconds for place in places)
