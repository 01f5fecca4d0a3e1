# One run: trained, evaluated, collected. What training makes lies beside its one output, so that Snakemake, which deletes
# outputs before their job, never deletes a checkpoint or weights; the output holds their digests.


rule train:
    input:
        rules.embed.output,
        rules.split.output,
    output:
        f"{MODELS}/training.json",
    log:
        f"{LOGS}/{{run}}/train.log",
    benchmark:
        f"{LOGS}/{{run}}/train.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=1,
    params:
        settings=settings_of_run,
    shell:
        "python -m stages train {wildcards.run:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        rules.train.output,
        rules.references.output,
    output:
        metrics=f"{MODELS}/evaluation/metrics.csv",
        curves=f"{MODELS}/evaluation/curves.png",
        predictions=f"{MODELS}/evaluation/predictions.png",
        model=f"{MODELS}/evaluation/model.keras",
        record=f"{MODELS}/evaluation/run.yaml",
    log:
        f"{LOGS}/{{run}}/evaluate.log",
    benchmark:
        f"{LOGS}/{{run}}/evaluate.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    params:
        settings=settings_of("evaluate"),
    shell:
        "python -m stages evaluate {wildcards.run:q} 2>&1 | tee {log:q}"


rule collect:
    input:
        rules.evaluate.output,
    output:
        directory(f"{RESULTS}/{{run}}"),
    log:
        f"{LOGS}/{{run}}/collect.log",
    benchmark:
        f"{LOGS}/{{run}}/collect.tsv"
    conda:
        "../../environment.yml"
    shell:
        "python -m stages collect {wildcards.run:q} 2>&1 | tee {log:q}"
