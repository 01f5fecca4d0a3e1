"""Inception-v3 as FID uses it: the layers of Keras' own Inception-v3, and the weights of pytorch-fid's file alone."""

import re

import numpy as np
import pytest

from pipeline.config.schema import Embedding
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry

ENTRY = registry.ENTRIES["inception_fid"]


def tensors_of(network):
    """Random tensors as torchvision names and stores them."""
    draws, tensors = np.random.default_rng(0), {}
    for layer in network.layers:
        kinds = ["weight", "bias", "running_mean", "running_var"] if layer.name.endswith(".bn") else ["weight", "bias"]
        for kind, variable in zip(kinds, layer.weights, strict=False):
            values = draws.normal(0, 0.05, variable.shape).astype(np.float32)
            if kind == "running_var" or (layer.name.endswith(".bn") and kind == "weight"):
                values = 1 + np.abs(values)
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[values.ndim]
            tensors[f"{layer.name}.{kind}"] = np.ascontiguousarray(values.transpose(axes))
        if layer.name.endswith(".bn"):
            tensors[f"{layer.name}.num_batches_tracked"] = np.array(7)
    return tensors


@pytest.fixture(scope="module")
def built(_started):
    """The network with random weights, and their tensors. Its last block takes the mean, as Keras' and the paper's."""
    import keras

    from pipeline.embedding import inception_fid

    usual = keras.layers.MaxPooling2D

    def mean(*arguments, **options):
        return (keras.layers.AveragePooling2D if "padding" in options else usual)(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.layers, "MaxPooling2D", mean)
        network = inception_fid.build(None, "logits")
    tensors = tensors_of(network)
    inception_fid._assign(network, tensors)
    return network, tensors


@pytest.mark.slow
def test_its_layers_are_those_of_keras_own_inception(built):
    import keras

    network, _ = built
    made = [layer.name.removesuffix(".conv") for layer in network.layers if layer.name.endswith(".conv")]
    made.sort(key=lambda label: label.replace("branch5x5", "branch2"))  # in the order of Keras'
    theirs = keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg")

    def in_order(kind):
        found = [layer for layer in theirs.layers if isinstance(layer, kind)]
        return sorted(found, key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or ["0"])[0]))

    convolutions, norms = in_order(keras.layers.Conv2D), in_order(keras.layers.BatchNormalization)
    for label, convolution, norm in zip(made, convolutions, norms, strict=True):
        convolution.set_weights(network.get_layer(f"{label}.conv").get_weights())
        mine = network.get_layer(f"{label}.bn")
        mine.gamma.assign(np.ones(mine.gamma.shape))  # which Keras' does not have
        norm.set_weights(mine.get_weights()[1:])
    image = np.random.default_rng(1).uniform(-1, 1, (1, 299, 299, 3)).astype(np.float32)
    features = keras.Model(network.inputs, network.get_layer("features").output)
    found, expected = features.predict_on_batch(image), theirs.predict_on_batch(image)
    assert np.std(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_the_last_pooling_takes_the_maximum(keras):
    network = ENTRY.build(None, "softmax")
    pools = {layer.name: layer for layer in network.layers if "pooling" in layer.name and layer.strides == (1, 1)}
    kinds = [type(layer) for layer in pools.values() if hasattr(layer, "pool_size")]
    assert kinds == [keras.layers.AveragePooling2D] * 8 + [keras.layers.MaxPooling2D]
    assert network.count_params() == ENTRY.parameters
    assert network.get_layer("features").output.shape[1:] == (ENTRY.features,)
    assert (
        sum(int(np.prod(each.shape)) for each in network.trainable_variables) == 23_834_568 + 8 * 2049
    )  # torchvision's
    flops = sum(
        2 * np.prod(layer.output.shape[1:3]) * np.prod(layer.kernel.shape)
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    assert ENTRY.flops == pytest.approx(flops, rel=0.05)


@pytest.mark.parametrize("change", ["one less", "one more", "another shape"])
def test_other_tensors_are_refused(built, change):
    from pipeline.embedding import inception_fid

    network, tensors = built
    other = dict(tensors)
    name = "Mixed_6b.branch7x7_2.conv.weight"
    if change == "one more":
        other["AuxLogits.fc.weight"] = other[name]
    elif change == "one less":
        del other[name]
    else:
        other[name] = other[name].transpose(0, 1, 3, 2)
    with pytest.raises(InputError, match=ENTRY.weights_file):
        inception_fid._assign(network, other)


def test_without_its_file_there_is_no_fid(keras, tmp_path, monkeypatch):
    from pipeline.embedding.inception_fid import _checkpoint

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(InputError, match=rf"{ENTRY.weights_file} is missing.*evaluation\.recognition"):
        _checkpoint()
    for folder in ("keras/models", "torch/hub/checkpoints"):
        path = tmp_path / folder / ENTRY.weights_file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"not it")
        with pytest.raises(InputError, match=rf"{path}: .*6726825d"):
            _checkpoint()
    assert recipe.recognition(recipe.recognising(Embedding(), "inception_fid"))["sha256"] == "6726825d"
