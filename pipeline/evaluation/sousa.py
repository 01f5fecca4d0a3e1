"""Colours by example: Sousa, Kabirzadeh and Blaes, "Automatic Colorization of Grayscale Images", Stanford, 2013.

The example is the training photograph with the most similar embedding. Its colours are reduced to a few; one support
vector machine for each learns which pixels have it, from the pixels' neighbourhoods; a graph cut chooses the colours of
the other photograph's pixels. docs/family/sousa.md says what differs from the source.
"""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config.values import Section
from pipeline.core.errors import InputError
from pipeline.core.tasks import run_tasks
from pipeline.evaluation.predictors import Batch
from pipeline.images.lab import UInt8
from pipeline.storage.layouts import VECTOR

if TYPE_CHECKING:
    from pipeline.evaluation.untrained import Given

SAMPLES = 3000  # pixels of the example that the machines learn from
COMPONENTS = 30  # of the principal component analysis
GAMMA = 0.1  # of the kernel exp(-gamma d^2)
PENALTY = 1.0  # of the machines: C
UNARY = 100.0  # cost of a colour: minus this times its margin
SOFTENING = 0.1  # of edges: the share of the largest gradient at which a border costs about half
REDUCTION = 2  # photographs are coloured at 1/2 of their height and width
BLOCK = 2048  # pixels at a time, so that distances to all samples take 25 MB

Floats = npt.NDArray[np.float32]


class Options(Section):
    """Options of the predictor.

    Attributes:
        colours: to which an example's are reduced.
    """

    colours: Annotated[int, Field(ge=2, le=256)] = 16


class Sousa:
    """The predictor: a function from a batch to ab (k, H, W, 2) float32 in 8-bit units."""

    def __init__(self, given: "Given", options: Options) -> None:
        """Read the training photographs' embeddings."""
        self._given, self._options = given, options
        data = given.data
        self._groups = np.array(data.groups)
        self._train = np.flatnonzero(np.array(data.partitions) == "train")
        vectors = data.outputs[VECTOR].read_rows(VECTOR, self._train)
        self._mean = vectors.mean(axis=0)
        self._directions = _directions(vectors - self._mean)

    def __call__(self, batch: Batch) -> Floats:
        """Colour a batch, each photograph in a task of its own."""
        from threadpoolctl import threadpool_limits

        given, examples = self._given, self.examples(batch)
        lightness = reduced(batch.truth.lightness)
        example = [reduced(given.data.images.read_rows(name, examples)) for name in ("L", "ab")]
        seeds = [(given.seed, row) for row in batch.rows.tolist()]
        task = partial(coloured, colours=self._options.colours)
        calls = list(zip(lightness, *example, seeds, strict=True))
        # The tasks run in parallel, not the matrix products within them, whose last bits may depend on it.
        with threadpool_limits(1, "blas"):
            found = run_tasks(task, calls, what="sousa, photographs", scheduler=given.scheduler, workers=given.workers)
        return np.stack([enlarged(ab) for ab in found])

    def examples(self, batch: Batch) -> npt.NDArray[np.intp]:
        """Return the rows (k,) of the training photographs that are most similar to those of a batch.

        The similarity is the cosine of the angle between two embeddings, from the mean of the training photographs'.
        A photograph of the same group is no example.

        Raises:
            InputError: all training photographs are of one group.
        """
        cosines = _directions(batch.embedded[VECTOR] - self._mean) @ self._directions.T
        own = self._groups[batch.rows][:, None] == self._groups[self._train]
        if own.all(axis=1).any():
            raise InputError("predictor sousa: expected training photographs of another group; add photographs")
        return np.asarray(self._train[np.where(own, -np.inf, cosines).argmax(axis=1)])


def reduced(photographs: UInt8) -> UInt8:
    """Return the means of squares of `REDUCTION` pixels, of (k, H, W, ...) uint8."""
    k, height, width, *rest = photographs.shape
    squares = photographs.reshape(k, height // REDUCTION, REDUCTION, width // REDUCTION, REDUCTION, *rest)
    return np.asarray(np.rint(squares.mean(axis=(2, 4), dtype=np.float32)), np.uint8)


def enlarged(ab: Floats) -> Floats:
    """Return ab (h, w, 2) at `REDUCTION` times its size, bilinearly."""
    import cv2

    size = (ab.shape[1] * REDUCTION, ab.shape[0] * REDUCTION)
    return np.asarray(cv2.resize(ab, size, interpolation=cv2.INTER_LINEAR), np.float32)


def coloured(
    lightness: UInt8, example_lightness: UInt8, example_ab: UInt8, seed: tuple[int, int], *, colours: int
) -> Floats:
    """Colour a photograph like an example.

    Args:
        lightness: L (h, w), at least 21 pixels in both directions.
        example_lightness: L (H, W) of the example.
        example_ab: its ab (H, W, 2), 8-bit units.
        seed: of the first colours and of the samples.
        colours: number of colours.

    Returns:
        ab (h, w, 2), 8-bit units.
    """
    from threadpoolctl import threadpool_limits

    from pipeline.evaluation import graph_cut, pixel_features

    draw = np.random.default_rng(seed)
    with threadpool_limits(1, "blas"):  # on a cluster the caller's limit does not hold
        palette, numbers = quantised(example_ab, colours, draw)
        count = min(SAMPLES, numbers.size)
        chosen = draw.choice(numbers.size, count, replace=False)
        described = pixel_features.describe(example_lightness)[chosen]
        samples, project = projection(described)
        found = margins(samples, numbers[chosen], project(pixel_features.describe(lightness)))
    present = np.unique(numbers[chosen])
    costs = -UNARY * found.reshape(*lightness.shape, -1)
    distances = np.linalg.norm(palette[present][:, None] - palette[present], axis=-1)
    labels = graph_cut.expand(costs, distances, *borders(lightness))
    return np.asarray(palette[present][labels], np.float32)


def quantised(
    ab: UInt8, colours: int, draw: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return at most so many colours (k, 2) of ab (H, W, 2) by k-means, and the number of each pixel's, (H * W,)."""
    from scipy.cluster.vq import kmeans, vq

    pixels = ab.reshape(-1, 2).astype(np.float64)
    different = np.unique(pixels, axis=0)
    start = draw.choice(different, min(colours, len(different)), replace=False)
    palette, _ = kmeans(pixels, start)
    return palette, np.asarray(vq(pixels, palette)[0], np.intp)


def projection(features: Floats) -> tuple[Floats, "partial[Floats]"]:
    """Return samples' features (n, d) on their principal components, (n, c), and the function that projects others.

    Each feature is first scaled to the samples' range 0..1; a constant one is left out.
    """
    low, high = features.min(axis=0), features.max(axis=0)
    scale = np.divide(1, high - low, out=np.zeros_like(low), where=high > low)
    scaled = (features - low) * scale
    mean = scaled.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(scaled, rowvar=False, dtype=np.float64))
    largest = axes[:, -COMPONENTS:].astype(np.float32)
    project = partial(_projected, low=low, scale=scale, mean=mean, axes=largest)
    return project(features), project


def _projected(features: Floats, *, low: Floats, scale: Floats, mean: Floats, axes: Floats) -> Floats:
    return np.asarray(((features - low) * scale - mean) @ axes, np.float32)


def margins(samples: Floats, numbers: npt.NDArray[np.intp], pixels: Floats) -> npt.NDArray[np.float64]:
    """Return the margin of each pixel and colour: (pixels, k), for the k colours that samples have, in their order.

    The machines, each of which tells one colour from all others, share one kernel: its values between samples are
    computed once, and those between pixels and samples once more, for all machines.

    Args:
        samples: (n, c).
        numbers: (n,) of the samples' colours.
        pixels: (m, c).
    """
    from sklearn.svm import SVC

    present = np.unique(numbers)
    if len(present) == 1:
        return np.zeros((len(pixels), 1))
    kernel = _kernel(samples, samples).astype(np.float64)
    coefficients = np.zeros((len(samples), len(present)), np.float32)
    offsets = np.zeros(len(present))
    for place, number in enumerate(present):
        machine = SVC(C=PENALTY, kernel="precomputed").fit(kernel, numbers == number)
        coefficients[machine.support_, place] = machine.dual_coef_[0]
        offsets[place] = machine.intercept_[0]
    blocks = [_kernel(pixels[first : first + BLOCK], samples) @ coefficients for first in range(0, len(pixels), BLOCK)]
    return np.concatenate(blocks) + offsets


def _kernel(one: Floats, other: Floats) -> Floats:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    return np.asarray(np.exp(np.float32(-GAMMA) * np.maximum(squares - 2 * one @ other.T, 0)), np.float32)


def borders(lightness: UInt8) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what a border between pixels of L (h, w) costs: (h, w - 1) to the right, (h - 1, w) below.

    It is 1 / (`SOFTENING` + g), at most 10, for g the larger of the two pixels' Sobel gradients, of which the
    photograph's largest is 1. Borders thus follow edges.
    """
    import cv2

    smooth = cv2.GaussianBlur(lightness.astype(np.float64), (0, 0), 1)
    gradient = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    weight = 1 / (SOFTENING + gradient / max(gradient.max(), 1.0))
    return np.minimum(weight[:, :-1], weight[:, 1:]), np.minimum(weight[:-1], weight[1:])


def _directions(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
