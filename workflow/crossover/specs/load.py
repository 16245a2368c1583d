"""Read the spec in a file, of whatever kind it is."""

from functools import cache
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field, TypeAdapter, ValidationError

from crossover.config.base import RESOLVED
from crossover.errors import UserError
from crossover.files import read_json
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.baselines import BaselineSpec
from crossover.specs.checkpoints import ArchitectureSpec, FetchedSpec, PretrainedSpec, TrainedSpec
from crossover.specs.datasets import DatasetSpec
from crossover.specs.runs import RunSpec
from crossover.specs.tasks import TaskSpec, TokensSpec

CheckpointSpec = PretrainedSpec | ArchitectureSpec | FetchedSpec | TrainedSpec
AnySpec = DatasetSpec | TaskSpec | TokensSpec | CheckpointSpec | RunSpec | AnalysisSpec | BaselineSpec

# Fields of specs that travel along without changing a result.
ABOUT = frozenset[str]().union(*(kind.ABOUT for kind in get_args(AnySpec)))


def read_spec(path: Path) -> AnySpec:
    """Read a spec that was planned earlier.

    Raises:
        UserError: the file is missing, or is not a spec.
    """
    try:
        return _adapter().validate_python(read_json(path), context=RESOLVED)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].lower()
        raise UserError(f"{path} is not a spec ({problem}): delete it and run snakemake again.") from error


@cache
def _adapter() -> TypeAdapter[AnySpec]:
    return TypeAdapter(Annotated[AnySpec, Field(discriminator="kind")])
