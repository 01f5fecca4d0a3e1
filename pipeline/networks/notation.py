"""The notation of architectures, and the paper's four.

As in the paper's tables, an architecture is three lines of text with layers separated by spaces. A layer is a
convolution, ``[KxK:]filters[/stride]`` with kernel 3x3 and stride 1 by default, or ``^``, a nearest-neighbour
upsampling by two.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture, HeadChoice
from pipeline.core.errors import InputError, about
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE
from pipeline.networks import heads, inputs

_ENCODER_BASE = "64/2 128 128/2 256 256/2 512 512 256"
_DECODER_BASE = "128 ^ 64 ^ 32 16 2 ^"

ARCHITECTURES: dict[str, Architecture] = {
    "base": Architecture(encoder=_ENCODER_BASE, fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch1": Architecture(encoder="64/2 128/2 128/2 256 256 512 256", fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch2": Architecture(encoder="64/2 64/2 64/2 128 256", fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch3": Architecture(encoder="64/2 64/2 32/2 64 64", fusion="1x1:64 3x3:64", decoder="^ 32 ^ 32 16 2 ^"),
}

_LAYER = re.compile(r"(?:(?P<kernel>[1-9])x(?P=kernel):)?(?P<filters>[1-9][0-9]{0,4})(?:/(?P<stride>[12]))?", re.ASCII)


@dataclass(frozen=True)
class Layer:
    """A convolution, or an upsampling by two if `filters` is 0."""

    filters: int = 0
    kernel: int = 3
    stride: int = 1


def _layers(text: str, where: str) -> list[Layer]:
    layers = []
    for item in text.split():
        match = _LAYER.fullmatch(item)
        if item == "^":
            layers.append(Layer())
        elif match:
            layers.append(Layer(int(match["filters"]), int(match["kernel"] or 3), int(match["stride"] or 1)))
        else:
            raise InputError(f"{where}: expected layers like 64, 128/2, 1x1:256 or ^, received {item!r}")
    return layers


def of_run(run: Run, more: Mapping[str, Architecture] | None = None) -> Architecture:
    """Return the architecture of a run, with the run's own head if it has one; raises as `resolve`."""
    return resolve(run.architecture, more, run.head, run.experiment and f"experiments.{run.experiment}")


def resolve(
    name: str, more: Mapping[str, Architecture] | None = None, head: HeadChoice | None = None, experiment: str = ""
) -> Architecture:
    """Return the architecture with that name, one of the paper's or of `more`.

    Args:
        name: of the architecture.
        more: additional architectures, by name.
        head: replaces the architecture's head.
        experiment: where the configuration has the name and the head, for error messages.

    Raises:
        InputError: no architecture has that name, `more` redefines one of the paper's, the head is unknown, or the
            layers do not fit.
    """
    known = {**ARCHITECTURES, **(more or {})}
    with about(experiment and f"{experiment}.architecture"):
        if clash := sorted(set(more or {}) & set(ARCHITECTURES)):
            raise InputError(f"architectures.{clash[0]}: this name is the paper's; choose another name for yours")
        if name not in known:
            raise InputError(
                f"architecture {name!r}: expected one of {', '.join(known)}; add yours under 'architectures:'"
            )
    chosen = heads.choose(head or known[name].head, f"{experiment}.head" if head else f"architectures.{name}.head")
    architecture = known[name].model_copy(update={"head": chosen.choice})
    with about(experiment and f"{experiment}.architecture"):
        parse(name, architecture)
    return architecture


def parse(name: str, architecture: Architecture) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """Return the layers of encoder, fusion and decoder.

    Raises:
        InputError: the text is not in the notation, the layers do not fit together, or an input or the head is unknown.
    """
    where = f"architecture {name}"
    if "L" not in architecture.inputs or len(set(architecture.inputs)) < len(architecture.inputs):
        raise InputError(f"{where}, inputs: expected L and optional others, once each, received {architecture.inputs}")
    for each in architecture.inputs:
        inputs.INPUTS[each]  # raises InputError for an unknown name
    encoder = _layers(architecture.encoder, f"{where}, encoder")
    fusion = _layers(architecture.fusion, f"{where}, fusion")
    decoder = _layers(architecture.decoder, f"{where}, decoder")
    if not encoder or not all(layer.filters for layer in encoder):
        raise InputError(f"{where}, encoder: expected only convolutions, received {architecture.encoder!r}")
    if not fusion or fusion[0].kernel != 1 or any(layer.stride != 1 or not layer.filters for layer in fusion):
        raise InputError(
            f"{where}, fusion: expected stride-1 convolutions, the first 1x1, received {architecture.fusion!r}"
        )
    convolutions = [layer for layer in decoder if layer.filters]
    head = heads.choose(architecture.head)
    if not convolutions or convolutions[-1].filters != head.filters or any(layer.stride != 1 for layer in decoder):
        raise InputError(
            f"{where}, decoder: expected stride 1 and {head.filters} filters at the end, received "
            f"{architecture.decoder!r}; the head is {head.name}"
        )
    down = math.prod(layer.stride for layer in encoder)
    up = 2 ** (len(decoder) - len(convolutions))
    if down != up * head.scale:
        fits = "make them equal"
        if head.scale > 1:
            fits = f"the head {head.name} predicts at 1/{head.scale} of the size, so make it 1/{head.scale} of that"
        raise InputError(f"{where}: the encoder divides the size by {down}, the decoder multiplies it by {up}; {fits}")
    if down > MULTIPLE:
        raise InputError(
            f"{where}: the encoder divides the size by {down}; expected at most {MULTIPLE}, so that it divides {SIZE}"
        )
    return encoder, fusion, decoder


def input_names(architecture: Architecture, *, embedding: bool) -> tuple[str, ...]:
    """Return the names of the network's inputs; without `embedding`, only those that need no embedding network."""
    return tuple(name for name in architecture.inputs if embedding or not inputs.INPUTS[name].stored)


def _widths(names: Sequence[str], outputs: inputs.Outputs | None) -> tuple[int, int]:
    """Return the number of channels that enter the encoder, and of numbers that join in the fusion."""
    shapes = inputs.shapes(names, outputs).values()
    pictures, vectors = (sum(shape[-1] or 0 for shape in shapes if len(shape) == rank) for rank in (3, 1))
    return pictures, vectors


def _convolutions(layers: Iterable[Layer], channels: int, side: float = 1.0) -> Iterator[tuple[Layer, int, float]]:
    """Yield each convolution with the number of its input channels and the side of its output."""
    for layer in layers:
        if not layer.filters:
            side *= 2
            continue
        side /= layer.stride
        yield layer, channels, side
        channels = layer.filters


def parameters(name: str, architecture: Architecture, *, embedding: bool, outputs: inputs.Outputs | None = None) -> int:
    """Count the weights, kernels and biases, of the network that `builder.build` makes.

    Args:
        name: of the architecture, for error messages.
        architecture: the layers.
        embedding: whether it takes the embedding network's outputs.
        outputs: of the embedding network; None: as the inputs are registered.

    Raises:
        InputError: see `parse`.
    """
    encoder, fusion, decoder = parse(name, architecture)
    channels, vectors = _widths(input_names(architecture, embedding=embedding), outputs)
    convolutions = _convolutions(chain(encoder, fusion, decoder), channels)
    return fusion[0].filters * vectors + sum(
        layer.filters * (layer.kernel**2 * channels + 1) for layer, channels, _ in convolutions
    )


def forward_flops(
    name: str,
    size: int,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
    head: HeadChoice | None = None,
) -> float:
    """Count the floating-point operations of the forward pass, two per multiply-add, for one image of size x size."""
    architecture = resolve(name, architectures, head)
    encoder, fusion, decoder = parse(name, architecture)
    channels, vectors = _widths(architecture.inputs, outputs)
    convolutions = _convolutions(chain(encoder, fusion, decoder), channels, size)
    return 2.0 * vectors * fusion[0].filters + sum(
        2 * side * side * layer.kernel**2 * channels * layer.filters for layer, channels, side in convolutions
    )
