"""The inputs of the networks by name: what each is computed from, alike wherever a network is used.

An input of your own is an `Input` that is given to `register`, for example by a module that DEEPCOLOR_PLUGINS names; an
architecture takes it by listing it under `inputs`. This module never imports Keras.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.registry import Registry

Shape = tuple[int | None, ...]
Outputs = Mapping[str, tuple[int, ...]]  # of an embedding network: the shape of one image's entry by name


@dataclass(frozen=True)
class ImageBatch:
    """A batch of n images from which inputs are computed, as NumPy arrays, tensors, or tensors of a traced graph.

    Attributes:
        lightness: L (n, H, W), any number type, 0..255.
        embedded: stored outputs of the embedding network, (n, ...) by name as in `Entry.outputs`.
        ab: (n, H, W, 2), any number type, 8-bit units; None if unknown.
    """

    lightness: Any
    embedded: Mapping[str, Any] = field(default_factory=dict)
    ab: Any = None


@dataclass(frozen=True)
class Input:
    """An input of a network.

    Attributes:
        name: in architectures and in the network.
        shape: of one image's entry: (None, None, c) comes in with L, (c,) at the fusion.
        dtype: what it is cast to.
        of: from what is `ImageBatch`, by what arrays and tensors have in common: operators, slices and `as_picture`.
        stored: the outputs of the embedding network that `of` takes.
    """

    name: str
    shape: Shape
    dtype: str
    of: Callable[[ImageBatch], Any]
    stored: tuple[str, ...] = ()


INPUTS: Registry[Input] = Registry("input", "architectures.*.inputs")
register = INPUTS.register


def as_picture(plane: Any) -> Any:
    """(n, H, W, 1) of (n, H, W)."""
    if isinstance(plane, np.ndarray):
        return plane[..., None]
    import keras

    return keras.ops.expand_dims(plane, -1)  # TFLite has this one, but no indexing with None


register(Input("L", (None, None, 1), "float32", lambda given: as_picture(given.lightness)))
register(Input("embedding", (1000,), "float32", lambda given: given.embedded["embedding"], stored=("embedding",)))


def arrays(names: Iterable[str], given: ImageBatch) -> dict[str, Any]:
    """The inputs of these names."""
    return {name: INPUTS[name].of(given) for name in names}


def shapes(names: Iterable[str], outputs: Outputs | None = None) -> dict[str, Shape]:
    """The shape of one image's entry of each input, as registered, or for an embedding network with these outputs."""
    found = {name: INPUTS[name].shape for name in names}
    if outputs is None:
        return found
    embedded = {output: np.zeros((1, *shape), np.float32) for output, shape in outputs.items()}
    given = ImageBatch(np.zeros((1, 8, 8), np.uint8), embedded, np.zeros((1, 8, 8, 2), np.uint8))
    return {
        name: tuple(known and size for known, size in zip(found[name], array.shape[1:], strict=True))
        for name, array in arrays(names, given).items()
    }


def stored(names: Iterable[str]) -> tuple[str, ...]:
    """The outputs of the embedding network that these inputs take."""
    return tuple(dict.fromkeys(output for name in names for output in INPUTS[name].stored))


def names_of(model: Any) -> tuple[str, ...]:
    """The names of a Keras model's inputs."""
    return tuple(tensor.name for tensor in model.inputs)


def predict(model: Any, given: ImageBatch) -> npt.NDArray[np.float32]:
    """A Keras model's answer to a batch, ab (n, H, W, 2) in 8-bit units."""
    return np.asarray(model.predict_on_batch(arrays(names_of(model), given)), np.float32)
