"""Parametrised conditions: entries of config/conditions.yaml with `$parameters`, to which a study gives values."""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, WithJsonSchema

from crossover.config.base import NAME, Name

PARAMETER = r"\$([a-z][a-z_]*)"
RANGE = r"^([0-9]+)\.\.([0-9]+)$"

LONGEST_RANGE = 1000  # values

ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
Value = StrictInt | StrictFloat | Name


def _listed(values: object) -> object:
    """Return the values that are written as a range or as one value as a list."""
    if isinstance(values, str) and (limits := re.match(RANGE, values)):
        first, last = map(int, limits.groups())
        if first > last:
            raise ValueError(f"a range goes from the lowest to the highest value, such as {last}..{first}")
        if last - first >= LONGEST_RANGE:
            raise ValueError(f"a range has at most {LONGEST_RANGE:,} values")
        return list(range(first, last + 1))
    listed = values if isinstance(values, list) else [values]
    for value in listed:
        word = isinstance(value, str) and re.match(NAME, value)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not word and not number:
            raise ValueError(f"a value is a number or a word, and a range is written 0..12, not {value!r}")
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in listed]


def _one_entry(condition: object) -> object:
    if isinstance(condition, dict) and len(condition) != 1:
        raise ValueError("a condition with parameters is an entry of its own, such as {reinit-last: {count: 0..12}}")
    return condition


_VALUE_SCHEMA = {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}]}
Values = Annotated[
    list[Value],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [*_VALUE_SCHEMA["anyOf"], {"type": "array", "items": _VALUE_SCHEMA, "minItems": 1}]}),
]
ParametrisedCondition = Annotated[
    dict[Name, Annotated[dict[ParameterName, Values], Field(min_length=1)]],
    Field(min_length=1, max_length=1),
    BeforeValidator(_one_entry),
]


class ChosenCondition(NamedTuple):
    """A condition of a study.

    Attributes:
        name: in the study.
        entry: its key in config/conditions.yaml.
        values: of the entry's parameters, by name.
        row: name of the row that it is in; None where the row has none.
    """

    name: str
    entry: str
    values: dict[str, Value]
    row: str | None = None


def chosen_conditions(listed: list[Name | ParametrisedCondition], row: str | None = None) -> Iterator[ChosenCondition]:
    """Yield the conditions that a study lists; those of a parametrised one for every combination of its values.

    A name ends in the values, in the alphabetical order of their parameters, however a study writes them, and in the name of the
    row where that has one.
    """
    suffix = [row] if row else []
    for one in listed:
        if isinstance(one, str):
            yield ChosenCondition("-".join([one, *suffix]), one, {}, row)
            continue
        for entry, parameters in one.items():
            names = sorted(parameters)
            for values in product(*(parameters[name] for name in names)):
                name = "-".join([entry, *(str(value).replace(".", "p") for value in values), *suffix])
                yield ChosenCondition(name, entry, dict(zip(names, values, strict=True)), row)


def parameters_of(entry: object) -> list[str]:
    """Return the names of the parameters of an entry of config/conditions.yaml, in the order in which they occur."""
    return list(dict.fromkeys(name for text in _texts(entry) for name in re.findall(PARAMETER, text)))


def _texts(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, Mapping | list):
        for part in entry.values() if isinstance(entry, Mapping) else entry:
            yield from _texts(part)


def with_values(entry: Any, values: Mapping[str, Value]) -> Any:
    """Return an entry with values for its parameters: a key that is `$name` alone gets the value itself, other texts contain it."""
    if isinstance(entry, str):
        if whole := re.fullmatch(PARAMETER, entry):
            return values[whole[1]]
        return re.sub(PARAMETER, lambda found: str(values[found[1]]), entry)
    if isinstance(entry, Mapping):
        return {key: with_values(part, values) for key, part in entry.items()}
    return [with_values(part, values) for part in entry] if isinstance(entry, list) else entry
