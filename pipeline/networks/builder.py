"""The networks: one builder for all architectures of `pipeline.networks.notation`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.networks import backend, heads, inputs
from pipeline.networks.layers import DecodedMetric, Fusion, UpsamplingConvolution, in_a_row, regularizer
from pipeline.networks.notation import Layer, input_names, parts, resolve


def build(
    name: str,
    *,
    l2: float = 0.01,
    seed: int = 0,
    start_at: tuple[float, float] | None = None,
    embedding: bool = True,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
) -> keras.Model:
    """Build a network to be trained: it answers what its head predicts, for the paper's networks ab.

    Its inputs have the names of `pipeline.networks.inputs.INPUTS`: `L` (batch, H, W, 1), 0..255, H and W divisible by
    `lab.MULTIPLE`, and mostly `embedding` (batch, n). Output: (batch, H, W, filters of the head), float32; ab is
    in 8-bit units (0..255, neutral 128; ReLU). Every kernel but that of the encoder's last convolution carries the L2
    penalty (the paper's listings). The network follows Keras' global dtype policy; its last layer works in float32,
    because bfloat16 cannot tell 128 from 129.

    Args:
        name: one of `ARCHITECTURES` or of `architectures`.
        l2: factor of the sum of squares of the kernels in the loss.
        seed: of the initial weights (Glorot uniform).
        start_at: (a, b) in 8-bit units, that the last layer's initial bias stands for; None: it is zeros.
        embedding: False leaves out the inputs that take the embedding network; where no vector is left, the first
            fusion layer is a convolution of the encoder alone.
        architectures: more architectures, by name.
        outputs: of the embedding network; None: as the inputs are registered.

    Raises:
        InputError: see `resolve`.

    Source: the DeepColor paper, section 3.1, figures 4 to 11.
    """
    architecture = resolve(name, architectures)
    encoder, fusion, decoder = parts(name, architecture)
    shapes = inputs.shapes(input_names(architecture, embedding=embedding), outputs)
    given = [keras.Input(shape, dtype=inputs.INPUTS[each].dtype, name=each) for each, shape in shapes.items()]
    pictures, vectors = ([tensor for tensor in given if len(tensor.shape) == rank] for rank in (4, 2))
    make = _Convolutions(l2, np.random.default_rng(seed))
    x = _joined(pictures, "pictures")
    for index, layer in enumerate(encoder, 1):
        x = make(layer, f"encoder_{index}", penalised=index < len(encoder))(x)
    if vectors:
        x = make.fusion(fusion[0], "fusion_1")([x, _joined(vectors, "vectors")])
    else:
        x = make(fusion[0], "fusion_1")(x)
    for index, layer in enumerate(fusion[1:], 2):
        x = make(layer, f"fusion_{index}")(x)
    head = heads.HEADS[architecture.head]
    start = head.start(start_at) if head.start and start_at else [0.0] * head.filters
    return keras.Model(given, _decoded(x, decoder, make, head, start), name=name)


def decoding(head: heads.Head) -> list[keras.layers.Layer]:
    """The layers that bring what a head predicts to ab, in float32."""
    with backend.policy("float32"):
        return list(head.decode()) if head.decode else []


def answering(model: keras.Model, head: heads.Head) -> keras.Model:
    """A network that `build` made with its head's decoding behind it: it answers ab, whatever its head predicts."""
    if head.decode is None:
        return model
    return keras.Model(model.inputs, in_a_row(decoding(head))(model.output), name=model.name)


def repeats(model: keras.Model) -> bool:
    """Whether a network that answers ab gives every 2x2 pixels one value: no convolution follows an upsampling."""
    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.Conv2D):
            break
        if isinstance(layer, keras.layers.UpSampling2D):
            return bool(layer.interpolation == "nearest")
    return False


def trained(
    run: Run,
    weights: Path,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
) -> keras.Model:
    """The network of a run with its trained weights, which answers ab; the last arguments are those of `build`."""
    model = build(
        run.architecture, l2=float(run.l2), embedding=run.embedding, architectures=architectures, outputs=outputs
    )
    model.load_weights(weights)
    return answering(model, heads.HEADS[resolve(run.architecture, architectures).head])


def _joined(tensors: Sequence[Any], label: str) -> Any:
    return keras.layers.Concatenate(name=label)(tensors) if len(tensors) > 1 else tensors[0]


@dataclass
class _Convolutions:
    """Makes layers, whose kernels are drawn in the order of the calls."""

    l2: float
    seeds: np.random.Generator

    def __call__(
        self,
        layer: Layer,
        label: str,
        *,
        penalised: bool = True,
        activation: str = "relu",
        kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
        **options: Any,
    ) -> keras.layers.Conv2D:
        return kind(
            layer.filters,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            activation=activation,
            kernel_initializer=self._initializer(),
            kernel_regularizer=regularizer(self.l2 if penalised else 0.0),
            name=label,
            **options,
        )

    def fusion(self, layer: Layer, label: str) -> Fusion:
        return Fusion(layer.filters, self._initializer(), self.l2, name=label)

    def _initializer(self) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=int(self.seeds.integers(2**31)))


def _decoded(x: Any, layers: Sequence[Layer], make: _Convolutions, head: heads.Head, start: Sequence[float]) -> Any:
    last = max(index for index, layer in enumerate(layers) if layer.filters)
    # Which upsamplings are one with the convolution after them.
    joined = [
        not layer.filters and after.filters > 0 and after.kernel % 2 == 1
        for layer, after in pairwise([*layers, Layer()])
    ]
    for index, layer in enumerate(layers):
        kind = UpsamplingConvolution if index and joined[index - 1] else keras.layers.Conv2D
        if joined[index]:
            continue  # a part of the next layer
        if not layer.filters:
            x = keras.layers.UpSampling2D(2, name=f"decoder_{index + 1}_upsampling", dtype=x.dtype)(x)
        elif index < last:
            x = make(layer, f"decoder_{index + 1}", kind=kind)(x)
        else:
            bias = keras.initializers.Constant(np.asarray(start, np.float32).tolist())
            label = "raw" if head.decode else "ab"
            x = make(layer, label, activation=head.activation, kind=kind, dtype="float32", bias_initializer=bias)(x)
    return x


def compile_to_train(model: keras.Model, head: heads.Head, learning_rate: float) -> None:
    """Compile a network that `build` made for Adam and its head's loss, and make all variables.

    The metrics, `mse` and `accuracy`, are those of ab, whatever the head predicts.
    """
    metrics = [keras.metrics.MeanSquaredError("mse"), keras.metrics.CategoricalAccuracy("accuracy")]
    if head.decode:
        metrics = [DecodedMetric(metric, decoding(head)) for metric in metrics]
    model.compile(keras.optimizers.Adam(learning_rate), head.loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    predicted = keras.ops.zeros((1, 1, 1, head.filters))
    ab = in_a_row(decoding(head))(predicted)
    model.compute_loss(y=ab, y_pred=predicted)
    model.compute_metrics(None, ab, predicted)
    model.reset_metrics()
