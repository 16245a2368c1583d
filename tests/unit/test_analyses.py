"""Analyses of models, against their definitions, other libraries, and models whose result is known."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.linalg import eigh
from scipy.stats import ortho_group
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from tiny_runs import SIZES, environment, write_checkpoint
from transformers import BertModel

from crossover.analyses.analysed_model import AnalysedModel, sample_indices
from crossover.analyses.attention import measure as attention
from crossover.analyses.gather import gather_analyses
from crossover.analyses.heads import measure as heads
from crossover.analyses.kinds import analysis_kinds, measure_module, text_of
from crossover.analyses.optimisation import measure as optimisation
from crossover.analyses.probing import measure as probing
from crossover.analyses.similarity import measure as similarity
from crossover.analyses.similarity.measure import canonical_correlations, decompose, linear_cka, pwcca, svcca
from crossover.analyses.stage import analyse_models
from crossover.charts.palette import Series
from crossover.config.studies import AnalysisKind
from crossover.errors import UserError
from crossover.files import tree_digest, write_parquet
from crossover.report.analyses import charts_of
from crossover.runs.files import analysis_folder, checked_provenance, write_provenance
from crossover.runs.provenance import Recorder
from crossover.specs.analyses import AnalysisSpec
from crossover.specs.checkpoints import CheckpointFiles
from crossover.specs.descriptions import EncodedTarget
from crossover.specs.identity import code_digests
from crossover.specs.runs import ModelSettings
from crossover.specs.studies import ModelLabels, StudyAnalysis, StudySpec
from crossover.training.device import device_use
from crossover.training.scoring import loss_of

CPU = torch.device("cpu")
SEEDS = st.integers(0, 10**6)
CLASSES = EncodedTarget(kind="class", classes=tuple("abcd"))


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread, as the command does: several threads are slow on small matrices."""
    with threadpool_limits(1):
        yield


def spec(tiny, kind: str, *models: tuple[str, str], task: str = "listops") -> AnalysisSpec:
    """Return the spec of an analysis of tiny models, given by architecture and body."""
    runs = [tiny.spec(task, architecture, body=body) for architecture, body in models]
    code = code_digests("crossover.analyses.stage", measure_module(kind))
    settings = [{key: getattr(run, key) for key in ModelSettings.model_fields} | {"trained_by": None} for run in runs]
    return AnalysisSpec.named(f"{kind}.tried", analysis=kind, models=settings, code=code)


def bodies_of(kind: str) -> tuple[str, ...]:
    """Return the bodies of as many models as a kind measures."""
    return ("pretrained", "random") if text_of(kind).paired else ("pretrained",)


def analysed(
    tiny, model: str = "gpt2", body: str = "pretrained", task: str = "listops", seed: int = 0
) -> AnalysedModel:
    return AnalysedModel.build(spec(tiny, "probing", (model, body), task=task).models[0], seed, CPU)


def states(seed: int, positions: int = 60, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return the states of two layers that have something in common."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(positions, width)) * rng.uniform(0.5, 3, width)
    return a, np.tanh(a @ rng.normal(size=(width, width + 2))) + rng.normal(size=(positions, width + 2))


# --- the kinds ----------------------------------------------------------------------------------------------


def test_the_config_names_every_kind():
    assert set(AnalysisKind.__args__) == set(analysis_kinds())
    assert all(re.fullmatch("[a-z]+", kind) for kind in analysis_kinds()), (
        "as in the wildcard_constraints of common.smk"
    )


def test_planning_facts_need_no_heavy_library():
    names = {"torch", "numpy", "pandas", "altair", "scipy", "sklearn"}
    code = (
        "import sys; from crossover.analyses.kinds import analysis_kinds, text_of; "
        f"print([text_of(kind).paired for kind in analysis_kinds()], set(sys.modules) & {names})"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == f"{[text_of(kind).paired for kind in analysis_kinds()]} set()\n"


@pytest.mark.parametrize("kind", analysis_kinds())
def test_the_code_digest_of_an_analysis_covers_its_own_measure_alone(kind):
    digested = code_digests("crossover.analyses.stage", measure_module(kind))
    shared = {"crossover.analyses.stage", "crossover.analyses.analysed_model"}
    assert {name for name in digested if name.startswith("crossover.analyses")} == shared | {measure_module(kind)}
    assert not [name for name in digested if name.startswith("crossover.report")]


@pytest.mark.parametrize("model", SIZES)
@pytest.mark.parametrize("kind", analysis_kinds())
def test_every_kind_measures_every_architecture(kind, model, tiny, tmp_path):
    try:
        analyse_models(spec(tiny, kind, *((model, body) for body in bodies_of(kind))), 0, tmp_path, CPU, "test")
    except UserError as error:
        assert str(error).startswith(
            f"checkpoint tiny-{model} ({model}) returns no attention maps, which this analysis needs;"
        )
        return
    checked_provenance(tmp_path, ["values.parquet"])
    values = pd.read_parquet(tmp_path / "values.parquet")
    assert len(values)
    assert np.isfinite(values.select_dtypes("float").drop(columns="scale", errors="ignore").to_numpy()).all()


@pytest.mark.parametrize("kind", analysis_kinds())
def test_every_kind_is_drawn_and_explained(kind, tiny):
    entry = spec(tiny, kind, *(("gpt2", body) for body in bodies_of(kind)))
    labels = dict(zip(("model", "other_model"), bodies_of(kind), strict=False))
    models = [AnalysedModel.build(model, 0, CPU) for model in entry.models]
    table = importlib.import_module(measure_module(kind)).measure(models, 0).assign(**labels, seed=0)
    styles = {body: Series(f"{body} body", "var(--blue)", "circle", (1, 0)) for body in bodies_of(kind)}
    charts = charts_of(kind)
    assert {"model", "seed", *charts.columns} <= set(table)
    drawn = list(charts.draw("listops", "ListOps", table, styles))
    assert len({chart.name for chart in drawn}) == len(drawn) > 0
    assert all(chart.title.startswith("ListOps") and chart.svg.startswith("<svg") for chart in drawn)
    assert all(getattr(text_of(kind), field) for field in ("title", "measures", "limits", "reading"))


# --- the stage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["heads", "attention"])
def test_an_lstm_has_no_attention_maps(kind, tiny, tmp_path):
    with pytest.raises(UserError, match=r"^checkpoint tiny-lstm \(lstm\) returns no attention maps, which this "):
        analyse_models(spec(tiny, kind, *(("lstm", body) for body in bodies_of(kind))), 0, tmp_path, CPU, "test")


@pytest.mark.parametrize(
    ("model", "attention", "asking", "answering", "norm", "reach"),
    [
        ("vit", "layers.0.attention", "q_proj", "k_proj", "layers.0.layernorm_before", 99),
        ("longformer", "encoder.layer.0.attention.self", "query", "key", None, 2),
    ],
)
@torch.inference_mode()
def test_attention_maps_of_the_first_layer_follow_from_its_queries_and_keys(
    model, attention, asking, answering, norm, reach, tiny
):
    """Computed head by head for the architectures whose maps crossover does not pass on unchanged."""
    asked = analysed(tiny, model)
    tokens, items, body = asked.tokens("test"), np.arange(4), asked.network.body
    [(_, layers, lengths)] = asked.hidden_states(tokens, items)
    entering = body.get_submodule(norm)(layers[0]) if norm else layers[0]
    queries, keys = (
        body.get_submodule(f"{attention}.{name}")(entering).unflatten(-1, (2, 8)).transpose(1, 2)
        for name in (asking, answering)
    )
    for item, maps in enumerate(asked.attention_maps(tokens, items)):
        places = torch.arange(lengths[item])
        scores = (queries[item] @ keys[item].transpose(1, 2) / 8**0.5)[:, : len(places), : len(places)]
        far = (places[:, None] - places).abs() > reach
        wanted = scores.masked_fill(far, -torch.inf).softmax(-1)
        assert maps.shape == (2, 2, len(places), len(places))
        assert maps[0] == pytest.approx(wanted.numpy(), abs=1e-5)


def test_equal_seeds_give_equal_bytes(tiny, tmp_path):
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        analyse_models(
            spec(tiny, "similarity", ("gpt2", "pretrained"), ("bert", "random")), seed, tmp_path / place, CPU, ""
        )
    a, b, c = ((tmp_path / place / "values.parquet").read_bytes() for place in "abc")
    assert a == b != c


def test_gathering_verifies_values_and_labels_their_models(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = ModelLabels(checkpoint="tiny", checkpoint_title="Tiny", body="pretrained", input="new", condition=None)
    entry = StudyAnalysis(
        **{"name": "probing.a-0", "kind": "probing", "task": "listops", "seeds": (4,), "models": (model,)},
        **{"title": "ListOps", "simulated": False, "metric": "accuracy", "subset": None},
    )
    study = StudySpec(
        **{"name": "study-a", "study": "a", "title": "", "question": "", "description": "", "reproduce": ""},
        **{
            "confidence": 0.95,
            "margin": 0.05,
            "threshold": 0.9,
            "tasks": {},
            "checkpoints": {},
            "conditions": {},
            "cells": (),
        },
        left_out=(),
        compare=(),
        analyses=(entry,),
    )
    place = analysis_folder("probing.a-0", 4)
    write_parquet(place / "values.parquet", pd.DataFrame({"layer": [0, 1], "score": [0.5, 0.7]}))
    write_provenance(place, Recorder({}, "test").finish(device_use(CPU), 0, {}), ["values.parquet"])
    gather_analyses(study, "probing", Path("study"))
    expected = {
        "task": "listops",
        "model": "tiny, pretrained body, new input",
        "seed": 4,
        "layer": [0, 1],
        "score": [0.5, 0.7],
    }
    pd.testing.assert_frame_equal(pd.read_csv("study/probing.csv"), pd.DataFrame(expected))
    write_parquet(place / "values.parquet", pd.DataFrame({"layer": [0, 1], "score": [0.5, 0.8]}))
    with pytest.raises(UserError, match=r"values\.parquet is not the file that the run wrote; delete .*seed-4 and run"):
        gather_analyses(study, "probing", Path("study"))


class Bare(torch.nn.Module):
    """A body that returns its last hidden states alone."""

    config = type("Config", (), {"model_type": "lstm"})

    def forward(self, inputs_embeds, **_):
        return type("Output", (), {"last_hidden_state": inputs_embeds})


def test_missing_outputs_of_an_architecture_end_in_one_sentence(tiny):
    one = analysed(tiny)
    one.network.body = Bare()
    tokens = one.tokens("test")
    with pytest.raises(
        UserError,
        match=r"^checkpoint tiny-gpt2 \(lstm\) returns no attention maps, which this analysis needs; in .*\.$",
    ):
        next(one.attention_maps(tokens, np.arange(2)))
    with pytest.raises(
        UserError, match=r"^checkpoint tiny-gpt2 \(lstm\) returns no hidden states, which this analysis needs; .*\.$"
    ):
        next(one.hidden_states(tokens, np.arange(2)))


# --- similarity ---------------------------------------------------------------------------------------------


@given(seed=SEEDS, scale=st.floats(0.01, 100))
@settings(deadline=None, max_examples=25)
def test_cka_is_invariant_to_rotation_scale_and_shift_alone(seed, scale):
    a, b = states(seed)
    rotated = scale * b @ ortho_group.rvs(b.shape[1], random_state=seed) + 3
    assert linear_cka(decompose(a), decompose(rotated)) == pytest.approx(linear_cka(decompose(a), decompose(b)))
    assert linear_cka(decompose(a), decompose(scale * a)) == pytest.approx(1)
    stretched = decompose(a * np.linspace(1, 9, a.shape[1]))
    assert linear_cka(decompose(a), stretched) < 0.999


@given(seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_cka_is_the_normalised_hsic_of_gram_matrices(seed):
    a, b = states(seed)
    centre = np.eye(len(a)) - 1 / len(a)

    def hsic(x, y):
        return np.trace(x @ x.T @ centre @ y @ y.T @ centre) / (len(x) - 1) ** 2

    assert linear_cka(decompose(a), decompose(b)) == pytest.approx(hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b)))


@given(seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_canonical_correlations_are_generalised_eigenvalues(seed):
    a, b = states(seed)
    variates, found = canonical_correlations(decompose(a).left, decompose(b).left)
    x, y = a - a.mean(0), b - b.mean(0)
    zero = np.zeros((a.shape[1], b.shape[1]))
    values = eigh(
        np.block([[np.zeros((5, 5)), x.T @ y], [y.T @ x, np.zeros((7, 7))]]),
        np.block([[x.T @ x, zero], [zero.T, y.T @ y]]),
        eigvals_only=True,
    )
    np.testing.assert_allclose(found, values[::-1][:5], atol=1e-8)
    assert variates.shape == (5, 5)


@given(seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_cca_is_invariant_to_invertible_maps_and_cka_is_not(seed):
    a, b = states(seed)
    mixed = decompose(b @ (np.diag(np.linspace(1, 5, 7)) @ ortho_group.rvs(7, random_state=seed)) - 2)
    found = canonical_correlations(decompose(a).left, decompose(b).left)[1]
    np.testing.assert_allclose(canonical_correlations(decompose(a).left, mixed.left)[1], found)
    assert pwcca(decompose(a), mixed) == pytest.approx(pwcca(decompose(a), decompose(b)))
    assert linear_cka(decompose(a), mixed) != pytest.approx(linear_cka(decompose(a), decompose(b)), abs=1e-6)


def test_svcca_equals_sklearns_cca_of_the_principal_components():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(300, 3))
    a = np.hstack([common, 1e-3 * rng.normal(size=(300, 2))])  # the last two hold less than 1 % of the variance
    b = common @ rng.normal(size=(3, 3)) + 2 * rng.normal(size=(300, 3))
    reduced = PCA(0.99).fit_transform(a), PCA(0.99).fit_transform(b)
    assert [part.shape[1] for part in reduced] == [3, 3]
    x, y = CCA(3, scale=False, tol=1e-12, max_iter=10_000).fit_transform(*reduced)
    expected = np.mean([np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(3)])
    assert svcca(decompose(a), decompose(b)) == pytest.approx(expected, abs=1e-5)


def test_pwcca_equals_its_definition():
    """Morcos et al. 2018: the canonical variates of the layer, weighted by how the layer's units project on them."""
    a, b = states(3)
    x, y = a - a.mean(0), b - b.mean(0)
    squared, directions = eigh(x.T @ y @ np.linalg.solve(y.T @ y, y.T @ x), x.T @ x)
    variates = x @ directions  # of unit norm, since x'x is their metric
    weights = [sum(abs(variate @ unit) for unit in x.T) for variate in variates.T]
    expected = np.average(np.sqrt(squared), weights=weights)
    assert pwcca(decompose(a), decompose(b)) == pytest.approx(expected)
    assert pwcca(decompose(b), decompose(a)) == pytest.approx(expected), "the narrower layer gives the weights"


def test_pwcca_of_few_positions_is_high_and_so_is_its_control():
    rng = np.random.default_rng(0)
    a, b = decompose(rng.normal(size=(200, 90))), decompose(rng.normal(size=(200, 90)))
    shuffled = similarity.LayerSVD(b.left[rng.permutation(200)], b.values, b.right)
    assert pwcca(a, b) > 0.5
    assert pwcca(a, shuffled) == pytest.approx(pwcca(a, b), abs=0.03)


def test_similarity_compares_states_of_the_plain_model_at_the_same_positions(tiny, monkeypatch):
    """The states are those of the plain model, whatever the padding; a model is equal to itself, its control is not."""
    one = analysed(tiny, "bert")
    found = similarity.sample_states(one, 0)
    tokens = one.tokens("test")
    plain = BertModel.from_pretrained(tiny.checkpoints["bert"].folder, add_pooling_layer=False).eval()
    expected = []
    with torch.inference_mode():
        for item in range(len(tokens)):
            values = torch.from_numpy(tokens.gather(np.array([item]))[0].astype(np.int64))
            expected.append(plain(inputs_embeds=one.network.input(values), output_hidden_states=True).hidden_states)
    for layer, values in enumerate(found):
        np.testing.assert_allclose(values, torch.cat([item[layer][0] for item in expected]), atol=1e-5)
    monkeypatch.setattr(similarity, "POSITIONS", 50)
    assert len(similarity.sample_states(one, 0)[0]) == 50
    table = similarity.measure([one, analysed(tiny, "bert")], 0).query("layer_a == layer_b")
    np.testing.assert_allclose(table["value"], 1)
    assert (table["control"] < 0.95).all()


# --- attention ----------------------------------------------------------------------------------------------

HEADS, HEAD_WIDTH = 4, 4  # of the model whose heads are permuted


def permute_heads(folder: Path, target: Path, model: str, order: list[int]) -> CheckpointFiles:
    """Write the same checkpoint with head order[i] of every layer at place i; return how a spec refers to it."""
    units = torch.cat([torch.arange(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH) for head in order])
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if model == "bert" and ".attention.self." in name:
            weights[name] = weights[name][units]
        elif model == "bert" and name.endswith("attention.output.dense.weight"):
            weights[name] = weights[name][:, units]
        elif ".attn.c_attn." in name or name.startswith("attn.c_attn."):
            parts = weights[name].split(HEADS * HEAD_WIDTH, dim=-1)
            weights[name] = torch.cat([part[..., units] for part in parts], dim=-1)
        elif name.endswith("attn.c_proj.weight"):
            weights[name] = weights[name][units]
    target.mkdir()
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, target / "model.safetensors", {"format": "pt"}
    )
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    return CheckpointFiles(name="moved", folder=str(target), sha256=tree_digest(target))


@pytest.mark.parametrize(("model", "heads_of"), [("bert", "num_attention_heads"), ("gpt2", "n_head")])
def test_matching_recovers_permuted_heads(model, heads_of, tiny, tmp_path):
    order = [2, 0, 3, 1]
    checkpoint = write_checkpoint(tmp_path / "four", model, **{heads_of: HEADS})
    moved = permute_heads(tmp_path / "four", tmp_path / "moved", model, order)
    [planned] = spec(tiny, "heads", (model, "pretrained")).models
    models = [planned.model_copy(update={"checkpoint": one}) for one in (checkpoint, moved)]
    first, second = (AnalysedModel.build(one, 0, CPU) for one in models)
    table = heads.measure([first, second], 0)
    for _, layer in table.groupby("layer"):
        assert [order[place] for place in layer["head_b"]] == layer["head_a"].tolist() == [0, 1, 2, 3]
    assert table["distance"].max() < 1e-5 < 1e-3 < table["chance"].min()


def test_head_distances_of_maps_made_by_hand():
    own, previous = np.eye(4), np.eye(4)[[0, 0, 1, 2]]
    even = np.full((4, 4), 0.25)
    found = heads.head_distances(np.stack([own, previous]), np.stack([previous, own, even]))
    np.testing.assert_allclose(found, [[1.5, 0, 1.5], [0, 1.5, 1.5]])
    assert heads.match_heads(found) == [(0, 1), (1, 0)]


def test_attention_distances_of_maps_made_by_hand():
    own, previous, first = np.eye(5), np.eye(5)[[0, 0, 1, 2, 3]], np.eye(5)[[0] * 5]
    np.testing.assert_allclose(attention.mean_distances(np.stack([own, previous, first])), [0, 4 / 5, 2])
    causal = attention.uniform_attention(np.stack([[first, np.tri(5) / np.arange(1, 6)[:, None]]]))
    np.testing.assert_allclose(causal[0, 2], [1 / 3, 1 / 3, 1 / 3, 0, 0])
    np.testing.assert_allclose(attention.mean_distances(causal), [np.mean([0, 0.5, 1, 1.5, 2])])


@given(length=st.integers(1, 60), bins=st.integers(1, 30), seed=SEEDS)
def test_binning_keeps_the_total_attention_of_each_query(length, bins, seed):
    maps = np.random.default_rng(seed).dirichlet(np.ones(length), size=(2, length))
    found = attention.bin_maps(maps, bins)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    if length % bins == 0:  # whole positions in each bin
        each = length // bins
        np.testing.assert_allclose(found, maps.reshape(2, bins, each, bins, each).sum(axis=4).mean(axis=2))


def test_causal_models_attend_backwards_and_never_to_padding(tiny):
    one = analysed(tiny)
    tokens = one.tokens("test")
    for item, maps in enumerate(one.attention_maps(tokens, np.arange(len(tokens)))):
        assert maps.shape == (2, 2, tokens.lengths[item], tokens.lengths[item])
        np.testing.assert_allclose(maps.sum(axis=-1), 1, atol=1e-6)
        assert not np.triu(maps, 1).any()


# --- probing ------------------------------------------------------------------------------------------------


@given(seed=SEEDS)
@settings(deadline=None, max_examples=10)
def test_a_probe_predicts_what_is_linearly_decodable(seed):
    rng = np.random.default_rng(seed)
    seen, unseen = slice(200), slice(200, 300)
    targets = rng.integers(0, 4, 300)
    rows = (8 * np.eye(6)[targets] + rng.normal(size=(300, 6)))[:, None]
    probe = probing.LinearProbe(CLASSES, 0.1).fit(rows[seen], targets[seen])
    assert (probe.predict(rows[unseen]) == targets[unseen]).mean() > 0.97
    rows = rng.normal(size=(300, 2, 6))  # two read-out positions
    numbers = rows @ rng.normal(size=(6, 3))
    probe = probing.LinearProbe(EncodedTarget(kind="bits"), 0.1).fit(rows[seen], (numbers[seen] > 0).astype(np.int8))
    assert (probe.predict(rows[unseen]) == (numbers[unseen] > 0)).mean() > 0.85
    probe = probing.LinearProbe(EncodedTarget(kind="number", metric="spearman"), 1e-4).fit(
        rows[seen, :1], numbers[seen, 0, 0]
    )
    np.testing.assert_allclose(probe.predict(rows[unseen, :1]), numbers[unseen, 0, 0], atol=1e-3)


def test_a_probe_on_noise_stays_at_chance():
    rng = np.random.default_rng(0)
    probe = probing.LinearProbe(CLASSES, 10.0).fit(rng.normal(size=(500, 1, 8)), rng.integers(0, 4, 500))
    assert 0.15 < (probe.predict(rng.normal(size=(500, 1, 8))) == rng.integers(0, 4, 500)).mean() < 0.35
    only = probing.LinearProbe(CLASSES, 10.0).fit(rng.normal(size=(9, 1, 2)), np.full(9, 3))
    assert only.predict(rng.normal(size=(4, 1, 2))).tolist() == [3] * 4


def test_probes_read_the_input_of_the_head(tiny):
    """The last layer's features are the head's input at each of several read-out positions."""
    one = analysed(tiny, task="bits")
    split = probing.extract_features(one, "test", 0)
    tokens = one.tokens("test")
    with torch.inference_mode():
        logits = one.network.head(torch.from_numpy(split.states[-1])).unflatten(-1, one.network.shape)
        values = torch.from_numpy(tokens.gather(np.arange(len(tokens)))[0])
        torch.testing.assert_close(logits, one.network(values, torch.from_numpy(tokens.lengths)), atol=1e-5, rtol=0)


# --- optimisation -------------------------------------------------------------------------------------------


def test_gradients_and_their_confusion_equal_those_of_a_loop(tiny, monkeypatch):
    monkeypatch.setattr(optimisation, "BATCH_SIZE", 2)
    one = analysed(tiny, "bert")
    found = optimisation.batch_gradients(one, 0)
    tokens, model = one.tokens("train"), one.network
    order = np.random.default_rng(0).permutation(len(tokens))
    expected = []
    for place in range(0, 16, 2):
        model.zero_grad()
        for item in order[place : place + 2]:
            values, _, targets = tokens.gather(np.array([item]))
            length = torch.tensor([values.shape[1]])
            loss = loss_of(model(torch.from_numpy(values.astype(np.int64)), length), torch.from_numpy(targets))
            (loss / 2).backward()
        expected.append(
            torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in model.parameters()])
        )
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)
    pairs = [(i, j) for i in range(8) for j in range(i + 1, 8)]
    cosines = [torch.cosine_similarity(expected[i], expected[j], dim=0).item() for i, j in pairs]
    np.testing.assert_allclose(optimisation.cosine_similarities(found), cosines, atol=1e-4)
    assert optimisation.gradient_confusion(found) == pytest.approx(
        max(0, *(-float(expected[i] @ expected[j]) for i, j in pairs)), abs=1e-4
    )


def test_the_gradient_confusion_bound_is_never_negative():
    assert optimisation.gradient_confusion(torch.tensor([[1.0, 0], [1, 1]])) == 0
    assert optimisation.gradient_confusion(torch.tensor([[1.0, 0], [-2, 1], [0, 1]])) == 2


def test_singular_values_equal_those_of_finite_differences(tiny):
    one = analysed(tiny)
    one.network.double()
    found = optimisation.singular_values(one, 0)
    tokens, columns = one.tokens("train"), []
    for item in sample_indices(len(tokens), optimisation.JACOBIAN_ITEMS, 0):
        values = torch.from_numpy(tokens.gather(np.array([item]))[0].astype(np.int64))
        with torch.no_grad():
            at = one.network.input(values)
            steps = 1e-6 * torch.eye(at.numel(), dtype=torch.float64).reshape(-1, *at.shape[1:])
            states = one.network.body(inputs_embeds=torch.cat([at + steps, at - steps])).last_hidden_state[:, -1]
        columns.append(torch.linalg.svdvals((states[: at.numel()] - states[at.numel() :]).T / 2e-6))
    torch.testing.assert_close(found, torch.stack(columns).mean(dim=0), atol=1e-6, rtol=1e-5)


def test_weight_noise_changes_a_linear_body_as_expected_and_is_removed():
    body = torch.nn.Linear(50, 4000, bias=False).double()
    inputs = torch.randn(6, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = body.weight.detach().clone()
    with torch.no_grad():
        outputs = body(inputs)
        expected = (inputs.norm(dim=1) * 4000**0.5 / outputs.norm(dim=1)).mean().item()
        for scale in optimisation.NOISE_SCALES:
            generator = torch.Generator().manual_seed(1)
            found = optimisation.relative_change(body, lambda: body(inputs), scale, generator)
            assert found == pytest.approx(scale * expected, rel=0.03)
    assert torch.equal(body.weight, before)
