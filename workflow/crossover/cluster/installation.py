"""Whether this machine has what a study needs."""

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from crossover.cluster.findings import Finding
from crossover.cluster.profile import Profile, check_profile
from crossover.errors import UserError

LOCK = Path("envs/requirements.lock")
COMPARED = ("snakemake", "snakemake-executor-plugin-slurm", "snakemake-executor-plugin-slurm-jobstep")
OLDEST = (3, 11)
LEAST_SPACE_GB = 10  # a folder with results, checkpoints and training states of a small study
LEAST_FILES = 100_000  # each run makes about ten


def check_installation() -> tuple[list[Finding], Profile | None]:
    """Python, the packages that talk to the scheduler, their profile, the working folder, and the hub's cache."""
    packages = check_versions()
    findings, profile = ([], None) if any(finding.grade == "FAIL" for finding in packages) else check_profile()
    return [check_python(), *packages, *findings, check_disk(Path()), check_hub()], profile


def check_python() -> Finding:
    """Check Python's version, and that `python`, which every rule calls, is this one."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST:
        change = "make clean, then make PYTHON=python3.11 install"
        return Finding("FAIL", "python", f"{version} is too old: crossover needs 3.11 or later", change)
    called = shutil.which("python")
    if called is None or Path(called).parent.resolve() != Path(sys.executable).parent.resolve():
        text = f"the rules call `python`, which is {called or 'not there'}; this is {sys.executable}"
        return Finding("FAIL", "python", text, f"export PATH={Path(sys.executable).parent}:$PATH")
    return Finding("ok", "python", f"{version}, {sys.executable}")


def check_versions() -> list[Finding]:
    """Compare the packages that the profile was tested with to those of the lock."""
    pinned = read_lock(LOCK)
    change = f"python -m pip install -r {LOCK}"
    findings = []
    for package in COMPARED:
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            findings.append(Finding("FAIL", "packages", f"{package} is not installed", change))
            continue
        if version != pinned[package]:
            text = f"{package} is {version}; the profile was tested with {pinned[package]}"
            findings.append(Finding("warn", "packages", text, change))
    text = f"snakemake {pinned['snakemake']} and its SLURM plugin {pinned[COMPARED[1]]}, as in {LOCK}"
    return findings or [Finding("ok", "packages", text)]


def read_lock(path: Path) -> dict[str, str]:
    """Return the version of each package in a lock file.

    Raises:
        UserError: the file is not there, so this is not the workflow's folder.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{path} is not here: run crossover doctor in the folder that holds the Snakefile.") from error
    pairs = (line.split("#")[0].strip().partition("==") for line in lines)
    return {name: version for name, separator, version in pairs if separator}


def check_disk(folder: Path) -> Finding:
    """Space and files left on the file system of the working folder."""
    system = os.statvfs(folder)
    space = system.f_bavail * system.f_frsize / 1e9
    text = f"{space:,.0f} GB free here"
    if system.f_files:  # some file systems have no fixed number of files
        text += f", room for {system.f_favail:,} files"
    few_files = system.f_files and system.f_favail < LEAST_FILES
    if space < LEAST_SPACE_GB or few_files:
        return Finding("warn", "disk", text, "crossover prune lists what no study uses; or work on another file system")
    return Finding("ok", "disk", text)


def hub_cache() -> Path:
    """Return the folder where the Hugging Face libraries keep what they fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def check_hub() -> Finding:
    """Check the cache of checkpoints from the hub; say whether a token is set, and never the token itself."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    cache = hub_cache()
    token = "set" if os.environ.get("HF_TOKEN") else "not set"
    text = f"{cache}{'' if cache.is_dir() else ' is not there'}; HF_TOKEN is {token}"
    if HF_HUB_OFFLINE:
        text += "; HF_HUB_OFFLINE: nothing is fetched"
    return Finding("ok", "hub cache", text)
