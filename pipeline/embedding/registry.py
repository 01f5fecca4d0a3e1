"""The embedding networks by name: what is known of each without loading Keras.

A network of your own is an `Entry` that is given to `register`, for example by a module that DEEPCOLOR_PLUGINS names.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.registry import Registry
from pipeline.storage.layouts import VECTOR, StoreLayout, embeddings

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Entry:
    """An embedding network.

    Attributes:
        name: in configurations and in the name of a metric.
        label: for people.
        build: the network, given "imagenet" for its official weights or None for untrained ones, and "logits" or
            "softmax". It takes (batch, side, side, 3) float32 and gives the embedding (batch, n), or a dict of all
            `outputs`. Imports Keras when called.
        preprocess: from sRGB levels 0..255 (batch, side, side, 3) float32 to what the network takes, in `keras.ops`.
        preprocessing: `preprocess` in words, which a store of embeddings records: change them together.
        side: height and width of what the network takes, in pixels.
        outputs: shape of one image's entry by name; `VECTOR` comes first, others are maps (height, width, channels).
        flops: floating-point operations of one image, forward.
        parameters: number of weights.
        licence: what is known of that of the official weights, in a sentence; empty where there are none.
        weights_file: name of the file with the official weights; empty where there are none.
        weights_md5: its MD5.
        features: how many numbers the last layer is given, where the network tells the classes of ImageNet apart and
            can measure recognition; else 0.
        recorded: the name that stores and runs record, if it is not `name`.
    """

    name: str
    label: str
    build: Callable[[str | None, str], "keras.Model"]
    preprocess: Callable[[Any], Any]
    preprocessing: str
    side: int
    outputs: Mapping[str, tuple[int, ...]] = field(hash=False)
    flops: float
    parameters: int
    licence: str = ""
    weights_file: str = ""
    weights_md5: str = ""
    features: int = 0
    recorded: str = ""

    @property
    def size(self) -> int:
        """How many numbers an embedding has."""
        return self.outputs[VECTOR][0]

    @property
    def record(self) -> str:
        """The name that stores and runs record."""
        return self.recorded or self.name

    def layout(self, outputs: Iterable[str] = (VECTOR,)) -> StoreLayout:
        """The store of some of its outputs."""
        return embeddings({name: self.outputs[name] for name in outputs})

    def bytes_per_image(self, outputs: Iterable[str] = (VECTOR,)) -> int:
        """What one image takes in that store, uncompressed."""
        return sum(np.dtype(array.dtype).itemsize * math.prod(array.row) for array in self.layout(outputs).arrays)


ENTRIES: Registry[Entry] = Registry("embedding network", "embedding.network")


def register(entry: Entry) -> None:
    """Add an embedding network; `embedding.network` of a configuration may then name it.

    Raises:
        InputError: its first output is not a vector named `VECTOR`, or another network has its name.
    """
    if next(iter(entry.outputs), None) != VECTOR or len(entry.outputs[VECTOR]) != 1:
        raise InputError(f"embedding network {entry.name}: expected the vector {VECTOR!r} as the first output")
    if find(entry.record) not in (None, entry):
        raise InputError(
            f"embedding network {entry.name}: another one is recorded as {entry.record!r}; choose a different name"
        )
    ENTRIES.register(entry)


def find(record: str) -> Entry | None:
    """The embedding network that stores and runs record by that name; None if it is not known here."""
    return next((entry for entry in ENTRIES.values() if entry.record == record), None)


def of_record(settings: Mapping[str, Any]) -> Entry:
    """The embedding network that a store of embeddings, or a run, says it was made with.

    Raises:
        InputError: it is not known here.
        KeyError: nothing is said of it.
    """
    name = settings["network"]
    if (entry := find(name)) is None:
        known = ", ".join(entry.record for entry in ENTRIES.values())
        raise InputError(
            f"embedding network {name!r}: expected one of {known}; name the module that registers it in "
            "DEEPCOLOR_PLUGINS"
        )
    return entry


def _inception_resnet_v2(weights: str | None, activation: str) -> "keras.Model":
    import keras

    head = None if activation == "logits" else activation
    return keras.applications.InceptionResNetV2(weights=weights, classifier_activation=head)


register(
    Entry(
        name="inception_resnet_v2",
        label="Inception-ResNet-v2",
        build=_inception_resnet_v2,
        preprocess=lambda levels: levels / 127.5 - 1.0,
        preprocessing="x / 127.5 - 1 (Keras' preprocess_input)",
        side=299,
        outputs={VECTOR: (1000,)},
        flops=26e9,
        parameters=55_873_736,
        licence="Keras' documentation named the Apache licence for them; ImageNet gives its photographs for "
        "non-commercial research and education.",
        weights_file="inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
        weights_md5="e693bd0210a403b3192acc6073ad2e96",  # as in Keras' own source
        features=1536,  # after its global average pooling
        recorded="InceptionResNetV2",
    )
)
