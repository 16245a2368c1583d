"""What an analysis looks at: a model as it is before it is fine-tuned, and the items that it reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.files import read_sealed_json
from crossover.models.factory import build_model
from crossover.models.module import SequenceModel
from crossover.training.reading import tensors_of

BATCH = 32  # items of a forward pass


@dataclass(frozen=True)
class Subject:
    """A model, and the task whose items it reads.

    Attributes:
        name: of the checkpoint, for errors.
        model: body, input and head, without dropout.
        folder: results/tokens/<tokens>/.
        encoding: the encoding.json in it.
        device: where the model is.
    """

    name: str
    model: SequenceModel
    folder: Path
    encoding: dict[str, Any]
    device: torch.device

    @classmethod
    def build(cls, spec: dict[str, Any], seed: int, device: torch.device) -> "Subject":
        """Build the model of one entry of an analysis' `models`, as a run with that seed would start from it.

        Raises:
            UserError: a file is missing or damaged, or the model and the task do not fit together.
        """
        folder = Path("results/tokens") / spec["tokens"]
        encoding = read_sealed_json(folder / "encoding.json")
        model = build_model(spec, encoding, seed).eval().to(device)
        return cls(spec["checkpoint"]["name"], model, folder, encoding, device)

    def tokens(self, split: str) -> Tokens:
        """A split of the task, checked."""
        return Tokens.open(self.folder, split)

    @torch.inference_mode()
    def look(self, tokens: Tokens, items: np.ndarray, **wanted: Any) -> Iterator[tuple[slice, Any, Tensor]]:
        """Let the model read items, batch by batch.

        Args:
            tokens: a split.
            items: which of its items, int [items].
            wanted: what the body is asked for, such as `output_hidden_states=True`.

        Yields:
            Where in `items` the batch lies, the body's output, and the lengths of the sequences, int64 [batch].
        """
        for start in range(0, len(items), BATCH):
            part = slice(start, start + BATCH)
            values, lengths, _ = tensors_of(tokens, items[part], self.device)
            yield part, self.model.read(values, lengths, **wanted), lengths

    def states(self, tokens: Tokens, items: np.ndarray) -> Iterator[tuple[slice, tuple[Tensor, ...], Tensor]]:
        """The states of every layer: what enters the first block, then what each block gives, the last one normed.

        Yields:
            As `look`, with float32 [batch, longest, width] for each layer.

        Raises:
            UserError: the architecture does not give them.
        """
        for part, output, lengths in self.look(tokens, items, output_hidden_states=True):
            layers = getattr(output, "hidden_states", None)
            if not layers:
                raise UserError(self._lacks("hidden states of its layers", "similarity and probing"))
            yield part, layers, lengths

    def attention(self, tokens: Tokens, items: np.ndarray) -> Iterator[np.ndarray]:
        """The attention maps of every item, float64 [layers, heads, length, length]; each row of a map sums to 1.

        Raises:
            UserError: the architecture does not give them.
        """
        trouble = UserError(self._lacks("attention maps", "attention and heads"))
        try:  # the fast kernels do not keep the maps
            self.model.body.set_attn_implementation("eager")
        except (AttributeError, TypeError, ValueError) as error:
            raise trouble from error
        for _, output, lengths in self.look(tokens, items, output_attentions=True):
            maps = [layer for layer in getattr(output, "attentions", None) or () if layer is not None]
            if not maps:
                raise trouble
            whole = torch.stack([_whole(layer) for layer in maps]).double().cpu().numpy()
            for item, length in enumerate(lengths.tolist()):
                yield whole[:, item, :, :length, :length]

    def _lacks(self, what: str, analyses: str) -> str:
        architecture = self.model.body.config.model_type
        return (
            f"checkpoint {self.name} ({architecture}) gives no {what}; list the other checkpoints under `checkpoints` of the "
            f"analyses {analyses}, or leave these out."
        )


def _whole(maps: Tensor) -> Tensor:
    """Maps of every query and key, [batch, heads, length, length], also from those of windows, as Longformer gives them.

    Args:
        maps: [batch, heads, length, keys]; fewer keys than positions are the window around each query.
    """
    length, keys = maps.shape[-2:]
    if keys == length:
        return maps
    whole = maps.new_zeros(*maps.shape[:-1], length + keys - 1)  # with room for windows that reach over the ends
    places = torch.arange(length, device=maps.device)[:, None] + torch.arange(keys, device=maps.device)
    whole.scatter_(-1, places.expand_as(maps), maps)
    return whole[..., keys // 2 : keys // 2 + length]


def sample(count: int, most: int, seed: int) -> np.ndarray:
    """At most `most` of the numbers 0 to count - 1, drawn with the seed, in ascending order, int64."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])
