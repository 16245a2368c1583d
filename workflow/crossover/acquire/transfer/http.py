"""Bring one file here from the first of several places that has it: web servers, FTP servers, or a mirror's folder.

pooch checks and places the file; what is here beside it is going on where a broken download stopped (HTTP ranges) and
words for what went wrong.
"""

import errno
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from crossover.acquire.registry import UNFINISHED
from crossover.errors import UserError
from crossover.files import not_written, read_json, sha256, write_json

log = logging.getLogger(__name__)
pooch.get_logger().setLevel("WARNING")

ATTEMPTS = 5  # of a request, and of a transfer that breaks off
PAUSE = 1.0  # seconds before the second attempt; each further pause is twice as long
LONGEST_PAUSE = 60  # seconds, whatever a busy server asks for
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
BUSY = (408, 429, 500, 502, 503, 504)
CHUNK = 1 << 16  # what a slow line brings within seconds, so that the bar moves
NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


class PlaceError(Exception):
    """A place did not give the file; the text goes on after the name of the place."""


class BrokenTransferError(Exception):
    """A transfer ended too early, and may go on."""


def fetch(places: Iterable[str], target: Path, digest: str | None, size: int | None, hint: str) -> None:
    """Bring a file to `target`, unless it is there already.

    Args:
        places: http(s) or ftp addresses, or paths, tried in turn.
        target: where the file goes, whole or not at all.
        digest: its SHA-256, or None when nobody knows.
        size: its size in bytes, or None.
        hint: what to do when no place has it.

    Raises:
        UserError: no place has it, each with its reason; or it could not be written.
    """
    if target.is_file() and (not digest or sha256(target) == digest):
        return
    reasons = []
    for place in places:

        def download(url: str, output: str, _: object) -> None:
            _transfer(url, target, Path(output), size)
            _check(Path(output), target.name, digest, size)

        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=UNFINISHED) as folder:
                found = pooch.retrieve(place, digest, fname=target.name, path=folder, downloader=download)
                Path(found).replace(target)
            _partial(target).unlink(missing_ok=True)
            return
        except PlaceError as error:
            reasons.append(f"{place} {error}")
        except requests.RequestException as error:
            reasons.append(f"{place} cannot be reached ({_cause(error)})")
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno in NOT_WRITTEN and error.filename != place:
                raise not_written(target, error) from error
            reasons.append(f"{place} cannot be read ({error})")
        log.warning("%s", reasons[-1])
    raise UserError(f"{target.name} could not be acquired: {'; '.join(reasons)}. {hint}")


def _cause(error: BaseException) -> str:
    """The innermost reason, which is the one that says something."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _transfer(place: str, target: Path, output: Path, size: int | None) -> None:
    log.info("%s from %s", target.name, place)
    if place.startswith(("http://", "https://")):
        _download(place, target, size)
        _partial(target).replace(output)
        _mark(target).unlink(missing_ok=True)
    elif place.startswith("ftp://"):
        pooch.FTPDownloader(timeout=TIMEOUT[1])(place, str(output), None)
    else:
        shutil.copyfile(place, output)


def _check(path: Path, name: str, digest: str | None, size: int | None) -> None:
    with path.open("rb") as stream:
        _refuse_page(stream.read(1024), name)
    if size and path.stat().st_size != size:
        raise PlaceError(f"has {path.stat().st_size} bytes, not {size}")
    if digest and (found := sha256(path)) != digest:
        raise PlaceError(f"has the SHA-256 {found}, not {digest}")


def _refuse_page(start: bytes, name: str) -> None:
    is_page = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))
    if is_page and not name.lower().endswith((".html", ".htm", ".xhtml")):
        raise PlaceError("gives a web page (HTML) instead of the file")


# --- HTTP with ranges -------------------------------------------------------------------------------------


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _mark(target: Path) -> Path:
    """Which version of which address a partial file is of."""
    return target.with_name(f".{target.name}.part.json")


def _download(url: str, target: Path, size: int | None) -> None:
    """Download to the partial file, going on with what is there of the same version."""
    with requests.Session() as session:
        retry = Retry(
            ATTEMPTS - 1,
            backoff_factor=PAUSE,
            status_forcelist=BUSY,
            raise_on_status=False,
            retry_after_max=LONGEST_PAUSE,
        )
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                return _request(session, url, target, size)
            except BrokenTransferError as error:
                log.info("%s broke off (attempt %d): %s", url, attempt + 1, error)
                last = error
    raise PlaceError(
        f"broke off {ATTEMPTS} times ({last}); what was received is kept, and the next run goes on from there"
    )


def _request(session: requests.Session, url: str, target: Path, size: int | None) -> None:
    part = _partial(target)
    have, headers = _range(url, target)
    with session.get(url, headers={"Accept-Encoding": "identity", **headers}, stream=True, timeout=TIMEOUT) as response:
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code == 416 or (response.status_code == 206 and not goes_on):
            part.unlink(missing_ok=True)
            raise BrokenTransferError("it has no such range")
        if not response.ok:
            raise PlaceError(f"answers {response.status_code} {response.reason}")
        have = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if size and total and size != total:
            _refuse_page(response.raw.read(1024), target.name)
            raise PlaceError(f"has {total} bytes, not {size}")
        if not goes_on:
            part.unlink(
                missing_ok=True
            )  # before the mark is changed: an old part under a new mark would be gone on with
            write_json(_mark(target), {"url": url, "validator": _validator(response)})
        try:
            with (
                part.open("ab" if goes_on else "wb") as stream,
                tqdm(desc=target.name, total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
            ):
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    stream.write(chunk)
                    bar.update(len(chunk))
        except HTTPError as error:
            raise BrokenTransferError(str(error)) from error


def _range(url: str, target: Path) -> tuple[int, dict[str, str]]:
    """How many bytes are there already, and the headers that ask for the rest of the same version."""
    part, mark = _partial(target), _mark(target)
    if not (part.is_file() and mark.is_file()):
        return 0, {}
    known = read_json(mark)
    have = part.stat().st_size
    if not have or known["url"] != url or not known["validator"]:
        return 0, {}
    return have, {"Range": f"bytes={have}-", "If-Range": known["validator"]}


def _validator(response: requests.Response) -> str | None:
    """What tells one version of a file from another: a strong ETag, else the time of its last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")
