"""What a network costs: its weights and operations, counted from the notation without building it."""

from collections.abc import Iterator, Mapping

from pipeline.config.schema import Architecture
from pipeline.config.values import HeadChoice
from pipeline.images.formats import SIZE
from pipeline.networks import inputs
from pipeline.networks.notation import Item, Join, Layer, Normalisation, Parts, input_names, parse, resolve


def _cost(
    parts: Parts, shapes: Mapping[str, inputs.Shape], *, normalised: bool = False, size: int = SIZE
) -> Iterator[tuple[float, float]]:
    """Yield the weights of each layer, and its operations for L of size x size; maps have sizes of their own."""

    def convolution(filters: int, kernel: int, channels: int, side: float, *, plain: bool) -> tuple[float, float]:
        extra = 1 if plain or not normalised else 4  # a bias, or the four vectors of a batch normalisation
        return filters * (kernel**2 * channels + extra), 2 * side * side * kernel**2 * channels * filters

    widths = {name: shape[-1] or 0 for name, shape in shapes.items()}
    pictures = [name for name, shape in shapes.items() if len(shape) == 3 and name not in (*parts.joined, inputs.AB)]
    channels = widths[parts.start] if parts.start else sum(widths[name] for name in pictures)
    vectors = sum(widths[name] for name, shape in shapes.items() if len(shape) == 1 and name != inputs.NOISE)
    side = float(parts.side if parts.start else size)
    if vectors:
        yield parts.fusion[0].filters * vectors, 2.0 * vectors * parts.fusion[0].filters
    if parts.latent:
        width, reach = widths[inputs.AB], size / inputs.REDUCED
        for layer in parts.latent:
            reach /= layer.stride
            yield convolution(layer.filters, layer.kernel, width, reach, plain=False)
            width = layer.filters
        yield convolution(inputs.PRIOR_CHANNELS, 1, channels, side, plain=False)
        for values in (reach**2 * width, side**2 * inputs.PRIOR_CHANNELS):
            yield 2 * inputs.LATENT * (values + 1), 4 * inputs.LATENT * values
        yield side**2 * inputs.WIDTH * (inputs.LATENT + 1), 2 * inputs.LATENT * side**2 * inputs.WIDTH
        channels += inputs.WIDTH
    items: list[Item] = [*parts.encoder, *parts.fusion, *parts.decoder]
    last = max(index for index, item in enumerate(items) if isinstance(item, Layer) and item.filters)
    for index, item in enumerate(items):
        if isinstance(item, Join):
            if item.filters:
                yield convolution(item.filters, 1, widths[item.name], side, plain=False)
            channels += item.filters or widths[item.name]
        elif isinstance(item, Layer) and item.filters:
            side /= item.stride
            fused = index == len(parts.encoder) and vectors > 0
            yield convolution(item.filters, item.kernel, channels, side, plain=fused or index == last)
            channels, side = item.filters, side * item.up
        elif isinstance(item, Normalisation):
            yield 4 * channels, 0.0
        elif isinstance(item, Layer):
            side *= 2


def parameters(name: str, architecture: Architecture, *, embedding: bool, outputs: inputs.Outputs | None = None) -> int:
    """Count the weights of the network that `builder.build` makes: kernels, biases and normalisations.

    Args:
        name: of the architecture, for error messages.
        architecture: the layers.
        embedding: whether it takes the embedding network's outputs.
        outputs: of the embedding network; None: as the inputs are registered.

    Raises:
        InputError: see `parse`.
    """
    shapes = inputs.shapes(input_names(architecture, embedding=embedding), outputs)
    normalised = architecture.normalisation == "batch"
    return int(sum(weights for weights, _ in _cost(parse(name, architecture), shapes, normalised=normalised)))


def forward_flops(
    name: str,
    size: int,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
    head: HeadChoice | None = None,
) -> float:
    """Count the floating-point operations of the forward pass, two per multiply-add, for one image of size x size."""
    architecture = resolve(name, architectures, head)
    cost = _cost(parse(name, architecture), inputs.shapes(architecture.inputs, outputs), size=size)
    return sum(operations for _, operations in cost)
