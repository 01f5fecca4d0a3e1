"""The losses against arithmetic written out in loops, and what their gradients do."""

import math

import numpy as np
import pytest

from pipeline.images import ab_bins

DRAWS = np.random.default_rng(0)
OPTIONS = {"scale": 4, "neighbours": 5, "sigma": 5.0, "label_smoothing": 0.0, "skip_gray": False}


def literal(ab, logits, weights, *, scale, neighbours, sigma, label_smoothing, skip_gray):
    """The cross-entropy of one image, (h, w), pixel by pixel."""
    found = np.zeros(logits.shape[:2])
    gray = all(abs(value - 128.0) <= 5 for value in ab.ravel().tolist())
    for row, column in np.ndindex(*found.shape):
        square = ab[row * scale : (row + 1) * scale, column * scale : (column + 1) * scale].reshape(-1, 2)
        a, b = (round(sum(channel.tolist()) / scale**2) - 128 for channel in square.T)  # halves go to the even one
        distances = [math.dist((a, b), centre) for centre in ab_bins.centres().tolist()]
        nearest = sorted(range(313), key=lambda each: distances[each])[:neighbours]
        parts = [math.exp((distances[nearest[0]] ** 2 - distances[each] ** 2) / (2 * sigma**2)) for each in nearest]
        label = np.full(313, label_smoothing / 313)
        for each, part in zip(nearest, parts, strict=True):
            label[each] += (1 - label_smoothing) * part / sum(parts)
        z = logits[row, column].astype(float)
        log_softmax = z - z.max() - math.log(sum(math.exp(value) for value in z - z.max()))
        found[row, column] = -weights[nearest[0]] * (label * log_softmax).sum() * (not (skip_gray and gray))
    return found


@pytest.mark.parametrize(
    "change",
    [
        {}, {"scale": 1}, {"scale": 2, "neighbours": 1}, {"neighbours": 10, "sigma": 2.5}, {"label_smoothing": 0.1},
        {"skip_gray": True},
    ],
)  # fmt: skip
def test_the_cross_entropy_is_the_papers(keras, change):
    from pipeline.networks.losses import cross_entropy

    options = OPTIONS | change
    scale = options["scale"]
    ab = DRAWS.integers(0, 256, (3, 2 * scale, 3 * scale, 2), dtype=np.uint8)
    ab[1] = DRAWS.integers(123, 134, ab[1].shape)  # gray, just about
    logits = DRAWS.normal(0, 4, (3, 2, 3, 313)).astype(np.float32)
    weights = DRAWS.uniform(0.1, 5, 313).astype(np.float32)
    found = np.asarray(cross_entropy(keras.ops.cast(ab, "float32"), logits, weights, **options))
    expected = [literal(one, two, weights, **options) for one, two in zip(ab, logits, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert (found[1] == 0).all() == options["skip_gray"]


def test_squares_are_averaged_and_halves_rounded_to_even(keras):
    from pipeline.networks.losses import cross_entropy

    ab = np.full((1, 4, 4, 2), 128.0, np.float32)
    ab[0, :2] = 129.0  # the mean is 128.5
    same, logits = np.full((1, 4, 4, 2), 128.0, np.float32), DRAWS.normal(size=(1, 1, 1, 313)).astype(np.float32)
    one, two = (cross_entropy(each, logits, np.ones(313, np.float32), **OPTIONS) for each in (ab, same))
    np.testing.assert_array_equal(one, two)


def test_the_gradient_raises_the_true_classes_and_lowers_the_others(keras):
    """The gradient is weight x (softmax - label): a step against it moves the prediction towards the label."""
    import tensorflow

    from pipeline.networks.losses import cross_entropy

    ab = np.array([200.0, 60.0], np.float32) * np.ones((1, 4, 4, 2), np.float32)
    logits = tensorflow.constant(DRAWS.normal(0, 2, (1, 1, 1, 313)).astype(np.float32))
    weights = np.full(313, 2.5, np.float32)
    with tensorflow.GradientTape() as tape:
        tape.watch(logits)
        loss = keras.ops.sum(cross_entropy(ab, logits, weights, **OPTIONS))
    gradient = np.asarray(tape.gradient(loss, logits))[0, 0, 0]
    classes, shares = ab_bins.soft_labels(5, 5.0)
    label = np.zeros(313)
    label[classes[200, 60]] = shares[200, 60]
    softmax = np.exp(logits.numpy()[0, 0, 0]) / np.exp(logits.numpy()).sum()
    np.testing.assert_allclose(gradient, 2.5 * (softmax - label), atol=1e-6)
    assert (gradient[classes[200, 60][:2]] < 0).all() and (np.delete(gradient, classes[200, 60]) > 0).all()


@pytest.mark.parametrize("kind", ["mse", "l1", "huber"])
def test_errors_of_a_and_b(keras, kind):
    from pipeline.networks.losses import error

    true, predicted = DRAWS.normal(0, 2, (2, 3, 5, 2)).astype(np.float32)
    difference = np.abs(true - predicted).astype(float)
    expected = {
        "mse": difference**2, "l1": difference,
        "huber": np.where(difference <= 1.5, 0.5 * difference**2, 1.5 * difference - 0.5 * 1.5**2),
    }[kind].mean(axis=-1)  # fmt: skip
    np.testing.assert_allclose(error(true, predicted, kind, 1.5), expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.38, 1.0, 3.0])
def test_the_annealed_mean_is_decoded_and_saved_with_its_temperature(keras, tmp_path, temperature):
    from pipeline.networks.layers import AnnealedMean

    logits = DRAWS.normal(0, 4, (2, 3, 5, 313)).astype(np.float32)
    layer = AnnealedMean(temperature, name="decoded")
    again = AnnealedMean.from_config(layer.get_config())
    expected = np.zeros((2, 3, 5, 2))
    for place in np.ndindex(2, 3, 5):
        parts = [math.exp((value - max(logits[place].tolist())) / temperature) for value in logits[place].tolist()]
        for part, (a, b) in zip(parts, ab_bins.centres().tolist(), strict=True):
            expected[place] += np.array([a + 128, b + 128]) * part / sum(parts)
    for each in (layer, again):
        np.testing.assert_allclose(each(logits), expected, rtol=1e-5)
        np.testing.assert_allclose(each(logits), 128 + ab_bins.annealed_mean(logits, temperature), rtol=1e-5)
    assert layer.compute_output_shape((None, 3, 5, 313)) == (None, 3, 5, 2)


@pytest.mark.parametrize("factor", [2, 4])
def test_bilinear_upsampling_is_that_of_pixel_centres_for_any_size(keras, factor):
    from pipeline.networks.layers import BilinearUpsampling

    picture = keras.Input((None, None, 2))
    model = keras.Model(picture, BilinearUpsampling(factor, name="larger")(picture))
    assert model.output_shape == (None, None, None, 2)
    for height, width in ((3, 5), (1, 1), (2, 7), (6, 4)):
        values = DRAWS.normal(0, 100, (2, height, width, 2)).astype(np.float32)
        expected = np.empty((2, height * factor, width * factor, 2))
        for row, column in np.ndindex(height * factor, width * factor):
            y, x = ((place + 0.5) / factor - 0.5 for place in (row, column))
            top, left = math.floor(y), math.floor(x)
            down, right = y - top, x - left
            expected[:, row, column] = sum(
                share * values[:, min(max(top + i, 0), height - 1), min(max(left + j, 0), width - 1)]
                for i, j, share in ((0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right),
                                    (1, 0, down * (1 - right)), (1, 1, down * right))
            )  # fmt: skip
        found = model.predict_on_batch(values)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-3)
