"""Generate the JSON Schemas and the reference of config/ from the typed model."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from crossover.config.base import Name
from crossover.config.checkpoints import Checkpoint
from crossover.config.conditions import Condition
from crossover.config.load import CONFIG
from crossover.config.studies import Config, Study
from crossover.config.tasks import Task
from crossover.errors import UserError
from crossover.files import write_text

SHAPES: dict[str, tuple[str, Any]] = {
    "config": ("config/config.yaml", Config),
    "study": ("config/studies/NAME.yaml", Study),
    "task": ("config/tasks/NAME.yaml", Task),
    "checkpoint": ("config/checkpoints/NAME.yaml", Checkpoint),
    "conditions": ("config/conditions.yaml", dict[Name, Condition]),
}


def generated_files() -> dict[Path, str]:
    """The path and text of every generated file."""
    schemas = {name: TypeAdapter(shape).json_schema() for name, (_, shape) in SHAPES.items()}
    files = {
        CONFIG / "schema" / f"{name}.json": json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2, ensure_ascii=False
        )
        + "\n"
        for name, schema in schemas.items()
    }
    files[CONFIG / "reference.md"] = reference(schemas)
    return files


def write_reference(check: bool = False) -> None:
    """Write the generated files, or only compare them with what is there.

    Raises:
        UserError: with `check`, a file differs from what the model says.
    """
    for path, text in generated_files().items():
        if not check:
            write_text(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise UserError(f"{path} is not what the typed model says; run crossover config-schema.")


def reference(schemas: dict[str, dict[str, Any]]) -> str:
    """All keys of all files, as Markdown tables."""
    parts = [
        "<!-- Made by `crossover config-schema` from the models in workflow/crossover/config/; do not edit. -->\n"
        "# Configuration reference\n\n"
        "Every key of every file, with its type and default. A key without a default must be given.\n"
        "Unknown keys are errors.\n"
    ]
    written: set[str] = set()
    for name, schema in schemas.items():
        parts.append(f"\n## {SHAPES[name][0]}\n\n")
        definitions = schema.get("$defs", {})
        if "properties" in schema:
            parts.append(_section(schema))
        for title, definition in definitions.items():
            if title not in written and "properties" in definition:
                written.add(title)
                parts.append(f"\n### {title}\n\n{_section(definition)}")
    return "".join(parts)


def _section(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = []
    for key, value in schema["properties"].items():
        default = "" if key in required else f"`{json.dumps(value.get('default'))}`"
        text = " ".join(value.get("description", "").split())
        rows.append(f"| `{key}` | {_type(value)} | {default} | {text} |\n")
    summary = " ".join(schema.get("description", "").split())
    return f"{summary}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{''.join(rows)}"


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        title = value["$ref"].rsplit("/", 1)[-1]
        return f"[{title}](#{title.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{option}`" for option in value["enum"])
    options = value.get("anyOf", []) + value.get("oneOf", [])
    if options:
        return ", or ".join(_type(option) for option in options)
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}"
    if value.get("type") == "object":
        values = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"mapping of names to {_type(values)}"
    return {
        "null": "nothing",
        "number": "number",
        "integer": "whole number",
        "string": "text",
        "boolean": "true or false",
    }[value["type"]]
