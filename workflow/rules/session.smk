# What happens around the jobs of one invocation, in the Snakemake that the user started.

from crossover import warm
from crossover.cluster import orphans, patience
from crossover.frozen import freeze, use_frozen
from crossover.training import finished


def tell(text):
    """Say something to the user, between the lines of Snakemake."""
    print(text, file=sys.stderr, flush=True)


onstart:
    tell(f"Study {PLAN.study}: {len(PLAN.cells)} cells, {len(PLAN.runs)} runs.")
    use_frozen(freeze(PLAN))
    if workflow.executor_plugin.name == "slurm":
        patience.teach_plugin()
        for sentence in orphans.look_after():
            tell(sentence)
    # Jobs in environments of their own import their libraries for themselves.
    elif workflow.local_exec and not workflow.deployment_settings.deployment_method:
        warm.start()


onsuccess:
    finished.forget_all(PLAN.runs)
    if Path(REPORT).exists():
        tell(f"The report of study {PLAN.study} is {Path(REPORT).resolve()}")
