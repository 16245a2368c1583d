"""A logger plugin of Snakemake that writes each job that it plans or starts as one line of JSON.

Snakemake finds it by its name on the path: `snakemake --logger planned-jobs --logger-planned-jobs-file FILE`.
"""

import json
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Where the jobs are written to."""

    file: str | None = field(
        default=None, metadata={"help": "File to append the jobs to.", "type": str, "required": True}
    )


class LogHandler(LogHandlerBase):
    """Append rule, wildcards, reason and command of each job to a file."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Write one line for a record that says what a job is."""
        if getattr(record, "event", None) != LogEvent.JOB_INFO:
            return
        assert isinstance(self.settings, LogHandlerSettings) and self.settings.file
        facts = vars(record)
        job = {
            "rule": facts["rule_name"],
            "wildcards": dict(facts["wildcards"] or {}),
            "reason": facts["reason"],
            "command": facts["shellcmd"],
        }
        with Path(self.settings.file).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(job) + "\n")
