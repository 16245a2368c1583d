"""Analyses: measurements of one model, or of two, before or after they are fine-tuned."""

from typing import Literal

from crossover.specs.base import Spec
from crossover.specs.runs import AnalysedSettings


class AnalysisSpec(Spec):
    """A measurement; the models are in evaluation mode, and in full precision.

    Attributes:
        analysis: its kind.
        models: what is measured, one or two.
    """

    kind: Literal["analysis"] = "analysis"
    analysis: str
    models: tuple[AnalysedSettings, ...]
