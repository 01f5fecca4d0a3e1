"""Taking over the weights of a saved network into another network of the same architecture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from pipeline.config.paths import ResultFiles
from pipeline.config.start import KEY, is_released, model_file
from pipeline.config.yaml_files import read_yaml
from pipeline.core import files
from pipeline.core.conflicts import differing
from pipeline.core.errors import InputError, about
from pipeline.networks import builder, released, saving
from pipeline.networks.heads import Head

# What a layer's answers depend on besides its weights.
_DECISIVE = ("strides", "activation", "interpolation", "size")
# Settings of embeddings that change at most the last bits, or concern only their store.
_IMMATERIAL = {"precision", "batch_size", "images_per_shard"}


def load(start_from: str, model: keras.Model, head: Head, embedding: Mapping[str, Any]) -> keras.Model:
    """Load the saved network that `training.start_from` names.

    Args:
        start_from: "shipped", the folder of the saved network, or a .pth file; see `pipeline.networks.released`.
        model: the network to train, as `builder.build` returns it; not changed.
        head: of `model`.
        embedding: the settings of the embeddings that `model` is trained on; empty if it reads none.

    Raises:
        InputError: the file is damaged, the network differs from `model`, or it was trained on other embeddings.
    """
    path = model_file(start_from)
    if is_released(start_from):
        saved = builder.with_decoding(keras.models.clone_model(model), head)
        with about(KEY):
            released.assign(saved, path)
        return saved
    try:
        files.refuse_changed(path)
        saved = saving.load(path)
    except InputError as error:
        raise InputError(f"{KEY}: {error}") from None
    if others := differing(_parts(saved), _parts(builder.with_decoding(model, head)), between="expected "):
        raise InputError(
            f"{KEY}: expected a saved network of the architecture, the inputs and the head of {model.name}, received "
            f"{path}, which differs in {len(others)} inputs or layers ({others[0]}); name another folder, or set null"
        )
    record = ResultFiles(path.parent).record
    if embedding and record.exists():
        before = _material(read_yaml(record).get("embedding") or {})
        if others := differing(before, _material(embedding), between="expected "):
            raise InputError(
                f"{KEY}: expected a network that was trained on the embeddings of this run, received {path}, trained "
                f"on others ({'; '.join(others)}); change embedding, or set null"
            )
    return saved


def _material(embedding: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in embedding.items() if key not in _IMMATERIAL}


def assign(model: keras.Model, saved: keras.Model) -> None:
    """Give a network from `builder.build`, with or without its decoding, the weights of a saved one."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(saved.get_layer(layer.name).get_weights())


def keep_statistics(model: keras.Model) -> None:
    """Let training leave batch normalisations as they are, because a few photographs have no statistics for them."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def restored(model: keras.Model, path: Path) -> keras.Model:
    """Give a network the weights of a saved one in a file, and return it."""
    assign(model, saving.load(path))
    return model


def _parts(model: keras.Model) -> dict[str, str]:
    """Return the inputs and layers of a network in words, by name."""
    inputs = {tensor.name: f"an input {tuple(tensor.shape[1:])}" for tensor in model.inputs}
    return {**{layer.name: _part(layer) for layer in model.layers}, **inputs}


def _part(layer: keras.layers.Layer) -> str:
    settings = layer.get_config()
    options = [f"{key} {settings[key]}" for key in _DECISIVE if key in settings]
    shapes = [str(tuple(weight.shape)) for weight in layer.weights]
    return ", ".join([type(layer).__name__, *options, *shapes])
