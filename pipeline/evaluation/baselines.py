"""The scores of the answers that need no network: once per dataset and split, not per run."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.conflicts import differing, refuse_other
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.dataset import splits
from pipeline.embedding import recipe
from pipeline.evaluation import metrics, per_image, recognition, scores
from pipeline.images import jpeg, lab
from pipeline.storage.store import Store

PER_IMAGE = "references_per_image.csv"
RECOGNITION = "recognition.npz"  # where the weights are ImageNet's
PICTURES = "pictures"
Rarity = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Batch:
    """Some consecutive images of a store, with first row and embeddings."""

    start: int
    truth: scores.Truth
    embedding: npt.NDArray[np.float32] | None


def batches(
    images: Store, embeddings: Store | None, partitions: Sequence[str], rarity: Rarity, batch_size: int
) -> Iterator[Batch]:
    """All images in the order of the store; a batch never crosses the border of a shard.

    Args:
        rarity: by partition, the weights of its colour bins; see `metrics.rarity`.
    """
    for shard in range(images.shard_count()):
        first, stop = images.span(shard)
        lightness, ab = images.read("L", first, stop), images.read("ab", first, stop)
        embedding = embeddings.read("embedding", first, stop) if embeddings else None
        for start in range(first, stop, batch_size):
            here = slice(start - first, min(start + batch_size, stop) - first)
            weights = np.stack([rarity[name] for name in partitions[first:stop][here]])
            truth = scores.Truth(lightness[here], ab[here], weights)
            yield Batch(start, truth, None if embedding is None else embedding[here])


def partners(groups: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """Another image for every image, each used once, drawn with a seed.

    It is of another group, unless a group holds more than half of all images.

    Args:
        groups: each image's group.
        seed: of the draw.

    Returns:
        (n,) row numbers.
    """
    generator = np.random.default_rng(seed)
    names, numbers, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    place = generator.permutation(len(names))[numbers]
    order = generator.permutation(len(groups))
    order = order[np.argsort(place[order], kind="stable")]
    chosen = np.empty_like(order)
    # Groups lie together: so far on, every image meets another one's.
    chosen[order] = np.roll(order, min(int(sizes.max()), max(len(order) - 1, 1)))
    return chosen


def ceiling_answer(true_ab: lab.UInt8) -> npt.NDArray[np.float64]:
    """The truth as coarse as the paper's networks say it, with the smallest squared error: means of 2x2 pixels.

    Args:
        true_ab: (k, H, W, 2) uint8, H and W even.

    Returns:
        (k, H, W, 2) float64.
    """
    k, height, width, _ = true_ab.shape
    small = true_ab.reshape(k, height // 2, 2, width // 2, 2, 2).mean(axis=(2, 4), dtype=np.float64)
    return np.asarray(small.repeat(2, axis=1).repeat(2, axis=2))


def constant_answer(a: float, b: float, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """One colour everywhere: (*shape, 2) float64, 8-bit units, not writable."""
    return np.broadcast_to(np.array([a, b], np.float64), (*shape, 2))


def evaluate_references(
    images: Store,
    split: Path,
    out: Path,
    *,
    batch_size: int = 16,
    seed: int = 0,
    threads: int = 2,
    embedding: schema.Embedding | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Score the answers that need no network on every partition.

    gray: neutral everywhere. mean: the training split's mean colour. majority, by accuracy alone: the channel that is
    the larger one in most of the training split's pixels. shuffled: another image's colours. ceiling: see
    `ceiling_answer`. Gray ties, so its accuracy is the share of a >= b.

    Args:
        images: the store of images.
        split: splits.csv.
        out: the CSV to write, with `scores.COLUMNS` and an empty run; beside it come the same scores image by image
            (`PER_IMAGE`), the test images as pictures (`PICTURES`), and, last, the manifest.
        batch_size: images at a time.
        seed: of the shuffle, and of the resamples that intervals come from.
        threads: so many images are measured side by side.
        replace: whether scores made with other settings may be replaced.
        progress: told of each image.

    Raises:
        InputError: the images or the split are not there, or there are scores made with other settings.
    """
    made_with = recipe.references(seed, embedding)
    if not replace:
        refuse_other(out, files.read_if_whole(out.with_suffix(".json")).get("settings", {}), made_with)
    table = splits.read(split, images.manifest()["fingerprint"])
    partitions = [row["partition"] for row in table]
    groups = [row["group"] for row in table]
    dataset = images.path.parent.name
    counts = {name: np.zeros(metrics.COLOR_BINS, np.int64) for name in splits.PARTITIONS}
    total = np.zeros(2)
    larger = pixels = 0
    for start, stop, ab in images.read_spans("ab"):
        for name, image in zip(partitions[start:stop], ab, strict=True):
            counts[name] += np.bincount(metrics.color_bins(image).ravel(), minlength=metrics.COLOR_BINS)
            if name == "train":
                total += image.sum(axis=(0, 1), dtype=np.float64)
                larger += int(metrics.larger_channel(image).sum())
                pixels += image[..., 0].size
    mean_a, mean_b = (total / pixels).tolist()
    majority = int(2 * larger > pixels)
    other = partners(groups, seed)

    network = recognition.load_network(embedding) if embedding else None
    recognised = recognition.Recognition(network, partitions) if network else None

    out.with_suffix(".json").unlink(missing_ok=True)
    found = scores.Scores(len(table))
    with (
        (progress or Silent()).track("reference answers, images", images.rows()) as advance,
        ThreadPoolExecutor(threads) as pool,
        files.new_folder(out.with_name(PICTURES)) as folder,
    ):
        for batch in batches(images, None, partitions, _rarity(counts), batch_size):
            shape, stop = batch.truth.lightness.shape, batch.start + len(batch.truth.ab)
            answers = {
                scores.GRAY: constant_answer(lab.NEUTRAL, lab.NEUTRAL, shape),
                scores.MEAN: constant_answer(mean_a, mean_b, shape),
                scores.MAJORITY: constant_answer(0, majority, shape),
                scores.SHUFFLED: images.read_rows("ab", other[batch.start : stop]),
                scores.CEILING: ceiling_answer(batch.truth.ab),
            }
            found.measure(pool, batch.start, batch.truth, answers)
            if recognised:
                recognised.measure_true(batch.start, batch.truth.rgb)
                for name in (name for name in answers if name != scores.MAJORITY):
                    measured = recognised.measure(name, batch.start, batch.truth.lightness, answers[name])
                    found.put(name, batch.start, measured)
            for row in range(batch.start, stop):
                if partitions[row] == "test":
                    lightness, ab = batch.truth.lightness[row - batch.start], batch.truth.ab[row - batch.start]
                    jpeg.write_jpeg(folder / "true" / jpeg.name(row), lab.to_rgb(lightness, ab))
                    jpeg.write_jpeg(folder / "gray" / jpeg.name(row), lab.gray_levels()[lightness])
            advance(len(batch.truth.ab))
    chosen = scores.samples(partitions, groups, seed)
    over = scores.summed(found.answers, chosen)
    written = [out, out.with_name(PER_IMAGE), *sorted(out.with_name(PICTURES).rglob("*.jpg"))]
    if recognised:
        recognition.put_distances(over, recognised.distances())
        recognition.write(out.with_name(RECOGNITION), recognised.true)
        written.append(out.with_name(RECOGNITION))
    files.write_csv(out, scores.COLUMNS, scores.rows("", dataset, over, chosen))
    per_image.write(out.with_name(PER_IMAGE), "", dataset, table, found.answers)
    manifest = {
        **_made_from(images, split, made_with),
        "train_mean_ab": [mean_a, mean_b],
        "colour_counts": {
            name: {str(i): int(values[i]) for i in np.flatnonzero(values)} for name, values in counts.items()
        },
        "files": {path.relative_to(out.parent).as_posix(): files.digest_file(path) for path in written},
    }
    files.write_json(out.with_suffix(".json"), manifest)


@dataclass(frozen=True)
class References:
    """What evaluation needs of the reference answers."""

    rows: list[dict[str, str]]
    answers: Mapping[str, scores.Columns]
    rarity: Rarity
    true: recognition.TrueImages | None


def read_references(
    references: Path, images: Store, split: Path, seed: int, embedding: schema.Embedding | None = None
) -> References:
    """Read what `evaluate_references` wrote.

    Raises:
        InputError: it is missing, damaged, or was made from other images, another split or with another seed.
    """
    manifest = files.read_json(references.with_suffix(".json"))
    made_with = recipe.references(seed, embedding)
    made_from = _made_from(images, split, made_with)
    if differences := differing({key: manifest.get(key) for key in made_from}, made_from):
        raise InputError(
            f"{references} was made from other images, another split or seed ({'; '.join(differences)}); "
            "run references again"
        )
    names = (references.name, PER_IMAGE, *([RECOGNITION] if made_with["recognition"] else []))
    files.refuse_damaged(references.parent, {name: manifest["files"].get(name, "none") for name in names})
    rows = files.read_csv(references, scores.COLUMNS)
    counts = {name: np.zeros(metrics.COLOR_BINS, np.int64) for name in splits.PARTITIONS}
    for name, found in manifest["colour_counts"].items():
        counts[name][[int(i) for i in found]] = list(found.values())
    answers = per_image.read(references.with_name(PER_IMAGE)).answers
    true = recognition.read(references.with_name(RECOGNITION), images.rows()) if made_with["recognition"] else None
    return References(rows, answers, _rarity(counts), true)


def _made_from(images: Store, split: Path, made_with: dict[str, Any]) -> dict[str, object]:
    return {
        "settings": made_with,
        "images": images.manifest()["fingerprint"],
        "split": splits.fingerprint(split),
    }


def _rarity(counts: Mapping[str, npt.NDArray[np.int64]]) -> Rarity:
    return {name: metrics.rarity(values) for name, values in counts.items()}
