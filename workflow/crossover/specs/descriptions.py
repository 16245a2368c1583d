"""What stages say of the things that they have made: cards, encodings, checkpoints, metrics, provenance."""

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict

from crossover.config.tasks import Target
from crossover.specs.base import Record, Sealed

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class SkippedInput(Record):
    """An input that gave no item, and why."""

    input: str
    reason: str


class ReceiptFile(Record):
    """One raw file, by its path relative to the folder of all."""

    path: str
    bytes: int
    sha256: str


class DownloadedSource(Record):
    """One file as it was downloaded, before it was unpacked, and the publisher's address."""

    name: str
    url: str
    bytes: int
    sha256: str


class FileSummary(Record):
    """What a card says of many files: their number, and the SHA-256 of the JSON list of them."""

    number: int
    sha256: str


class Origin(Record):
    """Where the raw files of a task are from, as its card says it.

    Attributes:
        name: of the dataset.
        kind: of the dataset.
        origin: in words, or as addresses.
        version: of the package, release or commit, or the SHA-256 of a user's own files.
        subset: what part of the published data the files are, in words, or None when they are all of it.
        files: what was downloaded, before it was unpacked, or else the raw files.
    """

    name: str
    kind: str
    origin: str
    version: str | None
    subset: str | None
    files: tuple[ReceiptFile | DownloadedSource, ...] | FileSummary


class Receipt(Sealed):
    """dataset.json: which raw files of a dataset were acquired, and from where.

    Attributes:
        name: of the dataset.
        kind: of the dataset.
        origin: in words, or as addresses.
        version: of the package, release or commit, or the SHA-256 of a user's own files.
        subset: what part of the published data the files are, in words, or None when they are all of it.
        skipped: inputs that could not be converted.
        sources: what was downloaded, before it was unpacked; None where nothing was.
        root: the folder that the files are in.
        files: in the order of their paths.
    """

    name: str
    kind: str
    origin: str
    version: str | None
    subset: str | None = None
    skipped: tuple[SkippedInput, ...] = ()
    sources: tuple[DownloadedSource, ...] | None = None
    root: Path
    files: tuple[ReceiptFile, ...]

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths of the files relative to `root`, in order."""
        return tuple(file.path for file in self.files)


class Floor(Record):
    """The score that needs no learning: the best constant answer on the test split, and how it is computed."""

    score: float
    rule: str


class Lengths(Record):
    """Lengths of sequences in units."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


class ItemStatistics(Record):
    """What is measured of a task's items.

    Attributes:
        target: what is predicted.
        unit: of one position of a sequence, in the plural.
        simulated: whether the sequences imitate a real domain.
        shape: rows, columns and channels of images; None for sequences.
        skipped: inputs that gave no item.
        notes: how the items came about.
        counts: items that a policy changed or dropped, by what was done.
        items: by split.
        groups: by split.
        classes: items by split and class; None where targets are not classes.
        lengths: by split.
        duplicates: by split, items whose sequence another item before them in that split has.
        leakage: by split, items whose sequence an item of an earlier split has.
        floor: of the task's metric.
    """

    target: Target
    unit: str
    simulated: bool
    shape: tuple[int, ...] | None
    skipped: tuple[SkippedInput, ...]
    notes: tuple[str, ...]
    counts: dict[str, int]
    items: dict[SplitName, int]
    groups: dict[SplitName, int]
    classes: dict[SplitName, dict[str, int]] | None
    lengths: dict[SplitName, Lengths]
    duplicates: dict[SplitName, int]
    leakage: dict[SplitName, int]
    floor: Floor


class Card(ItemStatistics, Sealed):
    """card.json: the facts of a task's data that a reader of a result must know.

    Attributes:
        task: its name.
        licence: of the data, where the spec says it.
        origin: of its raw files; None for a generator.
        sha256: of the splits' files.
    """

    task: str
    licence: str | None = None
    origin: Origin | None
    sha256: dict[str, str]


class EncodedTarget(Target):
    """A task's target as arrays.

    Attributes:
        classes: in the order of their numbers.
        mean: of training targets that are numbers; 0 where these are not standardised.
        deviation: of them; 1 where they are not standardised.
        positions: at which bits are read out.
        bits: of each of these positions.
    """

    classes: tuple[str, ...] | None = None
    mean: float | None = None
    deviation: float | None = None
    positions: int = 1
    bits: int | None = None


class Scaling(Record):
    """How stored pixels are read: (value * scale - mean) / std, for each channel."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


class EncodedImage(Record):
    """Rows, columns and channels of an image as it is cut, rows and columns of a patch, and the augmentation."""

    shape: tuple[int, int, int]
    patch: tuple[int, int]
    augment: str | None


class EncoderFacts(Record):
    """What an encoder says of its input.

    Attributes:
        kind: of the encoding.
        vocabulary: the symbol of each id; None for patches.
        width: values of a patch; None for symbols.
        special_tokens: whether sequences of symbols stand between special tokens, the last two of the vocabulary.
        tokenizer: SHA-256 of the tokenizer of subwords.
        separator: id of the token that ends the first text of a pair.
        scaling: of pixels.
        image: of images.
    """

    kind: str
    vocabulary: tuple[str, ...] | None = None
    width: int | None = None
    special_tokens: bool = False
    tokenizer: str | None = None
    separator: int | None = None
    scaling: Scaling | None = None
    image: EncodedImage | None = None


class EncodingDescription(EncoderFacts, Sealed):
    """encoding.json: what a model must know of its input, and what was lost on the way.

    Attributes:
        target: what is predicted.
        longest: positions of the longest sequence.
        items: by split.
        truncated: share of items that were cut, by split.
        truncated_items: their number, by split.
        unknown: positions whose symbol is not in the vocabulary, by split.
        counts: what else was lost or changed, by split.
        floor: score of the best constant answer on the test split.
        sha256: of the splits' files.
    """

    target: EncodedTarget
    longest: int
    items: dict[SplitName, int]
    truncated: dict[SplitName, float]
    truncated_items: dict[SplitName, int]
    unknown: dict[SplitName, int]
    counts: dict[SplitName, dict[str, int]]
    floor: float
    sha256: dict[str, str]


class CorpusSize(Record):
    """The size of a corpus in tokens, symbols or patches; predicted ones are those of the held-out part that a model is asked for.

    Attributes:
        characters: of text.
    """

    characters: int | None
    tokens: int
    held_out_tokens: int
    predicted_tokens: int


class CheckpointDescription(Sealed):
    """checkpoint.json: which files a checkpoint consists of; what else its kind says is not read.

    Attributes:
        name: of its spec.
        sha256: of its files.
        changes: how its files differ from those that were published, in words.
    """

    model_config = ConfigDict(extra="ignore")

    name: str
    sha256: dict[str, str]
    changes: tuple[str, ...] = ()


class FetchedDescription(CheckpointDescription):
    """Of a checkpoint that was made elsewhere: where it is from, in words or as addresses."""

    model_config = ConfigDict(extra="forbid")

    origin: str


class PretrainingReport(Record):
    """What a model has learned in pretraining.

    Attributes:
        vocabulary: number of token ids; None where it reads patches.
        corpus: its size.
        loss: held-out loss of the model and of count-based models, in nats per predicted token; of a model of patches and of the
            mean patch, the mean squared error.
        perplexity: of the same, of tokens.
        bits_per_character: of the same, where the model reads text from left to right.
        tokens_seen: tokens or patches that were read in training.
    """

    vocabulary: int | None
    corpus: CorpusSize
    loss: dict[str, float]
    perplexity: dict[str, float] | None
    bits_per_character: dict[str, float] | None
    tokens_seen: int


class PretrainedDescription(CheckpointDescription, PretrainingReport):
    """checkpoint.json of a checkpoint that is pretrained here.

    Attributes:
        objective: `causal` or `masked`.
        parameters: of the model.
        steps: optimizer steps done.
        best_step: the step of the lowest held-out loss, whose weights are kept.
    """

    model_config = ConfigDict(extra="forbid")

    objective: str
    parameters: int
    steps: int
    best_step: int


class ValidationResult(Record):
    """The best score on the validation split, and the loss there."""

    score: float
    loss: float


class TestResult(Record):
    """The score on the whole test split, all metrics, the loss, and what was scored."""

    score: float
    metrics: dict[str, float]
    loss: float
    items: int


class ParameterCounts(Record):
    """Numbers of parameters.

    Attributes:
        trained: that get gradients.
        used: the trained ones without the position embeddings that no item of the task reaches, as papers count them.
        total: all.
    """

    trained: int
    used: int
    total: int


class Trial(Record):
    """What a run with one seed reached on validation data at one of its learning rates.

    Attributes:
        learning_rate: the rate.
        steps: optimizer steps of it.
        best_step: steps that the weights that are kept are the result of.
        stopped_early: whether it ended before its planned length.
        validation: of the weights that are kept.
    """

    learning_rate: float
    steps: int
    best_step: int
    stopped_early: bool
    validation: ValidationResult


class Metrics(Record):
    """metrics.json: what a run with one seed has reached.

    Attributes:
        selected: the learning rate that was selected on validation data, and what its whole training reached.
        trials: all rates that were tried, in ascending order, for the whole length or a share of it.
    """

    run: str
    seed: int
    task: str
    checkpoint: str
    condition: str
    train_items: int
    metric: str
    floor: float
    selected: Trial
    trials: tuple[Trial, ...]
    test: TestResult
    parameters: ParameterCounts


class BaselineCandidate(Record):
    """A model of a baseline that was fitted, and what it reached on validation data.

    Attributes:
        tokens: name of the tokens that its features are from.
        features: in words; None for a constant.
        columns: number of features.
        model: in words.
        strength: its penalty, or its trees for each output; None for a constant.
        train_items: that it was fitted on; of a large task fewer than runs learn from.
        validation_score: in the task's metric.
    """

    tokens: str
    features: str | None
    columns: int
    model: str
    strength: float | None
    train_items: int
    validation_score: float


class BaselineScore(Record):
    """The score on the whole test split, all metrics, and the number of items or groups that were scored."""

    score: float
    metrics: dict[str, float]
    items: int


class BaselineMetrics(Record):
    """metrics.json of a baseline with one seed: the selected candidate, its test score, and all candidates in their order."""

    baseline: str
    seed: int
    metric: str
    floor: float
    selected: BaselineCandidate
    test: BaselineScore
    candidates: tuple[BaselineCandidate, ...]


class Provenance(Sealed):
    """provenance.json: where, when, with what and at what cost something was made.

    Attributes:
        host: name of the machine.
        platform: its operating system.
        cpu: its processor.
        device: `cpu`, or the name of the GPU.
        threads: CPU threads.
        python: version.
        versions: of packages.
        code: module to digest of the code.
        started: UTC.
        ended: UTC.
        seconds: of the last uninterrupted part.
        cpu_seconds: of it.
        peak_memory_mb: of it.
        resumed: how often it was resumed.
        command: that was called.
        slurm_job_id: of its job.
        digests: SHA-256 of what it read.
        results: SHA-256 of the files that it wrote, where no other description holds them.
    """

    host: str
    platform: str
    cpu: str
    device: str
    threads: int
    python: str
    versions: dict[str, str]
    code: dict[str, str]
    started: str
    ended: str
    seconds: float
    cpu_seconds: float
    peak_memory_mb: int
    resumed: int
    command: str
    slurm_job_id: str | None
    digests: dict[str, str]
    results: dict[str, str] | None = None
