"""The weights that Zhang et al. released for PyTorch, in the architecture `zhang`.

Source: richzhang/colorization, colorizers/eccv16.py. That network takes (L* - 50) / 100, and its last layer multiplies
the classes' probabilities by their colours, divided by 110.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from pipeline.core import torch_checkpoint
from pipeline.core.errors import InputError
from pipeline.images import ab_bins

_CONVOLUTIONS = (2, 2, 3, 3, 3, 3, 3)  # of the blocks of the encoder
_NAMES = ("weight", "bias", "running_mean", "running_var")
Tensors = Mapping[str, npt.NDArray[np.float32]]


def weights(path: Path) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Return the weights of each layer of the architecture `zhang`, by its name, from a file of theirs.

    Raises:
        InputError: the file cannot be read, or has other tensors.
    """
    try:
        tensors = torch_checkpoint.read(path.read_bytes(), path.name)
        found = {}
        number = 0
        for block, count in enumerate(_CONVOLUTIONS, 1):
            for place in range(count):
                number += 1
                found[f"encoder_{number}"] = _convolution(tensors, f"model{block}.{2 * place}")
            found[f"encoder_{number}_normalised"] = [tensors[f"model{block}.{2 * count}.{each}"] for each in _NAMES]
        found["encoder_1"][0] = found["encoder_1"][0] / np.float32(100)
        order = _order(tensors["model_out.weight"])
        for place in range(4):
            found["raw" if place == 3 else f"decoder_{place + 1}"] = _convolution(tensors, f"model8.{2 * place}")
        found["raw"] = [each[..., order] for each in found["raw"]]
    except OSError as error:
        raise InputError(
            f"{path}: expected a file of weights, received none that can be read ({error.strerror})"
        ) from None
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: expected the weights of Zhang et al.'s network of 2016, received others ({error}); see "
            "docs/family/zhang.md"
        ) from None
    return found


def assign(model: keras.Model, path: Path) -> None:
    """Give a network of the architecture `zhang` the released weights.

    Raises:
        InputError: see `weights`, or the network is another one.
    """
    found = weights(path)
    own = {layer.name: layer for layer in model.layers if layer.weights}
    if own.keys() != found.keys():
        raise InputError(f"{path}: expected a run of the architecture zhang, received {model.name}")
    for name, values in found.items():
        expected = [tuple(weight.shape) for weight in own[name].weights]
        if expected != (received := [each.shape for each in values]):
            raise InputError(f"{path}: expected weights of {name} of the shapes {expected}, received {received}")
        own[name].set_weights(values)


def _convolution(tensors: Tensors, name: str) -> list[npt.NDArray[np.float32]]:
    """Return kernel and bias, with the axes as Keras has them, in transposed convolutions too."""
    return [tensors[f"{name}.weight"].transpose(2, 3, 1, 0), tensors[f"{name}.bias"]]


def _order(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the place of each class in the file, whose last layer has the classes' colours, (2, 313, 1, 1)."""
    theirs = np.rint(colours[:, :, 0, 0].T * 110)
    differences = np.abs(theirs[None] - ab_bins.centres()[:, None]).sum(axis=-1)
    order: npt.NDArray[np.intp] = differences.argmin(axis=1)
    if differences.min(axis=1).any():
        raise ValueError("other colours of the classes")
    return order
