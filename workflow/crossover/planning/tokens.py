"""The specs of a task's tokens, and whether a checkpoint can read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crossover.config.bodies import needs_weights
from crossover.config.checkpoints import TrainedHere
from crossover.config.conditions import Condition
from crossover.config.encodings import SubwordsEncoding
from crossover.config.load import known_names, load_checkpoint
from crossover.errors import UserError
from crossover.planning.base_checkpoints import PlannedCheckpoint, plan_base_checkpoint
from crossover.planning.tasks import PlannedTask
from crossover.specs.identity import remembered_digest
from crossover.specs.load import AnySpec
from crossover.specs.tasks import TokenizerFile, TokensSpec


@dataclass(frozen=True)
class PlannedTokens:
    """The tokens of a task for a checkpoint, and the checkpoint whose tokenizer makes them, where one does."""

    spec: TokensSpec
    tokenizer_of: PlannedCheckpoint | None

    @property
    def specs(self) -> list[AnySpec]:
        """All specs of the tokens, without those of the task."""
        return [self.spec, *(self.tokenizer_of.specs if self.tokenizer_of else [])]


def plan_tokens(task: PlannedTask, checkpoint: PlannedCheckpoint | None) -> PlannedTokens:
    """Plan the tokens of a task as a checkpoint reads them.

    Args:
        task: whose items are encoded.
        checkpoint: whose tokenizer makes them, where the encoding asks for that of each checkpoint.

    Raises:
        UserError: the encoding's tokenizer is missing.
    """
    encoding = task.encoding_for(checkpoint.name if checkpoint else None)
    suffix, file, owner = "", None, None
    if isinstance(encoding, SubwordsEncoding):
        source = encoding.tokenizer
        reader = checkpoint.owner_of_tokenizer if checkpoint else None
        if source == "checkpoint" and reader:
            suffix, source = f"-{reader.name}", reader.name
        where = f"config/tasks/{task.name}.yaml"
        owner = _owner_of_tokenizer(source, reader, where)
        file = _tokenizer_file(owner, Path(source), where)
    return PlannedTokens(task.tokens_as(encoding, file, suffix), owner)


def _owner_of_tokenizer(source: str, checkpoint: PlannedCheckpoint | None, where: str) -> PlannedCheckpoint | None:
    if checkpoint and source == checkpoint.name:
        return checkpoint
    if source not in known_names("checkpoints"):
        return None
    config = load_checkpoint(source)
    if isinstance(config, TrainedHere):
        raise UserError(
            f"{where}: encoding.tokenizer names {source}, which is trained from {config.checkpoint} and has its tokenizer; name that."
        )
    return plan_base_checkpoint(source, config)


def _tokenizer_file(owner: PlannedCheckpoint | None, path: Path, where: str) -> TokenizerFile:
    """Return the tokenizer of a checkpoint, or of a path; with its digest unless the workflow makes or fetches it."""
    if owner and (owner.reads_patches or not owner.has_weights):
        is_what = "is an architecture without weights and" if not owner.has_weights else "reads patches and has no"
        raise UserError(
            f"{where}: encoding.tokenizer takes that of checkpoint {owner.name}, which {is_what} tokenizer; choose another "
            "tokenizer or another encoding."
        )
    file = owner.tokenizer if owner else path
    if owner and owner.files.sha256 is None:
        return TokenizerFile(file=str(file))
    if not file.is_file():
        raise UserError(
            f"{where}: encoding.tokenizer needs {file}, which is missing; save the tokenizer there in the format of the "
            "Hugging Face tokenizers library, or choose another encoding."
        )
    return TokenizerFile(file=str(file), sha256=remembered_digest(file))


def misfit(tokens: TokensSpec, checkpoint: PlannedCheckpoint, condition: Condition) -> str | None:
    """Return why a condition means nothing for a task and a checkpoint, so that it is left out there; None where it fits."""
    patches = tokens.encoding.kind == "patches"
    has_patch_input = checkpoint.reads_patches and condition.input == "pretrained"
    if condition.input != "new" and patches and not has_patch_input:
        return "patches have no tokens"
    if condition.input != "new" and checkpoint.reads_patches and not patches:
        return "a checkpoint that was pretrained on patches has no token embeddings"
    own_tokens = condition.input not in ("new", "re-embedded")
    if not checkpoint.has_weights and (own_tokens or needs_weights(condition.body)):
        return "an architecture alone has no weights to start from"
    return None


def check_fit(
    task: PlannedTask, tokens: TokensSpec, checkpoint: PlannedCheckpoint, conditions: Mapping[str, Condition]
) -> None:
    """Refuse what could only fail in the jobs: sequences that are too long, blocks or tokens that are not there.

    Raises:
        UserError: the checkpoint has too few positions or blocks, or a condition embeds other tokens than those of the task.
    """
    _check_length(task.name, tokens, checkpoint)
    for name, condition in conditions.items():
        _check_blocks(name, condition, checkpoint)
        _check_input(task.name, tokens, name, condition, checkpoint)


def _check_length(task: str, tokens: TokensSpec, checkpoint: PlannedCheckpoint) -> None:
    """Refuse a task whose sequences are longer than the checkpoint has positions.

    Patches have no declared length, some configs no positions, and a ViT new ones where the recipe says so: for them the run
    itself checks, before its first step.
    """
    if checkpoint.adapter and checkpoint.adapter.zero_positions:
        return
    positions, longest = checkpoint.positions, getattr(tokens.encoding, "max_length", 0)
    if positions and longest > positions:
        raise UserError(
            f"config/tasks/{task}.yaml: max_length of the encoding is {longest}, but checkpoint {checkpoint.name} has only "
            f"{positions} positions; use at most {positions}, or a checkpoint with more."
        )


def _check_blocks(name: str, condition: Condition, checkpoint: PlannedCheckpoint) -> None:
    """Refuse a condition that names blocks which the checkpoint does not have; where their number is not known, the run does."""
    if checkpoint.blocks and condition.blocks_needed > checkpoint.blocks:
        raise UserError(
            f"condition {name} needs {condition.blocks_needed} blocks, but checkpoint {checkpoint.name} has {checkpoint.blocks}; "
            "choose smaller numbers of blocks in the study, or another checkpoint."
        )


def _check_input(task: str, tokens: TokensSpec, name: str, condition: Condition, checkpoint: PlannedCheckpoint) -> None:
    """Refuse a condition that gives subwords the embeddings of other tokens."""
    own = condition.input not in ("new", "re-embedded")
    if own and tokens.tokenizer and not _is_tokenizer_of(checkpoint, tokens.tokenizer):
        raise UserError(
            f"config/tasks/{task}.yaml: condition {name} uses the token embeddings of checkpoint {checkpoint.name}, but its subwords "
            f"come from {tokens.tokenizer.file}; set encoding.tokenizer to checkpoint."
        )


def _is_tokenizer_of(checkpoint: PlannedCheckpoint, tokenizer: TokenizerFile) -> bool:
    own = checkpoint.tokenizer
    if tokenizer.file == str(own):
        return True
    return tokenizer.sha256 is not None and own.is_file() and tokenizer.sha256 == remembered_digest(own)
