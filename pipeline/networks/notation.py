"""The architectures, as data.

An architecture is three lines of text, as in the paper's tables: layers separated by spaces, each
``[KxK:]filters[/stride]`` (kernel 3x3 and stride 1 unless said), or ``^`` for a nearest-neighbour upsampling by two.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
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
    """A convolution, or an upsampling by two where `filters` is 0."""

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


def resolve(name: str, more: Mapping[str, Architecture] | None = None) -> Architecture:
    """The architecture of that name, the paper's or one of `more`.

    Raises:
        InputError: there is none, it redefines one of the paper's, or its layers do not fit together.
    """
    clash = sorted(set(more or {}) & set(ARCHITECTURES))
    if clash:
        raise InputError(f"architectures.{clash[0]}: this name is the paper's; give yours another")
    known = {**ARCHITECTURES, **(more or {})}
    if name not in known:
        raise InputError(f"architecture {name!r}: expected one of {', '.join(known)}; add yours under 'architectures:'")
    parts(name, known[name])
    return known[name]


def parts(name: str, architecture: Architecture) -> tuple[list[Layer], list[Layer], list[Layer]]:
    """The layers of encoder, fusion and decoder.

    Raises:
        InputError: the text cannot be read, or the layers do not fit together.
    """
    where = f"architecture {name}"
    if "L" not in architecture.inputs or len(set(architecture.inputs)) < len(architecture.inputs):
        raise InputError(f"{where}, inputs: expected L and others, each once, received {architecture.inputs}")
    for each in architecture.inputs:
        inputs.INPUTS[each]
    encoder = _layers(architecture.encoder, f"{where}, encoder")
    fusion = _layers(architecture.fusion, f"{where}, fusion")
    decoder = _layers(architecture.decoder, f"{where}, decoder")
    if not encoder or not all(layer.filters for layer in encoder):
        raise InputError(f"{where}, encoder: expected convolutions only, received {architecture.encoder!r}")
    if not fusion or fusion[0].kernel != 1 or any(layer.stride != 1 or not layer.filters for layer in fusion):
        raise InputError(
            f"{where}, fusion: expected stride-1 convolutions, the first 1x1, received {architecture.fusion!r}"
        )
    convolutions = [layer for layer in decoder if layer.filters]
    filters = heads.HEADS[architecture.head].filters
    if not convolutions or convolutions[-1].filters != filters or any(layer.stride != 1 for layer in decoder):
        raise InputError(
            f"{where}, decoder: expected stride 1 and {filters} filters in the end, received {architecture.decoder!r}"
        )
    down = math.prod(layer.stride for layer in encoder)
    up = 2 ** sum(not layer.filters for layer in decoder)
    if down != up:
        raise InputError(
            f"{where}: the encoder divides the size by {down}, the decoder multiplies it by {up}; make them equal"
        )
    if down > MULTIPLE:
        raise InputError(
            f"{where}: the encoder divides the size by {down}; expected at most {MULTIPLE}, so that it divides {SIZE}"
        )
    return encoder, fusion, decoder


def input_names(architecture: Architecture, *, embedding: bool) -> tuple[str, ...]:
    """The network's inputs; without those that take the embedding network, unless `embedding`."""
    return tuple(name for name in architecture.inputs if embedding or not inputs.INPUTS[name].stored)


def _widths(names: Sequence[str], outputs: inputs.Outputs | None) -> tuple[int, int]:
    """How many channels come in with L, and how many numbers at the fusion."""
    shapes = inputs.shapes(names, outputs).values()
    of_pictures, of_vectors = (sum(shape[-1] or 0 for shape in shapes if len(shape) == rank) for rank in (3, 1))
    return of_pictures, of_vectors


def parameters(name: str, architecture: Architecture, *, embedding: bool, outputs: inputs.Outputs | None = None) -> int:
    """How many weights `pipeline.networks.builder.build` gives the network: those of kernels and biases.

    Args:
        name: for messages.
        architecture: its layers.
        embedding: whether it takes one.
        outputs: of the embedding network; None: as the inputs are registered.

    Raises:
        InputError: see `parts`.
    """
    encoder, fusion, decoder = parts(name, architecture)
    channels, vectors = _widths(input_names(architecture, embedding=embedding), outputs)
    total = fusion[0].filters * vectors
    for layer in [*encoder, *fusion, *decoder]:
        if layer.filters:
            total += layer.filters * (layer.kernel**2 * channels + 1)
            channels = layer.filters
    return total


def forward_flops(
    name: str,
    size: int,
    architectures: Mapping[str, Architecture] | None = None,
    outputs: inputs.Outputs | None = None,
) -> float:
    """Floating-point operations (two per multiply-add) of one image of size x size pixels, forward."""
    architecture = resolve(name, architectures)
    encoder, fusion, decoder = parts(name, architecture)
    channels, vectors = _widths(architecture.inputs, outputs)
    side, total = float(size), 2.0 * vectors * fusion[0].filters
    for layer in [*encoder, *fusion, *decoder]:
        if not layer.filters:
            side *= 2
            continue
        side /= layer.stride
        total += 2 * side * side * layer.kernel**2 * channels * layer.filters
        channels = layer.filters
    return total
