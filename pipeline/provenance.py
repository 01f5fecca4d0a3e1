"""What made an artefact: versions of the packages that its bytes depend on."""

import platform
from functools import cache
from importlib.metadata import version

from pipeline import __version__

_ARRAYS = ("numpy", "pillow", "scikit-image", "zarr")
_NETWORKS = ("numpy", "keras", "tensorflow", "zarr")


@cache
def versions(*, networks: bool = False) -> dict[str, str]:
    """Versions by name: DeepColor, Python, and the packages of array work, or of network work."""
    packages = _NETWORKS if networks else _ARRAYS
    found = {name: version(name) for name in packages}
    return {"deepcolor": __version__, "python": platform.python_version(), **found}
