rule tokenize_task:
    input:
        in_job("results/specs/{tokens}.json"),
        card=task_of_tokens,
        tokenizer=tokenizer_of_tokens,
    output:
        "results/tokens/{tokens}/encoding.json",
        collect(
            "results/tokens/{{tokens}}/{split}.{part}",
            split=["train", "validation", "test"],
            part=["values.npy", "offsets.npy", "targets.npy", "items.parquet"],
        ),
    log:
        "logs/tokenize_task/{tokens}.log",
    benchmark:
        "results/benchmarks/tokenize_task/{tokens}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        task=folder_of_task_of_tokens,
    shell:
        "python -m crossover tokenize-task"
        " --spec results/specs/{wildcards.tokens:q}.json --task {params.task:q} --output results/tokens/{wildcards.tokens:q} --log {log:q}"
