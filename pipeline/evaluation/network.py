"""A trained network as a predictor: its answers with an image's own, another image's and the mean embedding.

If its training started from a saved network's weights, there is an answer with those weights too. A network with latent
variables also has the best of several sampled answers.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.evaluation.predictors import Batch, partners
from pipeline.evaluation.scores import BEST, EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL, SAMPLES, START
from pipeline.evaluation.scoring import Dataset
from pipeline.networks.halves import Halves
from pipeline.networks.inputs import LATENT, NOISE, ImageBatch, names_of, predict

Answers = dict[str, npt.NDArray[np.float32]]

# Each test image gets the embeddings of so many other images that these are about `DRAWN` in all.
DRAWN = 2000
MOST_SHUFFLES = 10


class Network:
    """A predictor: a network's answers and, if it takes an embedding, its answers with a wrong embedding."""

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        seed: int,
        start: keras.Model | None = None,
        *,
        diverged: bool = False,
    ) -> None:
        """Prepare for the images of a dataset.

        Args:
            model: the network.
            dataset: the images.
            seed: decides which other images' embeddings each image gets.
            start: the network with the weights that its training started from, if they were a saved network's.
            diverged: all answers but `start`'s are NaN, whatever the backend makes of such weights.
        """
        self._diverged = diverged
        self._encoded: list[npt.NDArray[Any]] = []  # the first half of the batch predicted last
        self._models = {MODEL: model, **({START: start} if start else {})}
        self._dataset = dataset
        self._seed = seed
        if dataset.outputs:
            self._halves = {answer: Halves(network) for answer, network in self._models.items()}
            self._partners = [partners(dataset.groups, seed)]
            self._partners += [partners(dataset.groups, (seed, number)) for number in range(1, _shuffles(dataset))]
            self._means = dataset.mean_embedded()

    def __call__(self, batch: Batch) -> Answers:
        """Predict ab (k, H, W, 2) by answer; those of the same weights share the encoder's work."""
        answers = self._answers(batch)
        if self._diverged:
            return {name: ab if name == START else np.full_like(ab, np.nan) for name, ab in answers.items()}
        return answers

    def _answers(self, batch: Batch) -> Answers:
        if not self._dataset.outputs:
            return {answer: self._predict(answer, batch) for answer in self._models}
        images = ImageBatch(batch.truth.lightness)
        self._encoded = self._halves[MODEL].encode(images)
        start = {}
        if before := self._halves.get(START):
            start = before.decode(before.encode(images), images, {START: batch.embedded})
        other = self._dataset.embedded(self._partners[0][batch.rows])
        means = {name: np.broadcast_to(mean, batch.embedded[name].shape) for name, mean in self._means.items()}
        embedded = {MODEL: batch.embedded, EMBEDDING_SHUFFLED: other, EMBEDDING_MEAN: means}
        best = {BEST: self._best(batch)} if NOISE in names_of(self._models[MODEL]) else {}
        return {**self._halves[MODEL].decode(self._encoded, images, embedded), **best, **start}

    def _best(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Sample `SAMPLES` answers for each image of the batch predicted last, and return the ones with least MSE."""
        best, least = np.zeros(0, np.float32), np.full(len(batch.rows), np.inf)
        for number in range(SAMPLES):
            noise = [np.random.default_rng((self._seed, row, number)).standard_normal(LATENT) for row in batch.rows]
            images = ImageBatch(batch.truth.lightness, noise=np.array(noise, np.float32))
            sample = self._halves[MODEL].decode(self._encoded, images, {BEST: batch.embedded})[BEST]
            error = np.mean((sample - batch.truth.ab) ** 2, axis=(1, 2, 3), dtype=np.float64)
            best = sample if not number else np.where((error < least)[:, None, None, None], sample, best)
            least = np.fmin(error, least)
        return best

    def reshuffled(self, batch: Batch, places: Sequence[int]) -> Answers:
        """Predict ab with the embeddings of further other images, for some images of the batch predicted last.

        Returns:
            (k, H, W, 2) for the k `places`, by the number of the shuffle.
        """
        if not (places and self._dataset.outputs and len(self._partners) > 1):
            return {}
        rows, images = batch.rows[places], ImageBatch(batch.truth.lightness[places])
        embedded = {
            str(number): self._dataset.embedded(others[rows]) for number, others in enumerate(self._partners[1:], 1)
        }
        answers = self._halves[MODEL].decode([each[places] for each in self._encoded], images, embedded)
        return {name: np.full_like(ab, np.nan) if self._diverged else ab for name, ab in answers.items()}

    def penalty(self, answer: str) -> float:
        """Return the l2 penalty of the weights behind an answer: the loss minus the mean squared error."""
        return float(sum(map(float, self._models.get(answer, self._models[MODEL]).losses)))

    def own(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Predict ab (k, H, W, 2) with each image's own embedding by the complete model."""
        return self(batch)[MODEL] if self._diverged else self._predict(MODEL, batch)

    def _predict(self, answer: str, batch: Batch) -> npt.NDArray[np.float32]:
        return predict(self._models[answer], ImageBatch(batch.truth.lightness, batch.embedded))


def _shuffles(dataset: Dataset) -> int:
    """Return how many other images' embeddings each test image gets."""
    return min(MOST_SHUFFLES, -(-DRAWN // max(1, dataset.partitions.count("test"))))
