"""What all parts of the config share: strict models, and names.

The models of this package are the one truth for keys, defaults, schema and reference: `crossover config-schema` writes
the JSON Schemas and the reference from them, and a test fails when the committed files differ.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# A name becomes part of file names: "." separates the parts of a run, and a file system takes 255 bytes in all.
NAME = r"^[a-z0-9][a-z0-9-]{0,59}$"
RESOLVED = {"resolved": True}  # validation context of specs, in which every key is set, whether a user wrote it or not
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Model(BaseModel):
    """A part of the config: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Described(Model):
    """Words for people. They never enter the identity of a run."""

    title: str
    """Name shown in the report."""
    description: str = ""
    """One or two sentences shown in the report."""
