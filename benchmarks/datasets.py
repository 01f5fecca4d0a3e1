"""Datasets to measure on: synthetic ones, and photographs made of scikit-image's."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.config import schema
from pipeline.config.sources import KaggleSource
from pipeline.core import files
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.dataset.ingest import ingest
from pipeline.dataset.sources.sample import sample_photographs
from pipeline.embedding import recipe, registry
from pipeline.images import lab
from pipeline.images.formats import SIZE
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

DISTINCT = 64  # images of an archive; the others repeat them, with their row number in the first pixels
PHOTOGRAPHS, WIDTH, HEIGHT = 128, 512, 384
LARGE, TIMES = 16, 8  # large photographs, each made of TIMES x TIMES small ones


def photographs(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw L (n, 224, 224) and ab (n, 224, 224, 2) uint8: smooth fields with noise, which halve when compressed."""
    import cv2

    coarse = rng.normal(0, 1, (n, 7, 7, 3)) * (60, 12, 12) + (130, 130, 135)
    smooth = np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for image in coarse])
    values = np.clip(smooth + rng.normal(0, 1, smooth.shape), 0, 255).astype(np.uint8)
    return lab.from_rgb(lab.to_rgb(values[..., 0], values[..., 1:]))  # colours of sRGB


def write_archive(folder: Path, n: int) -> None:
    """Write Kaggle's arrays, gray_scale.npy and three parts of ab, image by image."""
    lightness, ab = photographs(np.random.default_rng(0), DISTINCT)
    parts = [("l/gray_scale", 0, n)]
    cuts = [0, n * 2 // 5, n * 4 // 5, n]
    parts += [(f"ab/ab/ab{i + 1}", cuts[i], cuts[i + 1]) for i in range(3)]
    for name, first, stop in parts:
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = lightness if name.startswith("l/") else ab
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (stop - first, *images.shape[1:])}
            )
            for row in range(first, stop):
                image = images[row % DISTINCT].copy()
                image.reshape(-1)[:4] = np.frombuffer(np.uint32(row).tobytes(), np.uint8)
                file.write(image.data)


def synthetic(folder: Path, n: int, split: schema.Split | None = None) -> tuple[Store, Store, Path]:
    """Create a store of synthetic images, a store of random numbers as their embeddings, and a split."""
    images, embeddings = (
        Store(folder / "images.zarr", IMAGES),
        Store(folder / "embeddings.zarr", registry.ENTRIES["inception_resnet_v2"].layout()),
    )
    table = folder / "splits.csv"
    archive = folder / "archive"
    write_archive(archive, n)
    source = KaggleSource(kind="kaggle", path=str(archive))
    ingest(source, images, images_per_shard=schema.Config().images_per_shard)
    embedding = schema.Embedding(network="inception_resnet_v2", weights="random")
    settings = recipe.settings(embedding, images.rows_per_shard())
    embeddings.create(n, images.rows_per_shard(), {"settings": settings, "versions": {}})
    values = np.random.default_rng(0).standard_normal((n, 1000), np.float32)
    for shard in range(embeddings.shard_count()):
        record = images.record(shard)
        assert record
        facts = {"settings": files.fingerprint(settings), "input": record["files"]["L"]}
        embeddings.write_shard(shard, {"embedding": values[slice(*embeddings.span(shard))]}, **facts)
    embeddings.complete({"images": images.manifest()["fingerprint"]})
    splits.write(read_index(images), table, split or schema.Split(), images.manifest()["fingerprint"])
    return images, embeddings, table


def small_photographs(folder: Path) -> Path:
    """Create a folder of JPEGs: random crops of scikit-image's photographs."""
    made = folder / "small"
    made.mkdir()
    rng = np.random.default_rng(0)
    originals = [np.asarray(Image.open(path).convert("RGB")) for path in sample_photographs()]
    enough = itertools.cycle([image for image in originals if image.shape[0] >= HEIGHT and image.shape[1] >= WIDTH])
    for number, image in enumerate(itertools.islice(enough, PHOTOGRAPHS)):
        y, x = (rng.integers(have - want + 1) for have, want in zip(image.shape, (HEIGHT, WIDTH), strict=False))
        Image.fromarray(image[y : y + HEIGHT, x : x + WIDTH]).save(made / f"{number:03d}.jpg", quality=90)
    return made


def large_photographs(folder: Path) -> Path:
    """Create a folder of JPEGs of a camera's size, each made of many small ones."""
    made = folder / "large"
    made.mkdir()
    rng = np.random.default_rng(0)
    small = [np.asarray(Image.open(path)) for path in sorted((folder / "small").iterdir())]
    for number in range(LARGE):
        rows = [np.hstack([small[i] for i in rng.integers(len(small), size=TIMES)]) for _ in range(TIMES)]
        Image.fromarray(np.vstack(rows)).save(made / f"{number:03d}.jpg", quality=90)
    return made
