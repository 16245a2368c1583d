"""How much memory and time a run asks the scheduler for, estimated from its spec.

The estimates are upper bounds with room to spare, checked against measured runs (`benchmarks/demand`). They need not be
right: a retry asks for more, a run that meets its time limit goes on from its saved state, and a study may set
`hardware.memory_mb` and `hardware.minutes` itself.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from crossover.files import read_json
from crossover.planning.architectures import stored_size
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.checkpoints import (
    ArchitectureSpec,
    CheckpointFiles,
    FetchedSpec,
    ModelSize,
    PretrainedSpec,
    TrainedSpec,
)
from crossover.specs.load import AnySpec
from crossover.specs.runs import ModelSettings, RunSpec
from crossover.specs.tasks import TokensSpec

LIBRARIES_MB = 900  # Python with torch and transformers (0.4 GB measured), and the Snakemake around it (0.13 GB twice)
CUDA_MB = 3000  # host memory of a process that uses a GPU
CUDA_CONTEXT_MB = 800  # what a process takes on the GPU before its first tensor
EVALUATION_ITEMS = 256  # items of a forward pass without gradients
ANALYSIS_ITEMS, ANALYSIS_STEPS = 32, 200  # items read together, and as many steps as all that is read comes to
LONGEST = 512  # positions assumed where neither encoding nor checkpoint says
EPOCH_ITEMS = 10_000  # training items assumed where the length is in epochs: planning looks at no data
FLOATS_PER_POSITION = 40  # activations kept for the gradient, per position, block and unit of width
CPU_FLOPS = 5e9  # per thread, a tenth of what was measured
GPU_FLOPS = 1e12  # small models do not fill a GPU
VOCABULARY = 50_000  # tokens assumed where a checkpoint does not say
BASE_PARAMETERS = 125_000_000  # of GPT-2's smallest model
BASELINE_MB, BASELINE_MINUTES = 4000, 30  # the limits in `baselines/limits.py` keep them to a quarter of that
START_MINUTES = 10  # imports, a slow file server, and tokens read for the first time


@dataclass(frozen=True)
class Work:
    """The size of a training: what memory and time follow from.

    Attributes:
        parameters: of the model.
        blocks: transformer blocks.
        width: hidden size.
        length: positions of a sequence at most.
        batch_size: sequences of a step.
        steps: optimizer steps at most, of all learning rates that are sure to be tried.
    """

    parameters: int
    blocks: int
    width: int
    length: int
    batch_size: int
    steps: int


def memory_mb(work: Work, gpu: int) -> int:
    """Memory of the node in MB: libraries, and on a CPU weights and activations."""
    return LIBRARIES_MB + (CUDA_MB if gpu else _tensors_mb(work))


def gpu_memory_mb(work: Work) -> int:
    """Memory of the GPU in MB: CUDA's own, weights and activations."""
    return CUDA_CONTEXT_MB + _tensors_mb(work)


def _tensors_mb(work: Work) -> int:
    weights = (
        9 * work.parameters
    )  # with gradient, two moments, the initial and the best weights, and the state being saved
    positions = max(work.batch_size * work.blocks * FLOATS_PER_POSITION, EVALUATION_ITEMS * 16) * work.length
    attention = max(work.batch_size * work.blocks, EVALUATION_ITEMS) * work.width // 64 * work.length**2
    return 4 * (weights + positions * work.width + attention) // 2**20


def minutes(work: Work, gpu: int, threads: int) -> int:
    """Time in minutes: six operations per parameter and position of each step, and half as many again to evaluate.

    Args:
        work: of one run.
        gpu: 1 if it uses a GPU.
        threads: CPU threads.
    """
    operations = 9.0 * work.parameters * work.length * work.batch_size * work.steps
    return START_MINUTES + round(operations / (GPU_FLOPS if gpu else CPU_FLOPS * threads) / 60)


def work_of(spec: AnySpec, specs: Mapping[str, AnySpec]) -> Work:
    """Return the size of the work that the spec of a run, of a checkpoint that is trained here, or of an analysis describes.

    Args:
        spec: of the run, checkpoint or analysis.
        specs: of everything that it refers to.
    """
    match spec:
        case AnalysisSpec():
            return _analysis(spec, specs)
        case TrainedSpec(run=run):
            return work_of(specs[run], specs)
        case PretrainedSpec(training=training):
            size = _built(spec, spec.vocabulary or VOCABULARY)
            return Work(size.parameters, size.blocks, size.width, spec.context, training.batch_size, training.steps)
        case RunSpec(training=training):
            size = _model(spec, specs)
            at_once = min(training.batch_size, training.micro_batch or training.batch_size)
            rates = spec.learning_rates
            lengths = len(rates.rates) * rates.share + (rates.share < 1)
            steps = round(lengths * training.steps(EPOCH_ITEMS)) * training.batch_size // at_once
            return Work(size.parameters, size.blocks, size.width, size.length, at_once, steps)
    raise TypeError(f"{spec.name} trains nothing and measures nothing")


@dataclass(frozen=True)
class _Size:
    """Parameters, blocks and width of a model, and its longest sequence in positions."""

    parameters: int
    blocks: int
    width: int
    length: int


def _analysis(spec: AnalysisSpec, specs: Mapping[str, AnySpec]) -> Work:
    """Return the size of an analysis: its models are in memory together, and gradients of several batches of one of them."""
    sizes = [_model(model, specs) for model in spec.models]
    parameters, blocks, width, length = (max(values) for values in zip(*map(astuple, sizes), strict=True))
    return Work(2 * parameters, blocks, width, length, ANALYSIS_ITEMS, ANALYSIS_STEPS)


def _model(model: ModelSettings, specs: Mapping[str, AnySpec]) -> _Size:
    """Return the size of a model, and the longest sequence that it reads."""
    size = _size(model.checkpoint, specs)
    tokens = specs[model.tokens]
    assert isinstance(tokens, TokensSpec)
    return replace(size, length=getattr(tokens.encoding, "max_length", None) or size.length)


def _size(checkpoint: CheckpointFiles, specs: Mapping[str, AnySpec]) -> _Size:
    """Return the size of a checkpoint: as its spec says, or else as its folder does."""
    spec = specs.get(checkpoint.name)
    match spec:
        case TrainedSpec(run=run):
            run_spec = specs[run]
            assert isinstance(run_spec, RunSpec)
            return _size(run_spec.checkpoint, specs)
        case PretrainedSpec() | ArchitectureSpec():
            return _built(spec, spec.vocabulary or VOCABULARY)
        case FetchedSpec(size=ModelSize() as size):
            return _built(size, VOCABULARY)
    return _stored(Path(checkpoint.folder))


def _built(size: PretrainedSpec | ArchitectureSpec | ModelSize, vocabulary: int) -> _Size:
    positions = size.positions or LONGEST
    parameters = 12 * size.blocks * size.width**2 + (vocabulary + positions) * size.width
    return _Size(parameters, size.blocks, size.width, positions)


def _stored(folder: Path) -> _Size:
    """Return the size of a checkpoint in a user's folder; where it holds a GGUF file, that of GPT-2's smallest model."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    weights = folder / "model.safetensors"
    return _Size(
        weights.stat().st_size // 4 if weights.is_file() else BASE_PARAMETERS,
        stored_size(config, "depth") or 12,
        stored_size(config, "width") or 768,
        stored_size(config, "positions") or LONGEST,
    )
