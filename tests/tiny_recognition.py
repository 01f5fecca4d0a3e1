"""A network for tests of recognition, and images that it recognises."""

import numpy as np

from pipeline.evaluation import measures, metrics
from pipeline.evaluation.frechet import Moments
from pipeline.evaluation.recognition import Recognition

FRECHET = "frechet_inception_resnet_v2"
PARTITIONS = ["train", "test", "train", "validation", "test", "train", "test", "train", "validation", "validation"]


def moments(values):
    found = Moments.none(values.shape[1])
    found.add(values)
    return found


def projection(rgb):
    """A network for tests: 5 features and 40 logits, linear in the R - G and B - G of a picture's quarters."""
    height, width = (side // 2 for side in rgb.shape[1:3])
    quarters = rgb.reshape(len(rgb), 2, height, 2, width, 3).mean(axis=(2, 4))
    chroma = (quarters[..., [0, 2]] - quarters[..., [1]]).reshape(len(rgb), 8)
    rng = np.random.default_rng(8)
    features = (chroma @ rng.normal(size=(8, 5))).astype(np.float32)
    return features, features @ rng.normal(size=(5, 40)).astype(np.float32)


def images():
    """L and ab (10, 8, 8), and the ab of an answer."""
    rng = np.random.default_rng(2)
    return (
        rng.integers(60, 200, (10, 8, 8), dtype=np.uint8),
        rng.integers(90, 170, (10, 8, 8, 2), dtype=np.uint8),
        rng.normal(128, 15, (10, 8, 8, 2)).astype(np.float32) + rng.normal(0, 30, (10, 1, 1, 2)).astype(np.float32),
    )


def truth(lightness, ab):
    return measures.Truth(lightness, ab, np.ones((len(ab), metrics.COLOR_BINS)))


def measured(true, answers, lightness, ab, size):
    """The recognition of answers in batches of `size`, and their measures."""
    recognition = Recognition(projection, PARTITIONS, "inception_resnet_v2", true)
    columns = {answer: {} for answer in answers}
    for start in range(0, len(lightness), size):
        here = slice(start, start + size)
        parts = {answer: values[here] for answer, values in answers.items()}
        rows = np.arange(len(lightness))[here]
        for answer, agreed in recognition.measure(rows, truth(lightness[here], ab[here]), parts).items():
            for name, values in agreed.items():
                columns[answer].setdefault(name, []).append(values)
    return recognition, {
        answer: {name: np.concatenate(parts) for name, parts in here.items()} for answer, here in columns.items()
    }


def known(lightness, ab, size):
    return measured(None, {}, lightness, ab, size)[0].true
