rule pretrain_checkpoint:
    input:
        in_job("results/specs/{checkpoint}.json"),
        splits_of_corpus,
        corpus=corpus_of_checkpoint,
    output:
        multiext(
            "results/checkpoints/{checkpoint}/",
            "checkpoint.json",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "curve.parquet",
            "provenance.json",
        ),
    log:
        "logs/pretrain_checkpoint/{checkpoint}.log",
    benchmark:
        "results/benchmarks/pretrain_checkpoint/{checkpoint}.tsv"
    priority: 10  # every run waits for it
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
        "python -m crossover pretrain-checkpoint"
        " --spec results/specs/{wildcards.checkpoint:q}.json --corpus {input.corpus:q} --output results/checkpoints/{wildcards.checkpoint:q}"
        " --gpus {resources.cuda} --threads {threads} --log {log:q}"
