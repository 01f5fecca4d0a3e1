"""Saved models whose bytes depend on the model alone."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from pipeline import architectures, files  # noqa: F401 (registers the layers that a saved model names)

EPOCH = (1980, 1, 1, 0, 0, 0)


def save(model: keras.Model, path: Path) -> None:
    """Write ``.keras`` without what differs between equal models: date, zip times and memory addresses."""
    with files.written_whole(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
        for name in ("metadata.json", "config.json"):
            members[name] = json.dumps(_without_identity(json.loads(members[name])), sort_keys=True).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
        temporary.write_bytes(buffer.getvalue())


def _without_identity(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("date_saved", "shared_object_id")
        return {key: _without_identity(item) for key, item in value.items() if key not in left_out}
    return [_without_identity(item) for item in value] if isinstance(value, list) else value


def load(path: Path) -> keras.Model:
    """Load a saved model; it can hold no code but Keras' layers and ours."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
