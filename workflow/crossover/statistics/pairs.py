"""Which conditions are compared, namely those that differ in one choice, and how that can come out.

The report asks for it too, so no heavy library is imported.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crossover.config.bodies import Body, TruncatedBody
from crossover.config.conditions import Condition
from crossover.labels import body_kind, body_name, input_kind, input_name, trained_name

Outcome = Literal["higher", "lower", "equivalent", "undecided", "one seed"]  # of a comparison on one task
AGAINST_RANDOM = "pretrained or random body"  # the question that a study's headline answers


@dataclass(frozen=True)
class ConditionPair:
    """Two conditions that differ in one choice alone.

    Attributes:
        kind: the choice: `body`, `input` or `trained`; `asked` for a comparison of the user's own, which may differ in several.
        question: what the comparison asks. Those that ask the same are corrected together.
        a: the first condition: with the pretrained body or input, or with a part of the model trained.
        b: the second one.
        held: what both share, in words.
    """

    kind: str
    question: str
    a: str
    b: str
    held: str


def comparable_pairs(conditions: Mapping[str, Condition]) -> list[ConditionPair]:
    """Return the pairs of conditions to compare: bodies first, then inputs, then what is trained.

    A pretrained body is compared with every other one, and the first blocks of one with as many random blocks; the
    pretrained input with every other one; training a part, or parts at rates of their own, with training everything.

    Args:
        conditions: by name.
    """
    pairs = []
    for (a, left), (b, right) in itertools.permutations(conditions.items(), 2):
        trained, other_trained = trained_name(left.trained), trained_name(right.trained)
        body, entry = f"body {body_name(left.body)}", f"input {input_name(left.input)}"
        if (left.input, trained) == (right.input, other_trained) and (
            question := _question_of_bodies(left.body, right.body)
        ):
            pairs.append(ConditionPair("body", question, a, b, f"{entry}, trained {trained}"))
        if (left.body, trained) == (right.body, other_trained) and left.input == "pretrained" != right.input:
            question = f"pretrained or {input_kind(right.input)} input"
            pairs.append(ConditionPair("input", question, a, b, f"{body}, trained {trained}"))
        if (left.body, left.input) == (right.body, right.input) and trained != "all" == other_trained:
            question = "rates of their own or one rate" if "all" in left.trained else "a part or everything trained"
            pairs.append(ConditionPair("trained", question, a, b, f"{body}, {entry}"))
    return sorted(pairs, key=lambda pair: pair.kind)


def _question_of_bodies(body: Body, other: Body) -> str | None:
    """Return what the comparison of two bodies asks, or None where they are not compared."""
    if body == "pretrained" != other and body_kind(other) != "truncated random":
        return f"pretrained or {body_kind(other)} body"
    if (
        isinstance(body, TruncatedBody)
        and body.of == "pretrained"
        and other == body.model_copy(update={"of": "random"})
    ):
        return AGAINST_RANDOM
    return None
