"""Write requirements.lock and the conda files from what is installed in the running environment.

`make lock` runs this in a fresh environment made from requirements.in. The conda files take only Python from
conda: their packages are those of the lock that the tests ran with.

A resolver such as `uv pip compile` does not do: it pins the CUDA libraries of another build of torch than the one that was
installed and tested.
"""

import re
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
ENVIRONMENTS = {
    "data": ("workflow", "data"),
    "train": ("workflow", "data", "train"),
    "report": ("workflow", "data", "report"),
}


def sections() -> dict[str, list[Requirement]]:
    """Return the requirements of each `# [section]` of requirements.in."""
    found: dict[str, list[Requirement]] = {}
    for line in (HERE / "requirements.in").read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"# \[(\w+)\]", line.strip()):
            current = found.setdefault(header[1], [])
        elif line and not line.startswith("#"):
            current.append(Requirement(line))
    return found


def closure(wanted: list[Requirement]) -> list[str]:
    """`name==version` of the wanted packages and of all that they require here, sorted."""
    pinned: dict[str, str] = {}
    waiting = [(requirement.name, frozenset(requirement.extras)) for requirement in wanted]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        # A local label such as "+cpu" says how a wheel was built, not which release it is.
        pinned[canonicalize_name(name)] = version(name).split("+")[0]
        for text in requires(name) or []:
            requirement = Requirement(text)
            markers = [{"extra": extra} for extra in extras or {""}]
            wanted_here = requirement.marker is None or any(map(requirement.marker.evaluate, markers))
            if wanted_here and _is_installed(requirement.name):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return [f"{name}=={pinned[name]}" for name in sorted(pinned)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def conda_file(kind: str, packages: list[str]) -> str:
    """Return the text of one conda environment file."""
    lines = "".join(f"      - {package}\n" for package in packages)
    return (
        f"# Made by `make lock` from requirements.in; do not edit. For the rules that use {kind}.yaml.\n"
        "channels:\n  - conda-forge\n  - nodefaults\n"
        f"dependencies:\n  - python=3.11\n  - pip\n  - pip:\n{lines}"
    )


def main() -> None:
    """Write all files."""
    parts = sections()
    everything = closure([requirement for part in parts.values() for requirement in part])
    header = "# Made by `make lock` from requirements.in; do not edit.\n"
    (HERE / "requirements.lock").write_text(header + "\n".join(everything) + "\n", encoding="utf-8")
    for kind, names in ENVIRONMENTS.items():
        packages = closure([requirement for name in names for requirement in parts[name]])
        (HERE / f"{kind}.yaml").write_text(conda_file(kind, packages), encoding="utf-8")


if __name__ == "__main__":
    main()
