# Each kind of analysis is a rule of its own: what differs is the command, and with it the names of logs.
rule compare_representations:
    input:
        inputs_of_analysis,
        spec=ancient("results/specs/{analysis}.json"),
    output:
        multiext(
            "results/analyses/{analysis}/seed-{seed}/",
            "values.parquet",
            "provenance.json",
        ),
    log:
        "logs/compare_representations/{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/compare_representations/{analysis}/seed-{seed}.tsv"
    wildcard_constraints:
        analysis=r"similarity\.[a-z0-9.-]+",
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
        " --spec {input.spec:q} --seed {wildcards.seed:q}"
        " --output results/analyses/{wildcards.analysis:q}/seed-{wildcards.seed:q}"
        " --gpus {resources.cuda} --threads {threads} --log {log:q}"


use rule compare_representations as match_heads with:
    log:
        "logs/match_heads/{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/match_heads/{analysis}/seed-{seed}.tsv"
    wildcard_constraints:
        analysis=r"heads\.[a-z0-9.-]+",


use rule compare_representations as probe_layers with:
    log:
        "logs/probe_layers/{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/probe_layers/{analysis}/seed-{seed}.tsv"
    wildcard_constraints:
        analysis=r"probing\.[a-z0-9.-]+",


use rule compare_representations as map_attention with:
    log:
        "logs/map_attention/{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/map_attention/{analysis}/seed-{seed}.tsv"
    wildcard_constraints:
        analysis=r"attention\.[a-z0-9.-]+",


use rule compare_representations as measure_optimisation with:
    log:
        "logs/measure_optimisation/{analysis}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/measure_optimisation/{analysis}/seed-{seed}.tsv"
    wildcard_constraints:
        analysis=r"optimisation\.[a-z0-9.-]+",


rule gather_analyses:
    input:
        analyses_of_kind,
        spec="results/specs/study-{study}.json",
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
        code=code_of("crossover.analyses.gather"),
    shell:
        "python -m crossover gather-analyses --kind {wildcards.kind:q}"
        " --spec {input.spec:q} --output results/studies/{wildcards.study:q}/analyses --log {log:q}"
