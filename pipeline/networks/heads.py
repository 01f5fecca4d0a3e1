"""Heads: what a network predicts, how that is compared with the truth, and its way back to ab.

A head of your own is a `Head` that is given to `register`, for example by a module that DEEPCOLOR_PLUGINS names; an
architecture takes it by naming it under `head`. This module never imports Keras.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.registry import Registry

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Head:
    """What comes last in a network.

    Attributes:
        name: in architectures.
        filters: channels of the last convolution.
        activation: of the last convolution, by Keras' name.
        loss: Keras' name of a loss, or a function of the true ab (batch, H, W, 2), 0..255, and of what the last layer
            answers, in `keras.ops`.
        decode: makes the Keras layers, in a row, that bring that answer to ab (batch, H, W, 2) in 8-bit units; training
            goes without them, a saved network ends with them. Give them names, and leave resizing to
            ``keras.layers.UpSampling2D``. None where the answer is ab.
        start: from the mean (a, b) of the training images to the initial bias of the last convolution; None: zeros.
    """

    name: str
    filters: int
    activation: str
    loss: str | Callable[[Any, Any], Any]
    decode: Callable[[], Sequence["keras.layers.Layer"]] | None = None
    start: Callable[[tuple[float, float]], Sequence[float]] | None = None


HEADS: Registry[Head] = Registry("head", "architectures.*.head")
register = HEADS.register

# The paper's.
register(Head("regression", filters=2, activation="relu", loss="mse", start=lambda mean_ab: mean_ab))
