"""Users' modules that add inputs, heads, embedding networks, baselines or predictors."""

import importlib
import os

from pipeline.core.errors import InputError

VARIABLE = "DEEPCOLOR_PLUGINS"  # names of modules, separated by commas


def load() -> None:
    """Import the modules named in `VARIABLE`, once per process; they call the functions `register`.

    They must not import Keras or TensorFlow at the top, because planning works without.

    Raises:
        InputError: a module cannot be imported.
    """
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            importlib.import_module(name)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{VARIABLE}: cannot import {name!r} ({type(error).__name__}: {error}); put its folder on "
                "PYTHONPATH, or correct the name"
            ) from None
