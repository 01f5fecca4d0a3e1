"""Saving networks as files whose bytes depend only on the network, and loading nothing else."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.config import runs
from pipeline.config.paths import ResultFiles
from pipeline.config.yaml_files import read_yaml
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.networks import builder, heads  # `builder` registers the layers that a saved model names

EPOCH = (1980, 1, 1, 0, 0, 0)
MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
LARGEST_CONFIG = 2**24  # bytes
# Module and class of all parts of networks, apart from heads' decodings. Nothing else is loaded, because loading other
# objects that Keras can name may run code.
PARTS = {
    (None, "__keras_tensor__"),
    ("keras", "DTypePolicy"),
    ("keras.initializers", "Constant"),
    ("keras.initializers", "GlorotUniform"),
    ("keras.initializers", "Ones"),
    ("keras.initializers", "Zeros"),
    ("keras.layers", "Activation"),
    ("keras.layers", "AveragePooling2D"),
    ("keras.layers", "BatchNormalization"),
    ("keras.layers", "Concatenate"),
    ("keras.layers", "Conv2D"),
    ("keras.layers", "Conv2DTranspose"),
    ("keras.layers", "Dense"),
    ("keras.layers", "Flatten"),
    ("keras.layers", "InputLayer"),
    ("keras.layers", "Rescaling"),
    ("keras.layers", "Reshape"),
    ("keras.layers", "SpatialDropout2D"),
    ("keras.layers", "UpSampling2D"),
    ("keras.layers", "ZeroPadding2D"),
    ("keras.regularizers", "L2"),
    ("keras.src.models.functional", "Functional"),
    ("pipeline.networks.latent", "Latent"),
    ("pipeline.networks.layers", "Fusion"),
    ("pipeline.networks.layers", "UpsamplingConvolution"),
    ("pipeline.architectures", "Fusion"),  # the name in versions before 0.2
    ("pipeline.architectures", "UpsamplingConvolution"),
}


class _Memory(io.BytesIO):
    """A file in memory with the name of one on disk, from which Keras takes the format.

    If the disk fills up while HDF5 itself writes to it, the process crashes or hangs.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __str__(self) -> str:
        return self._name


def finite(model: keras.Model) -> bool:
    """Return whether all weights and other variables of a network are finite numbers."""
    return all(np.isfinite(keras.ops.convert_to_numpy(variable)).all() for variable in model.variables)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights as ``.weights.h5``, completely or not at all."""
    content = _Memory(path.name)
    model.save_weights(content)
    files.write_bytes(path, content.getbuffer())


def save(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` file without the dates and memory addresses that differ between equal models."""
    saved = _Memory(path.name)
    model.save(saved)
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    for name in ("metadata.json", "config.json"):
        members[name] = json.dumps(json.loads(members[name], object_hook=_without_identity), sort_keys=True).encode()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), member)
    files.write_bytes(path, content.getbuffer())


def _without_identity(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in ("date_saved", "shared_object_id")}


def _parts(config: str | bytes) -> set[tuple[Any, Any]]:
    """Return module and class of every object that loading this JSON text would create."""
    parts = set()

    def add(item: dict[str, Any]) -> dict[str, Any]:
        if "class_name" in item:
            parts.add((item.get("module"), item["class_name"]))
        return item

    json.loads(config, object_hook=add)
    return parts


def _allowed() -> set[tuple[Any, Any]]:
    """Return `PARTS` and the parts of all registered heads' decodings."""
    decodings = [layer for head in heads.HEADS.values() for layer in builder.decoding(head)]
    return PARTS | _parts(json.dumps([keras.saving.serialize_keras_object(layer) for layer in decodings]))


def load(path: Path) -> keras.Model:
    """Load a network that `save` wrote.

    Raises:
        InputError: the file is damaged, contains anything that is not part of a network, or its training diverged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if names := set(archive.namelist()) ^ MEMBERS:
                raise ValueError(f"other files ({', '.join(sorted(names))})")
            if (size := archive.getinfo("config.json").file_size) > LARGEST_CONFIG:
                raise ValueError(f"a config.json of {size} bytes")
            if other := _parts(archive.read("config.json")) - _allowed():
                raise ValueError(", ".join(f"{module}.{name}" for module, name in sorted(other, key=str)))
    except (OSError, ValueError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected a network that DeepColor saved, received {error}; use a model.keras of your own runs"
        ) from None
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    record = ResultFiles(path.parent).record
    if not finite(model) or (record.exists() and runs.diverged(read_yaml(record))):
        raise InputError(f"{path}: {runs.DIVERGED}")
    return model
