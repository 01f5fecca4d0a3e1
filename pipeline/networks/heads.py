"""Heads: what a network predicts, the loss of a prediction, and how it becomes ab.

To add a head, call `register` in a module named in DEEPCOLOR_PLUGINS; an architecture selects it with its setting
`head`. This module never imports Keras.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.registry import Registry

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Head:
    """The last convolution of a network, its loss and its decoding.

    Attributes:
        name: in architectures.
        filters: number of channels of the prediction (batch, H, W, filters).
        activation: of the last convolution, by Keras' name.
        loss: the name of a Keras loss, or a function of the true ab (batch, H, W, 2), 0..255, and the prediction, in
            `keras.ops`.
        decode: makes the Keras layers that turn the prediction into ab (batch, H, W, 2) in 8-bit units, applied in
            order. Training works without them; a saved network ends with them. Name the layers, and use
            ``keras.layers.UpSampling2D`` for any resizing. None if the prediction is ab.
        start: turns the mean (a, b) of the training images into the initial bias of the last convolution; None for
            zeros.
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
