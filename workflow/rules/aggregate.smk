rule aggregate_study:
    input:
        results_of_study,
        baselines_of_study,
        provenance_of_checkpoints,
        in_job("results/specs/study-{study}.json"),
    output:
        collect(
            "results/studies/{{study}}/{table}.parquet",
            table=[
                "runs",
                "rates",
                "cells",
                "contrasts",
                "pooled",
                "baselines",
                "baseline_contrasts",
                "convergence",
                "speed",
                "curves",
                "costs",
            ],
        ),
        cells=report(
            "results/studies/{study}/cells.csv",
            caption="../report/cells.rst",
            category="Tables",
            labels={"table": "Scores of every cell"},
        ),
        contrasts=report(
            "results/studies/{study}/contrasts.csv",
            caption="../report/contrasts.rst",
            category="Tables",
            labels={"table": "Comparisons"},
        ),
        pooled=report(
            "results/studies/{study}/pooled.csv",
            caption="../report/pooled.rst",
            category="Tables",
            labels={"table": "Comparisons over all tasks"},
        ),
        baselines=report(
            "results/studies/{study}/baselines.csv",
            caption="../report/baselines.rst",
            category="Tables",
            labels={"table": "Baselines without a transformer"},
        ),
        baseline_contrasts=report(
            "results/studies/{study}/baseline_contrasts.csv",
            caption="../report/baseline_contrasts.rst",
            category="Tables",
            labels={"table": "Every cell against the baseline"},
        ),
        convergence=report(
            "results/studies/{study}/convergence.csv",
            caption="../report/convergence.rst",
            category="Tables",
            labels={"table": "Steps to the threshold"},
        ),
        speed=report(
            "results/studies/{study}/speed.csv",
            caption="../report/speed.rst",
            category="Tables",
            labels={"table": "Pretrained against random: which is sooner"},
        ),
        runs=report(
            "results/studies/{study}/runs.csv",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "Every run"},
        ),
        rates=report(
            "results/studies/{study}/rates.csv",
            caption="../report/rates.rst",
            category="Tables",
            labels={"table": "Every learning rate of every run"},
        ),
        costs=report(
            "results/studies/{study}/costs.csv",
            caption="../report/costs.rst",
            category="Tables",
            labels={"table": "What every run cost"},
        ),
    log:
        "logs/aggregate_study/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_study/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        study=digest_of_study,
        code=code_of("crossover.statistics.aggregate"),
    shell:
        "python -m crossover aggregate-study"
        " --spec results/specs/study-{wildcards.study:q}.json --output results/studies/{wildcards.study:q} --log {log:q}"
