# From a source of images to stores, split and baselines, once per dataset.
# Stores are not declared as outputs: their manifests are, which are written last.

# Without a rule, Snakemake takes these files as they are, so that a source that is gone is not asked for.
if not or_stop(check.is_ingested, CONFIG):

    rule ingest:
        input:
            check.source_files(CONFIG),
            renewed("ingest", PATHS.images.path, PATHS.images.manifest_path),
        output:
            update(INGESTED),
        log:
            PATHS.log("ingest", CONFIG.dataset),
        benchmark:
            PATHS.benchmark("ingest", CONFIG.dataset)
        conda:
            "../../environment.yml"
        threads: CONFIG.workers
        shell:
            "python -m stages ingest 2>&1 | tee -i {log}"


rule embed:
    input:
        PATHS.images.manifest_path,
        renewed("embed", PATHS.embeddings.path, PATHS.embeddings.manifest_path),
    output:
        manifest=update(PATHS.embeddings.manifest_path),
    log:
        PATHS.log("embed", CONFIG.dataset),
    benchmark:
        PATHS.benchmark("embed", CONFIG.dataset)
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=1,
    shell:
        "python -m stages embed 2>&1 | tee -i {log}"


# Only for runs whose networks read feature maps. After embed, because both write the embedding network's weights.
rule features:
    input:
        rules.embed.output,
        renewed("features", PATHS.features.path, PATHS.features.manifest_path),
    output:
        manifest=update(PATHS.features.manifest_path),
    log:
        PATHS.log("features", CONFIG.dataset),
    benchmark:
        PATHS.benchmark("features", CONFIG.dataset)
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        gpu=1,
    params:
        maps=maps_of_runs,
    shell:
        "python -m stages features {params.maps} 2>&1 | tee -i {log}"


rule split:
    input:
        INGESTED,
        renewed("split", PATHS.splits, PATHS.splits),
    output:
        splits=update(PATHS.splits),
        manifest=update(manifest_of(PATHS.splits)),
    log:
        PATHS.log("split", CONFIG.dataset),
    benchmark:
        PATHS.benchmark("split", CONFIG.dataset)
    conda:
        "../../environment.yml"
    shell:
        "python -m stages split 2>&1 | tee -i {log}"


rule baselines:
    input:
        INGESTED,
        rules.split.output,
        renewed("baselines", PATHS.baselines, BASELINES.scores),
    output:
        scores=update(BASELINES.scores),
        per_image=update(BASELINES.per_image),
        pictures=update(directory(BASELINES.pictures)),
        manifest=update(BASELINES.manifest),
    log:
        PATHS.log("baselines", CONFIG.dataset),
    benchmark:
        PATHS.benchmark("baselines", CONFIG.dataset)
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    shell:
        "python -m stages baselines 2>&1 | tee -i {log}"
