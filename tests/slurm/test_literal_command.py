"""`snakemake --profile slurm`, as a user types it."""

import json
import re
from pathlib import Path

from workflow_copy import results


def test_a_study_is_computed_on_a_cluster(on_cluster, cluster, _finished):
    """It ends in its report; every stage ran where it belongs; and the runs found what they find on one machine."""
    on_cluster.edit("tiny.yaml", "gpu: 0", "gpu: 1")
    on_cluster.edit("tiny.yaml", "tasks: [tiny-xor, tunes]", "tasks: [tunes]")
    on_cluster.edit("tiny.yaml", "conditions: [pretrained-frozen, random-all]", "conditions: [random-all]")
    on_cluster.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [1]")
    before = {job.id for job in cluster.jobs()}
    on_cluster.finish("--profile", "slurm")
    assert (on_cluster.root / "results/studies/tiny/report.html").exists()

    jobs = {job.id: job for job in cluster.jobs() if job.id not in before}
    rules = {number: re.sub("^rule_|_wildcards_.*", "", job.comment) for number, job in jobs.items()}
    assert {(rules[number], job.partition) for number, job in jobs.items()} == {
        ("prepare_task", "cpu"),
        ("tokenize_task", "cpu"),
        ("pretrain_checkpoint", "gpu"),
        ("finetune_run", "gpu"),
        ("fit_baselines", "cpu"),
        ("aggregate_study", "cpu"),
        ("render_report", "cpu"),
    }
    assert {(job.state, job.restarts) for job in jobs.values()} == {("COMPLETED", 0)}

    runs = [json.loads(path.read_text()) for path in on_cluster.root.glob("results/runs/*/*/provenance.json")]
    runs_of_jobs = {str(number) for number, rule in rules.items() if rule == "finetune_run"}
    assert {run["slurm_job_id"] for run in runs} == runs_of_jobs
    found = {path: content for path, content in results(on_cluster).items() if path.startswith("runs/")}
    assert len(found) == 3
    if not Path("/dev/nvidia0").exists():  # a GPU rounds otherwise than the CPU of the other copy
        assert found.items() <= results(_finished).items()
