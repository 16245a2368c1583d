# The submitting Snakemake has written the text of each spec to the folder of its plan: a text of any length must not
# pass through a shell. The study's spec has no hash in its name, so that a new label is written to the same file.
rule write_spec:
    output:
        "results/specs/{name}.json",
    log:
        "logs/write_spec/{name}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        digest=digest_of_spec,
    shell:
        'cp -- "$CROSSOVER_PLAN"/specs/{wildcards.name:q}.json {output:q}.part 2> {log:q} && mv {output:q}.part {output:q}'


rule acquire_dataset:
    input:
        spec=ancient("results/specs/{dataset}.json"),
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
        " --spec {input.spec:q} --output {output.receipt:q} --threads {threads} --log {log:q}"


rule fetch_checkpoint:
    input:
        spec=ancient("results/specs/{checkpoint}.json"),
    output:
        multiext(
            "resources/downloads/{checkpoint}/",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "checkpoint.json",
        ),
    log:
        "logs/fetch_checkpoint/{checkpoint}.log",
    benchmark:
        "results/benchmarks/fetch_checkpoint/{checkpoint}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    shell:
        "python -m crossover fetch-checkpoint"
        " --spec {input.spec:q} --output resources/downloads/{wildcards.checkpoint:q} --log {log:q}"


rule prepare_task:
    input:
        spec=ancient("results/specs/{task}.json"),
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
        " --spec {input.spec:q} {params.dataset:q} --output results/tasks/{wildcards.task:q} --log {log:q}"
