"""NumPy's files, read by several threads."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_PARSING = threading.Lock()


def memory_mapped(path: Path) -> npt.NDArray[Any]:
    """Memory-map a .npy file, read-only, as `numpy.load` does.

    NumPy lets Python parse the file's header. In CPython 3.11, two threads that do so at a time can fail with a
    SystemError: "AST constructor recursion depth mismatch".
    """
    with _PARSING:
        return np.lib.format.open_memmap(path, mode="r")
