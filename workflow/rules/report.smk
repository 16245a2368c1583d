rule render_report:
    input:
        descriptions_of_study,
        rules.aggregate_study.output,
        analyses_of_study,
        in_job("results/specs/study-{study}.json"),
    output:
        html=report(
            "results/studies/{study}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"file": "The report of the study"},
        ),
        overview=report(
            "results/studies/{study}/figures/overview.svg",
            caption="../report/overview.rst",
            category="Figures",
            labels={"figure": "Scores of every cell"},
        ),
        convergence=report(
            "results/studies/{study}/figures/convergence.svg",
            caption="../report/convergence.rst",
            category="Figures",
            labels={"figure": "Steps to the threshold"},
        ),
    log:
        "logs/render_report/{study}.log",
    benchmark:
        "results/benchmarks/render_report/{study}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        study=digest_of_study,
        code=code_of_report,
    shell:
        "python -m crossover render-report"
        " --spec results/specs/study-{wildcards.study:q}.json --output results/studies/{wildcards.study:q} --log {log:q}"
