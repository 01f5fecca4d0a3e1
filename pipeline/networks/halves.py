"""A network in two halves, so that several embeddings of one image share what only depends on the image."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.networks.inputs import INPUTS, ImageBatch, arrays, names_of


class Halves:
    """A copy of a network, split where the first outputs of the embedding network come in."""

    def __init__(self, model: keras.Model) -> None:
        """Split a network that takes outputs of the embedding network.

        The copy is there because a model whose layers are part of another one as well cannot be saved.
        """
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        later = {id(tensor) for tensor in copy.inputs if INPUTS[tensor.name].stored}
        if not later:
            raise ValueError("expected a network that takes outputs of the embedding network")
        border: dict[int, Any] = {}  # what the second half takes of the first one, or of the inputs
        for layer in copy.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            taken = keras.tree.flatten(layer.input)
            if any(id(tensor) in later for tensor in taken):
                later |= {id(tensor) for tensor in keras.tree.flatten(layer.output)}
                border |= {id(tensor): tensor for tensor in taken}
        encoded = [border[key] for key in border if key not in later]
        self._first = keras.Model([tensor for tensor in copy.inputs if id(tensor) not in later], encoded)
        inputs = [tensor for tensor in copy.inputs if id(tensor) in later]
        self._names = tuple(tensor.name for tensor in inputs)
        self._second = keras.Model([*encoded, *inputs], copy.output)

    def __call__(
        self, given: ImageBatch, embedded: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The network's answers, ab (n, H, W, 2), by name.

        Args:
            given: the images.
            embedded: by the name of the answer, the outputs of the embedding network to take instead of theirs.
        """
        encoded = self._first.predict_on_batch(arrays(names_of(self._first), given))
        encoded = encoded if isinstance(encoded, list) else [encoded]
        answers = {}
        for name, outputs in embedded.items():
            inputs = arrays(self._names, replace(given, embedded=outputs)).values()
            answers[name] = np.asarray(self._second.predict_on_batch([*encoded, *inputs]), np.float32)
        return answers
