"""Start runs in a moment: fork them from a process that has the training libraries in memory.

Importing torch and transformers takes seconds, which is longer than many a small run. The Snakefile starts one
such process for a local workflow (`crossover serve-warm`); it ends with the workflow. The command that Snakemake
started stays as the run's face: it hands over its arguments, environment and terminal, passes signals on,
waits, and returns the run's exit status. If it is killed, so is the run. Without the process, commands
import for themselves.
"""

import atexit
import contextlib
import gc
import importlib
import itertools
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOCKET = "CROSSOVER_WARM"  # the environment variable that holds the path of its socket
TERMINATE = b"T"  # from the command: pass SIGTERM on to the run
LONGEST_CALL = 1 << 20  # bytes of arguments and environment


# --- the Snakefile's side ---------------------------------------------------------------------------------


def start() -> None:
    """Start the warm process, and let the commands that this process starts find it."""
    folder = tempfile.mkdtemp(prefix="crossover-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[SOCKET] = str(Path(folder) / "socket")
    subprocess.Popen([sys.executable, "-m", "crossover", "serve-warm", os.environ[SOCKET]])


def is_batch(argv: list[str]) -> bool:
    """Whether this is the first Snakemake in a SLURM job of several runs, by its command line."""
    if "slurm-jobstep" not in argv or "--target-jobs" not in argv:
        return False
    first = argv.index("--target-jobs") + 1
    targets = itertools.takewhile(lambda argument: not argument.startswith("--"), argv[first:])
    return sum(target.startswith("finetune_run:") for target in targets) > 1


# --- the command's side -----------------------------------------------------------------------------------


def call(path: Path, argv: list[str]) -> int:
    """Run `crossover ARGV` in a fork of the warm process, or here when there is none."""
    from crossover.cli import main

    os.environ.pop(SOCKET)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(path))
        request = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "environment": dict(os.environ)})
        socket.send_fds(connection, [request.encode()], [1, 2])
    except OSError:  # it has not started yet, or has ended, or the environment is too long for one message
        return main(argv)
    signal.signal(signal.SIGTERM, lambda *_: _try_send(connection, TERMINATE))
    try:
        answer = connection.recv(16)
    except ConnectionResetError:  # the warm process was killed
        answer = b""
    return int(answer) if answer else 1


# --- the warm process's side ------------------------------------------------------------------------------


@dataclass
class _Run:
    """One fork: its process, the connection of its command, and a descriptor that wakes when it ends."""

    pid: int
    connection: socket.socket
    ended: int


def serve(path: Path) -> None:
    """Fork a run for each call, until the process that started this one has gone and the last run has ended."""
    owner = os.getppid()  # asked before the long import, during which it may end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the runs and Snakemake by themselves
    _import_libraries()
    if os.getppid() != owner:
        return
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(str(path))
    except FileNotFoundError:  # the workflow is ending, and has removed the folder
        return
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    runs: dict[int, _Run] = {}  # by the number of the connection's and of the process's descriptor
    try:
        while os.getppid() == owner or runs:
            for key, _ in selector.select(timeout=1):
                if key.fileobj is listener:
                    _start(listener.accept()[0], selector, runs)
                elif runs.get(key.fd) is key.data:  # else it ended meanwhile, and its number may be another's
                    _attend(runs[key.fd], key.fd, selector, runs)
    finally:
        path.unlink(missing_ok=True)


def _import_libraries() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

    from crossover.models.registry import ADAPTERS, adapter_modules
    from crossover.specs.identity import code_digests

    stages = ("crossover.training.finetune", "crossover.pretraining.pretrain")
    for module in code_digests(*stages, *adapter_modules(None)):  # remembered: runs are checked against this code
        importlib.import_module(module)
    for model_type in set(ADAPTERS) & set(CONFIG_MAPPING_NAMES):
        package = model_type_to_module_name(model_type)
        importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    gc.collect()
    gc.freeze()  # the forks share this memory as long as the collector does not touch it


def _start(connection: socket.socket, selector: selectors.BaseSelector, runs: dict[int, _Run]) -> None:
    request, descriptors, _, _ = socket.recv_fds(connection, LONGEST_CALL, 2)
    if not request:
        connection.close()
        return
    pid = os.fork()
    if pid == 0:
        _become_run(json.loads(request), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    run = _Run(pid, connection, os.pidfd_open(pid))
    for watched in (run.ended, connection.fileno()):
        selector.register(watched, selectors.EVENT_READ, run)
        runs[watched] = run


def _become_run(request: dict, descriptors: list[int]) -> None:
    """In the fork: take over the command's terminal, folder and environment, run, and exit."""
    from crossover.cli import main

    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor, standard in zip(descriptors, (1, 2), strict=True):
            os.dup2(descriptor, standard)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        status = main(request["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # without the exit handlers of the process that was forked


def _attend(run: _Run, descriptor: int, selector: selectors.BaseSelector, runs: dict[int, _Run]) -> None:
    if descriptor == run.ended:
        _, status = os.waitpid(run.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        _try_send(run.connection, str(code if code >= 0 else 128 - code).encode())
        for watched in (run.ended, run.connection.fileno()):
            if runs.pop(watched, None):
                selector.unregister(watched)
        os.close(run.ended)
        run.connection.close()
    elif run.connection.recv(16) == TERMINATE:
        os.kill(run.pid, signal.SIGTERM)
    else:  # the command has died, and its run must not go on without it
        os.kill(run.pid, signal.SIGKILL)
        runs.pop(descriptor)
        selector.unregister(descriptor)


def _try_send(connection: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the other side may have gone
        connection.send(message)
