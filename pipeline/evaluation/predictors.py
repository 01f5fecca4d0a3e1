"""Predictors: functions from a `Batch` to predicted ab by answer name. Baselines are predictions without a network.

A predictor may return several answers that share work: a network's answers with different embeddings share its encoder.
`pipeline.evaluation.scoring.score` scores any predictor. To add a baseline, call `register` in a module named in
DEEPCOLOR_PLUGINS.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.core.registry import Registry
from pipeline.dataset.statistics import Counts, mean_ab
from pipeline.evaluation.measures import Truth
from pipeline.images import lab
from pipeline.storage.store import Store

GRAY = "gray"
MEAN = "mean"
MAJORITY = "majority"
SHUFFLED = "shuffled"
CEILING = "ceiling"

Ab = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Batch:
    """A batch of k images.

    Attributes:
        rows: (k,) the images' rows in the stores.
        truth: the true images; only baselines such as the ceiling use more than `truth.lightness`.
        embedded: the stored outputs of the embedding network, (k, ...) by name.
    """

    rows: npt.NDArray[np.intp]
    truth: Truth
    embedded: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __getitem__(self, chosen: slice | list[int]) -> "Batch":
        embedded = {name: values[chosen] for name, values in self.embedded.items()}
        return Batch(self.rows[chosen], self.truth[chosen], embedded)


Predictor = Callable[[Batch], Mapping[str, Ab]]  # (k, H, W, 2) in 8-bit units, by answer


@dataclass(frozen=True)
class BaselineInputs:
    """The data that baselines may use.

    Attributes:
        images: the store of images.
        partitions: each image's partition, in the order of the store.
        groups: each image's group, in the same order.
        colours: the histogram of (a, b) by partition; see `pipeline.dataset.statistics`.
        seed: of random draws.
    """

    images: Store
    partitions: Sequence[str]
    groups: Sequence[str]
    colours: Mapping[str, Counts]
    seed: int


@dataclass(frozen=True)
class Baseline:
    """A prediction without a network.

    Attributes:
        name: in the column `answer` of the scores.
        label: in tables.
        meaning: what it predicts, in a few words.
        make: returns a function that predicts ab (k, H, W, 2) in 8-bit units for a batch.
        is_colour: False if only the order of a and b is meaningful; then only the accuracy is measured.
    """

    name: str
    label: str
    meaning: str
    make: Callable[[BaselineInputs], Callable[[Batch], Ab]]
    is_colour: bool = True


def partners(groups: Sequence[str], seed: int | Sequence[int]) -> npt.NDArray[np.intp]:
    """Draw another image for every image, each exactly once: (n,) row numbers.

    The other image belongs to another group, unless one group contains more than half of all images.
    """
    generator = np.random.default_rng(seed)
    names, numbers, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    rank = generator.permutation(len(names))[numbers]
    order = generator.permutation(len(groups))
    order = order[np.argsort(rank[order], kind="stable")]
    chosen = np.empty_like(order)
    # `order` is sorted by group: a shift by the size of the largest group leaves every image's own group.
    chosen[order] = np.roll(order, min(int(sizes.max()), max(len(order) - 1, 1)))
    return chosen


def ceiling_answer(true_ab: lab.UInt8) -> npt.NDArray[np.float64]:
    """Return the best prediction by squared error at the resolution of the paper's networks: means of 2x2 pixels.

    Args:
        true_ab: (k, H, W, 2) uint8, H and W even.

    Returns:
        (k, H, W, 2) float64.
    """
    k, height, width, _ = true_ab.shape
    small = true_ab.reshape(k, height // 2, 2, width // 2, 2, 2).mean(axis=(2, 4), dtype=np.float64)
    return np.asarray(small.repeat(2, axis=1).repeat(2, axis=2))


def _constant(a: float, b: float) -> Callable[[Batch], Ab]:
    """Predict one colour everywhere, float64 in 8-bit units, as a read-only view."""
    return lambda batch: np.broadcast_to(np.array([a, b], np.float64), (*batch.truth.lightness.shape, 2))


def _majority(data: BaselineInputs) -> Callable[[Batch], Ab]:
    counts = data.colours["train"]
    larger_b = np.triu(counts, 1).sum()  # pixels with b > a
    return _constant(0, int(2 * larger_b > counts.sum()))


def _shuffled(data: BaselineInputs) -> Callable[[Batch], Ab]:
    others = partners(data.groups, data.seed)
    return lambda batch: data.images.read_rows("ab", others[batch.rows])


BASELINES: Registry[Baseline] = Registry("baseline", "baseline")  # all are scored, in this order
register = BASELINES.register

for _baseline in (
    Baseline(GRAY, "gray", "gray everywhere", lambda data: _constant(lab.NEUTRAL, lab.NEUTRAL)),
    Baseline(
        MEAN, "mean colour", "the training images' mean colour", lambda data: _constant(*mean_ab(data.colours["train"]))
    ),
    # The channel that is larger in most training pixels. Gray ties, so its accuracy is the share of a >= b.
    Baseline(MAJORITY, "majority", "the more frequent channel everywhere", _majority, is_colour=False),
    Baseline(SHUFFLED, "another image's colours", "another image's colours", _shuffled),
    Baseline(
        CEILING,
        "ceiling (truth at 112×112)",
        "the truth at the networks' resolution",
        lambda data: lambda batch: ceiling_answer(batch.truth.ab),
    ),
):
    register(_baseline)
BUILT_IN = (GRAY, MEAN, MAJORITY, SHUFFLED, CEILING)  # which records of scores do not list; list later ones


def baselines(data: BaselineInputs) -> Predictor:
    """Return all registered baselines as one predictor."""
    predictions = {name: baseline.make(data) for name, baseline in BASELINES.items()}
    return lambda batch: {name: predict(batch) for name, predict in predictions.items()}
