"""Layers and metrics that Keras lacks."""

from collections.abc import Iterable, Sequence
from functools import partial, reduce
from typing import Any

import keras
import numpy as np

from pipeline.images import ab_bins
from pipeline.images.lab import NEUTRAL


@keras.saving.register_keras_serializable(package="deepcolor")
class Fusion(keras.layers.Layer):
    """The 1x1 convolution over ``concat(encoder, tile(embedding))``, without building the tiled tensor.

    A 1x1 convolution is linear in its input channels, so it equals the convolution of the encoder's channels plus a
    matrix product of the embedding, added at every position. The layer has the concatenation's single kernel and bias.

    Inputs: encoder (batch, h, w, c), embedding (batch, e). Output: (batch, h, w, filters), ReLU.
    """

    def __init__(
        self, filters: int, kernel_initializer: Any = "glorot_uniform", l2: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.filters = filters
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.l2 = l2

    def build(self, shapes: Any) -> None:
        """Make the kernel, (1, 1, c + e, filters), and the bias, (filters,)."""
        (*_, self.channels), (_, embedding) = shapes
        self.kernel = self.add_weight(
            name="kernel",
            shape=(1, 1, self.channels + embedding, self.filters),
            initializer=self.kernel_initializer,
            regularizer=regularizer(self.l2),
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        """See the class."""
        encoder, embedding = inputs
        image = keras.ops.conv(encoder, self.kernel[:, :, : self.channels], padding="valid")
        constant = keras.ops.matmul(embedding, self.kernel[0, 0, self.channels :]) + self.bias
        return keras.ops.relu(image + constant[:, None, None, :])

    def compute_output_shape(self, shapes: Any) -> Any:
        """See the class."""
        return (*shapes[0][:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "filters": self.filters, "kernel_initializer": initializer, "l2": self.l2}


@keras.saving.register_keras_serializable(package="deepcolor")
class UpsamplingConvolution(keras.layers.Conv2D):
    """A nearest-neighbour upsampling by two and a convolution of odd size, without building the upsampled tensor.

    The upsampled tensor would repeat each value in a 2x2 square. So both together equal one transposed convolution of
    stride two, whose mirrored kernel has sums over 2x2 entries of the convolution's kernel: 16 multiplications instead
    of 36 for 3x3. The layer has the convolution's own kernel and bias.

    Input: (batch, h, w, c). Output: (batch, 2h, 2w, filters).
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Compute the output without its bias."""
        mirrored = keras.ops.flip(keras.ops.cast(kernel, "float32"), (0, 1))
        wide = keras.ops.pad(mirrored, [(1, 1), (1, 1), (0, 0), (0, 0)])
        sums = keras.ops.cast(wide[1:, 1:] + wide[1:, :-1] + wide[:-1, 1:] + wide[:-1, :-1], inputs.dtype)
        return keras.ops.conv_transpose(inputs, keras.ops.swapaxes(sums, 2, 3), strides=2, padding="same")

    def compute_output_shape(self, shape: Any) -> Any:
        """See the class."""
        batch, height, width, _ = shape
        return batch, height and 2 * height, width and 2 * width, self.filters


@keras.saving.register_keras_serializable(package="deepcolor")
class AnnealedMean(keras.layers.Layer):
    """The mean colour of predicted classes, after a temperature sharpened or flattened their distribution.

    Input: logits (batch, h, w, 313). Output: ab (batch, h, w, 2) in 8-bit units. See `ab_bins.annealed_mean`.
    """

    def __init__(self, temperature: float, **options: Any) -> None:
        super().__init__(**options)
        self.temperature = temperature

    def call(self, logits: Any) -> Any:
        """See the class."""
        shares = keras.ops.softmax(logits / self.temperature, axis=-1)
        return keras.ops.matmul(shares, ab_bins.centres() + NEUTRAL)

    def compute_output_shape(self, shape: Any) -> Any:
        """(batch, h, w, 2)."""
        return (*shape[:-1], 2)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="deepcolor")
class HueAndChroma(keras.layers.Layer):
    """The median chroma and the mean hue of their predicted distributions; chroma fades where no hue is likely.

    Input: logits (batch, h, w, 2 n), n bins of chroma, then n of hue. Output: ab (batch, h, w, 2) in 8-bit units. See
    `pipeline.networks.losses.hue_and_chroma`.

    Args:
        largest: the chroma at the end of the last bin.
        fading: chroma is less than the median where the mean of the hues, as points of the unit circle, is less long.
    """

    def __init__(self, largest: float, fading: float, **options: Any) -> None:
        super().__init__(**options)
        self.largest = largest
        self.fading = fading

    def call(self, logits: Any) -> Any:
        """See the class."""
        of_chroma, of_hue = keras.ops.split(logits, 2, axis=-1)
        bins = of_hue.shape[-1]
        shares = keras.ops.softmax(of_chroma, axis=-1)
        below = keras.ops.cumsum(shares, axis=-1) - shares
        median = keras.ops.sum(keras.ops.clip((0.5 - below) / (shares + 1e-7), 0.0, 1.0), axis=-1, keepdims=True)
        angles = (np.arange(bins) + 0.5) * 2 * np.pi / bins
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)
        hue = keras.ops.matmul(keras.ops.softmax(of_hue, axis=-1), circle)
        length = keras.ops.sqrt(keras.ops.sum(hue**2, axis=-1, keepdims=True) + 1e-12)
        chroma = median * (self.largest / bins) * keras.ops.minimum(length / self.fading, 1.0)
        return chroma * hue / length + NEUTRAL

    def compute_output_shape(self, shape: Any) -> Any:
        """(batch, h, w, 2)."""
        return (*shape[:-1], 2)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "largest": self.largest, "fading": self.fading}


@keras.saving.register_keras_serializable(package="deepcolor")
class BilinearUpsampling(keras.layers.Layer):
    """Bilinear upsampling by an even factor as a transposed convolution with a pyramid, its edges repeated.

    Keras' own layer needs to know height and width when it builds a graph.

    Input: (batch, h, w, c). Output: (batch, factor * h, factor * w, c).
    """

    def __init__(self, factor: int, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, picture: Any) -> Any:
        """See the class."""
        factor = self.factor
        picture = keras.ops.concatenate([picture[:, :1], picture, picture[:, -1:]], axis=1)
        picture = keras.ops.concatenate([picture[:, :, :1], picture, picture[:, :, -1:]], axis=2)
        ramp = 1 - np.abs(np.arange(2 * factor) - factor + 0.5) / factor
        kernel = np.multiply.outer(np.multiply.outer(ramp, ramp), np.eye(picture.shape[-1]))
        kernel = keras.ops.cast(kernel, picture.dtype)
        larger = keras.ops.conv_transpose(picture, kernel, strides=factor, padding="same")
        return larger[:, factor:-factor, factor:-factor]

    def compute_output_shape(self, shape: Any) -> Any:
        """(batch, factor * h, factor * w, c)."""
        batch, height, width, channels = shape
        return batch, height and self.factor * height, width and self.factor * width, channels

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}


class DecodedMetric(keras.metrics.Metric):
    """A metric of a prediction after decoding by layers."""

    def __init__(self, metric: keras.metrics.Metric, layers: Sequence[keras.layers.Layer]) -> None:
        super().__init__(name=metric.name)
        self._metric = metric
        self._decode = partial(apply, layers)

    def update_state(self, truth: Any, predicted: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        self._metric.update_state(truth, self._decode(predicted), sample_weight)

    def result(self) -> Any:
        """Return the metric of all batches so far."""
        return self._metric.result()

    def reset_state(self) -> None:
        """Start again without batches."""
        self._metric.reset_state()


def apply(layers: Iterable[keras.layers.Layer], x: Any) -> Any:
    """Pass `x` through the layers in order."""
    return reduce(lambda value, layer: layer(value), layers, x)


def regularizer(l2: float) -> Any:
    """Return Keras' L2 penalty; None for 0."""
    return keras.regularizers.L2(l2) if l2 else None
