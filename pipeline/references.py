"""The scores of the answers that need no network: once per dataset and split, not per run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline import files, lab, metrics, scores, splits
from pipeline.errors import InputError
from pipeline.progress import Progress, Silent
from pipeline.stores import Store


@dataclass(frozen=True)
class Batch:
    """Some consecutive images of a store, with first row and partitions."""

    start: int
    truth: scores.Truth
    embedding: npt.NDArray[np.float32] | None


def batches(images: Store, embeddings: Store | None, partitions: Sequence[str], batch_size: int) -> Iterator[Batch]:
    """All images in the order of the store; a batch never crosses the border of a shard."""
    for shard in range(images.shard_count()):
        first, stop = images.span(shard)
        lightness, ab = images.read("L", first, stop), images.read("ab", first, stop)
        embedding = embeddings.read("embedding", first, stop) if embeddings else None
        for start in range(first, stop, batch_size):
            here = slice(start - first, min(start + batch_size, stop) - first)
            truth = scores.Truth(partitions[start : start + len(lightness[here])], lightness[here], ab[here])
            yield Batch(start, truth, None if embedding is None else embedding[here])


def evaluate_references(
    images: Store, split: Path, out: Path, batch_size: int = 16, progress: Progress | None = None
) -> None:
    """Score gray, the training split's mean colour and its majority channel on every partition.

    Writes `out`, a CSV with `scores.COLUMNS` and an empty run, and its manifest beside it last.
    """
    partitions = splits.read(split, images.manifest()["fingerprint"])
    dataset = images.path.parent.name
    total = np.zeros(2)
    larger = pixels = 0
    for batch in batches(images, None, partitions, batch_size):
        train = batch.truth.ab[np.array(batch.truth.partitions) == "train"]
        total += train.sum(axis=(0, 1, 2), dtype=np.float64)
        larger += int(metrics.larger_channel(train).sum())
        pixels += train[..., 0].size
    mean_a, mean_b = (total / pixels).tolist()
    with (progress or Silent()).track("reference answers, images", images.rows()) as advance:

        def shown() -> Iterator[tuple[Sequence[str], lab.UInt8, lab.UInt8]]:
            for batch in batches(images, None, partitions, batch_size):
                yield batch.truth.partitions, batch.truth.lightness, batch.truth.ab
                advance(len(batch.truth.ab))

        rows = scores.score_references(shown(), (mean_a, mean_b), int(2 * larger > pixels), dataset)
    out.with_suffix(".json").unlink(missing_ok=True)
    files.write_csv(out, scores.COLUMNS, rows)
    manifest = {
        "images": images.manifest()["fingerprint"],
        "split": splits.read_manifest(split)["sha256"],
        "train_mean_ab": [mean_a, mean_b],
        "sha256": files.digest_file(out),
    }
    files.write_json(out.with_suffix(".json"), manifest)


def read_references(references: Path, images: Store, split: Path) -> list[dict[str, str]]:
    """The rows of references.csv.

    Raises:
        InputError: they are missing, or were made from other images or another split.
    """
    rows = files.read_csv(references, scores.COLUMNS)
    manifest = files.read_json(references.with_suffix(".json"))
    now = {
        "images": images.manifest()["fingerprint"],
        "split": splits.read_manifest(split)["sha256"],
        "sha256": files.digest_file(references),
    }
    if any(manifest.get(key) != value for key, value in now.items()):
        raise InputError(
            f"{references} was made from other images or another split, or was changed; run references again"
        )
    return rows
