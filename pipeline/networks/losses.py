"""The losses of heads that Keras does not have."""

from functools import cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.images import ab_bins
from pipeline.images.lab import NEUTRAL

GRAY_BELOW = 5.0  # |a| and |b| of every pixel of an image that counts as gray


def error(true: Any, predicted: Any, kind: str, delta: float) -> Any:
    """Return the mean squared ("mse"), absolute ("l1") or Huber ("huber") error over the last axis."""
    match kind:
        case "huber":
            return keras.losses.huber(true, predicted, delta)
        case "l1":
            return keras.losses.mean_absolute_error(true, predicted)
        case _:
            return keras.losses.mean_squared_error(true, predicted)


@cache
def _labels(neighbours: int, sigma: float) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return `ab_bins.soft_labels` with one row per colour: a * 256 + b, (65536, neighbours)."""
    classes, shares = ab_bins.soft_labels(neighbours, sigma)
    return classes.reshape(-1, neighbours), shares.reshape(-1, neighbours)


def cross_entropy(
    ab: Any,
    logits: Any,
    weights: npt.NDArray[np.float32],
    *,
    scale: int,
    neighbours: int,
    sigma: float,
    label_smoothing: float,
    skip_gray: bool,
) -> Any:
    """Return the cross-entropy of predicted classes against soft labels, weighted by the true colour's nearest class.

    The labels belong to the mean colour of `scale` x `scale` pixels, rounded to 8 bits. (Zhang et al. take one pixel
    of each square instead.)

    Args:
        ab: true ab, (batch, scale * h, scale * w, 2) float32 in 8-bit units.
        logits: (batch, h, w, 313) float32.
        weights: of each class, (313,).
        scale: pixels of ab per pixel of the prediction, in each direction.
        neighbours: number of classes that share a colour; see `ab_bins.soft_labels`.
        sigma: of the soft labels.
        label_smoothing: share of every label that is spread evenly over all classes, 0..1.
        skip_gray: whether images whose |a| and |b| are at most `GRAY_BELOW` everywhere weigh 0.

    Returns:
        (batch, h, w) float32.

    Source: Zhang, Isola and Efros, "Colorful image colorization" (2016), section 2.
    """
    classes, shares = _labels(neighbours, sigma)
    small = ops.cast(ops.round(ops.average_pool(ab, scale, strides=scale, padding="valid")), "int32")
    colour = small[..., 0] * 256 + small[..., 1]
    of_neighbours = ops.take_along_axis(logits, ops.take(classes, colour, axis=0), axis=-1)
    labelled = ops.sum(of_neighbours * ops.take(shares, colour, axis=0), axis=-1)
    # The shares add up to 1, so the logarithm of the softmax's denominator counts once.
    mean = (1 - label_smoothing) * labelled + label_smoothing * ops.mean(logits, axis=-1)
    loss = (ops.logsumexp(logits, axis=-1) - mean) * ops.take(weights[classes[:, 0]], colour, axis=0)
    if skip_gray:
        most = ops.max(ops.abs(ab - NEUTRAL), axis=(1, 2, 3), keepdims=True)[..., 0]
        loss = loss * ops.cast(most > GRAY_BELOW, loss.dtype)
    return loss


def hue_and_chroma(ab: Any, logits: Any, *, scale: int, largest: float, hue_weight: float) -> Any:
    """Return the cross-entropy of predicted chroma plus that of predicted hue, which weighs the more, the more chroma.

    The true chroma and hue are those of the mean colour of `scale` x `scale` pixels. Each is shared by the two nearest
    of n bins, in proportion.

    Args:
        ab: true ab, (batch, scale * h, scale * w, 2) float32 in 8-bit units.
        logits: (batch, h, w, 2 n) float32: bins of chroma, 0..`largest`, then of hue, 0..2 pi.
        scale: pixels of ab per pixel of the prediction, in each direction.
        largest: the chroma at the end of the last bin.
        hue_weight: of the cross-entropy of hue where chroma is `largest`.

    Returns:
        (batch, h, w) float32.

    Source: Larsson, Maire and Shakhnarovich, "Learning representations for automatic colorization" (2016), section 4.
    """
    small = ops.average_pool(ab, scale, strides=scale, padding="valid") - NEUTRAL
    chroma = ops.sqrt(ops.sum(small**2, axis=-1))
    of_chroma, of_hue = ops.split(logits, 2, axis=-1)
    bins = logits.shape[-1] // 2
    place = ops.clip(chroma * bins / largest - 0.5, 0.0, bins - 1.0)
    turn = ops.arctan2(small[..., 1], small[..., 0]) * bins / (2 * np.pi) - 0.5
    weight = hue_weight * chroma / largest
    return _between_bins(of_chroma, place) + weight * _between_bins(of_hue, ops.mod(turn, bins))


def _between_bins(logits: Any, place: Any) -> Any:
    """Return the cross-entropy against a label between two neighbouring bins; the last one's neighbour is the first."""
    bins = logits.shape[-1]
    lower = ops.floor(place)
    share = place - lower
    first = ops.mod(ops.cast(lower, "int32"), bins)
    of_labels = [
        ops.take_along_axis(logits, ops.expand_dims(ops.mod(first + step, bins), -1), axis=-1)[..., 0]
        for step in (0, 1)
    ]
    return ops.logsumexp(logits, axis=-1) - (1 - share) * of_labels[0] - share * of_labels[1]
