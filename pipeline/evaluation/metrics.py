"""The formulas of all metrics of a colourization.

Unless stated otherwise, a formula returns one value per image, (n,) float64. Its arguments, of n images each:

- predicted_ab (n, H, W, 2) float, in the 8-bit units of `pipeline.images.lab`, neither rounded nor clipped
- true_ab (n, H, W, 2) uint8
- rgb (n, H, W, 3) uint8, sRGB
- lab (n, H, W, 3) float64, CIE Lab, not 8-bit units
"""

import math

import numpy as np
import numpy.typing as npt
import skimage  # loads its modules on first use, so planning a workflow does not wait for them

from pipeline.images.lab import NEUTRAL

Values = npt.NDArray[np.float64]
Array = npt.NDArray[np.generic]
UInt8 = npt.NDArray[np.uint8]

THRESHOLDS = 151  # of AuC: distances 0, 1, ..., 150
BIN_WIDTH = 10  # of colours for the rebalanced AuC, in units of a* and b*
RAREST = 1e-4  # lower bound of a bin's share of all pixels
BIN_OF_LEVEL = ((np.arange(256) - NEUTRAL) // BIN_WIDTH - (-NEUTRAL // BIN_WIDTH)).astype(np.int16)  # along one axis
BINS_PER_AXIS = int(BIN_OF_LEVEL[-1]) + 1
COLOR_BINS = BINS_PER_AXIS**2


def accuracy(predicted_ab: Array, true_ab: Array) -> Values:
    """Share of pixels, in 0..1, where the larger of a and b is the truth's larger one: the paper's "accuracy".

    This is Keras' categorical accuracy, mean(argmax(predicted, -1) == argmax(true, -1)): ties and NaN count as a. It
    does not measure how far a colour is off.
    """
    _same_shape(predicted_ab, true_ab)
    larger_b, true_larger_b = (np.greater(ab[..., 1], ab[..., 0]) for ab in (predicted_ab, true_ab))
    return _mean_per_image(larger_b == true_larger_b)


def squared_error(predicted: Array, true: Array) -> Values:
    """Mean of (predicted - true)^2, of ab or rgb, over pixels and channels; not finite if `predicted` is not."""
    _same_shape(predicted, true)
    with np.errstate(over="ignore"):
        return _mean_per_image(np.square(np.asarray(predicted, np.float64) - np.asarray(true, np.float64)))


def psnr_of_error(mse: npt.ArrayLike) -> Values:
    """Peak signal-to-noise ratio, 10 log10(255^2 / mse) in dB, (...) float64; 0 gives inf.

    `mse` is the `squared_error` of rgb, (...). Gray pictures reach about 22 dB on photographs, because they have the
    true lightness. The PSNR of a set is the mean over its images; its pooled PSNR is the PSNR of the mean `mse`.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255.0**2 / np.asarray(mse, np.float64)))


def ssim(rgb_predicted: UInt8, rgb_true: UInt8) -> Values:
    """Structural similarity, at most 1 (identical), averaged over pixels and channels; H and W are 11 or more.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", IEEE Transactions on Image Processing 13(4), 2004:
    11x11 Gaussian window of sigma 1.5, population covariance, data range 255, K1 = 0.01, K2 = 0.03. scikit-image's
    implementation omits a border of 5 pixels.
    """
    _same_shape(rgb_predicted, rgb_true)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    pairs = zip(rgb_predicted, rgb_true, strict=True)
    values = [skimage.metrics.structural_similarity(*pair, channel_axis=-1, **options) for pair in pairs]
    return np.array(values, np.float64)


def ciede2000_map(lab_predicted: Values, lab_true: Values) -> Values:
    """CIEDE2000 colour difference of each pixel, kL = kC = kH = 1: (n, H, W) float64; about 1 is just visible.

    Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005, as
    implemented by scikit-image.
    """
    _same_shape(lab_predicted, lab_true)
    differences = np.empty(lab_true.shape[:-1], np.float64)
    # One image at a time: the formula allocates about thirty temporary arrays.
    for i, (predicted, true) in enumerate(zip(lab_predicted, lab_true, strict=True)):
        differences[i] = skimage.color.deltaE_ciede2000(predicted, true)
    return differences


def ciede2000_of_lab(lab_predicted: Values, lab_true: Values) -> Values:
    """Mean of `ciede2000_map`, which takes the same arguments, over pixels: 0 or more."""
    return _mean_per_image(ciede2000_map(lab_predicted, lab_true))


def auc_credit(predicted_ab: Array, true_ab: Array) -> Values:
    """The share of the thresholds 0, 1, ..., 150 that each pixel meets, (n, H, W) float64 in 0..1; NaN stays NaN.

    A pixel meets t if its Euclidean distance d from the true ab is at most t, so it meets max(0, 151 - ceil(d)) of 151
    thresholds. The mean over pixels is AuC, the area under the curve of pixels within t. Zhang, Isola and Efros,
    "Colorful Image Colorization", ECCV 2016, section 3.1. Most pixels are near gray, so gray scores about 0.9; see
    `weighted_auc`.
    """
    _same_shape(predicted_ab, true_ab)
    with np.errstate(over="ignore"):
        distance = _length(np.asarray(predicted_ab, np.float64) - np.asarray(true_ab, np.float64))
    return np.asarray(np.maximum(THRESHOLDS - np.ceil(distance), 0) / THRESHOLDS)


def color_bins(ab: UInt8) -> npt.NDArray[np.int16]:
    """The bin of each colour, (...) int16 in 0..`COLOR_BINS` - 1, for ab (..., 2) uint8.

    Bins are squares of 10 by 10 units of a* and b*, with edges at multiples of 10; 26 cover an axis, -128 to 127.
    Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016, section 2.1, use this width.
    """
    return np.asarray(BIN_OF_LEVEL[ab[..., 0]] * np.int16(BINS_PER_AXIS) + BIN_OF_LEVEL[ab[..., 1]])


def bin_counts(colours: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Number of pixels in each of `color_bins`, (`COLOR_BINS`,) int64, from counts by colour (256, 256), [a, b]."""
    counts = np.zeros((BINS_PER_AXIS, BINS_PER_AXIS), np.int64)
    np.add.at(counts, np.ix_(BIN_OF_LEVEL, BIN_OF_LEVEL), colours)
    return counts.ravel()


def rarity(counts: npt.NDArray[np.integer]) -> Values:
    """The weight of a pixel in each bin, (`COLOR_BINS`,) float64, for a set with `counts` pixels in each bin.

    1 / max(p, 1/10,000), with p the bin's share of all pixels, scaled so that the mean weight of the counted pixels is
    1: equation 4 of Zhang, Isola and Efros, "Colorful Image Colorization", ECCV 2016, with lambda = 0 and a bound.
    Without the bound, a handful of odd pixels would weigh as much as the whole sky. If nothing is counted, all weights
    are 1.
    """
    if not counts.any():
        return np.ones(len(counts))
    share = counts / counts.sum()
    weights = 1 / np.maximum(share, RAREST)
    return np.asarray(weights / (share * weights).sum())


def weighted_auc(credit: Values, weights: Values) -> tuple[Values, Values]:
    """The mean over pixels of weight * credit, (n,), and of the weight, (n,).

    `credit` is `auc_credit` and `weights` is `rarity(counts)[color_bins(true_ab)]`, both (n, H, W). The rebalanced AuC,
    in 0..1, is the ratio of the two means for one image, and the ratio of their sums for a set of images.
    """
    if credit.shape != weights.shape:
        raise ValueError(f"expected credit and weights of one shape, received {credit.shape} and {weights.shape}")
    return _mean_per_image(credit * weights), _mean_per_image(weights)


def colourfulness(rgb: UInt8, absolute: bool = False) -> Values:
    """Colourfulness of sRGB images, 0 (gray) or more; its authors call 33 moderately and 82 highly colourful.

    sqrt(std(rg)^2 + std(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), with rg = R - G, yb = (R + G) / 2 - B, and the
    population standard deviation over pixels. Hasler and Süsstrunk, "Measuring colourfulness in natural images", Human
    Vision and Electronic Imaging VIII, SPIE 5007, 2003. It does not measure whether colours are true.

    `absolute` uses |rg| and |yb|, as some colourizers' evaluations do. Its values are mostly smaller than the paper's
    definition gives, and the two must not be compared.
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
    """Mean CIE Lab chroma, sqrt(a*^2 + b*^2), over pixels, 0 (gray) or more, of ab (n, H, W, 2) float or uint8."""
    with np.errstate(over="ignore"):
        return _mean_per_image(_length(np.asarray(ab, np.float64) - NEUTRAL))


def _length(vectors: Values) -> Values:
    # Faster than np.hypot, and exact for perfect squares.
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
