"""Learning rates by step: warm-up and decay, as in `transformers.optimization` (the schedules of Kao & Lee and Tamkin et al.).

Loshchilov & Hutter (2017) for the cosine; the first step of a warm-up has the rate 0 there too.
"""

import math
from collections.abc import Callable
from typing import Literal

Schedule = Callable[[int], float]  # the learning rate of a step, counted from 0


def make_schedule(
    kind: Literal["constant", "linear", "cosine"], learning_rate: float, warm_up: int, steps: int
) -> Schedule:
    """Return the learning rate of each step.

    Args:
        kind: how it goes on after the warm-up; a decay reaches 0 after the last step.
        learning_rate: at the end of the warm-up.
        warm_up: steps in which it rises linearly from 0.
        steps: of the whole training.
    """

    def rate(step: int) -> float:
        if step < warm_up:
            return learning_rate * step / warm_up
        done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        match kind:
            case "linear":
                return learning_rate * (1 - done)
            case "cosine":
                return learning_rate * (1 + math.cos(math.pi * done)) / 2
        return learning_rate

    return rate
