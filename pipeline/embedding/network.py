"""Embedding networks at work: batches of one size, and where their weights come from."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.config.paths import DatasetFiles
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.embedding import recipe, registry
from pipeline.embedding.registry import Entry
from pipeline.images.lab import UInt8, gray_levels
from pipeline.networks import backend, saving
from pipeline.storage.layouts import VECTOR

Outputs = dict[str, npt.NDArray[np.float32]]

log = logging.getLogger("deepcolor")


class Photograph(keras.layers.Layer):
    """SRGB (batch, H, W, 3) uint8 to what an entry's network takes, (batch, side, side, 3) float32."""

    def __init__(self, entry: Entry, **options: Any) -> None:
        super().__init__(**options)
        self._entry = entry

    def call(self, rgb: Any) -> Any:
        """See `recipe.settings`, key preprocessing, from sRGB on."""
        return self._entry.preprocess(self._resized(keras.ops.cast(rgb, "float32")))

    def _resized(self, levels: Any) -> Any:
        size = (self._entry.side, self._entry.side)
        return keras.ops.image.resize(levels, size, interpolation="bilinear", data_format="channels_last")


class GrayPhotograph(Photograph):
    """L (batch, H, W) uint8 to what an entry's network takes, (batch, side, side, 3) float32."""

    def call(self, lightness: Any) -> Any:
        """See `recipe.settings`, key preprocessing."""
        levels = keras.ops.convert_to_tensor(gray_levels().astype(np.float32))
        gray = keras.ops.expand_dims(keras.ops.take(levels, keras.ops.cast(lightness, "int32")), -1)
        return self._entry.preprocess(keras.ops.concatenate([self._resized(gray)] * 3, axis=-1))


class EmbeddingNetwork:
    """Computes embeddings in batches of one size, so that an image's embedding does not depend on its neighbours.

    Attributes:
        model: from L (batch, H, W) uint8 to a dict of outputs, by name as in `Entry.outputs`.
    """

    def __init__(self, entry: Entry, network: keras.Model, batch_size: int, outputs: Iterable[str] = (VECTOR,)) -> None:
        lightness = keras.Input((None, None), dtype="uint8")
        found = network(GrayPhotograph(entry, dtype="float32")(lightness), training=False)
        named = found if isinstance(found, dict) else {VECTOR: found}
        self.model = keras.Model(lightness, {name: named[name] for name in outputs})
        self._batch_size = batch_size

    def __call__(self, lightness: UInt8) -> Outputs:
        """Outputs (n, ...) float32 by name, of L (n, H, W) uint8."""
        found: dict[str, list[npt.NDArray[np.float32]]] = {}
        for rows, batch in _batches(lightness, self._batch_size):
            for name, values in self.model.predict_on_batch(batch).items():
                found.setdefault(name, []).append(np.asarray(values)[: len(rows)].astype(np.float32))
        return {name: np.concatenate(parts) for name, parts in found.items()}


class FeatureNetwork:
    """Computes features and logits in batches of one size, so that an image's do not depend on its neighbours."""

    def __init__(self, entry: Entry, network: keras.Model, batch_size: int) -> None:
        rgb = keras.Input((None, None, 3), dtype="uint8")
        output = network.output[VECTOR] if isinstance(network.output, dict) else network.output
        both = keras.Model(network.inputs, [network.layers[-1].input, output])
        self._model = keras.Model(rgb, both(Photograph(entry, dtype="float32")(rgb), training=False))
        self._batch_size = batch_size

    def __call__(self, rgb: UInt8) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What the last layer is given, features (n, `Entry.features`) float32, and logits (n, classes).

        Args:
            rgb: (n, H, W, 3) uint8, sRGB; n may be 0.
        """
        features, logits = (np.empty((len(rgb), width), np.float32) for _, width in self._model.output_shape)
        for rows, batch in _batches(rgb, self._batch_size):
            for found, values in zip((features, logits), self._model.predict_on_batch(batch), strict=True):
                found[rows.start : rows.stop] = np.asarray(values)[: len(rows)]
        return features, logits


def _batches(images: UInt8, size: int) -> Iterator[tuple[range, UInt8]]:
    """Rows, and their images as a batch of exactly `size`: the last image is repeated where there are no more."""
    for start in range(0, len(images), size):
        rows = range(start, min(start + size, len(images)))
        padding = [(0, size - len(rows))] + [(0, 0)] * (images.ndim - 1)
        yield rows, np.pad(images[rows.start : rows.stop], padding, mode="edge")


def _facts_of(saved: Path) -> Path:
    return DatasetFiles(saved.parent).network_manifest


def weights_facts(saved: Path) -> dict[str, Any]:
    """What `load` recorded of the weights that it loaded last: their kind and digest."""
    return files.read_json(_facts_of(saved))


def weights_known(embedding: schema.Embedding, saved: Path) -> bool:
    """Whether there is what `load` leaves, whole: the description, and the network where its weights are random."""
    if embedding.weights == "random":
        return _is_saved(recipe.weights(embedding), saved)
    return bool(files.read_if_whole(_facts_of(saved))) and not saved.exists()


def load(embedding: schema.Embedding, saved: Path, outputs: Iterable[str] = (VECTOR,)) -> EmbeddingNetwork:
    """Load, download or make the embedding network that the settings name.

    Args:
        embedding: the settings.
        saved: where a network of random weights is kept, and found again; a JSON file beside it records the weights'
            kind and digest, whatever they are.
        outputs: which of the network's outputs to compute.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    kind = recipe.weights(embedding)
    if embedding.weights == "random":
        network = _random_network(embedding, kind, saved)
    else:
        network = _trained_network(embedding, kind)
        saved.unlink(missing_ok=True)
        files.write_json(_facts_of(saved), kind)
    return EmbeddingNetwork(registry.ENTRIES[embedding.network], network, embedding.batch_size, outputs)


def load_features(embedding: schema.Embedding) -> FeatureNetwork:
    """Load or download the network that the settings name, for features and logits of coloured pictures.

    Args:
        embedding: the settings, with weights that are not random; `activation` and `precision` are the embeddings'
            alone: this network gives logits and computes in float32.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    logits = embedding.model_copy(update={"activation": "logits"})
    with backend.policy("float32"):
        network = _trained_network(logits, recipe.weights(logits))
        return FeatureNetwork(registry.ENTRIES[embedding.network], network, embedding.batch_size)


def build_network(embedding: schema.Embedding, weights: Path | str | None) -> keras.Model:
    """The network that the settings name, with the head that they ask for.

    Args:
        embedding: the settings.
        weights: a file; "imagenet" for the official weights; None leaves the network untrained.
    """
    official = weights if weights == "imagenet" else None
    network = registry.ENTRIES[embedding.network].build(official, embedding.activation)
    if weights and not official:
        network.load_weights(weights)
    return network


def _trained_network(embedding: schema.Embedding, kind: dict[str, Any]) -> keras.Model:
    entry = registry.ENTRIES[embedding.network]
    if kind["weights"] == "file" and entry.weights_md5:
        log.warning(
            "embedding: %s has MD5 %s, the official ImageNet file has %s; its embeddings are named by that digest",
            embedding.weights, kind["md5"], entry.weights_md5,
        )  # fmt: skip
    weights = embedding.weights if embedding.weights == "imagenet" else Path(embedding.weights).expanduser()
    try:
        return build_network(embedding, weights)
    except Exception as error:  # Keras raises bare Exception for a failed download
        raise InputError(_cannot_load(entry, embedding.weights, error)) from error


def _cannot_load(entry: Entry, weights: str, error: Exception) -> str:
    if weights == "imagenet":
        return (
            f"embedding.weights: the ImageNet weights could not be downloaded ({error}); on a machine without network, "
            f"copy {entry.weights_file} there and set embedding.weights to its path"
        )
    expected = f"; expected {entry.weights_file}" if entry.weights_file else ""
    return f"embedding.weights: {weights} does not hold the weights of {entry.label} ({error}){expected}"


def _random_network(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    if not _is_saved(kind, saved):
        with backend.policy("float32"):
            made = _make_random(embedding, kind, saved)
        if keras.config.dtype_policy().name == "float32":
            return made
    return build_network(embedding, saved)


def _is_saved(kind: dict[str, Any], saved: Path) -> bool:
    facts = files.read_if_whole(_facts_of(saved))
    if {key: facts.get(key) for key in kind} != kind or saved.name not in facts.get("files", {}):
        return False
    return not any(files.damaged(saved.parent, facts["files"]))


def _make_random(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    log.info("embedding: making a network with random weights, seed %d", embedding.seed)
    network = build_network(embedding, None)
    randomize(network, embedding.seed)
    calibrate(registry.ENTRIES[embedding.network], network, calibration_images())
    saving.save_weights(network, saved)
    files.write_json(_facts_of(saved), {**kind, "files": {saved.name: files.digest_file(saved)}})
    return network


def calibration_images() -> UInt8:
    """L (n, 224, 224) of sample photographs, spread evenly over all of them."""
    source = open_source(schema.SampleSource(), limit=None, scratch=Path())
    chosen = np.linspace(0, source.n - 1, recipe.CALIBRATION_IMAGES).round().astype(int)
    return np.concatenate([source.read(index, index + 1)[0] for index in chosen])


def randomize(network: keras.Model, seed: int) -> None:
    """Draw all kernels anew (Glorot uniform), the same ones on every backend."""
    draws = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        if variable.name == "kernel":
            *receptive, inputs, outputs = variable.shape
            limit = np.sqrt(6 / (np.prod(receptive, initial=1) * (inputs + outputs)))
            variable.assign(draws.uniform(-limit, limit, variable.shape).astype(np.float32))


def calibrate(entry: Entry, network: keras.Model, lightness: UInt8) -> None:
    """Set the batch-norm statistics to those of these images, L (n, H, W) uint8.

    Without it the logits of a fresh network hardly differ between photographs.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    # Layer by layer, each result kept no longer than another layer wants it: for Inception-ResNet-v2 they take 6 GB
    # together, for 16 images.
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    wanted = Counter(id(tensor) for layer in layers for tensor in keras.tree.flatten(layer.input))
    values = {id(network.inputs[0]): GrayPhotograph(entry, dtype="float32")(lightness)}
    for layer in layers:
        given = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        values[id(layer.output)] = layer(given, training=True)
        for tensor in keras.tree.flatten(layer.input):
            wanted[id(tensor)] -= 1
            if not wanted[id(tensor)]:
                del values[id(tensor)]
