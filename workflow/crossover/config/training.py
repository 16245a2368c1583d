"""How runs are trained: optimizer, schedule and length, and which weights are kept."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, WithJsonSchema, model_validator

from crossover.config.base import ConfigModel

DURATION = r"^[1-9][0-9]* (step|epoch)s?$"
KeptWeights = Literal["best", "last"]
WARM_UP = r"^(0 steps|[1-9][0-9]* (step|epoch)s?|[1-9][0-9]?(\.[0-9]+)? %)$"


def _duration(value: object) -> object:
    if not isinstance(value, str) or not re.match(DURATION, value):
        raise ValueError("write a number and its unit, such as 2000 steps or 20 epochs")
    return _canonical(value)


def _warm_up(value: object) -> object:
    if not isinstance(value, str) or not re.match(WARM_UP, value):
        raise ValueError("write a share of all steps or a number and its unit, such as 10 %, 100 steps or 1 epoch")
    return _canonical(value)


def _canonical(text: str) -> str:
    """Return one form of what may be written in two, so that `1 epochs` hashes as `1 epoch`."""
    amount, unit = text.split(" ")
    unit = unit.removesuffix("s")
    return f"{amount} {unit}" if amount == "1" or unit == "%" else f"{amount} {unit}s"


Duration = Annotated[
    str, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["20 epochs"]})
]
WarmUp = Annotated[
    str, BeforeValidator(_warm_up), WithJsonSchema({"type": "string", "pattern": WARM_UP, "examples": ["10 %"]})
]


class Training(ConfigModel):
    """How runs are trained."""

    optimizer: Literal["adamw", "adam"] = "adamw"
    """`adamw` decouples weight decay from the gradient (Loshchilov & Hutter 2019); `adam` adds it to the gradient."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay of the optimizer."""
    decayed: Literal["matrices", "all"] = "matrices"
    """Parameters with weight decay: `matrices` alone, without norms and biases, or `all`."""
    gradient_clip: PositiveFloat | None = 1.0
    """Maximum gradient norm; null for no clipping."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up: `constant`, or a `linear` or `cosine` decay to 0 at the end of `length`."""
    warm_up: WarmUp = "0 steps"
    """Linear warm-up from 0 to the learning rate: `100 steps`, `1 epoch`, or a share of `length` such as `10 %`."""
    length: Duration = "2000 steps"
    """Maximum length of the training: `2000 steps` of the optimizer, or `20 epochs`."""
    batch_size: PositiveInt = 32
    """Examples per optimizer step."""
    micro_batch: PositiveInt | None = None
    """Micro-batch size for gradient accumulation; the gradient is the same. By default the whole batch."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Compute dtype. bf16 is autocast: weights and updates stay fp32."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout probability in the body; by default the checkpoint's own."""
    input_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability behind a new input layer."""
    evaluate_every: Duration = "50 steps"
    """Time between evaluations on the whole validation split, such as `50 steps` or `1 epoch`."""
    select: KeptWeights = "best"
    """Weights that are tested: those with the `best` validation score after training has begun (of equal scores the earlier),
    or the `last` ones, which no validation score has a part in."""
    patience: PositiveInt | None = 10
    """Early stopping: number of evaluations without a better validation score; null to train for all of `length`."""

    @model_validator(mode="after")
    def last_is_not_selected(self) -> "Training":
        """Raise if the end of a training that keeps its last weights depends on validation scores."""
        if self.select == "last" and self.patience is not None:
            raise ValueError("with select: last, set patience: null, since early stopping selects by validation scores")
        return self

    def steps(self, items: int, share: float = 1.0) -> int:
        """Return the optimizer steps of the training.

        Args:
            items: of the training split.
            share: of the whole length; the steps are rounded up.
        """
        return -int(-share * self._steps(self.length, items) // 1)

    def warm_up_steps(self, items: int) -> int:
        """Return the optimizer steps of the warm-up; a share is rounded up."""
        amount, unit = self.warm_up.split(" ")
        if unit == "%":
            return -int(-float(amount) * self.steps(items) // 100)
        return self._steps(self.warm_up, items)

    def steps_between_evaluations(self, items: int) -> int:
        """Return the optimizer steps from one evaluation to the next."""
        return self._steps(self.evaluate_every, items)

    def _steps(self, duration: str, items: int) -> int:
        amount, unit = duration.split(" ")
        per_epoch = -(-items // self.batch_size)  # the last batch of an epoch may be smaller
        return int(amount) * (per_epoch if unit.startswith("epoch") else 1)
