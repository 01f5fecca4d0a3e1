"""Architectures that decode feature maps: what joins where, and what is refused."""

import numpy as np
import pytest

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.networks import cost, heads, notation
from pipeline.networks.inputs import ImageBatch, predict

SMALL = {
    "encoder": "", "fusion": "1x1:6 4", "decoder": "~.5 ^ +map_14:3 5 ^ ^ +map_56 +L 4 ^ ^ 2",
    "inputs": ["L", "map_7", "map_14", "map_56", "embedding"],
}  # fmt: skip


def small(**changes):
    return {"small": Architecture(**{**SMALL, **changes})}


def batch(n, seed=0):
    draws = np.random.default_rng(seed)
    shapes = {"map_7": (7, 7, 320), "map_14": (14, 14, 112), "map_28": (28, 28, 40), "map_56": (56, 56, 24)}
    embedded = {name: draws.normal(size=(n, *shape)).astype(np.float16) for name, shape in shapes.items()}
    embedded["embedding"] = draws.normal(size=(n, 1000)).astype(np.float32)
    return ImageBatch(draws.integers(0, 256, (n, 224, 224), np.uint8), embedded)


@pytest.mark.parametrize("changes", [{}, {"normalisation": "batch"}, {"upsampling": "bilinear"}])
def test_weights_are_counted_as_they_are(keras, changes):
    from pipeline.networks import builder

    architectures = small(**changes)
    model = builder.build("small", architectures=architectures)
    assert model.count_params() == cost.parameters("small", architectures["small"], embedding=True)
    assert model.output.shape == (None, 224, 224, 2)


def test_a_run_without_the_embedding_network_has_no_maps():
    with pytest.raises(InputError, match=r"map_7, map_14, map_28, map_56.*_noembed"):
        notation.of_run(Run.parse("color_lr1e-3_noembed"))


def test_color_is_small_and_predicts_classes(keras):
    from pipeline.networks import builder

    model = builder.build("color", l2=0.0)
    assert model.count_params() == cost.parameters("color", notation.resolve("color"), embedding=True)
    assert model.count_params() < 1.5e6
    assert model.output.shape == (None, 56, 56, 313)
    ab = predict(builder.with_decoding(model, heads.choose("classes")), batch(2))
    assert ab.shape == (2, 224, 224, 2) and ab.min() > 0 and ab.max() < 255


def test_operations_are_those_of_the_layers(keras):
    from pipeline.networks import builder

    model = builder.build("color", l2=0.0)
    operations = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            operations += 2 * np.prod(layer.output.shape[1:3]) * np.prod(layer.kernel.shape)
    assert cost.forward_flops("color", 224) == pytest.approx(operations, rel=1e-9)


def test_inputs_join_where_the_notation_says(keras):
    """With kernels of ones and without ReLU's effect, each input's share of the output can be told."""
    from pipeline.networks import builder

    architectures = small(fusion="1x1:1", decoder="^ ^ ^ +L 1x1:2 ^ ^", inputs=["L", "map_7"])
    model = builder.build("small", l2=0.0, architectures=architectures)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones_like(layer.kernel), np.zeros_like(layer.bias)])
    given = batch(1)
    lightness = given.lightness[0].astype(np.float64)
    reduced = lightness.reshape(56, 4, 56, 4).mean(axis=(1, 3)) / 127.5 - 1
    mapped = np.maximum(given.embedded["map_7"][0].astype(np.float64).sum(axis=-1), 0)
    expected = np.maximum(mapped.repeat(8, 0).repeat(8, 1) + reduced, 0).repeat(4, 0).repeat(4, 1)
    np.testing.assert_allclose(predict(model, given)[0, ..., 0], expected, rtol=1e-4, atol=1e-4)


def test_a_network_with_maps_is_saved_and_loaded(keras, tmp_path):
    from pipeline.networks import builder, saving

    head = heads.choose("classes")
    model = builder.with_decoding(builder.build("color", l2=0.0, seed=3), head)
    saving.save(model, tmp_path / "model.keras")
    loaded = saving.load(tmp_path / "model.keras")
    assert [tensor.shape for tensor in loaded.inputs if tensor.name == "L"] == [(None, 224, 224, 1)]
    np.testing.assert_array_equal(predict(loaded, batch(1)), predict(model, batch(1)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"decoder": "^ +map_28:3 ^ ^ +L ^ ^ 2"}, "decoder: .*map_28"),
        ({"decoder": "^ ^ +map_14 ^ +map_56 +L ^ ^ 2"}, "decoder: map_14 joins at 28x28.*14x14"),
        ({"decoder": "^ +map_14 +map_14 ^ ^ +map_56 +L ^ ^ 2"}, "decoder: .*each once"),
        ({"decoder": "^ +map_14 ^ ^ +map_56 ^ ^ 2"}, "a join of L"),
        ({"decoder": "^ ^ ^ +L ^ ^ 2"}, "not joined: map_7, map_14, map_56"),
        ({"decoder": "^ +map_14 ^ ^ +map_56 +L ^ 2"}, "map_7 has 7x7, .*by 16; expected 224x224"),
        ({"encoder": "4/2 4/2 4/2"}, "not joined: map_7"),
        ({"decoder": "~1.5 ^ +map_14 ^ ^ +map_56 +L ^ ^ 2"}, "decoder: .*'~1.5'"),
        ({"encoder": "+L 4"}, r"encoder: .*'\+L'"),
        ({"inputs": ["L", "embedding"], "decoder": "^ ^ ^ +L 2"}, "encoder: "),
    ],
)
def test_joins_that_do_not_fit_are_refused(changes, expected):
    with pytest.raises(InputError, match=f"^architecture small, ?.*{expected}|^architecture small: .*{expected}"):
        notation.resolve("small", small(**changes))
