"""Download a file from the first of several sources that has it: web servers, FTP servers, or a mirror's folder.

pooch verifies and stores the file; this module adds resuming of interrupted downloads (HTTP ranges) and clear errors.
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

from crossover.acquire.acquired import UNFINISHED
from crossover.errors import UserError
from crossover.files import not_written, read_json, sha256, write_json

log = logging.getLogger(__name__)
pooch.get_logger().setLevel("WARNING")

ATTEMPTS = 5  # per request, and per interrupted transfer
RETRY_DELAY = 1.0  # seconds before the second attempt; doubled for each further attempt
MAX_RETRY_DELAY = 60  # seconds, even if a busy server asks for more
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of a response
BUSY = (408, 429, 500, 502, 503, 504)
CHUNK = 1 << 16  # small enough for the progress bar to move on a slow connection
NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


class SourceError(Exception):
    """A source did not deliver the file. The message continues a sentence that begins with the source's address."""


class InterruptedTransferError(Exception):
    """A transfer ended too early, and can be resumed."""


def fetch(places: Iterable[str], target: Path, digest: str | None, size: int | None, hint: str) -> None:
    """Download a file to `target`, unless it is already there.

    Args:
        places: http(s) or ftp addresses, or paths, tried in order.
        target: path of the file; it is written completely or not at all.
        digest: its SHA-256; None if unknown.
        size: its size in bytes; None if unknown.
        hint: advice for the error message.

    Raises:
        UserError: no source delivered the file (the message lists the reasons), or it could not be written.
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
        except SourceError as error:
            reasons.append(f"{place} {error}")
        except requests.RequestException as error:
            reasons.append(f"{place} cannot be reached ({_root_cause(error)})")
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno in NOT_WRITTEN and error.filename != place:
                raise not_written(target, error) from error
            reasons.append(f"{place} cannot be read ({error})")
        log.warning("%s", reasons[-1])
    raise UserError(f"{target.name} could not be downloaded: {'; '.join(reasons)}. {hint}")


def _root_cause(error: BaseException) -> str:
    """Return the message of the innermost exception, which is the informative one."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _transfer(place: str, target: Path, output: Path, size: int | None) -> None:
    log.info("%s from %s", target.name, place)
    if place.startswith(("http://", "https://")):
        _download(place, target, size)
        _partial(target).replace(output)
        _partial_info(target).unlink(missing_ok=True)
    elif place.startswith("ftp://"):
        pooch.FTPDownloader(timeout=TIMEOUT[1])(place, str(output), None)
    else:
        shutil.copyfile(place, output)


def _check(path: Path, name: str, digest: str | None, size: int | None) -> None:
    with path.open("rb") as stream:
        _refuse_page(stream.read(1024), name)
    if size and path.stat().st_size != size:
        raise SourceError(f"has {path.stat().st_size} bytes, not {size}")
    if digest and (found := sha256(path)) != digest:
        raise SourceError(f"has the SHA-256 {found}, not {digest}")


def _refuse_page(start: bytes, name: str) -> None:
    is_page = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))
    if is_page and not name.lower().endswith((".html", ".htm", ".xhtml")):
        raise SourceError("returns a web page (HTML) instead of the file")


# --- HTTP with ranges -------------------------------------------------------------------------------------


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _partial_info(target: Path) -> Path:
    """Return the path of the file that records the address and version of a partial file."""
    return target.with_name(f".{target.name}.part.json")


def _download(url: str, target: Path, size: int | None) -> None:
    """Download to the partial file, resuming it if it is of the same version."""
    with requests.Session() as session:
        retry = Retry(
            ATTEMPTS - 1,
            backoff_factor=RETRY_DELAY,
            status_forcelist=BUSY,
            raise_on_status=False,
            retry_after_max=MAX_RETRY_DELAY,
        )
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(RETRY_DELAY * 2 ** (attempt - 1))
            try:
                return _request(session, url, target, size)
            except InterruptedTransferError as error:
                log.info("%s was interrupted (attempt %d): %s", url, attempt + 1, error)
                last = error
    raise SourceError(
        f"was interrupted {ATTEMPTS} times ({last}); the received part is kept, and the next run resumes there"
    )


def _request(session: requests.Session, url: str, target: Path, size: int | None) -> None:
    part = _partial(target)
    have, headers = _range(url, target)
    with session.get(url, headers={"Accept-Encoding": "identity", **headers}, stream=True, timeout=TIMEOUT) as response:
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code == 416 or (response.status_code == 206 and not resumed):
            part.unlink(missing_ok=True)
            raise InterruptedTransferError("the server does not have the requested range")
        if not response.ok:
            raise SourceError(f"returns {response.status_code} {response.reason}")
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if size and total and size != total:
            _refuse_page(response.raw.read(1024), target.name)
            raise SourceError(f"has {total} bytes, not {size}")
        if not resumed:
            part.unlink(missing_ok=True)  # first, or a stale partial file would be resumed as the new version
            write_json(_partial_info(target), {"url": url, "validator": _validator(response)})
        try:
            with (
                part.open("ab" if resumed else "wb") as stream,
                tqdm(desc=target.name, total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
            ):
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    stream.write(chunk)
                    bar.update(len(chunk))
        except HTTPError as error:
            raise InterruptedTransferError(str(error)) from error


def _range(url: str, target: Path) -> tuple[int, dict[str, str]]:
    """Return the number of bytes already received, and the headers that request the rest of the same version."""
    part, info = _partial(target), _partial_info(target)
    if not (part.is_file() and info.is_file()):
        return 0, {}
    known = read_json(info)
    have = part.stat().st_size
    if not have or known["url"] != url or not known["validator"]:
        return 0, {}
    return have, {"Range": f"bytes={have}-", "If-Range": known["validator"]}


def _validator(response: requests.Response) -> str | None:
    """Return what identifies this version of the file: a strong ETag, or else the time of its last modification."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")
