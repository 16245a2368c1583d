"""The command line: what it prints to people and to programs, and its exit statuses."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import environment

import crossover
from crossover.cli import app, main
from crossover.cluster.findings import Finding
from crossover.commands import doctor

ROOT = Path(__file__).parents[2]
GROUPS = {
    "Everyday": {"status", "explain", "prune", "plan-seeds", "report-incomplete"},
    "Your data": {"new-task", "check-task", "view"},
    "Cluster": {"doctor"},
    "Development": {"config-schema"},
}


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def commands_of_rules() -> set[str]:
    """The commands that the rules of the workflow call."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    return set(re.findall(r"python -m crossover ([a-z-]+)", rules))


def test_without_arguments_a_newcomer_is_told_what_to_do_first(capsys):
    assert main([]) == 0
    assert "crossover new-task FILE" in capsys.readouterr().out


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"crossover {crossover.__version__}\n"


def test_every_command_is_in_a_group_and_every_rule_has_a_command():
    commands = {
        (command.name or command.callback.__name__).replace("_", "-"): command.rich_help_panel
        for command in app.registered_commands
        if not command.hidden
    }
    stages = {name for name, group in commands.items() if group == "Stages"}
    assert {group: {name for name in commands if commands[name] == group} for group in GROUPS} == GROUPS
    assert stages == commands_of_rules()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stauts"], "crossover: No such command 'stauts'. Did you mean 'status'? See crossover --help.\n"),
        (
            ["status", "--jsn"],
            "crossover: No such option: --jsn (Possible options: --json); see crossover status --help.\n",
        ),
        (
            ["aggregate-study", "--spec", "x"],
            "crossover: Missing option '--output'; see crossover aggregate-study --help.\n",
        ),
    ],
)
def test_wrong_usage_is_one_sentence_with_a_suggestion(arguments, sentence, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", sentence)


def test_a_user_s_error_is_one_sentence(capsys):
    assert main(["status", "dmeo"]) == 1
    assert capsys.readouterr() == ("", "crossover: unknown study dmeo; did you mean demo?\n")


def test_names_of_studies_are_completed():
    done = subprocess.run(
        [sys.executable, "-m", "crossover"],
        env=environment(_CROSSOVER_COMPLETE="complete_bash", COMP_WORDS="crossover status de", COMP_CWORD="2"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["demo"]


# --- for programs and for terminals -------------------------------------------------------------------------


def test_the_status_as_json_says_what_the_text_says(capsys):
    assert main(["status", "demo", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main(["status", "demo"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Study demo: {facts['done']} of {len(facts['runs'])} runs done")
    assert {run["state"] for run in facts["runs"]} <= {"done", "running", "failed", "waiting"}


def test_a_pipe_gets_no_escapes_and_a_terminal_does():
    command = [sys.executable, "-m", "crossover", "status", "demo"]
    variables = environment(TERM="xterm")
    piped = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True).stdout
    assert b"\x1b" not in piped
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=variables, stdout=theirs) as process:
        os.close(theirs)
        shown = os.read(ours, 1 << 16)
    assert process.returncode == 0
    assert b"\x1b" in shown


@pytest.mark.parametrize(
    ("grade", "error"), [("FAIL", "crossover: 1 check failed: do what the lines below FAIL say"), ("warn", "")]
)
def test_the_doctor_s_findings_as_json(grade, error, monkeypatch, capsys):
    sections = [("Scheduler", [Finding(grade, "time limit", "it is short", "ask for more")])]
    monkeypatch.setattr(doctor, "check_everything", lambda *_: iter(sections))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["doctor", "--json"]) == bool(error)
    said = capsys.readouterr()
    [section] = json.loads(said.out)
    assert section["findings"] == [
        {"grade": grade, "subject": "time limit", "text": "it is short", "change": "ask for more"}
    ]
    assert said.err.startswith(error)
