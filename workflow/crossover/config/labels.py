"""Short labels for the bodies, inputs and trained parameters of conditions; different choices have different labels.

Labels stand in tables and in the report, and never in a hash.
"""

from typing import Any

Choice = str | dict[str, Any]


def body_kind(body: Choice) -> str:
    """Return the kind of a body, such as `permuted`; bodies that differ only in their settings share it."""
    if isinstance(body, str):
        return body
    if body["kind"] == "random":
        return "partly random"
    return f"{body['kind']} random" if body.get("of") == "random" else body["kind"]


def body_name(body: Choice) -> str:
    """Return the label of a body, with its settings."""
    if isinstance(body, str):
        return body
    match body["kind"]:
        case "random":
            return f"random but {', '.join(body['kept'])}"
        case "reinit":
            words = [f"reinit {blocks_name(body['blocks'])}"]
            words += [f"{part} kept" for part in ("norms", "biases") if body[part] == "kept"]
            return ", ".join(words + [body["weights"]] * (body["weights"] != "truncated-normal"))
        case "permuted":
            return f"permuted {body['seed']}"
        case "truncated":
            return f"truncated {body['blocks']}" + (" random" if body["of"] == "random" else "")
    return str(body["kind"])


def input_kind(entry: Choice) -> str:
    """Return the kind of an input, such as `shift`; inputs that differ only in their settings share it."""
    return entry if isinstance(entry, str) else entry["kind"]


def input_name(entry: Choice) -> str:
    """Return the label of an input, with its settings."""
    return entry if isinstance(entry, str) else f"{entry['kind']} {entry.get('by', entry.get('seed'))}"


def trained_name(trained: str | list[Choice]) -> str:
    """Return the label of the trained parameters: the preset, or the groups joined by +."""
    return trained if isinstance(trained, str) else "+".join(map(_part_name, trained))


def _part_name(part: Choice) -> str:
    if isinstance(part, str):
        return part
    blocks = f" of {blocks_name(part['blocks'])}" if part["blocks"] else ""
    rate = f" at {part['rate']:g} times the rate" if part["rate"] != 1 else ""
    lora = part["lora"]
    low = f"changes of rank {lora['rank']} (alpha {lora['alpha']:g}) of " if lora else ""
    return f"{low}{' and '.join(part['groups'])}{blocks}{rate}"


def blocks_name(blocks: dict[str, Any]) -> str:
    """Return the label of a selection of blocks, counted from 0, such as `window 3-5`."""
    which, count, start = (blocks[key] for key in ("which", "count", "start"))
    return f"{which} {count}" if which in ("first", "last") else f"{which} {start}-{start + count - 1}"


def model_name(model: dict[str, str]) -> str:
    """Return the label of a model before fine-tuning, from its entry in a study's analyses."""
    return f"{model['checkpoint']}, {model['body']} body, {model['input']} input"
