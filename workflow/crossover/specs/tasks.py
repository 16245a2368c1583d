"""Tasks and their tokens."""

from typing import ClassVar, Literal

from crossover.config.encodings import Encoding
from crossover.config.readers import Reader
from crossover.config.tasks import Policy, Split, Target
from crossover.specs.base import Record, Spec


class TaskSpec(Spec):
    """Labelled sequences in three splits.

    Attributes:
        task: name of the task in config/tasks/.
        dataset: name of the spec of its raw files; None for a generator.
        reader: how raw files are read, or items generated.
        split: how items are divided; None for a generator.
        policy: how invalid items are handled; None for a generator.
        letters: the alphabet that the policy applies to, where sequences are read from files.
        target: what is predicted.
        simulated: whether the sequences imitate a real domain.
        licence: of the data.
    """

    ABOUT: ClassVar[frozenset[str]] = frozenset({"licence"})

    kind: Literal["task"] = "task"
    task: str
    dataset: str | None
    reader: Reader
    split: Split | None
    policy: Policy | None
    letters: Literal["dna", "protein"] | None
    target: Target
    simulated: bool
    licence: str

    @property
    def card(self) -> str:
        """The path of its card."""
        return f"results/tasks/{self.name}/card.json"


class TokenizerFile(Record):
    """The tokenizer that makes subwords.

    Attributes:
        file: its tokenizer.json.
        sha256: of the file, unless the workflow makes or fetches it.
    """

    file: str
    sha256: str | None = None


class TokensSpec(Spec):
    """The tokens or patches of a task.

    Attributes:
        task: name of the spec of the task.
        encoding: how an item becomes model input.
        tokenizer: of subwords.
    """

    kind: Literal["tokens"] = "tokens"
    task: str
    encoding: Encoding
    tokenizer: TokenizerFile | None = None

    @property
    def description(self) -> str:
        """The path of what describes them."""
        return f"results/tokens/{self.name}/encoding.json"
