"""Tiny real inputs: a few photograph-like arrays, and a whole dataset made of them through the library itself."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import config, files, lab, recipes, splits
from pipeline.ingest import ingest, read_index
from pipeline.stores import EMBEDDINGS, IMAGES, Store

ROOT = Path(__file__).parent.parent
# The smallest network that the notation allows at 224 pixels; trains in a second.
DOT = {"dot": config.Architecture(encoder="4/2 4/2 4/2", fusion="1x1:4", decoder="4 ^ 4 ^ 2 ^")}


def photographs(n, seed=0):
    """L (n, 224, 224) and ab (n, 224, 224, 2) uint8: blocks of warm sRGB colours, which compress well; L over 100."""
    rng = np.random.default_rng(seed)
    shade = rng.uniform(30, 230, (n, 14, 14, 1)) * (1.0, 0.85, 0.7) + rng.normal(0, 12, (n, 14, 14, 3))
    lightness, ab = lab.from_rgb(np.clip(shade, 0, 255).astype(np.uint8))
    return lightness.repeat(16, 1).repeat(16, 2), ab.repeat(16, 1).repeat(16, 2)


def write_kaggle(root, lightness, ab, cuts):
    """The archive as it unpacks, ab cut into parts before the rows `cuts`."""
    for name, array in [("l/gray_scale", lightness)] + [
        (f"ab/ab/ab{number}", part) for number, part in enumerate(np.split(ab, cuts), 1)
    ]:
        path = root / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return config.KaggleSource(kind="kaggle", path=str(root))


def write_embeddings(images, path, seed=0):
    """A store of random embeddings of `images`, with all records: `embed` finds it finished and asks no network."""
    store = Store(path, EMBEDDINGS)
    settings = recipes.settings(config.Embedding(), images.rows_per_shard())
    store.create(images.rows(), images.rows_per_shard(), {"settings": settings, "versions": {}}, replace=True)
    values = np.random.default_rng(seed).normal(0, 0.5, (images.rows(), 1000)).astype(np.float32)
    for shard in range(store.shard_count()):
        facts = {"settings": files.fingerprint(settings), "input": images.record(shard)["files"]["L"]}
        store.write_shard(shard, {"embedding": values[slice(*store.span(shard))]}, **facts)
    files.write_json(path.with_name("embedding_network.json"), recipes.weights(config.Embedding()))
    store.complete({"images": images.manifest()["fingerprint"]})
    return store


@dataclass(frozen=True)
class Dataset:
    """Where a dataset lies: ``<folder>/images.zarr`` and what belongs to it."""

    folder: Path

    @property
    def images(self):
        return Store(self.folder / "images.zarr", IMAGES)

    @property
    def embeddings(self):
        return Store(self.folder / "embeddings.zarr", EMBEDDINGS)

    @property
    def splits(self):
        return self.folder / "splits.csv"

    @property
    def references(self):
        return self.folder / "references.csv"

    @property
    def sources(self):
        return self.images, self.embeddings, self.splits

    def rows(self, partition):
        return np.flatnonzero(np.array(splits.read(self.splits, self.images.manifest()["fingerprint"])) == partition)

    def arrays(self, partition):
        """L, ab and embeddings of a partition."""
        rows = self.rows(partition)
        stores = (("L", self.images), ("ab", self.images), ("embedding", self.embeddings))
        return [np.asarray(store.array(name)[:])[rows] for name, store in stores]


def make_dataset(folder, n=15, seed=0):
    """Images, embeddings and a split, in shards of 8."""
    dataset = Dataset(folder)
    source = write_kaggle(folder.parent / f"{folder.name}-archive", *photographs(n, seed), [n // 2])
    ingest(source, dataset.images, images_per_shard=8, scheduler="synchronous")
    write_embeddings(dataset.images, dataset.embeddings.path, seed)
    splits.write(read_index(dataset.images), dataset.splits, config.Split(), dataset.images.manifest()["fingerprint"])
    return dataset


def tree(folder):
    """The bytes of every file below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def python(*arguments, **options):
    """Run Python in the repository's root, in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300, **options
    )
