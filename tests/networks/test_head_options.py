"""Built-in heads and their options: what a configuration may say, and what the network then predicts and answers."""

import math

import numpy as np
import pytest
from tiny import photographs

from pipeline.config.loading import parse_config
from pipeline.config.runs import find
from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.dataset import statistics
from pipeline.images import ab_bins
from pipeline.networks import heads, notation
from pipeline.networks.inputs import ImageBatch, arrays, names_of, predict

LAYERS = {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4", "inputs": ["L"]}
DECODERS = {"regression": "^ ^ 2 ^", "tanh": "^ ^ 2 ^", "classes": "^ 1x1:313"}
DRAWS = np.random.default_rng(0)


def mine(head):
    name = head if isinstance(head, str) else head["name"]
    return {"mine": Architecture(**LAYERS, decoder=DECODERS[name], head=head)}


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("regression", "regression"), ({"name": "regression", "loss": "mse"}, "regression"),
        ({"name": "regression", "loss": "l1"}, {"name": "regression", "loss": "l1"}),
        ({"name": "tanh", "loss": "huber", "delta": "0.5"}, {"name": "tanh", "loss": "huber", "delta": 0.5}),
        ({"name": "classes", "temperature": 0.38}, "classes"),
        ({"name": "classes", "sigma": 4, "skip_gray": True}, {"name": "classes", "sigma": 4.0, "skip_gray": True}),
    ],
)  # fmt: skip
def test_equal_choices_are_recorded_alike(given, recorded):
    assert heads.choose(given).choice == recorded
    assert notation.resolve("mine", mine(given)).head == recorded
    assert mine(recorded)["mine"].model_dump().get("head", "regression") == recorded


@pytest.mark.parametrize(
    ("head", "key"),
    [
        ({"name": "classes", "lamda": 1}, "lamda: "), ({"name": "classes", "temperature": 0}, "temperature: "),
        ({"name": "classes", "neighbours": 314}, "neighbours: "), ({"name": "classes", "rebalancing": 1.5}, "rebal"),
        ({"name": "classes", "label_smoothing": 1}, "label_smoothing: "), ({"name": "tanh", "loss": "l3"}, "loss: "),
        ({"name": "regression", "delta": 3}, " delta: "), ({"name": "tanh", "loss": "huber", "delta": 0}, "delta"),
        ({"name": "classes", "sigma": float("nan")}, "sigma: "), ("nothing", " expected one of "),
    ],
)  # fmt: skip
def test_wrong_options_are_named_by_their_key(head, key):
    values = {"architecture": "mine", "learning_rate": 1e-3, "head": head}
    config = parse_config({"architectures": {"mine": mine("tanh")["mine"].model_dump()}, "experiments": {"x": values}})
    for call in (
        lambda: notation.of_run(find(config, "x"), config.architectures),
        lambda: notation.resolve("mine", {"mine": Architecture(**LAYERS, decoder="^", head=head)}),
    ):
        with pytest.raises(InputError) as caught:
            call()
        place = "experiments.x.head" if "experiments" in str(caught.value) else "architectures.mine.head"
        assert str(caught.value).startswith(place) and key in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [5, None, ["tanh"], {"loss": "l1"}, {"name": 5}])
def test_a_head_is_a_name_or_a_mapping_with_a_name(head):
    values = {"architecture": "base", "learning_rate": 1e-3, "head": head}
    with pytest.raises(InputError, match=r"experiments\.x\.head: "):
        parse_config({"experiments": {"x": values}})


def test_an_experiment_replaces_the_head_of_its_architecture():
    values = {"architecture": "base", "learning_rate": 1e-3}
    config = parse_config({
        "experiments": {"one": values, "two": {**values, "head": {"name": "tanh", "loss": "l1"}}}
    })  # fmt: skip
    one, two = (notation.of_run(find(config, name), config.architectures) for name in ("one", "two"))
    assert one == notation.ARCHITECTURES["base"]
    assert two == one.model_copy(update={"head": {"name": "tanh", "loss": "l1"}})
    wrong = parse_config({"experiments": {"x": {**values, "head": "classes"}}})
    with pytest.raises(InputError, match=r"architecture base, decoder: .* 313 filters .* classes"):
        notation.of_run(find(wrong, "x"))


def test_classes_are_predicted_at_a_quarter_of_the_size():
    notation.resolve("mine", mine("classes"))
    for decoder in ("^ ^ 1x1:313", "1x1:313"):
        with pytest.raises(InputError, match=r"classes.* 1/4"):
            notation.resolve("mine", {"mine": Architecture(**LAYERS, decoder=decoder, head="classes")})


def compiled(keras, head, start_at=(140.0, 120.0), **options):
    from pipeline.networks import builder

    chosen = head if isinstance(head, heads.Head) else heads.choose(head)
    model = builder.build("mine", l2=0.0, seed=1, start_at=start_at, architectures=mine(chosen.choice), head=chosen)
    builder.compile_to_train(model, chosen, keras.optimizers.Adam(1e-3))
    return model, builder.with_decoding(model, chosen)


def test_tanh_is_scaled_to_ab_and_starts_at_the_mean(keras):
    model, decoded = compiled(keras, "tanh")
    lightness, ab = (array[:3, :16, :16] for array in photographs(3))
    raw = predict(model, ImageBatch(lightness))
    np.testing.assert_allclose(np.tanh(model.get_layer("raw").bias), [12 / 127, -8 / 127], rtol=1e-6)
    np.testing.assert_allclose(predict(decoded, ImageBatch(lightness)), 128 + 127 * raw, rtol=1e-6)
    logs = model.test_on_batch(arrays(names_of(model), ImageBatch(lightness)), ab, return_dict=True)
    assert logs["loss"] == pytest.approx(np.square((ab - 128.0) / 127 - raw).mean(), rel=1e-5)
    assert logs["mse"] == pytest.approx(np.square(128 + 127 * raw - ab.astype(float)).mean(), rel=1e-5)
    for extreme in ((0.0, 255.0), (255.0, 0.0)):
        assert all(map(math.isfinite, heads.choose("tanh").start(extreme)))


@pytest.mark.parametrize(
    ("head", "of"),
    [
        ({"name": "regression", "loss": "l1"}, np.abs),
        ({"name": "regression", "loss": "huber", "delta": 20},
         lambda e: np.where(np.abs(e) < 20, e**2 / 2, 20 * np.abs(e) - 200)),
        ({"name": "tanh", "loss": "l1"}, lambda e: np.abs(e) / 127),
        ({"name": "tanh", "loss": "huber", "delta": 0.05},
         lambda e: np.where(np.abs(e / 127) < 0.05, (e / 127) ** 2 / 2, 0.05 * np.abs(e / 127) - 0.05**2 / 2)),
    ],
)  # fmt: skip
def test_other_errors_are_those_of_ab(keras, head, of):
    model, decoded = compiled(keras, head)
    lightness, ab = (array[:3, :16, :16] for array in photographs(3))
    error = predict(decoded, ImageBatch(lightness)).astype(float) - ab
    logs = model.test_on_batch(arrays(names_of(model), ImageBatch(lightness)), ab, return_dict=True)
    assert logs["loss"] == pytest.approx(of(error).mean(), rel=1e-4)


def test_classes_take_prior_and_weights_from_the_training_images(keras):
    lightness, ab = (array[:3, :16, :16] for array in photographs(3))
    counts = np.zeros((256, 256), np.int64)
    for a, b in ab.reshape(-1, 2).tolist():
        counts[a, b] += 1
    head, kept = heads.choose({"name": "classes", "rebalancing": 0.3, "power": 0.5, "temperature": 1}).fit(counts)
    assert head.choice == {"name": "classes", "rebalancing": 0.3, "power": 0.5, "temperature": 1.0}
    assert kept.keys() == {"bins", "prior", "weights"}
    np.testing.assert_array_equal(kept["bins"], ab_bins.centres())
    expected = np.maximum(ab_bins.prior(counts, 5, 5.0), heads.RAREST)
    np.testing.assert_allclose(kept["prior"], expected / expected.sum(), rtol=1e-12)
    unscaled = (0.7 * kept["prior"] + 0.3 / 313) ** -0.5
    np.testing.assert_allclose(kept["weights"], unscaled / (unscaled * kept["prior"]).sum(), rtol=1e-12)

    model, decoded = compiled(keras, head)
    np.testing.assert_allclose(np.exp(model.get_layer("raw").bias), kept["prior"], rtol=1e-5)
    logits = predict(model, ImageBatch(lightness))
    assert logits.shape == (3, 4, 4, 313)
    small = np.rint(ab.reshape(3, 4, 4, 4, 4, 2).mean(axis=(2, 4))).astype(int)
    classes, shares = (table[small[..., 0], small[..., 1]] for table in ab_bins.soft_labels(5, 5.0))
    log = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = -(np.take_along_axis(log, classes, axis=-1) * shares).sum(axis=-1) * kept["weights"][classes[..., 0]]
    answer = predict(decoded, ImageBatch(lightness))
    logs = model.test_on_batch(arrays(names_of(model), ImageBatch(lightness)), ab, return_dict=True)
    assert logs["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert logs["mse"] == pytest.approx(np.square(answer - ab.astype(float)).mean(), rel=1e-5)
    # Bilinear, with pixel centres at halves: at the centre of each 4x4 pixels stands the mean of four around it.
    small_answer = 128 + ab_bins.annealed_mean(logits, 1.0)
    assert answer.shape == (3, 16, 16, 2)
    np.testing.assert_allclose(answer[:, :2, :2], small_answer[:, :1, :1].repeat(2, 1).repeat(2, 2), rtol=1e-5)
    between = 0.125 * small_answer[:, 0, 1] + 0.875 * small_answer[:, 0, 0]
    np.testing.assert_allclose(answer[:, 0, 2], between, rtol=1e-5)


def test_a_prior_of_one_colour_gives_finite_numbers():
    counts = statistics.no_colours()
    counts[128, 128] = 1000
    head, kept = heads.choose({"name": "classes", "rebalancing": 0, "sigma": 1}).fit(counts)
    assert all(np.isfinite(kept[name]).all() for name in kept)
    assert np.isfinite(head.start((128.0, 128.0))).all() and kept["prior"].min() > 0


def test_temperature_is_set_after_training_and_refused_without_classes(keras, tmp_path):
    from pipeline.networks import builder, saving

    lightness = photographs(2)[0][:, :16, :16]
    model, decoded = compiled(keras, "classes")
    model.get_layer("raw").kernel.assign(DRAWS.normal(size=model.get_layer("raw").kernel.shape))
    logits = predict(model, ImageBatch(lightness))
    saving.save(decoded, tmp_path / "model.keras")
    for temperature in (None, 0.05, 2.0):
        loaded = builder.with_temperature(saving.load(tmp_path / "model.keras"), temperature, "--temperature")
        expected = 128 + ab_bins.annealed_mean(logits, temperature or 0.38)
        np.testing.assert_allclose(predict(loaded, ImageBatch(lightness))[:, :2, :2].mean(axis=(1, 2)),
                                   expected[:, 0, 0], rtol=1e-4)  # fmt: skip
    saving.save(loaded, tmp_path / "warm.keras")
    np.testing.assert_array_equal(predict(saving.load(tmp_path / "warm.keras"), ImageBatch(lightness)),
                                  predict(loaded, ImageBatch(lightness)))  # fmt: skip
    for wrong in (0.0, -1.0, math.nan, math.inf, 1000.0):
        with pytest.raises(InputError, match="--temperature: "):
            builder.with_temperature(loaded, wrong, "--temperature")
    _, muted = compiled(keras, "tanh")
    with pytest.raises(InputError, match=r"^--temperature: .*classes"):
        builder.with_temperature(muted, 0.5, "--temperature")
    heads.refuse_temperature("classes", 0.5, "evaluation.temperature")
    heads.refuse_temperature("tanh", None, "evaluation.temperature")
    with pytest.raises(InputError, match=r"^evaluation\.temperature: "):
        heads.refuse_temperature({"name": "regression", "loss": "l1"}, 0.5, "evaluation.temperature")
