"""What the report says and is, read as text."""

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import altair as alt
import jsonschema
import pandas as pd
import pytest
from page import Page

from crossover.analyses.kinds import text_of
from crossover.charts.palette import make_models, make_series, metric_words, task_labels
from crossover.config.bodies import (
    BlockSelection,
    MimeticBody,
    PermutedBody,
    RandomBody,
    ReinitBody,
    ScaledBody,
    StatisticsBody,
    TruncatedBody,
)
from crossover.config.conditions import Condition, TrainedPart
from crossover.config.inputs import ShiftInput
from crossover.errors import UserError
from crossover.report import findings, numbers
from crossover.report.baselines import baseline_sentences
from crossover.report.bundle import chart_scripts
from crossover.report.charts import draw_sizes
from crossover.report.facts import tasks_with_sizes
from crossover.report.render import render_report
from crossover.specs.descriptions import FetchedDescription
from crossover.specs.studies import StudyCheckpoint, StudySpec, StudyTask
from crossover.statistics.aggregate import aggregate_study
from crossover.statistics.pairs import comparable_pairs


@pytest.fixture(scope="session")
def page(study) -> Page:
    return Page(study.report.read_text(encoding="utf-8"))


def test_it_is_one_file_that_asks_the_network_for_nothing(study, page):
    assert study.report.stat().st_size < 3_000_000
    outside = [
        (tag, attrs) for tag, attrs in page.tags if attrs.get("src") or tag in ("iframe", "object", "embed", "base")
    ]
    assert outside == []
    assert not [link for link in page.all("href") if re.match(r"(https?:)?//", link)]
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    code = [
        script
        for (tag, attrs), script in zip([t for t in page.tags if t[0] == "script"], page.scripts, strict=True)
        if "type" not in attrs
    ]
    assert len(code) == 2
    for script in code:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_every_link_leads_somewhere(study, page):
    ids = page.all("id")
    assert [name for name, number in Counter(ids).items() if number > 1] == []
    for link in page.all("href"):
        if link.startswith("#"):
            assert link[1:] in ids
        elif not link.startswith("data:"):
            assert (study.report.parent / unquote(link)).exists(), link


def test_each_score_is_shown_with_its_interval_and_its_files(study, page):
    cells = pd.read_parquet(study.root / study.folder / "cells.parquet")
    assert len(cells) == 28
    for row in cells.itertuples():
        assert f"cell-{row.task}.{row.checkpoint}.{row.condition}" in page.all("id")
        assert numbers.percent_interval(row.low, row.high).replace(numbers.SPACE, " ") in page.text.replace(
            numbers.SPACE, " "
        )
        for seed in (0, 1, 2):
            assert f"../../runs/{row.run}/seed-{seed}/metrics.json" in page.all("href")
            assert f"../../../logs/finetune_run/{row.run}/seed-{seed}.log" in page.all("href")
        assert f"../../specs/{row.run}.json" in page.all("href")


def test_it_answers_first(page):
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections[:2] == ["answer", "overview"]
    assert page.text.index("A pretrained body against a random one.") < page.text.index(
        "Each mark is the mean test score"
    )


def test_simulated_tasks_are_named_as_such_everywhere(study):
    text = study.report.read_text(encoding="utf-8")
    body = text[text.index("<body>") : text.index('<script type="application/json"')]
    visible = re.sub(r"<svg.*?</svg>|<pre>.*?</pre>", "", body, flags=re.S)
    for match in re.finditer(r">\s*(Splice sites|Protein classes)\b", visible):
        assert "simulated" in visible[match.start() : match.start() + 120]
    labels = task_labels(study.spec.tasks)
    for spec in json.loads(text[text.index('id="charts">') + 12 :].split("</script>")[0]).values():
        for rows in spec.get("datasets", {}).values():
            for row in rows:
                if row.get("label", "").startswith(("Splice", "Protein")):
                    assert row["label"] in labels.values()
                    assert "(simulated)" in row["label"]


def test_a_task_with_a_part_of_its_data_is_named_as_such_everywhere(page):
    assert page.text.count("Handwritten digits (subset)") == page.text.count("Handwritten digits") > 4
    assert "only a part of the data: 1,000 of 1,797 items" in page.text
    assert "Computed on a part of the data (see the task cards): Handwritten digits (subset)." in page.text


def test_figures_stand_alone(study):
    paths = sorted((study.root / study.folder / "figures").glob("*.svg"))
    assert {
        "overview.svg",
        "convergence.svg",
        "curves-digits.svg",
        "rates-digits.svg",
        "pretraining-topics-gpt2.svg",
    } <= {p.name for p in paths}
    for path in paths:
        ElementTree.parse(path)
        assert "var(--" not in path.read_text()


def test_charts_are_vega_lite(page):
    [charts] = [json.loads(script) for script in page.scripts if script.startswith('{"')]
    assert len(charts) > 10
    for spec in charts.values():
        alt.Root.validate(spec)
    with pytest.raises(jsonschema.ValidationError):
        alt.Root.validate(spec | {"layer": [{"mark": "pointe"}]})


def test_the_same_files_give_the_same_bytes(study, monkeypatch):
    """And so they do when the scripts that draw the charts, which are kept, have been lost or damaged."""
    monkeypatch.chdir(study.root)
    spec, before = StudySpec.load(Path("results/specs/study-demo.json")), study.report.read_bytes()
    chart_scripts.cache_clear()
    render_report(spec, study.folder)
    assert study.report.read_bytes() == before
    [kept] = Path("results/bundles").iterdir()
    scripts = kept.read_bytes()
    kept.write_bytes(scripts[:-9])
    chart_scripts.cache_clear()
    render_report(spec, study.folder)
    assert study.report.read_bytes() == before
    assert kept.read_bytes() == scripts


def test_words_from_data_stay_words(hostile):
    text = hostile.report.read_text(encoding="utf-8")
    assert "<script>window.hacked" not in text
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 3
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "{{ 7 * 7 }} & <b>bold</b>" in page.text
    for path in (hostile.root / hostile.folder / "figures").glob("*.svg"):
        assert not [one for one in ElementTree.parse(path).iter() if one.tag.endswith("script")]


def test_a_missing_table_is_named(study, tmp_path, monkeypatch):
    monkeypatch.chdir(study.root)
    with pytest.raises(UserError, match=r"runs.parquet is missing; run snakemake"):
        render_report(study.spec, tmp_path)


@pytest.mark.parametrize("conditions", [["pretrained-frozen", "random-frozen"], ["pretrained-frozen"]])
def test_a_small_study_says_what_it_lacks(study, conditions, tmp_path, monkeypatch):
    """One seed, one rate, weights from elsewhere, a task that nothing learns; with one condition nothing to compare."""
    monkeypatch.chdir(study.root)
    cells = tuple(
        cell.model_copy(update={"seeds": (0,)})
        for cell in study.spec.cells
        if cell.task in ("bit-xor", "folds-sim") and cell.condition in conditions
    )
    described = FetchedDescription(
        name="theirs", sha256={}, origin="a package", changes=("weights de-quantised from Q4_1",)
    )
    described.write(tmp_path / "checkpoint.json")
    elsewhere = {"pretraining": None, "origin": "the Python package <a> 1.0", "fetched": f"{tmp_path}/checkpoint.json"}
    foreign = {name: one.model_copy(update=elsewhere) for name, one in study.spec.checkpoints.items()}
    spec = study.spec.of_cells(cells).model_copy(update={"checkpoints": foreign, "analyses": ()})
    aggregate_study(spec, tmp_path)
    rates = pd.read_parquet(tmp_path / "rates.parquet")
    rates[rates["selected"]].to_parquet(tmp_path / "rates.parquet")
    render_report(spec, tmp_path)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "There is one seed" in text
    assert "over test items alone" in text
    assert "one learning rate, which was not selected" in text
    assert "Analyses" not in text
    assert "knows nothing of how they were pretrained. They are from the Python package <a> 1.0 and lie in" in text
    assert "Its files are not as they were published: weights de-quantised from Q4_1." in text
    assert "nothing was learned there" in text
    assert ("does not compare a pretrained body with a random one" in text) == (len(conditions) == 1)


# --- the answer in words ----------------------------------------------------------------------------------


def condition(title: str = "", **choices) -> Condition:
    return Condition(title=title, **choices)


def checkpoint(title: str) -> StudyCheckpoint:
    return StudyCheckpoint(
        title=title,
        description="",
        licence="",
        folder="",
        has_weights=True,
        origin=None,
        fetched=None,
        pretraining=None,
        subset=None,
    )


def study_of(
    conditions: dict[str, Condition], *checkpoints: str, tasks: dict[str, StudyTask] | None = None
) -> StudySpec:
    """A study with nothing computed."""
    return StudySpec(
        name="study-s",
        study="s",
        title="",
        question="",
        description="",
        confidence=0.95,
        margin=0.05,
        threshold=0.9,
        tasks=tasks or {},
        checkpoints={name: checkpoint(name.upper()) for name in checkpoints or ("c",)},
        conditions=conditions,
        cells=(),
        left_out=(),
        compare=(),
        analyses=(),
        reproduce="",
    )


FROZEN = {
    "pf": condition("pf", body="pretrained", input="new", trained="frozen"),
    "rf": condition("rf", body="random", input="new", trained="frozen"),
}
SPEC = study_of(FROZEN)


def contrasts(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """Comparisons of pf and rf, each with its outcome, difference, low and high."""
    table = pd.DataFrame(rows, columns=["outcome", "difference", "low", "high"])
    tasks, question = [f"t{i}" for i in range(len(rows))], "pretrained or random body"
    return table.assign(
        task=tasks, kind="body", question=question, checkpoint="c", other_checkpoint="c", a="pf", b="rf"
    )


HIGHER, LOWER = ("higher", 0.2, 0.1, 0.3), ("lower", -0.2, -0.3, -0.1)
EQUIVALENT, UNDECIDED, UNTESTED = (
    ("equivalent", 0.01, -0.02, 0.04),
    ("undecided", 0.01, -0.1, 0.1),
    ("one seed", 0.2, 0.1, 0.3),
)
NOT_POOLED = pd.DataFrame(columns=["question", *findings.Sides._fields])


@pytest.mark.parametrize(
    ("rows", "headline", "sentence"),
    [
        (
            [HIGHER, LOWER, EQUIVALENT, UNDECIDED],
            "A pretrained body against a random one. Frozen: higher on 1 of 4 tasks, lower on 1.",
            "Frozen, the pretrained body scored higher on 1 and lower on 1 of 4 tasks than a random one; "
            "equivalent within 5 points on 1; undecided on 1.",
        ),
        (
            [HIGHER, HIGHER],
            "A pretrained body against a random one. Frozen: higher on 2 of 2 tasks, lower on 0.",
            "Frozen, the pretrained body scored higher on 2 of 2 tasks than a random one.",
        ),
        (
            [LOWER, UNDECIDED],
            "A pretrained body against a random one. Frozen: higher on 0 of 2 tasks, lower on 1.",
            "Frozen, the pretrained body scored lower on 1 of 2 tasks than a random one; undecided on 1.",
        ),
        (
            [UNDECIDED],
            "A pretrained body against a random one. Frozen: higher on 0 of 1 task, lower on 0.",
            "Frozen, no difference between the pretrained body and a random one could be shown on the one task.",
        ),
        (
            [EQUIVALENT, UNDECIDED],
            "A pretrained body against a random one. Frozen: higher on 0 of 2 tasks, lower on 0.",
            "Frozen, no difference between the pretrained body and a random one could be shown on any of 2 tasks; "
            "equivalent within 5 points on 1; undecided on 1.",
        ),
        (
            [UNTESTED, UNTESTED],
            "There is one seed, so that no effect of pretraining can be tested.",
            "Frozen, the pretrained body and a random one are not tested against each other on 2 tasks, since there is one seed.",
        ),
        (
            [HIGHER, UNTESTED],
            "A pretrained body against a random one. Frozen: higher on 1 of 2 tasks, lower on 0.",
            "Frozen, the pretrained body scored higher on 1 of 2 tasks than a random one; with one seed, not tested, on 1.",
        ),
    ],
)
def test_the_answer_follows_the_numbers_either_way(rows, headline, sentence):
    comparisons = findings.describe_comparisons(SPEC, contrasts(*rows), NOT_POOLED)
    assert findings.headline(SPEC, comparisons).replace(numbers.SPACE, " ") == headline
    assert comparisons[0].sentence.replace(numbers.SPACE, " ") == sentence


def test_the_mean_over_tasks_is_said_with_its_interval_and_that_of_a_new_task():
    pooled = pd.DataFrame(
        [{"question": "pretrained or random body", "checkpoint": "c", "a": "pf", "other_checkpoint": "c", "b": "rf", "metric": "accuracy",
          "train_items": pd.NA, "tasks": 3, "difference": 0.1, "low": 0.05, "high": 0.15, "i2": 0.4, "new_task_low": -0.1, "new_task_high": 0.3}]
    )  # fmt: skip
    [comparison] = findings.describe_comparisons(SPEC, contrasts(HIGHER, UNDECIDED, UNDECIDED), pooled)
    assert comparison.sentence.replace(numbers.SPACE, " ").endswith(
        "undecided on 2. Over 3 tasks, the mean difference is +10.0 points (+5.0 to +15.0); "
        "on another task like these it may be \N{MINUS SIGN}10.0 to +30.0 (I\N{SUPERSCRIPT TWO} 40 %)."
    )
    assert comparison.short.endswith(f"on average +10.0{numbers.SPACE}points (+5.0 to +15.0)")


def test_training_in_full_comes_first():
    full = {
        "pa": FROZEN["pf"].model_copy(update={"trained": "all"}),
        "ra": FROZEN["rf"].model_copy(update={"trained": "all"}),
    }
    spec = study_of(FROZEN | full)
    both = pd.concat([contrasts(HIGHER), contrasts(UNDECIDED).assign(a="pa", b="ra")])
    comparisons = findings.describe_comparisons(spec, both, NOT_POOLED)
    assert findings.headline(spec, comparisons).replace(numbers.SPACE, " ") == (
        "A pretrained body against a random one. Trained in full: higher on 0 of 1 task, lower on 0. "
        "Frozen: higher on 1 of 1 task, lower on 0."
    )


def test_failed_seeds_are_counted_in_words():
    assert findings.failures_in_words(0, 0, 3) == ""
    assert findings.failures_in_words(1, 2, 3) == "1 of 3 with one constant answer, 2 of 3 at the floor"


def test_a_study_without_two_bodies_says_so():
    alone = study_of({"pf": FROZEN["pf"]})
    assert findings.headline(alone, []) == "This study does not compare a pretrained body with a random one."
    assert findings.headline(SPEC, []) == "No pretrained body can be compared with a random one yet."


FIRST = BlockSelection(which="first", count=2)
BASE = {"body": "pretrained", "input": "pretrained", "trained": "all"}
REINIT = ReinitBody(kind="reinit", blocks=FIRST, norms="kept", weights="tamkin2020")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"body": "random"}, "the pretrained body against a random one"),
        (
            {"body": StatisticsBody(kind="statistics")},
            "the pretrained body against a random one with its statistics",
        ),
        (
            {"body": ScaledBody(kind="scaled", per="tensor", groups=["norms"])},
            "the pretrained body against a random one at its scale per tensor of norms",
        ),
        (
            {"body": MimeticBody(kind="mimetic")},
            "the pretrained body against a random one with mimetic attention weights",
        ),
        (
            {"body": RandomBody(kind="random", kept=["positions"])},
            "the pretrained body against one that is random but for its positions",
        ),
        (
            {"body": REINIT},
            "the pretrained body against one that is drawn anew in part (reinit first 2, norms kept, tamkin2020)",
        ),
        (
            {"body": PermutedBody(kind="permuted", seed=3)},
            "the pretrained body against one with its blocks in another order (seed 3)",
        ),
        (
            {"body": TruncatedBody(kind="truncated", blocks=1)},
            "the pretrained body against one that ends after 1 block",
        ),
        ({"input": "new"}, "the pretrained embeddings against a new input layer"),
        ({"input": "re-embedded"}, "the pretrained embeddings against random ones of their size"),
        (
            {"input": ShiftInput(kind="shift", by=7)},
            "the pretrained embeddings against those of other tokens (shift by 7)",
        ),
        (
            {"trained": ["head", "norms"]},
            "With the pretrained body: training only head, norms against training everything",
        ),
        (
            {"trained": ["head", TrainedPart(groups=["norms"], blocks=FIRST, rate=5)]},
            "training only head, norms of first 2 at 5 times the rate against training everything",
        ),
        (
            {"trained": ["all", TrainedPart(groups=["norms"], rate=5)]},
            "training all, norms at 5 times the rate against training everything",
        ),
    ],
)
def test_every_comparison_has_a_title(changes, title):
    spec = study_of({"base": condition(**BASE), "other": condition(**BASE | changes)})
    [pair] = comparable_pairs(spec.conditions)
    words = findings.comparison_title(spec, pair.kind, pair.question, findings.Sides("c", pair.a, "c", pair.b)).replace(
        numbers.SPACE, " "
    )
    assert words.endswith(title)


def test_findings_name_size_and_interval():
    (heading, differences), *_ = findings.describe_comparisons(SPEC, contrasts(HIGHER), NOT_POOLED)[0].groups
    assert heading == "The pretrained body scored higher"
    assert differences[0].size.replace(numbers.SPACE, " ") == "+20.0 points (+10.0 to +30.0)"


def study_task(**changes) -> StudyTask:
    plain = {"title": "T", "description": "", "domain": "", "simulated": False, "licence": "", "citation": "",
             "metric": "accuracy", "subset": None, "card": "", "encodings": {},
             "of": "t", "train_items": None}  # fmt: skip
    return StudyTask(**plain | changes)


def test_equal_titles_are_told_apart():
    tasks = {"a": study_task(simulated=True), "b": study_task(metric="mcc"), "c": study_task(subset="some")}
    assert task_labels(tasks) == {"a": "T [a] (simulated)", "b": "T [b] (Matthews correlation)", "c": "T [c] (subset)"}
    assert metric_words(study_of({}, tasks=tasks)) == "accuracy, or the metric that is named after a task"


def test_two_checkpoints_are_told_apart():
    spec = study_of(FROZEN, "c", "d")
    series = make_series(spec)
    assert [one.label for one in series.values()] == ["C: pf", "C: rf", "D: pf", "D: rf"]
    assert len({(one.colour, one.shape) for one in series.values()}) == 4
    title = findings.comparison_title(spec, "body", "", findings.Sides("d", "pf", "d", "rf"))
    assert title == "D: Frozen: the pretrained body against a random one"


def test_a_comparison_that_the_study_asks_for_is_said_in_its_words():
    spec = study_of(FROZEN, "c", "d")
    table = contrasts(HIGHER).assign(kind="asked", question="text or DNA", other_checkpoint="d", b="pf")
    [comparison] = findings.describe_comparisons(spec, table, NOT_POOLED)
    assert comparison.sentence.replace(numbers.SPACE, " ") == (
        "For ‘text or DNA’, ‘C: pf’ scored higher on 1 of 1 task than ‘D: pf’."
    )
    assert findings.headline(spec, [comparison]) == "No pretrained body can be compared with a random one yet."


# --- baselines --------------------------------------------------------------------------------------------------


def against(*rows: tuple[str, str]) -> pd.DataFrame:
    """Cells against the baseline of their task, each with its outcome."""
    return pd.DataFrame(rows, columns=["task", "outcome"])


@pytest.mark.parametrize(
    ("rows", "models", "sentences"),
    [
        (
            [("t0", "lower"), ("t0", "lower"), ("t1", "lower"), ("t1", "undecided")],
            {"t0": "logistic regression", "t1": "ridge regression; gradient boosting"},
            [
                "A linear model scored higher than every transformer here on T0.",
                "No transformer here is shown to beat a linear model or boosted trees on T1.",
            ],
        ),
        (
            [("t0", "lower"), ("t0", "higher"), ("t1", "higher"), ("t2", "equivalent")],
            {"t0": "constant", "t1": "gradient boosting", "t2": "logistic regression"},
            [
                "No transformer here is shown to beat a linear model on T2.",
                "At least one transformer here beats a constant answer or boosted trees on T0 and T1.",
            ],
        ),
        ([], {}, []),
    ],
)
def test_the_answer_compares_with_baselines_either_way(rows, models, sentences):
    spec = study_of(FROZEN, tasks={name: study_task(title=name.upper(), of=name) for name in ("t0", "t1", "t2")})
    table = pd.DataFrame(list(models.items()), columns=["task", "model"])
    assert baseline_sentences(spec, table, against(*rows)) == sentences


def test_tasks_at_data_sizes_are_told_apart_in_the_answer():
    table = pd.DataFrame({"task": ["a", "a-50-items", "b"], "model": "logistic regression"})
    cells = against(("a", UNDECIDED), ("a-50-items", UNDECIDED), ("b", UNDECIDED))
    assert baseline_sentences(AT_SIZES, table, cells) == [
        "No transformer here is shown to beat a linear model on A; A, 50 training items and B."
    ]


def test_each_baseline_is_in_the_answer_the_charts_and_the_tables(study, page):
    baselines = pd.read_parquet(study.root / study.folder / "baselines.parquet").set_index("task")
    contrasts = pd.read_parquet(study.root / study.folder / "baseline_contrasts.parquet")
    assert list(baselines.index) == [task for task in study.spec.tasks if task != "folds-sim"]
    text = page.text.replace(numbers.SPACE, " ")
    sentences = baseline_sentences(study.spec, baselines.reset_index(), contrasts)
    assert sentences
    assert all(sentence in text for sentence in sentences)
    for row in contrasts.itertuples():
        size = f"{numbers.points(row.difference)} ({numbers.points_interval(row.low, row.high)})"
        assert size.replace(numbers.SPACE, " ") in text
    [charts] = [json.loads(script) for script in page.scripts if script.startswith('{"')]
    marks = {
        row["label"]: row["score"] for rows in charts["overview"]["datasets"].values() for row in rows if "model" in row
    }
    labels = task_labels(study.spec.tasks)
    assert marks == pytest.approx({labels[task]: row.score for task, row in baselines.iterrows()}, abs=1e-4)
    for task, row in baselines.iterrows():
        assert f"baseline-{task}" in page.all("id")
        assert f"../../baselines/{row.baseline}/seed-0/metrics.json" in page.all("href")
        level = [
            one for rows in charts[f"curves-{task}"]["datasets"].values() for one in rows if "validation_score" in one
        ]
        assert [one["validation_score"] for one in level] == [row.validation_score]
    assert text.count("the best on validation data") == len(baselines), "each card has it"
    assert text.count("baseline: the best model without a transformer") == 2, "a key wherever the floor has one"
    assert "where no linear model reached more than 49.0 %" in text, "no linear model computes an XOR"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.7083, "70.8 %"), (1, "100 %"), (0, "0 %"), (0.99999, ">99.9 %"), (None, "–"), (float("nan"), "–")],
)
def test_percent(share, text):
    assert numbers.percent(share).replace(numbers.SPACE, " ") == text


@pytest.mark.parametrize(
    ("difference", "text"), [(0.176, "+17.6"), (-0.0321, "−3.2"), (0.0001, "0.0"), (-0.0001, "0.0")]
)
def test_signed(difference, text):
    assert numbers.signed(100 * difference) == text


@pytest.mark.parametrize(("rate", "text"), [(3e-4, "3e−4"), (1e-3, "1e−3"), (2.5e-5, "2.5e−5"), (1.0, "1e0")])
def test_rates(rate, text):
    assert numbers.rate(rate) == text


def test_each_analysis_says_what_it_measures_and_what_it_cannot_tell(study, page):
    for kind in {entry.kind for entry in study.spec.analyses}:
        text = text_of(kind)
        assert f"analysis-{kind}" in page.all("id")
        assert all(re.sub(r"\s+", " ", sentence) in page.text for sentence in (text.title, text.measures, text.limits))
        assert f"analyses/{kind}.csv" in page.all("href")
    assert "All analyses together took 32 s." in page.text.replace(numbers.SPACE, " ")


def test_a_model_has_the_colour_of_its_body_in_every_chart(study):
    looks, series = make_models(study.spec), make_series(study.spec)
    assert {name: look.colour for name, look in looks.items()} == {
        f"topics-gpt2, {body} body, new input": series["topics-gpt2", f"{body}-all"].colour
        for body in ("pretrained", "random")
    }


# --- data sizes -------------------------------------------------------------------------------------------------

AT_SIZES = study_of(
    FROZEN,
    tasks={
        "a": study_task(title="A", of="a"),
        "a-50-items": study_task(title="A", of="a", train_items=50),
        "b": study_task(title="B", of="b"),
    },
)


def test_a_task_at_a_data_size_says_so():
    assert task_labels(AT_SIZES.tasks) == {"a": "A", "a-50-items": "A, 50 training items", "b": "B"}
    assert tasks_with_sizes(AT_SIZES) == {"a": ["a-50-items", "a"], "b": ["b"]}


def test_data_sizes_of_one_task_are_not_counted_as_tasks():
    table = contrasts(HIGHER, UNDECIDED).assign(task=["a", "a-50-items"])
    [comparison] = findings.describe_comparisons(AT_SIZES, table, NOT_POOLED)
    assert "on 1 of 2 combinations of task and data size than" in comparison.sentence.replace(numbers.SPACE, " ")
    answer = findings.headline(AT_SIZES, [comparison]).replace(numbers.SPACE, " ")
    assert answer.endswith("Frozen: higher on 1 of 2 combinations of task and data size, lower on 0.")


def test_scores_are_drawn_over_the_number_of_training_items():
    """Of the task alone that was learned from several numbers of them."""
    series = make_series(AT_SIZES)
    rows = [
        (task, one.label, items, 0.5, 0.4, 0.6, 0.1)
        for task, items in (("a", 800), ("a-50-items", 50), ("b", 900))
        for one in series.values()
    ]
    cells = pd.DataFrame(rows, columns=["task", "series", "train_items", "score", "low", "high", "floor"])
    columns = ["task", "train_items", "model", "score", "low", "high"]
    baselines = [(task, 40, "ridge regression", score, 0.3, 0.7) for task, score in (("a", 0.58), ("a-50-items", 0.52))]
    compared = pd.DataFrame(baselines, columns=columns)
    [chart] = draw_sizes(AT_SIZES, cells, compared, list(series.values()))
    assert chart.name == "sizes-a"
    assert chart.title == "A"
    drawn = [row for rows in chart.spec["datasets"].values() for row in rows if "train_items" in row]
    assert sorted({row["train_items"] for row in drawn}) == [50, 800]
    assert len([row for row in drawn if "series" in row]) == 2 * len(series)
    of_baselines = {row["train_items"]: row["score"] for row in drawn if "series" not in row}
    assert of_baselines == {800: 0.58, 50: 0.52}, "at the size of the cells, although it was fitted on fewer items"
    assert draw_sizes(AT_SIZES, cells[cells["task"] != "a-50-items"], compared, list(series.values())) == []
