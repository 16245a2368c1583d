"""Patches of the SLURM plugin: what is asked again, and what becomes of the answers."""

import asyncio
import importlib
import logging
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossover.runtime import plugin_patches

STATES = st.sampled_from(["PENDING", "RUNNING", "COMPLETED", "CANCELLED by 0", "CANCELLED by 1000", "TIMEOUT"])
ANSWERS = st.one_of(st.none(), st.dictionaries(st.sampled_from("12345"), STATES))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(plugin_patches, "RETRY_INTERVAL", 0.0)
    monkeypatch.setattr(plugin_patches, "ENDING", threading.Event())


class Scheduler:
    """A status query that answers what it was told to, and None without an answer."""

    def __init__(self, answers):
        self.answers = list(answers)

    async def __call__(self, command, logger):
        answer = self.answers.pop(0)
        return (None, None) if answer is None else (answer, 0.1)


def asked(answers, command="squeue --me"):
    """What the plugin is told, as often as there is an answer."""
    query = plugin_patches.query_until_answered(Scheduler(answers))
    logger = logging.getLogger("silent")
    logger.disabled = True
    return [asyncio.run(query(command, logger))[0] for answer in answers if answer is not None]


# --- status queries -----------------------------------------------------------------------------------------


def test_a_query_is_repeated_until_it_is_answered():
    assert asked([None] * 500 + [{"7": "RUNNING"}]) == [{"7": "RUNNING"}]


def test_the_user_is_told_that_there_is_no_answer(caplog):
    query = plugin_patches.query_until_answered(Scheduler([None, None, {}]))
    asyncio.run(query("squeue", logging.getLogger("crossover")))
    assert [record.message for record in caplog.records] == [
        "SLURM has not answered for 0 s; jobs go on, and it is asked again."
    ] * 2


def test_states_are_the_words_that_the_plugin_knows():
    assert asked([{"1": "CANCELLED by 0", "2": "COMPLETED"}], "sacct") == [{"1": "CANCELLED", "2": "COMPLETED"}]


def test_a_job_that_squeue_has_forgotten_is_unknown_and_one_that_it_never_showed_is_not_named():
    answers = [{}, {"1": "PENDING", "2": "RUNNING"}, {"2": "RUNNING"}, {}, {"1": "RUNNING"}]
    assert asked(answers) == [
        {},
        {"1": "PENDING", "2": "RUNNING"},
        {"1": "UNKNOWN", "2": "RUNNING"},
        {"1": "UNKNOWN", "2": "UNKNOWN"},
        {"1": "RUNNING", "2": "UNKNOWN"},
    ]


def test_sacct_forgets_nothing():
    """What it does not show has not reached the database yet."""
    assert asked([{"1": "RUNNING"}, {}], "sacct -X") == [{"1": "RUNNING"}, {}]


@given(st.lists(ANSWERS).map(lambda answers: [*answers, {}]))
def test_every_job_that_was_shown_once_is_named_in_every_later_answer(answers):
    told = asked(answers)
    given_back = [answer for answer in answers if answer is not None]
    for number, (answer, states) in enumerate(zip(given_back, told, strict=True)):
        assert states.keys() == {job for earlier in given_back[: number + 1] for job in earlier}
        assert {job: state.split()[0] for job, state in answer.items()}.items() <= states.items()
        assert {states[job] for job in states.keys() - answer.keys()} <= {"UNKNOWN"}


# --- the controller -----------------------------------------------------------------------------------------


def test_how_long_jobs_are_remembered(command):
    """The last answer holds; where there is no accounting, sacct must never be turned to."""
    answers = iter([None, 300, None, 300, None])
    ask = plugin_patches.cache_min_job_age(lambda: next(answers))
    command("scontrol", "echo 'AccountingStorageType   = accounting_storage/slurmdbd'")
    assert [ask(), ask(), ask()] == [plugin_patches.NEVER_FORGOTTEN, 300, 300]
    command("scontrol", "echo 'AccountingStorageType   = (null)'")
    assert [ask(), ask()] == [plugin_patches.NEVER_FORGOTTEN, plugin_patches.NEVER_FORGOTTEN]


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        ("echo 'Slurmctld(primary) at login is UP'", True),
        ("echo 'Slurmctld(primary) at a is DOWN'; echo 'Slurmctld(backup) at b is UP'; exit 1", True),
        ("echo 'Slurmctld(primary) at login is DOWN'; exit 1", False),
        ("echo 'slurm_load_ctl_conf error' >&2; exit 1", False),
    ],
)
def test_whether_a_controller_answers(command, script, answers):
    command("scontrol", script)
    assert plugin_patches.controller_answers() is answers


def test_without_scontrol_nothing_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert plugin_patches.controller_answers()


def test_a_submission_waits_for_the_controller(command, tmp_path):
    """It has been asked four times, and answers the last time."""
    asked = tmp_path / "asked"
    command("scontrol", f"echo . >>{asked}; [ $(wc -l <{asked}) -gt 3 ] && echo 'Slurmctld(primary) at x is UP'")
    submit = plugin_patches.submit_when_up(lambda job, **options: f"sbatch {job} {options}")
    assert submit("a job", mem=1) == "sbatch a job {'mem': 1}"
    assert asked.read_text() == ".\n" * 4


def test_nothing_is_waited_for_once_snakemake_cancels_its_jobs(command):
    """It waits for those who wait."""
    command("scontrol", "echo 'Slurmctld(primary) at x is DOWN'")
    cancelled: list[str] = []
    plugin_patches.cancel_and_stop(cancelled.extend)(["7"])
    assert cancelled == ["7"]
    plugin_patches.wait_for_controller()
    query = plugin_patches.query_until_answered(Scheduler([{"7": "RUNNING"}, None]))
    logger = logging.getLogger("crossover")
    assert asyncio.run(query("squeue", logger))[0] == {"7": "RUNNING"}
    assert asyncio.run(query("squeue", logger)) == ({}, 0.0)


# --- the plugin ---------------------------------------------------------------------------------------------


def test_the_installed_plugin_is_taught_once(monkeypatch):
    plugin = importlib.import_module("snakemake_executor_plugin_slurm")
    names = ("query_job_status", "get_min_job_age", "get_submit_command", "cancel_slurm_jobs")
    for name in names:
        monkeypatch.setattr(plugin, name, getattr(plugin, name))  # put back afterwards
    plugin_patches.patch_plugin()
    taught = [getattr(plugin, name) for name in names]
    assert all(function.patched for function in taught)
    plugin_patches.patch_plugin()
    assert [getattr(plugin, name) for name in names] == taught


def test_a_plugin_without_one_of_the_functions_is_used_as_it_is(caplog):
    plugin_patches.replace(plugin := SimpleNamespace(), "query_job_status", plugin_patches.query_until_answered)
    assert not vars(plugin)
    assert "has no query_job_status" in caplog.text
