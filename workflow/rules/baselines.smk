rule fit_baselines:
    input:
        inputs_of_baseline,
        in_job("results/specs/{baseline}.json"),
    output:
        [f"results/baselines/{{baseline}}/seed-{{seed}}/{name}" for name in BASELINE_FILES],
    log:
        "logs/fit_baselines/{baseline}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/fit_baselines/{baseline}/seed-{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 1  # sums in another order are other numbers, and a baseline takes seconds
    resources:
        mem_mb=memory_of_baseline,
        runtime=minutes_of_baseline,
    shell:
        "python -m crossover fit-baselines"
        " --spec results/specs/{wildcards.baseline:q}.json --seed {wildcards.seed:q}"
        " --output results/baselines/{wildcards.baseline:q}/seed-{wildcards.seed:q} --threads {threads} --log {log:q}"
