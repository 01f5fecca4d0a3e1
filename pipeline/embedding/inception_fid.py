"""Inception-v3 as FID uses it, in Keras, with the weights that pytorch-fid loads.

Layers: Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, with torchvision's names. Weights: those of
TensorFlow's ``inception-2015-12-05``, from a file that pytorch-fid downloads and DeepColor never does. With these, the
pooling of the last block takes the maximum, not the mean.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.core import torch_checkpoint
from pipeline.core.errors import InputError
from pipeline.embedding import registry

SOURCE = "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights"
_ENTRY = registry.ENTRIES["inception_fid"]
_EPSILON = 1e-3

Tensors = Mapping[str, npt.NDArray[Any]]


def build(weights: str | None, activation: str) -> keras.Model:
    """The network, from (batch, 299, 299, 3) float32 in -1..1 to 1008 classes.

    Args:
        weights: "imagenet" for those of the file, None for untrained ones.
        activation: of the classes, "logits" or "softmax".

    Raises:
        InputError: the file is missing or another one.
    """
    image = keras.Input((_ENTRY.side, _ENTRY.side, 3), name="image")
    x = _convolution(image, "Conv2d_1a_3x3", 32, 3, stride=2)
    x = _convolution(x, "Conv2d_2a_3x3", 32, 3, padding="valid")
    x = _convolution(x, "Conv2d_2b_3x3", 64, 3)
    x = _convolution(_halved(x), "Conv2d_3b_1x1", 80)
    x = _halved(_convolution(x, "Conv2d_4a_3x3", 192, 3, padding="valid"))
    for label, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        x = _mixed_5(x, label, pooled)
    x = _mixed_6a(x, "Mixed_6a")
    for label, filters in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        x = _mixed_6(x, label, filters)
    x = _mixed_7a(x, "Mixed_7a")
    x = _mixed_7(x, "Mixed_7b", keras.layers.AveragePooling2D)
    x = _mixed_7(x, "Mixed_7c", keras.layers.MaxPooling2D)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    head = None if activation == "logits" else activation
    classes = keras.layers.Dense(_ENTRY.size, activation=head, name="fc")(features)
    network = keras.Model(image, classes, name="inception_fid")
    if weights is not None:
        _assign(network, torch_checkpoint.read(_checkpoint(), _ENTRY.weights_file))
    return network


def _mixed_5(x: Any, label: str, pooled: int) -> Any:
    five = _chain(x, f"{label}.branch5x5", [(48, 1), (64, 5)])
    three = _chain(x, f"{label}.branch3x3dbl", [(64, 1), (96, 3), (96, 3)])
    return _joined(_convolution(x, f"{label}.branch1x1", 64), five, three, _pooled(x, label, pooled))


def _mixed_6a(x: Any, label: str) -> Any:
    twice = _chain(x, f"{label}.branch3x3dbl", [(64, 1), (96, 3), (96, 3)], stride=2)
    return _joined(_convolution(x, f"{label}.branch3x3", 384, 3, stride=2), twice, _halved(x))


def _mixed_6(x: Any, label: str, filters: int) -> Any:
    across, down = (1, 7), (7, 1)
    once = _chain(x, f"{label}.branch7x7", [(filters, 1), (filters, across), (192, down)])
    kernels = [(filters, 1), (filters, down), (filters, across), (filters, down), (192, across)]
    twice = _chain(x, f"{label}.branch7x7dbl", kernels)
    return _joined(_convolution(x, f"{label}.branch1x1", 192), once, twice, _pooled(x, label, 192))


def _mixed_7a(x: Any, label: str) -> Any:
    three = _chain(x, f"{label}.branch3x3", [(192, 1), (320, 3)], stride=2)
    seven = _chain(x, f"{label}.branch7x7x3", [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)], stride=2)
    return _joined(three, seven, _halved(x))


def _mixed_7(x: Any, label: str, pooling: Any) -> Any:
    once = _convolution(x, f"{label}.branch3x3_1", 384)
    twice = _chain(x, f"{label}.branch3x3dbl", [(448, 1), (384, 3)])
    return _joined(
        _convolution(x, f"{label}.branch1x1", 320),
        _both_ways(once, f"{label}.branch3x3_2"),
        _both_ways(twice, f"{label}.branch3x3dbl_3"),
        _pooled(x, label, 192, pooling),
    )


def _both_ways(x: Any, label: str) -> Any:
    return _joined(_convolution(x, f"{label}a", 384, (1, 3)), _convolution(x, f"{label}b", 384, (3, 1)))


def _chain(x: Any, label: str, layers: list[tuple[int, Any]], stride: int = 1) -> Any:
    """Convolutions in a row, of which the last one has the stride."""
    for number, (filters, kernel) in enumerate(layers, start=1):
        x = _convolution(x, f"{label}_{number}", filters, kernel, stride=stride if number == len(layers) else 1)
    return x


def _pooled(x: Any, label: str, filters: int, pooling: Any = keras.layers.AveragePooling2D) -> Any:
    # The mean is over the pixels inside the picture, as in TensorFlow.
    return _convolution(pooling(3, strides=1, padding="same")(x), f"{label}.branch_pool", filters)


def _halved(x: Any) -> Any:
    return keras.layers.MaxPooling2D(3, strides=2)(x)


def _joined(*branches: Any) -> Any:
    return keras.layers.Concatenate()(branches)


def _convolution(x: Any, label: str, filters: int, kernel: Any = 1, *, stride: int = 1, padding: str = "same") -> Any:
    padding = "valid" if stride > 1 else padding
    x = keras.layers.Conv2D(
        filters, kernel, strides=stride, padding=padding, use_bias=False, name=f"{label}.conv"
    )(x)  # fmt: skip
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{label}.bn")(x)
    return keras.layers.ReLU(name=f"{label}.relu")(x)


def checkpoint_path() -> Path | None:
    """The file of the weights, where pytorch-fid or Keras keeps such files; None if it is in neither place."""
    torch = Path(os.environ.get("TORCH_HOME", "~/.cache/torch")).expanduser() / "hub" / "checkpoints"
    places = (torch, Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models")
    return next((place / _ENTRY.weights_file for place in places if (place / _ENTRY.weights_file).is_file()), None)


def _checkpoint() -> bytes:
    path = checkpoint_path()
    if path is None:
        raise InputError(
            f"{_ENTRY.weights_file} is missing, without which there is no FID; put it into ~/.keras/models "
            f"({SOURCE}), or choose another evaluation.recognition"
        )
    content = path.read_bytes()
    algorithm, expected = _ENTRY.weights_digest or ("sha256", "")
    if not (found := hashlib.new(algorithm, content).hexdigest()).startswith(expected):
        raise InputError(f"{path}: expected a {algorithm} that begins with {expected}, received {found}; get it again")
    return content


def _assign(network: keras.Model, tensors: Tensors) -> None:
    """Set the weights. A tensor is named after its layer.

    Raises:
        InputError: there are other tensors, or they have other shapes.
    """
    wanted: dict[str, tuple[keras.layers.Layer, list[str]]] = {}
    for layer in network.layers:
        names = {
            keras.layers.Conv2D: ["weight"],
            keras.layers.BatchNormalization: ["weight", "bias", "running_mean", "running_var"],
            keras.layers.Dense: ["weight", "bias"],
        }.get(type(layer), [])
        wanted |= {layer.name: (layer, [f"{layer.name}.{name}" for name in names])} if names else {}
    known = {name for name in tensors if not name.endswith(".num_batches_tracked")}
    if other := known ^ {name for _, names in wanted.values() for name in names}:
        raise InputError(
            f"{_ENTRY.weights_file}: expected the tensors of Inception-v3, received others, such as {min(other)}"
        )
    for layer, names in wanted.values():
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
        values = [np.transpose(tensors[name], axes[tensors[name].ndim]) for name in names]
        if [value.shape for value in values] != [tuple(variable.shape) for variable in layer.weights]:
            raise InputError(f"{_ENTRY.weights_file}: expected other shapes of {layer.name}")
        layer.set_weights(values)
