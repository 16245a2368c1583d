"""The profile `slurm`, read as Snakemake reads it."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossover.cluster.findings import Finding
from crossover.errors import nearest

NAME = "slurm"
DEFAULTS = Path("profiles/default")  # Snakemake reads it after every other profile


@dataclass(frozen=True)
class Profile:
    """What Snakemake will do with the profile, by the names of its options with `_` for `-`."""

    path: Path
    options: dict[str, Any]

    def resource(self, rule: str, name: str) -> str | None:
        """Return a resource that the profile gives to a rule, such as the partition of `finetune_run`."""
        for given in ((self.options["set_resources"] or {}).get(rule, {}), self.options["default_resources"] or {}):
            if name in given:  # `get` makes an empty resource where there is none
                raw = given[name].raw
                return None if raw in (None, "", "None") else str(raw)
        return None

    @property
    def retries(self) -> int:
        """How often a failed job is submitted anew."""
        return self.options["retries"] or 0

    @property
    def status_command(self) -> str:
        """The command that Snakemake asks for the state of its jobs."""
        return self.options["slurm_status_command"] or "sacct"  # the plugin's choice where sacct exists

    @property
    def first_check(self) -> int:
        """Seconds between a submission and the first question after its state."""
        from snakemake_executor_plugin_slurm import ExecutorSettings

        asked = self.options["slurm_init_seconds_before_status_checks"]
        return asked if isinstance(asked, int) else ExecutorSettings.init_seconds_before_status_checks


def check_profile() -> tuple[list[Finding], Profile | None]:
    """Find the profile, compare its keys with Snakemake's options, and let Snakemake read it."""
    try:
        from snakemake.cli import get_argument_parser, get_profile_dir
    except Exception as error:  # its plugins are imported too, and ask the system for this and that
        text = f"Snakemake does not start: {type(error).__name__}: {error}"
        return [Finding("FAIL", "profile", text, "snakemake --version shows more")], None

    found = get_profile_dir(NAME)
    link = f"ln -sfn profiles/{NAME} {NAME}"
    if found is None:
        return [Finding("FAIL", "profile", f"Snakemake finds no profile called {NAME}", link)], None
    path = _as_seen_from_here(found[1])
    if path == Path(NAME):  # git writes a link as a text file where links are not supported
        return [Finding("FAIL", "profile", f"{NAME} is a file, but should be a link to profiles/{NAME}", link)], None
    try:
        raw, understood = _read(path)
    except Exception as error:  # whatever the Python in a profile raises
        broken = f"{path} cannot be read: {' '.join(str(error).split()) or type(error).__name__}"
        return [Finding("FAIL", "profile", broken, f"correct {path}")], None
    try:
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            parser = get_argument_parser(profiles=[NAME, *([DEFAULTS] if DEFAULTS.exists() else [])])
            known = {key for action in parser._actions for key in parser.get_possible_config_keys(action)}
            strangers = _strangers(path, raw, understood, {key for key in known if not key.startswith("-")})
            options = {} if strangers else vars(parser.parse_known_args([])[0])
    except (SystemExit, Exception) as error:  # Snakemake has many classes of errors for wrong values
        words = complaint.getvalue().strip().splitlines()
        reason = words[-1] if words else f"{type(error).__name__}: {error}"
        return [Finding("FAIL", "profile", f"Snakemake refuses {path}: {reason}", f"correct the value in {path}")], None
    if strangers:
        return strangers, None
    return _checked(Profile(path, options), raw), Profile(path, options)


def _as_seen_from_here(path: Path) -> Path:
    """Return the file itself, which may be reached through a link, by the path that people know it by."""
    real = path.resolve()
    return real.relative_to(Path.cwd().resolve()) if real.is_relative_to(Path.cwd().resolve()) else real


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the profile's keys and values, and what Snakemake makes of them."""
    import yte
    from snakemake.profiles import ProfileConfigFileParser

    with path.open(encoding="utf-8") as stream:
        raw = yte.process_yaml(stream, require_use_yte=True)
        stream.seek(0)
        return raw, ProfileConfigFileParser().parse(stream)


def _strangers(path: Path, raw: dict[str, Any], understood: dict[str, Any], known: set[str]) -> list[Finding]:
    """Return keys that Snakemake does not know, and keys whose mapping it drops without a word."""
    return [
        Finding(
            "FAIL",
            "profile",
            f"{path}: Snakemake has no option {key}",
            f"correct or remove {key}: {nearest(key, known)}",
        )
        for key in raw
        if key not in known
    ] + [
        Finding(
            "FAIL",
            "profile",
            f"{path}: Snakemake ignores {key}, since it takes no mapping there",
            f"write {key} as a list or one value",
        )
        for key, value in raw.items()
        if key in known and value is not None and key not in understood
    ]


def _checked(profile: Profile, raw: dict[str, Any]) -> list[Finding]:
    findings = []
    if profile.options["executor"] != "slurm":
        executor = profile.options["executor"]
        text = f"{profile.path} has executor {executor}: jobs would not go to SLURM"
        findings.append(Finding("FAIL", "profile", text, f"executor: slurm in {profile.path}"))
    if DEFAULTS.is_dir():
        defaults = _read(DEFAULTS / "profile.yaml")[0]
        for key in [key for key in raw if key in defaults and raw[key] != defaults[key]]:
            text = f"{key} in {DEFAULTS}/profile.yaml is what counts, not that in {profile.path}"
            findings.append(Finding("warn", "profile", text, f"remove {key} from {DEFAULTS}/profile.yaml"))
    return findings or [Finding("ok", "profile", f"{profile.path}: Snakemake knows every key")]
