"""A checkpoint is pretrained on the tokens of a task, and a run starts from its weights and its input layer."""

import json

from safetensors.torch import load_file

CHECKPOINT = """\
title: Pretrained on {task}
kind: pretrain
licence: none
corpus: {{kind: task, task: {task}, encoding: task}}
architecture: {architecture}
blocks: 1
width: 8
heads: 2
positions: 16
training: {{batch_size: 4, steps: 3, learning_rate: 1e-3}}
"""
STUDY = """\
title: Self-pretraining
question: Does it help to learn the sequences before their labels?
rows:
  - {tasks: [tunes], checkpoints: [self-tunes], conditions: [pretrained-tokens-all]}
  - {tasks: [digits], checkpoints: [self-digits], conditions: [pretrained-tokens-all]}
seeds: [0]
training: {learning_rates: [1e-3], length: 2 steps, evaluate_every: 1 steps}
keep_weights: last
hardware: {gpu: 0, threads: 1}
"""


def test_runs_start_from_what_was_pretrained_on_their_own_tokens(finished):
    """Symbols and patches: what the jobs say they have read, and the input layer, trained twice."""
    for task, architecture in (("tunes", "bert"), ("digits", "gpt2")):
        text = CHECKPOINT.format(task=task, architecture=architecture)
        (finished.root / f"config/checkpoints/self-{task}.yaml").write_text(text)
    finished.study.write_text(STUDY)
    finished.finish("--cores", "2")
    assert finished.plan() == set()
    page = (finished.root / "results/studies/tiny/report.html").read_text(encoding="utf-8")
    assert "its mean squared error is" in page
    assert "counts of three tokens in a row" in page
    names = {
        "self-tunes": "bert.embeddings.word_embeddings.weight",
        "self-digits": "patch_input.weight",
    }
    for checkpoint, name in names.items():
        [made] = (finished.root / "results/checkpoints").glob(f"{checkpoint}-*")
        [trained] = (finished.root / "results/trained").glob(f"*-{checkpoint}-*")
        before = load_file(made / "model.safetensors")[name]
        after = load_file(trained / "model.safetensors")[name.removeprefix("bert.")]
        assert before.shape == after.shape
        assert 0 < (after - before).abs().max() < 0.1
        viewed = json.loads(finished.by_hand("view", checkpoint, "--json").stdout)
        assert (viewed["positions"], viewed["patch"]) == (16, 4 if checkpoint == "self-digits" else None)
