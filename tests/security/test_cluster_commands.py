"""What is handed to sbatch: paths of the user reach no shell as anything but one word."""

import os
import shlex

import pytest
from hostile import CANARY, canaries

from workflow_copy import WorkflowCopy

# Writes down its arguments and its input, each ended by a zero byte, and refuses the job.
SBATCH = """\
#!/bin/sh
{ for word in "$@"; do printf '%s\\0' "$word"; done; case " $*" in *--wrap*) ;; *) cat ;; esac; } > "$SUBMITTED"
exit 1
"""
SILENT = "#!/bin/sh\n"


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """The file in which the words of a submission are found; the cluster takes no job."""
    binaries = tmp_path / "binaries"
    binaries.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo"):
        (binaries / name).write_text(SBATCH if name == "sbatch" else SILENT)
        (binaries / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(binaries), os.environ["PATH"]]))
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted"))
    return tmp_path / "submitted"


@pytest.mark.parametrize(
    ("folder", "study"),
    [
        ("harmless", "harmless"),
        ("harmless", f"it's `touch {CANARY}`"),
        (f"it's $(touch {CANARY})", "harmless"),
    ],
)
def test_paths_are_words_or_are_refused(fresh, tmp_path, submitted, folder, study):
    """The folder of the workflow, and the one of the study."""
    card = f"results/tasks/{fresh.named('tiny-xor', 'task')}/card.json"
    copy = WorkflowCopy(fresh.root.rename(tmp_path / folder))
    (copy.root / study).mkdir()
    path = copy.study.rename(copy.root / study / copy.study.name).relative_to(copy.root)
    soon = ("--retries", "0", "--slurm-init-seconds-before-status-checks", "1")
    done = copy.run(card, "--profile", "slurm", *soon, study=str(path))
    assert canaries(tmp_path) == []
    assert "Traceback" not in done.stdout
    if folder == study:
        command = submitted.read_text().rstrip("\0").split("\0")[-1].removeprefix("--wrap=")
        assert {f"study={path}", str(copy.root / "Snakefile")} <= set(shlex.split(command, comments=True))
    else:
        assert not submitted.exists()
        assert "cannot be used on a cluster" in done.stdout
