# What happens around the jobs of one invocation, in the Snakemake that the user started.

from crossover.runtime import batch, forkserver, orphans, plugin_patches
from crossover.runtime.paths import check_paths
from crossover.planning.snapshot import activate_snapshot, write_snapshot
from crossover.runtime.session import Session, tell
from crossover.runs import result_backup

SESSION = Session(STUDY)

# In the job of a batch of runs (`--groups`), they fork from one process too. No hook runs there.
if forkserver.is_batch(sys.argv):
    forkserver.start()


onstart:
    gc.freeze()  # what has been planned stays
    gc.enable()
    tell(f"Study {PLAN.name}: {len(STUDY.cells)} cells, {len(STUDY.runs)} runs.")
    on_cluster = workflow.executor_plugin.name == "slurm"
    try:
        if on_cluster:
            check_paths(Path.cwd(), workflow.basedir, config["study"])
        activate_snapshot(write_snapshot(PLAN))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if on_cluster:
        plugin_patches.patch_plugin()
        plugin_patches.wait_for_controller()  # it knows the jobs of an earlier Snakemake
        if workflow.execution_settings.keep_going:
            batch.propagate_keep_going()
        for sentence in orphans.cancel_pending_orphans():
            tell(sentence)
    # Jobs in environments of their own import their libraries for themselves.
    elif workflow.local_exec and not workflow.deployment_settings.deployment_method:
        forkserver.start()
    SESSION.start(workflow.execution_settings.retries)


onsuccess:
    SESSION.stop()
    result_backup.forget_all(STUDY.runs)
    if Path(REPORT).exists():
        tell(f"The report of study {PLAN.name} is {Path(REPORT).resolve()}")


onerror:
    SESSION.stop()
    if workflow.executor_plugin.name == "slurm":
        for sentence in orphans.cancel_own():
            tell(sentence)
    result_backup.restore_missing(STUDY.runs)
    tell(SESSION.summary())
