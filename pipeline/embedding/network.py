"""Running embedding networks in batches of one size, and loading or making their weights."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.config.paths import DatasetFiles
from pipeline.config.sources import SampleSource
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.embedding import recipe
from pipeline.embedding.registry import ENTRIES, Entry
from pipeline.images.lab import UInt8, gray_levels
from pipeline.networks import backend, saving
from pipeline.storage.layouts import VECTOR

Outputs = dict[str, npt.NDArray[np.float32]]

log = logging.getLogger("deepcolor")


class Photograph(keras.layers.Layer):
    """Turns sRGB (batch, H, W, 3) uint8 into an embedding network's input, (batch, side, side, 3) float32."""

    def __init__(self, entry: Entry, **options: Any) -> None:
        super().__init__(**options)
        self._entry = entry

    def call(self, rgb: Any) -> Any:
        """Resize and preprocess; see key preprocessing of `recipe.recognition`."""
        return self._entry.preprocess(self._resized(keras.ops.cast(rgb, "float32")))

    def _resized(self, levels: Any) -> Any:
        size = (self._entry.side, self._entry.side)
        return keras.ops.image.resize(levels, size, interpolation="bilinear", data_format="channels_last")


class GrayPhotograph(Photograph):
    """Turns L (batch, H, W) uint8 into an embedding network's input, (batch, side, side, 3) float32."""

    def call(self, lightness: Any) -> Any:
        """Convert to gray sRGB, resize and preprocess; see key preprocessing of `recipe.settings`."""
        levels = keras.ops.convert_to_tensor(gray_levels().astype(np.float32))
        gray = keras.ops.expand_dims(keras.ops.take(levels, keras.ops.cast(lightness, "int32")), -1)
        return self._entry.preprocess(keras.ops.concatenate([self._resized(gray)] * 3, axis=-1))


class EmbeddingNetwork:
    """Computes embeddings in batches of one size, so that an embedding does not depend on the other images.

    Attributes:
        model: maps L (batch, H, W) uint8 to a dict of outputs, named as in `Entry.outputs`.
    """

    def __init__(self, entry: Entry, network: keras.Model, batch_size: int, outputs: Iterable[str] = (VECTOR,)) -> None:
        lightness = keras.Input((None, None), dtype="uint8")
        computed = network(GrayPhotograph(entry, dtype="float32")(lightness), training=False)
        by_name = computed if isinstance(computed, dict) else {VECTOR: computed}
        self.model = keras.Model(lightness, {name: by_name[name] for name in outputs})
        self._batch_size = batch_size

    def __call__(self, lightness: UInt8) -> Outputs:
        """Compute the outputs (n, ...) float32, by name, for L (n, H, W) uint8."""
        return _in_batches(self.model, lightness, self._batch_size)


class FeatureNetwork:
    """Computes features and logits in batches of one size, so that they do not depend on the other images."""

    def __init__(self, entry: Entry, network: keras.Model, batch_size: int) -> None:
        rgb = keras.Input((None, None, 3), dtype="uint8")
        output = network.output[VECTOR] if isinstance(network.output, dict) else network.output
        both = keras.Model(network.inputs, {"features": network.layers[-1].input, "logits": output})
        self._model = keras.Model(rgb, both(Photograph(entry, dtype="float32")(rgb), training=False))
        self._batch_size = batch_size

    def __call__(self, rgb: UInt8) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Compute the last layer's input, features (n, `Entry.features`) float32, and the logits (n, classes) float32.

        Args:
            rgb: (n, H, W, 3) uint8, sRGB; n may be 0.
        """
        computed = _in_batches(self._model, rgb, self._batch_size)
        return computed["features"], computed["logits"]


def _in_batches(model: keras.Model, images: UInt8, size: int) -> Outputs:
    """Compute a model's outputs by name; the last batch is filled up with copies of the last image."""
    computed = {name: np.empty((len(images), *each.shape[1:]), np.float32) for name, each in model.output.items()}
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        padding = [(0, size - len(batch))] + [(0, 0)] * (images.ndim - 1)
        for name, values in model.predict_on_batch(np.pad(batch, padding, mode="edge")).items():
            computed[name][start : start + size] = np.asarray(values)[: len(batch)]
    return computed


def _weights_manifest(saved: Path) -> Path:
    return DatasetFiles(saved.parent).network_manifest


def weights_facts(saved: Path) -> dict[str, Any]:
    """Read what `load` last recorded of the weights: their kind and digest."""
    return files.read_json(_weights_manifest(saved))


def weights_known(embedding: schema.Embedding, saved: Path) -> bool:
    """Whether the files of `load` are complete: the record of the weights, and the network if they are random."""
    if embedding.weights == "random":
        return _is_saved(recipe.weights(embedding), saved)
    return bool(files.read_if_whole(_weights_manifest(saved))) and not saved.exists()


def load(embedding: schema.Embedding, saved: Path, outputs: Iterable[str] = (VECTOR,)) -> EmbeddingNetwork:
    """Load, download or make the embedding network that the settings name.

    Args:
        embedding: the settings.
        saved: file in which random weights are kept. A JSON file beside it records kind and digest of all weights.
        outputs: which of the network's outputs to compute.

    Raises:
        InputError: the weights are not available or do not fit.
    """
    kind = recipe.weights(embedding)
    if embedding.weights == "random":
        network = _random_network(embedding, kind, saved)
    else:
        network = _trained_network(embedding, kind)
        saved.unlink(missing_ok=True)
        files.write_json(_weights_manifest(saved), kind)
    return EmbeddingNetwork(ENTRIES[embedding.network], network, embedding.batch_size, outputs)


def load_features(embedding: schema.Embedding) -> FeatureNetwork:
    """Load or download the network that the settings name, for features and logits of coloured pictures.

    Args:
        embedding: the settings, with weights that are not random. `activation` and `precision` are ignored: this
            network returns logits and computes in float32.

    Raises:
        InputError: the weights are not available or do not fit.
    """
    logits = embedding.model_copy(update={"activation": "logits"})
    with backend.policy("float32"):
        network = _trained_network(logits, recipe.weights(logits))
        return FeatureNetwork(ENTRIES[embedding.network], network, embedding.batch_size)


def build_network(embedding: schema.Embedding, weights: Path | str | None) -> keras.Model:
    """Build the network that the settings name, with the activation that they name.

    Args:
        embedding: the settings.
        weights: a file; "imagenet" for the official weights; None for untrained weights.
    """
    official = weights if weights == "imagenet" else None
    network = ENTRIES[embedding.network].build(official, embedding.activation)
    if weights and not official:
        network.load_weights(weights)
    return network


def _trained_network(embedding: schema.Embedding, kind: dict[str, Any]) -> keras.Model:
    entry = ENTRIES[embedding.network]
    if kind["weights"] == "file" and entry.weights_digest:
        algorithm, official = entry.weights_digest
        log.warning(
            "embedding: %s has %s %s, but the official ImageNet file has %s; the embeddings are recorded with its own",
            embedding.weights, algorithm.upper(), kind[algorithm], official,
        )  # fmt: skip
    downloaded = embedding.weights == "imagenet"
    try:
        return build_network(embedding, "imagenet" if downloaded else Path(embedding.weights).expanduser())
    except InputError:
        raise
    except Exception as error:  # Keras raises bare Exception for a failed download
        if downloaded:
            reason = (
                f"the ImageNet weights could not be downloaded ({error}); on a machine without internet access, copy "
                f"{entry.weights_file} there and set embedding.weights to its path"
            )
        else:
            expected = f"; expected {entry.weights_file}" if entry.weights_file else ""
            reason = f"{embedding.weights} does not contain the weights of {entry.label} ({error}){expected}"
        raise InputError(f"embedding.weights: {reason}") from error


def _random_network(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    if not _is_saved(kind, saved):
        with backend.policy("float32"):
            network = _make_random(embedding, kind, saved)
        if keras.config.dtype_policy().name == "float32":
            return network
    return build_network(embedding, saved)


def _is_saved(kind: dict[str, Any], saved: Path) -> bool:
    facts = files.read_if_whole(_weights_manifest(saved))
    if {key: facts.get(key) for key in kind} != kind or saved.name not in facts.get("files", {}):
        return False
    return not any(files.damaged(saved.parent, facts["files"]))


def _make_random(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    log.info("embedding: making a network with random weights, seed %d", embedding.seed)
    network = build_network(embedding, None)
    randomize(network, embedding.seed)
    calibrate(ENTRIES[embedding.network], network, calibration_images())
    saving.save_weights(network, saved)
    files.write_json(_weights_manifest(saved), {**kind, "files": {saved.name: files.digest_file(saved)}})
    return network


def calibration_images() -> UInt8:
    """Return L (n, 224, 224) of sample photographs, spread evenly over all of them."""
    source = open_source(SampleSource(), limit=None, scratch=Path())
    rows = np.linspace(0, source.n - 1, recipe.CALIBRATION_IMAGES).round().astype(int)
    return np.concatenate([source.read(row, row + 1)[0] for row in rows])


def randomize(network: keras.Model, seed: int) -> None:
    """Draw all kernels anew (Glorot uniform), with the same values on every backend."""
    generator = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        if variable.name == "kernel":
            *receptive, inputs, outputs = variable.shape
            limit = np.sqrt(6 / (np.prod(receptive, initial=1) * (inputs + outputs)))
            variable.assign(generator.uniform(-limit, limit, variable.shape).astype(np.float32))


def calibrate(entry: Entry, network: keras.Model, lightness: UInt8) -> None:
    """Set the batch-norm statistics to those of these images, L (n, H, W) uint8.

    Without this, the logits of a fresh network hardly differ between photographs.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    # The network runs layer by layer, and a result is dropped after its last use: with 16 images, all results of
    # Inception-ResNet-v2 together take 6 GB.
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    uses = Counter(id(tensor) for layer in layers for tensor in keras.tree.flatten(layer.input))
    values = {id(network.inputs[0]): GrayPhotograph(entry, dtype="float32")(lightness)}
    for layer in layers:
        arguments = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        values[id(layer.output)] = layer(arguments, training=True)
        for tensor in keras.tree.flatten(layer.input):
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                del values[id(tensor)]
