"""Modules of one's own that add to what DeepColor knows: inputs, heads, embedding networks, baselines."""

import importlib
import os

from pipeline.core.errors import InputError

VARIABLE = "DEEPCOLOR_PLUGINS"  # names of modules, separated by commas


def load() -> None:
    """Import the modules that the environment names, each once per process; they call the functions `register`.

    They import neither Keras nor TensorFlow themselves, only the functions in them: planning goes without.

    Raises:
        InputError: one cannot be imported.
    """
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            importlib.import_module(name)
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{VARIABLE}: cannot import {name!r} ({reason}); put its folder on PYTHONPATH, or correct the name"
            ) from None
