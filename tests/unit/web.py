"""A web server that answers as it is told: with ranges or without, busy, broken off; and an FTP server of one file."""

import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class File:
    """What the server has at one path.

    Attributes:
        content: the bytes.
        tag: its ETag; none if empty.
        ranges: whether parts can be asked for.
        statuses: answered first, one for each request.
        breaks: how many bytes of the answer are sent before the connection ends, one for each request.
        kind: content type.
        hangs: never answers.
        pause: seconds between the body and the end of the connection.
    """

    content: bytes
    tag: str = '"1"'
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    kind: str = "application/octet-stream"
    hangs: bool = False
    pause: float = 0


@dataclass
class Request:
    """One request that the server got, at what time, and how many bytes it sent."""

    path: str
    headers: Message
    moment: float
    sent: int = 0


class Web(ThreadingHTTPServer):
    """The server; `files` by path, `requests` in the order of arrival."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, File] = {}
        self.requests: list[Request] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def put(self, path: str, content: bytes, **settings) -> str:
        self.files[path] = File(content, **settings)
        return f"{self.url}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        request = Request(self.path, self.headers, time.monotonic())
        self.server.requests.append(request)
        file = self.server.files.get(self.path)
        if file is None:
            return self.send_error(404)
        if file.hangs:
            time.sleep(2)
            return None
        if file.statuses:
            return self.send_error(file.statuses.pop(0))
        start = self._start(file)
        if start is not None and start >= len(file.content):
            return self.send_error(416)
        body = file.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        if file.tag:
            self.send_header("ETag", file.tag)
        self.send_header("Content-Type", file.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        request.sent = file.breaks.pop(0) if file.breaks else len(body)
        self.wfile.write(body[: request.sent])
        time.sleep(file.pause)
        return None

    def _start(self, file: File) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", file.tag) == file.tag
        return int(asked[1]) if asked and file.ranges and same else None

    def log_message(self, *_) -> None:
        pass


@contextmanager
def serving() -> Iterator[Web]:
    with Web() as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield web
        web.shutdown()
        thread.join()


class FileOverFtp(socketserver.StreamRequestHandler):
    """As much of FTP as fetching a file takes; the server has its `content` at any path."""

    def handle(self) -> None:
        self._say("220 ready")
        for line in self.rfile:
            match line.split()[0].upper():
                case b"USER" | b"PASS" | b"TYPE":
                    self._say("230 yes")
                case b"PASV":
                    passive = socket.create_server(("127.0.0.1", 0))
                    high, low = divmod(passive.getsockname()[1], 256)
                    self._say(f"227 (127,0,0,1,{high},{low})")
                case b"RETR":
                    self._say("150 here it comes")
                    with passive, passive.accept()[0] as data:
                        data.sendall(self.server.content)
                    self._say("226 done")
                case b"QUIT":
                    self._say("221 bye")
                case _:
                    self._say("500 what?")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def serving_ftp(content: bytes) -> Iterator[int]:
    """The port of an FTP server that has one file."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), FileOverFtp) as server:
        server.daemon_threads, server.content = True, content
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
