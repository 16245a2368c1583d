"""Unpack untrusted archives: zip, tar and tar.gz, distinguished by their first bytes.

Only regular files are written, only inside the dataset's folder, and only as many bytes as the user allows. Bytes are
counted while they are unpacked, since sizes in headers cannot be trusted.
"""

import gzip
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from crossover.acquire.acquired import UNFINISHED
from crossover.errors import UserError
from crossover.files import not_written

MAX_FILES = 200_000
NAME_BYTES, PATH_BYTES = 255, 1000  # 255 is the limit of file systems
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"  # magic number
ADVICE = "run again to download it again, or get it from another source."
HEADER_BYTES = 1 << 20  # of a tar; a longer header, such as a huge name, could exhaust the memory
# Exceptions that the libraries raise for invalid content.
DAMAGED = (
    *(EOFError, ValueError, OverflowError, NotImplementedError, struct.error, zlib.error),
    *(gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile),
)


class UnpackBudget:
    """Bytes and files that the archives of one dataset may still unpack to."""

    def __init__(self, max_bytes: int) -> None:
        """Allow `max_bytes` bytes in total."""
        self.max_bytes, self.bytes_left, self.files_left = max_bytes, max_bytes, MAX_FILES

    def spend_bytes(self, archive: Path, count: int) -> None:
        """Count unpacked bytes.

        Raises:
            UserError: the limit is exceeded.
        """
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise UserError(
                f"{archive} unpacks to more than {self.max_bytes / 1e6:g} MB; if that is expected, raise unpacked_mb in the "
                "dataset."
            )

    def spend_file(self, archive: Path) -> None:
        """Count an unpacked file.

        Raises:
            UserError: the limit is exceeded.
        """
        self.files_left -= 1
        if self.files_left < 0:
            raise UserError(
                f"{archive} contains more than {MAX_FILES} files; select some of them with only in the dataset."
            )


def unpack(archive: Path, folder: Path, budget: UnpackBudget, only: Iterable[str], taken: set[str]) -> list[str]:
    """Unpack an archive into a folder, either completely or not at all. Hidden files are left out.

    Args:
        archive: the archive.
        folder: where its files go, under their paths in the archive.
        budget: bytes and files that may still be unpacked.
        only: patterns of the paths to unpack; empty for all.
        taken: paths in the folder that the archive must not contain.

    Returns:
        The paths of its files, relative to `folder`.

    Raises:
        UserError: the archive is damaged, too large, encrypted, or has a member that could do harm.
    """
    patterns, names = list(only), set[str]()
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as temporary:
            for member, content in _members(archive):
                name = _safe_name(archive, member)
                if name in names or name in taken:
                    raise _refusal(archive, name, "occurs twice, or has the name of another file of the dataset")
                if _is_hidden(name) or (patterns and not any(fnmatchcase(name, pattern) for pattern in patterns)):
                    continue
                budget.spend_file(archive)
                _write(archive, content, Path(temporary, name), budget)
                names.add(name)
            for name in names:
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(temporary, name).replace(folder / name)
    except DAMAGED as error:
        raise UserError(f"{archive} is damaged, incomplete, or not a zip or tar archive ({error}); {ADVICE}") from error
    except OSError as error:
        raise not_written(folder, error) from error
    if not names:
        raise UserError(
            f"{archive} contains no files{f' that match {patterns}' if patterns else ''}; correct the dataset or checkpoint."
        )
    return sorted(names)


def check_gzip(path: Path) -> None:
    """Raise if a gzip file is damaged, which its built-in checksum shows. Other files are not checked.

    Raises:
        UserError: the file is damaged or incomplete.
    """
    with path.open("rb") as stream:
        if stream.read(len(GZIP)) != GZIP:
            return
        stream.seek(0)
        try:
            with gzip.open(stream) as content:
                while content.read(CHUNK):
                    pass
        except DAMAGED as error:
            raise UserError(f"{path} is damaged or incomplete ({error}); {ADVICE}") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as stream:
        start = stream.read(2)
        stream.seek(0)
        if start == b"PK":
            yield from _zip_members(archive, stream)
        else:
            with gzip.open(stream) if start == GZIP else stream as content:
                yield from _tar_members(archive, content)


def _zip_members(archive: Path, stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(stream) as content:
        for info in content.infolist():
            if info.filename.endswith("/"):
                continue
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise _refusal(archive, info.filename, "is a link or a device")
            if info.flag_bits & 0x1:
                raise _refusal(archive, info.filename, "is encrypted")
            with content.open(info) as member:
                yield info.filename, member


def _tar_members(archive: Path, stream: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[str, IO[bytes]]]:
    guarded = _GuardedTarStream(stream)
    with tarfile.open(fileobj=guarded, mode="r:") as content:  # type: ignore[call-overload]
        for info in content:
            if info.isdir():
                continue
            member = content.extractfile(info) if info.isreg() else None
            if member is None:
                raise _refusal(archive, info.name, "is a link or a device")
            yield info.name, member
    guarded.require_end()


class _GuardedTarStream:
    """The stream of a tar file, with a limit on headers and a check of the end.

    tarfile reads a header of any length at once, and treats a damaged header as the end of the archive.
    """

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream, self._last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._last = self._stream.read(size)
        return self._last

    def require_end(self) -> None:
        """Raise unless the archive ends with a block of zeros, and the compressed data end without an error."""
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end")
        while self._stream.read(CHUNK):
            pass


def _safe_name(archive: Path, member: str) -> str:
    """Return the normalised path of a member, or raise if it could do harm."""
    path = PurePosixPath(member)
    name = path.as_posix()
    if member.startswith("/") or ".." in path.parts or "\\" in member or not path.parts:
        raise _refusal(archive, member, "leads out of the folder")
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        raise _refusal(archive, member, "has a name that is not plain UTF-8")
    if max(len(part.encode()) for part in path.parts) > NAME_BYTES or len(name.encode()) > PATH_BYTES:
        raise _refusal(archive, member[:60] + "...", "has too long a name")
    return name


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _write(archive: Path, content: IO[bytes], target: Path, budget: UnpackBudget) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _refusal(archive, target.name, "is both a file and a folder") from error
    with stream:
        while chunk := content.read(CHUNK):
            budget.spend_bytes(archive, len(chunk))
            stream.write(chunk)


def _refusal(archive: Path, member: str, reason: str) -> UserError:
    return UserError(f"{archive}: {member!a} {reason}, so the archive is not used; get it from another source.")
