import inspect
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_models import plain_model
from safetensors.torch import load_file, save_file
from tiny_runs import POSITIONS, ROOT, SIZES, VOCABULARY, outline, renamed, tiny_config, write_checkpoint
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Model

from crossover.commands.view import view_checkpoint
from crossover.config.conditions import TRAINED_PRESETS
from crossover.errors import UserError
from crossover.files import read_json, sha256, tree_digest
from crossover.models.activations import fuse_activations
from crossover.models.blank import describe_architecture
from crossover.models.discovery import ADAPTERS
from crossover.models.embeddings import ORTHOGONAL_GAIN
from crossover.models.factory import build_model
from crossover.models.load import load_body, load_config
from crossover.models.size import read_size
from crossover.seeds import derived_seed
from crossover.specs.checkpoints import ArchitectureSpec, ModelSize
from crossover.training.finetune import finetune_run
from crossover.training.loop import LoopSettings, train
from crossover.training.state import StateStore

EACH = pytest.mark.parametrize("model", SIZES)


ALL = list(TRAINED_PRESETS["all"])


def build(tiny, model="gpt2", task="listops", seed=0, **changes):
    return build_model(tiny.spec(task, model, **changes), tiny.encoding(task), tiny.items(task), seed).eval()


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], prefix: str = "") -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one if name.startswith(prefix))


def group_by_type(body: nn.Module) -> dict[str, str]:
    """The group of each parameter, told from the class of its module and not from a table of names."""
    groups = {}
    for path, module in body.named_modules():
        for name, _ in module.named_parameters(path, recurse=False):
            if type(module).__name__.endswith("Norm"):
                groups[name] = "norms"
            elif "relative" in path or ("position_embeddings" in name and not isinstance(module, nn.Embedding)):
                groups[name] = "positions"
            elif path.endswith("_gates"):  # of an LSTM
                groups[name] = "attention" if "hidden" in path else "feedforward"
            elif isinstance(module, nn.Embedding):
                groups[name] = "positions" if module.num_embeddings in {POSITIONS, POSITIONS + 2} else "embeddings"
            elif "embedding" in path:  # ALBERT widens its narrow embeddings
                groups[name] = "embeddings"
            else:
                groups[name] = "attention" if re.search("attn|attention", path.lower()) else "feedforward"
    return groups


# --- groups -----------------------------------------------------------------------------------------------------


@EACH
def test_groups_are_disjoint_and_complete(model, tiny):
    folder = Path(tiny.checkpoints[model].folder)
    body = load_body(folder, load_config(folder))
    expected = group_by_type(body)
    adapter = ADAPTERS[model]
    assert {name: adapter.group_of(name) for name, _ in body.named_parameters()} == expected
    assert set(expected.values()) == set(adapter.groups)
    assert set(ALL) - {"head", "input", "positions"} <= set(adapter.groups)  # positions may have no parameters


def test_a_parameter_without_a_group_is_refused():
    with pytest.raises(
        UserError, match=r"^parameter h\.0\.crossattention\.q\.weight of \S+ \S+ gpt2 belongs to no group"
    ):
        ADAPTERS["gpt2"].group_of("h.0.crossattention.q.weight")


@EACH
@pytest.mark.parametrize("groups", [*(list(groups) for groups in TRAINED_PRESETS.values()), ["attention"], ["norms"]])
def test_training_moves_the_trained_parameters_and_leaves_the_others_as_they_were(model, groups, tiny, tmp_path):
    sequence = build(tiny, model, trained=groups, training={"dropout": 0.1})
    group = {f"body.{name}": kind for name, kind in group_by_type(sequence.body).items()}
    group |= {name: name.split(".")[0] for name, _ in sequence.named_parameters() if not name.startswith("body.")}
    expected = {name for name, kind in group.items() if kind in groups}
    assert {name for name, parameter in sequence.named_parameters() if parameter.requires_grad} == expected
    expected = {name for name in expected if "_global" not in name}  # Longformer's for positions that attend to all

    before = weights(sequence)
    symbols, lengths = torch.arange(20).reshape(2, 10) % 8, torch.tensor([10, 6])
    many = LoopSettings(4, 100, lambda step: 0.1, weight_decay=0.1, keep="last")

    def losses_of(step):
        return [functional.cross_entropy(sequence(symbols, lengths), torch.tensor([step % 2, 3]))]

    train(sequence, many, losses_of, lambda: (0.0, 0.0), StateStore(tmp_path / "state", 1e9))
    after = weights(sequence)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == expected


def test_the_token_table_of_the_checkpoint_is_not_carried_along(tiny):
    for model in ("gpt2", "bert"):
        assert not [name for name, one in build(tiny, model).body.named_parameters() if one.shape[0] == VOCABULARY]


# --- what a prediction depends on -------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("task", ["listops", "bits"])
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_neither_padding_nor_company_changes_a_prediction(model, task, _tiny, data):
    sequence = build(_tiny, model, task)
    lengths = data.draw(st.lists(st.integers(2, 12), min_size=1, max_size=5))
    longest = max(lengths) + data.draw(st.integers(0, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    shape = (len(lengths), longest)
    if task == "listops":
        values = torch.from_numpy(rng.integers(0, 8, shape))
    else:
        values = torch.from_numpy(rng.normal(size=(*shape, 2)).astype(np.float32))
    with torch.inference_mode():
        together = sequence(values, torch.tensor(lengths))  # what stands in the padding is noise, not 0
        alone = [
            sequence(row[None, :length], torch.tensor([length])) for row, length in zip(values, lengths, strict=True)
        ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def can_start_anywhere(model):
    """Some number positions by themselves, and what a recurrent model reads first changes all that follows."""
    adapter = ADAPTERS[model]
    numbered = "position_ids" in inspect.signature(outline(model).forward).parameters
    return adapter.heads and (adapter.positions is None or numbered)


@pytest.mark.parametrize("model", [*filter(can_start_anywhere, SIZES)])
@given(length=st.integers(1, 10), padding=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_padding_on_the_left_is_padding_on_the_right(model, length, padding, seed, _tiny):
    body = build(_tiny, model).body
    generator = torch.Generator().manual_seed(seed)
    width = ADAPTERS[model].widths(body.config)[0]
    items, noise = (torch.randn(2, size, width, generator=generator) for size in (length, padding))
    real, hidden = torch.ones(2, length), torch.zeros(2, padding)
    first = ADAPTERS[model].reserved_positions
    places = torch.cat([torch.full((padding,), first), torch.arange(length) + first]).expand(2, -1)
    numbered = {"position_ids": places} if ADAPTERS[model].positions else {}  # else they are relative
    with torch.inference_mode():
        right = body(inputs_embeds=torch.cat([items, noise], 1), attention_mask=torch.cat([real, hidden], 1))
        left = body(inputs_embeds=torch.cat([noise, items], 1), attention_mask=torch.cat([hidden, real], 1), **numbered)
    torch.testing.assert_close(
        left.last_hidden_state[:, padding:], right.last_hidden_state[:, :length], atol=1e-5, rtol=0
    )


@EACH
@pytest.mark.parametrize(("task", "read_out"), [("listops", 1), ("bits", 2)])
def test_the_last_real_positions_are_read_and_no_padding(model, task, read_out, tiny):
    sequence = build(tiny, model, task)
    lengths = [7, 3, 10]
    shape = (3, 12) if task == "listops" else (3, 12, 2)
    values = torch.randint(0, 8, shape, generator=torch.Generator().manual_seed(0))
    values = values if task == "listops" else values.float()
    with torch.inference_mode():
        logits = sequence(values, torch.tensor(lengths))
        for item, length in enumerate(lengths):
            embedded = sequence.input(values[item : item + 1, :length])
            hidden = plain_model(tiny.checkpoints[model].folder)(inputs_embeds=embedded).last_hidden_state
            read = hidden[0, length - read_out :] @ sequence.head.weight.T + sequence.head.bias
            torch.testing.assert_close(logits[item].flatten(), read.flatten(), atol=1e-5, rtol=0)
    classes = tiny.encoding(task).target.classes
    assert logits.shape == ((3, len(classes)) if task == "listops" else (3, 2, 2, 2))


# --- bodies -----------------------------------------------------------------------------------------------------


@EACH
def test_a_pretrained_body_computes_what_the_plain_model_computes(model, tiny):
    folder = tiny.checkpoints[model].folder
    width = ADAPTERS[model].widths(load_config(Path(folder)))[0]
    embedded = torch.randn(3, 9, width, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [1] + [0] * 8])
    with torch.inference_mode():
        plain = plain_model(folder)(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        ours = build(tiny, model).body(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(ours[mask.bool()], plain[mask.bool()], atol=1e-6, rtol=0)


@EACH
def test_equal_seeds_give_equal_inputs_and_heads_under_all_bodies(model, tiny):
    at = {"input_scale": "lu2021"}  # by default each body's input has its scale
    pretrained, random = weights(build(tiny, model, **at)), weights(build(tiny, model, body="random", **at))
    other = weights(build(tiny, model, body="random", seed=1, **at))
    for part in ("input.", "head."):
        assert same(pretrained, random, part)
        assert not same(random, other, part)
    assert not same(pretrained, random, "body.")
    assert not same(random, other, "body.")
    assert same(random, weights(build(tiny, model, body="random", trained=["head"], **at)))


@EACH
def test_a_random_body_is_the_initialisation_of_the_architecture(model, tiny):
    body = build(tiny, model, body="random").body
    std = getattr(body.config, "initializer_range", None)  # T5 has none: it scales by the width of each layer
    for module in body.modules():
        for name, tensor in module.named_parameters(recurse=False):
            if model.startswith("lstm") and not isinstance(
                module, nn.Embedding
            ):  # U(-1, 1) over the root of the inputs, norms too
                limit = (len(tensor) if type(module).__name__ == "LayerNorm" else 16) ** -0.5
                assert 0.7 * limit < tensor.abs().max() <= limit
            elif tensor.dim() == 1:
                assert (tensor == ("norm" in type(module).__name__.lower() and name == "weight")).all(), (module, name)
            elif tensor.dim() == 2 and std:  # GPT-2 divides that of residual projections by sqrt(2 * blocks)
                assert 0.4 * std < tensor.std() < 1.2 * std, (module, name)


def test_an_lstm_of_the_published_size_has_the_published_norms():
    """Lu et al. (2021): of the gates' two parts and of the cell, each with weight and bias, inside of every layer."""
    ADAPTERS["lstm"].register()
    with torch.device("meta"):
        body = AutoModel.from_config(AutoConfig.for_model("lstm", vocab_size=9))
    groups = {name: ADAPTERS["lstm"].group_of(name) for name, _ in body.named_parameters()}
    norms = [parameter.numel() for name, parameter in body.named_parameters() if groups[name] == "norms"]
    assert sum(norms) == 3 * 13_824


@EACH
def test_gpt2_can_be_drawn_as_in_2020_with_one_deviation_for_all_matrices(model, tiny):
    sizes = {"n_embd": 64, "n_layer": 9} if model == "gpt2" else {}
    checkpoint = write_checkpoint(tiny.root / "checkpoints-of-2020" / model, model, **sizes)
    today, then = (
        build(tiny, model, checkpoint=checkpoint, body="random", random_init=init).body.state_dict()
        for init in ("library", "gpt2-2020")
    )
    changed = {name for name in today if not torch.equal(today[name], then[name])}
    assert changed == {name for name in today if model == "gpt2" and name.endswith("c_proj.weight")}
    for name in changed:
        assert then[name].std() == pytest.approx(0.02, rel=0.05)
        assert today[name].std() == pytest.approx(0.02 / 18**0.5, rel=0.05)


def test_seeds_for_different_purposes_are_different():
    seeds = [derived_seed(seed, purpose) for seed in range(20) for purpose in ("body", "input", "head", "order")]
    assert len(set(seeds)) == len(seeds)


def test_lus_layer_for_patches_is_orthogonal_with_the_published_gain(tiny):
    layer = build(tiny, task="bits", input_scale="lu2021").input
    torch.testing.assert_close(layer.weight.T @ layer.weight, ORTHOGONAL_GAIN**2 * torch.eye(2), atol=1e-5, rtol=0)
    assert (layer.bias == 0).all()


@EACH
def test_dropout_is_the_checkpoints_own_unless_set(model, tiny):
    def found(dropout):
        body = build(tiny, model, training={"dropout": dropout}).body
        config = {getattr(body.config, name) for name in ADAPTERS[model].dropouts}
        assert {module.p for module in body.modules() if isinstance(module, nn.Dropout)} <= config
        return config

    stored = read_json(Path(tiny.checkpoints[model].folder) / "config.json")
    assert found(None) == {stored[name] for name in ADAPTERS[model].dropouts}
    assert found(0.35) == {0.35}


# --- checkpoints that cannot be used ----------------------------------------------------------------------------


@pytest.fixture
def broken(tiny, tmp_path):
    """A copy of the tiny GPT-2 to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny.checkpoints["gpt2"].folder, folder)
    return folder


def refusal(tiny, folder: Path, **changes) -> str:
    checkpoint = {"name": "mine", "folder": str(folder)}
    with pytest.raises(UserError) as caught:
        build(tiny, **{"checkpoint": checkpoint} | changes)
    text = str(caught.value)
    assert re.fullmatch(r"[^\n]+\.", text), text
    return text


def set_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@given(share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=25)
def test_truncated_weights_are_refused(share, _tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    source = Path(_tiny.checkpoints["gpt2"].folder)
    shutil.copy(source / "config.json", folder)
    content = (source / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: int(share * len(content))])
    assert refusal(_tiny, folder).startswith(f"{folder}/model.safetensors cannot be loaded (")


def test_a_file_that_is_overwritten_does_not_change_the_model_that_was_read(broken, tiny):
    model = build(tiny, checkpoint={"name": "mine", "folder": str(broken)})
    before = weights(model)
    path = broken / "model.safetensors"
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert same(weights(model), before)


def test_missing_tensors_are_named(broken, tiny):
    tensors = load_file(broken / "model.safetensors")
    [name] = [name for name in tensors if name.endswith("h.1.mlp.c_fc.weight")]
    del tensors[name]
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    assert f"{broken}/model.safetensors lacks h.1.mlp.c_fc.weight; it is not" in refusal(tiny, broken)


def test_tensors_that_the_config_does_not_describe_are_named(broken, tiny):
    set_config(broken, n_layer=1)
    text = refusal(tiny, broken)
    assert re.match(rf"{broken}/model\.safetensors has (h\.1\.[\w.]+(, )?){{5}}, which", text)
    assert f"which {broken}/config.json does not describe" in text


@pytest.mark.parametrize(
    ("model", "kind"), [("gpt2", AutoModelForCausalLM), ("bert", AutoModelForSequenceClassification)]
)
def test_heads_and_poolers_of_other_tasks_are_passed_over(model, kind, tiny, tmp_path):
    whole = kind.from_pretrained(tiny.checkpoints[model].folder)
    whole.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors") | {"score.weight": torch.zeros(2, 16)}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    found = weights(build(tiny, model, checkpoint={"name": "mine", "folder": str(tmp_path)}))
    assert same(found, weights(build(tiny, model)), "body.")


@pytest.mark.parametrize("model", ["t5", "bart"])
def test_a_file_of_an_encoder_alone_is_enough(model, tiny, tmp_path):
    """As those of protein language models are published; a tensor of the encoder itself must still not be missing."""
    folder = tmp_path / "encoder"
    shutil.copytree(tiny.checkpoints[model].folder, folder)
    whole = load_file(folder / "model.safetensors")
    tensors = {name: tensor for name, tensor in whole.items() if "decoder." not in name}
    assert len(tensors) < len(whole)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    mine = {"name": "mine", "folder": str(folder)}
    assert same(weights(build(tiny, model, checkpoint=mine)), weights(build(tiny, model)), "body.")

    norm = next(name for name in tensors if "norm" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != norm}, folder / "model.safetensors")
    assert f"lacks {norm}; " in refusal(tiny, folder, model=model)


def test_tensors_of_another_shape_are_named(broken, tiny):
    set_config(broken, n_positions=POSITIONS + 8)
    text = refusal(tiny, broken)
    assert f"has wpe.weight of shape [{POSITIONS}, 16], but" in text
    assert f"describes [{POSITIONS + 8}, 16]" in text


def test_pickled_weights_are_never_opened(broken, tiny):
    class Trap:
        def __reduce__(self):
            return (Path(broken, "opened").touch, ())

    (broken / "model.safetensors").unlink()
    torch.save(Trap(), broken / "pytorch_model.bin")
    assert "model.safetensors" in refusal(tiny, broken)
    spec = tiny.spec(checkpoint={"name": "mine", "folder": str(broken), "sha256": tree_digest(broken)})
    with pytest.raises(UserError, match=r"model\.safetensors is missing; run snakemake again"):
        finetune_run(spec, 0, broken / "out", torch.device("cpu"), 60, "test")
    assert not (broken / "opened").exists()


@pytest.mark.parametrize("model_type", ["frob", "gpt2"])
def test_code_in_a_checkpoint_is_never_run(model_type, broken, tiny, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # not even when someone at a terminal would say yes
    (broken / "trap.py").write_text(
        f"from pathlib import Path\nPath({str(broken / 'run')!r}).touch()\n"
        "from transformers import GPT2Config as C, GPT2Model as M\n"
    )
    set_config(broken, model_type=model_type, auto_map={"AutoConfig": "trap.C", "AutoModel": "trap.M"})
    if model_type == "gpt2":
        checkpoint = {"name": "mine", "folder": str(broken)}
        assert type(build(tiny, checkpoint=checkpoint).body) is GPT2Model
        assert type(build(tiny, checkpoint=checkpoint, body="random").body) is GPT2Model
    else:
        assert refusal(tiny, broken).startswith("neither crossover nor transformers knows the architecture 'frob'")
    assert not (broken / "run").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"model_type": ["gpt2"]}'])
def test_a_damaged_config_is_refused(content, broken, tiny):
    (broken / "config.json").write_bytes(content)
    assert re.match(
        rf"{broken}/config\.json|neither crossover nor transformers knows the architecture", refusal(tiny, broken)
    )


@pytest.mark.parametrize("changes", [{"n_layer": "two"}, {"n_head": 3}])
def test_a_config_that_describes_no_model_is_refused(changes, broken, tiny):
    set_config(broken, **changes)
    assert refusal(tiny, broken).startswith(str(broken))


def test_a_missing_checkpoint_is_refused(tiny, tmp_path):
    assert refusal(tiny, tmp_path / "nowhere").startswith(f"{tmp_path}/nowhere/config.json is missing; ")


@pytest.mark.parametrize("model", [model for model in SIZES if ADAPTERS[model].positions])  # else there is no maximum
def test_sequences_longer_than_the_positions_are_refused(model, tiny):
    encoding = tiny.encoding("listops")
    assert build_model(
        tiny.spec(model=model), encoding.model_copy(update={"longest": POSITIONS}), tiny.items("listops"), 0
    )
    with pytest.raises(UserError) as caught:
        build_model(
            tiny.spec(model=model), encoding.model_copy(update={"longest": POSITIONS + 1}), tiny.items("listops"), 0
        )
    otherwise = ", or set vit_positions of the recipe to zeros" if model == "vit" else ""
    assert str(caught.value) == (
        f"results/tokens/listops-tokens has sequences of {POSITIONS + 1} positions, but checkpoint tiny-{model} has only "
        f"{POSITIONS}; shorten the task's encoding or take another checkpoint{otherwise}."
    )


@EACH
def test_a_vit_has_new_positions_of_zeros_for_any_length_and_others_keep_theirs(model, tiny):
    encoding = tiny.encoding("listops").model_copy(update={"longest": POSITIONS + 9})
    spec = tiny.spec(model=model, trained=["head", "positions"], vit_positions="zeros")
    if model != "vit":
        own, new = (build(tiny, model, vit_positions=one) for one in ("checkpoint", "zeros"))
        assert same(weights(own), weights(new))
        return
    for body in ("pretrained", "random"):
        sequence = build_model(renamed(spec, body=body), encoding, tiny.items("listops"), 0).eval()
        positions = sequence.body.position_embeddings
        assert positions.shape == (1, POSITIONS + 9, 16)
        assert not positions.any()
        assert "body.position_embeddings" in sequence.rates
        own, new = weights(build(tiny, model, body=body)), weights(sequence)
        assert {name for name in own if not torch.equal(own[name], new[name])} == {"body.position_embeddings"}
        symbols = torch.arange(POSITIONS + 9)[None] % 8
        assert sequence(symbols, torch.tensor([POSITIONS + 9])).isfinite().all()


# --- real checkpoints -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "name"), [("gpt2", "gpt2-l2-h128-books"), ("bert", "bert-l2-h128-books")])
def test_checkpoints_trained_on_books_load_and_run(model, name, tiny, mirrored, tmp_path):
    folder = mirrored(f"models/{name}")
    checkpoint = {"name": name, "folder": str(folder), "sha256": tree_digest(folder)}
    sequence = build(tiny, checkpoint=checkpoint)
    embedded = torch.randn(2, 300, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = AutoModel.from_pretrained(folder).eval()(inputs_embeds=embedded).last_hidden_state
        ours = sequence.body(inputs_embeds=embedded).last_hidden_state
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)  # states of up to 7, and another kernel for GELU
    spec = tiny.spec(checkpoint=checkpoint, training={"length": "6 steps", "evaluate_every": "3 steps"})
    finetune_run(spec, 0, tmp_path, torch.device("cpu"), 60, "test")
    assert read_json(tmp_path / "metrics.json")["selected"]["steps"] == 6


def test_the_command_view_counts_the_parameters_of_a_checkpoint(mirrored):
    text = view_checkpoint(str(mirrored("models/stories260K"))).text()
    assert "llama, 5 blocks, 64 wide, 512 positions" in text
    assert text.splitlines()[-3].split() == ["all", "704", "61,440", "165,120", "32,768", "260,032"]


@pytest.mark.parametrize("architecture", sorted(model for model, adapter in ADAPTERS.items() if adapter.objective))
def test_an_architecture_without_weights_trains_with_a_random_body(architecture, tiny, tmp_path):
    """Its config is of the size that is asked for, and the body is the one that a checkpoint with this config has at random."""
    size = {"blocks": 3, "width": 16, "heads": 2, "positions": 64, "vocabulary": 31, "dropout": 0.0}
    spec = ArchitectureSpec.named("mine", architecture=architecture, code={}, **size)
    describe_architecture(spec, tmp_path / spec.name)
    found = read_size(tmp_path / spec.name)
    unlimited = architecture in ("t5", "lstm")
    assert found == ModelSize(architecture=architecture, blocks=3, width=16, positions=None if unlimited else 64)
    files = {"name": spec.name, "folder": str(tmp_path / spec.name)}
    run = tiny.spec(
        checkpoint=files,
        body="random",
        input="re-embedded",
        training={"length": "2 steps", "evaluate_every": "1 step"},
    )
    finetune_run(run, 0, tmp_path / "out", torch.device("cpu"), 60, "test")
    assert read_json(tmp_path / "out/metrics.json")["selected"]["steps"] == 2
    provenance = read_json(tmp_path / "out/provenance.json")
    assert provenance["digests"]["checkpoint"] == sha256(tmp_path / spec.name / "config.json")
    table = build_model(run, tiny.encoding("listops"), tiny.items("listops"), 0).input.table
    assert table.weight.shape[0] == 31


@pytest.mark.parametrize("body", [{"kind": "mimetic"}, {"kind": "truncated", "blocks": 1, "of": "random"}])
def test_bodies_that_are_drawn_need_no_weights(body, tiny, tmp_path):
    shutil.copytree(tiny.checkpoints["gpt2"].folder, tmp_path / "gpt2")
    (tmp_path / "gpt2/model.safetensors").unlink()
    files = {"name": "mine", "folder": str(tmp_path / "gpt2")}
    model = build_model(tiny.spec(checkpoint=files, body=body), tiny.encoding("listops"), tiny.items("listops"), 0)
    assert len(model.body.h) == body.get("blocks", 2)


@pytest.mark.parametrize(
    ("name", "place"), [("topics-gpt2", "results/checkpoints/topics-gpt2"), ("minilm", "resources/downloads/minilm")]
)
def test_a_checkpoint_of_the_config_is_found_where_it_is_made_or_fetched(name, place, tiny, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSOVER_MIRROR", raising=False)
    with pytest.raises(
        UserError, match=rf"^checkpoint {name} is not there yet \({place}-\S+ is missing\); run snake"
    ) as caught:
        view_checkpoint(name)
    shutil.copytree(tiny.checkpoints["bert"].folder, re.search(r"\((\S+)", str(caught.value))[1])
    assert "bert, 2 blocks, 16 wide" in view_checkpoint(name).text()


def test_gelu_of_gpt2_is_one_kernel_and_the_same_function():
    body = AutoModel.from_config(tiny_config("gpt2", activation_function="gelu_new")).eval()
    embedded = torch.randn(2, 9, 16)
    with torch.inference_mode():
        expected = body(inputs_embeds=embedded).last_hidden_state
        fuse_activations(body)
        torch.testing.assert_close(body(inputs_embeds=embedded).last_hidden_state, expected, atol=1e-6, rtol=0)
    assert "NewGELUActivation" not in str(body)
