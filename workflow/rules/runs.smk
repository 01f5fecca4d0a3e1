# One run: trained, evaluated, collected. What training makes lies beside its one output, so that Snakemake, which deletes
# outputs before their job, never deletes a checkpoint or weights; the output holds their digests.


# What Snakemake's own report shows of a run.
SHOWN = [f"{name}.png" for name in FIGURES]


rule train:
    input:
        rules.embed.output,
        rules.split.output,
        lost_of(MODELS),
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
        "python -m stages train {wildcards.run:q} 2>&1 | tee -i {log:q}"


rule evaluate:
    input:
        rules.train.output,
        rules.baselines.output,
        lost_of(f"{MODELS}/evaluation"),
    output:
        [
            f"{MODELS}/evaluation/{name}"
            for name in EVALUATED
            if name not in ("pictures", *SHOWN)
        ],
        [
            report(
                f"{MODELS}/evaluation/{name}",
                caption=f"../report/{name}.rst",
                category="{run}",
                labels={"figure": Path(name).stem},
            )
            for name in SHOWN
        ],
        directory(f"{MODELS}/evaluation/pictures"),
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
        "python -m stages evaluate {wildcards.run:q} 2>&1 | tee -i {log:q}"


rule collect:
    input:
        rules.evaluate.output,
        lost_of(f"{RESULTS}/{{run}}"),
        lost.notes(PATHS.results / "summary.json"),
    output:
        directory(f"{RESULTS}/{{run}}"),
    log:
        f"{LOGS}/{{run}}/collect.log",
    benchmark:
        f"{LOGS}/{{run}}/collect.tsv"
    conda:
        "../../environment.yml"
    shell:
        "python -m stages collect {wildcards.run:q} 2>&1 | tee -i {log:q}"


# The page of all results that are there. What it shows is not told to Snakemake, because it may be of other settings
# than these; the summary is renewed with every run. The folder beside index.html is replaced as a whole by the stage.
rule report:
    input:
        (
            str(PATHS.results / "summary.csv")
            if (PATHS.results / "summary.csv").exists()
            else f"{RESULTS}/base_lr1e-4"
        ),
        lost.notes(PATHS.results / "report.json"),
    output:
        f"{RESULTS}/index.html",
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{LOGS}/report.tsv"
    conda:
        "../../environment.yml"
    shell:
        "python -m stages report 2>&1 | tee -i {log:q}"
