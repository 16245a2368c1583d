"""Files that appear whole or not at all, and their digests."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossover.errors import UserError

if TYPE_CHECKING:  # pandas takes longer to import than all else that the Snakefile needs
    import pandas as pd

ROWS_AT_ONCE = 4096  # of a Parquet file: what is written, and read again, in one piece of memory


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, it becomes `path` in one step.

    If the block raises, `path` stays as it was and the temporary file is removed. The data is flushed to
    the disk before the rename, so that a power cut cannot leave an empty file under the final name.

    Raises:
        UserError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def not_written(path: Path | str, error: OSError) -> UserError:
    """Return the error that tells a user that a file could not be written, and why."""
    reason = os.strerror(error.errno) if error.errno else error
    return UserError(f"{path} could not be written: {reason}; free space or fix the folder, then run again.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON with sorted keys, in one step."""
    write_text(path, _json_text(value))


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run snakemake to make it.") from error
    except ValueError as error:  # not JSON, or not even text
        raise UserError(f"{path} is not JSON ({error}): delete it and run snakemake again.") from error


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a digest of itself: once `write_json` has written it, no byte of it can change unnoticed."""
    return {**value, "seal": hashlib.sha256(_json_text(value).encode()).hexdigest()}


def write_sealed_json(path: Path, value: dict[str, Any]) -> None:
    """Write `value` like `write_json`, with its seal."""
    write_json(path, sealed(value))


def read_sealed_json(path: Path) -> dict[str, Any]:
    """Read a file that was written sealed, without its seal.

    Raises:
        UserError: the file is missing, or a byte of it is not as it was written.
    """
    value = read_json(path)
    content = {key: entry for key, entry in value.items() if key != "seal"} if isinstance(value, dict) else {}
    try:
        intact = Path(path).read_bytes() == _json_text(sealed(content)).encode()
    except ValueError:  # a number or a character that was never written
        intact = False
    if not intact:
        raise UserError(f"{path} is not as it was written: delete it and run snakemake again.")
    return content


def write_parquet(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` to `path` as Parquet without an index, in one step."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, row_group_size=ROWS_AT_ONCE)


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` to `path` as CSV without an index, in one step."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path, digest: str | None, origin: str, made_as: Path | None = None) -> Path:
    """Make sure that a file is the one whose digest was recorded, and give its path back.

    Args:
        path: the file.
        digest: its SHA-256.
        origin: what recorded it, to go on after "the file that", such as "pretraining wrote".
        made_as: the folder that is made or fetched as a whole; by default the file's own.

    Raises:
        UserError: the file is missing or is another one.
    """
    if not path.is_file() or sha256(path) != digest:
        folder = made_as or path.parent
        raise UserError(f"{path} is not the file that {origin}; delete {folder} and run snakemake again.")
    return path


def visible_files(folder: Path) -> list[Path]:
    """Return all files below a folder, relative to it, in the order of names; hidden files and folders are left out.

    Raises:
        UserError: a name is not UTF-8, so that no JSON or Parquet file can hold it.
    """
    paths = [path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()]
    visible = sorted(path for path in paths if not any(part.startswith(".") for part in path.parts))
    for path in visible:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{folder}: the name of {str(path)!a} is not UTF-8; rename it.") from error
    return visible


def tree_digest(folder: Path, digest: Callable[[Path], str] = sha256) -> str:
    """Return the digest of a folder's visible files: their relative names and contents, in the order of names.

    Args:
        folder: the folder.
        digest: how one file is digested.

    Raises:
        UserError: the folder is missing or holds no files.
    """
    names = visible_files(folder)
    if not names:
        raise UserError(f"{folder} is not a folder with files in it; correct the path of the dataset or checkpoint.")
    return hashlib.sha256(json.dumps([[name.as_posix(), digest(folder / name)] for name in names]).encode()).hexdigest()
