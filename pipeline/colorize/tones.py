"""Tell colour photographs from gray, toned, stained and noisy ones."""

import cv2
import numpy as np

from pipeline.colorize.borders import well_inside
from pipeline.images.light import Levels

# What is said of a photograph. The last is left as it is.
GRAY, TONED, PERHAPS, COLOUR = "", "toned, or in colours of one hue", "perhaps in colour", "was in colour"
MOUNTED = "gray or toned inside a coloured border"
# CIE Lab units; see docs/colorize.md. Between the two, toned prints and photographs of nearly one hue look alike.
DOUBTFUL, IN_COLOUR = 2.0, 3.8
FAINT, VIVID = 4.0, 40.0  # mean chroma: less is no tone, and more is no toned print's
_FINE, _COARSE, _DEGREE = 128, 16, 5


def kind_of(levels: Levels, alpha: Levels | None = None) -> str:
    """Return `GRAY`, `TONED`, `PERHAPS`, `COLOUR` or `MOUNTED`; arguments as for `own_colour`.

    A print on coloured cardboard, or on a table, is judged without that.
    """
    kind = _kind_of(levels, alpha)
    if kind != COLOUR or alpha is not None:
        return kind
    inner = well_inside(levels)
    return kind if inner is None or _kind_of(inner, None) == COLOUR else MOUNTED


def _kind_of(levels: Levels, alpha: Levels | None) -> str:
    departs, chroma = own_colour(levels, alpha)
    if departs > IN_COLOUR or chroma > VIVID:
        return COLOUR
    return PERHAPS if departs > DOUBTFUL else TONED if chroma > FAINT else GRAY


def own_colour(levels: Levels, alpha: Levels | None = None) -> tuple[float, float]:
    """Return how much the colours of a photograph depart from those of a toned print, which follow from the lightness.

    a* and b* are fitted as polynomials of L* at a small size. The rest is averaged over squares, which removes noise.

    Args:
        levels: (H, W) gray or (H, W, 3) sRGB, uint8 or uint16.
        alpha: (H, W) of the same type; what is transparent does not count.

    Returns:
        The root mean square of the averaged rest, and the mean chroma, in CIE Lab units; 0 for gray.
    """
    if levels.ndim == 2:
        return 0.0, 0.0
    full = np.iinfo(levels.dtype).max
    rgb = cv2.resize(levels, (_FINE, _FINE), interpolation=cv2.INTER_AREA) / full
    opaque = np.ones((_FINE, _FINE))
    if alpha is not None:
        opaque = cv2.resize(alpha, (_FINE, _FINE), interpolation=cv2.INTER_AREA) / full
    lab = cv2.cvtColor(rgb.astype(np.float32), cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(np.float64)
    powers = np.vander(lab[:, 0] / 100, _DEGREE + 1)
    weights = np.sqrt(opaque).reshape(-1, 1)
    fitted, *_ = np.linalg.lstsq(powers * weights, lab[:, 1:] * weights, rcond=None)
    rest = (lab[:, 1:] - powers @ fitted).reshape(_FINE, _FINE, 2) * opaque[..., None]
    averaged = cv2.resize(rest, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    departs = np.sqrt((averaged**2).sum(axis=-1).mean() / max(float((opaque**2).mean()), 1e-6))
    own = lab[:, 1:].reshape(_FINE, _FINE, 2) * opaque[..., None]
    a, b = cv2.split(cv2.resize(own, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA))
    chroma = np.hypot(a, b).mean() / max(float(opaque.mean()), 1e-6)
    return float(departs), float(chroma)
