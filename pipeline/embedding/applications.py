"""The networks of `keras.applications`, as a table: what planning needs to know of each without loading Keras.

``applications.csv`` holds one row per network:

- ``name`` in configurations, ``function`` in `keras.applications`;
- ``side`` height and width of its input in pixels, ``preprocessing`` one of `PREPROCESSING`;
- ``parameters``, ``flops`` of convolutions and dense layers for one image, two per multiply-add;
- ``features`` the inputs of its last dense layer; 0 where the last layer is not dense;
- ``weights_file`` and ``digest`` (algorithm and value) as Keras knows them; no digest where Keras has none;
- ``maps`` its feature maps: side, layer and channels of each.

``tests/embedding/test_applications.py`` compares the table with Keras.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # of B, G and R over ImageNet
_TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of R, G and B
_TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)

# What `keras.applications.imagenet_utils.preprocess_input` does by mode, in words.
PREPROCESSING = {
    "none": "sRGB levels as they are; the network scales them itself",
    "tf": "x / 127.5 - 1",
    "torch": "x / 255, less ImageNet's mean, over its standard deviation, by channel",
    "caffe": "channels in the order B, G, R, less ImageNet's mean of each",
}


def preprocess(mode: str, levels: Any) -> Any:
    """Prepare sRGB levels 0..255 (batch, side, side, 3) float32 by one of the modes of `PREPROCESSING`."""
    if mode == "tf":
        return levels / 127.5 - 1.0
    if mode == "torch":
        return (levels / 255.0 - _TORCH_MEAN) / _TORCH_STD
    if mode == "caffe":
        return levels[..., ::-1] - _CAFFE_MEAN
    return levels


@dataclass(frozen=True)
class Application:
    """A row of the table; `maps` gives the layer and the shape of each feature map by its name."""

    name: str
    function: str
    side: int
    preprocessing: str
    parameters: int
    flops: float
    features: int
    weights_file: str
    digest: tuple[str, str] | None
    maps: Mapping[str, tuple[str, tuple[int, int, int]]]

    def build(self, weights: str | None, activation: str) -> "keras.Model":
        """The network, from preprocessed images to a dict of the embedding and the maps.

        Args:
            weights: "imagenet" for the official weights, None for untrained ones.
            activation: of the embedding, "logits" or "softmax".
        """
        import keras

        head = None if activation == "logits" else activation
        make = getattr(keras.applications, self.function)
        network = make(weights=weights, classifier_activation=head, input_shape=(self.side, self.side, 3))
        maps = {name: network.get_layer(layer).output for name, (layer, _) in self.maps.items()}
        return keras.Model(network.inputs, {"embedding": network.output, **maps}, name=self.name)


def _application(row: Mapping[str, str]) -> Application:
    algorithm, _, value = row["digest"].partition(":")
    maps = {}
    for each in row["maps"].split():
        side, layer, channels = each.split(":")
        maps[f"map_{side}"] = (layer, (int(side), int(side), int(channels)))
    return Application(
        name=row["name"],
        function=row["function"],
        side=int(row["side"]),
        preprocessing=row["preprocessing"],
        parameters=int(row["parameters"]),
        flops=float(row["flops"]),
        features=int(row["features"]),
        weights_file=row["weights_file"],
        digest=(algorithm, value) if value else None,
        maps=maps,
    )


def applications() -> list[Application]:
    """Read the table."""
    text = resources.files("pipeline.embedding").joinpath("applications.csv").read_text("utf-8")
    return [_application(row) for row in csv.DictReader(text.splitlines())]
