"""What a check has found, and how it is shown."""

import shutil
import textwrap
from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "FAIL", "skip"]
SUBJECT = 6  # column of the subject
TEXT = SUBJECT + 14  # column of what was found
WIDEST = 100


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: a grade, what it is about, what was found, and what to change if it is not well."""

    grade: Grade
    subject: str
    text: str
    change: str = ""

    def show(self) -> str:
        """Return the finding in as many lines as the terminal needs; a command is never broken inside a word."""
        width = min(shutil.get_terminal_size().columns, WIDEST)
        head = f"{self.grade:<{SUBJECT}}{self.subject:<{TEXT - SUBJECT}}"
        lines = _wrapped(self.text, head, width)
        return "\n".join(lines + (_wrapped(self.change, " " * TEXT + "-> ", width) if self.change else []))


def _wrapped(text: str, head: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 60),
        initial_indent=head,
        subsequent_indent=" " * max(TEXT, len(head) - len(head.lstrip())),
        break_long_words=False,
        break_on_hyphens=False,
    )
