"""The whole workflow on a study so small that it runs in seconds: to the end, interrupted, killed, on a cluster."""

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter

import pandas
import pytest
import torch
import yaml
from transformers import AutoModel

from crossover.planning.plan import make_plan
from crossover.planning.snapshot import write_snapshot
from crossover.runs.lock import is_held
from workflow_copy import CELLS, REPORT, baselines, fresh_environment, plan_server, results, runs, wait_for

RUN = "tiny-xor.tiny.random-all"
TUNED = """\
title: Tiny GPT-2 after tunes
kind: run
task: tunes
checkpoint: tiny
condition: pretrained-frozen
training: {learning_rates: [1e-2], length: 4 steps, evaluate_every: 2 steps, batch_size: 8}
"""
INPUTS = {
    ("acquire_dataset", "python-topics"),
    ("acquire_dataset", "tunes"),
    ("prepare_task", "tiny-xor"),
    ("prepare_task", "tunes"),
    ("tokenize_task", "tiny-xor-patches"),
    ("tokenize_task", "tunes-symbols"),
    ("pretrain_checkpoint", "tiny"),
}


# --- to the end ---------------------------------------------------------------------------------------------


def test_a_study_is_computed_to_its_report(finished):
    study = finished.root / "results" / "studies" / "tiny"
    report = (study / "report.html").read_text(encoding="utf-8")
    assert all(words in report for words in ("Tiny XOR", "Tunes", "Tiny GPT-2", "random, all trained"))
    found = [path.split("/")[0] for path in results(finished)]
    assert found.count("runs") == 3 * 2 * 4  # files x runs of a cell x cells
    assert found.count("studies") == 19  # ten tables, all but that of the curves in two forms
    assert not list(finished.root.glob("results/runs/*/*/state")), "training states of runs that have ended"
    assert not [path for path in finished.root.rglob("results/**/.*") if path.name != ".lock"], "unfinished files"


def test_a_second_run_computes_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.root.glob("results/**/*") if path.is_file()}
    assert "Nothing to be done" in finished.finish()
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("stage", ["finetune_run", "fit_baselines"])
def test_every_stage_runs_by_hand_from_its_log(finished, stage):
    """The first line of a log is the command; it gives the same bytes without Snakemake."""
    [baseline] = finished.root.glob("results/baselines/tunes-*/seed-0")
    folder = finished.run_folder(RUN, 0) if stage == "finetune_run" else baseline
    [log] = finished.root.glob(f"logs/{stage}/{folder.parent.name}/seed-0.log")
    command = log.read_text().splitlines()[0].split(" INFO ", 1)[1]
    before = (folder / "metrics.json").read_bytes()
    (folder / "metrics.json").unlink()
    done = finished.by_hand(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stdout
    assert (folder / "metrics.json").read_bytes() == before


def test_the_folder_may_be_moved_or_copied(finished, tmp_path):
    moved = finished.root.rename(tmp_path / "elsewhere with spaces")
    assert type(finished)(moved).plan() == set()


def test_folders_with_spaces_and_quotes(fresh, tmp_path):
    """The path of the checkout is the user's choice."""
    moved = type(fresh)(fresh.root.rename(tmp_path / 'it\'s a "folder" ü'))
    done = moved.run("--until", "tokenize_task")
    assert done.returncode == 0, done.stdout
    assert len(list(moved.root.glob("results/tokens/*/encoding.json"))) == 2


def test_a_folder_that_snakemake_cannot_work_in_is_named(fresh, tmp_path):
    moved = type(fresh)(fresh.root.rename(tmp_path / "a {brace}"))
    done = moved.run("-n")
    assert done.returncode != 0
    assert f"the folder {moved.root} has a brace in its path; move the repository elsewhere." in done.stdout
    assert "Traceback" not in done.stdout


def test_analyses_are_computed_to_their_section_of_the_report(finished):
    charts = {"similarity": 2, "heads": 1, "probing": 1, "attention": 3, "optimisation": 3}
    before = (finished.root / "results/studies/tiny/report.html").read_text(encoding="utf-8")
    assert 'id="analyses"' not in before
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0]")
    finished.append(
        "tiny.yaml", "".join(["analyses:\n", *(f"  - {{kind: {kind}, tasks: [tunes]}}\n" for kind in charts)])
    )
    finished.finish("--cores", "2")
    assert finished.plan() == set()
    folder = finished.root / "results/studies/tiny"
    report = (folder / "report.html").read_text(encoding="utf-8")
    section = report[report.index('<section id="analyses">') : report.index('<section id="checkpoints">')]
    for kind in charts:
        assert f'id="analysis-{kind}"' in section
        assert f'href="analyses/{kind}.csv"' in section
        assert len(pandas.read_csv(folder / f"analyses/{kind}.csv")) == len(
            pandas.read_parquet(folder / f"analyses/{kind}.parquet")
        )
        assert list(finished.root.glob(f"logs/analyse/{kind}.*/seed-0.log"))
    drawn = re.findall(r'data-chart="([^"]+)"', section)
    assert len(drawn) == sum(charts.values())
    assert all((folder / "figures" / f"{name}.svg").exists() for name in drawn)
    for module in ("chart", "text"):
        copy = finished.copy(finished.root.with_name(module))
        copy.append(f"workflow/crossover/analyses/probing/{module}.py", "\nX = 1\n")
        assert copy.plan() == {("render_report", "tiny")}, module
    finished.append("workflow/crossover/analyses/probing/measure.py", "\nX = 1\n")
    probes = {("analyse", f"probing.tunes.tiny-{body}/seed-0") for body in ("pretrained", "random")}
    assert finished.plan() == probes | {("gather_analyses", f"tiny/{kind}") for kind in charts} | REPORT


def test_what_runs_have_trained_is_a_checkpoint_and_is_analysed(finished):
    """A study of a body that a run has trained, before and after it was trained again."""
    (finished.root / "config/checkpoints/tuned.yaml").write_text(TUNED)
    finished.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tiny-xor]")
    finished.edit("tiny.yaml", "checkpoints: [tiny]", "checkpoints: [tiny, tuned]")
    finished.append(
        "tiny.yaml", "keep_weights: last\nanalyses: [{kind: similarity, checkpoints: [tuned], of: [before, after]}]\n"
    )
    finished.finish("--cores", "2")
    assert finished.plan() == set()
    report = (finished.root / "results/studies/tiny/report.html").read_text(encoding="utf-8")
    assert "tiny, trained here on tunes" in report
    assert "fine-tuned as random-all" in (finished.root / "results/studies/tiny/analyses/similarity.csv").read_text()

    # transformers reads what was kept, and it is what the next run has started from.
    [tuned] = finished.root.glob("results/trained/tuned-*")
    frozen, _ = finished.root.glob("results/trained/tiny-xor-tuned-pretrained-frozen-*")  # of two seeds
    before, after = (AutoModel.from_pretrained(folder).state_dict() for folder in (tuned, frozen))
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed and all(re.search("ln_|wpe", name) for name in changed), "only norms and positions were trained"
    assert f'href="../../trained/{frozen.name}"' in report


# --- planning -----------------------------------------------------------------------------------------------


def test_the_demo_is_planned_on_a_fresh_copy(fresh):
    """Each cell is one job for every seed."""
    demo = yaml.safe_load((fresh.root / "config" / "studies" / "demo.yaml").read_text())
    cells = len(demo["tasks"]) * len(demo["checkpoints"]) * len(demo["conditions"])
    sources = [fresh.root / "config" / "tasks" / f"{task}.yaml" for task in demo["tasks"]]
    counts = Counter(job["rule"] for job in plan_server().plan(fresh.root, "demo", ())[0])
    assert counts == {
        "acquire_dataset": sum("dataset" in yaml.safe_load(source.read_text()) for source in sources) + 1,
        "prepare_task": len(demo["tasks"]),
        "tokenize_task": len(demo["tasks"]),
        "pretrain_checkpoint": 1,
        "finetune_run": cells * len(demo["seeds"]),
        "fit_baselines": len(demo["tasks"]),
        "aggregate_study": 1,
        "render_report": 1,
        "all": 1,
    }


def test_snakemake_alone_plans_the_study_of_the_config(fresh):
    """The literal command, with what the terminal shows."""
    (fresh.root / "config" / "config.yaml").write_text("study: tiny.yaml\n")
    process = fresh.start("-n")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert re.search(r"^finetune_run +8$", output, flags=re.MULTILINE), output


def test_the_slurm_profile_plans_the_same_jobs(fresh):
    assert fresh.plan("--profile", "slurm") == runs(CELLS) | baselines() | REPORT | INPUTS


def test_parsing_imports_nothing_heavy(fresh):
    """Each cluster job parses the Snakefile twice; what Snakemake imports for itself does not count."""
    ours = modules_after_parsing(fresh)
    (fresh.root / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "touch x"\n')
    heavy = {"torch", "transformers", "datasets", "tokenizers", "pyarrow", "numpy", "pandas", "scipy", "sklearn"}
    assert not (ours - modules_after_parsing(fresh)) & (heavy | {"music21", "altair", "mido"})


def modules_after_parsing(copy) -> set[str]:
    """The top-level modules in memory after the Snakefile was parsed."""
    names = copy.root / "modules.json"
    copy.append("Snakefile", f"\nimport json, sys\njson.dump(list(sys.modules), open({str(names)!r}, 'w'))\n")
    copy.finish("-n", "--quiet")
    return {name.split(".")[0] for name in json.loads(names.read_text())}


# --- interrupted --------------------------------------------------------------------------------------------


def slower(copy) -> None:
    """Two runs that last seconds: they learn too little to stop early."""
    copy.edit("tiny.yaml", "length: 4 steps", "length: 600 steps")
    copy.edit("tiny.yaml", "evaluate_every: 2 steps", "evaluate_every: 50 steps\n  patience: 100")
    copy.edit("tiny.yaml", "[tiny-xor, tunes]", "[tiny-xor]")
    copy.edit("tiny.yaml", "[pretrained-frozen, random-all]", "[random-all]")
    copy.edit("tiny.yaml", "[1e-3, 1e-2]", "[3e-5]")


@pytest.fixture(scope="module")
def undisturbed(_finished, tmp_path_factory):
    """The slower study, run through."""
    copy = _finished.copy(tmp_path_factory.mktemp("undisturbed") / "workflow")
    slower(copy)
    copy.finish("--cores", "2")
    return results(copy)


def running(copy) -> list:
    """The folders of the runs that are being computed right now."""
    return [lock.parent for lock in copy.root.glob("results/runs/*/*/.lock") if is_held(lock)]


def test_a_workflow_goes_on_after_ctrl_c_and_with_unlock_after_a_power_cut(finished, undisturbed):
    """Ctrl-C stops everything; kill -9 leaves Snakemake's lock, and Snakemake says how to remove it."""
    slower(finished)
    process = finished.start("--cores", "2", "--config", "study=tiny.yaml")
    wait_for(lambda: running(finished))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in output, output
    wait_for(lambda: not _group(process.pid), seconds=10)
    assert not running(finished), "runs go on after Ctrl-C"

    process = finished.start("--cores", "2", "--config", "study=tiny.yaml")
    wait_for(lambda: running(finished))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not running(finished), seconds=10)
    refused = finished.run()
    assert refused.returncode != 0
    assert "--unlock" in refused.stdout
    finished.finish("--unlock")
    finished.finish("--cores", "2")
    assert {name: found for name, found in results(finished).items() if name in undisturbed} == undisturbed


def test_a_run_killed_at_random_moments_finds_the_same(finished, undisturbed, monkeypatch):
    """Its state is saved at each step, so that a kill hits the saving too."""
    slower(finished)
    folder = finished.run_folder(RUN, 1)
    name = folder.parent.name
    monkeypatch.chdir(finished.root)
    write_snapshot(make_plan("tiny.yaml"))
    arguments = ["--spec", f"results/specs/{name}.json", "--seed", "1", "--output", str(folder)]
    command = [sys.executable, "-m", "crossover", "finetune-run", *arguments, "--gpus", "0", "--save-every", "0"]
    environment = fresh_environment() | {"PYTHONPATH": str(finished.root / "workflow")}
    moments, ended = random.Random(0), []
    while not ended or ended[-1]:
        assert len(ended) < 20, "the run does not get on"
        process = subprocess.Popen(command, cwd=finished.root, env=environment, stderr=subprocess.PIPE, text=True)
        if len(ended) < 2:
            saved = changed(folder / "state" / "latest.pt")
            wait_for(lambda: saved() or process.poll() is not None)  # noqa: B023
            time.sleep(moments.uniform(0, 1))
            process.send_signal([signal.SIGKILL, signal.SIGTERM][len(ended)])
        _, words = process.communicate(timeout=120)
        ended.append(process.returncode)
        assert process.returncode in {0, -signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM}, words
    assert any(ended), "the run ended before it was killed"
    found = {
        path: content for path, content in results(finished).items() if path.startswith(f"runs/{name}/{folder.name}/")
    }
    assert len(found) == 3
    assert found == {path: undisturbed[path] for path in found}
    assert json.loads((folder / "provenance.json").read_text())["resumed"] >= 1


def changed(path):
    """A condition to wait for: the file is another one than now."""
    before = path.stat().st_mtime_ns if path.exists() else None
    return lambda: path.exists() and path.stat().st_mtime_ns != before


def _group(number: int) -> bool:
    """Whether a process of that group lives."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


# --- two at once --------------------------------------------------------------------------------------------


def test_two_at_once_in_one_folder(finished):
    """A second Snakemake refuses, and so does a run by itself (from another machine, or with --nolock)."""
    slower(finished)
    first = finished.start("--cores", "1", "--config", "study=tiny.yaml")
    wait_for(lambda: running(finished))
    second = finished.start("--cores", "1", "--config", "study=tiny.yaml")
    [folder] = running(finished)
    arguments = ["--spec", f"results/specs/{folder.parent.name}.json", "--seed", folder.name.removeprefix("seed-")]
    run = finished.by_hand("finetune-run", *arguments, "--output", str(folder), "--gpus", "0")
    assert (run.returncode, "is already being computed by process" in run.stdout) == (1, True), run.stdout
    output, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    assert "cannot be locked" in output
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert finished.plan() == set()
