"""What is measured of a colouring: one home for each definition.

A metric takes n images, mostly n predictions and n truths, and returns one value per image, (n,) float64. a and b are
in the 8-bit units of `pipeline.images.lab`; rgb is sRGB uint8, as `pipeline.images.lab.to_rgb` reconstructs it.
"""

import math

import numpy as np
import numpy.typing as npt
import skimage  # its parts load when they are used: planning a workflow does not wait for them

from pipeline.images.lab import NEUTRAL

Values = npt.NDArray[np.float64]
Array = npt.NDArray[np.generic]
UInt8 = npt.NDArray[np.uint8]

THRESHOLDS = 151  # of AuC: distances 0, 1, ..., 150
BIN_WIDTH = 10  # of the colours that rebalanced AuC counts, in units of a* and b*
RAREST = 1e-4  # share of all pixels that even a bin with fewer of them is taken to hold


def _bin_of_level() -> npt.NDArray[np.int16]:
    """The bin along one axis, (256,) int16 from 0, of each 8-bit a or b."""
    bins = (np.arange(256) - NEUTRAL) // BIN_WIDTH
    return np.asarray(bins - bins[0], np.int16)


BIN_OF_LEVEL = _bin_of_level()
BINS_PER_AXIS = int(BIN_OF_LEVEL[-1]) + 1
COLOR_BINS = BINS_PER_AXIS**2


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

    Identical images give inf. A gray answer reaches some 22 dB on photographs, since it has the true lightness. The
    mean over images weighs each decibel alike; the pooled PSNR of a set is `psnr_of_error` of its mean
    `rgb_squared_error`.

    Args:
        rgb_predicted: (n, H, W, 3) uint8.
        rgb_true: (n, H, W, 3) uint8.
    """
    return psnr_of_error(rgb_squared_error(rgb_predicted, rgb_true))


def rgb_squared_error(rgb_predicted: UInt8, rgb_true: UInt8) -> Values:
    """Mean of (predicted - true)^2 over pixels and channels, in squared levels, 0 to 255^2.

    Args:
        rgb_predicted: (n, H, W, 3) uint8.
        rgb_true: (n, H, W, 3) uint8.
    """
    _same_shape(rgb_predicted, rgb_true)
    return _mean_per_image(np.square(np.asarray(rgb_predicted, np.float64) - np.asarray(rgb_true, np.float64)))


def psnr_of_error(mse: npt.ArrayLike) -> Values:
    """10 log10(255^2 / mse) in dB, (...) float64, of mean squared errors (...) in squared levels; 0 gives inf."""
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255.0**2 / np.asarray(mse, np.float64)))


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
        skimage.metrics.structural_similarity(
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
    return ciede2000_of_lab(skimage.color.rgb2lab(rgb_predicted), skimage.color.rgb2lab(rgb_true))


def ciede2000_of_lab(lab_predicted: Values, lab_true: Values) -> Values:
    """Mean over pixels of `ciede2000_map`, 0 or more; arguments as there."""
    return _mean_per_image(ciede2000_map(lab_predicted, lab_true))


def ciede2000_map(lab_predicted: Values, lab_true: Values) -> Values:
    """CIEDE2000 colour difference of each pixel, kL = kC = kH = 1: (n, H, W) float64; about 1 is just visible.

    Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005;
    scikit-image's.

    Args:
        lab_predicted: (n, H, W, 3) float64, CIE Lab (not 8-bit units).
        lab_true: (n, H, W, 3) float64.
    """
    _same_shape(lab_predicted, lab_true)
    differences = np.empty(lab_true.shape[:-1], np.float64)
    # One image at a time: the formula makes some thirty temporary arrays.
    for i, (predicted, true) in enumerate(zip(lab_predicted, lab_true, strict=True)):
        differences[i] = skimage.color.deltaE_ciede2000(predicted, true)
    return differences


def auc(predicted_ab: Array, true_ab: Array) -> Values:
    """AuC, in 0..1: the share of pixels at most t from the true colour, averaged over t = 0, 1, ..., 150.

    It is the mean of `auc_credit` over pixels. Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016,
    section 3.1. Most pixels are near gray, so a gray answer scores some 0.9; see `weighted_auc`.

    Args:
        predicted_ab: (n, H, W, 2) float, 8-bit units, as predicted.
        true_ab: (n, H, W, 2) uint8.
    """
    return _mean_per_image(auc_credit(predicted_ab, true_ab))


def auc_credit(predicted_ab: Array, true_ab: Array) -> Values:
    """What each pixel adds to AuC, (n, H, W) float64: the share of the thresholds 0, 1, ..., 150 that it meets.

    A pixel meets t if its Euclidean distance d of ab is t or less: max(0, 151 - ceil(d)) of 151 thresholds. The
    prediction is taken as it is, neither rounded nor clipped; where it is NaN, so is the credit.

    Args:
        predicted_ab: (n, H, W, 2) float, 8-bit units.
        true_ab: (n, H, W, 2) uint8.
    """
    _same_shape(predicted_ab, true_ab)
    with np.errstate(over="ignore"):
        credit = _length(np.asarray(predicted_ab, np.float64) - np.asarray(true_ab, np.float64))
    np.ceil(credit, out=credit)
    np.subtract(THRESHOLDS, credit, out=credit)
    np.maximum(credit, 0, out=credit)
    credit /= THRESHOLDS
    return credit


def color_bins(ab: UInt8) -> npt.NDArray[np.int16]:
    """The bin of each colour, (...) int16 in 0..`COLOR_BINS` - 1, for ab (..., 2) uint8.

    Bins are squares of 10 by 10 units of a* and b*, with edges at multiples of 10; 26 cover an axis, -128 to 127. The
    width is that of Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016, section 2.1.
    """
    a, b = BIN_OF_LEVEL[ab[..., 0]], BIN_OF_LEVEL[ab[..., 1]]
    return np.asarray(a * np.int16(BINS_PER_AXIS) + b)


def bin_counts(colours: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Pixels in each of `color_bins`, (`COLOR_BINS`,) int64, of pixels by colour (256, 256), indexed [a, b]."""
    bins = BIN_OF_LEVEL.astype(np.intp) * BINS_PER_AXIS
    counts = np.zeros(COLOR_BINS, np.int64)
    np.add.at(counts, bins[:, None] + BIN_OF_LEVEL, colours)
    return counts


def rarity(counts: npt.NDArray[np.integer]) -> Values:
    """The weight of a pixel of each bin, (`COLOR_BINS`,) float64: inverse to the bin's share of all pixels.

    1 / max(p, 1/10,000), times what makes the counted pixels' mean weight 1. It is equation 4 of Zhang, Isola and
    Efros, "Colorful Image Colorization", ECCV 2016, with lambda = 0, but for the bound: by 1/p alone all bins count
    alike, and one of a handful of pixels, perhaps a single object or a flaw, would decide as much as the whole sky.

    Args:
        counts: (`COLOR_BINS`,) integer, pixels in each of `color_bins` over the set; without any, all weights are 1.
    """
    total = counts.sum()
    if total == 0:
        return np.ones(len(counts))
    share = counts / total
    weights = 1 / np.maximum(share, RAREST)
    return np.asarray(weights / (share * weights).sum())


def weighted_auc(credit: Values, weights: Values) -> tuple[Values, Values]:
    """What rebalanced AuC is made of: mean over pixels of weight * credit, (n,), and of the weight, (n,).

    The rebalanced AuC of a set, in 0..1, is sum(first) / sum(second) over its images; that of one image is their ratio.

    Args:
        credit: (n, H, W) float64, `auc_credit`.
        weights: (n, H, W) float64, `rarity(counts)[color_bins(true_ab)]`.
    """
    if credit.shape != weights.shape:
        raise ValueError(f"expected credit and weights of one shape, received {credit.shape} and {weights.shape}")
    return _mean_per_image(credit * weights), _mean_per_image(weights)


def colourfulness(rgb: UInt8, absolute: bool = False) -> Values:
    """Colourfulness of sRGB images, 0 (gray) or more; its authors call 33 moderately and 82 highly colourful.

    sqrt(std(rg)^2 + std(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), with rg = R - G, yb = (R + G) / 2 - B, and the
    population's standard deviation over the image's pixels. Hasler and Süsstrunk, "Measuring colourfulness in natural
    images", Human Vision and Electronic Imaging VIII, SPIE 5007, 2003. It says nothing of whether colours are true.

    Args:
        rgb: (n, H, W, 3) uint8.
        absolute: take |rg| and |yb| before mean and deviation. This is not the paper's definition, but that of some
            colourizers' evaluations. Values are mostly smaller; the two must not be compared.
    """
    red, green, blue = (np.asarray(rgb[..., channel], np.float64) for channel in range(3))
    variance, bias = np.zeros((2, len(rgb)))
    for opponent in (red - green, (red + green) / 2 - blue):
        values = np.abs(opponent, out=opponent) if absolute else opponent
        mean = _mean_per_image(values)
        values -= mean[:, None, None]
        variance += _mean_per_image(np.square(values, out=values))
        bias += mean**2
    return np.asarray(np.sqrt(variance) + 0.3 * np.sqrt(bias))


def chroma(ab: Array) -> Values:
    """Mean distance of (a, b) from neutral (128, 128) over pixels, in 8-bit units, 0 (gray) or more.

    That is CIE Lab's chroma, sqrt(a*^2 + b*^2), neither rounded nor clipped.

    Args:
        ab: (n, H, W, 2) float or uint8, 8-bit units.
    """
    with np.errstate(over="ignore"):
        return _mean_per_image(_length(np.asarray(ab, np.float64) - NEUTRAL))


def _length(vectors: Values) -> Values:
    # Not np.hypot, which is slower; and the root of a perfect square is exact.
    a, b = vectors[..., 0], vectors[..., 1]
    return np.asarray(np.sqrt(a * a + b * b))


def _mean_per_image(values: Array) -> Values:
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(rows.mean(axis=1, dtype=np.float64))


def _same_shape(predicted: Array, true: Array) -> None:
    # Broadcasting would turn a mistake into a plausible number.
    if predicted.shape != true.shape or predicted.ndim != 4:
        raise ValueError(
            f"expected two arrays (n, H, W, channels) of one shape, received {predicted.shape} and {true.shape}"
        )
