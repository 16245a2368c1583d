"""Text files as users and archives have them: compressed, with a byte-order mark, or damaged."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TextIO

from crossover.errors import UserError

# Text compresses to about a quarter, the most regular text to a twentieth; a few bytes may unpack to anything.
MAX_RATIO, ALWAYS_ALLOWED = 100, 2**28


class BoundedGzip(gzip.GzipFile):
    """A gzip file that refuses to unpack without end: a few kilobytes can contain gigabytes of one letter."""

    unpacked = 0

    def read1(self, size: int = -1) -> bytes:
        """Read like GzipFile, whose `read1` text streams call.

        Raises:
            UserError: the file unpacks to far more than text does.
        """
        content = super().read1(size)
        self.unpacked += len(content)
        if self.unpacked > max(ALWAYS_ALLOWED, MAX_RATIO * Path(str(self.name)).stat().st_size):
            raise UserError(
                f"{self.name} unpacks to more than {MAX_RATIO} times its size, which is unusual for text; if you trust "
                "it, unpack it yourself."
            )
        return content


@contextmanager
def open_text(path: Path, encoding: str = "utf-8", newline: str | None = None) -> Iterator[TextIO]:
    """Open a text file, or one compressed with gzip; a byte-order mark at its beginning is skipped.

    Args:
        path: the file.
        encoding: its character encoding.
        newline: as for `open`; None reads Windows line ends as plain ones.

    Raises:
        UserError: within the block: the file is incomplete, unpacks without end, or is not text in that encoding.
    """
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with _open_bytes(path) as content, TextIOWrapper(content, encoding=codec, newline=newline) as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise UserError(_undecodable(path, encoding)) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is not a complete gzip file ({error}); download it again.") from error


def _open_bytes(path: Path) -> IO[bytes] | BoundedGzip:
    return BoundedGzip(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _undecodable(path: Path, encoding: str) -> str:
    """Say where the first byte is that is invalid in the encoding."""
    before = 0
    with _open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                where = f"line {number}: byte {before + error.start} is 0x{line[error.start]:02x}"
                break
            before += len(line)
        else:
            where = "the end: it is cut off within a character"
    return f"{path}, {where}, which is not {encoding}; save the file as UTF-8, or set reader.encoding to latin-1."
