"""Unpack archives of strangers: zip, tar and tar.gz, told apart by their first bytes.

Only plain files are written, only below the dataset's folder, and only as many bytes as the user allows, counted while
they are unpacked, since headers may lie.
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
from typing import IO, Any

from crossover.acquire.registry import UNFINISHED
from crossover.errors import UserError
from crossover.files import not_written

MEMBERS = 200_000
NAME_BYTES, PATH_BYTES = 255, 1000  # the first is what file systems take
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"  # its first bytes
ADVICE = "run again to fetch it anew, or get it from elsewhere."
HEADER_BYTES = 1 << 20  # of a tar: a longer header, such as a name, is meant to fill the memory
# What the libraries raise for content that is not as it should be.
DAMAGED = (
    *(EOFError, ValueError, OverflowError, NotImplementedError, struct.error, zlib.error),
    *(gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile),
)


class Room:
    """What the archives of one dataset may still unpack to."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` bytes in all."""
        self.limit, self.left, self.members = limit, limit, MEMBERS

    def take(self, archive: Path, size: int) -> None:
        """Use up `size` bytes.

        Raises:
            UserError: there is not so much left.
        """
        self.left -= size
        if self.left < 0:
            raise UserError(
                f"{archive} unpacks to more than {self.limit / 1e6:g} MB; if that is right, set unpacked_mb in the dataset."
            )

    def enter(self, archive: Path) -> None:
        """Count one more file.

        Raises:
            UserError: there are too many.
        """
        self.members -= 1
        if self.members < 0:
            raise UserError(f"{archive} holds more than {MEMBERS} files; choose among them with only in the dataset.")


def unpack(archive: Path, folder: Path, room: Room, only: Iterable[str], taken: set[str]) -> list[str]:
    """Unpack an archive into a folder, all of it or nothing; hidden files are left out.

    Args:
        archive: the archive.
        folder: where its files go, with the paths that they have in it.
        room: how much may be unpacked.
        only: patterns of the paths that are wanted, or none for all.
        taken: paths in the folder that it must not have.

    Returns:
        The paths of its files, relative to `folder`.

    Raises:
        UserError: it is damaged, too large, encrypted, or has a member that could do harm.
    """
    patterns, names = list(only), set[str]()
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as temporary:
            for member, content in _members(archive):
                name = _checked(archive, member)
                if name in names or name in taken:
                    raise _refused(archive, name, "is there twice, or has the name of another file of the dataset")
                if _is_hidden(name) or (patterns and not any(fnmatchcase(name, pattern) for pattern in patterns)):
                    continue
                room.enter(archive)
                _write(archive, content, Path(temporary, name), room)
                names.add(name)
            for name in names:
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(temporary, name).replace(folder / name)
    except DAMAGED as error:
        raise UserError(f"{archive} is damaged, cut off, or no zip or tar archive ({error}); {ADVICE}") from error
    except OSError as error:
        raise not_written(folder, error) from error
    if not names:
        raise UserError(
            f"{archive} holds no files{f' that match {patterns}' if patterns else ''}; correct the dataset."
        )
    return sorted(names)


def require_whole(path: Path) -> None:
    """Make sure that a gzip file, which has a checksum of its own, is whole; other files cannot tell.

    Raises:
        UserError: it is damaged or cut off.
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
            raise UserError(f"{path} is damaged or cut off ({error}); {ADVICE}") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as stream:
        start = stream.read(2)
        stream.seek(0)
        if start == b"PK":
            yield from _zip_members(archive, stream)
        else:
            with gzip.open(stream) if start == GZIP else stream as content:
                yield from _tar_members(archive, content)


def _zip_members(archive: Path, stream: Any) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(stream) as content:
        for info in content.infolist():
            if info.filename.endswith("/"):
                continue
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise _refused(archive, info.filename, "is a link or a device")
            if info.flag_bits & 0x1:
                raise _refused(archive, info.filename, "is encrypted")
            with content.open(info) as member:
                yield info.filename, member


def _tar_members(archive: Path, stream: Any) -> Iterator[tuple[str, IO[bytes]]]:
    guarded = _Guarded(stream)
    with tarfile.open(fileobj=guarded, mode="r:") as content:  # type: ignore[call-overload]
        for info in content:
            if info.isdir():
                continue
            member = content.extractfile(info) if info.isreg() else None
            if member is None:
                raise _refused(archive, info.name, "is a link or a device")
            yield info.name, member
    guarded.require_end()


class _Guarded:
    """The content of a tar whose headers cannot fill the memory, and whose end is not missed.

    tarfile reads a header of any length at once, and takes a damaged header for the end of the archive.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if size > HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self._last = self._stream.read(size)
        return self._last

    def require_end(self) -> None:
        """Make sure that the archive ends in a block of zeros, and the compressed data as it should."""
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends in the middle")
        while self._stream.read(CHUNK):
            pass


def _checked(archive: Path, member: str) -> str:
    """The path of a member without dots, if it can do no harm."""
    path = PurePosixPath(member)
    name = path.as_posix()
    if member.startswith("/") or ".." in path.parts or "\\" in member or not path.parts:
        raise _refused(archive, member, "leads out of the folder")
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        raise _refused(archive, member, "has a name that is not plain UTF-8")
    if max(len(part.encode()) for part in path.parts) > NAME_BYTES or len(name.encode()) > PATH_BYTES:
        raise _refused(archive, member[:60] + "...", "has too long a name")
    return name


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _write(archive: Path, content: IO[bytes], target: Path, room: Room) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise _refused(archive, target.name, "is both a file and a folder") from error
    with stream:
        while chunk := content.read(CHUNK):
            room.take(archive, len(chunk))
            stream.write(chunk)


def _refused(archive: Path, member: str, reason: str) -> UserError:
    return UserError(f"{archive}: {member!a} {reason}, so nothing of the archive is used; get it from elsewhere.")
