# crossover: does what a transformer learned from language carry over to other sequences?
#
#   snakemake                              the study named in config/config.yaml
#   snakemake --config study=NAME|PATH     another study
#   snakemake --profile slurm              on a cluster

from snakemake.utils import min_version

min_version("9.20")  # named outputs of shell rules and resource scopes as used here; tested with 9.27


if workflow.is_main_process:  # its jobs get the plan, and no edit of the config reaches them

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/acquire.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/session.smk"


rule all:
    default_target: True
    input:
        REPORT,
        weights_of_study,
        lost_results_of_study,
    localrule: True


# For `snakemake inputs` after old files were deleted: Snakemake takes a file that is made again in the same invocation
# for a new one and would retrain; in the next one it compares contents.
rule inputs:
    input:
        descriptions_of_study,
    localrule: True
