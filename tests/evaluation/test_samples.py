"""The best of several sampled answers of a network with latent variables."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.evaluation.measures import Truth
from pipeline.evaluation.predictors import Batch
from pipeline.evaluation.scores import BEST, MODEL, SAMPLES
from pipeline.networks import heads
from pipeline.networks.inputs import LATENT, ImageBatch, predict
from pipeline.networks.notation import resolve

MAPS = {"map_7": (7, 7, 320), "map_14": (14, 14, 112), "map_28": (28, 28, 40), "map_56": (56, 56, 24)}
N = 3


@pytest.fixture
def model(keras):
    from pipeline.networks import builder

    head = heads.choose(resolve("vae").head)
    return builder.with_decoding(builder.build("vae", l2=0.0, seed=2), head)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    embedded = {name: rng.normal(size=(N, *shape)).astype(np.float32) for name, shape in MAPS.items()}
    lightness = rng.integers(0, 256, (N, 224, 224), dtype=np.uint8)
    ab = rng.integers(100, 156, (N, 224, 224, 2), dtype=np.uint8)
    return Batch(np.array([5, 0, 2]), Truth(lightness, ab, np.ones((N, 1))), embedded)


def network(model, batch):
    from pipeline.evaluation.network import Network

    means = {name: values.mean(axis=0) for name, values in batch.embedded.items()}
    dataset = SimpleNamespace(
        outputs=MAPS, groups=[str(row) for row in range(6)], partitions=["test"] * 6,
        mean_embedded=lambda: means, embedded=lambda rows: batch.embedded,
    )  # fmt: skip
    return Network(model, dataset, seed=7)


def test_the_best_sample_of_each_image_is_the_one_nearest_to_the_truth(model, batch):
    answers = network(model, batch)(batch)
    samples = []
    for number in range(SAMPLES):
        noise = [np.random.default_rng((7, row, number)).standard_normal(LATENT) for row in batch.rows.tolist()]
        images = ImageBatch(batch.truth.lightness, batch.embedded, noise=np.array(noise, np.float32))
        samples.append(predict(model, images))
    errors = np.mean((np.array(samples) - batch.truth.ab) ** 2, axis=(2, 3, 4))
    assert len(np.unique(errors)) == errors.size
    expected = np.array(samples)[errors.argmin(axis=0), range(N)]
    np.testing.assert_allclose(answers[BEST], expected, atol=1e-3)
    one = predict(model, ImageBatch(batch.truth.lightness, batch.embedded))
    np.testing.assert_allclose(answers[MODEL], one, atol=1e-3)


def test_samples_of_an_image_do_not_depend_on_its_batch(model, batch):
    several = network(model, batch)(batch)[BEST]
    alone = network(model, batch[1:2])(batch[1:2])[BEST]
    np.testing.assert_allclose(alone[0], several[1], atol=1e-3)
