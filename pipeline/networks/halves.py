"""A network in two halves, so that predictions for one image with several embeddings share the first half's work."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.networks.inputs import INPUTS, NOISE, ImageBatch, arrays, names_of


class Halves:
    """A copy of a network, split where the embedding network's outputs first come in."""

    def __init__(self, model: keras.Model) -> None:
        """Split a network that takes outputs of the embedding network.

        It is copied, because a model that shares layers with another model cannot be saved.
        """
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        late = {id(tensor) for tensor in copy.inputs if INPUTS[tensor.name].stored or tensor.name == NOISE}
        if not late:
            raise ValueError("expected a network that takes outputs of the embedding network")
        border: dict[int, Any] = {}  # tensors that the second half takes from the first half or from the inputs
        for layer in copy.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            taken = keras.tree.flatten(layer.input)
            if any(id(tensor) in late for tensor in taken):
                late |= {id(tensor) for tensor in keras.tree.flatten(layer.output)}
                border |= {id(tensor): tensor for tensor in taken}
        encoded = [tensor for key, tensor in border.items() if key not in late]
        late_inputs = [tensor for tensor in copy.inputs if id(tensor) in late]
        self._names = tuple(tensor.name for tensor in late_inputs)
        self._first = keras.Model([tensor for tensor in copy.inputs if id(tensor) not in late], encoded)
        self._second = keras.Model([*encoded, *late_inputs], copy.output)

    def encode(self, batch: ImageBatch) -> list[npt.NDArray[Any]]:
        """Compute the first half, each tensor (n, ...); the batch's `embedded` is not used."""
        return list(keras.tree.flatten(self._first.predict_on_batch(arrays(names_of(self._first), batch))))

    def decode(
        self, encoded: Sequence[npt.NDArray[Any]], batch: ImageBatch, embedded: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Predict ab (n, H, W, 2) for a batch with each of several embeddings, by answer name.

        Args:
            encoded: what `encode` returned for these images.
            batch: the images; its own `embedded` is not used.
            embedded: outputs of the embedding network, by answer name.
        """
        answers = {}
        for answer, outputs in embedded.items():
            late = arrays(self._names, replace(batch, embedded=outputs)).values()
            answers[answer] = np.asarray(self._second.predict_on_batch([*encoded, *late]), np.float32)
        return answers
