"""The notation of architectures.

As in the paper's tables, an architecture is three lines of text with layers separated by spaces. A layer is a
convolution, ``[KxK:]filters[/stride]`` with kernel 3x3 and stride 1 by default, dilated in ``filters@rate``, transposed
with stride 2 in ``filters^``; ``^``, an upsampling by two; or ``|``, a batch normalisation. In the decoder,
``+name[:filters]`` concatenates an input, after a 1x1 convolution if filters are given, and ``~rate`` drops whole
channels during training.

An architecture can decode feature maps of the embedding network instead of encoding L: its encoder is empty, and the
one map that the decoder does not join enters the fusion. L is then 224x224, and where it joins, it is reduced to the
size there.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.config.values import HeadChoice
from pipeline.core.errors import InputError, about
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE
from pipeline.networks import heads, inputs
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.inputs import AB, NOISE

_JOIN = re.compile(r"\+(?P<name>[A-Za-z][A-Za-z0-9_]*)(?::(?P<filters>[1-9][0-9]{0,4}))?", re.ASCII)
_DROPOUT = re.compile(r"~(?P<rate>0?\.[0-9]{1,4})", re.ASCII)
_LAYER = re.compile(
    r"(?:(?P<kernel>[1-9])x(?P=kernel):)?(?P<filters>[1-9][0-9]{0,4})"
    r"(?:/(?P<stride>[12])|@(?P<dilation>[1-9])|(?P<transposed>\^))?",
    re.ASCII,
)


_NUMBERS = (("filters", 0), ("kernel", 3), ("stride", 1), ("dilation", 1))


@dataclass(frozen=True)
class Layer:
    """A convolution, or an upsampling by two if `filters` is 0; a transposed convolution has stride 2 upwards."""

    filters: int = 0
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    transposed: bool = False

    @property
    def up(self) -> int:
        """By what it multiplies height and width."""
        return 1 if self.filters and not self.transposed else 2


@dataclass(frozen=True)
class Normalisation:
    """A batch normalisation of what the layer before it returns."""


@dataclass(frozen=True)
class Join:
    """The concatenation of an input, after a 1x1 convolution unless `filters` is 0."""

    name: str
    filters: int = 0


@dataclass(frozen=True)
class Dropout:
    """The dropout of whole channels."""

    rate: float


Item = Layer | Normalisation | Join | Dropout


@dataclass(frozen=True)
class Parts:
    """An architecture, parsed.

    Attributes:
        encoder: convolutions of L and other pictures; empty if the network decodes feature maps.
        fusion: convolutions; the first one also takes the vectors. Empty only without vectors.
        decoder: the remaining layers.
        start: the feature map that enters the fusion if there is no encoder; otherwise empty.
        side: of the fusion's pictures, for L of `SIZE` x `SIZE`.
        latent: convolutions of ab, from which the latent variables are inferred; empty without any.
    """

    encoder: list[Item]
    fusion: list[Layer]
    decoder: list[Item]
    start: str
    side: int
    latent: list[Layer]

    @property
    def joined(self) -> list[str]:
        """The inputs that join in the decoder."""
        return [item.name for item in self.decoder if isinstance(item, Join)]


def layers(items: Sequence[Item]) -> list[Layer]:
    """Return the convolutions and upsamplings."""
    return [item for item in items if isinstance(item, Layer)]


def _items(text: str, where: str, *, joins: bool = True) -> list[Item]:
    items: list[Item] = []
    for item in text.split():
        if item == "^":
            items.append(Layer())
        elif match := _LAYER.fullmatch(item):
            filters, kernel, stride, dilation = (int(match[name] or default) for name, default in _NUMBERS)
            items.append(Layer(filters, kernel, stride, dilation, match["transposed"] is not None))
        elif item == "|":
            items.append(Normalisation())
        elif joins and (match := _JOIN.fullmatch(item)):
            items.append(Join(match["name"], int(match["filters"] or 0)))
        elif joins and (match := _DROPOUT.fullmatch(item)):
            items.append(Dropout(float(match["rate"])))
        else:
            more = ", 4x4:256^, +map_14:64 or ~0.2" if joins else ""
            raise InputError(f"{where}: expected layers like 64, 128/2, 1x1:256, ^{more}, received {item!r}")
    return items


def of_run(run: Run, more: Mapping[str, Architecture] | None = None) -> Architecture:
    """Return the architecture of a run, with the run's own head if it has one; raises as `resolve`."""
    architecture = resolve(run.architecture, more, run.head, run.experiment and f"experiments.{run.experiment}")
    input_names(architecture, embedding=run.embedding)
    return architecture


def resolve(
    name: str, more: Mapping[str, Architecture] | None = None, head: HeadChoice | None = None, experiment: str = ""
) -> Architecture:
    """Return the architecture with that name, built-in or one of `more`.

    Args:
        name: of the architecture.
        more: additional architectures, by name.
        head: replaces the architecture's head.
        experiment: where the configuration has the name and the head, for error messages.

    Raises:
        InputError: no architecture has that name, `more` redefines a built-in one, the head is unknown, or the
            layers do not fit.
    """
    known = {**ARCHITECTURES, **(more or {})}
    with about(experiment and f"{experiment}.architecture"):
        if clash := sorted(set(more or {}) & set(ARCHITECTURES)):
            raise InputError(f"architectures.{clash[0]}: this name is taken; choose another name for yours")
        if name not in known:
            raise InputError(
                f"architecture {name!r}: expected one of {', '.join(known)}; add yours under 'architectures:'"
            )
    chosen = heads.choose(head or known[name].head, f"{experiment}.head" if head else f"architectures.{name}.head")
    architecture = known[name].model_copy(update={"head": chosen.choice})
    with about(experiment and f"{experiment}.architecture"):
        parse(name, architecture)
    return architecture


def parse(name: str, architecture: Architecture) -> Parts:
    """Return the layers of encoder, fusion and decoder.

    Raises:
        InputError: the text is not in the notation, the layers do not fit together, or an input or the head is unknown.
    """
    where = f"architecture {name}"
    if "L" not in architecture.inputs or len(set(architecture.inputs)) < len(architecture.inputs):
        raise InputError(f"{where}, inputs: expected L and optional others, once each, received {architecture.inputs}")
    for each in architecture.inputs:
        inputs.INPUTS[each]  # raises InputError for an unknown name
    encoder = _items(architecture.encoder, f"{where}, encoder", joins=False)
    fusion = _items(architecture.fusion, f"{where}, fusion", joins=False)
    decoder = _items(architecture.decoder, f"{where}, decoder")
    if any(layer.up > 1 for layer in layers(encoder)) or not (encoder or any(map(_side, architecture.inputs))):
        raise InputError(f"{where}, encoder: expected only convolutions, received {architecture.encoder!r}")
    vectors = [name for name in architecture.inputs if len(inputs.INPUTS[name].shape) == 1 and name != NOISE]
    plain = [layer for layer in layers(fusion) if layer.stride == layer.up == layer.dilation == 1]
    if len(plain) < len(fusion) or (plain and plain[0].kernel != 1) or (vectors and not plain):
        raise InputError(
            f"{where}, fusion: expected stride-1 convolutions, the first 1x1, received {architecture.fusion!r}"
        )
    convolutions = [layer for layer in layers(decoder) if layer.filters]
    head = heads.choose(architecture.head)
    if (
        not convolutions
        or convolutions[-1].filters != head.filters
        or convolutions[-1].transposed
        or any(layer.stride != 1 for layer in layers(decoder))
    ):
        raise InputError(
            f"{where}, decoder: expected stride 1 and {head.filters} filters at the end, received "
            f"{architecture.decoder!r}; the head is {head.name}"
        )
    start = _start(where, architecture, encoder, decoder)
    down = math.prod(layer.stride for layer in layers(encoder))
    side = _side(start) if start else SIZE // down
    up = math.prod(layer.up for layer in layers(decoder))
    if side * up * head.scale != SIZE:
        fits = f"expected {SIZE // head.scale}x{SIZE // head.scale}"
        if head.scale > 1:
            fits += f", because the head {head.name} predicts at 1/{head.scale} of the size"
        origin = f"the encoder divides {SIZE}x{SIZE} by {down}" if encoder else f"{start} has {side}x{side}"
        raise InputError(f"{where}: {origin}, the decoder multiplies that by {up}; {fits}")
    if down > MULTIPLE:
        raise InputError(
            f"{where}: the encoder divides the size by {down}; expected at most {MULTIPLE}, so that it divides {SIZE}"
        )
    _check_joins(where, decoder, side)
    return Parts(encoder, plain, decoder, start, side, _latent(where, architecture, start))


def _side(name: str) -> int:
    """Return the side of an input that is a picture of a fixed size, or 0."""
    shape = inputs.INPUTS[name].shape
    return (shape[0] or 0) if len(shape) == 3 else 0


def _latent(where: str, architecture: Architecture, start: str) -> list[Layer]:
    """Return the convolutions from which the latent variables are inferred; none without any."""
    if missing := {AB, NOISE} - {*architecture.inputs}:
        if architecture.latent or len(missing) == 1:
            raise InputError(
                f"{where}, latent: expected it with the inputs {AB} and {NOISE}, or none of them, received the inputs "
                f"{', '.join(architecture.inputs)}"
            )
        return []
    items = _items(architecture.latent.encoder, f"{where}, latent.encoder", joins=False) if architecture.latent else []
    if not start or not items or any(layer.up > 1 for layer in layers(items)) or len(layers(items)) < len(items):
        raise InputError(
            f"{where}, latent: expected convolutions of ab in a network that decodes feature maps, received "
            f"{architecture.latent and architecture.latent.encoder!r}"
        )
    return layers(items)


def _start(where: str, architecture: Architecture, encoder: Sequence[Item], decoder: Sequence[Item]) -> str:
    """Return the feature map that enters the fusion; empty if the encoder does."""
    joined = [item.name for item in decoder if isinstance(item, Join)]
    unknown = sorted(set(joined) - set(architecture.inputs))
    if unknown or len(set(joined)) < len(joined):
        raise InputError(
            f"{where}, decoder: expected joins of its inputs ({', '.join(architecture.inputs)}), each once, received "
            f"{', '.join(unknown) or repr(architecture.decoder)}"
        )
    maps = [name for name in architecture.inputs if _side(name) and name not in joined]
    if encoder and not maps:
        return ""
    if not encoder and len(maps) == 1 and "L" in joined:
        return maps[0]
    raise InputError(
        f"{where}: expected an encoder and a join of each feature map, or no encoder, a join of L and of all feature "
        f"maps but one; not joined: {', '.join(maps) or 'none'}"
    )


def _check_joins(where: str, decoder: Sequence[Item], side: int) -> None:
    for item in decoder:
        if isinstance(item, Layer):
            side *= item.up
        elif isinstance(item, Join) and item.name != "L" and _side(item.name) != side:
            raise InputError(
                f"{where}, decoder: {item.name} joins at {side}x{side}; expected where the size is its own, "
                f"{_side(item.name)}x{_side(item.name)}"
            )


def input_names(architecture: Architecture, *, embedding: bool) -> tuple[str, ...]:
    """Return the names of the network's inputs; without `embedding`, only those that need no embedding network.

    Raises:
        InputError: the network decodes feature maps, which it cannot do without the embedding network.
    """
    if not embedding and (maps := [name for name in architecture.inputs if _side(name)]):
        raise InputError(
            "a run without the embedding network: expected an architecture without feature maps, received one with "
            f"{', '.join(maps)}; leave out _noembed, or embedding: false"
        )
    return tuple(name for name in architecture.inputs if embedding or not inputs.INPUTS[name].stored)
