"""The inputs of networks, computed in the same way in training, evaluation, colouring and exports.

To add an input, call `register` in a module named in DEEPCOLOR_PLUGINS; an architecture lists it in its setting
`inputs`. This module never imports Keras at its top.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.registry import Registry
from pipeline.images.lab import NEUTRAL

AB, NOISE = "true_ab", "noise"  # inputs of networks with latent variables
LATENT = 64  # the number of latent variables
REDUCED = 4  # pixels of ab per pixel of what their distribution is inferred from, in each direction
PRIOR_CHANNELS = 32  # of the feature map that gives their distribution
WIDTH = 16  # channels of the picture that they become
Shape = tuple[int | None, ...]
Outputs = Mapping[str, tuple[int, ...]]  # shapes of an embedding network's outputs for one image, by name


@dataclass(frozen=True)
class ImageBatch:
    """A batch of n images from which inputs are computed, as NumPy arrays, tensors, or tensors of a traced graph.

    Attributes:
        lightness: L (n, H, W), any number type, 0..255.
        embedded: stored outputs of the embedding network, (n, ...) by name as in `Entry.outputs`.
        ab: (n, H, W, 2), any number type, 8-bit units; None if unknown.
        noise: (n, `LATENT`) float32, standard normal, from which a network samples one of several answers; None for
            its one answer.
    """

    lightness: Any
    embedded: Mapping[str, Any] = field(default_factory=dict)
    ab: Any = None
    noise: Any = None


@dataclass(frozen=True)
class Input:
    """An input of a network.

    Attributes:
        name: in architectures and in the network.
        shape: for one image: (None, None, c) joins L before the encoder, (c,) joins the encoder's output in the fusion.
        dtype: to which the network casts it.
        of: computes the input from a batch. Arrays and tensors must both work: use operators, slices and `as_picture`.
        stored: the outputs of the embedding network that `of` reads.
    """

    name: str
    shape: Shape
    dtype: str
    of: Callable[[ImageBatch], Any]
    stored: tuple[str, ...] = ()


INPUTS: Registry[Input] = Registry("input", "architectures.*.inputs")
register = INPUTS.register


def as_picture(plane: Any) -> Any:
    """Add a channel axis: (n, H, W, 1) from (n, H, W)."""
    if isinstance(plane, np.ndarray):
        return plane[..., None]
    import keras

    return keras.ops.expand_dims(plane, -1)  # TFLite supports this, but not indexing with None


def _known_ab(batch: ImageBatch) -> Any:
    """The true ab, of which a network makes use in training alone; elsewhere gray."""
    if batch.ab is not None:
        return batch.ab
    gray = as_picture(batch.lightness) * 0 + NEUTRAL
    return _repeated(gray, 2)


def _noise(batch: ImageBatch) -> Any:
    if batch.noise is not None:
        return batch.noise
    return _repeated(batch.lightness[:, 0, :1] * 0, LATENT)


def _repeated(values: Any, times: int) -> Any:
    """Repeat the last axis, which has one value."""
    if isinstance(values, np.ndarray):
        return np.repeat(values, times, axis=-1)
    import keras

    return keras.ops.repeat(values, times, axis=-1)


def _stored(output: str, batch: ImageBatch) -> Any:
    return batch.embedded[output]


register(Input("L", (None, None, 1), "float32", lambda batch: as_picture(batch.lightness)))
for _side, _channels in ((56, 24), (28, 40), (14, 112), (7, 320)):  # EfficientNet-Lite0's; others have other channels
    _map = f"map_{_side}"
    register(Input(_map, (_side, _side, _channels), "float32", partial(_stored, _map), stored=(_map,)))
register(Input(AB, (None, None, 2), "float32", _known_ab))
register(Input(NOISE, (LATENT,), "float32", _noise))
register(Input("embedding", (1000,), "float32", lambda batch: batch.embedded["embedding"], stored=("embedding",)))


def arrays(names: Iterable[str], batch: ImageBatch) -> dict[str, Any]:
    """Compute inputs from a batch, by name."""
    return {name: INPUTS[name].of(batch) for name in names}


def shapes(names: Iterable[str], outputs: Outputs | None = None) -> dict[str, Shape]:
    """Return the shape of each input for one image: as registered, or for an embedding network with these outputs."""
    registered = {name: INPUTS[name].shape for name in names}
    if outputs is None:
        return registered
    embedded = {output: np.zeros((1, *shape), np.float32) for output, shape in outputs.items()}
    batch = ImageBatch(np.zeros((1, 8, 8), np.uint8), embedded, np.zeros((1, 8, 8, 2), np.uint8))
    return {
        name: tuple(size and actual for size, actual in zip(registered[name], array.shape[1:], strict=True))
        for name, array in arrays(names, batch).items()
    }


def stored(names: Iterable[str]) -> tuple[str, ...]:
    """Return the outputs of the embedding network that these inputs read, without duplicates."""
    return tuple(dict.fromkeys(output for name in names for output in INPUTS[name].stored))


def names_of(model: Any) -> tuple[str, ...]:
    """Return the names of a Keras model's inputs."""
    return tuple(tensor.name for tensor in model.inputs)


def fixed_size(model: Any) -> tuple[int, int] | None:
    """Return the height and width of the only L that a Keras model takes; None if it takes any."""
    height, width = next(tensor.shape for tensor in model.inputs if tensor.name == "L")[1:3]
    return (height, width) if height and width else None


def predict(model: Any, batch: ImageBatch) -> npt.NDArray[np.float32]:
    """Return a Keras model's prediction for a batch, of a network with decoding ab (n, H, W, 2) in 8-bit units."""
    return np.asarray(model.predict_on_batch(arrays(names_of(model), batch)), np.float32)
