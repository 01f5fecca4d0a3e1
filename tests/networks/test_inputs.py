"""Inputs by name, and networks with other inputs than the paper's."""

from unittest import mock

import numpy as np
import pytest

from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.networks import inputs
from pipeline.networks.cost import parameters
from pipeline.networks.inputs import ImageBatch, Input, arrays, as_picture, names_of, predict
from pipeline.networks.notation import input_names, resolve

LAYERS = {"encoder": "4/2 1x1:6", "fusion": "1x1:5 3x3:4", "decoder": "^ 4 5x5:2"}
FIVE = ["vector", "edges", "L", "embedding", "level"]


@pytest.fixture(autouse=True)
def _own_inputs():
    """More inputs: two computed from L, one from a stored map."""
    added = (
        Input("edges", (None, None, 2), "float32", lambda batch: as_picture(batch.lightness) * [1.0, -1.0]),
        Input("level", (1,), "float32", lambda batch: batch.lightness[:, :1, 0] * 1.0),
        Input("vector", (3,), "float32", lambda batch: batch.embedded["map"][:, 0, 0], stored=("map",)),
    )
    with mock.patch.dict(inputs.INPUTS):
        for each in added:
            inputs.register(each)
        yield


def examples(n=2, height=16, width=24, seed=0):
    rng = np.random.default_rng(seed)
    embedded = {"embedding": rng.normal(size=(n, 1000)), "map": rng.normal(size=(n, 2, 2, 3))}
    lightness = rng.integers(0, 256, (n, height, width), dtype=np.uint8)
    return ImageBatch(lightness, {name: values.astype(np.float32) for name, values in embedded.items()})


def build(names, **options):
    from pipeline.networks import builder

    return builder.build("mine", architectures={"mine": Architecture(**LAYERS, inputs=names)}, **options)


def test_the_papers_inputs_are_l_and_the_embedding():
    made = arrays(["L", "embedding"], examples())
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        "L": ((2, 16, 24, 1), np.uint8), "embedding": ((2, 1000), np.float32)
    }  # fmt: skip
    assert input_names(resolve("base"), embedding=True) == ("L", "embedding")
    assert input_names(resolve("base"), embedding=False) == ("L",)


def test_stored_outputs_are_listed_once_and_shapes_match_the_arrays():
    assert inputs.stored(["L", "embedding", "vector", "embedding"]) == ("embedding", "map")
    assert inputs.shapes(["L", "embedding"]) == {"L": (None, None, 1), "embedding": (1000,)}
    small = {"embedding": (7,), "map": (2, 2, 5)}
    assert inputs.shapes(["L", "embedding", "vector"], small) == {
        "L": (None, None, 1), "embedding": (7,), "vector": (5,)
    }  # fmt: skip


@pytest.mark.parametrize("names", [["L"], ["L", "embedding"], ["L", "vector"], ["level", "L"], FIVE])
def test_a_network_takes_the_inputs_of_its_architecture_in_any_order(keras, names):
    model = build(names, start_at=(128.0, 128.0))
    assert names_of(model) == tuple(names)
    predicted = predict(model, examples())
    assert predicted.shape == (2, 16, 24, 2) and predicted.std() > 0
    ordered = [np.asarray(each) for each in arrays(names, examples()).values()]
    np.testing.assert_array_equal(predicted, np.asarray(model.predict_on_batch(ordered)))
    architecture = Architecture(**LAYERS, inputs=names)
    assert parameters("mine", architecture, embedding=True) == model.count_params()
    without = build(names, embedding=False)
    assert names_of(without) == tuple(name for name in names if name not in ("embedding", "vector"))
    assert parameters("mine", architecture, embedding=False) == without.count_params()


@pytest.mark.parametrize("names", [["L", "embedding"], FIVE])
def test_the_halves_predict_as_the_model_and_do_not_share_its_weights(keras, names):
    from pipeline.networks.halves import Halves

    model = build(names, seed=2, start_at=(128.0, 120.0))
    halves = Halves(model)
    one, other = examples(), examples(seed=1)
    encoded = halves.encode(one)
    found = halves.decode(encoded, one, {"own": one.embedded, "other's": other.embedded})
    np.testing.assert_allclose(found["own"], predict(model, one), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(
        found["other's"], predict(model, ImageBatch(one.lightness, other.embedded)), rtol=1e-6, atol=1e-5
    )
    assert np.abs(found["own"] - found["other's"]).max() > 1e-3
    model.get_layer("ab").bias.assign([0.0, 0.0])
    np.testing.assert_array_equal(halves.decode(encoded, one, {"own": one.embedded})["own"], found["own"])


@pytest.mark.parametrize("name", ["base", "arch3"])
def test_the_first_half_of_the_papers_networks_is_the_encoder(keras, name):
    from pipeline.networks import builder
    from pipeline.networks.halves import Halves

    halves = Halves(builder.build(name))
    assert {layer.name.split("_")[0] for layer in halves._first.layers} == {"L", "encoder"}
    assert "encoder_1" not in {layer.name for layer in halves._second.layers}


def test_a_network_without_stored_inputs_has_no_halves(keras):
    from pipeline.networks.halves import Halves

    with pytest.raises(ValueError, match="outputs of the embedding network"):
        Halves(build(["L", "level"]))


@pytest.mark.parametrize("names", [["embedding"], ["L", "L"], ["L", "nothing"]])
def test_missing_repeated_and_unknown_inputs_are_refused(names):
    with pytest.raises(InputError):
        resolve("mine", {"mine": Architecture(**LAYERS, inputs=names)})


def test_settings_record_inputs_other_than_the_default():
    assert Architecture(**LAYERS).model_dump() == LAYERS
    assert Architecture(**LAYERS, inputs=["L", "level"]).model_dump() == {**LAYERS, "inputs": ["L", "level"]}
