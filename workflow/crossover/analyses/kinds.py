"""Find the kinds of analyses, each a package `crossover.analyses.<kind>` of three modules.

- `measure` computes its table with `measure(models, seed)`. It alone, with what it imports, enters the code digest of an
  analysis, so it imports neither of the others.
- `chart` holds `CHARTS`, which draws the table in the report.
- `text` holds `TEXT`, the facts for the planner and the words for people. The Snakefile reads it at each parse, so it
  imports no heavy library.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AnalysisText:
    """Describe one kind of analysis.

    Attributes:
        paired: whether it compares two models; else it measures one.
        title: its heading in the report.
        measures: what it measures, in a sentence.
        limits: what it cannot tell, in a sentence.
        reading: how to read its charts.
    """

    title: str
    measures: str
    limits: str
    reading: str
    paired: bool = False


def analysis_kinds() -> list[str]:
    """Return the name of every kind, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/measure.py"))


def measure_module(kind: str) -> str:
    """Return the name of the module that computes the table of a kind."""
    return f"crossover.analyses.{kind}.measure"


def report_modules(kind: str) -> tuple[str, str]:
    """Return the names of the modules with the charts and the words of a kind."""
    return f"crossover.analyses.{kind}.chart", f"crossover.analyses.{kind}.text"


def text_of(kind: str) -> AnalysisText:
    """Return the description of a kind."""
    text: AnalysisText = importlib.import_module(report_modules(kind)[1]).TEXT
    return text
