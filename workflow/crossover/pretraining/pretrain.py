"""Pretrain a small language model with its own tokenizer, and measure what it has learned."""

import logging
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
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

from crossover.config.checkpoints import Pretraining
from crossover.errors import UserError
from crossover.files import replacing, sha256, write_parquet
from crossover.models.adapter import Adapter
from crossover.models.discovery import ADAPTERS
from crossover.models.save import save_model
from crossover.pretraining.corpus import read_corpus
from crossover.pretraining.ngrams import ngram_losses
from crossover.pretraining.objectives import (
    IGNORE_INDEX,
    Objective,
    draw_windows,
    evaluation_batches,
    held_out_loss,
    masked,
    mean_loss,
    next_token,
)
from crossover.pretraining.tokenizer import END, MASK, PAD, SPECIAL, CorpusTokens, tokenize
from crossover.runs.provenance import Recorder
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import PretrainedSpec
from crossover.specs.descriptions import CorpusSize, LanguageModelReport, PretrainedDescription
from crossover.training.device import device_use
from crossover.training.loop import LoopSettings, train
from crossover.training.schedules import Schedule
from crossover.training.state import StateStore

log = logging.getLogger(__name__)
WARM_UP = 0.05  # share of the steps
FILES = ("config.json", "model.safetensors", "tokenizer.json", "curve.parquet")
BASELINES = {"unigram": 1, "trigram": 3}  # orders of count-based models
MODELS = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM}


def pretrain_checkpoint(
    spec: PretrainedSpec, corpus: Path, out: Path, device: torch.device, save_every: float, command: str
) -> None:
    """Train tokenizer and model, and write what was made, what was learned, and at what cost.

    The files are config.json, model.safetensors, tokenizer.json, curve.parquet, checkpoint.json (the same bytes whenever
    the same checkpoint is made) and provenance.json.

    Args:
        spec: of the checkpoint.
        corpus: dataset.json of a text dataset, or card.json of a task.
        out: results/checkpoints/<checkpoint>/.
        device: where to compute.
        save_every: seconds between saves of the training state.
        command: what was called, for the provenance.

    Raises:
        UserError: the corpus is damaged, or too small for the context.
    """
    training = spec.training
    recorder = Recorder(spec.code, command)
    adapter = ADAPTERS[spec.architecture]
    kind = str(adapter.objective)
    tokenizer, tokens = tokenize(read_corpus(corpus), spec.vocabulary, SPECIAL[kind], training.held_out, training.seed)
    if min(len(tokens.training), len(tokens.held_out)) <= training.context:
        raise UserError(
            f"{corpus}: the corpus is shorter than one context of {training.context} tokens; use more text or a shorter context."
        )
    objective = _objective(kind, tokenizer)
    torch.manual_seed(derived_seed(training.seed, "body"))
    whole, model = language_model(kind, model_config(spec, adapter, tokenizer))
    model.to(device)
    torch.manual_seed(derived_seed(training.seed, "dropout"))

    def losses_of(step: int) -> list[Tensor]:
        rng = np.random.default_rng([training.seed, step])
        windows = draw_windows(tokens.training, training.context, training.batch_size, rng)
        return [mean_loss(model, *objective(windows, rng, True), device)]

    def validate() -> tuple[float, float]:
        loss = held_out_loss(model, tokens.held_out, training.context, objective, training.seed, device)
        return -loss, loss

    store = StateStore(out / "state", save_every)
    progress = train(model, _loop_settings(training), losses_of, validate, store)

    save_model(whole, out)
    with replacing(out / "tokenizer.json") as temporary:
        tokenizer.save(str(temporary))
    curve = pd.DataFrame(progress.curve, columns=["step", "split", "loss", "score"])
    write_parquet(out / "curve.parquet", curve[["step", "split", "loss"]])
    batches = evaluation_batches(tokens.held_out, training.context, objective, training.seed)
    predicted = np.concatenate([(labels != IGNORE_INDEX).ravel() for _, labels in batches])
    report = _report(tokens, predicted, progress.best_loss, tokenizer.get_vocab_size())
    PretrainedDescription(
        name=spec.name,
        objective=kind,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        steps=progress.step,
        best_step=progress.best_step,
        tokens_seen=progress.step * training.batch_size * training.context,
        sha256={name: sha256(out / name) for name in FILES},
        **dict(report),
    ).write(out / "checkpoint.json")
    provenance = recorder.finish(device_use(device), progress.resumed, {"corpus": sha256(corpus)})
    provenance.write(out / "provenance.json")
    store.clear()


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

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Compute the scores of each token at each position, [batch, length, tokens], as `logits`."""
        return SimpleNamespace(logits=self.output(self.encoder(input_ids).last_hidden_state))


def _loop_settings(training: Pretraining) -> LoopSettings:
    return LoopSettings(
        max_steps=training.steps,
        evaluate_every=max(1, training.steps // 20),
        schedule=pretraining_schedule(training.learning_rate, training.steps),
        weight_decay=training.weight_decay,
    )


def pretraining_schedule(learning_rate: float, steps: int) -> Schedule:
    """Return the learning rate of each step: a linear warm-up, then a cosine decay to a tenth of it."""
    warm_up = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return learning_rate * (step + 1) / warm_up
        done = (step - warm_up) / max(1, steps - warm_up)
        return learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))

    return rate


def _objective(kind: str, tokenizer: Tokenizer) -> Objective:
    if kind == "causal":
        return next_token
    special = SPECIAL[kind]
    return masked(special.index(MASK), len(special), tokenizer.get_vocab_size())


def model_config(spec: PretrainedSpec, adapter: Adapter, tokenizer: Tokenizer) -> PretrainedConfig:
    """Return the config of a model that is made here; what the spec does not say is as the architecture has it."""
    adapter.register()
    end = tokenizer.token_to_id(END)
    return AutoConfig.for_model(
        adapter.model_type,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=tokenizer.token_to_id(PAD),
        **adapter.pretraining_config(spec.blocks, spec.width, spec.heads, spec.positions, spec.dropout),
    )


def language_model(objective: str, config: PretrainedConfig) -> tuple[PreTrainedModel, nn.Module]:
    """Return a model with random weights, in the class of transformers that it is saved as, and what of it is trained."""
    if config.is_encoder_decoder:
        whole = AutoModelForSeq2SeqLM.from_config(config)
        return whole, EncoderReader(whole)
    model = MODELS[objective].from_config(config)
    return model, model


def _report(tokens: CorpusTokens, predicted: np.ndarray, loss: float, vocabulary: int) -> LanguageModelReport:
    """Return what was learned: the held-out loss of the model beside those of count-based models.

    Args:
        tokens: of the corpus.
        predicted: bool [held-out tokens - 1], which tokens are predicted.
        loss: of the model, in nats.
        vocabulary: number of token ids.
    """
    losses = {"model": loss} | {
        name: float(ngram_losses(tokens.training, tokens.held_out, vocabulary, order)[predicted].mean())
        for name, order in BASELINES.items()
    }
    per_character = (len(tokens.held_out) - 1) / tokens.held_out_characters / math.log(2)
    return LanguageModelReport(
        vocabulary=vocabulary,
        corpus=CorpusSize(
            characters=tokens.characters,
            tokens=len(tokens.training) + len(tokens.held_out),
            held_out_tokens=len(tokens.held_out),
            predicted_tokens=int(predicted.sum()),
        ),
        loss=losses,
        perplexity={name: math.exp(value) for name, value in losses.items()},
        # Only a model that reads from left to right gives a text a probability.
        bits_per_character={name: value * per_character for name, value in losses.items()} if predicted.all() else None,
    )
