"""Other plausible colourings of a photograph, each coherent over its regions.

A picture is divided into regions of alike places. In each region, a colour is drawn from the classes that the network
predicts there, and spread like a hint. The draw of a variant takes the same quantile, in the order of hues, of every
region's distribution, plus a little noise: so a variant is warmer or colder as a whole, and where the network is sure,
all variants agree.
"""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.colorize.spreading import Floats, Spreading, product
from pipeline.images import ab_bins

MOST = 8
SIDE = 3  # the picture starts with SIDE x SIDE regions
STRENGTH = 0.6  # share of the way from the predicted colour to the drawn one
NOISE = 0.1  # standard deviation of the quantile over the regions of a variant
RAREST = 0.01  # what is less likely is never drawn
GOLDEN = (5**0.5 - 1) / 2  # its multiples spread evenly over 0..1, however many are taken


def varied(
    spreading: Spreading, described: Floats, ab: Floats, logits: Floats, number: int, seed: int
) -> npt.NDArray[np.float32]:
    """Return a* and b* (h, w, 2) of a variant.

    Args:
        spreading: of the network.
        described: see `pipeline.colorize.spreading.describe`.
        ab: predicted a* and b* (h, w, 2).
        logits: of the classes (h, w, 313).
        number: of the variant; 1 and more, equal for equal seeds however many variants there are.
        seed: of the draws.
    """
    region = regions(np.asarray(product(described, spreading.projection), np.float32))
    centres = ab_bins.centres()
    order = np.argsort(np.arctan2(centres[:, 1], centres[:, 0]), kind="stable")
    random = np.random.default_rng((seed, number))
    start = 0.5 + np.random.default_rng(seed).random() * (seed > 0)
    flat, colours, places, wanted = logits.reshape(-1, logits.shape[-1]), ab.reshape(-1, 2), [], []
    for each in np.unique(region):
        inside = np.flatnonzero(region.ravel() == each)
        shares = np.exp(flat[inside] - flat[inside].max(axis=1, keepdims=True))
        likely = np.cumsum((shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)[order])
        quantile = np.clip((start + number * GOLDEN) % 1 + NOISE * random.normal(), RAREST, 1 - RAREST)
        drawn = centres[order[min(int(np.searchsorted(likely, quantile)), len(order) - 1)]]
        middle = middle_of(product(described.reshape(len(flat), -1)[inside], spreading.projection))
        places.append(np.unravel_index(inside[middle], region.shape))
        wanted.append(colours[inside[middle]] + STRENGTH * (drawn - colours[inside].mean(axis=0)))
    return np.asarray(spreading(described, ab, np.array(places, np.intp), np.array(wanted)), np.float32)


def regions(descriptors: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Divide descriptors (h, w, d) into regions by k-means, which starts with squares; their numbers (h, w)."""
    height, width, depth = descriptors.shape
    rows, columns = np.mgrid[:height, :width]
    start = (rows * SIDE // height) * SIDE + columns * SIDE // width
    until = cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3
    _, found, _ = cv2.kmeans(
        descriptors.reshape(-1, depth), SIDE * SIDE, start.astype(np.int32).reshape(-1, 1), until, 1,
        cv2.KMEANS_USE_INITIAL_LABELS,
    )  # fmt: skip
    return np.asarray(found, np.int32).reshape(height, width)


def middle_of(descriptors: Floats) -> int:
    """Return which descriptor (n, d) is nearest to the mean of all."""
    return int(np.argmin(((descriptors - descriptors.mean(axis=0)) ** 2).sum(axis=1)))
