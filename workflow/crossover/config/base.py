"""Base classes and types shared by all models of the config.

The models of this package are the single source of keys, defaults, schema and reference: `crossover config-schema`
generates the JSON Schemas and the reference from them, and a test fails if the committed files differ.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# A name becomes part of file names: "." separates the parts of a run's name, and file systems allow 255 bytes in all.
NAME = r"^[a-z0-9][a-z0-9-]{0,59}$"
RESOLVED = {"resolved": True}  # validation context of specs, in which every key is set, whether a user wrote it or not
Name = Annotated[str, Field(pattern=NAME)]
SeedOrRun = Annotated[int, Field(ge=0)] | Literal["run"]  # a fixed seed, or one that each run derives from its own
Fraction = Annotated[float, Field(gt=0, lt=1)]


class ConfigModel(BaseModel):
    """Base of all parts of the config. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class TitledModel(ConfigModel):
    """Base of parts with a title and a description for people, which are never part of a hash."""

    title: str
    """Name shown in the report."""
    description: str = ""
    """One or two sentences shown in the report."""
