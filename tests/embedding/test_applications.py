"""The table of `keras.applications` beside Keras itself."""

import sys

import numpy as np
import pytest

from pipeline.config.schema import Embedding
from pipeline.core.errors import InputError
from pipeline.embedding import applications, recipe, registry

TABLE = {each.name: each for each in applications.applications()}
QUICK = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0")


def test_every_network_of_keras_is_in_the_registry(keras):
    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {each.function for each in TABLE.values()} | {"InceptionResNetV2"} == functions
    assert {*TABLE, "inception_resnet_v2", "efficientnet_lite0"} <= {*registry.ENTRIES}


def flops(keras, network):
    """Two operations per multiply-add of convolutions and dense layers."""
    total = 0
    for layer in network.layers:
        places = np.prod(layer.output.shape[1:-1])
        if isinstance(layer, keras.layers.SeparableConv2D):
            total += 2 * places * (np.prod(layer.depthwise_kernel.shape) + np.prod(layer.pointwise_kernel.shape))
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            total += 2 * places * np.prod(layer.kernel.shape)
    return total


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in TABLE]
)
def test_the_table_says_what_keras_builds(keras, name):
    row = TABLE[name]
    network = row.build(None, "logits")
    function = getattr(keras.applications, row.function)
    (image,) = network.inputs
    assert image.shape == (None, row.side, row.side, 3)
    assert {output: tuple(tensor.shape[1:]) for output, tensor in network.output.items()} == dict(
        registry.ENTRIES[name].outputs
    )
    assert network.count_params() == row.parameters
    assert flops(keras, network) == pytest.approx(row.flops, rel=1e-6)
    last = network.layers[-1]
    dense = isinstance(last, keras.layers.Dense) and len(last.input.shape) == 2
    assert row.features == (last.input.shape[-1] if dense else 0)
    levels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    expected = sys.modules[function.__module__].preprocess_input(levels.copy())
    found = np.asarray(registry.ENTRIES[name].preprocess(keras.ops.convert_to_tensor(levels)))
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-5, atol=1e-4)


def test_vgg16_has_maps_at_four_scales():
    assert dict(registry.ENTRIES["vgg16"].outputs) == {
        "embedding": (1000,), "map_56": (56, 56, 256), "map_28": (28, 28, 512), "map_14": (14, 14, 512),
        "map_7": (7, 7, 512),
    }  # fmt: skip


def test_weights_whose_digest_keras_does_not_know_are_refused():
    assert recipe.weights(Embedding(network="vgg16"))["md5"] == "64373286793e3c8b2b4e3219cbf3544b"
    assert "sha256" in recipe.weights(Embedding(network="convnext_tiny"))
    with pytest.raises(InputError, match=r"embedding\.weights.*MobileNetV2"):
        recipe.weights(Embedding(network="mobilenet_v2"))


def test_a_file_of_another_network_is_named(tmp_path, monkeypatch):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"abc")
    theirs = ("md5", "900150983cd24fb0d6963f7d28e17f72")
    from dataclasses import replace

    monkeypatch.setitem(registry.ENTRIES, "vgg16", replace(registry.ENTRIES["vgg16"], weights_digest=theirs))
    with pytest.raises(InputError, match=r"embedding\.network to vgg16"):
        recipe.weights(Embedding(network="resnet50", weights=str(path)))
