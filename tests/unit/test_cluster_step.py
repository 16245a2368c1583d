"""In a SLURM job, a run is a step of its own."""

import os
import subprocess
import sys

import pytest

CALL = "from crossover.runtime.srun import become_step; become_step(['finetune-run', '--seed', '1', '--threads', '3']); print('here')"
COMMAND = (
    "--overlap --nodes=1 --ntasks=1 --cpus-per-task=3 --cpu-bind=none {node}"
    f"{sys.executable} -m crossover finetune-run --seed 1 --threads 3"
)


@pytest.fixture
def said(command):
    """What a process says that would become a step, with an `srun` that says how it was called."""
    command("srun", 'echo "$@ in step of $CROSSOVER_STEP"')

    def call(**variables: str) -> str:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "CROSSOVER_"))}
        environment = inherited | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
        done = subprocess.run([sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return call


def test_a_run_in_a_job_becomes_a_step_of_its_node(said):
    place = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}
    assert said(**place) == f"{COMMAND.format(node='--nodelist=n1 ')} in step of 7"
    assert said(SLURM_JOB_ID="7") == f"{COMMAND.format(node='')} in step of 7"


def test_it_does_so_once(said):
    assert said(SLURM_JOB_ID="7", CROSSOVER_STEP="7") == "here"


def test_a_job_that_was_submitted_from_a_step_has_steps_too(said):
    assert said(SLURM_JOB_ID="8", CROSSOVER_STEP="7").endswith("in step of 8")


def test_elsewhere_it_stays_what_it_is(said, tmp_path):
    assert said() == "here"
    assert said(SLURM_JOB_ID="7", PATH=str(tmp_path)) == "here"  # in a container without srun
