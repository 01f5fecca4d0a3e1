"""A trained network as a predictor: its answers with its own, another image's and the mean embedding."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.evaluation.predictors import Batch, partners
from pipeline.evaluation.scores import EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL
from pipeline.evaluation.scoring import Dataset
from pipeline.images import lab
from pipeline.networks import builder

Answers = dict[str, npt.NDArray[np.float32]]


def stored(model: keras.Model) -> tuple[str, ...]:
    """The arrays of the embeddings' store that a network takes."""
    return ("embedding",) if len(model.inputs) > 1 else ()


def predict(model: keras.Model, lightness: lab.UInt8, embedding: Any) -> npt.NDArray[np.float32]:
    """Predicted ab (n, H, W, 2) float32, 8-bit units, of L (n, H, W) uint8 and embeddings (n, 1000)."""
    return np.asarray(model.predict_on_batch(builder.inputs(model, lightness, embedding)), np.float32)


class Network:
    """A predictor: what a network answers, and, where it takes an embedding, what it answers with a wrong one."""

    def __init__(self, model: keras.Model, dataset: Dataset, seed: int) -> None:
        """Prepare.

        Args:
            model: the network.
            dataset: where the embeddings of other images come from.
            seed: decides whose embedding an image gets.
        """
        self._model = model
        self._dataset = dataset
        if dataset.stored:
            self._encoder, self._decoder = builder.halves(model)
            self._partners = partners(dataset.groups, seed)
            self._means = dataset.mean_embedded()

    def __call__(self, batch: Batch) -> Answers:
        """See the class; all answers share the encoder's work."""
        if not self._dataset.stored:
            return {MODEL: predict(self._model, batch.truth.lightness, None)}
        encoded = self._encoder.predict_on_batch(batch.truth.lightness[..., None])
        other = self._dataset.embedded(self._partners[batch.rows])
        means = {name: np.broadcast_to(mean, batch.embedded[name].shape) for name, mean in self._means.items()}
        given = {MODEL: batch.embedded, EMBEDDING_SHUFFLED: other, EMBEDDING_MEAN: means}
        return {
            answer: np.asarray(self._decoder.predict_on_batch([encoded, embedded["embedding"]]), np.float32)
            for answer, embedded in given.items()
        }

    @property
    def penalty(self) -> float:
        """What the loss holds besides the error."""
        return float(sum(map(float, self._model.losses)))

    def own(self, batch: Batch) -> npt.NDArray[np.float32]:
        """What the network answers, ab (k, H, W, 2), by the whole model."""
        return predict(self._model, batch.truth.lightness, batch.embedded.get("embedding"))
