"""The network that computes features and logits, small and real."""

import numpy as np
import pytest
from tiny import INCEPTION, photographs

from pipeline.config.schema import Embedding
from pipeline.evaluation import recognition
from pipeline.images import lab


@pytest.fixture
def small(keras):
    """A network of one convolution, average pooling and a head, as the real one ends."""
    inputs = keras.Input((299, 299, 3))
    inner = keras.layers.Conv2D(8, 7, strides=5, activation="relu", kernel_initializer=keras.initializers.HeNormal(1))
    pooled = keras.layers.GlobalAveragePooling2D()(inner(inputs))
    head = keras.layers.Dense(1000, kernel_initializer=keras.initializers.HeNormal(2))
    return keras.Model(inputs, head(pooled))


def pictures(n):
    return lab.to_rgb(*photographs(n))


@pytest.mark.parametrize(("first", "last"), [(0, 3), (2, 5), (3, 4), (1, 11), (4, 4)])
def test_batches_do_not_change_a_pictures_numbers(small, first, last):
    from pipeline.embedding.network import FeatureNetwork

    network, rgb = FeatureNetwork(INCEPTION, small, 4), pictures(11)
    features, logits = network(rgb)
    assert (features.shape, features.dtype) == ((11, 8), np.float32)
    assert (logits.shape, logits.dtype) == ((11, 1000), np.float32)
    assert len(np.unique(logits[:, 0])) == 11
    for full, part in zip((features, logits), network(rgb[first:last]), strict=True):
        assert part.tobytes() == full[first:last].tobytes() and part.shape == (last - first, *full.shape[1:])


def test_pictures_are_preprocessed_as_in_keras_and_features_feed_the_head(small, keras):
    from pipeline.embedding.network import FeatureNetwork, Photograph

    rgb = pictures(2)
    resized = keras.ops.image.resize(rgb.astype(np.float32), (299, 299), data_format="channels_last")
    expected = keras.applications.inception_resnet_v2.preprocess_input(np.array(resized))
    np.testing.assert_allclose(np.asarray(Photograph(INCEPTION, dtype="float32")(rgb)), expected, atol=1e-6)
    features, logits = FeatureNetwork(INCEPTION, small, 2)(rgb)
    kernel, bias = (np.asarray(variable) for variable in small.layers[-1].weights)
    np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-4, atol=1e-5)
    features_map = keras.Model(small.inputs, small.layers[1].output)(expected)
    np.testing.assert_allclose(features, np.asarray(features_map).mean(axis=(1, 2)), rtol=1e-4)


def test_gray_pictures_have_the_embeddings_of_their_lightness(small):
    from pipeline.embedding.network import EmbeddingNetwork, FeatureNetwork

    lightness, _ = photographs(3)
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    _, logits = FeatureNetwork(INCEPTION, small, 2)(gray)
    np.testing.assert_allclose(
        logits, EmbeddingNetwork(INCEPTION, small, 2)(lightness)["embedding"], rtol=1e-5, atol=1e-5
    )


def test_features_are_float32_and_outputs_logits_whatever_the_embedding_settings(keras, monkeypatch):
    from pipeline.embedding import network as networks

    built = []

    def network(embedding, weights):
        built.append((embedding.activation, weights, keras.config.dtype_policy().name))
        inputs = keras.Input((299, 299, 3))
        return keras.Model(inputs, keras.layers.Dense(1000)(keras.layers.GlobalAveragePooling2D()(inputs)))

    monkeypatch.setattr(networks, "build_network", network)
    keras.config.set_dtype_policy("mixed_bfloat16")
    embedding = Embedding(network=INCEPTION.name, activation="softmax", precision="mixed_bfloat16", batch_size=2)
    loaded = recognition.load_network(embedding)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert built == [("logits", "imagenet", "float32")]
    rgb = pictures(3)
    features, _ = loaded(rgb)
    np.testing.assert_allclose(features, rgb.mean(axis=(1, 2)) / 127.5 - 1, atol=2e-3)  # bfloat16 is off by more


@pytest.mark.long
def test_the_real_network_gives_1536_features_and_the_embeddings_logits(keras, tmp_path):
    from pipeline.embedding import network as networks

    saved = tmp_path / "embedding_network.weights.h5"
    embeddings = networks.load(Embedding(network=INCEPTION.name, weights="random", batch_size=4), saved)
    network = networks.load_features(
        Embedding(network=INCEPTION.name, weights=str(saved), batch_size=4, activation="softmax")
    )
    lightness = networks.calibration_images()[:5]
    gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
    features, logits = network(gray)
    assert features.shape == (5, INCEPTION.features) and logits.shape == (5, 1000)
    expected = embeddings(lightness)["embedding"]
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert (features >= 0).all() and features.std(axis=0).mean() > 0
    for full, part in zip((features, logits), network(gray[1:3]), strict=True):
        assert part.tobytes() == full[1:3].tobytes()
