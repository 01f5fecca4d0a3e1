"""Histograms of colours, and their mean."""

import numpy as np
from tiny import photographs

from pipeline.dataset import statistics


def test_colours_are_counted_by_partition(prepared):
    partitions = ["train"] * 6 + ["test"] * 4 + ["validation"] * 2 + ["train"] * 3
    found = statistics.count_colours(prepared.images, partitions)
    every = np.asarray(prepared.images.array("ab")[:])
    for name, counts in found.items():
        ab = every[np.array(partitions) == name]
        colours, numbers = np.unique(ab.reshape(-1, 2), axis=0, return_counts=True)
        assert counts.shape == (256, 256) and counts.sum() == ab[..., 0].size
        np.testing.assert_array_equal(counts[tuple(colours.T)], numbers)


def test_both_means_equal_that_of_the_pixels():
    ab = photographs(5)[1]
    counts = statistics.no_colours()
    for image in ab:
        statistics.add_colours(counts, image)
    total = ab.sum(axis=(0, 1, 2), dtype=np.int64)
    assert statistics.mean_ab(counts) == tuple((total / ab[..., 0].size).tolist())  # to the last bit
    np.testing.assert_allclose(statistics.mean_ab_of_images(ab), statistics.mean_ab(counts), rtol=1e-14)
