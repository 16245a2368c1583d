"""Hand a command over to the fork server, and stand in for its run.

The proxy is the process that Snakemake started. It passes its arguments, environment and terminal on, forwards SIGTERM,
waits, and returns the exit status of the run. If the proxy is killed, the fork server kills the run. It imports next to
nothing, since its start-up is all that a forked run costs beside its own work.
"""

import json
import os
import signal
import socket
from pathlib import Path

from crossover import SOCKET

ACCEPTED = b"A"  # from the fork server: it has its libraries and takes the run
TERMINATE = b"T"  # from the proxy: send SIGTERM to the run
LIMIT = 600.0  # seconds to wait for the fork server's libraries, which a slow file system may take minutes to read


def hand_over(argv: list[str]) -> int | None:
    """Run `crossover ARGV` in a fork of the fork server.

    A fork server that is still importing its libraries is waited for.

    Args:
        argv: the arguments of `crossover`.

    Returns:
        The run's exit status, or None if there is no fork server any more that takes the run: then nothing was started.
    """
    request = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "environment": dict(os.environ)})
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(LIMIT)
    try:
        connection.connect(os.environ[SOCKET])
        socket.send_fds(connection, [request.encode()], [1, 2])
        taken = connection.recv(1) == ACCEPTED
    except OSError:  # it has ended, or takes too long, or the environment is too long for one message
        taken = False
    if not taken:
        connection.close()
        return None
    connection.settimeout(None)
    signal.signal(signal.SIGTERM, lambda *_: send(connection, TERMINATE))
    return _exit_status(connection)


def _exit_status(connection: socket.socket) -> int:
    try:
        answer = connection.recv(16)
    except ConnectionResetError:  # the fork server was killed
        answer = b""
    return int(answer) if answer else 1


def send(connection: socket.socket, message: bytes) -> bool:
    """Send a message; return False if the other side has gone."""
    try:
        connection.send(message)
    except OSError:
        return False
    return True
