rule pretrain_checkpoint:
    input:
        spec=ancient("results/specs/{checkpoint}.json"),
        dataset=receipt_of,
    output:
        multiext(
            "results/checkpoints/{checkpoint}/",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "curve.parquet",
            "pretraining.json",
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
        gpu=HARDWARE.gpu,
        mem_mb=HARDWARE.memory_mb,
        runtime=HARDWARE.minutes,
    shell:
        "python -m crossover pretrain-checkpoint"
        " --spec {input.spec:q} --dataset {input.dataset:q} --output results/checkpoints/{wildcards.checkpoint:q}"
        " --gpus {resources.gpu} --threads {threads} --log {log:q}"
