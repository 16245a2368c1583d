"""Language models with random weights, and what counting reaches beside them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
    PreTrainedModel,
)

from crossover.files import replacing
from crossover.models.discovery import ADAPTERS
from crossover.models.save import save_model
from crossover.pretraining.ngrams import ngram_losses
from crossover.pretraining.tokenizer import END, PAD, SPECIAL
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec

BASELINES = {"unigram": 1, "trigram": 3}  # orders of count-based models
MODELS = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM}


class EncoderReader(nn.Module):
    """The encoder of an encoder-decoder model as a masked language model: its token embeddings score what it has read.

    Args:
        model: its token embeddings are drawn anew, as BERT's: T5's are as large as its decoder, which scales them, wants them.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = model.get_encoder()
        self.output = model.get_output_embeddings()
        nn.init.normal_(self.output.weight, std=0.02)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        """Compute the scores of each token at each position, [batch, length, tokens], as `logits`."""
        states = self.encoder(input_ids, attention_mask=attention_mask).last_hidden_state
        return SimpleNamespace(logits=self.output(states))


class LanguageModel:
    """A language model and its tokenizer.

    Attributes:
        whole: the model in the class of transformers that it is saved as.
        trained: what of it is trained.
    """

    def __init__(self, spec: PretrainedSpec, tokenizer: Tokenizer, device: torch.device) -> None:
        """Draw the weights with the spec's seed."""
        self.tokenizer = tokenizer
        torch.manual_seed(derived_seed(spec.training.seed, "body"))
        config = model_config(spec, tokenizer.get_vocab_size())
        if config.is_encoder_decoder:
            self.whole: PreTrainedModel = AutoModelForSeq2SeqLM.from_config(config)
            self.trained: nn.Module = EncoderReader(self.whole)
        else:
            self.whole = self.trained = MODELS[str(ADAPTERS[spec.architecture].objective)].from_config(config)
        self.trained.to(device)

    def save(self, out: Path) -> None:
        """Write config.json, model.safetensors and tokenizer.json."""
        save_model(self.whole, out)
        with replacing(out / "tokenizer.json") as temporary:
            self.tokenizer.save(str(temporary))


def model_config(spec: PretrainedSpec, tokens: int) -> PretrainedConfig:
    """Return the config of a model that is made here; what the spec does not say is as the architecture has it.

    Args:
        spec: of the checkpoint.
        tokens: number of token ids, of which the first are the special ones of the objective.
    """
    adapter = ADAPTERS[spec.architecture]
    adapter.register()
    special = SPECIAL[str(adapter.objective)]
    return AutoConfig.for_model(
        adapter.model_type,
        vocab_size=tokens,
        bos_token_id=special.index(END),
        eos_token_id=special.index(END),
        pad_token_id=special.index(PAD) if PAD in special else None,
        **adapter.pretraining_config(spec.blocks, spec.width, spec.heads, spec.positions, spec.dropout),
    )


def losses_beside_counting(
    loss: float, training: np.ndarray, held_out: np.ndarray, predicted: np.ndarray, tokens: int
) -> dict[str, float]:
    """Return the held-out loss of a model beside those of count-based models, in nats per predicted token.

    Args:
        loss: of the model.
        training: token ids to count, int64 [tokens].
        held_out: token ids, int64 [tokens].
        predicted: bool [held-out tokens - 1], which of them but the first are predicted.
        tokens: number of token ids.
    """
    counted = {
        name: float(ngram_losses(training, held_out, tokens, order)[predicted].mean())
        for name, order in BASELINES.items()
    }
    return {"model": loss} | counted
