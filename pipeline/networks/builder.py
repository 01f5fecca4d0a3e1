"""The networks: one builder for all architectures of `pipeline.networks.notation`."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from pipeline.config.schema import Architecture
from pipeline.networks.layers import FUSION, Fusion, UpsamplingConvolution, regularizer
from pipeline.networks.notation import EMBEDDING_SIZE, Layer, parts, resolve


def build(
    name: str,
    *,
    l2: float = 0.01,
    seed: int = 0,
    start_at: tuple[float, float] = (0.0, 0.0),
    embedding: bool = True,
    architectures: Mapping[str, Architecture] | None = None,
) -> keras.Model:
    """Build a network that predicts ab from L and an embedding.

    Inputs: `L` (batch, H, W, 1), 0..255, integer or float, H and W divisible by 8; `embedding` (batch, 1000).
    Output: ab (batch, H, W, 2), float32, in 8-bit units (0..255, neutral 128; ReLU). Every kernel but that of the
    encoder's last convolution carries the L2 penalty (the paper's listings). The network follows Keras' global dtype
    policy; its last layer works in float32, because bfloat16 cannot tell 128 from 129.

    Args:
        name: one of `ARCHITECTURES` or of `architectures`.
        l2: factor of the sum of squares of the kernels in the loss.
        seed: of the initial weights (Glorot uniform).
        start_at: initial bias of the last layer, (a, b) in 8-bit units.
        embedding: False leaves the embedding out: the only input is `L`, and the first fusion layer is a convolution of
            the encoder alone.
        architectures: more architectures, by name.

    Raises:
        InputError: see `resolve`.

    Source: the DeepColor paper, section 3.1, figures 4 to 11.
    """
    encoder_layers, fusion_layers, decoder_layers = parts(name, resolve(name, architectures))
    seeds = np.random.default_rng(seed)

    def initializer() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=int(seeds.integers(2**31)))

    def convolution(
        layer: Layer, label: str, penalty: float, kind: type[keras.layers.Conv2D] = keras.layers.Conv2D, **options: Any
    ) -> keras.layers.Conv2D:
        return kind(
            layer.filters,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            activation="relu",
            kernel_initializer=initializer(),
            kernel_regularizer=regularizer(penalty),
            name=label,
            **options,
        )

    inputs = [keras.Input((None, None, 1), name="L")]
    x = inputs[0]
    for index, layer in enumerate(encoder_layers, 1):
        x = convolution(layer, f"encoder_{index}", 0.0 if index == len(encoder_layers) else l2)(x)
    if embedding:
        inputs.append(keras.Input((EMBEDDING_SIZE,), name="embedding"))
        x = Fusion(fusion_layers[0].filters, initializer(), l2, name=FUSION)([x, inputs[1]])
    else:
        x = convolution(fusion_layers[0], FUSION, l2)(x)
    for index, layer in enumerate(fusion_layers[1:], 2):
        x = convolution(layer, f"fusion_{index}", l2)(x)
    last = max(index for index, layer in enumerate(decoder_layers) if layer.filters)
    # Which upsamplings are one with the convolution after them.
    joined = [
        not layer.filters and after.filters > 0 and after.kernel % 2 == 1
        for layer, after in pairwise([*decoder_layers, Layer()])
    ]
    for index, layer in enumerate(decoder_layers):
        kind = UpsamplingConvolution if index and joined[index - 1] else keras.layers.Conv2D
        if joined[index]:
            continue  # a part of the next layer
        if not layer.filters:
            x = keras.layers.UpSampling2D(2, name=f"decoder_{index + 1}_upsampling", dtype=x.dtype)(x)
        elif index < last:
            x = convolution(layer, f"decoder_{index + 1}", l2, kind)(x)
        else:
            start = keras.initializers.Constant(np.asarray(start_at, np.float32).tolist())
            x = convolution(layer, "ab", l2, kind, dtype="float32", bias_initializer=start)(x)
    return keras.Model(inputs, x, name=name)


def compile_to_train(model: keras.Model, learning_rate: float) -> None:
    """Compile a network of (batch, H, W, 2) outputs for Adam and the mean squared error, and make all variables."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="mse",
        metrics=[keras.metrics.MeanSquaredError("mse"), keras.metrics.CategoricalAccuracy("accuracy")],
    )
    model.optimizer.build(model.trainable_variables)
    ab = keras.ops.zeros((1, 1, 1, 2))
    model.compute_loss(y=ab, y_pred=ab)
    model.compute_metrics(None, ab, ab)
    model.reset_metrics()


def inputs(model: keras.Model, lightness: Any, embedding: Any) -> list[Any]:
    """What the model takes of L (n, H, W), any number type, and embeddings (n, 1000)."""
    return [lightness[..., None], embedding][: len(model.inputs)]


def halves(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The encoder (from L), and the rest (from the encoder's output and the embedding), with the model's weights.

    Together they are the model; the encoder's part need not be computed again for another embedding. They are copies:
    a model whose layers are part of another one as well cannot be saved.

    Raises:
        ValueError: the model has no embedding.
    """
    if len(model.inputs) != 2:
        raise ValueError("expected a model with an embedding")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    encoded = copy.get_layer(FUSION).input[0]
    return keras.Model(copy.inputs[0], encoded), keras.Model([encoded, copy.inputs[1]], copy.output)
