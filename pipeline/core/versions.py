"""Versions of the packages that determine an artefact's bytes."""

import os
import platform
from functools import cache
from importlib.metadata import version

from pipeline import __version__

DECODED_BY = ("numpy", "pillow", "scikit-image")  # other versions may decode the same file differently
_ARRAYS = ("numcodecs", "numpy", "pillow", "scikit-image", "zarr")
_BACKENDS = {"jax": ("jax", "jaxlib"), "torch": ("torch",)}


@cache
def versions(*, networks: bool = False) -> dict[str, str]:
    """Return versions by name: DeepColor, Python, and the packages for arrays, or with `networks` for networks."""
    backend = _BACKENDS.get(os.environ.get("KERAS_BACKEND", ""), ("tensorflow",))
    packages = ("numcodecs", "numpy", "keras", *backend, "zarr") if networks else _ARRAYS
    found = {name: version(name) for name in packages}
    return {"deepcolor": __version__, "python": platform.python_version(), **found}
