"""Small datasets to measure on."""

from pathlib import Path

import numpy as np

from benchmarks.data import write_archive
from pipeline import config, files, recipes, splits
from pipeline.ingest import ingest, read_index
from pipeline.stores import EMBEDDINGS, IMAGES, Store


def synthetic(folder: Path, n: int, split: config.Split | None = None) -> tuple[Store, Store, Path]:
    """Images that are drawn, random numbers in the place of their embeddings, and a split."""
    images, embeddings = Store(folder / "images.zarr", IMAGES), Store(folder / "embeddings.zarr", EMBEDDINGS)
    table = folder / "splits.csv"
    archive = folder / "archive"
    write_archive(archive, n)
    source = config.KaggleSource(kind="kaggle", path=str(archive))
    ingest(source, images, images_per_shard=config.Config().images_per_shard)
    settings = recipes.settings(config.Embedding(), images.rows_per_shard())
    embeddings.create(n, images.rows_per_shard(), {"settings": settings, "versions": {}})
    values = np.random.default_rng(0).standard_normal((n, 1000), np.float32)
    for shard in range(embeddings.shard_count()):
        record = images.record(shard)
        assert record
        facts = {"settings": files.fingerprint(settings), "input": record["files"]["L"]}
        embeddings.write_shard(shard, {"embedding": values[slice(*embeddings.span(shard))]}, **facts)
    embeddings.complete({"images": images.manifest()["fingerprint"]})
    splits.write(read_index(images), table, split or config.Split(), images.manifest()["fingerprint"])
    return images, embeddings, table
