"""The specs of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from crossover.acquire.checkpoint import address_on_hub
from crossover.config.checkpoints import (
    Checkpoint,
    Corpus,
    DownloadedCheckpoint,
    HubCheckpoint,
    LocalCheckpoint,
    PretrainedHere,
    TaskCorpus,
)
from crossover.config.datasets import DownloadDataset
from crossover.config.load import load_checkpoint
from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.architecture import stored_size
from crossover.planning.code import code_of
from crossover.planning.datasets import plan_dataset
from crossover.planning.tasks import PlannedTask, plan_task
from crossover.specs.checkpoints import CheckpointFiles, HubSpec, PretrainedSpec
from crossover.specs.datasets import DatasetSpec
from crossover.specs.identity import remembered_tree_digest
from crossover.specs.load import AnySpec


@dataclass(frozen=True)
class PlannedCheckpoint:
    """A checkpoint of config/checkpoints/, and the specs that make it.

    Attributes:
        name: of its file in config/checkpoints/.
        config: its settings.
        files: where it lies.
        spec: what makes, fetches or downloads it; None for a user's own folder.
        corpus: what it is pretrained on here.
    """

    name: str
    config: Checkpoint
    files: CheckpointFiles
    spec: PretrainedSpec | HubSpec | DatasetSpec | None
    corpus: PlannedTask | DatasetSpec | None = None

    @property
    def specs(self) -> list[AnySpec]:
        """All specs of the checkpoint."""
        corpus = self.corpus.specs if isinstance(self.corpus, PlannedTask) else [self.corpus] if self.corpus else []
        return [*corpus, *([self.spec] if self.spec else [])]

    @property
    def subset(self) -> str | None:
        """What part of its corpus or of its files a mirror holds, in words, or None when it has all."""
        origin = self.corpus or self.spec
        return origin.subset if isinstance(origin, PlannedTask | DatasetSpec) else None

    @property
    def tokenizer(self) -> Path:
        """The path of its tokenizer."""
        return Path(self.files.folder, "tokenizer.json")

    @property
    def origin(self) -> str | None:
        """The address of its weights on the web."""
        match self.config:
            case HubCheckpoint(id=identifier, revision=revision):
                return address_on_hub(identifier, revision)
            case DownloadedCheckpoint(files=files):
                return files[0].url
        return None

    @property
    def pretraining(self) -> str | None:
        """The path of what pretraining reports, where it is pretrained here."""
        return f"{self.files.folder}/checkpoint.json" if isinstance(self.spec, PretrainedSpec) else None

    @property
    def positions(self) -> int | None:
        """The longest sequence that it reads, or None where its config leaves that open, or has not been fetched."""
        match self.config:
            case PretrainedHere(positions=positions):
                return positions
            case LocalCheckpoint(path=path):
                return stored_size(read_json(Path(path) / "config.json"), "positions")
        return None


def plan_checkpoint(name: str, where: str | None = None) -> PlannedCheckpoint:
    """Plan a checkpoint of config/checkpoints/.

    Args:
        name: of its file.
        where: what asked for it, for errors.

    Raises:
        UserError: the checkpoint is not known, or its config or its files are wrong.
    """
    checkpoint = load_checkpoint(name, where)
    match checkpoint:
        case LocalCheckpoint(path=path):
            if set("{}<>") & set(path):
                raise UserError(
                    f"config/checkpoints/{name}.yaml: path {path} has one of {{ }} < > in it, which mean patterns to "
                    "Snakemake; rename the folder, or link to it under another name."
                )
            digest = remembered_tree_digest(Path(path))
            files = CheckpointFiles(name=f"{name}-{digest[:8]}", folder=path, sha256=digest)
            return PlannedCheckpoint(name, checkpoint, files, None)
        case HubCheckpoint(id=identifier, revision=revision):
            code = code_of("crossover.acquire.checkpoint")
            fetched = HubSpec.named(name, id=identifier, revision=revision, code=code)
            files = CheckpointFiles(name=fetched.name, folder=f"resources/downloads/{fetched.name}")
            return PlannedCheckpoint(name, checkpoint, files, fetched)
        case DownloadedCheckpoint():
            download = plan_dataset(DownloadDataset(kind="download", name=name, files=checkpoint.files))
            folder = str(PurePosixPath("resources/downloads", download.name, checkpoint.folder))
            files = CheckpointFiles(name=download.name, folder=folder, receipt=download.receipt)
            return PlannedCheckpoint(name, checkpoint, files, download)
    corpus = _plan_corpus(name, checkpoint.corpus)
    made = PretrainedSpec.named(
        name,
        corpus=corpus.spec.name if isinstance(corpus, PlannedTask) else corpus.name,
        code=code_of("crossover.pretraining.pretrain"),
        **{
            key: getattr(checkpoint, key)
            for key in PretrainedSpec.model_fields.keys() & PretrainedHere.model_fields.keys() - {"kind", "corpus"}
        },
    )
    files = CheckpointFiles(name=made.name, folder=f"results/checkpoints/{made.name}")
    return PlannedCheckpoint(name, checkpoint, files, made, corpus)


def _plan_corpus(checkpoint: str, corpus: Corpus) -> PlannedTask | DatasetSpec:
    if isinstance(corpus, TaskCorpus):
        return plan_task(corpus.task, f"config/checkpoints/{checkpoint}.yaml")
    return plan_dataset(corpus)
