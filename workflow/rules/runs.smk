# Training and evaluation of one run. Checkpoints and weights are not declared; the one output of training contains their
# digests.


rule train:
    input:
        rules.embed.output,
        rules.split.output,
        features_of,
        renewed("train", MODELS, RunFiles(Path(MODELS)).summary),
    output:
        update(RunFiles(Path(MODELS)).summary),
    log:
        PATHS.log("train", "{run}"),
    benchmark:
        PATHS.benchmark("train", "{run}")
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=1,
    shell:
        "python -m stages train {wildcards.run:q} 2>&1 | tee -i {log:q}"


rule evaluate:
    input:
        rules.train.output,
        rules.baselines.output,
        renewed("evaluate", f"{RESULTS}/{{run}}", f"{RESULTS}/{{run}}"),
        summary_of,
    output:
        update(
            report(
                directory(f"{RESULTS}/{{run}}"),
                patterns=["{figure}.png"],
                caption="../report/figures.rst",
                category="{run}",
                labels={"figure": "{figure}"},
            )
        ),
    log:
        PATHS.log("evaluate", "{run}"),
    benchmark:
        PATHS.benchmark("evaluate", "{run}")
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    shell:
        "python -m stages evaluate {wildcards.run:q} 2>&1 | tee -i {log:q}"


# Rewrites a damaged or lost summary; every evaluation updates it anyway.
rule summary:
    input:
        lost.notes(SUMMARY.manifest),
    output:
        touch(summary_marker()),
    log:
        PATHS.log("summary"),
    conda:
        "../../environment.yml"
    shell:
        "python -m stages summary 2>&1 | tee -i {log:q}"


# The ranking of a sweep's combinations; any run that is finished later changes it.
rule sweep:
    input:
        runs_of_sweep,
    output:
        update(str(SweepFiles(PATHS.results, "{sweep}").text)),
    log:
        PATHS.log("sweep", "{sweep}"),
    conda:
        "../../environment.yml"
    shell:
        "python -m stages sweep {wildcards.sweep:q} 2>&1 | tee -i {log:q}"


# The trials of a search, one after the other, and their ranking.
rule search:
    input:
        rules.embed.output,
        rules.split.output,
        rules.baselines.output,
        features_of_search,
        made_by_search,
    output:
        update(str(SweepFiles(PATHS.results, "{search}").manifest)),
    log:
        PATHS.log("search", "{search}"),
    benchmark:
        PATHS.benchmark("search", "{search}")
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=1,
    shell:
        "python -m stages search {wildcards.search:q} 2>&1 | tee -i {log:q}"


# The page of all results. It may show runs with other settings, which Snakemake does not know; the summary changes with
# every run. The stage replaces the folder beside index.html in one step.
rule report:
    input:
        (SUMMARY.table if SUMMARY.table.exists() else f"{RESULTS}/base_lr1e-4"),
        lost.notes(SUMMARY.page_manifest),
    output:
        update(SUMMARY.page),
    log:
        PATHS.log("report"),
    benchmark:
        PATHS.benchmark("report")
    conda:
        "../../environment.yml"
    shell:
        "python -m stages report 2>&1 | tee -i {log:q}"
