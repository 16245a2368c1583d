"""What all specs and sealed descriptions are: frozen typed records that refuse what they do not know."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from crossover.config.base import RESOLVED
from crossover.errors import UserError
from crossover.files import read_json, read_sealed_json, write_sealed_json
from crossover.specs.identity import code_digests, hash8


class Record(BaseModel):
    """A typed JSON object: unknown and missing keys are errors, and nothing can be assigned."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, content: Any, path: Path) -> Self:
        """Return the record that a file's content is.

        Raises:
            UserError: a key is missing or unknown, or a value is of another type.
        """
        try:
            return cls.model_validate(content, context=RESOLVED)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "the file"
            raise UserError(
                f"{path} cannot be read as {cls.__name__} ({place}: {problem['msg'].lower()}): delete it and run snakemake again."
            ) from error

    def content(self) -> dict[str, object]:
        """Return the record as JSON values."""
        return self.model_dump(mode="json")


class Sealed(Record):
    """A description in a file with a seal, the digest of the rest of the file."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a sealed file.

        Raises:
            UserError: the file is missing, is not as it was written, or describes something else.
        """
        return cls.parse(read_sealed_json(path), path)

    def write(self, path: Path) -> None:
        """Write the file in one step, with its seal."""
        write_sealed_json(path, self.content())


class Spec(Record):
    """Everything that one stage needs to make one thing, under a name that ends in the hash of all that can change it.

    Attributes:
        name: `<stem>-<hash8>`.
        code: module to digest of the code that computes the thing.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset()  # fields that travel along without changing the result

    name: str
    code: dict[str, str]

    @classmethod
    def named(cls, stem: str, **fields: Any) -> Self:
        """Return a spec whose name is its stem and the hash of its identity."""
        draft = cls(name="", **fields)
        return draft.model_copy(update={"name": f"{stem}-{hash8(draft.identity)}"})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a spec that is about to be computed.

        Raises:
            UserError: the file is missing or damaged, its content does not match the hash in its name, or the code that
                it names has changed since it was planned.
        """
        spec = cls.parse(read_json(path), path)
        now = code_digests(*spec.code)
        for module, digest in spec.code.items():
            if now.get(module) != digest:
                raise UserError(
                    f"{path}: the code of {module} has changed since this was planned; run snakemake again to plan it anew."
                )
        if not spec.name.endswith(f"-{hash8(spec.identity)}"):
            raise UserError(
                f"{path}: its content no longer matches the hash in its name; delete it and run snakemake again."
            )
        return spec

    @property
    def stem(self) -> str:
        """The name without its hash."""
        return self.name.rpartition("-")[0]

    @property
    def identity(self) -> dict[str, object]:
        """Everything that can change the result, as JSON values."""
        return self.model_dump(mode="json", exclude={"name", *self.ABOUT})

    @property
    def text(self) -> str:
        """The content of the spec's file."""
        return json.dumps(self.content(), indent=2, ensure_ascii=False) + "\n"
