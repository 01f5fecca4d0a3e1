"""A trained network as a predictor: its answers with an image's own, another image's and the mean embedding."""

import keras
import numpy as np
import numpy.typing as npt

from pipeline.evaluation.predictors import Batch, partners
from pipeline.evaluation.scores import EMBEDDING_MEAN, EMBEDDING_SHUFFLED, MODEL
from pipeline.evaluation.scoring import Dataset
from pipeline.networks.halves import Halves
from pipeline.networks.inputs import ImageBatch, predict

Answers = dict[str, npt.NDArray[np.float32]]


class Network:
    """A predictor: a network's answers and, if it takes an embedding, its answers with a wrong embedding."""

    def __init__(self, model: keras.Model, dataset: Dataset, seed: int) -> None:
        """Prepare for the images of a dataset; `seed` decides which other image's embedding each one gets."""
        self._model = model
        self._dataset = dataset
        if dataset.outputs:
            self._halves = Halves(model)
            self._partners = partners(dataset.groups, seed)
            self._means = dataset.mean_embedded()

    def __call__(self, batch: Batch) -> Answers:
        """Predict ab (k, H, W, 2) by answer; all answers share the encoder's work."""
        if not self._dataset.outputs:
            return {MODEL: self.own(batch)}
        other = self._dataset.embedded(self._partners[batch.rows])
        means = {name: np.broadcast_to(mean, batch.embedded[name].shape) for name, mean in self._means.items()}
        embedded = {MODEL: batch.embedded, EMBEDDING_SHUFFLED: other, EMBEDDING_MEAN: means}
        return self._halves(ImageBatch(batch.truth.lightness), embedded)

    @property
    def penalty(self) -> float:
        """The l2 penalty: the loss minus the mean squared error."""
        return float(sum(map(float, self._model.losses)))

    def own(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Predict ab (k, H, W, 2) with each image's own embedding by the complete model."""
        return predict(self._model, ImageBatch(batch.truth.lightness, batch.embedded))
