"""The spread of embeddings over images."""

import numpy as np
import numpy.typing as npt

MOSTLY_CONSTANT = 0.05  # a smaller relative spread is a sign of a mistake


def spread(embeddings: npt.NDArray[np.float32]) -> dict[str, float]:
    """Measure the spread of embeddings (n, features).

    Returns:
        ``std``: standard deviation over images, averaged over features; ``relative``: `std` divided by the root mean
        square of all values; ``effective_rank``: of the centred embeddings.
    """
    values = embeddings.astype(np.float64)
    centred = values - values.mean(axis=0)
    std = float(centred.std(axis=0).mean())
    rms = float(np.sqrt(np.mean(values**2)))
    return {
        "std": std,
        "relative": std / rms if rms else 0.0,
        "effective_rank": effective_rank(np.linalg.svd(centred, compute_uv=False)),
    }


def effective_rank(singular: npt.NDArray[np.float64]) -> float:
    """Return the exponential of the entropy of normalised singular values: 1 if all differences lie on one line.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    share = singular[singular > 0] / max(float(singular.sum()), np.finfo(float).tiny)
    return float(np.exp(-(share * np.log(share)).sum()))
