"""Load and validate the files of config/; errors are reported in one sentence."""

import difflib
import re
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from crossover.config.base import NAME, Name
from crossover.config.checkpoints import Checkpoint
from crossover.config.conditions import Condition
from crossover.config.parameters import ChosenCondition, parameters_of, with_values
from crossover.config.recipes import RecipeFile
from crossover.config.studies import Config, Study
from crossover.config.tasks import Task
from crossover.errors import UserError, nearest

CONFIG = Path("config")
JsonSchema = dict[str, Any]


# libyaml, where PyYAML was built with it: reading conditions.yaml is most of what planning a study costs.
SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(SafeLoader):  # type: ignore[misc]  # PyYAML is untyped
    """Raise an error for duplicate keys, of which YAML itself silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem="a list or mapping cannot be a key; put quotes around text with braces",
                    problem_mark=key_node.start_mark,
                )
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


# YAML 1.1 reads 1e-3 (no dot) as text; every user of learning rates means the number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> Any:
    """Read one YAML file.

    Raises:
        UserError: the file is missing, is not text or not YAML, or has duplicate keys.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line} is not valid YAML: {error.problem}; fix that line.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-02-30
        raise UserError(f"{path} is not YAML text ({error}); save it as YAML in UTF-8.".replace("\n", " ")) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def chosen_study(study: str | None) -> str:
    """Return the named study, or else the one in config/config.yaml."""
    return study or load_config(read_yaml(CONFIG / "config.yaml") or {}).requested


def parse(model: Any, value: Any, where: str, context: dict[str, Any] | None = None) -> Any:
    """Validate `value`, and return it as an instance of a model of this package.

    Args:
        model: a model class, or a union of them.
        value: the content of the YAML file.
        where: the file (and key) for error messages.
        context: what validators know besides.

    Raises:
        UserError: the value is invalid; the message names the first problem and, for an unknown key, the nearest known one.
    """
    try:
        return _adapter(model).validate_python(value, context=context)
    except ValidationError as error:
        raise UserError(_first_problem(error, model, where)) from error


def _first_problem(error: ValidationError, model: Any, where: str) -> str:
    # An unknown key explains a missing one ("titel" and no "title"), so it comes first. Of the branches of a union, the
    # one that parsed furthest was probably intended; a mapping or a list was never intended as a literal.
    def rank(problem: Any) -> tuple[bool, bool, int, bool]:
        not_literal = problem["type"] == "literal_error" and isinstance(problem["input"], dict | list)
        own_words = problem["type"] == "value_error"
        return not_literal, problem["type"] != "extra_forbidden", -len(problem["loc"]), not own_words

    problem = min(error.errors(), key=rank)
    models = _schema(model).get("$defs", {})
    # pydantic's location also names branches of unions (list[...], constrained-int, a model), which are not in the file.
    place = [part for part in problem["loc"] if not re.search(r"\[|^constrained-", str(part)) and part not in models]
    location = [str(part) for part in place]
    if problem["type"] == "extra_forbidden":
        known = _keys_at(model, tuple(place[:-1]))
        inside = f" in {'.'.join(location[:-1])}" if location[:-1] else ""
        return f"{where}: unknown key {location[-1]}{inside}; {nearest(location[-1], known)}"
    if problem["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        return f"{where}: {_kind_problem(problem, location, model)}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = (
        ""
        if problem["type"] == "missing" or isinstance(problem["input"], dict | list)
        else f", not {problem['input']!r}"
    )
    if not location and problem["type"] == "value_error":  # the message names the keys that do not go together
        return f"{where}: {message}."
    key = ".".join(location) or "the file"
    return f"{where}: {key}: {message}{given}."


def _kind_problem(problem: Any, location: list[str], model: Any) -> str:
    """Describe a missing or unknown `kind`, which selects the model that a mapping is validated with."""
    inside = f" in {'.'.join(location)}" if location else ""
    if problem["type"] == "union_tag_invalid":
        kinds = re.findall("'([^']+)'", problem["ctx"]["expected_tags"])
        return f"unknown kind {problem['ctx']['tag']}{inside}; {nearest(problem['ctx']['tag'], kinds)}"
    unknown = sorted(str(key) for key in set(problem["input"]) - _keys_at(model, problem["loc"]))
    for key in unknown:
        if difflib.get_close_matches(key, ["kind"]):
            return f"unknown key {key}{inside}; did you mean kind?"
    return f"the key kind is missing{inside}; it determines which other keys apply."


@cache
def _schema(model: Any) -> JsonSchema:
    return TypeAdapter(model).json_schema()


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _keys_at(model: Any, location: tuple[Any, ...]) -> set[str]:
    """Return the known keys at one place of a model, according to its JSON Schema."""
    schema = _schema(model)
    definitions = schema.get("$defs", {})

    def options(node: JsonSchema) -> list[JsonSchema]:
        if "$ref" in node:
            return options(definitions[node["$ref"].rsplit("/", 1)[-1]])
        branches = node.get("anyOf", []) + node.get("oneOf", [])
        return [option for branch in branches for option in options(branch)] or [node]

    nodes = options(schema)
    for part in location:
        tagged = [node for node in nodes if node.get("properties", {}).get("kind", {}).get("const") == part]
        if tagged:  # pydantic puts the discriminator's value into the location
            nodes = tagged
            continue
        nodes = [
            option
            for node in nodes
            for child in [
                node.get("properties", {}).get(str(part)),
                node.get("items"),
                node.get("additionalProperties"),
                *node.get("patternProperties", {}).values(),
            ]
            if isinstance(child, dict)
            for option in options(child)
        ]
    return {key for node in nodes for key in node.get("properties", {})}


def known_names(folder: str) -> list[str]:
    """Return the names of the YAML files in one folder of config/."""
    return sorted(path.stem for path in (CONFIG / folder).glob("*.yaml"))


def load_config(values: dict[str, object]) -> Config:
    """Validate the settings of config/config.yaml and `--config` together."""
    config: Config = parse(Config, values, "config/config.yaml or --config")
    return config


class RequestedStudy(NamedTuple):
    """A study as a user asks for it.

    Attributes:
        file: its name in config/studies/, or the path of its file.
        budget: one of its budgets, or None for the study as it stands.
    """

    file: str
    budget: str | None

    @classmethod
    def parse(cls, text: str) -> "RequestedStudy":
        """Take `NAME`, `NAME@BUDGET`, or the same with a path, which may hold an @ of its own."""
        file, _, budget = text.rpartition("@")
        return cls(file, budget) if file and re.fullmatch(NAME, budget) else cls(text, None)

    @property
    def is_path(self) -> bool:
        """Whether it is given by its path."""
        return Path(self.file).suffix in {".yaml", ".yml"}

    @property
    def name(self) -> str:
        """The name of its results: of its file, and of the budget."""
        stem = Path(self.file).stem if self.is_path else self.file
        return f"{stem}-{self.budget}" if self.budget else stem


def load_study(text: str) -> tuple[str, Study]:
    """Load a study by its name in config/studies/ or by the path of its file, after an @ in one of its budgets.

    Returns:
        The study's name (the stem of its file and the budget, which name its folder under results/studies/) and the study.

    Raises:
        UserError: there is no such study or budget, or it is wrong.
    """
    requested = RequestedStudy.parse(text)
    known = known_names("studies")
    if (requested.is_path or requested.file in known) and not re.fullmatch(NAME, requested.name):
        raise UserError(
            f"{text}: the name of a study also names a folder; use at most 60 lower-case letters, digits and dashes."
        )
    if not requested.is_path and requested.file not in known:
        raise UserError(f"unknown study {requested.file}; {nearest(requested.file, known)}")
    path = Path(requested.file) if requested.is_path else CONFIG / "studies" / f"{requested.file}.yaml"
    content = read_yaml(path)
    study: Study = parse(Study, content, str(path))
    in_budgets: dict[str, Study] = {
        name: parse(Study, _changed(content, changes), f"{path} with budget {name}", {"whole": study})
        for name, changes in content.get("budgets", {}).items()
    }
    if requested.budget is None:
        return requested.name, study
    if requested.budget not in study.budgets:
        hint = nearest(requested.budget, study.budgets) if study.budgets else "it has none."
        raise UserError(f"{path}: unknown budget {requested.budget}; {hint}")
    if requested.name in known:
        raise UserError(
            f"{path}: there is a study {requested.name}, whose results budget {requested.budget} would take; rename it."
        )
    return requested.name, in_budgets[requested.budget]


def requestable_studies() -> list[str]:
    """Return every study of config/studies/, as it stands and in each of its budgets.

    Raises:
        UserError: one of them is wrong.
    """
    names = known_names("studies")
    return [*names, *(f"{name}@{budget}" for name in names for budget in load_study(name)[1].budgets)]


def _changed(study: dict[str, Any], budget: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a study's file with the changes of a budget, in which null stands for the default of a key.

    Settings of recipes and hardware are changed one by one, and everything else is replaced.
    """
    changed = dict(study)
    for key, value in budget.items():
        if key in ("training", "hardware"):
            changed[key] = study.get(key, {}) | (value or {})
        elif key.startswith("training_by_"):
            old = study.get(key, {})
            changed[key] = old | {name: old.get(name, {}) | (own or {}) for name, own in (value or {}).items()}
        else:
            changed[key] = value
        if value is None:
            del changed[key]
    return changed


def load_recipe(name: str, where: str) -> RecipeFile:
    """Load config/recipes/<name>.yaml. Error messages begin with `where`, such as `study demo`, which refers to the recipe."""
    recipe: RecipeFile = _load("recipes", name, RecipeFile, f"{where}: unknown recipe")
    return recipe


def load_task(name: str, where: str | None = None) -> Task:
    """Load config/tasks/<name>.yaml. Error messages begin with `where`, such as `study demo`, which refers to the task."""
    task: Task = _load("tasks", name, Task, f"{where}: unknown task" if where else "unknown task")
    return task


def load_checkpoint(name: str, where: str | None = None) -> Checkpoint:
    """Load config/checkpoints/<name>.yaml. Error messages begin with `where`, which refers to the checkpoint."""
    unknown = f"{where}: unknown checkpoint" if where else "unknown checkpoint"
    checkpoint: Checkpoint = _load("checkpoints", name, Checkpoint, unknown)
    return checkpoint


def load_conditions(chosen: Sequence[ChosenCondition], asking: str) -> dict[str, Condition]:
    """Load the entries of config/conditions.yaml that a study chooses, by their names in the study.

    Args:
        chosen: which entries.
        asking: what chooses them, such as `study demo`, with which error messages begin.

    Raises:
        UserError: an entry is unknown or wrong, or its parameters are not those that the study gives values to.
    """
    path = CONFIG / "conditions.yaml"
    entries: dict[str, Any] = parse(dict[Name, Any], read_yaml(path), str(path))
    fixed = {name: entry for name, entry in entries.items() if not parameters_of(entry)}
    conditions: dict[str, Condition] = parse(dict[Name, Condition], fixed, str(path))
    loaded = {}
    for one in chosen:
        if one.entry not in entries:
            raise UserError(f"{asking}: unknown condition {one.entry}; {_nearest_condition(one.entry, entries)}")
        _check_parameters(one, parameters_of(entries[one.entry]), asking)
        if one.values:
            where = f"{path}: {one.entry} with {', '.join(f'{name} {value}' for name, value in one.values.items())}"
            loaded[one.name] = parse(Condition, with_values(entries[one.entry], one.values), where)
        else:
            loaded[one.name] = conditions[one.entry]
        if one.row:
            title = f"{loaded[one.name].title} ({one.row})"
            loaded[one.name] = loaded[one.name].model_copy(update={"title": title})
    return loaded


def _nearest_condition(name: str, entries: dict[str, Any]) -> str:
    """Return a hint for an unknown name, which may be that of a family with its values."""
    families = [entry for entry, value in entries.items() if name.startswith(f"{entry}-") and parameters_of(value)]
    if families:
        family = max(families, key=len)
        return f"did you mean {_example(family, parameters_of(entries[family]))}?"
    return nearest(name, entries)


def _example(entry: str, parameters: list[str]) -> str:
    return f"{{{entry}: {{{', '.join(f'{name}: 1..3' for name in parameters)}}}}}"


def _check_parameters(chosen: ChosenCondition, parameters: list[str], asking: str) -> None:
    """Raise unless exactly the parameters of an entry are given values."""
    where = f"{asking}: condition {chosen.entry}"
    if unknown := next((name for name in chosen.values if name not in parameters), None):
        raise UserError(
            f"{where} has no parameter {unknown}; {nearest(unknown, parameters)}"
            if parameters
            else f"{where} has no parameters; write {chosen.entry} alone."
        )
    if missing := [name for name in parameters if name not in chosen.values]:
        raise UserError(
            f"{where} needs {' and '.join(missing)}; write for example {_example(chosen.entry, parameters)}."
        )


def _load(folder: str, name: str, model: Any, unknown: str) -> Any:
    path = CONFIG / folder / f"{name}.yaml"
    if name not in known_names(folder):
        raise UserError(f"{unknown} {name}; {nearest(name, known_names(folder))}")
    return parse(model, read_yaml(path), str(path))
