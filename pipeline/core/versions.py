"""What made an artefact: versions of the packages that its bytes depend on."""

import os
import platform
from functools import cache
from importlib.metadata import version

from pipeline import __version__

DECODED_BY = ("numpy", "pillow", "scikit-image")  # other versions may give another picture of the same file
_ARRAYS = ("numcodecs", "numpy", "pillow", "scikit-image", "zarr")
_BACKENDS = {"jax": ("jax", "jaxlib"), "torch": ("torch",)}


@cache
def versions(*, networks: bool = False) -> dict[str, str]:
    """Versions by name: DeepColor, Python, and the packages of array work, or of network work."""
    backend = _BACKENDS.get(os.environ.get("KERAS_BACKEND", ""), ("tensorflow",))
    packages = ("numcodecs", "numpy", "keras", *backend, "zarr") if networks else _ARRAYS
    found = {name: version(name) for name in packages}
    return {"deepcolor": __version__, "python": platform.python_version(), **found}
