"""The compared networks, compiled as in `pipeline.training.train`."""

import keras
import numpy as np
import numpy.typing as npt

from pipeline.core.machine import Precision
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE
from pipeline.networks import backend, builder
from pipeline.networks.cost import forward_flops
from pipeline.networks.heads import HEADS
from pipeline.networks.inputs import INPUTS
from pipeline.networks.notation import Layer, parse, resolve

EMBEDDING_SIZE = INPUTS["embedding"].shape[-1]
PLACES = SIZE // MULTIPLE  # of the encoder's output, along height and width


def ours(name: str, precision: Precision = "float32") -> keras.Model:
    """Build a network of DeepColor."""
    with backend.policy(precision):
        return _compiled(builder.build(name))


def printed(name: str, l2: float = 0.01) -> keras.Model:
    """Build the network as the paper prints it: with the embedding repeated at 28x28 positions and concatenated.

    It has the same weights as `ours`, in the same order.
    """
    parts = parse(name, resolve(name))

    def applied(layer: Layer, x: keras.KerasTensor, penalty: float = l2) -> keras.KerasTensor:
        if not layer.filters:
            return keras.layers.UpSampling2D(2)(x)
        regularizer = keras.regularizers.L2(penalty) if penalty else None
        return keras.layers.Conv2D(
            layer.filters, layer.kernel, layer.stride, "same", activation="relu", kernel_regularizer=regularizer
        )(x)

    with backend.policy("float32"):
        inputs = keras.Input((SIZE, SIZE, 1)), keras.Input((PLACES, PLACES, EMBEDDING_SIZE))
        x = inputs[0]
        for layer in parts.encoder[:-1]:
            x = applied(layer, x)
        x = keras.layers.Concatenate()([applied(parts.encoder[-1], x, 0.0), inputs[1]])
        for layer in [*parts.fusion, *parts.decoder]:
            x = applied(layer, x)
        return _compiled(keras.Model(inputs, x))


def computed_flops(name: str) -> float:
    """Return the forward operations of `ours` for one image: `forward_flops` less what joined upsamplings save."""
    parts = parse(name, resolve(name))
    channels, side, upsampled, saved = parts.fusion[-1].filters, PLACES, False, 0
    for layer in parts.decoder:
        if not layer.filters:
            side, upsampled = 2 * side, True
            continue
        if upsampled and layer.kernel % 2:  # see `layers.UpsamplingConvolution`
            products = layer.kernel**2 - ((layer.kernel + 1) // 2) ** 2
            saved += 2 * side**2 * channels * layer.filters * products
        channels, upsampled = layer.filters, False
    return forward_flops(name, SIZE) - saved


def tiled(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Repeat embeddings (n, 1000) at each of the 28x28 positions."""
    return np.tile(embeddings[:, None, None], (1, PLACES, PLACES, 1))


def _compiled(model: keras.Model) -> keras.Model:
    builder.compile_to_train(model, HEADS["regression"], keras.optimizers.Adam(1e-4))
    return model
