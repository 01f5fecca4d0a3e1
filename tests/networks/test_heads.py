"""Heads: the paper's uses Keras' mean squared error; others train on their prediction and are decoded to ab."""

from unittest import mock

import numpy as np
import pytest

from pipeline.config.runs import Run
from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.networks import heads
from pipeline.networks.heads import HEADS, Head
from pipeline.networks.inputs import ImageBatch, predict
from pipeline.networks.notation import resolve

LAYERS = {"encoder": "4/2", "fusion": "1x1:4"}


def decoding():
    import keras

    return [keras.layers.Rescaling(100.0, 128.0, name="scaled"), keras.layers.Identity(name="same")]


def loss(ab, raw):
    from keras import ops

    return ops.mean(ops.abs((ab - 128) / 100 - raw))


@pytest.fixture(autouse=True)
def _own_head():
    scaled = Head("scaled", 2, "tanh", loss, decoding, lambda mean: [np.arctanh((x - 128) / 100) for x in mean])
    with mock.patch.dict(HEADS):
        heads.register(scaled)
        yield


def more(head, decoder="4 2 ^"):
    return {"mine": Architecture(**LAYERS, decoder=decoder, head=head)}


def examples(n=3, seed=0):
    rng = np.random.default_rng(seed)
    lightness = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    embedding = rng.normal(size=(n, 1000)).astype(np.float32)
    ab = rng.uniform(0, 255, (n, 8, 8, 2)).astype(np.uint8)
    return ImageBatch(lightness, {"embedding": embedding}), ab


def test_a_head_trains_on_its_own_loss_and_is_measured_on_ab(keras):
    from pipeline.networks import builder
    from pipeline.networks.inputs import arrays, names_of

    model = builder.build("mine", l2=0.0, seed=1, start_at=(140.0, 120.0), architectures=more("scaled"))
    batch, ab = examples()
    raw = predict(model, batch)
    assert 0.1 < np.abs(raw).max() <= 1 and np.tanh(model.get_layer("raw").bias) == pytest.approx([0.12, -0.08])
    decoded = builder.with_decoding(model, HEADS["scaled"])
    predicted = predict(decoded, batch)
    np.testing.assert_allclose(predicted, 128 + 100 * raw, rtol=1e-6)
    builder.compile_to_train(model, HEADS["scaled"], keras.optimizers.Adam(1e-3))
    logs = model.test_on_batch(arrays(names_of(model), batch), ab, return_dict=True)
    assert logs["loss"] == pytest.approx(np.abs((ab - 128.0) / 100 - raw).mean(), rel=1e-5)
    assert logs["mse"] == pytest.approx(np.square(predicted - ab.astype(float)).mean(), rel=1e-5)
    assert logs["accuracy"] == pytest.approx((predicted.argmax(-1) == ab.argmax(-1)).mean(), abs=1e-6)
    model.reset_metrics()
    again = model.evaluate(arrays(names_of(model), batch), ab, return_dict=True, verbose=0)
    assert again["mse"] == pytest.approx(logs["mse"], rel=1e-5)


def test_a_trained_network_is_saved_with_its_decoding(keras, tmp_path, monkeypatch):
    from pipeline.networks import builder, saving

    model = builder.build("mine", l2=0.01, seed=1, start_at=(140.0, 120.0), architectures=more("scaled"))
    saving.save_weights(model, tmp_path / "mine.weights.h5")
    decoded = builder.trained(Run.parse("mine_lr1e-3"), tmp_path / "mine.weights.h5", architectures=more("scaled"))
    batch, _ = examples()
    np.testing.assert_allclose(predict(decoded, batch), 128 + 100 * predict(model, batch), rtol=1e-6)
    assert sum(map(float, decoded.losses)) == pytest.approx(sum(map(float, model.losses)))
    saving.save(decoded, tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(saving.load(tmp_path / "model.keras"), batch), predict(decoded, batch))
    for name in ("scaled", "tanh"):
        monkeypatch.delitem(HEADS, name)
    with pytest.raises(InputError, match=r"keras\.layers\.Identity"):
        saving.load(tmp_path / "model.keras")


def test_under_mixed_precision_the_decoding_computes_in_float32(keras):
    from pipeline.networks import builder

    keras.config.set_dtype_policy("mixed_bfloat16")
    model = builder.build("mine", start_at=(140.0, 120.0), architectures=more("scaled"))
    decoded = builder.with_decoding(model, HEADS["scaled"])
    assert decoded.get_layer("scaled").compute_dtype == model.get_layer("raw").compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_the_papers_head_adds_no_layers(keras):
    from pipeline.networks import builder

    model = builder.build("mine", architectures=more("regression"))
    assert builder.with_decoding(model, HEADS["regression"]) is model
    builder.compile_to_train(model, HEADS["regression"], keras.optimizers.Adam(1e-3))
    assert [len(metric.variables) for metric in model.metrics] == [2, 4]  # no layers, whose names would be counted


def bilinear():
    import keras

    return [keras.layers.UpSampling2D(2, interpolation="bilinear", name="larger")]


def deeper():
    import keras

    return [keras.layers.Conv2D(2, 3, padding="same", name="smoothed")]


@pytest.mark.parametrize(
    ("head", "decoder", "expected"),
    [
        ("regression", "4 2 ^", True), ("scaled", "4 2 ^", True), ("regression", "^ 4 2", False),
        ("scaled", "^ 4 2", False), ("bilinear", "4 2 ^", False), ("deeper", "4 2 ^", False),
    ],
)  # fmt: skip
def test_repeated_predictions_are_recognised(keras, head, decoder, expected):
    from pipeline.networks import builder

    heads.register(Head("bilinear", 2, "relu", "mse", bilinear))
    heads.register(Head("deeper", 2, "relu", "mse", deeper))
    model = builder.with_decoding(builder.build("mine", architectures=more(head, decoder)), HEADS[head])
    assert builder.repeats(model) is expected


def test_the_decoder_ends_with_the_filters_of_its_head():
    heads.register(Head("three", 3, "relu", "mse", decoding))
    resolve("mine", more("three", "4 3 ^"))
    for head, decoder in (("three", "4 2 ^"), ("regression", "4 3 ^"), ("nothing", "4 2 ^")):
        with pytest.raises(InputError):
            resolve("mine", more(head, decoder))


def test_settings_record_a_head_other_than_the_papers():
    assert "head" not in more("regression")["mine"].model_dump()
    assert more("scaled")["mine"].model_dump()["head"] == "scaled"
