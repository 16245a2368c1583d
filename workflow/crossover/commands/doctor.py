"""Check what a first study needs, here and on the cluster, and say what to change: `crossover doctor`."""

import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence

from crossover.cluster.doctor import Section, check_everything
from crossover.cluster.findings import Finding, Grade
from crossover.errors import UserError

STYLES: dict[Grade, str] = {"ok": "green", "warn": "yellow", "FAIL": "bold red", "skip": "dim"}


def doctor(study: str | None, jobs: bool, wait: float, as_json: bool) -> None:
    """Print what was found: section by section when it is known, or all of it as JSON.

    Args:
        study: name or path of the study that is to run, or None for the one in config/config.yaml.
        jobs: whether probe jobs may be submitted.
        wait: seconds that a probe job may wait in the queue.
        as_json: print JSON.

    Raises:
        UserError: something would keep a study from running.
    """
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # its jobs must not outlive it
        signal.signal(stop, signal.default_int_handler)
    grades: Counter[Grade] = Counter()
    sections = []
    for section in check_everything(study, jobs, wait):
        grades.update(finding.grade for finding in section[1])
        sections.append(section)
        if not as_json:
            _print_section(section)
    if as_json:
        print(json.dumps(_facts(sections), indent=2, ensure_ascii=False))
    if failures := grades["FAIL"]:
        what = f"{failures} check{'s' * (failures > 1)} failed"
        raise UserError(f"{what}: do what the lines below FAIL say, and run crossover doctor again.")
    if not as_json:
        print(f"Nothing failed; {grades['warn'] or 'no'} warning{'s' * (grades['warn'] != 1)}.")


def _print_section(section: Section) -> None:
    title, findings = section
    if sys.stdout.isatty():
        _print_in_colour(title, findings)
    else:
        print(title, *(finding.show() for finding in findings), "", sep="\n", flush=True)


def _print_in_colour(title: str, findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(title, style="bold"))
    for finding in findings:
        line = Text(finding.show())
        line.stylize(STYLES[finding.grade], 0, len(finding.grade))
        console.print(line)
    console.print()


def _facts(sections: Sequence[Section]) -> list[dict[str, object]]:
    return [
        {
            "section": title,
            "findings": [
                {"grade": found.grade, "subject": found.subject, "text": found.text, "change": found.change or None}
                for found in findings
            ],
        }
        for title, findings in sections
    ]
