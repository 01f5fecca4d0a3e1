"""The parts of a colouring network as Keras layers, from the items of `pipeline.networks.notation`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from pipeline.networks import inputs, latent
from pipeline.networks.heads import Head
from pipeline.networks.layers import Fusion, UpsamplingConvolution, apply, regularizer
from pipeline.networks.notation import Dropout, Item, Join, Layer, Normalisation, Parts, layers

MOMENTUM = 0.97  # of batch normalisations' statistics: they cover some 30 batches, because small datasets have few


def concatenated(tensors: Sequence[Any], label: str) -> Any:
    """Concatenate the channels of several tensors; a single one stays as it is."""
    return keras.layers.Concatenate(name=label)(tensors) if len(tensors) > 1 else tensors[0]


def scaled(lightness: Any, ends: Sequence[float]) -> Any:
    """Return L, 0..255, as the architecture takes it, between `ends`."""
    low, high = ends
    if (low, high) == (0, 255):
        return lightness
    return keras.layers.Rescaling((high - low) / 255, low, name="L_scaled", dtype="float32")(lightness)


def encoded(x: Any, items: Sequence[Item], convolutions: "Convolutions") -> Any:
    """Pass pictures through the layers of an encoder."""
    count, number = len(layers(items)), 0
    for item in items:
        if isinstance(item, Layer):
            number += 1
            x = convolutions(item, f"encoder_{number}", penalised=number < count)(x)
        else:
            x = _normalisation(f"encoder_{number}")(x)
    return x


def _normalisation(label: str) -> keras.layers.Layer:
    """Make a batch normalisation that the notation names; its epsilon is the one of Zhang et al.'s networks."""
    return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=f"{label}_normalised")


def with_latent(x: Any, tensors: Mapping[str, Any], parts: Parts, weight: float, convolutions: "Convolutions") -> Any:
    """Concatenate the picture of the latent variables to the feature map `x`."""
    known = latent.reduced(tensors[inputs.AB])
    for index, layer in enumerate(parts.latent, 1):
        known = convolutions(layer, f"latent_{index}")(known)
    given = convolutions(Layer(inputs.PRIOR_CHANNELS, 1), "prior_reduced")(x)
    posterior = latent.parameters(known, "posterior", convolutions.initializer())
    prior = latent.parameters(given, "prior", convolutions.initializer())
    drawn = latent.Latent(weight, convolutions.seed(), name="latent", dtype="float32")
    variables = drawn([posterior, prior, tensors[inputs.NOISE]])
    picture = latent.as_picture(variables, parts.side, convolutions.initializer())
    return keras.layers.Concatenate(name="latent_join")([x, picture])


@dataclass
class Convolutions:
    """Makes layers and draws their kernels' seeds in the order of the calls."""

    l2: float
    seeds: np.random.Generator
    normalised: bool = False
    symmetric: bool = False

    def __call__(
        self,
        layer: Layer,
        label: str,
        *,
        penalised: bool = True,
        activation: str = "relu",
        kind: type[keras.layers.Layer] = keras.layers.Conv2D,
        last: bool = False,
        **options: Any,
    ) -> Callable[[Any], Any]:
        """Make a convolution with its padding, normalisation and activation."""
        normalised = self.normalised and not last
        padded = self.symmetric and layer.stride > 1
        made: list[keras.layers.Layer] = [
            keras.layers.ZeroPadding2D(layer.kernel // 2, name=f"{label}_padded")
        ] * padded
        if layer.transposed:
            kind, options = keras.layers.Conv2DTranspose, {"strides": 2, **options}
        else:
            options = {"strides": layer.stride, "dilation_rate": layer.dilation, **options}
        convolution = kind(
            layer.filters,
            layer.kernel,
            padding="valid" if padded else "same",
            activation="linear" if normalised else activation,
            use_bias=not normalised,
            kernel_initializer=self.initializer(),
            kernel_regularizer=regularizer(self.l2 if penalised else 0.0),
            name=label,
            **options,
        )
        made.append(convolution)
        if normalised:
            made.append(keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{label}_normalisation"))
            made.append(keras.layers.Activation(activation, name=f"{label}_{activation}"))
        return lambda x: apply(made, x)

    def seed(self) -> int:
        """Draw the seed of a layer."""
        return int(self.seeds.integers(2**31))

    def fusion(self, layer: Layer, label: str) -> Fusion:
        """Make the layer that joins an encoder and a vector."""
        return Fusion(layer.filters, self.initializer(), self.l2, name=label)

    def initializer(self) -> keras.initializers.Initializer:
        """Draw the initial values of a kernel."""
        return keras.initializers.GlorotUniform(seed=self.seed())


@dataclass
class Decoder:
    """Makes the decoder's layers."""

    convolutions: Convolutions
    tensors: Mapping[str, Any]
    upsampling: str

    def __call__(self, x: Any, items: Sequence[Item], head: Head, bias: Sequence[float]) -> Any:
        """Pass `x` through the decoder, whose last convolution starts with this bias."""
        last = max(index for index, item in enumerate(items) if isinstance(item, Layer) and item.filters)
        included = [self._includes(*pair) for pair in pairwise([*items, Layer()])]
        for index, item in enumerate(items):
            label = f"decoder_{index + 1}"
            kind = UpsamplingConvolution if index and included[index - 1] else keras.layers.Conv2D
            if included[index]:
                continue
            if isinstance(item, Join):
                x = keras.layers.Concatenate(name=f"{label}_join")([x, self._joined(item, x)])
            elif isinstance(item, Normalisation):
                x = _normalisation(label)(x)
            elif isinstance(item, Dropout):
                x = keras.layers.SpatialDropout2D(item.rate, seed=self.convolutions.seed(), name=label)(x)
            elif not item.filters:
                options = {"interpolation": self.upsampling, "name": f"{label}_upsampling", "dtype": x.dtype}
                x = keras.layers.UpSampling2D(2, **options)(x)
            elif index < last:
                x = self.convolutions(item, label, kind=kind)(x)
            else:
                initializer = keras.initializers.Constant(np.asarray(bias, np.float32).tolist())
                options = {"activation": head.activation, "bias_initializer": initializer, "dtype": "float32"}
                x = self.convolutions(item, "raw" if head.decode else "ab", kind=kind, last=True, **options)(x)
        return x

    def _includes(self, item: Item, following: Item) -> bool:
        """Whether a layer is a nearest-neighbour upsampling that the next convolution includes."""
        if not isinstance(item, Layer) or not isinstance(following, Layer) or following.transposed:
            return False
        upsampling = not item.filters and self.upsampling == "nearest"
        return upsampling and following.filters > 0 and following.kernel % 2 == 1

    def _joined(self, item: Join, x: Any) -> Any:
        """Return an input as it joins `x`."""
        joined = self.tensors[item.name]
        if item.name == "L":
            joined = keras.layers.Rescaling(1 / 127.5, -1.0, name="L_scaled", dtype="float32")(joined)
        if (factor := joined.shape[1] // x.shape[1]) > 1:
            joined = keras.layers.AveragePooling2D(factor, name=f"{item.name}_reduced", dtype="float32")(joined)
        return self.convolutions(Layer(item.filters, 1), f"{item.name}_joined")(joined) if item.filters else joined
