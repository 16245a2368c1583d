"""Read the files of config/, and say in one sentence what is wrong with them."""

import difflib
import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from crossover.config.base import NAME, Name
from crossover.config.checkpoints import Checkpoint
from crossover.config.conditions import Condition
from crossover.config.studies import Config, Study
from crossover.config.tasks import Task
from crossover.errors import UserError, nearest

CONFIG = Path("config")


# libyaml, where PyYAML was built with it: reading conditions.yaml is most of what planning a study costs.
SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(SafeLoader):
    """YAML takes the last of two equal keys in silence; here that is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem="a list or mapping cannot be a key; put quotes around text that has braces",
                    problem_mark=key_node.start_mark,
                )
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 (no dot) as text; every user of learning rates means the number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> Any:
    """Read one YAML file.

    Raises:
        UserError: the file is missing, is not text, is not YAML, or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line} is not valid YAML: {error.problem}; correct that line.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-02-30
        raise UserError(f"{path} is not YAML text ({error}); write it as UTF-8 YAML.".replace("\n", " ")) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def chosen_study(study: str | None) -> str:
    """The study that a command is about: the one that was named, or the one in config/config.yaml."""
    return study or load_config(read_yaml(CONFIG / "config.yaml") or {}).study


def parse(shape: Any, value: Any, where: str) -> Any:
    """Check `value` against a type of this package.

    Args:
        shape: a model class, or a union of them.
        value: what the YAML file holds.
        where: the file (and key) that the error names.

    Raises:
        UserError: the first thing that is wrong, with the nearest known name for an unknown key.
    """
    try:
        return _adapter(shape).validate_python(value)
    except ValidationError as error:
        raise UserError(_sentence(error, shape, where)) from error


def _sentence(error: ValidationError, shape: Any, where: str) -> str:
    # An unknown key explains a missing one ("titel" and no "title"), so it is named first. Of a union's branches,
    # the one that was understood furthest is meant; a mapping or a list is never meant as a word.
    def rank(problem: Any) -> tuple[bool, bool, int]:
        no_word = problem["type"] == "literal_error" and isinstance(problem["input"], dict | list)
        return no_word, problem["type"] != "extra_forbidden", -len(problem["loc"])

    problem = min(error.errors(), key=rank)
    models = _schema(shape).get("$defs", {})
    # What names a branch of a union (list[...], the name of a model) is nothing that the file has.
    place = [part for part in problem["loc"] if "[" not in str(part) and part not in models]
    location = [str(part) for part in place]
    if problem["type"] == "extra_forbidden":
        known = _keys_at(shape, tuple(place[:-1]))
        inside = f" in {'.'.join(location[:-1])}" if location[:-1] else ""
        return f"{where}: unknown key {location[-1]}{inside}; {nearest(location[-1], known)}"
    if problem["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        return f"{where}: {_kind_sentence(problem, location, shape)}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = (
        ""
        if problem["type"] == "missing" or isinstance(problem["input"], dict | list)
        else f", not {problem['input']!r}"
    )
    key = ".".join(location) or "the file"
    return f"{where}: {key}: {message}{given}."


def _kind_sentence(problem: Any, location: list[str], shape: Any) -> str:
    """What is wrong with the `kind` that says which model a mapping follows."""
    inside = f" in {'.'.join(location)}" if location else ""
    if problem["type"] == "union_tag_invalid":
        kinds = re.findall("'([^']+)'", problem["ctx"]["expected_tags"])
        return f"unknown kind {problem['ctx']['tag']}{inside}; {nearest(problem['ctx']['tag'], kinds)}"
    strangers = sorted(str(key) for key in set(problem["input"]) - _keys_at(shape, problem["loc"]))
    for stranger in strangers:
        if difflib.get_close_matches(stranger, ["kind"]):
            return f"unknown key {stranger}{inside}; did you mean kind?"
    return f"the key kind is missing{inside}; it says which of the settings apply."


@cache
def _schema(shape: Any) -> dict[str, Any]:
    return TypeAdapter(shape).json_schema()


@cache
def _adapter(shape: Any) -> TypeAdapter:
    return TypeAdapter(shape)


def _keys_at(shape: Any, location: tuple[Any, ...]) -> set[str]:
    """The keys that are known at one place of a model, found through its JSON Schema."""
    schema = _schema(shape)
    definitions = schema.get("$defs", {})

    def options(node: dict[str, Any]) -> list[dict[str, Any]]:
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
    """The names defined by the YAML files of one folder of config/."""
    return sorted(path.stem for path in (CONFIG / folder).glob("*.yaml"))


def load_config(values: dict[str, Any]) -> Config:
    """Check what config/config.yaml and `--config` give together."""
    return parse(Config, values, "config/config.yaml or --config")


def load_study(name: str) -> tuple[str, Study]:
    """Find a study by its name in config/studies/, or by the path of its file.

    Returns:
        The study's name (the file's stem, which names its folder under results/studies/) and the study.
    """
    path = Path(name)
    by_path = path.suffix in {".yaml", ".yml"}
    stem = path.stem if by_path else name
    if (by_path or name in known_names("studies")) and not re.fullmatch(NAME, stem):
        raise UserError(
            f"{name}: a study's file name becomes a folder name; use at most 60 lower-case letters, digits and dashes."
        )
    return stem, parse(Study, read_yaml(path), name) if by_path else _load("studies", name, Study, "unknown study")


def load_task(name: str, where: str | None = None) -> Task:
    """config/tasks/<name>.yaml, which `where` asked for, such as `study demo`, or else the user."""
    return _load("tasks", name, Task, f"{where}: unknown task" if where else "unknown task")


def load_checkpoint(name: str, where: str | None = None) -> Checkpoint:
    """config/checkpoints/<name>.yaml, which `where` asked for, such as `study demo`, or else the user."""
    return _load("checkpoints", name, Checkpoint, f"{where}: unknown checkpoint" if where else "unknown checkpoint")


def load_conditions(names: list[str], study: str) -> dict[str, Condition]:
    """The named entries of config/conditions.yaml, which a study asked for."""
    path = CONFIG / "conditions.yaml"
    conditions = parse(dict[Name, Condition], read_yaml(path), str(path))
    for name in names:
        if name not in conditions:
            raise UserError(f"study {study}: unknown condition {name}; {nearest(name, conditions)}")
    return {name: conditions[name] for name in names}


def _load(folder: str, name: str, shape: Any, unknown: str) -> Any:
    path = CONFIG / folder / f"{name}.yaml"
    if name not in known_names(folder):
        raise UserError(f"{unknown} {name}; {nearest(name, known_names(folder))}")
    return parse(shape, read_yaml(path), str(path))
