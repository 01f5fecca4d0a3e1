"""The cost of data: ingest, bytes on disk, and reading, each compared with the least work that it needs.

Images in the layout of Kaggle's archive are synthetic (see `benchmarks.datasets`); photographs are scikit-image's. All
comparisons run in turn, in one process, with the same number of threads.
"""

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.zstd import Zstd
from PIL import Image

from benchmarks.datasets import large_photographs, small_photographs, write_archive
from benchmarks.measure import THREADS, Line, Ratio, in_turn, median, quotients, seconds
from pipeline.config.sources import FolderSource, KaggleSource, SampleSource
from pipeline.core import files
from pipeline.core.machine import keep_freed
from pipeline.dataset.ingest import ingest as ingest_images
from pipeline.embedding import registry
from pipeline.images import prepare
from pipeline.images.formats import SIZE
from pipeline.images.photographs import Photograph, decode, read_bytes
from pipeline.storage.layouts import IMAGES
from pipeline.storage.shards import ROWS_PER_CHUNK
from pipeline.storage.store import Store

INGESTED, READ, IMAGES_PER_SHARD = 1024, 512, 64
ROUNDS = 3
MAX_MILLISECONDS = 5.0
ZSTD = Zstd(level=3, checksum=True)

keep_freed()  # as every stage does


def compress(array: np.ndarray, path: Path) -> None:
    """Write rows compressed as in a shard's file, without its index."""
    chunks = [ZSTD.encode(array[start : start + ROWS_PER_CHUNK]) for start in range(0, len(array), ROWS_PER_CHUNK)]
    with path.open("wb") as file:
        file.writelines(chunks)


def in_threads(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], threads: int = THREADS) -> None:
    """Call a function with each tuple of arguments, in threads."""
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(function, *call) for call in calls]:
            done.result()


def ingest() -> list[Line]:
    """Compare ingest with one pass that does only the necessary work."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        return [
            _ingest_arrays(folder),
            *_ingest_photographs(folder, small_photographs(folder), THREADS),
            # So few photographs are a single task of ingest.
            *_ingest_photographs(folder, large_photographs(folder), 1),
        ]


def _ingester(source: KaggleSource | FolderSource, folder: Path, threads: int = THREADS) -> Callable[[], None]:
    def ours() -> None:
        files.remove(folder)
        ingest_images(source, Store(folder / "images.zarr", IMAGES), workers=threads)

    return ours


def _ingest_arrays(folder: Path) -> Line:
    archive, bare = folder / "archive", folder / "bare"
    write_archive(archive, INGESTED)
    arrays = [np.load(path, mmap_mode="r") for path in sorted(archive.rglob("*.npy"))]
    shards = [
        (array[start : start + IMAGES_PER_SHARD], bare / f"{number}-{start}")
        for number, array in enumerate(arrays)
        for start in range(0, len(array), IMAGES_PER_SHARD)
    ]

    def least() -> None:
        files.remove(bare)
        bare.mkdir()
        in_threads(compress, shards)

    ours = _ingester(KaggleSource(kind="kaggle", path=str(archive)), folder / "data")
    ours()  # imports, and reads the files into memory
    taken, needed = in_turn(ours, least, rounds=ROUNDS)
    return Line(
        f"ingest, {INGESTED} images of Kaggle's arrays",
        f"{INGESTED / median(taken):.0f} images/s",
        f"the same bytes read, compressed and written in one pass: {INGESTED / median(needed):.0f} images/s",
        quotients(needed, taken),
        0.8,
        note="The rest of the time is for SHA-256 of each image and file, checks of the arrays, and the tables.",
    )


def _ingest_photographs(folder: Path, photographs: Path, threads: int) -> list[Line]:
    paths, bare = sorted(photographs.iterdir()), folder / "bare"
    width, height = Image.open(paths[0]).size
    what = f"ingest, {len(paths)} JPEGs of {width}x{height}, {threads} thread{'s' if threads > 1 else ''}"

    def open_(path: Path) -> Photograph:
        return decode(read_bytes(path), at_least=SIZE)

    def work(part: list[Path], path: Path) -> None:
        lightness, ab = zip(*(prepare.centre_square(open_(each)) for each in part), strict=True)
        compress(np.stack(lightness), path.with_suffix(".L"))
        compress(np.stack(ab), path.with_suffix(".ab"))

    def decoding() -> None:
        in_threads(open_, [(path,) for path in paths], threads)

    def least() -> None:
        files.remove(bare)
        bare.mkdir()
        parts = [paths[start : start + ROWS_PER_CHUNK] for start in range(0, len(paths), ROWS_PER_CHUNK)]
        in_threads(work, [(part, bare / f"{number}") for number, part in enumerate(parts)], threads)

    ours = _ingester(FolderSource(kind="folder", path=str(photographs)), folder / "data", threads)
    ours()
    taken, decoded, needed = in_turn(ours, decoding, least, rounds=ROUNDS)
    rate = f"{len(paths) / median(taken):.1f} images/s"
    return [
        Line(
            what,
            rate,
            f"decoding alone: {len(paths) / median(decoded):.1f} images/s",
            quotients(decoded, taken),
            0.8,
            limit=f"{len(paths) / median(needed):.1f} images/s: decoding, resizing, conversion to Lab, compression",
            share=quotients(needed, taken),
            note=f"Without bookkeeping the ratio would be {quotients(decoded, needed).median:.2f}, because each image "
            f"is also resized to {SIZE}x{SIZE}, converted to Lab and compressed.",
        ),
        Line(
            what,
            rate,
            f"decoding, resizing, conversion and compression alone: {len(paths) / median(needed):.1f} images/s",
            quotients(needed, taken),
            0.8,
            note="The rest of the time is for digests, mean chroma (to find gray photographs), scratch files, records "
            "and tables.",
        ),
    ]


def sizes() -> list[Line]:
    """Compare the bytes on disk with those of arrays."""
    with tempfile.TemporaryDirectory() as temporary:
        images = Store(Path(temporary) / "images.zarr", IMAGES)
        ingest_images(SampleSource(), images, workers=THREADS)
        embeddings = Store(Path(temporary) / "embeddings.zarr", registry.ENTRIES["inception_resnet_v2"].layout())
        rows = images.rows()
        embeddings.create(rows, IMAGES_PER_SHARD, {"settings": {}})
        values = np.random.default_rng(0).normal(size=(rows, 1000)).astype(np.float32)
        for shard in range(embeddings.shard_count()):
            embeddings.write_shard(shard, {"embedding": values[slice(*embeddings.span(shard))]})
        stored = [_bytes(store.path) / rows for store in (images, embeddings)]
    raw, tiled = 3 * SIZE**2, 4 * 28 * 28 * 1000
    return [
        Line(
            f"images.zarr of the {rows} sample photographs",
            f"{stored[0] / 1000:.1f} kB per image",
            f"as arrays: {raw / 1000:.1f} kB",
            Ratio.of([stored[0] / raw]),
            0.65,
            at_least=False,
            note="The sample's crops overlap; docs/scale.md has the size for other photographs.",
        ),
        Line(
            f"embeddings.zarr of {rows} images",
            f"{stored[1] / 1000:.2f} kB per image",
            f"repeated at 28x28 positions, as the printed network's input: {tiled / 1000:.0f} kB",
            Ratio.of([stored[1] / tiled]),
            1 / 700,
            at_least=False,
            note="Normally distributed random numbers instead of embeddings.",
        ),
    ]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def access() -> list[Line]:
    """Compare reading images from a store and from mapped arrays; all files are in the page cache."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_archive(folder / "archive", READ)
        store = Store(folder / "images.zarr", IMAGES)
        ingest_images(KaggleSource(kind="kaggle", path=str(folder / "archive")), store, workers=THREADS)
        arrays = {name: folder / f"{name}.npy" for name in ("L", "ab")}
        for name, path in arrays.items():
            np.save(path, store.read(name, 0, READ))
        return [*_single(store, arrays), _contiguous(store, arrays)]


def _single(store: Store, arrays: dict[str, Path]) -> list[Line]:
    order = np.random.default_rng(0).permutation(READ)[:200]
    mapped = [np.load(path, mmap_mode="r") for path in arrays.values()]

    def read(store: Store, row: int) -> None:
        for name in arrays:
            store.read(name, row, row + 1)

    rounds = [
        (
            1e3 * seconds(lambda: read(store, row)),  # noqa: B023
            1e3 * seconds(lambda: read(Store(store.path, IMAGES), row)),  # noqa: B023
            1e3 * seconds(lambda: [np.array(array[row]) for array in mapped]),  # noqa: B023
        )
        for row in order.tolist()
    ]
    checked, unchecked, plain = map(list, zip(*rounds, strict=True))
    compared = f"limit {MAX_MILLISECONDS:g} ms (a mapped .npy file: {median(plain):.2f} ms)"
    return [
        Line(
            f"one random image, L and ab, of a shard {how}",
            f"{median(times):.1f} ms",
            compared,
            Ratio.of([value / MAX_MILLISECONDS for value in times]),
            1,
            at_least=False,
            note=note,
        )
        for how, times, note in (
            ("read before", checked, f"To read one image, {ROWS_PER_CHUNK} are decompressed."),
            (
                "read for the first time",
                unchecked,
                "Includes comparing the checksums of the chunks, once per process.",
            ),
        )
    ]


def _contiguous(store: Store, arrays: dict[str, Path]) -> Line:
    chunks = [
        ZSTD.encode(array[start : start + ROWS_PER_CHUNK])
        for array in (np.load(path, mmap_mode="r") for path in arrays.values())
        for start in range(0, READ, ROWS_PER_CHUNK)
    ]

    def ours() -> None:
        fresh = Store(store.path, IMAGES)
        for name in arrays:
            for _ in fresh.read_spans(name):
                pass

    def plain() -> None:
        for path in arrays.values():
            array = np.load(path, mmap_mode="r")
            for start in range(0, len(array), IMAGES_PER_SHARD):
                np.array(array[start : start + IMAGES_PER_SHARD])

    def decompress() -> None:
        in_threads(ZSTD.decode, [(chunk,) for chunk in chunks])

    taken, copied, decompressed = in_turn(ours, plain, decompress, rounds=2 * ROUNDS)
    rate = 3 * SIZE**2 * READ / 1e9
    return Line(
        f"all {READ} images in order",
        f"{rate / median(taken):.2f} GB/s",
        f"copied from mapped .npy files: {rate / median(copied):.2f} GB/s",
        quotients(copied, taken),
        0.5,
        limit=f"{rate / median(decompressed):.2f} GB/s: zstd's decompression with {THREADS} threads",
        share=quotients(decompressed, taken),
        note="Includes comparing the files' SHA-256. Training reads the store once, before its first epoch.",
    )
