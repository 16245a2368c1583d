"""The `crossover` command: one subcommand for each rule of the workflow, and a few for people.

Every stage reads files and writes files. Heavy libraries are imported by the stage that needs them.
"""

import argparse
import atexit
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from crossover.analyses.registry import ANALYSES
from crossover.errors import UserError
from crossover.files import read_sealed_json
from crossover.planning.snapshot import PLAN_FOLDER
from crossover.runs.events import record, watched
from crossover.runs.lock import exclusive
from crossover.runs.result_backup import keep, restore
from crossover.runtime.srun import become_step


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status: 0, 1 after a user's error, or 130 after Ctrl-C."""
    is_process = argv is None
    if is_process:  # Ctrl-C ends the process at once: in the middle of an import it would give a puzzling error
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(argv)
    if getattr(arguments, "trains", False):
        become_step(argv, arguments.threads)
    if is_process:
        _use_own_temporary_folder()
    try:
        return _run(argv, arguments)
    except KeyboardInterrupt:  # in a fork of the warm process; Snakemake tells the user
        return 130


def _use_own_temporary_folder() -> None:
    """Let what libraries leave in the temporary folder (torch and music21 do, when imported) go with this process."""
    tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="crossover-")
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)


def _run(argv: list[str], arguments: argparse.Namespace) -> int:
    if getattr(arguments, "warm", False) and os.environ.get("CROSSOVER_WARM"):
        from crossover.runtime import forkserver as warm

        return warm.call(Path(os.environ["CROSSOVER_WARM"]), argv)
    arguments.command_line = "crossover " + shlex.join(argv)
    _log_to(getattr(arguments, "log", None), arguments.command_line)
    try:
        arguments.handler(arguments)
    except UserError as error:
        if getattr(arguments, "log", None):
            logging.getLogger("crossover").error("%s", error)
        if getattr(arguments, "trains", False) and hasattr(arguments, "output"):
            record(arguments.output, "failed", reason=str(error))
        print(f"crossover: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `crossover prune | head`
        return 0
    except Exception:
        if getattr(arguments, "log", None):
            logging.getLogger("crossover").exception("this is a defect of crossover")
        raise
    return 0


def _log_to(path: Path | None, command: str) -> None:
    """Send the log to a file if one was named (the terminal is Snakemake's), else to the terminal."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a", encoding="utf-8") if path else logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("crossover")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    if path:
        logger.info("%s", command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crossover", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, handler, description: str, spec: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=description, description=description, allow_abbrev=False)
        sub.set_defaults(handler=handler)
        if spec:
            sub.add_argument("--spec", type=Path, required=True, help="the JSON file that says what to make")
            sub.add_argument("--log", type=Path, help="write the log to this file instead of the terminal")
        return sub

    def compute(sub: argparse.ArgumentParser) -> None:
        sub.set_defaults(warm=True)
        sub.add_argument(
            "--gpus",
            type=int,
            choices=[0, 1],
            default=1,
            help="1 falls back to the CPU where there is no GPU (default: 1)",
        )
        sub.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")

    def train(sub: argparse.ArgumentParser) -> None:
        compute(sub)
        sub.set_defaults(trains=True)
        sub.add_argument(
            "--save-every",
            type=float,
            default=60,
            metavar="SECONDS",
            help="pause between saves of the training state (default: 60)",
        )

    sub = command("acquire-dataset", _acquire_dataset, "fetch the raw files of a dataset and write their receipt")
    sub.add_argument("--output", type=Path, required=True, help="dataset.json, the receipt; the files go beside it")
    sub.add_argument("--threads", type=int, default=1, help="processes that convert files (default: 1)")

    sub = command("prepare-task", _prepare_task, "make labelled sequences in three splits, and the task's card")
    sub.add_argument("--dataset", type=Path, help="the receipt of the task's dataset; not needed by generated tasks")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/tasks/<task>-<hash>")

    sub = command("tokenize-task", _tokenize_task, "turn sequences into arrays that a model reads")
    sub.add_argument("--task", type=Path, required=True, metavar="FOLDER", help="results/tasks/<task>-<hash>")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/tokens/<tokens>-<hash>")

    sub = command("fetch-checkpoint", _fetch_checkpoint, "fetch a checkpoint from the Hugging Face hub")
    sub.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="resources/downloads/<checkpoint>-<hash>"
    )

    sub = command("pretrain-checkpoint", _pretrain_checkpoint, "pretrain a language model and its tokenizer")
    sub.add_argument("--corpus", type=Path, required=True, help="the receipt of a text dataset, or the card of a task")
    sub.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="results/checkpoints/<checkpoint>-<hash>"
    )
    train(sub)

    sub = command("finetune-run", _finetune_run, "fine-tune one run with one seed, and score it")
    sub.add_argument("--seed", type=int, required=True, help="every random draw follows from it")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/runs/<run>/seed-<n>")
    train(sub)

    sub = command("select-rate", _select_rate, "choose a run's learning rate by the validation scores of its sweep")
    sub.add_argument("--output", type=Path, required=True, help="results/rates/<run>.json")

    for kind in ANALYSES.values():
        sub = command(kind.command, _analyse, kind.description)
        sub.add_argument("--seed", type=int, required=True, help="every random draw follows from it")
        sub.add_argument(
            "--output", type=Path, required=True, metavar="FOLDER", help="results/analyses/<analysis>/seed-<n>"
        )
        compute(sub)

    sub = command("gather-analyses", _gather_analyses, "gather a study's analyses of one kind into a table")
    sub.add_argument("--kind", required=True, help="the kind, as the study names it")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/studies/<study>/analyses")

    sub = command("aggregate-study", _aggregate_study, "gather a study's runs into tables with intervals and tests")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/studies/<study>")

    sub = command("render-report", _render_report, "render a study's report and figures")
    sub.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="results/studies/<study>")

    sub = command("new-task", _new_task, "write config/tasks/NAME.yaml for a file of your own", spec=False)
    sub.add_argument("source", help="a FASTA file, a table, a folder of MIDI files or images, or hub:OWNER/NAME")
    sub.add_argument("--name", help="the task's name (default: the file's)")

    sub = command("check-task", _check_task, "read a task and say what was understood of it", spec=False)
    sub.add_argument("task", help="name of a file in config/tasks/")
    sub.add_argument("--checkpoint", help="the one whose tokenizer a text is cut with")

    sub = command("view", _view, "show a checkpoint's blocks, groups and numbers of parameters", spec=False)
    sub.add_argument("checkpoint", help="name of a file in config/checkpoints/, or a folder in Hugging Face form")

    sub = command("explain", _explain, "say in words why the jobs of a study would run", spec=False)
    sub.add_argument("study", nargs="?", help="name or path of a study (default: the one in config/config.yaml)")

    sub = command(
        "report-incomplete",
        _report_incomplete,
        "report on the runs that are there while others are missing",
        spec=False,
    )
    sub.add_argument("study", nargs="?", help="name or path of a study (default: the one in config/config.yaml)")

    sub = command("prune", _prune, "list what no study uses any more, and delete it when told to", spec=False)
    sub.add_argument(
        "--study", action="append", default=[], metavar="PATH", help="a study outside config/studies/ to keep too"
    )
    sub.add_argument("--delete", action="store_true", help="delete what is listed")

    sub = command("status", _status, "how far a study is: runs done, running and failed, with reasons", spec=False)
    sub.add_argument("study", nargs="?", help="name or path of a study (default: the one in config/config.yaml)")

    sub = command("doctor", _doctor, "check what a first study needs, here and on the cluster", spec=False)
    sub.add_argument("study", nargs="?", help="name or path of a study (default: the one in config/config.yaml)")
    sub.add_argument("--no-jobs", action="store_true", help="submit no probe jobs")
    sub.add_argument(
        "--wait",
        type=float,
        default=300,
        metavar="SECONDS",
        help="how long a probe job may wait in the queue (default: 300)",
    )

    sub = commands.add_parser("doctor-probe", allow_abbrev=False)  # what `doctor` submits: a step, as a run is one
    sub.set_defaults(handler=_doctor_probe, trains=True, threads=1)
    sub.add_argument("folder", type=Path)

    sub = command(
        "config-schema", _config_schema, "write the JSON Schemas and the reference of config/ anew", spec=False
    )
    sub.add_argument("--check", action="store_true", help="only compare them with what is there")

    sub = command(
        "serve-warm", _serve_warm, "hold the training libraries in memory for the runs of one workflow", spec=False
    )
    sub.add_argument("socket", type=Path, help="the socket to listen on")
    return parser


# --- stages -----------------------------------------------------------------------------------------------


def _acquire_dataset(arguments: argparse.Namespace) -> None:
    from crossover.acquire.dataset import acquire_dataset
    from crossover.specs.datasets import DatasetSpec

    acquire_dataset(DatasetSpec.load(arguments.spec), arguments.output.parent, workers=arguments.threads)


def _prepare_task(arguments: argparse.Namespace) -> None:
    from crossover.specs.tasks import TaskSpec
    from crossover.tasks.prepare.stage import prepare_task

    prepare_task(TaskSpec.load(arguments.spec), arguments.dataset, arguments.output)


def _tokenize_task(arguments: argparse.Namespace) -> None:
    from crossover.encodings.tokenize import tokenize_task
    from crossover.specs.tasks import TokensSpec

    tokenize_task(TokensSpec.load(arguments.spec), arguments.task, arguments.output)


def _fetch_checkpoint(arguments: argparse.Namespace) -> None:
    from crossover.acquire.checkpoint import fetch_checkpoint
    from crossover.specs.checkpoints import HubSpec

    fetch_checkpoint(HubSpec.load(arguments.spec), arguments.output)


def _pretrain_checkpoint(arguments: argparse.Namespace) -> None:
    from crossover.specs.checkpoints import PretrainedSpec

    spec = PretrainedSpec.load(arguments.spec)
    with exclusive(arguments.output / ".lock", f"checkpoint {spec['name']}"), watched(arguments.output):
        from crossover.pretraining.pretrain import pretrain_checkpoint
        from crossover.training.device import pick_device, set_up_torch

        set_up_torch(arguments.threads)
        pretrain_checkpoint(
            spec,
            arguments.corpus,
            arguments.output,
            pick_device(arguments.gpus),
            arguments.save_every,
            arguments.command_line,
        )


def _finetune_run(arguments: argparse.Namespace) -> None:
    from crossover.specs.runs import RunSpec

    spec = RunSpec.load(arguments.spec)
    of_workflow = PLAN_FOLDER in os.environ
    with exclusive(arguments.output / ".lock", f"run {spec['name']} with seed {arguments.seed}"):
        if of_workflow and restore(arguments.output):
            record(arguments.output, "restored")
            return
        with watched(arguments.output):
            from crossover.training.device import pick_device, set_up_torch
            from crossover.training.finetune import finetune_run

            set_up_torch(arguments.threads)
            finetune_run(
                spec,
                arguments.seed,
                arguments.output,
                pick_device(arguments.gpus),
                arguments.save_every,
                arguments.command_line,
            )
        if of_workflow:
            keep(arguments.output)


def _analyse(arguments: argparse.Namespace) -> None:
    from crossover.specs.analyses import AnalysisSpec

    spec = AnalysisSpec.load(arguments.spec)
    wanted = ANALYSES[spec["analysis"]].command
    if wanted != arguments.command:
        raise UserError(f"{arguments.spec} is for crossover {wanted}, not for crossover {arguments.command}.")
    from threadpoolctl import threadpool_limits

    from crossover.analyses.stage import analyse_models
    from crossover.training.device import pick_device, set_up_torch

    set_up_torch(arguments.threads)
    device = pick_device(arguments.gpus)
    with threadpool_limits(arguments.threads):  # NumPy's and scikit-learn's, which would take all that the machine has
        analyse_models(spec, arguments.seed, arguments.output, device, arguments.command_line)


def _gather_analyses(arguments: argparse.Namespace) -> None:
    from crossover.analyses.gather import gather_analyses

    gather_analyses(read_sealed_json(arguments.spec), arguments.kind, arguments.output)


def _select_rate(arguments: argparse.Namespace) -> None:
    from crossover.specs.runs import RunSpec
    from crossover.training.rates import select_rate

    select_rate(RunSpec.load(arguments.spec), arguments.output)


def _aggregate_study(arguments: argparse.Namespace) -> None:
    from crossover.statistics.aggregate import aggregate_study

    aggregate_study(read_sealed_json(arguments.spec), arguments.output)


def _render_report(arguments: argparse.Namespace) -> None:
    from crossover.commands.report_incomplete import remove_incomplete
    from crossover.report.render import render_report

    render_report(read_sealed_json(arguments.spec), arguments.output)
    remove_incomplete(arguments.output)


# --- for people -------------------------------------------------------------------------------------------


def _new_task(arguments: argparse.Namespace) -> None:
    from crossover.commands.new_task import new_task

    written = new_task(arguments.source, arguments.name)
    print(f"{written} is written: read and correct it, then run: crossover check-task {written.stem}")


def _check_task(arguments: argparse.Namespace) -> None:
    from crossover.commands.check_task import check_task

    print(check_task(arguments.task, arguments.checkpoint))


def _view(arguments: argparse.Namespace) -> None:
    from crossover.commands.view import describe_checkpoint

    print(describe_checkpoint(arguments.checkpoint))


def _explain(arguments: argparse.Namespace) -> None:
    from crossover.commands.explain import explain

    print(explain(arguments.study))


def _status(arguments: argparse.Namespace) -> None:
    from crossover.planning.snapshot import plan_of
    from crossover.runs.status import Overview, describe

    print(describe(Overview(plan_of(arguments.study)).look()))


def _report_incomplete(arguments: argparse.Namespace) -> None:
    from crossover.commands.report_incomplete import report_incomplete

    print(report_incomplete(arguments.study))


def _prune(arguments: argparse.Namespace) -> None:
    from crossover.commands.prune import prune

    print(prune(arguments.study, delete=arguments.delete))


def _doctor(arguments: argparse.Namespace) -> None:
    from crossover.cluster.doctor import doctor

    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # its jobs must not outlive it
        signal.signal(stop, signal.default_int_handler)
    doctor(arguments.study, not arguments.no_jobs, arguments.wait)


def _doctor_probe(arguments: argparse.Namespace) -> None:
    from crossover.cluster.node import answer

    answer(arguments.folder)


def _config_schema(arguments: argparse.Namespace) -> None:
    from crossover.config.reference import write_reference

    write_reference(check=arguments.check)


def _serve_warm(arguments: argparse.Namespace) -> None:
    from crossover.runtime import forkserver as warm

    warm.serve(arguments.socket)
