"""Building colouring networks from the architectures of `pipeline.networks.notation`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.images.formats import SIZE
from pipeline.networks import backend, inputs
from pipeline.networks.assembly import Convolutions, Decoder, concatenated, encoded, scaled, with_latent
from pipeline.networks.heads import NO_TEMPERATURE, Head, check_temperature, choose
from pipeline.networks.layers import AnnealedMean, BilinearUpsampling, DecodedMetric, apply
from pipeline.networks.notation import input_names, of_run, parse, resolve


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
        shapes.update({each: (SIZE, SIZE, shape[-1]) for each, shape in shapes.items() if shape[:-1] == (None, None)})
    tensors = {each: keras.Input(shape, dtype=inputs.INPUTS[each].dtype, name=each) for each, shape in shapes.items()}
    drawn = {inputs.AB, inputs.NOISE}
    vectors = [tensor for each, tensor in tensors.items() if len(tensor.shape) == 2 and each not in drawn]
    pictures = [
        scaled(tensor, architecture.lightness) if each == "L" else tensor
        for each, tensor in tensors.items()
        if len(tensor.shape) == 4 and each not in {*parts.joined, *drawn}
    ]
    convolutions = Convolutions(
        l2,
        np.random.default_rng(seed),
        normalised=architecture.normalisation == "batch",
        symmetric=architecture.padding == "symmetric",
    )
    x = encoded(concatenated(pictures, "pictures"), parts.encoder, convolutions)
    if architecture.latent:
        x = with_latent(x, tensors, parts, architecture.latent.weight, convolutions)
    if vectors:
        x = convolutions.fusion(parts.fusion[0], "fusion_1")([x, concatenated(vectors, "vectors")])
    for index, layer in enumerate(parts.fusion[bool(vectors) :], 1 + bool(vectors)):
        x = convolutions(layer, f"fusion_{index}")(x)
    head = head or choose(architecture.head)
    bias = head.start(start_at) if head.start and start_at else [0.0] * head.filters
    decoder = Decoder(convolutions, tensors, architecture.upsampling)
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
