# The name of an analysis begins with its kind: a package of that name in workflow/crossover/analyses/.
rule analyse:
    input:
        inputs_of_analysis,
        in_job("results/specs/{kind}.{analysis}.json"),
    output:
        multiext(
            "results/analyses/{kind}.{analysis}/seed-{seed}/",
            "values.parquet",
            "provenance.json",
        ),
    log:
        "logs/analyse/{kind}.{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/analyse/{kind}.{analysis}/seed-{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: HARDWARE.threads
    resources:
        gpu=HARDWARE.gpu,  # what the scheduler is asked for; a site may ask in another form
        cuda=HARDWARE.gpu,  # what the analysis may use
        gpu_mem_mb=gpu_memory_of_training,
        mem_mb=memory_of_training,
        runtime=minutes_of_training,
    shell:
        "python -m crossover analyse"
        " --spec results/specs/{wildcards.kind:q}.{wildcards.analysis:q}.json --seed {wildcards.seed:q}"
        " --output results/analyses/{wildcards.kind:q}.{wildcards.analysis:q}/seed-{wildcards.seed:q}"
        " --gpus {resources.cuda} --threads {threads} --log {log:q}"


rule gather_analyses:
    input:
        analyses_of_kind,
        in_job("results/specs/study-{study}.json"),
    output:
        values=report(
            "results/studies/{study}/analyses/{kind}.csv",
            caption="../report/analyses.rst",
            category="Tables",
            labels={"table": "Analyses: {kind}"},
        ),
        table="results/studies/{study}/analyses/{kind}.parquet",
    log:
        "logs/gather_analyses/{study}/{kind}.log",
    benchmark:
        "results/benchmarks/gather_analyses/{study}/{kind}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        study=digest_of_study,
        code=code_of("crossover.analyses.gather"),
    shell:
        "python -m crossover gather-analyses --kind {wildcards.kind:q}"
        " --spec results/specs/study-{wildcards.study:q}.json --output results/studies/{wildcards.study:q}/analyses --log {log:q}"
