"""The command line: declares the commands for people, and one command for each rule of the workflow.

What a command does is in `commands/`, and is imported when it is called.
"""

import shlex
import sys
from collections.abc import Sequence
from logging import StreamHandler
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from crossover import __version__
from crossover.commands import stages
from crossover.errors import UserError

EVERYDAY, DATA, CLUSTER, STAGES, DEVELOPMENT = "Everyday", "Your data", "Cluster", "Stages", "Development"
FIRST_STEPS = """\
crossover compares pretrained transformers on sequences: proteins, DNA, music, images, logic, or your own.

  make demo                              run a small study, in minutes, and open its report
  crossover new-task FILE                describe your own data, then: crossover check-task NAME
  snakemake --config study=NAME          run a study of config/studies/
  crossover status                       see how far it is

crossover --help lists all commands; README.md is the tutorial."""

app = typer.Typer(
    name="crossover",
    help="Does what a transformer learned from language carry over to other sequences?",
    epilog="A study is run by snakemake, which calls the stages.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def main(argv: Sequence[str]) -> int:
    """Run one command in this process.

    Args:
        argv: the arguments of `crossover`.

    Returns:
        The exit status: 0, 1 after a user's error, 2 after wrong usage, 130 after Ctrl-C.
    """
    stages.log_to(StreamHandler())
    try:
        command_line = shlex.join(["crossover", *argv])
        status = typer.main.get_command(app).main(argv, "crossover", standalone_mode=False, obj=command_line)
    except UserError as error:
        return _fail(str(error), 1)
    except TyperException as error:
        return _fail(_in_words(error), error.exit_code)
    except BrokenPipeError:  # `crossover prune | head`
        return 0
    return status or 0


def _fail(sentence: str, status: int) -> int:
    print(f"crossover: {sentence}", file=sys.stderr)
    return status


def _in_words(error: TyperException) -> str:
    """Say what is wrong with the use of a command, and where it is explained."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "crossover"
    message = error.format_message().rstrip(".")
    return f"{message}{' See' if message.endswith('?') else '; see'} {command} --help."


def _names_in(folder: str) -> Any:
    """Return a function that completes names of the files in a folder of config/."""

    def complete(incomplete: str) -> list[str]:
        from crossover.config.load import known_names

        return [name for name in known_names(folder) if name.startswith(incomplete)]

    return complete


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"crossover {__version__}")
        raise typer.Exit


Study = Annotated[
    str | None,
    typer.Argument(
        help="Name or path of a study; by default the one in config/config.yaml.", autocompletion=_names_in("studies")
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Spec = Annotated[Path, typer.Option(help="The JSON file that says what to make.")]
Log = Annotated[Path | None, typer.Option(help="Write the log to this file instead of the terminal.")]
Seed = Annotated[int, typer.Option(help="The seed that every random draw follows from.")]
Gpus = Annotated[int, typer.Option(min=0, max=1, help="1 uses a GPU where there is one, 0 never.")]
Threads = Annotated[int, typer.Option(min=1, help="Number of CPU threads.")]
SaveEvery = Annotated[float, typer.Option(metavar="SECONDS", help="Pause between saves of the training state.")]
Receipt = Annotated[Path, typer.Option(help="dataset.json, the receipt; the files go beside it.")]
TaskFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/tasks/<task>-<hash>")]
TokensFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/tokens/<tokens>-<hash>")]
DownloadFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="resources/downloads/<checkpoint>-<hash>")]
CheckpointFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/checkpoints/<checkpoint>-<hash>")]
TrainedFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/trained/<checkpoint>-<hash>")]
ArchitectureFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/architectures/<checkpoint>-<hash>")]
RunFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/runs/<run>/seed-<n>")]
BaselineFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/baselines/<baseline>/seed-<n>")]
AnalysisFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/analyses/<analysis>/seed-<n>")]
AnalysesFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/studies/<study>/analyses")]
StudyFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="results/studies/<study>")]


@app.callback()
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(FIRST_STEPS)


# --- for people -------------------------------------------------------------------------------------------


@app.command(rich_help_panel=EVERYDAY)
def status(study: Study = None, as_json: Json = False) -> None:
    """Say how far a study is: runs done, running and failed, with reasons."""
    from crossover.commands.output import show
    from crossover.commands.status import status

    show(status(study), as_json)


@app.command(rich_help_panel=EVERYDAY)
def explain(study: Study = None, as_json: Json = False) -> None:
    """Say in words why the jobs of a study would run."""
    from crossover.commands.explain import explain
    from crossover.commands.output import show

    show(explain(study), as_json)


@app.command(rich_help_panel=EVERYDAY)
def prune(
    study: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A study outside config/studies/ whose results to keep.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is listed.")] = False,
    as_json: Json = False,
) -> None:
    """List what no study uses any more, and delete it when told to."""
    from crossover.commands.output import show
    from crossover.commands.prune import prune

    show(prune(list(map(str, study or [])), delete), as_json)


@app.command(rich_help_panel=EVERYDAY)
def plan_seeds(study: Study = None, as_json: Json = False) -> None:
    """Say how many seeds would decide what a study has left undecided."""
    from crossover.commands.output import show
    from crossover.commands.plan_seeds import plan_seeds

    show(plan_seeds(study), as_json)


@app.command(rich_help_panel=EVERYDAY)
def report_incomplete(study: Study = None) -> None:
    """Report on the runs that are there while others are missing."""
    from crossover.commands.report_incomplete import report_incomplete

    print(report_incomplete(study))


@app.command(rich_help_panel=DATA)
def new_task(
    source: Annotated[
        str, typer.Argument(help="A FASTA file, a table, a folder of MIDI files or images, or hub:OWNER/NAME.")
    ],
    name: Annotated[str | None, typer.Option(help="The task's name; by default the file's.")] = None,
) -> None:
    """Write config/tasks/NAME.yaml for a file of your own."""
    from crossover.commands.new_task import new_task

    written = new_task(source, name)
    print(f"{written} is written: read and correct it, then run: crossover check-task {written.stem}")


@app.command(rich_help_panel=DATA)
def check_task(
    task: Annotated[str, typer.Argument(help="Name of a file in config/tasks/.", autocompletion=_names_in("tasks"))],
    checkpoint: Annotated[
        str | None,
        typer.Option(help="The one whose tokenizer cuts a text.", autocompletion=_names_in("checkpoints")),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a task and say what was understood of it."""
    from crossover.commands.check_task import check_task
    from crossover.commands.output import show

    show(check_task(task, checkpoint), as_json)


@app.command(rich_help_panel=DATA)
def view(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Name of a file in config/checkpoints/, or a folder in Hugging Face form.",
            autocompletion=_names_in("checkpoints"),
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show a checkpoint's blocks, groups and numbers of parameters."""
    from crossover.commands.output import show
    from crossover.commands.view import view_checkpoint

    show(view_checkpoint(checkpoint), as_json)


@app.command(rich_help_panel=CLUSTER)
def doctor(
    study: Study = None,
    no_jobs: Annotated[bool, typer.Option("--no-jobs", help="Submit no probe jobs.")] = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long a probe job may wait in the queue.")] = 300,
    as_json: Json = False,
) -> None:
    """Check what a first study needs, here and on the cluster."""
    from crossover.commands.doctor import doctor

    doctor(study, not no_jobs, wait, as_json)


# --- stages: one for each rule ----------------------------------------------------------------------------


@app.command(rich_help_panel=STAGES)
def acquire_dataset(
    context: typer.Context,
    spec: Spec,
    output: Receipt,
    threads: Annotated[int, typer.Option(min=1, help="Processes that convert files.")] = 1,
    log: Log = None,
) -> None:
    """Fetch the raw files of a dataset, and write their receipt."""
    with stages.logged(log, context.obj):
        stages.acquire_dataset(spec, output, threads)


@app.command(rich_help_panel=STAGES)
def prepare_task(
    context: typer.Context,
    spec: Spec,
    output: TaskFolder,
    dataset: Annotated[
        Path | None, typer.Option(help="The receipt of the task's dataset; a generated task has none.")
    ] = None,
    log: Log = None,
) -> None:
    """Make labelled sequences in three splits, and the task's card."""
    with stages.logged(log, context.obj):
        stages.prepare_task(spec, dataset, output)


@app.command(rich_help_panel=STAGES)
def tokenize_task(context: typer.Context, spec: Spec, task: TaskFolder, output: TokensFolder, log: Log = None) -> None:
    """Turn sequences into arrays that a model reads."""
    with stages.logged(log, context.obj):
        stages.tokenize_task(spec, task, output)


@app.command(rich_help_panel=STAGES)
def fetch_checkpoint(context: typer.Context, spec: Spec, output: DownloadFolder, log: Log = None) -> None:
    """Fetch a checkpoint that was made elsewhere, and convert its weights to safetensors."""
    with stages.logged(log, context.obj):
        stages.fetch_checkpoint(spec, output)


@app.command(rich_help_panel=STAGES)
def describe_architecture(context: typer.Context, spec: Spec, output: ArchitectureFolder, log: Log = None) -> None:
    """Write the config of a model without weights."""
    with stages.logged(log, context.obj):
        stages.describe_architecture(spec, output)


@app.command(rich_help_panel=STAGES)
def export_weights(context: typer.Context, spec: Spec, output: TrainedFolder, log: Log = None) -> None:
    """Write what a run has trained as a checkpoint in Hugging Face form."""
    with stages.logged(log, context.obj):
        stages.export_weights(spec, output)


@app.command(rich_help_panel=STAGES)
def pretrain_checkpoint(
    context: typer.Context,
    spec: Spec,
    corpus: Annotated[
        Path, typer.Option(help="The receipt of a text dataset, the card of a task, or the description of its tokens.")
    ],
    output: CheckpointFolder,
    gpus: Gpus = 1,
    threads: Threads = 1,
    save_every: SaveEvery = 60,
    log: Log = None,
) -> None:
    """Pretrain a model on text, or on the tokens of a task."""
    with stages.logged(log, context.obj):
        compute = stages.Compute(gpus, threads, context.obj)
        stages.pretrain_checkpoint(spec, corpus, output, compute, save_every)


@app.command(rich_help_panel=STAGES)
def finetune_run(
    context: typer.Context,
    spec: Spec,
    seed: Seed,
    output: RunFolder,
    gpus: Gpus = 1,
    threads: Threads = 1,
    save_every: SaveEvery = 60,
    log: Log = None,
) -> None:
    """Fine-tune one run with one seed, and score it."""
    with stages.logged(log, context.obj):
        compute = stages.Compute(gpus, threads, context.obj)
        stages.finetune_run(spec, seed, output, compute, save_every)


@app.command(rich_help_panel=STAGES)
def fit_baselines(
    context: typer.Context, spec: Spec, seed: Seed, output: BaselineFolder, threads: Threads = 1, log: Log = None
) -> None:
    """Fit models without a transformer to a task, and score the one that validation data select."""
    with stages.logged(log, context.obj):
        stages.fit_baselines(spec, seed, output, stages.Compute(0, threads, context.obj))


@app.command(rich_help_panel=STAGES)
def analyse(
    context: typer.Context,
    spec: Spec,
    seed: Seed,
    output: AnalysisFolder,
    gpus: Gpus = 1,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Measure one model, or compare two, before or after they are fine-tuned."""
    with stages.logged(log, context.obj):
        stages.analyse(spec, seed, output, stages.Compute(gpus, threads, context.obj))


@app.command(rich_help_panel=STAGES)
def gather_analyses(
    context: typer.Context,
    spec: Spec,
    kind: Annotated[str, typer.Option(help="The kind, as the study names it.")],
    output: AnalysesFolder,
    log: Log = None,
) -> None:
    """Gather a study's analyses of one kind into a table."""
    with stages.logged(log, context.obj):
        stages.gather_analyses(spec, kind, output)


@app.command(rich_help_panel=STAGES)
def aggregate_study(context: typer.Context, spec: Spec, output: StudyFolder, log: Log = None) -> None:
    """Gather a study's runs into tables with intervals and tests."""
    with stages.logged(log, context.obj):
        stages.aggregate_study(spec, output)


@app.command(rich_help_panel=STAGES)
def render_report(context: typer.Context, spec: Spec, output: StudyFolder, log: Log = None) -> None:
    """Render a study's report and figures."""
    with stages.logged(log, context.obj):
        stages.render_report(spec, output)


# --- for developers, and what crossover starts by itself ---------------------------------------------------


@app.command(rich_help_panel=DEVELOPMENT)
def config_schema(
    check: Annotated[bool, typer.Option("--check", help="Only compare them with what is there.")] = False,
) -> None:
    """Generate the JSON Schemas and the reference of config/."""
    from crossover.config.reference import write_reference

    write_reference(check=check)


@app.command(hidden=True)
def doctor_probe(folder: Path) -> None:
    """Report what a run would find on this node; `doctor` submits it."""
    from crossover.cluster.node import answer

    answer(folder)


@app.command(hidden=True)
def serve_forks(
    listener: Annotated[int, typer.Argument(help="The file descriptor of the listening socket.")],
    owner: Annotated[int, typer.Argument(help="The process with which the server ends.")],
) -> None:
    """Hold the training libraries in memory for the runs of one workflow; Snakemake starts it."""
    from crossover.runtime.forkserver import serve

    serve(listener, owner, main)
