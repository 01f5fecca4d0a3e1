"""What is measured of a colouring: one home for each definition.

Every metric takes n predictions and n truths and returns one value per image, (n,) float64. a and b are in the 8-bit
units of `pipeline.lab`; rgb is sRGB uint8, as `pipeline.lab.to_rgb` reconstructs it.
"""

import math

import numpy as np
import numpy.typing as npt
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

Values = npt.NDArray[np.float64]
Array = npt.NDArray[np.generic]
UInt8 = npt.NDArray[np.uint8]


def larger_channel(ab: Array) -> npt.NDArray[np.bool_]:
    """Whether b > a, (...), for ab (..., 2): the index of the larger channel.

    A tie and a value that is not a number count as index 0, as in Keras' categorical accuracy.
    """
    return np.asarray(np.greater(ab[..., 1], ab[..., 0]))


def accuracy(predicted_ab: Array, true_ab: Array) -> Values:
    """Share of pixels, in 0..1, whose larger channel is the truth's: the paper's "accuracy".

    It is Keras' categorical accuracy, mean(argmax(predicted, -1) == argmax(true, -1)); see `larger_channel` for ties
    and NaN. It says nothing of how far a colour is off.

    Args:
        predicted_ab: (n, H, W, 2) float, 8-bit units, as predicted.
        true_ab: (n, H, W, 2) uint8.
    """
    _same_shape(predicted_ab, true_ab)
    return _mean_per_image(larger_channel(predicted_ab) == larger_channel(true_ab))


def squared_error(predicted_ab: Array, true_ab: Array) -> Values:
    """Mean of (predicted - true)^2 over pixels and both channels, in squared 8-bit units, 0 or more.

    The prediction is taken as it is, neither rounded nor clipped; where it is not finite, neither is the result.

    Args:
        predicted_ab: (n, H, W, 2) float, 8-bit units.
        true_ab: (n, H, W, 2) uint8.
    """
    _same_shape(predicted_ab, true_ab)
    with np.errstate(over="ignore"):
        return _mean_per_image(np.square(np.asarray(predicted_ab, np.float64) - np.asarray(true_ab, np.float64)))


def psnr(rgb_predicted: UInt8, rgb_true: UInt8) -> Values:
    """Peak signal-to-noise ratio, 10 log10(255^2 / MSE) in dB, the MSE over pixels and channels.

    Identical images give inf. A gray answer reaches some 22 dB on photographs, since it has the true lightness.

    Args:
        rgb_predicted: (n, H, W, 3) uint8.
        rgb_true: (n, H, W, 3) uint8.
    """
    _same_shape(rgb_predicted, rgb_true)
    error = _mean_per_image(np.square(np.asarray(rgb_predicted, np.float64) - np.asarray(rgb_true, np.float64)))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / error)


def ssim(rgb_predicted: UInt8, rgb_true: UInt8) -> Values:
    """Structural similarity, at most 1 (identical), averaged over pixels and channels.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", IEEE Transactions on Image Processing 13(4), 2004:
    11x11 Gaussian window of sigma 1.5, population covariance, data range 255, K1 = 0.01, K2 = 0.03; scikit-image's,
    which leaves out a border of 5 pixels.

    Args:
        rgb_predicted: (n, H, W, 3) uint8, H and W 11 or more.
        rgb_true: (n, H, W, 3) uint8.
    """
    _same_shape(rgb_predicted, rgb_true)
    values = [
        structural_similarity(
            predicted,
            true,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        for predicted, true in zip(rgb_predicted, rgb_true, strict=True)
    ]
    return np.array(values, np.float64)


def ciede2000(rgb_predicted: UInt8, rgb_true: UInt8) -> Values:
    """Mean CIEDE2000 colour difference between two sRGB images, 0 or more; see `ciede2000_of_lab`.

    Args:
        rgb_predicted: (n, H, W, 3) uint8.
        rgb_true: (n, H, W, 3) uint8.
    """
    return ciede2000_of_lab(rgb2lab(rgb_predicted), rgb2lab(rgb_true))


def ciede2000_of_lab(lab_predicted: Values, lab_true: Values) -> Values:
    """Mean over pixels of the CIEDE2000 colour difference, kL = kC = kH = 1; about 1 is just visible.

    Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005;
    scikit-image's.

    Args:
        lab_predicted: (n, H, W, 3) float64, CIE Lab (not 8-bit units).
        lab_true: (n, H, W, 3) float64.
    """
    _same_shape(lab_predicted, lab_true)
    # One image at a time: the formula makes some thirty temporary arrays.
    pairs = zip(lab_predicted, lab_true, strict=True)
    return np.array([deltaE_ciede2000(predicted, true).mean() for predicted, true in pairs], np.float64)


def _mean_per_image(values: Array) -> Values:
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(rows.mean(axis=1, dtype=np.float64))


def _same_shape(predicted: Array, true: Array) -> None:
    # Broadcasting would turn a mistake into a plausible number.
    if predicted.shape != true.shape or predicted.ndim != 4:
        raise ValueError(
            f"expected two arrays (n, H, W, channels) of one shape, received {predicted.shape} and {true.shape}"
        )
