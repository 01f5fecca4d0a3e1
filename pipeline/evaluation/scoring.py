"""The loop that scores predictors: it reads images in batches, predicts and measures."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.config.partitions import PARTITIONS
from pipeline.core.progress import Progress, Silent
from pipeline.evaluation.measures import Columns, Truth, measure, measure_accuracy
from pipeline.evaluation.metrics import Values
from pipeline.evaluation.predictors import Ab, Batch, Predictor
from pipeline.evaluation.recognition import Recognition
from pipeline.evaluation.scores import Sample, samples
from pipeline.images.lab import UInt8
from pipeline.storage.store import Store

# Called with each batch, its answers and a thread pool; returns when its own work in the pool is done.
Each = Callable[[Batch, Mapping[str, Ab], Executor], None]


@dataclass(frozen=True)
class Dataset:
    """The images on which predictors are scored.

    Attributes:
        images: the store of images.
        table: the row of every image in splits.csv.
        rarity: by partition, the weights of its colour bins; see `pipeline.evaluation.metrics.rarity`.
        outputs: outputs of the embedding network that predictors need, each with its store.
        scored: the partitions whose images are scored.
    """

    images: Store
    table: Sequence[Mapping[str, str]]
    rarity: Mapping[str, Values]
    outputs: Mapping[str, Store] = field(default_factory=dict)
    scored: Collection[str] = PARTITIONS

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self.images.path.parent.name

    @cached_property
    def partitions(self) -> list[str]:
        """The partition of every image."""
        return [row["partition"] for row in self.table]

    @cached_property
    def groups(self) -> list[str]:
        """The group of every image."""
        return [row["group"] for row in self.table]

    @cached_property
    def samples(self) -> list[Sample]:
        """The images of each partition that is scored, if it has any."""
        return [each for each in samples(self.partitions, self.groups) if each.partition in self.scored]

    def places(self, batch: Batch, partition: str) -> list[int]:
        """The positions in a batch of a partition's images."""
        return [place for place, row in enumerate(batch.rows.tolist()) if self.partitions[row] == partition]

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield the scored images in the order of the store; a batch never crosses a shard boundary."""
        for shard in range(self.images.shard_count()):
            first, stop = self.images.span(shard)
            lightness, ab = (self.images.read(name, first, stop) for name in ("L", "ab"))
            embedded = {name: store.read(name, first, stop) for name, store in self.outputs.items()}
            images = self._batch(np.arange(first, stop), lightness, ab, embedded)
            places = [place for place in range(stop - first) if self.partitions[first + place] in self.scored]
            if len(places) < stop - first:
                images = images[places]
            for start in range(0, len(places), batch_size):
                yield images[start : start + batch_size]

    def batch(self, rows: npt.NDArray[np.intp]) -> Batch:
        """Some images, in any order."""
        lightness, ab = (self.images.read_rows(name, rows) for name in ("L", "ab"))
        return self._batch(rows, lightness, ab, self.embedded(rows))

    def embedded(self, rows: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[np.float32]]:
        """The stored outputs of the embedding network for some images, (k, ...) by name."""
        return {name: store.read_rows(name, rows) for name, store in self.outputs.items()}

    def mean_embedded(self) -> dict[str, npt.NDArray[np.float32]]:
        """The mean of each output over the training images."""
        train = np.array(self.partitions) == "train"
        means = {}
        for name, store in self.outputs.items():
            total = np.zeros(store.array(name).shape[1:])
            for start, stop, values in store.read_spans(name):
                total += values[train[start:stop]].sum(axis=0, dtype=np.float64)
            means[name] = (total / train.sum()).astype(np.float32)
        return means

    def _batch(
        self, rows: npt.NDArray[np.intp], lightness: UInt8, ab: UInt8, embedded: Mapping[str, npt.NDArray[np.float32]]
    ) -> Batch:
        weights = np.stack([self.rarity[self.partitions[row]] for row in rows.tolist()])
        return Batch(rows, Truth(lightness, ab, weights), embedded)


class Scores:
    """The measures of n images, (n,) float64 by answer and measure; NaN until an image is measured."""

    def __init__(self, images: int) -> None:
        self.answers: dict[str, dict[str, Values]] = {}
        self._images = images

    def put(self, rows: npt.NDArray[np.intp], measured: Mapping[str, Columns]) -> None:
        """Store the measures of the images `rows`, by answer and measure."""
        for answer, columns in measured.items():
            for name, values in columns.items():
                stored = self.answers.setdefault(answer, {})
                stored.setdefault(name, np.full(self._images, np.nan))[rows] = values

    def measure(
        self, pool: Executor, batch: Batch, answers: Mapping[str, Ab], accuracy_only: Collection[str] = ()
    ) -> None:
        """Measure a batch image by image, which takes less memory and time than the batch at once."""

        def measure_image(place: int) -> dict[str, Columns]:
            image = slice(place, place + 1)
            truth = batch.truth[image]
            return {
                name: (measure_accuracy if name in accuracy_only else measure)(truth, ab[image])
                for name, ab in answers.items()
            }

        for place, measured in enumerate(pool.map(measure_image, range(len(batch.rows)))):
            self.put(batch.rows[place : place + 1], measured)


def score(
    dataset: Dataset,
    predictor: Predictor,
    what: str,
    *,
    batch_size: int,
    threads: int,
    accuracy_only: Collection[str] = (),
    recognition: Recognition | None = None,
    each: Each | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, Values]]:
    """Score a predictor on the images of the partitions `dataset.scored`.

    Args:
        what: the predictor's name in progress messages.
        batch_size: images at a time.
        threads: number of images measured in parallel.
        accuracy_only: answers that are not colours; only their accuracy is measured.
        recognition: measures recognition too.
        each: see `Each`.
        progress: advances with every image.

    Returns:
        (n,) float64 by answer and measure; NaN for images that are not scored.
    """
    scores = Scores(len(dataset.table))
    count = sum(name in dataset.scored for name in dataset.partitions)
    with (
        (progress or Silent()).track(f"{what}, images", count) as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for batch in dataset.batches(batch_size):
            answers = predictor(batch)
            scores.measure(pool, batch, answers, accuracy_only)
            if recognition:
                colours = {name: ab for name, ab in answers.items() if name not in accuracy_only}
                scores.put(batch.rows, recognition.measure(batch.rows, batch.truth, colours))
            if each:
                each(batch, answers, pool)
            advance(len(batch.rows))
    return scores.answers
