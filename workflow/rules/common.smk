# What the rules share: the plan of the study, and look-ups in it. Nothing heavy may be imported here, since
# every cluster job reads this file twice.

import gc
import importlib
import os
import sys
import time
from contextlib import nullcontext
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

if set("{}") & set(str(workflow.basedir)):  # Snakemake takes them for patterns, in the paths of environments too
    raise WorkflowError(f"the folder {workflow.basedir} has a brace in its path; move the repository elsewhere.")

# Planning only adds objects, millions of them, and the garbage collector would go through all of them again and again,
# so it rests until `onstart`; a job plans little, and has no hooks.
if workflow.is_main_process:
    gc.disable()

# Jobs use the plan and the code of the Snakemake that submitted them, whatever is edited meanwhile.
SNAPSHOT = None if workflow.is_main_process else os.getenv("CROSSOVER_PLAN")
for _ in range(60 if SNAPSHOT else 0):  # seconds, like the profile's latency-wait: a file server may show them late
    if Path(SNAPSHOT, "plan.json").exists():
        break
    time.sleep(1)
    importlib.invalidate_caches()
sys.path.insert(0, str(Path(SNAPSHOT, "code") if SNAPSHOT else Path(workflow.basedir, "workflow")))

from crossover import export_path
from crossover.analyses.kinds import report_modules
from crossover.config.load import load_config
from crossover.errors import UserError
from crossover.files import sha256
from crossover.planning import resources
from crossover.planning.plan import make_plan
from crossover.planning.snapshot import read_snapshot
from crossover.runs.files import (
    BASELINE_RESULTS,
    FILES,
    VALUES,
    analysis_folder,
    baseline_folder,
    checked_provenance,
    run_folder,
)
from crossover.specs.identity import PACKAGE, code_digests, hash8
from crossover.specs.load import read_spec

export_path()

try:
    PLAN = read_snapshot(Path(SNAPSHOT)) if SNAPSHOT else make_plan(load_config(config).requested)
except UserError as error:
    raise WorkflowError(str(error)) from None

HARDWARE = PLAN.settings.hardware
STUDY = PLAN.study
REPORT = f"results/studies/{PLAN.name}/report.html"
ANALYSIS_FILES = (*VALUES, "provenance.json")
BASELINE_FILES = (*BASELINE_RESULTS, "provenance.json")


# A hash ends each name; the separators "." and "-" cannot be confused, since names hold no dots.
wildcard_constraints:
    dataset=r"[a-z0-9-]+-[0-9a-f]{8}",
    task=r"[a-z0-9-]+-[0-9a-f]{8}",
    tokens=r"[a-z0-9-]+-[0-9a-f]{8}",
    checkpoint=r"[a-z0-9-]+-[0-9a-f]{8}",
    run=r"[a-z0-9-]+\.[a-z0-9-]+\.[a-z0-9-]+-[0-9a-f]{8}",
    baseline=r"[a-z0-9-]+-[0-9a-f]{8}",
    analysis=r"[a-z0-9.-]+-[0-9a-f]{8}",
    seed=r"\d+",
    kind=r"[a-z]+",
    study=r"[a-z0-9-]+",


def spec_of(name):
    """The spec of that name: planned, or as it was written when it was planned."""
    if name in PLAN.specs:
        return PLAN.specs[name]
    if name == STUDY.name:
        return STUDY
    try:
        return read_spec(Path(f"results/specs/{name}.json"))
    except UserError:
        raise WorkflowError(f"study {PLAN.name} has nothing called {name}") from None


def digest_of_study(wildcards):
    """For `params`: what the text of the study's spec is, whose name has no hash; a new label makes tables and report anew."""
    return hash8(STUDY.text)


def work_of(wildcards):
    """The size of a training or an analysis, that memory and time are estimated from."""
    return work_of_spec(wildcards.get("run") or wildcards.get("checkpoint") or name_of_analysis(wildcards))


@cache
def work_of_spec(name):
    return resources.work_of(spec_of(name), PLAN.specs)


def memory_of_training(wildcards, attempt):
    """Memory in MB; more at each attempt."""
    return attempt * (HARDWARE.memory_mb or resources.memory_mb(work_of(wildcards), HARDWARE.gpu))


def gpu_memory_of_training(wildcards):
    """Memory of the GPU in MB: with `--resources gpu=8 gpu_mem_mb=80000`, runs share a card as far as it goes."""
    return resources.gpu_memory_mb(work_of(wildcards)) if HARDWARE.gpu else 0


def minutes_of_training(wildcards, attempt):
    """Time in minutes; more at each attempt, although each goes on where the last one ended."""
    return attempt * (HARDWARE.minutes or resources.minutes(work_of(wildcards), HARDWARE.gpu, HARDWARE.threads))


def memory_of_baseline(wildcards, attempt):
    """Memory in MB; more at each attempt."""
    return attempt * (HARDWARE.memory_mb or resources.BASELINE_MB)


def minutes_of_baseline(wildcards, attempt):
    """Time in minutes; more at each attempt."""
    return attempt * (HARDWARE.minutes or resources.BASELINE_MINUTES)


# A name with a hash in it names its content, so such an input is `ancient`: when only the command that makes it has
# changed, what was made from it stays. A checkpoint is not, since another machine may round to other weights.
#
# Planning costs Snakemake time for every file of every job. So it plans with one file of those that are written together:
# the last one, which has the digests of the others. A job itself declares every file that it reads, and so waits for those
# that appear late.
IN_JOB = not workflow.is_main_process


def in_job(spec):
    """The file of a spec, as an input that jobs wait for; it was written before the first of them (`write_snapshot`)."""
    return [ancient(spec)] if IN_JOB else []


def read_by(folder, names, sources):
    """The files that a job reads.

    When some of them were lost since they were written (a disk was cleaned up) and its results are not there, it is planned with
    the lost ones too, so that they are made again.

    Args:
        folder: where the job writes its results.
        names: of its results.
        sources: tuples of files that were written together, the one that describes the others first.
    """
    if IN_JOB:
        return [file for files in sources for file in files]
    lost = [file for files in sources for file in lost_files(files)]
    wanted = lost and not all(Path(folder, name).exists() for name in names)
    return [files[0] for files in sources] + (lost if wanted else [])


@cache
def lost_files(files):
    description, *others = files
    return [file for file in others if not Path(file).exists()] if Path(description).exists() else []


def dataset_of_task(wildcards):
    """The receipt of the dataset that a task reads, as a list of one path or none."""
    dataset = spec_of(wildcards.task).dataset
    return [ancient(f"resources/downloads/{dataset}/dataset.json")] if dataset else []


def corpus_of_checkpoint(wildcards):
    """What describes the corpus of a checkpoint: the receipt of a dataset, the card of a task, or the description of its tokens."""
    corpus = spec_of(spec_of(wildcards.checkpoint).corpus)
    paths = {"dataset": "receipt", "task": "card", "tokens": "description"}
    return ancient(getattr(corpus, paths[corpus.kind]))


def splits_of_corpus(wildcards):
    """The tokens that a checkpoint is pretrained on, never those of the test split; none of text."""
    spec = spec_of(wildcards.checkpoint)
    if spec.reads == "text":
        return []
    files = tuple(file for file in files_of_tokens(spec.corpus) if not Path(file).name.startswith("test."))
    names = [Path(path).name for path in rules.pretrain_checkpoint.output]
    description, *splits = read_by(f"results/checkpoints/{spec.name}", names, [files])
    return splits


def task_of_tokens(wildcards):
    return ancient(f"results/tasks/{spec_of(wildcards.tokens).task}/card.json")


def folder_of_task_of_tokens(wildcards):
    return f"results/tasks/{spec_of(wildcards.tokens).task}"


def tokenizer_of_tokens(wildcards):
    """The tokenizer that makes subwords, as a list of its file or none; one made here comes with what it is checked against."""
    tokenizer = spec_of(wildcards.tokens).tokenizer
    if not tokenizer:
        return []
    file = Path(tokenizer.file)
    made_here = tokenizer.sha256 is None
    return [ancient(str(path)) for path in ([file, file.with_name("checkpoint.json")] if made_here else [file])]


def inputs_of_run(wildcards):
    """Tokens and checkpoint of a run."""
    return read_by(run_folder(wildcards.run, wildcards.seed), FILES, sources_of(spec_of(wildcards.run)))


def inputs_of_trained(wildcards):
    """What a run has trained, and what it read; in a job the spec of the run too."""
    spec = spec_of(wildcards.checkpoint)
    run = spec_of(spec.run)
    names = [Path(path).name for path in rules.export_weights.output]
    return read_by(spec.folder, names, [files_of_run(run.name, spec.seed), *sources_of(run)]) + in_job(
        f"results/specs/{run.name}.json"
    )


def weights_of_study(wildcards):
    """The folders of what the final runs of the study have trained, where that is kept."""
    return [f"{folder}/checkpoint.json" for cell in STUDY.cells for folder in cell.weights]


def sources_of(spec):
    return [files_of_tokens(spec.tokens), files_of_checkpoint(spec.checkpoint.name, spec.checkpoint.folder)]


def name_of_analysis(wildcards):
    return f"{wildcards.kind}.{wildcards.analysis}"


def inputs_of_analysis(wildcards):
    """Tokens and checkpoints of the models that an analysis is about, and the runs that have trained them."""
    models = spec_of(name_of_analysis(wildcards)).models
    sources = [files for model in models for files in sources_of(model)]
    sources += [files_of_run(model.trained_by, wildcards.seed) for model in models if model.trained_by]
    folder = analysis_folder(name_of_analysis(wildcards), wildcards.seed)
    return read_by(folder, ANALYSIS_FILES, list(dict.fromkeys(sources)))


def inputs_of_baseline(wildcards):
    """The tokens that a baseline takes its features from."""
    sources = [files_of_tokens(tokens) for tokens in spec_of(wildcards.baseline).tokens]
    return read_by(baseline_folder(wildcards.baseline, wildcards.seed), BASELINE_FILES, sources)


def files_of_run(run, seed):
    """The files of a run; provenance.json describes them."""
    return tuple(f"{run_folder(run, seed)}/{name}" for name in reversed(FILES))


@cache
def files_of_tokens(tokens):
    """The arrays of tokenized splits; encoding.json describes them."""
    return tuple(ancient(path.format(tokens=tokens)) for path in rules.tokenize_task.output)


@cache
def files_of_checkpoint(name, folder):
    """The files of a checkpoint that is made or fetched; checkpoint.json describes them. A user's own was there before the plan."""
    if name not in PLAN.specs:
        return (f"{folder}/config.json",)
    made_by = {
        "fetched": rules.fetch_checkpoint,
        "architecture": rules.describe_architecture,
        "checkpoint": rules.pretrain_checkpoint,
        "trained": rules.export_weights,
    }[PLAN.specs[name].kind]
    description, *others = [path.format(checkpoint=name) for path in made_by.output]
    return (description, *map(ancient, others))


@cache
def times_of_run(run, seed):
    """When the files of a run were written that are there, by their names."""
    folder = run_folder(run, seed)
    with os.scandir(folder) if folder.is_dir() else nullcontext(()) as entries:
        return {entry.name: entry.stat().st_mtime_ns for entry in entries if entry.name in FILES}


def results_of_study(wildcards):
    """Every run of the study.

    A result that is not as its provenance has it is planned with: the job that reads it compares digests and names it.
    """
    if IN_JOB:
        return [f"{run_folder(*run)}/{name}" for run in STUDY.runs for name in FILES]
    files = []
    for run, seed in STUDY.runs:
        files += [f"{run_folder(run, seed)}/{name}" for name in ("provenance.json", *changed_results(run, seed))]
    return files


def changed_results(run, seed):
    """The results of a run that were written after its provenance, unless the digests in it are still theirs (`cp -r`)."""
    times = times_of_run(run, seed)
    changed = [name for name, time in times.items() if time > times.get("provenance.json", time)]
    if not changed:
        return []
    try:
        checked_provenance(run_folder(run, seed))
    except UserError:
        return changed
    return []


def lost_results_of_study(wildcards):
    """What tables do not ask for: results lost beside their provenance, baselines, and runs whose report is there."""
    lost = [file for file in baselines_of_study(wildcards) if not Path(file).exists()]
    reported = Path(REPORT).exists()
    for run, seed in STUDY.runs:
        there = times_of_run(run, seed)
        if "provenance.json" in there:
            lost += [f"{run_folder(run, seed)}/{name}" for name in FILES if name not in there]
        elif reported:
            lost.append(f"{run_folder(run, seed)}/provenance.json")
    return lost


def baselines_of_study(wildcards):
    """Every file of the study's baselines."""
    return [
        f"{baseline_folder(baseline.name, seed)}/{file}"
        for baseline in STUDY.baselines.values()
        for seed in baseline.seeds
        for file in BASELINE_FILES
    ]


def provenance_of_checkpoints(wildcards):
    """At what cost the checkpoints of the study that are made here were made."""
    return [f"{entry.folder}/provenance.json" for entry in STUDY.checkpoints.values() if entry.pretraining]


def analyses_of_kind(wildcards):
    """Every file of the study's analyses of one kind."""
    return [
        f"{analysis_folder(entry.name, seed)}/{file}"
        for entry in STUDY.analyses
        if entry.kind == wildcards.kind
        for seed in entry.seeds
        for file in ANALYSIS_FILES
    ]


def kinds_of_analyses():
    """The kinds of the study's analyses, each once."""
    return list(dict.fromkeys(entry.kind for entry in STUDY.analyses))


def analyses_of_study(wildcards):
    """The tables of the study's analyses."""
    return [f"results/studies/{PLAN.name}/analyses/{kind}.parquet" for kind in kinds_of_analyses()]


def descriptions_of_study(wildcards):
    """What the report says of tasks and checkpoints."""
    tasks = [path for task in STUDY.tasks.values() for path in dict.fromkeys([task.card, *task.encodings.values()])]
    return tasks + [entry.pretraining for entry in STUDY.checkpoints.values() if entry.pretraining]


def code_of(module, *more):
    """For `params`: the digest of the code, pages and styles of a stage whose outputs have no hash in their names."""

    def digest(wildcards):
        folder = PACKAGE.parent.joinpath(*module.split(".")).parent
        assets = {path.name: sha256(path) for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
        return hash8([code_digests(module, *more), assets])

    return digest


def code_of_report(wildcards):
    """The same of the report, with the charts and words of the study's analyses, which it imports by their names."""
    modules = [module for kind in kinds_of_analyses() for module in report_modules(kind)]
    return code_of("crossover.report.render", *modules)(wildcards)
