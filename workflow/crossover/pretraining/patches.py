"""Learn from the patches of a task: regression of the next patch, or of masked ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from crossover.encodings.tokens import Tokens
from crossover.files import write_text
from crossover.models.discovery import ADAPTERS
from crossover.models.embeddings import new_input, scale_input, scale_of
from crossover.models.patch_input import patch_input_state
from crossover.models.save import save_model
from crossover.models.token_table import detach_token_embedding
from crossover.pretraining.items import EVALUATION_ITEMS, TaskItems
from crossover.pretraining.language_model import model_config
from crossover.pretraining.objectives import draw_places
from crossover.pretraining.tokenizer import SPECIAL
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import CorpusSize, PretrainingReport
from crossover.training.loop import slices

MASKED_PATCHES = (
    0.5  # share; Amos et al. (2024) mask half of an image, since neighbouring patches tell much of each other
)
MASK_DEVIATION = 0.02  # of the values that the mask starts from (SimMIM, Xie et al. 2022)


class PatchModel(nn.Module):
    """A body between a linear input layer and a linear output layer: from patches to patches.

    Attributes:
        mask: what stands in the place of embedded patches that are masked (Xie et al. 2022); None for a causal body.
    """

    def __init__(self, body: PreTrainedModel, input_layer: nn.Linear, width: int, masked: bool) -> None:
        """Put the parts together, and draw mask and output layer from torch's global generator.

        Args:
            body: without token embeddings.
            input_layer: from patches to what the body takes.
            width: of the body's hidden states.
            masked: whether patches are masked.
        """
        super().__init__()
        self.input, self.body = input_layer, body
        self.mask = nn.Parameter(MASK_DEVIATION * torch.randn(input_layer.out_features)) if masked else None
        self.output = nn.Linear(width, input_layer.in_features)

    def forward(self, patches: Tensor, real: Tensor, hidden: Tensor) -> Tensor:
        """Predict a patch at each position, float32 [batch, longest, values].

        Args:
            patches: float32 [batch, longest, values].
            real: bool [batch, longest], false at padding.
            hidden: bool [batch, longest], true at patches that are masked; none where the body is causal.
        """
        embedded = self.input(patches)
        if self.mask is not None:
            embedded = torch.where(hidden[:, :, None], self.mask, embedded)
        states = self.body(inputs_embeds=embedded, attention_mask=real.long()).last_hidden_state
        predicted: Tensor = self.output(states)
        return predicted


class Batch(NamedTuple):
    """Some items of a split.

    Attributes:
        patches: float32 [items, longest, values].
        real: bool [items, longest], false at padding.
        wanted: bool [items, longest], the patches that are predicted.
    """

    patches: np.ndarray
    real: np.ndarray
    wanted: np.ndarray


class PatchLearner:
    """A model that reads whole items of a task, and predicts patches with the mean squared error.

    A causal one predicts each patch but the first from those before it; a masked one half of them from the others, all of which
    are replaced by the mask (SimMIM, Xie et al. 2022; Amos et al. 2024). Images are not augmented.
    """

    def __init__(self, spec: PretrainedSpec, corpus: Path, device: torch.device) -> None:
        """Open the training and the validation split, and draw the model with the spec's seed.

        The input layer starts as a new one of a run does.

        Args:
            spec: of the checkpoint.
            corpus: encoding.json of the task's tokens.
            device: where to compute.

        Raises:
            UserError: a file is damaged, or the items are too long for the model or too short to predict anything.
        """
        self.spec, self.device, self.adapter = spec, device, ADAPTERS[spec.architecture]
        self.causal = self.adapter.objective == "causal"
        self.items = TaskItems.open(spec, corpus)
        self.items.require_longer_than(int(self.causal))
        config = model_config(spec, len(SPECIAL[str(self.adapter.objective)]))
        torch.manual_seed(derived_seed(spec.training.seed, "body"))
        self.whole: PreTrainedModel = AutoModel.from_config(config, **self.adapter.load_options)
        body = self.adapter.body_of(self.whole)
        self.table = detach_token_embedding(body, self.adapter)
        torch.manual_seed(derived_seed(spec.training.seed, "input"))
        entering, width = self.adapter.widths(config)
        layer = new_input(self.items.encoding, entering)
        assert isinstance(layer, nn.Linear)
        scale_input(layer, self.items.training, scale_of(self.table))
        self.model = PatchModel(body, layer, width, not self.causal).to(device)

    def loss(self, step: int) -> Tensor:
        """Return the mean squared error on the predicted patches of the items of a step."""
        rng = np.random.default_rng([self.spec.training.seed, step])
        batch = self._batch(self.items.training, self.items.order(step), rng)
        return self._squared_error(batch) / max(1, int(batch.wanted.sum()))

    def held_out_loss(self) -> float:
        """Return the mean squared error on the predicted patches of the validation split."""
        total, count = 0.0, 0
        for batch in self._evaluation():
            total += self._squared_error(batch).item()
            count += int(batch.wanted.sum())
        return total / count

    def _squared_error(self, batch: Batch) -> Tensor:
        """Return the sum over predicted patches of the squared error, which is a mean over the values of a patch."""
        patches, real, wanted = (torch.from_numpy(array).to(self.device) for array in batch)
        predicted = self.model(patches, real, wanted)
        if self.causal:  # what is computed at a patch predicts the next one
            predicted, patches, wanted = predicted[:, :-1], patches[:, 1:], wanted[:, 1:]
        total: Tensor = (predicted - patches).square().mean(dim=2)[wanted].sum()
        return total

    def _evaluation(self) -> Iterator[Batch]:
        """Yield the batches of an evaluation, always the same."""
        rng, tokens = np.random.default_rng([self.spec.training.seed, 1]), self.items.validation
        for part in slices(len(tokens), EVALUATION_ITEMS):
            yield self._batch(tokens, np.arange(len(tokens))[part], rng)

    def _batch(self, tokens: Tokens, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        patches, real, _ = tokens.gather(indices)
        wanted = real & (np.arange(real.shape[1]) > 0) if self.causal else draw_places(real, MASKED_PATCHES, rng)
        return Batch(patches.astype(np.float32), real, wanted)

    def save(self, out: Path) -> None:
        """Write the body with its own token embeddings, which nothing has read, and the input layer; there is no tokenizer."""
        self.model.cpu().body.set_submodule(self.adapter.token_table, self.table)
        save_model(self.whole, out, self.whole.state_dict() | patch_input_state(self.model.input))
        write_text(out / "tokenizer.json", "null\n")

    def report(self, loss: float, steps: int) -> PretrainingReport:
        """Return what was learned, beside what the mean patch of the training split reaches."""
        held_out = self.items.validation
        total, count = 0.0, 0
        mean = self._mean_patch()
        for batch in self._evaluation():
            total += float(np.square(batch.patches[batch.wanted] - mean, dtype=np.float64).mean(axis=1).sum())
            count += int(batch.wanted.sum())
        return PretrainingReport(
            vocabulary=None,
            corpus=CorpusSize(
                characters=None,
                tokens=self.items.positions,
                held_out_tokens=int(held_out.lengths.sum()),
                predicted_tokens=count,
            ),
            loss={"model": loss, "mean": total / count},
            perplexity=None,
            bits_per_character=None,
            tokens_seen=self.items.positions_seen(steps),
        )

    def _mean_patch(self) -> np.ndarray:
        """Return the mean of all patches of the training split, float64 [values]."""
        training = self.items.training
        mean: np.ndarray = training.values.mean(axis=0, dtype=np.float64)
        return mean if training.scaling is None else mean * training.scaling[0] + training.scaling[1]


make_learner = PatchLearner
