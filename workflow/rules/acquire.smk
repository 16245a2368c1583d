rule acquire_dataset:
    input:
        in_job("results/specs/{dataset}.json"),
    output:
        receipt="resources/downloads/{dataset}/dataset.json",
    log:
        "logs/acquire_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/acquire_dataset/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    shell:
        "python -m crossover acquire-dataset"
        " --spec results/specs/{wildcards.dataset:q}.json --output {output.receipt:q} --threads {threads} --log {log:q}"


rule fetch_checkpoint:
    input:
        in_job("results/specs/{checkpoint}.json"),
    output:
        multiext(
            "resources/downloads/{checkpoint}/",
            "checkpoint.json",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
        ),
    log:
        "logs/fetch_checkpoint/{checkpoint}.log",
    benchmark:
        "results/benchmarks/fetch_checkpoint/{checkpoint}.tsv"
    localrule: True
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m crossover fetch-checkpoint"
        " --spec results/specs/{wildcards.checkpoint:q}.json --output resources/downloads/{wildcards.checkpoint:q} --log {log:q}"


rule describe_architecture:
    input:
        in_job("results/specs/{checkpoint}.json"),
    output:
        multiext("results/architectures/{checkpoint}/", "checkpoint.json", "config.json"),
    log:
        "logs/describe_architecture/{checkpoint}.log",
    benchmark:
        "results/benchmarks/describe_architecture/{checkpoint}.tsv"
    localrule: True
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m crossover describe-architecture"
        " --spec results/specs/{wildcards.checkpoint:q}.json --output results/architectures/{wildcards.checkpoint:q} --log {log:q}"


rule prepare_task:
    input:
        in_job("results/specs/{task}.json"),
        dataset=dataset_of_task,
    output:
        multiext(
            "results/tasks/{task}/",
            "train.parquet",
            "validation.parquet",
            "test.parquet",
            "card.json",
        ),
    log:
        "logs/prepare_task/{task}.log",
    benchmark:
        "results/benchmarks/prepare_task/{task}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        dataset=lambda wildcards, input: (["--dataset", *input.dataset] if input.dataset else []),
    shell:
        "python -m crossover prepare-task"
        " --spec results/specs/{wildcards.task:q}.json {params.dataset:q} --output results/tasks/{wildcards.task:q} --log {log:q}"
