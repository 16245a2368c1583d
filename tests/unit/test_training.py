import math
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import ask_to_end, finetune, renamed, results
from torch import nn
from torch.nn import functional
from transformers import BertModel, GPT2Model, get_scheduler

from crossover import cli
from crossover.config.encodings import PatchesEncoding
from crossover.config.tasks import Target
from crossover.encodings.tokenize import tokenize_task
from crossover.encodings.tokens import Tokens
from crossover.errors import UserError
from crossover.files import read_json, sha256, tree_digest, write_parquet
from crossover.models.factory import build_model
from crossover.runs.lock import exclusive, is_held, read_owner
from crossover.seeds import derived_seed
from crossover.specs.descriptions import Card, CheckpointDescription
from crossover.specs.runs import RunSpec
from crossover.specs.tasks import TokensSpec
from crossover.training import finetune as stage
from crossover.training.collate import collate
from crossover.training.finetune import evaluate, finetune_run
from crossover.training.loop import Interrupted, LoopSettings, batches, slices, train
from crossover.training.parts import PART_COST
from crossover.training.scoring import Scorer
from crossover.training.state import StateStore
from crossover.training.subsets import draw_subset

CPU = torch.device("cpu")
NEVER = 1e9  # seconds between saves


def run(spec: RunSpec, out: Path, seed: int = 0) -> dict:
    """Fine-tune here and now; return the metrics, with those of the selected rate."""
    finetune_run(spec, seed, out, CPU, NEVER, "test")
    metrics = read_json(out / "metrics.json")
    return metrics | metrics["selected"]


def losses(out: Path, split: str) -> list[float]:
    curve = pd.read_parquet(out / "curve.parquet")
    return curve.loc[curve["split"] == split, "loss"].tolist()


# --- against the plain Hugging Face model -----------------------------------------------------------------------


class Plain(nn.Module):
    """The same network from the plain classes, one item at a time, so that there is neither padding nor a mask."""

    def __init__(self, tiny, task: str, model: str) -> None:
        super().__init__()
        folder, load = tiny.checkpoints[model].folder, {"gpt2": GPT2Model, "bert": BertModel}[model]
        self.body = load.from_pretrained(folder, attn_implementation="eager")
        self.target = tiny.encoding(task).target
        width = (len(self.target.classes),) if task == "listops" else (self.target.bits, 2)
        self.input = nn.Embedding(9999, 16) if task == "listops" else nn.Linear(2, 16)
        self.head, self.width = nn.Linear(16, math.prod(width)), width

    def copy(self, sequence: nn.Module) -> "Plain":
        self.input, self.head = sequence.input, sequence.head
        return self

    def item(self, values: np.ndarray) -> torch.Tensor:
        inputs = torch.from_numpy(values.astype(np.int64) if values.ndim == 1 else np.array(values))
        hidden = self.body(inputs_embeds=self.input(inputs)[None]).last_hidden_state[0]
        last = hidden[-self.target.positions :]
        return self.head(last).reshape(-1, self.width[-1])

    def loss(self, items: list) -> torch.Tensor:
        each = [
            functional.cross_entropy(self.item(values), torch.from_numpy(np.array(target, dtype=np.int64)).reshape(-1))
            for values, target in items
        ]
        return sum(each) / len(each)


def stored(folder: Path, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Items and targets of a split, read from the files without the package."""
    values, offsets, targets = (np.load(folder / f"{split}.{part}.npy") for part in ("values", "offsets", "targets"))
    return [(values[a:b], target) for a, b, target in zip(offsets, offsets[1:], targets, strict=False)]


def adam(parameters: list[nn.Parameter], rates: list[float], decay: float, clip: float, decoupled: bool, smallest: int):
    """Adam (Kingma & Ba 2015) with a clipped gradient norm, written out.

    Decay is part of the gradient, or decoupled as in AdamW (Loshchilov & Hutter 2019, algorithm 2), for parameters of at
    least `smallest` dimensions.
    """
    moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in parameters]

    @torch.no_grad()
    def step(number: int) -> None:
        norm = math.sqrt(sum(one.grad.double().pow(2).sum().item() for one in parameters))
        for one, (first, second) in zip(parameters, moments, strict=True):
            rate, own_decay = rates[number - 1], decay if one.dim() >= smallest else 0.0
            gradient = one.grad * min(1.0, clip / norm) + (0 if decoupled else own_decay * one)
            first.copy_(0.9 * first + 0.1 * gradient)
            second.copy_(0.999 * second + 0.001 * gradient**2)
            update = first / (1 - 0.9**number) / ((second / (1 - 0.999**number)).sqrt() + 1e-8)
            one -= rate * update + (rate * own_decay * one if decoupled else 0)
            one.grad = None

    return step


def rates_of(training: dict, peak: float, warm_up: int, steps: int) -> list[float]:
    """The learning rate of each step by the schedules of transformers."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    given = {} if training.get("schedule", "constant") == "constant" else {"num_training_steps": steps}
    kind = "constant_with_warmup" if not given else training["schedule"]
    schedule = get_scheduler(kind, optimizer, num_warmup_steps=warm_up, **given)
    rates = []
    for _ in range(steps):
        rates += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    return rates


ALL = ["head", "input", "positions", "norms", "attention", "feedforward", "embeddings"]


@pytest.mark.parametrize(
    ("model", "task", "trained", "training", "warm_up", "steps"),
    [
        ("gpt2", "listops", ALL[:-1], {"gradient_clip": 0.3, "length": "10 steps"}, 0, 10),
        (
            *("bert", "bits", ALL),  # 40 items: an epoch of two whole batches and one of 8
            {"optimizer": "adam", "decayed": "all", "schedule": "linear", "warm_up": "1 epoch", "length": "3 epochs"},
            *(3, 9),
        ),
        (
            *("bert", "listops", ["head", "input", "positions", "norms"]),
            {"schedule": "cosine", "warm_up": "25 %", "length": "10 steps", "gradient_clip": 0.3, "micro_batch": 5},
            *(3, 10),
        ),
        ("gpt2", "bits", ["head"], {"gradient_clip": None, "warm_up": "4 steps", "length": "8 steps"}, 4, 8),
    ],
)
def test_training_is_that_of_the_plain_model(model, task, trained, training, warm_up, steps, tiny, tmp_path):
    rate, decay, size = 3e-3, 0.1, 16
    training = {
        "batch_size": size,
        "evaluate_every": "1 step",
        "weight_decay": decay,
        "gradient_clip": 100.0,
    } | training
    spec = tiny.spec(task, model, trained=trained, learning_rate=rate, training=training)
    metrics = run(spec, tmp_path, seed=3)

    start_of_run = build_model(spec, tiny.encoding(task), tiny.items(task), 3)
    chosen = {name for name, one in start_of_run.named_parameters() if one.requires_grad}
    plain = Plain(tiny, task, model).copy(start_of_run).eval()  # without dropout, as in the spec
    parameters = [one for name, one in plain.named_parameters() if name in chosen]
    assert len(parameters) == len(chosen)
    items, held_out = stored(tiny.tokens[task], "train"), stored(tiny.tokens[task], "validation")
    update = adam(
        parameters,
        rates_of(training, rate, warm_up, steps),
        decay,
        training["gradient_clip"] or math.inf,
        decoupled=spec.training.optimizer == "adamw",
        smallest=1 if spec.training.decayed == "all" else 2,
    )
    expected: dict[str, list[float]] = {"train": [], "validation": [plain.loss(held_out).item()]}
    order = np.concatenate(
        [np.random.default_rng([derived_seed(3, "order"), epoch]).permutation(len(items)) for epoch in range(9)]
    )
    position = 0
    for step in range(steps):
        left = len(items) - position % len(items)  # an epoch ends with a smaller batch
        batch = order[position : position + min(size, left)]
        position += len(batch)
        loss = plain.loss([items[index] for index in batch])
        loss.backward()
        update(step + 1)
        expected["train"].append(loss.item())
        expected["validation"].append(plain.loss(held_out).item())
    for split, values in expected.items():
        assert losses(tmp_path, split) == pytest.approx(values, abs=1e-5)
    assert metrics["validation"]["loss"] == pytest.approx(expected["validation"][metrics["best_step"]], abs=1e-5)
    assert metrics["parameters"]["trained"] == sum(one.numel() for one in parameters)


# --- a whole run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_a_set_that_can_be_memorised_is_memorised(model, tiny, tmp_path):
    training = {"length": "150 steps", "evaluate_every": "50 steps", "batch_size": 100}
    run(tiny.spec(model=model, learning_rate=1e-2, training=training), tmp_path)
    found = losses(tmp_path, "train")
    assert found[-1] < 0.05
    assert found[0] > 0.5


def test_the_files_of_a_run_agree_with_each_other_and_with_the_test_split(tiny, tmp_path):
    spec = tiny.spec()
    metrics, predictions = run(spec, tmp_path), pd.read_parquet(tmp_path / "predictions.parquet")
    prepared = pd.read_parquet(tiny.root / "results/tasks/listops/test.parquet")
    assert predictions["item"].tolist() == prepared["item"].tolist()
    assert predictions["target"].tolist() == prepared["target"].tolist()
    assert predictions["score"].tolist() == (predictions["target"] == predictions["prediction"]).astype(float).tolist()
    assert metrics["test"]["score"] == predictions["score"].mean()
    assert metrics["test"]["items"] == len(prepared)
    assert (metrics["task"], metrics["checkpoint"], metrics["condition"]) == ("listops", "tiny-gpt2", "tried")
    curve = pd.read_parquet(tmp_path / "curve.parquet")
    validation = curve[curve["split"] == "validation"].set_index("step")
    assert validation.index.tolist() == [0, 5, 10, 15, 20]
    assert metrics["best_step"] == validation["score"].loc[1:].idxmax()
    assert metrics["validation"] == validation.loc[metrics["best_step"], ["score", "loss"]].to_dict()
    provenance = read_json(tmp_path / "provenance.json")
    assert provenance["code"] == spec.code
    assert provenance["resumed"] == 0
    assert not (tmp_path / "state").exists()


def test_the_best_weights_are_those_that_are_tested(tiny, tmp_path):
    """A run that is stopped at its best step has the same predictions as one that went on after it."""
    whole = run(
        tiny.spec(training={"length": "40 steps", "evaluate_every": "5 steps"}, learning_rate=0.1), tmp_path / "a"
    )
    best = whole["best_step"]
    assert 0 < best < 40, "choose another rate: this one is best at an end"
    short = run(
        tiny.spec(training={"length": f"{best} steps", "evaluate_every": "5 steps"}, learning_rate=0.1), tmp_path / "b"
    )
    assert short["test"] == whole["test"]
    assert results(tmp_path / "a")["predictions.parquet"] == results(tmp_path / "b")["predictions.parquet"]


def test_seeds_and_dropout_matter_and_equal_runs_are_equal(tiny, tmp_path):
    found = {}
    for name, seed, dropout in [("a", 0, 0.1), ("b", 0, 0.1), ("c", 1, 0.1), ("d", 0, 0.0)]:
        run(tiny.spec(training={"dropout": dropout}), tmp_path / name, seed)
        found[name] = (tmp_path / name / "curve.parquet").read_bytes()
    assert found["a"] == found["b"]
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("task", ["listops", "bits"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_step_in_parts_is_the_step_of_the_whole_batch(size, task, tiny, tmp_path):
    training = {"length": "6 steps", "evaluate_every": "2 steps"}  # without dropout, whose draws would be others
    run(tiny.spec(task, training=training), tmp_path / "whole")
    run(tiny.spec(task, training=training | {"micro_batch": size}), tmp_path / "parts")
    for split in ("train", "validation"):
        assert losses(tmp_path / "parts", split) == pytest.approx(losses(tmp_path / "whole", split), abs=1e-5)


def test_a_step_in_parts_by_length_is_the_step_of_the_padded_batch(tiny, tmp_path, monkeypatch):
    training = {"length": "6 steps", "evaluate_every": "2 steps", "batch_size": 32}
    run(tiny.spec(training=training), tmp_path / "whole")
    monkeypatch.setitem(PART_COST, "cpu", 1)
    run(tiny.spec(training=training), tmp_path / "parts")
    assert losses(tmp_path / "parts", "train") != losses(tmp_path / "whole", "train"), (
        "rounding shows that there were parts"
    )
    for split in ("train", "validation"):
        assert losses(tmp_path / "parts", split) == pytest.approx(losses(tmp_path / "whole", split), abs=1e-5)


def test_bf16_reaches_the_score_of_fp32(tiny, tmp_path):
    training = {"length": "60 steps", "evaluate_every": "20 steps", "batch_size": 100}
    scores, first = {}, {}
    for precision in ("fp32", "bf16"):
        spec = tiny.spec(training=training | {"precision": precision}, learning_rate=1e-2)
        metrics = run(spec, tmp_path / precision)
        scores[precision], first[precision] = metrics["validation"]["score"], losses(tmp_path / precision, "train")[0]
    assert scores["bf16"] == pytest.approx(scores["fp32"], abs=0.15)  # 20 items: three of them
    assert first["bf16"] != first["fp32"], "numbers of less precision were used"
    assert first["bf16"] == pytest.approx(first["fp32"], rel=0.05)


@pytest.mark.parametrize("rate", [1e4, 1e30])
def test_a_run_that_diverges_ends_with_finite_results(rate, tiny, tmp_path):
    training = {"gradient_clip": 1e30, "weight_decay": 10.0, "length": "60 steps", "evaluate_every": "2 steps"}
    metrics = run(tiny.spec(learning_rate=rate, training=training), tmp_path)
    assert all(math.isfinite(value) for value in [*metrics["validation"].values(), metrics["test"]["loss"]])
    if rate == 1e30:
        assert metrics["steps"] == 2
        assert metrics["stopped_early"]


def test_a_run_learns_from_its_own_part_of_the_training_split_alone(tiny, tmp_path, monkeypatch):
    """The same as a run on a split that has these items alone, test scores included."""
    spec = tiny.spec(
        train_subset={"items": 12, "drawn": "plain"}, training={"length": "3 epochs", "evaluate_every": "1 epoch"}
    )
    metrics = run(spec, tmp_path / "part", seed=4)
    assert metrics["train_items"] == 12
    assert metrics["steps"] == 6, "12 items in batches of 8 are two steps, so that epochs are those of the part"

    seen = []
    monkeypatch.setattr(stage, "collate", lambda tokens, *given: seen.append(tokens) or collate(tokens, *given))
    assert run(spec, tmp_path / "again", seed=4) == metrics
    drawn = draw_subset(tiny.items("listops"), spec.train_subset, derived_seed(4, "train items"))
    assert {len(tokens) for tokens in seen} == {12, 20, 24}, "the part, and whole splits of validation and test"
    assert (next(tokens for tokens in seen if len(tokens) == 12).targets == drawn.targets).all()
    assert run(spec, tmp_path / "other", seed=5)["validation"] != metrics["validation"]


def test_too_few_items_of_validation_select_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "SELECTION_ITEMS", 21)
    text = refused(tiny.spec(), tmp_path / "best")
    assert text.startswith(
        "the validation split of results/tokens/listops-tokens has 20 items, but at least 21 are needed to "
    )
    assert text.endswith("enlarge it, or set select: last and give one learning rate.")
    last = {"select": "last", "patience": None}
    assert "select" in refused(tiny.spec(training=last, learning_rates={"rates": (1e-3, 1e-2)}), tmp_path / "rates")
    assert run(tiny.spec(training=last), tmp_path / "last")["best_step"] == 20


def test_dropout_behind_a_new_input_changes_training_and_nothing_else(tiny, tmp_path):
    found = {
        probability: build_model(
            tiny.spec(training={"input_dropout": probability}), tiny.encoding("listops"), tiny.items("listops"), 0
        )
        for probability in (0.0, 0.5)
    }
    symbols, lengths = torch.arange(8).reshape(1, 8), torch.tensor([8])
    hidden = []
    found[0.5].body.register_forward_pre_hook(
        lambda _, given, more: hidden.append(more["inputs_embeds"]), with_kwargs=True
    )
    plain = found[0.5].input(symbols)
    for trained in (True, False):
        found[0.5].train(trained)(symbols, lengths)
    dropped = hidden[0] == 0
    assert 0.3 < dropped.float().mean() < 0.7
    assert torch.allclose(hidden[0], (2 * plain).masked_fill(dropped, 0))
    assert torch.equal(hidden[1], plain)
    assert torch.equal(found[0.0].eval()(symbols, lengths), found[0.5](symbols, lengths))
    pretrained = tiny.spec(model="bert", input="re-embedded", training={"input_dropout": 0.5})
    assert isinstance(
        build_model(pretrained, tiny.encoding("listops"), tiny.items("listops"), 0).input_dropout, nn.Identity
    )


# --- inputs that are not those planned --------------------------------------------------------------------------


@pytest.fixture
def copied(tiny, tmp_path, monkeypatch):
    """A copy of the tiny working directory, to be changed."""
    shutil.copytree(tiny.root, tmp_path / "copy", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def refused(spec: RunSpec, out: Path) -> str:
    with pytest.raises(UserError) as caught:
        run(spec, out)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert not list(out.glob("*.json")) + list(out.glob("*.parquet")), "results of a run that was refused"
    return str(caught.value)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("part", ["values", "offsets", "targets"])
def test_tokens_that_changed_are_refused(split, part, copied, tiny):
    path = copied / f"results/tokens/listops-tokens/{split}.{part}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    text = refused(tiny.spec(), copied / "out")
    assert text.startswith(f"results/tokens/listops-tokens/{path.name} is not the file that")


def test_missing_tokens_are_refused(copied, tiny):
    shutil.rmtree(copied / "results/tokens/listops-tokens")
    assert "encoding.json is missing; run snakemake" in refused(tiny.spec(), copied / "out")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_checkpoint_that_changed_is_refused(name, copied, tiny):
    folder = copied / "checkpoints/gpt2"
    planned = {"name": "mine", "folder": str(folder), "sha256": tree_digest(folder)}
    made = {"name": "made", "folder": str(folder)}
    digests = {path.name: stage.sha256(path) for path in folder.iterdir()}
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert refused(tiny.spec(checkpoint=planned), copied / "out").startswith(f"{folder} has changed since")
    CheckpointDescription(name="made", sha256=digests).write(folder / "checkpoint.json")
    text = refused(tiny.spec(checkpoint=made), copied / "out")
    assert text.startswith(f"{folder}/{name} is not the file that {folder}/checkpoint.json describes; delete {folder}")


def test_weights_that_are_no_numbers_are_refused_before_training(copied, tiny):
    from safetensors.torch import load_file, save_file

    path = copied / "checkpoints/gpt2/model.safetensors"
    tensors = load_file(path)
    next(tensor for name, tensor in tensors.items() if name.endswith("ln_f.weight")).fill_(math.nan)
    save_file(tensors, path, {"format": "pt"})
    checkpoint = {"name": "mine", "folder": str(path.parent), "sha256": tree_digest(path.parent)}
    assert "not a finite number before the first step" in refused(tiny.spec(checkpoint=checkpoint), copied / "out")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            "crossover.training.loop",
            "spec.json: the code of crossover.training.loop has changed since this was planned;",
        ),
        ("crossover.training.gone", "training/gone.py is missing, but a result depends on it;"),
    ],
)
def test_code_that_changed_since_the_plan_is_refused(module, expected, tiny, tmp_path, capsys):
    spec = tiny.spec()
    tiny.write(renamed(spec, code=spec.code | {module: "00000000"}), tmp_path / "spec.json")
    arguments = [
        "finetune-run",
        "--spec",
        str(tmp_path / "spec.json"),
        "--seed",
        "0",
        "--output",
        str(tmp_path / "out"),
    ]
    assert cli.main(arguments) == 1
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith("crossover: /")
    assert expected in text
    assert {path.name for path in (tmp_path / "out").rglob("*")} <= {"events.jsonl"}, "only the reason is kept"


# --- the loop ---------------------------------------------------------------------------------------------------


class Scripted:
    """A small model whose validation scores are given, and what its weights were at each evaluation."""

    def __init__(self, scores: list[float], interrupt_at: set[int] | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.scores, self.seen, self.interrupt_at = scores, [], interrupt_at or set()

    def losses_of(self, step: int) -> list[torch.Tensor]:
        if step in self.interrupt_at:
            self.interrupt_at.remove(step)
            os.kill(os.getpid(), signal.SIGTERM)
        generator = torch.Generator().manual_seed(step)
        return [(self.model(torch.randn(5, 3, generator=generator)) - 1).pow(2).mean()]

    def evaluate(self) -> tuple[float, float]:
        assert not self.model.training
        self.seen.append([parameter.detach().clone() for parameter in self.model.parameters()])
        return self.scores[len(self.seen) - 1], 1.0

    def train(self, store: StateStore, **changes):
        fields = {"max_steps": 100, "evaluate_every": 1, "schedule": lambda step: 0.1, "weight_decay": 0.01}
        return train(self.model, LoopSettings(**fields | changes), self.losses_of, self.evaluate, store)


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=12),
    patience=st.integers(1, 5) | st.none(),
    best_possible=st.sampled_from([1.0, None]),
    every=st.integers(1, 3),
)
def test_the_weights_of_the_best_score_are_kept_and_training_stops_when_it_is_told_to(
    scores, patience, best_possible, every, tmp_path_factory
):
    def best_of(evaluations: int) -> int:
        """The first of the best scores after training has begun."""
        return scores.index(max(scores[1 : evaluations + 1]), 1)

    stop = len(scores) - 1  # the evaluation after which there is nothing more to do
    for last in range(1, len(scores)):
        if (patience is not None and last - best_of(last) >= patience) or scores[best_of(last)] == best_possible:
            stop = last
            break
    script = Scripted(scores)
    store = StateStore(tmp_path_factory.getbasetemp() / "unused", NEVER)
    progress = script.train(
        store, max_steps=(len(scores) - 1) * every, evaluate_every=every, patience=patience, best_possible=best_possible
    )
    best = best_of(stop)
    assert len(script.seen) == stop + 1
    assert progress.step == stop * every
    assert (progress.best_step, progress.best_score) == (best * every, scores[best])
    assert all(map(torch.equal, script.model.parameters(), script.seen[best]))


@given(scores=st.lists(st.floats(0, 1), min_size=2, max_size=8), stopped_at=st.integers(0, 6))
@settings(max_examples=20)
def test_the_last_weights_are_those_of_any_validation_scores(scores, stopped_at, tmp_path_factory):
    steps, found = len(scores) - 1, []
    for given_scores, interrupt_at in ((scores, None), ([0.5] * len(scores), {min(stopped_at, steps - 1)})):
        script = Scripted(given_scores, interrupt_at)
        store = StateStore(tmp_path_factory.mktemp("state"), NEVER)
        try:
            progress = script.train(store, max_steps=steps, keep="last")
        except Interrupted:
            progress = script.train(store, max_steps=steps, keep="last")
        assert (progress.step, progress.best_step) == (steps, steps)
        found.append(list(script.model.parameters()))
    assert all(map(torch.equal, *found))


def test_there_is_an_evaluation_at_the_end_even_between_two_others(tmp_path):
    progress = Scripted([0.0] * 9).train(StateStore(tmp_path, NEVER), max_steps=7, evaluate_every=3)
    assert [(step, split) for step, split, _, _ in progress.curve] == [
        (0, "validation"),
        *[(step, split) for step in (3, 6, 7) for split in ("train", "validation")],
    ]


def test_a_score_that_comes_with_a_loss_that_is_no_number_is_never_the_best(tmp_path):
    script = Scripted([0.3, 0.5, 0.9, 1.0])
    evaluate_plainly = script.evaluate
    script.evaluate = lambda: (evaluate_plainly()[0], math.nan if len(script.seen) == 3 else 0.5)
    progress = script.train(StateStore(tmp_path, NEVER))
    assert (progress.step, progress.best_step, progress.best_score, progress.best_loss) == (2, 1, 0.5, 0.5)
    assert all(map(torch.equal, script.model.parameters(), script.seen[1]))


def test_a_run_that_diverges_at_once_says_that_nothing_was_learned(tmp_path):
    script = Scripted([0.3, 0.9])
    evaluate_plainly = script.evaluate
    script.evaluate = lambda: (evaluate_plainly()[0], math.nan if len(script.seen) == 2 else 0.5)
    progress = script.train(StateStore(tmp_path, NEVER))
    assert (progress.step, progress.best_step, progress.best_score, progress.diverged) == (1, 0, 0.3, True)
    assert all(map(torch.equal, script.model.parameters(), script.seen[0]))


@given(interrupt_at=st.sets(st.integers(0, 11), min_size=1, max_size=4))
@settings(max_examples=15)
def test_a_run_stopped_at_any_steps_and_resumed_is_the_run_that_was_not(interrupt_at, tmp_path_factory):
    scores = [0.1, 0.4, 0.2, 0.6, 0.5]
    whole = Scripted(scores)
    through = whole.train(StateStore(tmp_path_factory.mktemp("whole"), NEVER), max_steps=12, evaluate_every=3)

    folder, seen, left = tmp_path_factory.mktemp("state"), 0, set(interrupt_at)
    for _ in range(len(interrupt_at) + 1):
        script = Scripted(scores, left)
        script.seen = [[]] * seen
        if seen:
            torch.manual_seed(99)  # a process that goes on has another state of the generator
        try:
            progress = script.train(StateStore(folder, NEVER), max_steps=12, evaluate_every=3)
        except Interrupted as error:
            assert error.code == 143
            seen = len(script.seen)
    assert progress.resumed == len(interrupt_at)
    assert vars(progress) | {"resumed": 0} == vars(through)
    assert all(map(torch.equal, script.model.parameters(), whole.model.parameters()))


class Asked(StateStore):
    """A store that is asked to save, and the process to end, at the same moment."""

    def due(self) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False


def test_a_request_to_end_is_never_answered_without_a_save(tmp_path):
    """It may come at any moment: here, when it has just been looked for."""
    script = Scripted([0.1, 0.4, 0.2, 0.6, 0.5])
    with pytest.raises(Interrupted):
        script.train(Asked(tmp_path, NEVER), max_steps=12, evaluate_every=3)
    state = StateStore(tmp_path, NEVER).load()
    assert state and state["progress"]["step"] > 0


# --- batches and evaluation -------------------------------------------------------------------------------------


@given(items=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 2**32 - 1), epochs=st.integers(1, 3))
def test_batches_hold_every_item_once_an_epoch_and_any_step_stands_by_itself(items, size, seed, epochs):
    order, per_epoch = batches(items, size, seed), math.ceil(items / size)
    steps = [order(step) for step in range(epochs * per_epoch)]
    for epoch in range(epochs):
        parts = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(np.concatenate(parts).tolist()) == list(range(items))
        assert {len(part) for part in parts[:-1]} <= {size}
    backwards = {step: batches(items, size, seed)(step) for step in reversed(range(len(steps)))}
    for step, batch in enumerate(steps):
        assert batch.tolist() == backwards[step].tolist() == order(step).tolist()


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(batches(50, 50, seed)(epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@given(items=st.integers(0, 50), size=st.integers(1, 60))
def test_slices_cover_everything_once(items, size):
    parts = [list(range(items))[part] for part in slices(items, size)]
    assert [number for part in parts for number in part] == list(range(items))
    assert all(0 < len(part) <= size for part in parts)


@pytest.mark.parametrize("task", ["listops", "bits"])
@pytest.mark.parametrize("size", [1, 7, 256])
def test_evaluation_is_that_of_one_item_after_another(task, size, tiny, monkeypatch):
    monkeypatch.setattr(stage, "EVALUATION_ITEMS", size)
    folder = tiny.tokens[task]
    encoding, tokens = tiny.encoding(task), Tokens.open(folder, "test")
    sequence = build_model(tiny.spec(task), encoding, tiny.items(task), 0).eval()
    plain = Plain(tiny, task, "gpt2").copy(sequence).eval()
    with torch.inference_mode():
        answers, loss = evaluate(sequence, tokens, encoding.target, CPU)
        items = stored(folder, "test")
        chosen = [plain.item(values).argmax(-1).numpy() for values, _ in items]
        assert loss == pytest.approx(plain.loss(items).item(), abs=1e-5)
    right = [(one == np.asarray(target).reshape(-1)).mean() for one, (_, target) in zip(chosen, items, strict=True)]
    scorer = Scorer(encoding.target, pd.read_parquet(folder / "test.items.parquet"), tokens.targets)
    assert scorer.table(answers)["score"].tolist() == right
    assert scorer.score(answers) == pytest.approx(np.mean(right))
    assert answers.reshape(len(items), -1).tolist() == [one.tolist() for one in chosen]
    assert 0 < np.mean(right) < 1


# --- the training state -----------------------------------------------------------------------------------------


def saved(folder: Path) -> StateStore:
    """A store with two generations of state."""
    shutil.rmtree(folder, ignore_errors=True)
    store = StateStore(folder, 0)
    for step in (1, 2):
        store.save({"step": step, "tensor": torch.full((3,), step)})
    return store


def test_the_newest_state_is_loaded_and_the_one_before_is_kept(tmp_path):
    store = saved(tmp_path / "state")
    assert store.load()["step"] == 2
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["latest.pt", "previous.pt"]
    store.latest.unlink()  # as after a kill between the two renames
    assert store.load()["step"] == 1
    store.clear()
    assert store.load() is None


@given(data=st.data())
@settings(max_examples=40)
def test_a_damaged_state_is_passed_over(data, tmp_path_factory):
    store = saved(tmp_path_factory.getbasetemp() / "damaged")
    damaged = data.draw(st.sampled_from([[store.latest], [store.previous], [store.latest, store.previous]]))
    for path in damaged:
        content = path.read_bytes()
        if data.draw(st.booleans()):
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        else:
            at = data.draw(st.integers(0, len(content) - 1))
            path.write_bytes(content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :])
    state = store.load()
    expected = {1: 1 if damaged == [store.latest] else 2, 2: None}[len(damaged)]
    assert (state and state["step"]) == expected


def test_a_state_holds_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path(tmp_path, "opened").touch, ())

    store = StateStore(tmp_path / "state", 0)
    store.save({"step": Trap()})
    with pytest.raises(Exception, match=r"[Ww]eights"):
        store.load()
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("damaged", [["latest.pt"], ["latest.pt", "previous.pt"]])
def test_a_run_with_a_damaged_state_ends_as_if_nothing_had_happened(damaged, tiny, tmp_path, monkeypatch):
    spec = tiny.spec(training={"dropout": 0.2, "evaluate_every": "4 steps"})
    run(spec, tmp_path / "whole")
    ask_to_end(monkeypatch, stage, "collate", {15})
    with pytest.raises(Interrupted):
        finetune_run(spec, 0, tmp_path / "stopped", CPU, 0, "test")
    for name in damaged:
        (tmp_path / "stopped/state" / name).write_bytes(b"damaged")
    metrics = run(spec, tmp_path / "stopped")
    assert metrics["steps"] == 20
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
    assert read_json(tmp_path / "stopped/provenance.json")["resumed"] == 2 - len(damaged)


def write_pictures(root: Path, augment: str | None) -> str:
    """Tokens of images of two classes below `root`; the name of their task."""
    rng = np.random.default_rng(0)
    name = f"pictures-{augment or 'plain'}"
    prepared, digests = root / "results/tasks" / name, {}
    for split, count in (("train", 40), ("validation", 16), ("test", 16)):
        items = [f"{split}-{number}" for number in range(count)]
        pixels = [rng.integers(0, 256, 64, dtype=np.uint8) for _ in items]
        targets = [str(int(image[:32].sum() > image[32:].sum())) for image in pixels]
        table = pd.DataFrame({"item": items, "group": items, "sequence": pixels, "target": targets})
        write_parquet(prepared / f"{split}.parquet", table)
        digests[f"{split}.parquet"] = sha256(prepared / f"{split}.parquet")
    Card(
        **{"task": name, "origin": None, "target": Target(kind="class"), "unit": "pixels", "simulated": False},
        **{"shape": (8, 8), "skipped": (), "notes": (), "counts": {}, "items": {}, "groups": {}, "classes": None},
        **{"lengths": {}, "duplicates": {}, "leakage": {}, "floor": {"score": 0.5, "rule": ""}, "sha256": digests},
    ).write(prepared / "card.json")
    encoding = PatchesEncoding(kind="patches", patch=[2, 2], augment=augment)
    tokens = TokensSpec(name=f"{name}-tokens", task=name, encoding=encoding, code={})
    tokenize_task(tokens, prepared, root / "results/tokens" / tokens.name)
    return name


def test_changed_images_are_those_of_the_step_also_in_a_resumed_run(copied, tiny, tmp_path, monkeypatch):
    plain, changed = (write_pictures(Path.cwd(), augment) for augment in (None, "lu2021"))
    spec = tiny.spec(changed, training={"evaluate_every": "4 steps"})
    run(spec, tmp_path / "whole")
    run(tiny.spec(plain, training={"evaluate_every": "4 steps"}), tmp_path / "plain")
    assert losses(tmp_path / "whole", "train") != losses(tmp_path / "plain", "train")
    # Before the first step no image has been changed yet, and those of the validation split never are.
    assert losses(tmp_path / "whole", "validation")[0] == losses(tmp_path / "plain", "validation")[0]
    ask_to_end(monkeypatch, stage, "collate", {15})
    with pytest.raises(Interrupted):
        finetune_run(spec, 0, tmp_path / "stopped", CPU, 0, "test")
    run(spec, tmp_path / "stopped")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")


# --- killed and resumed -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(_tiny, tmp_path_factory):
    """A spec in a file, and the results of its run without any interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    spec = _tiny.spec(body="random", training={"dropout": 0.2, "length": "120 steps", "evaluate_every": "7 steps"})
    _tiny.write(spec, folder / "spec.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(_tiny.root)
        run(spec, folder / "out", seed=5)
    return folder / "spec.json", results(folder / "out")


def test_a_run_stopped_by_sigterm_goes_on_where_it_was(undisturbed, tiny, tmp_path, forked, eventually):
    """In a process of its own, with the default pause between saves: the signal itself makes it save."""
    spec, expected = undisturbed
    out, log = tmp_path / "out", tmp_path / "log"
    process = finetune(spec, out, "--log", log, seed=5)
    eventually(lambda: log.exists() and "step 7/" in log.read_text())
    process.terminate()
    assert process.wait(60) == 143
    assert (out / "state/latest.pt").exists()
    assert not (out / "metrics.json").exists()
    process = finetune(spec, out, "--log", log, seed=5, env=forked)
    assert process.wait(60) == 0
    assert "resumed at step" in log.read_text()
    assert results(out) == expected
    assert read_json(out / "provenance.json")["resumed"] == 1
    assert read_json(out / "provenance.json")["command"].startswith("crossover finetune-run --spec ")


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(undisturbed, tiny, tmp_path, forked, eventually):
    spec, expected = undisturbed
    out, moments = tmp_path / "out", random.Random(0)
    latest = out / "state/latest.pt"

    def stamp():
        return latest.stat().st_mtime_ns if latest.exists() else 0

    for _ in range(5):
        before = stamp()
        process = finetune(spec, out, "--save-every", "0", seed=5, env=forked)
        eventually(lambda before=before: stamp() != before)
        time.sleep(moments.uniform(0, 0.06))  # a few steps later, in the middle of a save or between two
        process.kill()
        process.wait()
        eventually(lambda: not is_held(out / ".lock"))
        assert not (out / "metrics.json").exists(), "the run is too short to be killed five times"
    process = finetune(spec, out, "--save-every", "0", seed=5, env=forked)
    assert process.wait(60) == 0, process.stderr.read()
    assert results(out) == expected
    assert read_json(out / "provenance.json")["resumed"] == 5
    assert not (out / "state").exists()


def test_a_second_process_leaves_a_run_alone_that_another_one_computes(tiny, tmp_path, forked, eventually):
    endless = tiny.spec(training={"length": "20000 steps", "patience": 20_000})
    tiny.write(endless, tmp_path / "spec.json")
    out = tmp_path / "out"
    first = finetune(tmp_path / "spec.json", out, "--save-every", "0", "--log", tmp_path / "log", env=forked)
    eventually((out / "state/latest.pt").exists)
    second = finetune(tmp_path / "spec.json", out, env=forked)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    owner = str(read_owner(out / ".lock"))
    assert said.splitlines()[-1] == (
        f"crossover: run {endless.name} with seed 0 is already being computed by {owner}; wait for it, or stop it first."
    )
    assert "Traceback" not in said
    assert re.match(r"process \d+ on \S+ since ", owner)
    assert first.poll() is None
    first.terminate()
    assert first.wait(60) == 143
    with exclusive(out / ".lock", "it"):  # the lock went with its owner
        pass
