"""Plan in a moment: each request is a fork of this process, which has imported Snakemake but nothing of a workflow.

Reads one JSON object per line with `folder`, `arguments`, `jobs` and `terminal`; answers with the exit status of
`snakemake ARGUMENTS` run in that folder. What it prints goes to `terminal`, and the study's specs, made by the folder's
own code, to `jobs`.specs; the jobs themselves are written by the logger plugin that the arguments name.
"""

import json
import os
import sys
from pathlib import Path

import pydantic
import snakemake.cli
import snakemake.workflow
import yaml

assert pydantic and snakemake.workflow and yaml  # imported for the forks


def plan(request: dict) -> int:
    """In the fork: become `snakemake`."""
    os.chdir(request["folder"])
    terminal = os.open(request["terminal"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    sys.argv = ["snakemake", *request["arguments"]]
    try:
        snakemake.cli.main()
    except SystemExit as ended:
        if ended.code:
            return 1
    from crossover.planning.plan import make_plan

    study = next(part.removeprefix("study=") for part in request["arguments"] if part.startswith("study="))
    made = make_plan(study)
    specs = {spec.name: spec.content() for spec in (*made.specs.values(), made.study)}
    Path(request["jobs"] + ".specs").write_text(json.dumps(specs), encoding="utf-8")
    return 0


for line in sys.stdin:
    if (pid := os.fork()) == 0:
        status = 1
        try:
            status = plan(json.loads(line))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
