"""Labels of pixels by a graph cut: alpha-expansion with a weight for each pair of neighbouring pixels.

Boykov, Veksler and Zabih, "Fast approximate energy minimization via graph cuts", IEEE Transactions on Pattern Analysis
and Machine Intelligence 23(11), 2001.
"""

import maxflow
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]


def expand(costs: Values, distances: Values, right: Values, down: Values, most_cycles: int = 10) -> Labels:
    """Return labels of pixels with a low `energy`, starting from each pixel's cheapest label.

    No change of any pixels to one label lowers the energy further, unless `most_cycles` end the search.

    Args:
        costs: (H, W, k) of each label at each pixel.
        distances: (k, k) between labels, a metric.
        right: (H, W - 1) weight of each pixel and the next one to the right, 0 or more.
        down: (H - 1, W) likewise, of each pixel and the next one below.
        most_cycles: through all labels.

    Returns:
        (H, W) labels.
    """
    pairs, weights = _pairs(right, down)
    unary = costs.reshape(-1, costs.shape[-1])
    labels = np.asarray(unary.argmin(axis=1), np.intp)
    lowest = _energy(unary, distances, pairs, weights, labels)
    for _ in range(most_cycles):
        before = lowest
        for label in range(unary.shape[1]):
            moved = np.where(_expansion(unary, distances, pairs, weights, labels, label), label, labels)
            if (found := _energy(unary, distances, pairs, weights, moved)) < lowest:
                labels, lowest = moved, found
        if lowest == before:
            break
    return np.asarray(labels.reshape(costs.shape[:-1]))


def energy(costs: Values, distances: Values, right: Values, down: Values, labels: Labels) -> float:
    """Return the sum of the pixels' costs and of the neighbours' weighted distances; arguments as for `expand`."""
    return _energy(costs.reshape(-1, costs.shape[-1]), distances, *_pairs(right, down), labels.ravel())


def _pairs(right: Values, down: Values) -> tuple[Labels, Values]:
    """Return the numbers of neighbouring pixels, (2, pairs), and their weights."""
    numbers = np.arange(down.shape[1] * right.shape[0]).reshape(right.shape[0], down.shape[1])
    pairs = [(numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])]
    first, second = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    return np.stack([first, second]), np.concatenate([right.ravel(), down.ravel()])


def _energy(unary: Values, distances: Values, pairs: Labels, weights: Values, labels: Labels) -> float:
    between = weights * distances[labels[pairs[0]], labels[pairs[1]]]
    return float(unary[np.arange(len(labels)), labels].sum() + between.sum())


def _expansion(
    unary: Values, distances: Values, pairs: Labels, weights: Values, labels: Labels, label: int
) -> npt.NDArray[np.bool_]:
    """Return which pixels the best expansion of `label` gives it to."""
    first, second = labels[pairs[0]], labels[pairs[1]]
    # Costs of a pair if both keep their labels, and if only the first or only the second takes the new one.
    neither = weights * distances[first, second]
    one, other = weights * distances[label, second], weights * distances[first, label]
    keep = unary[np.arange(len(labels)), labels] + _summed(pairs[0], neither, labels) + _summed(pairs[1], one, labels)
    take = unary[:, label] + _summed(pairs[0], one, labels)
    graph = maxflow.GraphFloat(len(labels), pairs.shape[1])
    nodes = graph.add_nodes(len(labels))
    graph.add_edges(nodes[pairs[0]], nodes[pairs[1]], np.maximum(one + other - neither, 0), np.zeros_like(weights))
    graph.add_grid_tedges(nodes, take, keep)
    graph.maxflow()
    return np.asarray(graph.get_grid_segments(nodes))


def _summed(pixels: Labels, values: Values, labels: Labels) -> Values:
    return np.asarray(np.bincount(pixels, values, len(labels)), np.float64)
