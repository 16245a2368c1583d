"""A model before or after it is fine-tuned, its hidden states and its attention maps on the items of a task."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.models.factory import build_model
from crossover.models.module import SequenceModel
from crossover.models.weights import load_trained
from crossover.runs.files import WEIGHTS, run_folder
from crossover.specs.descriptions import EncodingDescription
from crossover.specs.runs import AnalysedSettings
from crossover.training.collate import collate

BATCH_SIZE = 32  # items of a forward pass


@dataclass(frozen=True)
class AnalysedModel:
    """A model, and the tokens of the task that it is analysed on.

    Attributes:
        checkpoint: name of its checkpoint, for error messages.
        network: body, input layer and head, in evaluation mode.
        folder: results/tokens/<tokens>/.
        encoding: the encoding.json in that folder.
        device: where the network is.
        padded: whether the network reads padding.
    """

    checkpoint: str
    network: SequenceModel
    folder: Path
    encoding: EncodingDescription
    device: torch.device
    padded: bool = False

    @classmethod
    def build(cls, spec: AnalysedSettings, seed: int, device: torch.device) -> "AnalysedModel":
        """Build one of the `models` of an analysis' spec, with the weights of a run with that seed, before or after its training.

        Raises:
            UserError: a file is missing or damaged, or the model does not fit the task.
        """
        folder = Path("results/tokens") / spec.tokens
        encoding = EncodingDescription.load(folder / "encoding.json")
        network = build_model(spec, encoding, Tokens.open(folder, "train"), seed).eval().to(device)
        if spec.trained_by:
            load_trained(network, run_folder(spec.trained_by, seed) / WEIGHTS)
            network.requires_grad_(True)  # analyses may ask for any gradient
        return cls(spec.checkpoint.name, network, folder, encoding, device, spec.head.pads)

    def tokens(self, split: str) -> Tokens:
        """Open a split of the task as the network reads it, and verify its files."""
        tokens = Tokens.open(self.folder, split)
        return tokens.padded(self.encoding) if self.padded else tokens

    @torch.inference_mode()
    def forward(self, tokens: Tokens, items: np.ndarray, **outputs: bool) -> Iterator[tuple[slice, Any, Tensor]]:
        """Run the body on items, batch by batch.

        Args:
            tokens: a split.
            items: indices into the split, int [items].
            outputs: further outputs of the body, such as `output_hidden_states=True`.

        Yields:
            The batch's slice of `items`, the body's output, and the sequence lengths, int64 [batch].
        """
        for start in range(0, len(items), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            values, lengths, _ = collate(tokens, items[part], self.device)
            yield part, self.network.read(values, lengths, **outputs), lengths

    def hidden_states(self, tokens: Tokens, items: np.ndarray) -> Iterator[tuple[slice, tuple[Tensor, ...], Tensor]]:
        """Compute the hidden states of items, batch by batch.

        Yields:
            As `forward`, with the states of every layer in the place of the output: the input of the first block, then the
            output of each block, the last one after the final norm; each float32 [batch, longest, width].

        Raises:
            UserError: the architecture does not return them.
        """
        for part, output, lengths in self.forward(tokens, items, output_hidden_states=True):
            layers = getattr(output, "hidden_states", None)
            if not layers:
                raise self._lacks("hidden states")
            yield part, layers, lengths

    def attention_maps(self, tokens: Tokens, items: np.ndarray) -> Iterator[NDArray[np.float64]]:
        """Compute the attention maps of each item, float64 [layers, heads, length, length]; each row sums to 1.

        Raises:
            UserError: the architecture does not return them.
        """
        try:  # the fused kernels do not keep the maps
            self.network.body.set_attn_implementation("eager")
        except (AttributeError, TypeError, ValueError) as error:
            raise self._lacks("attention maps") from error
        for _, output, lengths in self.forward(tokens, items, output_attentions=True):
            layers = [layer for layer in getattr(output, "attentions", None) or () if layer is not None]
            if not layers:
                raise self._lacks("attention maps")
            maps = torch.stack([_full_maps(layer) for layer in layers]).double().cpu().numpy()
            for item, length in enumerate(lengths.tolist()):
                yield maps[:, item, :, :length, :length]

    def _lacks(self, output: str) -> UserError:
        architecture = self.network.body.config.model_type
        return UserError(
            f"checkpoint {self.checkpoint} ({architecture}) returns no {output}, which this analysis needs; in the study, list "
            "the other checkpoints under `checkpoints` of the analysis, or remove the analysis."
        )


def _full_maps(maps: Tensor) -> Tensor:
    """Return maps over all keys, [batch, heads, length, length]; Longformer returns those of a sliding window.

    Args:
        maps: [batch, heads, length, keys]; fewer keys than positions are the window around each query.
    """
    length, keys = maps.shape[-2:]
    if keys == length:
        return maps
    padded = maps.new_zeros(*maps.shape[:-1], length + keys - 1)  # windows reach over both ends
    places = torch.arange(length, device=maps.device)[:, None] + torch.arange(keys, device=maps.device)
    padded.scatter_(-1, places.expand_as(maps), maps)
    return padded[..., keys // 2 : keys // 2 + length]


def sample_indices(count: int, limit: int, seed: int) -> np.ndarray:
    """Sample at most `limit` of the indices 0 to count - 1 without replacement; return them in ascending order, int64."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:limit])
