# The training state lies in results/runs/<run>/seed-<n>/state/, which no rule declares: Snakemake deletes the
# declared outputs of a failed job, and the next attempt goes on from the state.
rule finetune_run:
    input:
        inputs_of_run,
        in_job("results/specs/{run}.json"),
    output:  # the provenance last: Snakemake touches them in this order when the job is done
        [f"results/runs/{{run}}/seed-{{seed}}/{name}" for name in FILES],
    log:
        "logs/finetune_run/{run}/seed-{seed}.log",
    conda:
        "../../envs/train.yaml"
    threads: HARDWARE.threads
    resources:
        gpu=HARDWARE.gpu,  # what the scheduler is asked for; a site may ask in another form
        cuda=HARDWARE.gpu,  # what the run may use
        gpu_mem_mb=gpu_memory_of_training,
        mem_mb=memory_of_training,
        runtime=minutes_of_training,
    shell:
        "python -m crossover finetune-run"
        " --spec results/specs/{wildcards.run:q}.json --seed {wildcards.seed:q} --output results/runs/{wildcards.run:q}/seed-{wildcards.seed:q}"
        " --gpus {resources.cuda} --threads {threads} --log {log:q}"


rule export_weights:
    input:
        inputs_of_trained,
        in_job("results/specs/{checkpoint}.json"),
    output:
        multiext(
            "results/trained/{checkpoint}/",
            "checkpoint.json",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
        ),
    log:
        "logs/export_weights/{checkpoint}.log",
    benchmark:
        "results/benchmarks/export_weights/{checkpoint}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=memory_of_training,
    shell:
        "python -m crossover export-weights"
        " --spec results/specs/{wildcards.checkpoint:q}.json --output results/trained/{wildcards.checkpoint:q} --log {log:q}"
