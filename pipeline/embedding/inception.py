"""Keras' Inception-ResNet-v2 with its 1000-way head: embeddings of gray photographs, and features of coloured ones."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.embedding import recipe
from pipeline.images.lab import UInt8, gray_levels
from pipeline.networks import backend, saving

SIDE = 299
MOSTLY_CONSTANT = 0.05

log = logging.getLogger("deepcolor")


class GrayPhotograph(keras.layers.Layer):
    """L (batch, H, W) uint8 to the network's input (batch, 299, 299, 3) float32 in -1..1."""

    def call(self, lightness: Any) -> Any:
        """See `recipe.PREPROCESSING`."""
        levels = keras.ops.convert_to_tensor(gray_levels().astype(np.float32))
        gray = keras.ops.expand_dims(keras.ops.take(levels, keras.ops.cast(lightness, "int32")), -1)
        return keras.ops.concatenate([_scaled(gray)] * 3, axis=-1)


class Photograph(keras.layers.Layer):
    """SRGB (batch, H, W, 3) uint8 to the network's input (batch, 299, 299, 3) float32 in -1..1."""

    def call(self, rgb: Any) -> Any:
        """See `recipe.PREPROCESSING`, from sRGB on."""
        return _scaled(keras.ops.cast(rgb, "float32"))


def _scaled(levels: Any) -> Any:
    """Levels 0..255 (batch, H, W, channels) float32 as the network takes them, in -1..1 and at its size."""
    resized = keras.ops.image.resize(levels, (SIDE, SIDE), interpolation="bilinear", data_format="channels_last")
    return resized / 127.5 - 1.0


class EmbeddingNetwork:
    """Computes embeddings in batches of one size, so that an image's embedding does not depend on its neighbours.

    Attributes:
        model: from L (batch, H, W) uint8 to embeddings (batch, 1000).
    """

    def __init__(self, network: keras.Model, batch_size: int) -> None:
        lightness = keras.Input((None, None), dtype="uint8")
        gray = GrayPhotograph(dtype="float32")(lightness)
        self.model = keras.Model(lightness, network(gray, training=False))
        self._batch_size = batch_size

    def __call__(self, lightness: UInt8) -> npt.NDArray[np.float32]:
        """Embeddings (n, 1000) float32 of L (n, H, W) uint8."""
        found = []
        for rows, batch in _batches(lightness, self._batch_size):
            embeddings = self.model.predict_on_batch(batch)
            found.append(np.asarray(embeddings)[: len(rows)].astype(np.float32))
        return np.concatenate(found)


class FeatureNetwork:
    """Computes features and logits in batches of one size, so that an image's do not depend on its neighbours."""

    def __init__(self, network: keras.Model, batch_size: int) -> None:
        rgb = keras.Input((None, None, 3), dtype="uint8")
        both = keras.Model(network.inputs, [network.layers[-1].input, network.output])
        self._model = keras.Model(rgb, both(Photograph(dtype="float32")(rgb), training=False))
        self._batch_size = batch_size

    def __call__(self, rgb: UInt8) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What the last layer is given, features (n, 1536) float32, averaged over the picture, and logits (n, 1000).

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


def weights_facts(saved: Path) -> dict[str, Any]:
    """What `load` recorded of the weights that it loaded last: their kind and digest."""
    return files.read_json(_description(saved))


def weights_known(embedding: schema.Embedding, saved: Path) -> bool:
    """Whether there is what `load` leaves, whole: the description, and the network where its weights are random."""
    if embedding.weights == "random":
        return _is_saved(recipe.weights(embedding), saved)
    return bool(files.read_if_whole(_description(saved))) and not saved.exists()


def _description(saved: Path) -> Path:
    return saved.with_name(saved.name.removesuffix(".weights.h5") + ".json")


def load(embedding: schema.Embedding, saved: Path) -> EmbeddingNetwork:
    """Load, download or make the embedding network that the settings name.

    Args:
        embedding: the settings.
        saved: where a network of random weights is kept, and found again; a JSON file beside it tells the weights'
            kind and digest, whatever they are.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    kind = recipe.weights(embedding)
    if embedding.weights == "random":
        return EmbeddingNetwork(_random_network(embedding, kind, saved), embedding.batch_size)
    network = _trained_network(embedding, kind)
    saved.unlink(missing_ok=True)
    files.write_json(_description(saved), kind)
    return EmbeddingNetwork(network, embedding.batch_size)


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
        return FeatureNetwork(_trained_network(logits, recipe.weights(logits)), embedding.batch_size)


def _trained_network(embedding: schema.Embedding, kind: dict[str, Any]) -> keras.Model:
    if kind["weights"] == "file":
        log.warning(
            "embedding: %s has MD5 %s, the official ImageNet file has %s; its embeddings are named by that digest",
            embedding.weights, kind["md5"], recipe.OFFICIAL_MD5,
        )  # fmt: skip
    weights = embedding.weights if embedding.weights == "imagenet" else str(Path(embedding.weights).expanduser())
    try:
        return build_network(embedding, weights)
    except Exception as error:  # Keras raises bare Exception for a failed download
        raise InputError(_cannot_load(embedding.weights, error)) from error


def build_network(embedding: schema.Embedding, weights: str | None) -> keras.Model:
    """Inception-ResNet-v2 with the head that the settings ask for; weights: `imagenet`, a file's path, or None."""
    activation = None if embedding.activation == "logits" else "softmax"
    return keras.applications.InceptionResNetV2(weights=weights, classifier_activation=activation)


def _cannot_load(weights: str, error: Exception) -> str:
    if weights == "imagenet":
        return (
            f"embedding.weights: the ImageNet weights could not be downloaded ({error}); on a machine without network, "
            f"copy {recipe.OFFICIAL_FILE} there and set embedding.weights to its path"
        )
    return (
        f"embedding.weights: {weights} does not hold the weights of Inception-ResNet-v2 with its 1000-way head "
        f"({error}); expected {recipe.OFFICIAL_FILE}"
    )


def _random_network(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    if not _is_saved(kind, saved):
        with backend.policy("float32"):
            made = _make_random(embedding, kind, saved)
        if keras.config.dtype_policy().name == "float32":
            return made
    network = build_network(embedding, None)
    network.load_weights(saved)
    return network


def _is_saved(kind: dict[str, Any], saved: Path) -> bool:
    facts = files.read_if_whole(_description(saved))
    if {key: facts.get(key) for key in kind} != kind or saved.name not in facts.get("files", {}):
        return False
    return not any(files.damaged(saved.parent, facts["files"]))


def _make_random(embedding: schema.Embedding, kind: dict[str, Any], saved: Path) -> keras.Model:
    log.info("embedding: making a network with random weights, seed %d", embedding.seed)
    network = build_network(embedding, None)
    randomize(network, embedding.seed)
    calibrate(network, calibration_images())
    saving.save_weights(network, saved)
    files.write_json(_description(saved), {**kind, "files": {saved.name: files.digest_file(saved)}})
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


def calibrate(network: keras.Model, lightness: UInt8) -> None:
    """Set the batch-norm statistics to those of these images, L (n, H, W) uint8.

    Without it the logits of a fresh network hardly differ between photographs.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    # Layer by layer, each result kept no longer than another layer wants it: together they take 6 GB for 16 images.
    first, *layers = network.layers
    wanted = Counter(id(tensor) for layer in layers for tensor in keras.tree.flatten(layer.input))
    values = {id(first.output): GrayPhotograph(dtype="float32")(lightness)}
    for layer in layers:
        given = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        values[id(layer.output)] = layer(given, training=True)
        for tensor in keras.tree.flatten(layer.input):
            wanted[id(tensor)] -= 1
            if not wanted[id(tensor)]:
                del values[id(tensor)]


def spread(embeddings: npt.NDArray[np.float32]) -> dict[str, float]:
    """How much embeddings (n, 1000) differ between images.

    Returns:
        ``std``: standard deviation over images, mean over features; ``relative``: that, divided by the root mean
        square of all values; ``effective_rank``: exp of the entropy of the normalised singular values of the centred
        embeddings (Roy and Vetterli 2007), 1 where all differences lie on one line.
    """
    values = embeddings.astype(np.float64)
    centred = values - values.mean(axis=0)
    std = float(centred.std(axis=0).mean())
    rms = float(np.sqrt(np.mean(values**2)))
    singular = np.linalg.svd(centred, compute_uv=False)
    share = singular[singular > 0] / max(singular.sum(), np.finfo(float).tiny)
    return {
        "std": std,
        "relative": std / rms if rms else 0.0,
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())),
    }
