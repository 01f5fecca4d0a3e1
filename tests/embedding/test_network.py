"""The embedding network: preprocessing, batches, random weights, and files of weights that do not fit."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from skimage.color import lab2rgb
from tiny import INCEPTION, photographs

from pipeline.config.schema import Embedding
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry

PAPERS = Embedding(network=INCEPTION.name, weights="random")


@pytest.fixture(scope="module")
def small(_started):
    """An embedding network of one convolution, for tests of batches and padding without 56 million weights."""
    import keras

    from pipeline.embedding.network import EmbeddingNetwork

    network = keras.Sequential(
        [
            keras.Input((299, 299, 3)),
            keras.layers.Conv2D(8, 7, strides=5, activation="relu", kernel_initializer=keras.initializers.HeNormal(1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1000, kernel_initializer=keras.initializers.HeNormal(2)),
        ]
    )
    return EmbeddingNetwork(INCEPTION, network, 4)


@pytest.fixture(scope="module", params=["efficientnet_lite0", pytest.param(INCEPTION.name, marks=pytest.mark.long)])
def random_network(_started, tmp_path_factory, request):
    """A real network with random weights of seed 0, made once, its file, and what was asked for."""
    from pipeline.embedding import network as networks

    asked = Embedding(network=request.param, weights="random", batch_size=4)
    saved = tmp_path_factory.mktemp("network") / "embedding_network.weights.h5"
    return networks.load(asked, saved), saved, asked


def resized(gray, row, column):
    """A pixel of (224, 224) resized to 299x299: bilinear with pixel centres at halves, no antialiasing."""
    y, x = ((place + 0.5) * 224 / 299 - 0.5 for place in (row, column))
    y, x = (min(max(value, 0.0), 223.0) for value in (y, x))
    top, left = int(y), int(x)
    below, right = min(top + 1, 223), min(left + 1, 223)
    dy, dx = y - top, x - left
    upper = gray[top, left] * (1 - dx) + gray[top, right] * dx
    lower = gray[below, left] * (1 - dx) + gray[below, right] * dx
    return upper * (1 - dy) + lower * dy


def test_the_gray_photograph_is_lab_to_srgb_resized_and_scaled(keras):
    from pipeline.embedding.network import GrayPhotograph

    lightness = np.random.default_rng(0).integers(0, 256, (2, 224, 224), dtype=np.uint8)
    got = np.asarray(GrayPhotograph(INCEPTION, dtype="float32")(lightness))
    assert (got.shape, got.dtype) == ((2, 299, 299, 3), np.float32)
    lab = np.stack([lightness / 2.55, np.zeros(lightness.shape), np.zeros(lightness.shape)], axis=-1)
    gray = np.rint(255 * np.clip(lab2rgb(lab), 0, 1))[..., 0]
    for image, row, column in [(0, 0, 0), (0, 298, 298), (0, 150, 7), (1, 3, 200), (1, 149, 149), (1, 298, 0)]:
        expected = resized(gray[image], row, column) / 127.5 - 1
        np.testing.assert_allclose(got[image, row, column], [expected] * 3, atol=0.5 / 127.5)
    assert -1 <= got.min() < -0.9 and 0.9 < got.max() <= 1


def test_black_is_minus_one_white_is_one_and_gray_is_not_luma(keras):
    from pipeline.embedding.network import GrayPhotograph

    flat = np.array([0, 255, 137], np.uint8)[:, None, None].repeat(224, 1).repeat(224, 2)
    got = np.asarray(GrayPhotograph(INCEPTION, dtype="float32")(flat))
    np.testing.assert_array_equal(got[0], -1)
    np.testing.assert_array_equal(got[1], 1)
    # L8 = 137 is L* 53.7, which is the sRGB gray 128 or 129.
    assert np.abs((got[2] + 1) * 127.5 - 128.5).max() <= 0.51


@pytest.mark.parametrize(("first", "last"), [(0, 3), (2, 5), (3, 4), (1, 11)])
def test_an_embedding_does_not_depend_on_its_batch(small, first, last):
    lightness, _ = photographs(11)
    whole = small(lightness)["embedding"]
    assert (whole.shape, whole.dtype) == ((11, 1000), np.float32)
    assert len(np.unique(whole[:, 0])) == 11
    assert small(lightness[first:last])["embedding"].tobytes() == whole[first:last].tobytes()


def test_random_weights_tell_photographs_apart(random_network):
    from pipeline.embedding.network import calibration_images, weights_facts
    from pipeline.embedding.spread import MOSTLY_CONSTANT, spread

    network, saved, _ = random_network
    facts = weights_facts(saved)
    assert facts["weights"] == "random" and facts["recipe"] == recipe.RANDOM_RECIPE
    assert facts["files"] == {saved.name: files.digest_file(saved)}
    images = calibration_images()[:7]
    embeddings = network(images)["embedding"]
    measured = spread(embeddings)
    assert measured["relative"] > MOSTLY_CONSTANT and measured["effective_rank"] > 2
    # Beside other images. At another place of a batch, some processors round differently.
    assert network(images[[0, 5, 6]])["embedding"][1:].tobytes() == embeddings[5:].tobytes()


@pytest.mark.long
def test_a_seed_determines_all_weights(random_network, tmp_path):
    import keras

    from pipeline.embedding import network as networks

    keras.utils.clear_session()
    twin = tmp_path / "embedding_network.weights.h5"
    _, saved, asked = random_network
    networks.load(asked, twin)
    with h5py.File(saved) as one, h5py.File(twin) as two:
        names = []
        one.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(names) > 200
        for name in names:
            np.testing.assert_array_equal(one[name][()], two[name][()], err_msg=name)
    assert networks.weights_facts(twin)["seed"] == 0


def test_another_seed_draws_other_kernels(keras):
    from pipeline.embedding.network import randomize

    def kernels(seed):
        network = keras.Sequential(
            [keras.Input((9, 9, 3)), keras.layers.Conv2D(20, 3), keras.layers.Flatten(), keras.layers.Dense(30)]
        )
        randomize(network, seed)
        return network.get_weights()

    one, same, other = kernels(1), kernels(1), kernels(2)
    for place, limit in ((0, np.sqrt(6 / (9 * 23))), (2, np.sqrt(6 / (980 + 30)))):
        np.testing.assert_array_equal(one[place], same[place])
        assert np.abs(one[place] - other[place]).max() > limit
        assert 0.95 * limit < np.abs(one[place]).max() <= limit
    assert not one[1].any() and not one[3].any()


def test_calibration_gives_every_batch_norm_the_statistics_of_its_input(keras):
    from pipeline.embedding.network import GrayPhotograph, calibrate

    photograph = keras.Input((299, 299, 3))
    inner = keras.layers.Conv2D(4, 9, strides=8, kernel_initializer=keras.initializers.HeNormal(1))(photograph)
    network = keras.Model(photograph, keras.layers.BatchNormalization(epsilon=1e-9)(inner))
    lightness, _ = photographs(6)
    calibrate(INCEPTION, network, lightness)
    out = np.asarray(network(GrayPhotograph(INCEPTION, dtype="float32")(lightness), training=False))
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=(0, 1, 2)), 1, atol=1e-3)


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_a_file_with_other_weights_is_refused(keras, tmp_path, content, monkeypatch):
    from pipeline.embedding import network as networks

    path = tmp_path / "weights.h5"
    if content is None:
        with h5py.File(path, "w") as file:
            file["L"] = np.zeros(3)
    else:
        path.write_bytes(content)

    # Keras builds the network before it reads the file. A small network fails in the same way, but at once.
    def network(embedding, weights):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.load_weights(weights)
        return model

    monkeypatch.setattr(networks, "build_network", network)
    with pytest.raises(InputError) as caught:
        networks.load(Embedding(network=INCEPTION.name, weights=str(path)), tmp_path / "x.weights.h5")
    assert not (tmp_path / "embedding_network.json").exists()
    for part in ("embedding.weights", str(path), INCEPTION.weights_file, INCEPTION.label):
        assert part in str(caught.value)


@pytest.mark.long
def test_a_file_of_another_network_is_refused_by_the_real_one(keras, tmp_path):
    from pipeline.embedding import network as networks
    from pipeline.networks import builder

    path = tmp_path / "other.weights.h5"
    builder.build("arch3").save_weights(path)
    with pytest.raises(InputError, match=r"embedding\.weights: .*other\.weights\.h5.*Inception-ResNet-v2"):
        networks.load(Embedding(network=INCEPTION.name, weights=str(path)), tmp_path / "x")


def test_a_failed_download_names_the_file_to_copy(keras, tmp_path, monkeypatch):
    from pipeline.embedding import network as networks

    def fails(**options):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "InceptionResNetV2", fails)
    with pytest.raises(InputError, match=r"embedding\.weights: .*URL fetch failure.*" + INCEPTION.weights_file):
        networks.load(Embedding(network=INCEPTION.name), tmp_path / "x")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("absent.h5", "absent.h5 .* inception_resnet_v2"), ("weights.zip", r"\.h5 .*'weights\.zip'"),
     ("imagnet", "random, imagenet .*'imagnet'")],
)  # fmt: skip
def test_weights_that_are_not_a_file_are_refused(weights, expected):
    with pytest.raises(InputError, match=rf"embedding\.weights: .*{expected}"):
        recipe.weights(Embedding(network=INCEPTION.name, weights=weights))


def test_weights_are_identified_by_content_and_not_by_path(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"abc")
    md5 = "900150983cd24fb0d6963f7d28e17f72"
    assert recipe.weights(Embedding(network=INCEPTION.name, weights=str(path))) == {"weights": "file", "md5": md5}
    monkeypatch.setitem(registry.ENTRIES, INCEPTION.name, replace(INCEPTION, weights_digest=("md5", md5)))
    official = recipe.weights(Embedding(network=INCEPTION.name))
    assert recipe.weights(Embedding(network=INCEPTION.name, weights=str(path))) == official
    assert recipe.weights(Embedding(weights="random", seed=3))["seed"] == 3
    assert recipe.label(recipe.settings(PAPERS, 8)).startswith("Inception-ResNet-v2, RANDOM")
    assert recipe.settings(Embedding(), 8) != recipe.settings(Embedding(activation="softmax"), 8)


@pytest.mark.long
def test_a_legacy_file_is_loaded_with_a_warning_and_gives_the_same_embeddings(keras, tmp_path, caplog):
    from keras.src.legacy.saving import legacy_h5_format

    from pipeline.embedding import network as networks

    network = keras.applications.InceptionResNetV2(weights=None, classifier_activation=None)
    networks.randomize(network, 3)
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    saved = tmp_path / "embedding_network.weights.h5"
    loaded = networks.load(Embedding(network=INCEPTION.name, weights=str(path), batch_size=2), saved)
    assert "has MD5" in caplog.text and INCEPTION.weights_digest[1] in caplog.text
    assert networks.weights_facts(saved) == {"weights": "file", "md5": files.digest_file(path, "md5")}
    assert not saved.exists()
    lightness = photographs(2)[0]
    expected = networks.EmbeddingNetwork(INCEPTION, network, 2)(lightness)
    np.testing.assert_array_equal(loaded(lightness)["embedding"], expected["embedding"])
