"""Start runs in a moment, by forking them from a process that has the training libraries in memory.

Importing torch and transformers takes seconds, which is longer than many a small run. The Snakefile starts one fork
server for a local workflow (`crossover serve-forks`); it ends with the workflow. The commands that Snakemake starts are
proxies of their runs (`runtime/proxy.py`); without a fork server they import the libraries for themselves.
"""

import atexit
import gc
import importlib
import itertools
import json
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from crossover import SOCKET
from crossover.collector import without_collector
from crossover.pretraining.registry import LEARNERS
from crossover.runtime.proxy import ACCEPTED, TERMINATE, send

LONGEST_REQUEST = 1 << 20  # bytes of arguments and environment
STAGES = ("crossover.training.finetune", "crossover.pretraining.pretrain", *LEARNERS.values())

Command = Callable[[list[str]], int]  # runs `crossover ARGV`, and returns its exit status


# --- in the Snakemake process -----------------------------------------------------------------------------


def start() -> None:
    """Start the fork server, and let the commands that this process starts find it.

    The socket is there before the server is, so that a run that comes early waits for the libraries.
    """
    folder = tempfile.mkdtemp(prefix="crossover-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = f"{folder}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(path)
        except OSError:  # the temporary folder has a longer path than a socket can have
            return
        listener.listen(socket.SOMAXCONN)
        command = [sys.executable, "-m", "crossover", "serve-forks", str(listener.fileno()), str(os.getpid())]
        subprocess.Popen(command, pass_fds=[listener.fileno()])
    os.environ[SOCKET] = path


def is_batch(argv: Sequence[str]) -> bool:
    """Return whether this is the first Snakemake in a SLURM job of several runs, by its command line."""
    if "slurm-jobstep" not in argv or "--target-jobs" not in argv:
        return False
    first = argv.index("--target-jobs") + 1
    targets = itertools.takewhile(lambda argument: not argument.startswith("--"), argv[first:])
    return sum(target.startswith("finetune_run:") for target in targets) > 1


# --- in the fork server -----------------------------------------------------------------------------------


def serve(listener: int, owner: int, command: Command) -> None:
    """Fork a run for each connection, until the owner and the last run have ended.

    The libraries are imported when the first run comes: most invocations of Snakemake train nothing.

    Args:
        listener: the file descriptor of the listening socket.
        owner: the process that started this one. It may have ended before this one could ask for its parent.
        command: what a fork runs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the runs and Snakemake by themselves
    with socket.socket(fileno=listener) as connections:
        while not select.select([connections], [], [], 1)[0]:
            if os.getppid() != owner:
                return
        import_libraries()
        _ForkServer(connections, command).serve(owner)


@without_collector()
def import_libraries() -> None:
    """Import what training needs, and keep the collector from touching it, so that the forks share the memory."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES, model_type_to_module_name

    from crossover.models.discovery import ADAPTERS, adapter_modules
    from crossover.specs.identity import code_digests

    for module in code_digests(*STAGES, *adapter_modules(None)):  # remembered: runs are checked against this code
        importlib.import_module(module)
    for model_type in set(ADAPTERS) & set(CONFIG_MAPPING_NAMES):
        package = model_type_to_module_name(model_type)
        importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    gc.freeze()


@dataclass(frozen=True)
class _Run:
    """One fork.

    Attributes:
        pid: its process.
        proxy: the connection to its proxy.
        ended: a descriptor that becomes readable when the process ends.
    """

    pid: int
    proxy: socket.socket
    ended: int

    def close(self) -> None:
        os.close(self.ended)
        self.proxy.close()


class _ForkServer:
    def __init__(self, listener: socket.socket, command: Command) -> None:
        self._listener, self._command = listener, command
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._runs: dict[int, _Run] = {}  # by both descriptors: of the process, and of the connection

    def serve(self, owner: int) -> None:
        """Serve until the owner's process and the last run have ended."""
        while os.getppid() == owner or self._runs:
            for key, _ in self._selector.select(timeout=1):
                if key.fileobj is self._listener:
                    self._accept()
                elif self._runs.get(key.fd) is key.data:  # else it ended meanwhile, and its number may be another's
                    self._attend(self._runs[key.fd], key.fd)

    def _accept(self) -> None:
        proxy, _ = self._listener.accept()
        request, descriptors, _, _ = socket.recv_fds(proxy, LONGEST_REQUEST, 2)
        if not request or not send(proxy, ACCEPTED):  # the proxy has been killed, or waits no longer
            proxy.close()
        else:
            self._fork(proxy, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def _fork(self, proxy: socket.socket, request: bytes, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._close()
            _become_run(self._command, json.loads(request), descriptors)
        run = _Run(pid, proxy, os.pidfd_open(pid))
        for descriptor in (run.ended, proxy.fileno()):
            self._selector.register(descriptor, selectors.EVENT_READ, run)
            self._runs[descriptor] = run

    def _close(self) -> None:
        """Close, in a fork, what would keep other proxies waiting after the fork server has ended."""
        self._listener.close()
        self._selector.close()
        for descriptor, run in self._runs.items():
            if descriptor == run.ended:
                run.close()

    def _attend(self, run: _Run, descriptor: int) -> None:
        if descriptor == run.ended:
            self._report(run)
        elif run.proxy.recv(16) == TERMINATE:
            os.kill(run.pid, signal.SIGTERM)
        else:  # the proxy has died, and its run must not go on without it
            os.kill(run.pid, signal.SIGKILL)
            self._forget(descriptor)

    def _report(self, run: _Run) -> None:
        _, status = os.waitpid(run.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        send(run.proxy, str(code if code >= 0 else 128 - code).encode())
        for descriptor in (run.ended, run.proxy.fileno()):
            self._forget(descriptor)
        run.close()

    def _forget(self, descriptor: int) -> None:
        if self._runs.pop(descriptor, None):
            self._selector.unregister(descriptor)


def _become_run(command: Command, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Take over the proxy's terminal, folder and environment, run, and exit, in the fork."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor, standard in zip(descriptors, (1, 2), strict=True):
            os.dup2(descriptor, standard)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"] | {"TMPDIR": tempfile.gettempdir()})  # which the fork server removes
        status = command(request["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:  # before the run could save its state, or a second time while it did
        status = 128 + signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # without the exit handlers of the process that was forked
