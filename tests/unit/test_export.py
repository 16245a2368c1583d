"""Trained weights: kept by a run, loaded again, and written as a checkpoint in Hugging Face form."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import SIZES, renamed
from transformers import AutoModel

from crossover.config.bodies import RandomBody, TruncatedBody
from crossover.config.conditions import TrainedPart
from crossover.errors import UserError
from crossover.files import read_json
from crossover.models.derive import adapter_for
from crossover.models.discovery import ADAPTERS
from crossover.models.export import export_body
from crossover.models.factory import build_model, build_model_and_table
from crossover.models.load import load_body, load_config
from crossover.models.weights import load_trained, save_trained, trained_parameters
from crossover.runs.files import FILES
from crossover.specs.checkpoints import CheckpointFiles, TrainedSpec
from crossover.specs.descriptions import CheckpointDescription
from crossover.training.export import export_trained
from crossover.training.finetune import evaluate, finetune_run
from crossover.training.verification import verify_checkpoint

CPU = torch.device("cpu")
SYMBOLS, LENGTHS = torch.arange(20).reshape(2, 10) % 8, torch.tensor([10, 6])
LORA = (
    TrainedPart(groups=["head", "input", "norms"]),
    TrainedPart(groups=["attention"], lora={"rank": 3, "alpha": 6}),
)
OWN_TOKENS = {"input": {"kind": "permutation", "seed": 3}, "input_scale": None}
CASES = {
    "everything": {},
    "head alone": {"trained": (TrainedPart(groups=["head"]),)},
    "LoRA": {"trained": LORA},
    "own tokens": OWN_TOKENS,
    "other tokens": {"input": "re-embedded", "input_scale": None},
    "random body": {"body": "random"},
    "first block": {"body": TruncatedBody(kind="truncated", blocks=1)},
}


FITTING = [  # what LoRA adapters or tokens are asked for has them
    (model, case)
    for model in SIZES
    for case in CASES
    if (case != "LoRA" or ADAPTERS[model].heads) and (model != "vit" or not case.endswith("tokens"))
]


def settings(tiny, model, case):
    return renamed(tiny.spec(model=model), **CASES[case])


@torch.no_grad()
def trained(tiny, spec, seed=0):
    """A model as a run has trained it, and the token embeddings that its body was built without."""
    model, replaced = build_model_and_table(spec, tiny.encoding("listops"), tiny.items("listops"), seed)
    torch.manual_seed(1)
    for name in model.rates:
        model.get_parameter(name).add_(0.1 * torch.randn_like(model.get_parameter(name)))
    return model.eval(), replaced


@torch.inference_mode()
def states(body, model):
    values = {"inputs_embeds": model.input(SYMBOLS), "attention_mask": (torch.arange(10) < LENGTHS[:, None]).long()}
    if model.separator is not None:
        values["token_type_ids"] = torch.zeros_like(SYMBOLS)
    return body(**values).last_hidden_state


@pytest.mark.parametrize(("model", "case"), FITTING)
def test_a_body_is_what_it_was_after_export(model, case, tiny, tmp_path):
    spec = settings(tiny, model, case)
    network, replaced = trained(tiny, spec)
    start = load_config(Path(spec.checkpoint.folder))
    adapter = adapter_for(start)
    before = states(network.body, network)
    export_body(network, replaced, load_config(Path(spec.checkpoint.folder)), tmp_path)

    config = load_config(tmp_path)
    body = load_body(tmp_path, config).eval()
    tolerance = 1e-5 if case == "LoRA" else 1e-6
    torch.testing.assert_close(states(body, network), before, atol=tolerance, rtol=0)
    if case != "LoRA":
        stored = dict(body.named_parameters())
        assert all(torch.equal(stored[name], tensor) for name, tensor in network.body.named_parameters())
    assert {name: getattr(config, name) for name in adapter.dropouts} == {
        name: getattr(start, name) for name in adapter.dropouts
    }
    theirs = adapter.body_of(AutoModel.from_pretrained(tmp_path)).eval()
    torch.testing.assert_close(states(theirs, network), before, atol=tolerance, rtol=0)
    if adapter.body_of is not type(adapter).body_of:  # an encoder: the decoder has learned nothing
        assert not [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("decoder")]


@pytest.mark.parametrize("case", ["everything", "own tokens", "other tokens", "random body"])
@pytest.mark.parametrize("model", [model for model in SIZES if model != "vit"])
def test_its_token_embeddings_are_those_it_read_or_those_it_started_with(model, case, tiny, tmp_path):
    spec = settings(tiny, model, case)
    network, replaced = trained(tiny, spec)
    own = network.input.table.weight if case.endswith("tokens") else replaced.weight
    own = own.detach().clone()
    config = load_config(Path(spec.checkpoint.folder))
    export_body(network, replaced, config, tmp_path)
    body, adapter = load_body(tmp_path, load_config(tmp_path)), ADAPTERS[model]
    stored = body.get_submodule(adapter.token_table).weight.detach()
    torch.testing.assert_close(stored * adapter.token_scale(config), own, atol=1e-6, rtol=1e-6)
    first = load_body(Path(spec.checkpoint.folder), load_config(Path(spec.checkpoint.folder)))
    unchanged = torch.allclose(stored, first.get_submodule(adapter.token_table).weight, atol=1e-6)
    assert unchanged == (case == "everything")  # which trains an input layer of its own


@pytest.mark.parametrize("case", CASES)
def test_trained_parameters_make_the_same_model(case, tiny, tmp_path):
    spec = settings(tiny, "gpt2", case)
    network, _ = trained(tiny, spec)
    save_trained(trained_parameters(network), tmp_path / "weights.safetensors")
    again = build_model(spec, tiny.encoding("listops"), tiny.items("listops"), 0).eval()
    load_trained(again, tmp_path / "weights.safetensors")
    with torch.inference_mode():
        assert torch.equal(again(SYMBOLS, LENGTHS), network(SYMBOLS, LENGTHS))
    kept = load_file(tmp_path / "weights.safetensors")
    assert kept.keys() == network.rates.keys()


@pytest.mark.parametrize("damage", ["missing", "cut off", "of another run"])
def test_other_weights_are_refused(damage, tiny, tmp_path):
    network, _ = trained(tiny, settings(tiny, "gpt2", "everything"))
    path = tmp_path / "weights.safetensors"
    save_trained(trained_parameters(network), path)
    match damage:
        case "missing":
            path.unlink()
        case "cut off":
            path.write_bytes(path.read_bytes()[:-4])
        case "of another run":
            save_file({"head.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="delete the folder of the run and run snakemake again"):
        load_trained(network, path)


def test_a_pooler_of_the_checkpoint_goes_along(tiny, tmp_path):
    folder = tmp_path / "start"
    start = Path(tiny.checkpoints["bert"].folder)
    folder.mkdir()
    tensors = load_file(start / "model.safetensors")
    width = read_json(start / "config.json")["hidden_size"]
    tensors |= {"pooler.dense.weight": torch.ones(width, width), "pooler.dense.bias": torch.zeros(width)}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text((start / "config.json").read_text())
    files = CheckpointFiles(name="start", folder=str(folder))
    spec = renamed(tiny.spec(model="bert"), checkpoint=files, head={"read": "cls", "pooler": "pretrained"})
    network, replaced = trained(tiny, spec)
    out = tmp_path / "out"
    out.mkdir()
    export_body(network, replaced, load_config(folder), out)
    assert torch.equal(load_file(out / "model.safetensors")["pooler.dense.weight"], network.pooler.dense.weight)


def run(spec, out):
    finetune_run(spec, 0, out, CPU, 1e9, "test")
    return load_file(out / "weights.safetensors")


def test_a_run_keeps_the_weights_that_it_is_asked_for(tiny, tmp_path):
    spec = tiny.spec(keep_weights="best")
    best = run(spec, tmp_path / "best")
    last = run(renamed(spec, keep_weights="last"), tmp_path / "last")
    assert run(renamed(spec, keep_weights=None), tmp_path / "none") == {}
    for name in ("curve.parquet", "predictions.parquet"):
        assert len({(tmp_path / kept / name).read_bytes() for kept in ("best", "last", "none")}) == 1
    metrics = read_json(tmp_path / "best/metrics.json")
    assert metrics["selected"]["best_step"] < metrics["selected"]["steps"]
    assert best.keys() == last.keys()
    assert not all(torch.equal(best[name], last[name]) for name in best)

    # The kept weights answer the test split as the run did, and those of a run that selects its last ones are the same.
    network = build_model(spec, tiny.encoding("listops"), tiny.items("listops"), 0).eval()
    load_trained(network, tmp_path / "best/weights.safetensors")
    with torch.inference_mode():
        answers, _ = evaluate(
            network,
            type(tiny.items("listops")).open(tiny.tokens["listops"], "test"),
            tiny.encoding("listops").target,
            CPU,
        )
    table = pd.read_parquet(tmp_path / "best/predictions.parquet")
    assert [tiny.encoding("listops").target.classes[one] for one in answers] == list(table["prediction"])
    selected = renamed(
        spec, keep_weights="last", training=spec.training.model_copy(update={"select": "last", "patience": None})
    )
    others = run(selected, tmp_path / "selected")
    assert all(torch.equal(others[name], last[name]) for name in last)


@pytest.mark.parametrize("kept", ["best", "last", None])
def test_a_run_writes_its_files_when_it_has_trained(kept, tiny, tmp_path, monkeypatch):
    """Snakemake removes the outputs of a run that it starts a second time, while the first may still be at work."""
    seen = []

    def looking(*arguments):
        seen.append([name for name in FILES if (tmp_path / name).exists()])
        return evaluate(*arguments)

    monkeypatch.setattr("crossover.training.finetune.evaluate", looking)
    finetune_run(tiny.spec(keep_weights=kept), 0, tmp_path, CPU, 1e9, "test")
    assert len(seen) > 4 and not any(seen)
    assert all((tmp_path / name).is_file() for name in FILES)


def test_what_a_run_has_trained_is_a_checkpoint_of_the_next(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("crossover.training.export.run_folder", lambda name, seed: tmp_path / "run")
    spec = tiny.spec(keep_weights="best")
    run(spec, tmp_path / "run")
    made = TrainedSpec.named("tried", run=spec.name, seed=0, code={})
    out = tmp_path / "trained"
    out.mkdir()
    export_trained(made, spec, out)
    assert (out / "tokenizer.json").read_text() == "null\n"
    files = CheckpointFiles(name=made.name, folder=str(out))
    assert verify_checkpoint(files) == CheckpointDescription.load(out / "checkpoint.json").sha256["model.safetensors"]
    after = renamed(spec, checkpoint=files, trained=(TrainedPart(groups=["head", "input"]),))
    network = build_model(after, tiny.encoding("listops"), tiny.items("listops"), 0)
    kept = load_file(tmp_path / "run/weights.safetensors")
    assert all(torch.equal(network.get_parameter(name), kept[name]) for name in kept if name.startswith("body."))
    (tmp_path / "run/weights.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        export_trained(made, spec, out)


def test_the_random_body_keeps_what_it_copies(tiny, tmp_path):
    spec = renamed(tiny.spec(), body=RandomBody(kind="random", kept=["positions"]))
    network, replaced = trained(tiny, spec)
    before = states(network.body, network)
    export_body(network, replaced, load_config(Path(spec.checkpoint.folder)), tmp_path)
    torch.testing.assert_close(
        states(load_body(tmp_path, load_config(tmp_path)).eval(), network),
        before,
        atol=2e-6,
        rtol=0,  # another GELU
    )
