"""Recipes: config/recipes/NAME.yaml, how runs are trained and how their learning rates are found."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    create_model,
    model_serializer,
    model_validator,
)

from crossover.config.base import ConfigModel, TitledModel
from crossover.config.bodies import RandomInit, VitPositions
from crossover.config.heads import Head
from crossover.config.inputs import InputScale
from crossover.config.training import Training

SHARE = r"^([1-9][0-9]?|100) %$"
TrainingKind = Literal["frozen", "lora", "all"]


def entries_are_unique(values: list[Any]) -> list[Any]:
    """Raise if a name or number is listed twice."""
    repeated = [value for value, number in Counter(map(str, values)).items() if number > 1]
    if repeated:
        raise ValueError(f"listed twice: {', '.join(sorted(repeated))}")
    return values


class CandidateRates(ConfigModel):
    """Learning rates that each seed of a run is trained with, to take the one that is best on validation data.

    Attributes:
        rates: in ascending order; one where the rate is given.
        share: of the whole length that each of several is trained for; below 1, the best one is then trained for all of it.
        lower: those of further decades, which are tried while the lowest rate is the best: the nearest decade first.
        higher: likewise, while the highest rate is the best.
    """

    rates: tuple[float, ...]
    share: float = 1.0
    lower: tuple[tuple[float, ...], ...] = ()
    higher: tuple[tuple[float, ...], ...] = ()


class RateRange(ConfigModel):
    """Learning rates at equal distances on a logarithmic scale, with both ends. A range widens by itself; a list never does."""

    low: PositiveFloat
    """Lowest learning rate."""
    high: PositiveFloat
    """Highest learning rate."""
    per_decade: PositiveInt = 2
    """Number of learning rates in a factor of ten."""
    widen: Annotated[int, Field(ge=0, le=9)] = 2
    """Decades by which the range may grow at each end, one at a time, while the best rate is the lowest or highest; 0 for never."""

    @model_validator(mode="after")
    def ends_are_whole_steps_apart(self) -> "RateRange":
        """Raise unless the range is a whole number of steps wide."""
        if self.high <= self.low or abs(self._steps - round(self._steps)) > 1e-6:
            raise ValueError(
                f"high must be low times a power of 10^(1/{self.per_decade}), such as {1000 * self.low:g}, not {self.high:g}"
            )
        return self

    @property
    def _steps(self) -> float:
        return math.log10(self.high / self.low) * self.per_decade

    @property
    def rates(self) -> list[float]:
        """Return the learning rates, rounded to three digits, so that every machine has the same."""
        return [self._rate(step) for step in range(round(self._steps) + 1)]

    @property
    def candidates(self) -> CandidateRates:
        """Return the learning rates, and those of the decades by which the range may grow, as if it had been wide from the start."""
        steps, decades = self.per_decade, range(self.widen)
        below = [-steps * (decade + 1) for decade in decades]
        above = [round(self._steps) + 1 + steps * decade for decade in decades]
        lower, higher = (
            tuple(tuple(map(self._rate, range(first, first + steps))) for first in end) for end in (below, above)
        )
        return CandidateRates(rates=tuple(self.rates), lower=lower, higher=higher)

    def _rate(self, step: int) -> float:
        return float(f"{self.low * 10 ** (step / self.per_decade):.3g}")


def _form(value: object) -> str:
    """Return in which form learning rates are given, so that an error is one of that form."""
    if isinstance(value, Mapping | RateRange):
        keys = value if isinstance(value, Mapping) else RateRange.model_fields
        return "RateRange" if set(keys) & set(RateRange.model_fields) else "RatesByKind"
    return "RatesByKind" if isinstance(value, ConfigModel) else "list[float]"


RateList = Annotated[list[PositiveFloat], Field(min_length=1), AfterValidator(entries_are_unique), Tag("list[float]")]
Rates = Annotated[RateList | Annotated[RateRange, Tag("RateRange")], Discriminator(_form)]


class RatesByKind(ConfigModel):
    """Learning rates by what is trained of the body: they differ by orders of magnitude."""

    frozen: Rates
    """While no attention or feed-forward weights are trained."""
    lora: Rates
    """While LoRA adapters of them are trained."""
    all: Rates
    """While some of these weights themselves are trained."""


class Recipe(Training):
    """How runs are trained, and how their learning rates are found."""

    input_scale: InputScale = "checkpoint"
    """Root mean square of what a new input layer gives on training items before it is trained: that of the checkpoint's own token
    embeddings (`checkpoint`; of a random body, of its initialisation), that of Lu et al.'s code (`lu2021`: embeddings of
    deviation 1, orthogonal patches of gain 1.41), or a number."""
    random_init: RandomInit = "library"
    """How random bodies are drawn: as the library does today, or GPT-2 as it did in 2020 (`gpt2-2020`), when projections into the
    residual stream were not yet divided by the root of their number."""
    vit_positions: VitPositions = "checkpoint"
    """Position embeddings of a ViT: the `checkpoint`'s, for as many patches as its images have; or `zeros`, for sequences of any
    length (Lu et al. 2021). Other architectures keep theirs."""
    head: Head = Head()
    """What the output layer reads, and through what. A study that changes it gives all of its keys that are not the default."""
    learning_rates: Annotated[
        RateList | Annotated[RateRange, Tag("RateRange")] | Annotated[RatesByKind, Tag("RatesByKind")],
        Discriminator(_form),
    ]
    """Candidate learning rates: a list, or a range, for all conditions or by what they train. With more than one, each seed of a
    cell tries all of them, and the best on the validation split is its own."""
    trial_length: Annotated[str, Field(pattern=SHARE)] = "100 %"
    """Share of `length` that each of several learning rates is tried for, with a schedule of that length. Below 100 %, the best one
    is then trained for all of `length`, from the beginning."""

    @property
    def training(self) -> Training:
        """Return the settings of each run, which are the same for all learning rates."""
        return Training(**{name: getattr(self, name) for name in Training.model_fields})

    def rates_of(self, kind: TrainingKind) -> CandidateRates:
        """Return the candidate learning rates of one kind of training; beyond a list there are no further ones."""
        rates = self.learning_rates
        of_kind: list[float] | RateRange = getattr(rates, kind) if isinstance(rates, RatesByKind) else rates
        share = float(self.trial_length.removesuffix(" %")) / 100
        if isinstance(of_kind, RateRange):
            return of_kind.candidates.model_copy(update={"share": share})
        return CandidateRates(rates=tuple(sorted(of_kind)), share=share if len(of_kind) > 1 else 1.0)


class RecipeFile(TitledModel, Recipe):
    """config/recipes/NAME.yaml: how runs are trained, and how their learning rates are found."""


class Override(ConfigModel):
    """Settings of a recipe that are changed; those that are not given stay."""

    @model_serializer(mode="wrap")
    def only_given(self, serialise: SerializerFunctionWrapHandler) -> Mapping[str, Any]:
        """Return the given settings alone: null may be one of them."""
        return {name: value for name, value in serialise(self).items() if name in self.model_fields_set}


def optional_fields(model: type[ConfigModel]) -> dict[str, Any]:
    """Return the fields of a model for `create_model`, none of them required."""
    return {
        name: (field.rebuild_annotation() | None, Field(None, description=field.description))
        for name, field in model.model_fields.items()
    }


RecipeOverride = create_model(
    "RecipeOverride",
    __base__=Override,
    __doc__="Settings of the recipe that a study changes. Missing keys are taken from the recipe.",
    **optional_fields(Recipe),
)
