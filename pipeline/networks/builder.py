"""Building colouring networks from the architectures of `pipeline.networks.notation`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.images.formats import SIZE
from pipeline.networks import backend, inputs
from pipeline.networks.heads import NO_TEMPERATURE, Head, check_temperature, choose
from pipeline.networks.layers import (
    AnnealedMean,
    BilinearUpsampling,
    DecodedMetric,
    Fusion,
    UpsamplingConvolution,
    apply,
    regularizer,
)
from pipeline.networks.notation import Dropout, Item, Join, Layer, input_names, of_run, parse, resolve

MOMENTUM = 0.97  # of batch normalisations' statistics: they cover some 30 batches, because small datasets have few


def build(
    name: str,
    *,
    l2: float = 0.01,
    seed: int = 0,
    start_at: tuple[float, float] | None = None,
    embedding: bool = True,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
    head: Head | None = None,
) -> keras.Model:
    """Build a network for training, which returns its head's prediction; `with_decoding` adds the decoding to ab.

    Its inputs are named as in `pipeline.networks.inputs.INPUTS`: `L` (batch, H, W, 1), 0..255, H and W divisible by
    `lab.MULTIPLE`, and usually `embedding` (batch, n). Output: (batch, H, W, filters of the head), float32; with the
    paper's head, ab in 8-bit units (0..255, neutral 128; ReLU). Every kernel except that of the encoder's last
    convolution has the L2 penalty, as in the paper's listings. The network follows Keras' global dtype policy, but its
    last layer computes in float32, because bfloat16 cannot tell 128 from 129.

    Args:
        name: one of `ARCHITECTURES` or of `architectures`.
        l2: factor of the sum of squares of the kernels in the loss.
        seed: of the initial kernels (Glorot uniform).
        start_at: the mean (a, b) in 8-bit units from which the head computes the last initial bias; None for zeros.
        embedding: whether to include inputs that read the embedding network's outputs. If no vector remains, the first
            fusion layer is a convolution of the encoder's output alone.
        architectures: additional architectures, by name.
        outputs: of the embedding network; None: as the inputs are registered.
        head: replaces the architecture's.

    Raises:
        InputError: see `resolve`.

    Source: the DeepColor paper, section 3.1, figures 4 to 11.
    """
    architecture = resolve(name, architectures, head.choice if head else None)
    parts = parse(name, architecture)
    shapes = inputs.shapes(input_names(architecture, embedding=embedding), outputs)
    if parts.start or parts.joined:
        shapes["L"] = (SIZE, SIZE, 1)
    tensors = {each: keras.Input(shape, dtype=inputs.INPUTS[each].dtype, name=each) for each, shape in shapes.items()}
    vectors = [tensor for tensor in tensors.values() if len(tensor.shape) == 2]
    pictures = [tensor for each, tensor in tensors.items() if len(tensor.shape) == 4 and each not in parts.joined]
    normalised = architecture.normalisation == "batch"
    convolutions = _Convolutions(l2, np.random.default_rng(seed), normalised=normalised)
    x = _concatenated(pictures, "pictures")
    for index, layer in enumerate(parts.encoder, 1):
        x = convolutions(layer, f"encoder_{index}", penalised=index < len(parts.encoder))(x)
    if vectors:
        x = convolutions.fusion(parts.fusion[0], "fusion_1")([x, _concatenated(vectors, "vectors")])
    else:
        x = convolutions(parts.fusion[0], "fusion_1")(x)
    for index, layer in enumerate(parts.fusion[1:], 2):
        x = convolutions(layer, f"fusion_{index}")(x)
    head = head or choose(architecture.head)
    bias = head.start(start_at) if head.start and start_at else [0.0] * head.filters
    decoder = _Decoder(convolutions, tensors, architecture.upsampling)
    return keras.Model([*tensors.values()], decoder(x, parts.decoder, head, bias), name=name)


def decoding(head: Head) -> list[keras.layers.Layer]:
    """Make the layers that turn the head's prediction into ab, in float32."""
    with backend.policy("float32"):
        return list(head.decode()) if head.decode else []


def with_decoding(model: keras.Model, head: Head) -> keras.Model:
    """Append the head's decoding to a network from `build`, so that it returns ab (batch, H, W, 2) in 8-bit units."""
    if head.decode is None:
        return model
    return keras.Model(model.inputs, apply(decoding(head), model.output), name=model.name)


def repeats(model: keras.Model) -> bool:
    """Whether a network that returns ab predicts one value per 2x2 pixels: it ends with a nearest-neighbour upsampling.

    Layers other than convolutions may follow the upsampling.
    """
    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.Conv2D):
            break
        if isinstance(layer, BilinearUpsampling):
            break
        if isinstance(layer, keras.layers.UpSampling2D):
            return bool(layer.interpolation == "nearest")
    return False


def before_upsampling(model: keras.Model) -> tuple[keras.Model, int] | None:
    """Return a network that returns ab without the bilinear upsampling at its end, and the factor; None without one."""
    last = model.layers[-1]
    if not isinstance(last, BilinearUpsampling):
        return None
    return keras.Model(model.inputs, last.input, name=model.name), last.factor


def trained(
    run: Run,
    weights: Path,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
    temperature: float | None = None,
) -> keras.Model:
    """Build a run's network with its trained weights, which returns ab.

    For the other arguments see `build`; `temperature` replaces the head's.
    """
    head = choose(of_run(run, architectures).head)
    options: dict[str, Any] = {"architectures": architectures, "outputs": outputs, "head": head}
    model = build(run.architecture, l2=float(run.l2), embedding=run.embedding, **options)
    model.load_weights(weights)
    return with_temperature(with_decoding(model, head), temperature, "evaluation.temperature")


def with_temperature(model: keras.Model, temperature: float | None, key: str) -> keras.Model:
    """Set the temperature at which a network that was not used yet decodes its classes; None changes nothing.

    Raises:
        InputError: the network predicts no classes, or the temperature is out of range; `key` names the setting.
    """
    if temperature is None:
        return model
    check_temperature(temperature, key)
    decoding = [layer for layer in model.layers if isinstance(layer, AnnealedMean)]
    if not decoding:
        raise InputError(f"{key}: {NO_TEMPERATURE}")
    for layer in decoding:
        layer.temperature = temperature
    return model


def _concatenated(tensors: Sequence[Any], label: str) -> Any:
    return keras.layers.Concatenate(name=label)(tensors) if len(tensors) > 1 else tensors[0]


@dataclass
class _Convolutions:
    """Makes layers and draws their kernels' seeds in the order of the calls."""

    l2: float
    seeds: np.random.Generator
    normalised: bool = False

    def __call__(
        self,
        layer: Layer,
        label: str,
        *,
        penalised: bool = True,
        activation: str = "relu",
        kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
        last: bool = False,
        **options: Any,
    ) -> Callable[[Any], Any]:
        normalised = self.normalised and not last
        convolution = kind(
            layer.filters,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            activation="linear" if normalised else activation,
            use_bias=not normalised,
            kernel_initializer=self._initializer(),
            kernel_regularizer=regularizer(self.l2 if penalised else 0.0),
            name=label,
            **options,
        )
        layers = (
            [convolution]
            if not normalised
            else [
                convolution,
                keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{label}_normalisation"),
                keras.layers.Activation(activation, name=f"{label}_{activation}"),
            ]
        )
        return lambda x: apply(layers, x)

    def seed(self) -> int:
        """Draw the seed of a layer."""
        return int(self.seeds.integers(2**31))

    def fusion(self, layer: Layer, label: str) -> Fusion:
        return Fusion(layer.filters, self._initializer(), self.l2, name=label)

    def _initializer(self) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=self.seed())


@dataclass
class _Decoder:
    """Makes the decoder's layers."""

    convolutions: _Convolutions
    tensors: Mapping[str, Any]
    upsampling: str

    def __call__(self, x: Any, items: Sequence[Item], head: Head, bias: Sequence[float]) -> Any:
        last = max(index for index, item in enumerate(items) if isinstance(item, Layer) and item.filters)
        included = [self._includes(*pair) for pair in pairwise([*items, Layer()])]
        for index, item in enumerate(items):
            label = f"decoder_{index + 1}"
            kind = UpsamplingConvolution if index and included[index - 1] else keras.layers.Conv2D
            if included[index]:
                continue
            if isinstance(item, Join):
                x = keras.layers.Concatenate(name=f"{label}_join")([x, self._joined(item, x)])
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
        upsampling = isinstance(item, Layer) and not item.filters and self.upsampling == "nearest"
        return upsampling and isinstance(following, Layer) and following.filters > 0 and following.kernel % 2 == 1

    def _joined(self, item: Join, x: Any) -> Any:
        """Return an input as it joins `x`."""
        joined = self.tensors[item.name]
        if item.name == "L":
            joined = keras.layers.Rescaling(1 / 127.5, -1.0, name="L_scaled", dtype="float32")(joined)
        if (factor := joined.shape[1] // x.shape[1]) > 1:
            joined = keras.layers.AveragePooling2D(factor, name=f"{item.name}_reduced", dtype="float32")(joined)
        return self.convolutions(Layer(item.filters, 1), f"{item.name}_joined")(joined) if item.filters else joined


def compile_to_train(model: keras.Model, head: Head, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile a network from `build` with its head's loss, and make all variables.

    The metrics `mse` and `accuracy` measure ab for every head.
    """
    metrics = [keras.metrics.MeanSquaredError("mse"), keras.metrics.CategoricalAccuracy("accuracy")]
    if head.decode:
        metrics = [DecodedMetric(metric, decoding(head)) for metric in metrics]
    model.compile(optimizer, head.loss, metrics=metrics)
    model.optimizer.build(model.trainable_variables)
    prediction = keras.ops.zeros((1, 1, 1, head.filters))
    ab = apply(decoding(head), prediction)
    model.compute_loss(y=ab, y_pred=prediction)
    model.compute_metrics(None, ab, prediction)
    model.reset_metrics()
