"""Telling toned monochrome photographs (sepia, cyanotype, selenium) from photographs in colour."""

import numpy as np

from pipeline.images.lab import NEUTRAL, UInt8, mean_chroma

BLOCK = 8  # pixels; averages over squares have little of the noise that JPEG adds to a and b
DEGREE = 4  # of the curve
GRAY = 2.0  # mean chroma below which a photograph is gray rather than toned
FLAT = 0.02  # range of L, of 2, without which nothing depends on lightness
LARGEST_PARTS = 0.99  # a small object in another colour shows that a photograph is in colour


def spread(lightness: UInt8, ab: UInt8) -> float:
    """Return how far the colours of a photograph are from one curve in L, relative to how colourful it is.

    The colours of a toned photograph depend on lightness alone. a and b are fitted by polynomials of L; the result is
    the 99th percentile of the distances of `BLOCK` x `BLOCK` squares from that curve, divided by the square root of the
    mean chroma, because the errors of JPEG grow with the chroma, but less than in proportion.

    Args:
        lightness: (H, W) uint8, both multiples of `BLOCK`; see `pipeline.images.lab`.
        ab: (H, W, 2) uint8.

    Returns:
        The spread in the square root of CIE Lab units; infinity for gray photographs and those of one lightness.
    """
    chroma = mean_chroma(ab)
    if chroma < GRAY:
        return float("inf")
    height, width = (side // BLOCK for side in lightness.shape)
    level = lightness.reshape(height, BLOCK, width, BLOCK).mean((1, 3)).ravel() / 127.5 - 1
    if np.ptp(level) < FLAT:
        return float("inf")
    colours = ab.reshape(height, BLOCK, width, BLOCK, 2).mean((1, 3)).reshape(-1, 2) - NEUTRAL
    powers = np.polynomial.chebyshev.chebvander(level, DEGREE)
    curve = powers @ np.linalg.lstsq(powers, colours, rcond=1e-4)[0]
    return float(np.quantile(np.hypot(*(colours - curve).T), LARGEST_PARTS) / np.sqrt(chroma))
