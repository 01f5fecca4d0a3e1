"""Optimisers, schedules, clipping and mirroring against arithmetic written out; runs with them resume to the bit."""

import math

import h5py
import numpy as np
import pytest
from tiny import make_dataset
from tiny_training import Interrupted, StopsAfter, assert_same, checkpoint_arrays, history, run_training

from pipeline.config.schema import Training
from pipeline.core import files
from pipeline.core.errors import InputError

ALL = {
    "optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 0.5, "clip_norm": 1.0, "ema_decay": 0.7,
    "mirror": True,
}  # fmt: skip


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "exponential"])
@pytest.mark.parametrize("warmup", [0, 0.3, 2])
def test_the_rate_warms_up_and_then_stays_or_falls(keras, schedule, warmup):
    from pipeline.training.optimizers import optimizer

    steps, epochs, highest = 10, 5, 0.02
    training = Training(epochs=epochs, schedule=schedule, warmup_epochs=warmup, decay=0.3, decay_epochs=1.5)
    made = optimizer(keras.Sequential(), highest, training, steps)
    if schedule == "constant" and not warmup:
        plain = keras.optimizers.Adam(highest)
        assert type(made) is type(plain)
        assert {**made.get_config(), "name": ""} == {**plain.get_config(), "name": ""}
        return
    begin = round(warmup * steps)
    for step in range(epochs * steps):
        made.iterations.assign(step)
        expected = highest * (step + 1) / begin if step < begin else highest
        if schedule == "cosine" and step >= begin:
            expected *= (1 + math.cos(math.pi * (step - begin) / (epochs * steps - begin))) / 2
        if schedule == "step" and step >= begin:
            expected *= 0.3 ** ((step - begin) // 15)
        if schedule == "exponential" and step >= begin:
            expected *= 0.3 ** ((step - begin) / 15)
        assert float(made.learning_rate) == pytest.approx(expected, rel=1e-5, abs=1e-6 * highest), step


def one_step(keras, gradient_scale=1.0, **options):
    """Two kernels and a bias after one step with a known gradient; what they were; and the gradients."""
    from pipeline.training.optimizers import optimizer

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].bias.assign([0.5, -0.5])
    variables = model.trainable_variables
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    made = optimizer(model, 0.01, Training(**options), 10)
    draws = np.random.default_rng(0)
    gradients = [gradient_scale * draws.normal(size=value.shape).astype(np.float32) for value in before]
    made.build(variables)
    made.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    return before, gradients, [keras.ops.convert_to_numpy(variable) for variable in variables], made


def test_adamw_lets_kernels_decay_and_leaves_biases(keras):
    before, gradients, decayed, _ = one_step(keras, optimizer="adamw", weight_decay=0.1)
    for old, gradient, new in zip(before, gradients, decayed, strict=True):
        kept = old * (1 - 0.01 * 0.1) if old.ndim > 1 else old
        np.testing.assert_allclose(new, kept - 0.01 * gradient / (np.abs(gradient) + 1e-7), rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_by_their_norm_together(keras):
    for scale, clipped in ((1e-3, False), (100.0, True)):
        _, gradients, _, made = one_step(keras, scale, clip_norm=2.0)
        norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        assert (norm > 2) == clipped
        moments = [keras.ops.convert_to_numpy(v) for v in made.variables if "momentum" in v.path]
        assert len(moments) == len(gradients)
        for moment, gradient in zip(moments, gradients, strict=True):
            np.testing.assert_allclose(moment, 0.1 * gradient * min(1, 2 / norm), rtol=1e-4)


def test_settings_are_recorded_unless_they_are_defaults():
    usual = {"precision": "float32", "start_at": "mean", "patience": None}
    assert Training(epochs=7).decisive() == usual
    assert Training(weight_decay=0.5).decisive() == usual  # Adam has none
    assert Training(epochs=7, schedule="cosine").decisive() == {**usual, "schedule": "cosine", "epochs": 7}
    assert Training(**ALL, weight_decay=0.5).decisive() == {**usual, **ALL, "weight_decay": 0.5, "epochs": 2}
    falling = {"schedule": "step", "decay": 0.5, "decay_epochs": 2.0}
    assert Training(**falling).decisive() == {**usual, **falling}
    assert Training(**falling | {"schedule": "constant"}).decisive() == usual
    assert not set(Training().model_dump()) & {*ALL, *falling, "weight_decay"}


def test_averages_are_those_of_the_weights_after_each_step(keras):
    from pipeline.training import optimizers

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    made = optimizers.optimizer(model, 0.5, Training(ema_decay=0.8), 10)
    model.compile(made, "mse")
    made.build(model.trainable_variables)
    expected = None
    for step in range(4):
        gradient = np.full((3, 2), step - 1.5, np.float32)
        made.apply([keras.ops.convert_to_tensor(each) for each in (gradient, gradient[0])], model.trainable_variables)
        kernel = keras.ops.convert_to_numpy(model.layers[0].kernel).copy()
        expected = kernel if expected is None else 0.8 * expected + 0.2 * kernel
    made.finalize_variable_values(model.trainable_variables)  # as `fit` does
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], kernel)
    optimizers.take_averages(model)
    np.testing.assert_allclose(model.layers[0].get_weights()[0], expected, rtol=1e-6, atol=1e-7)
    assert np.abs(expected - kernel).max() > 0.1


@pytest.fixture(scope="module")
def asymmetric(tmp_path_factory):
    """Images that differ from their mirror images."""
    return make_dataset(tmp_path_factory.mktemp("asymmetric") / "tiny")


def test_each_image_of_each_epoch_is_mirrored_or_not(keras):
    from pipeline.training.batches import Batches, Examples

    draws = np.random.default_rng(0)
    shapes = {"L": (40, 4, 6), "ab": (40, 4, 6, 2), "map": (40, 2, 3, 5), "vector": (40, 7)}
    arrays = {name: draws.integers(0, 256, shape).astype(np.uint8) for name, shape in shapes.items()}
    before = {name: array.copy() for name, array in arrays.items()}
    examples = Examples(arrays["L"], arrays["ab"], {"map": arrays["map"], "vector": arrays["vector"]})
    batches = Batches(examples, ["L"], 7, shuffle_seed=3, mirror=True)
    seen = []
    for epoch in (1, 2, 1):
        batches.shuffle(epoch)
        order = np.random.default_rng((3, epoch)).permutation(40)
        mirrored = np.random.default_rng((3, epoch, 1)).random(40) < 0.5
        assert 8 < mirrored.sum() < 32
        rows = np.concatenate([batches._rows(*call) for call in batches.calls])
        np.testing.assert_array_equal(rows, order)
        batch = examples.batch(order, mirrored[order])
        for array, whole in ((batch.lightness, "L"), (batch.ab, "ab"), (batch.embedded["map"], "map")):
            for place, row in enumerate(order.tolist()):
                expected = before[whole][row][:, ::-1] if mirrored[row] else before[whole][row]
                np.testing.assert_array_equal(array[place], expected)
        np.testing.assert_array_equal(batch.embedded["vector"], before["vector"][order])
        parts = [batches[number] for number in range(len(batches))]
        np.testing.assert_array_equal(np.concatenate([inputs["L"][..., 0] for inputs, _ in parts]), batch.lightness)
        np.testing.assert_array_equal(np.concatenate([ab for _, ab in parts]), batch.ab)
        seen.append(mirrored)
    assert (seen[0] == seen[2]).all() and (seen[0] != seen[1]).any()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])  # copies were mirrored


def test_validation_images_are_not_mirrored(keras):
    from pipeline.training.batches import Batches, Examples

    image = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    batches = Batches(Examples(image, np.stack([image, image], -1), {}), ["L"], 1)
    batches.shuffle(1)
    np.testing.assert_array_equal(batches[0][0]["L"][..., 0], image)


@pytest.fixture(scope="module")
def whole(_started, asymmetric, tmp_path_factory):
    """A run with all of it, not interrupted: read only."""
    return run_training(asymmetric, tmp_path_factory.mktemp("whole") / "run", epochs=3, **ALL)


@pytest.mark.slow
def test_a_run_with_all_of_it_resumes_to_the_bit(keras, asymmetric, whole, tmp_path):
    for steps in (1, 2, 2):  # once in each epoch
        with pytest.raises(Interrupted):
            run_training(
                asymmetric, tmp_path / "parts", epochs=3, checkpoint_seconds=0.0, progress=StopsAfter(steps), **ALL
            )
    assert_same(run_training(asymmetric, tmp_path / "parts", epochs=3, **ALL), whole)
    settings = files.read_json(whole / "training.json")["settings"]["training"]
    assert {key: settings[key] for key in (*ALL, "epochs")} == {**ALL, "epochs": 3}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["on_test_batch_end", "on_test_begin"])
def test_a_run_stopped_while_it_validates_averages_goes_on_with_its_weights(
    keras, asymmetric, whole, tmp_path, monkeypatch, moment
):
    from pipeline.training.recorder import Recorder

    usual = getattr(Recorder, moment)

    def stops(self, *arguments, **options):
        usual(self, *arguments, **options)
        if self.epochs == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Recorder, moment, stops)
        run_training(asymmetric, tmp_path / "run", epochs=3, **ALL)
    assert_same(run_training(asymmetric, tmp_path / "run", epochs=3, **ALL), whole)


@pytest.fixture(scope="module")
def plain(_started, prepared, tmp_path_factory):
    """A run with the defaults."""
    return run_training(prepared, tmp_path_factory.mktemp("plain") / "run", epochs=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"schedule": "cosine"}, {"mirror": True}, {"clip_norm": 0.01}, {"optimizer": "adamw"}, {"ema_decay": 0.5}],
)
def test_each_setting_changes_the_run_and_is_never_mixed_with_another(keras, prepared, plain, tmp_path, change):
    changed = run_training(prepared, tmp_path / "changed", epochs=2, **change)
    assert history(plain) != history(changed)
    (key,) = change
    with pytest.raises(InputError, match=rf"training\.{key}: "):
        run_training(prepared, plain, epochs=2, **change)


@pytest.mark.slow
def test_averages_change_what_is_validated_and_kept_but_not_the_training(keras, prepared, plain, tmp_path):
    run_training(prepared, tmp_path / "averaged", epochs=1, ema_decay=0.7)
    averaged = run_training(prepared, tmp_path / "averaged", epochs=2, ema_decay=0.7)  # goes on
    for one, other in zip(history(plain), history(averaged), strict=True):
        assert [one[key] for key in ("loss", "mse", "accuracy")] == [other[key] for key in ("loss", "mse", "accuracy")]
        assert one["val_mse"] != other["val_mse"]
    weights, with_averages = checkpoint_arrays(plain), checkpoint_arrays(averaged)
    names = [name for name in weights if name.startswith("model/")]
    for name in names:
        np.testing.assert_array_equal(weights[name], with_averages[name])
    averages = [with_averages[f"optimizer/{2 + at:04d}"] for at in range(len(names))]  # after iterations and the rate
    with h5py.File(averaged / "last.weights.h5") as file:
        kept: list[np.ndarray] = []
        file.visititems(lambda _, item: kept.append(item[:]) if isinstance(item, h5py.Dataset) else None)
    assert sorted(value.tobytes() for value in kept) == sorted(value.tobytes() for value in averages)


@pytest.mark.slow
def test_more_epochs_of_a_falling_rate_are_another_run(keras, prepared, tmp_path):
    run_training(prepared, tmp_path / "run", epochs=1, schedule="cosine")
    with pytest.raises(InputError, match=r"training\.epochs: 1, now 2"):
        run_training(prepared, tmp_path / "run", epochs=2, schedule="cosine")
    run_training(prepared, tmp_path / "run", epochs=2, schedule="cosine", replace=True)
    assert len(history(tmp_path / "run")) == 2
