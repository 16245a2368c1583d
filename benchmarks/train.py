"""What a training step costs, beside what a user would write or take instead.

python benchmarks/train.py [CASE ...]     all cases, or those named

Three ways of the same training, measured in turns in this one run, on one thread of the CPU, in CPU seconds per step:

- plain: a loop over the Hugging Face model with the arithmetic of Lu et al.'s code: the padded batch through the whole body, the
  state at the read position through a linear layer, clipping, the optimizer of PyTorch;
- Trainer: the Trainer of Hugging Face on the same module; where items differ in length, it groups them by length;
- ours: the loop of crossover as its runs use it.

A ratio above 1 says how many times faster ours is; after it the least and the largest of all turns, which show the noise. The
rate is the arithmetic of the plain way (six operations for each weight and real position, four where weights are frozen) over the
time of ours, as a share of what a matrix product reaches here. Nothing is downloaded: models are random, as only their shape counts.
"""

import logging
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow")]

from crossover.config.conditions import TrainedPart  # noqa: E402
from crossover.encodings.tokens import Tokens  # noqa: E402
from crossover.models.derive import adapter_for  # noqa: E402
from crossover.models.factory import detach_token_embedding  # noqa: E402
from crossover.models.lora import add_lora  # noqa: E402
from crossover.models.module import SequenceModel  # noqa: E402
from crossover.models.trainable import trained_rates  # noqa: E402
from crossover.specs.descriptions import EncodedTarget  # noqa: E402
from crossover.training.constant_states import constant_states  # noqa: E402
from crossover.training.device import set_up_torch  # noqa: E402
from crossover.training.finetune import losses_of  # noqa: E402
from crossover.training.loop import LoopSettings, batches, train  # noqa: E402
from crossover.training.schedules import make_schedule  # noqa: E402
from crossover.training.state import StateStore  # noqa: E402

CPU = torch.device("cpu")
CLASSES, SYMBOLS, ITEMS, TURNS = 3, 20, 256, 5
FROZEN = (TrainedPart(groups=["head", "input", "positions", "norms"]),)
ALL = (TrainedPart(groups=["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]),)
HEAD = (TrainedPart(groups=["head"]),)
LAST = (
    TrainedPart(groups=["head"]),
    TrainedPart(groups=["norms", "attention", "feedforward"], blocks={"which": "last", "count": 1}),
)
LORA = (*FROZEN, TrainedPart(groups=["attention"], lora={"rank": 8, "alpha": 16}))
GPT2 = {"activation_function": "gelu_new", "n_positions": 512}
MINI = ("gpt2", GPT2 | {"n_embd": 256, "n_layer": 4, "n_head": 4})
BASE = ("gpt2", GPT2 | {"n_embd": 768, "n_layer": 12, "n_head": 12})
DEMO = ("gpt2", GPT2 | {"n_embd": 96, "n_layer": 2, "n_head": 4, "activation_function": "gelu_pytorch_tanh"})
MINILM = ("bert", {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536})


@dataclass(frozen=True)
class Case:
    """A training: what model, what is trained, on what items.

    Attributes:
        model: type and settings of the Hugging Face model.
        trained: parts of it.
        batch: items of a step.
        shortest: positions of an item at least.
        longest: positions of an item at most.
        steps: of one measurement of ours, over which what is computed once is spread.
        dropout: in the body.
    """

    model: tuple[str, dict[str, Any]]
    trained: tuple[TrainedPart, ...]
    batch: int
    shortest: int
    longest: int
    steps: int = 8
    dropout: float = 0.0

    @property
    def few(self) -> int:
        """Steps of a measurement of the others, each of which costs the same."""
        return min(self.steps, 8)


CASES = {
    "demo, frozen": Case(DEMO, FROZEN, 24, 60, 120, 20),
    "demo, all": Case(DEMO, ALL, 24, 60, 120, 20),
    "mini, frozen": Case(MINI, FROZEN, 16, 120, 120),
    "mini, frozen, dropout 0.1": Case(MINI, FROZEN, 16, 120, 120, dropout=0.1),
    "mini, all": Case(MINI, ALL, 16, 120, 120),
    "mini, all, padded": Case(MINI, ALL, 16, 60, 500, 4),
    "mini, LoRA": Case(MINI, LORA, 16, 120, 120),
    "mini, head": Case(MINI, HEAD, 16, 120, 120, 320),  # 20 epochs
    "mini, last block": Case(MINI, LAST, 16, 120, 120, 320),
    "MiniLM, frozen": Case(MINILM, FROZEN, 32, 60, 60, 3),
    "MiniLM, all": Case(MINILM, ALL, 32, 60, 60, 3),
    "MiniLM, all, padded": Case(MINILM, ALL, 16, 60, 500, 2),
    "base, frozen": Case(BASE, FROZEN, 4, 64, 64, 2),
    "base, all": Case(BASE, ALL, 4, 64, 64, 2),
}


def tokens_of(case: Case) -> Tokens:
    """Return random items of lengths that are drawn uniformly."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(case.shortest, case.longest + 1, ITEMS)
    values = generator.integers(0, SYMBOLS, lengths.sum()).astype(np.uint16)
    return Tokens(
        values, np.concatenate([[0], np.cumsum(lengths)])[:-1], generator.integers(0, CLASSES, ITEMS), lengths
    )


def model_of(case: Case) -> SequenceModel:
    """Return a random model of crossover, with what is trained set."""
    torch.manual_seed(0)
    model_type, settings = case.model
    config = AutoConfig.for_model(model_type, **settings)
    adapter = adapter_for(config)
    for name in adapter.dropouts:
        setattr(config, name, case.dropout)
    body = AutoModel.from_config(config, **adapter.load_options)
    detach_token_embedding(body, adapter)
    target = EncodedTarget(kind="class", metric="accuracy", classes=tuple("abc"))
    model = SequenceModel(body, nn.Embedding(SYMBOLS, adapter.widths(config)[0]), target, adapter)
    for part in case.trained:
        if part.lora:
            add_lora(body, adapter, part, 0)
    model.rates = trained_rates(model, case.trained, adapter, "input")
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in model.rates
    return model


class Plain(nn.Module):
    """The same model as one would write it: the whole body on the padded batch, then the state at the last real position."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model
        model.whole = True

    def forward(self, input_ids: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the loss, as the Trainer asks for it."""
        mask = (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()
        states = self.model.body(inputs_embeds=self.model.input(input_ids), attention_mask=mask).last_hidden_state
        read = states[torch.arange(len(states)), lengths - 1]
        return {"loss": functional.cross_entropy(self.model.head(read), labels)}


def plain(case: Case) -> Callable[[], float]:
    """Return one measurement of the plain loop: CPU seconds per step."""
    tokens, model = tokens_of(case), Plain(model_of(case)).train()
    order, items = batches(ITEMS, case.batch, 0), padded_items(tokens)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def steps() -> None:
        for step in range(case.few):
            batch = collated([items[index] for index in order(step)])
            optimizer.zero_grad()
            model(**batch)["loss"].backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()

    return lambda: seconds(steps) / case.few


def trainer(case: Case) -> Callable[[], float]:
    """Return one measurement of the Trainer."""
    model, items = Plain(model_of(case)), padded_items(tokens_of(case))
    options = {
        "per_device_train_batch_size": case.batch,
        "max_steps": case.few,
        "max_grad_norm": 1.0,
        "learning_rate": 1e-4,
    }
    quiet = {"report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    grouped = {"train_sampling_strategy": "group_by_length"} if case.shortest < case.longest else {}
    folder = tempfile.mkdtemp()

    def steps() -> None:
        arguments = TrainingArguments(output_dir=folder, remove_unused_columns=False, **options, **quiet, **grouped)
        trainer = Trainer(model, arguments, train_dataset=items, data_collator=collated)
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    return lambda: seconds(steps) / case.few


def ours(case: Case) -> Callable[[], float]:
    """Return one measurement of crossover's loop."""
    tokens, model = tokens_of(case), model_of(case)
    order = batches(ITEMS, case.batch, 0)
    settings = LoopSettings(case.steps, case.steps + 1, make_schedule("constant", 1e-4, 0, case.steps))

    def steps() -> None:
        network, items = model, tokens
        constant = constant_states(model, tokens, CPU) if case.steps * case.batch > 2 * ITEMS else None
        if constant:
            network, items = constant.network, constant.tokens(tokens, CPU)
        with tempfile.TemporaryDirectory() as folder:
            store = StateStore(Path(folder) / "state", 1e9)
            train(
                model,
                settings,
                lambda step: losses_of(network, items, order(step), None, CPU),
                lambda: (0.0, 0.0),
                store,
            )

    return lambda: seconds(steps) / case.steps


def padded_items(tokens: Tokens) -> list[dict[str, Any]]:
    """Return the items as a user's data set would have them."""
    return [
        {
            "input_ids": torch.from_numpy(tokens.values[begin : begin + length].astype(np.int64)),
            "lengths": length,
            "labels": label,
        }
        for begin, length, label in zip(tokens.offsets, tokens.lengths, tokens.targets, strict=True)
    ]


def collated(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Pad items to the longest of them."""
    values = nn.utils.rnn.pad_sequence([item["input_ids"] for item in items], batch_first=True)
    return {
        "input_ids": values,
        **{key: torch.tensor([int(item[key]) for item in items]) for key in ("lengths", "labels")},
    }


def seconds(steps: Callable[[], None]) -> float:
    """Return the CPU seconds of one call."""
    begin = time.process_time()
    steps()
    return time.process_time() - begin


def gemm_rate() -> float:
    """Return the operations per second of a matrix product of the size of a feed-forward layer."""
    one, other = torch.randn(2048, 384), torch.randn(384, 1536)
    one @ other
    best = min(seconds(lambda: [one @ other for _ in range(20)]) for _ in range(3))  # type: ignore[arg-type, func-returns-value]
    return 20 * 2 * 2048 * 384 * 1536 / best


def operations(case: Case) -> float:
    """Return the operations of a step: twice the weights for each real position, and again for each gradient."""
    model, lengths = model_of(case), tokens_of(case).lengths
    weights = [
        one
        for name, one in model.body.named_parameters()
        if one.dim() == 2 and ".lora_" not in name and "wpe" not in name
    ]
    per_position = sum((6 if one.requires_grad else 4) * one.numel() for one in weights)
    return float(per_position * lengths.mean() * case.batch)


def main() -> None:
    """Measure the cases in turns, and print their ratios."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    disable_progress_bar()
    set_verbosity_error()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    set_up_torch(1)
    wanted = sys.argv[1:] or list(CASES)
    print(f"{'case':28} {'over plain':>22} {'over Trainer':>22} {'ms per step':>12} {'of GEMM rate':>13}")
    for name in wanted:
        case = CASES[name]
        ways = [ours(case), plain(case), trainer(case)]
        for way in ways:
            way()
        turns = [[way() for way in ways] for _ in range(TURNS)]
        own = statistics.median(turn[0] for turn in turns)
        columns = []
        for other in (1, 2):
            ratios = [turn[other] / turn[0] for turn in turns]
            columns.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        share = operations(case) / own / gemm_rate()
        shown = f"{share:.0%}" if math.isfinite(share) and share < 1.5 else "-"
        print(f"{name:28} {columns[0]:>22} {columns[1]:>22} {1000 * own:12.1f} {shown:>13}", flush=True)


if __name__ == "__main__":
    main()
