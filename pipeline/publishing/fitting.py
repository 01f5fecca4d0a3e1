"""Learn how hints spread, from simulated hints on training photographs.

A step draws photographs, a number of places on each whose true colours are hints, and other places whose colours are
estimated from these. Spreading should make the error of the estimate small. In half of the photographs, a thing has
another colour than the photograph has, and a hint says so: so the colour of a thing is learned to stay on it.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from pipeline.colorize.spreading import NOISE, Spreading
from pipeline.core.progress import Progress, Silent
from pipeline.publishing.simulated import Pictures, Random, thing

DIMENSIONS = 32  # of descriptors
STEPS, STEPS_PER_PICTURE = 3000, 3  # the most, and for few pictures
BATCH = 12  # pictures in a step
HINTS = 24  # on a picture: 1 to this many
PLACES = 400  # of a picture whose colours are estimated
RECOLOURED = 0.5  # share of the pictures in which a thing has another colour
STRONGEST, WEAKEST = 50.0, 15.0  # difference of that colour
RATE = 5e-3  # of Adam, falling to 0 along a cosine
STEADY = 4.0  # added to the squared error before its logarithm

Array = npt.NDArray[np.float32]


class Spread(keras.layers.Layer):
    """`pipeline.colorize.spreading.Spreading` of a batch, with a projection to be learned.

    Inputs: described places (b, m, c) and hints (b, k, c), the hints' differences from the prediction (b, k, 2), and
    (b, k), 1 for each hint that exists. Output: the estimated differences (b, m, 2).
    """

    def __init__(self, projection: Array, **options: Any) -> None:
        super().__init__(**options)
        self.projection = self.add_weight(
            name="projection", shape=projection.shape, initializer=lambda *_, **__: ops.convert_to_tensor(projection)
        )

    def call(self, inputs: Any) -> Any:
        """See the class."""
        places, hints, differences, present = inputs
        there, here = ops.matmul(places, self.projection), ops.matmul(hints, self.projection)
        among = _similarity(here, here) * present[:, :, None] * present[:, None, :]
        solved = ops.solve(among + NOISE * ops.eye(present.shape[1]), differences * present[..., None])
        return ops.matmul(_similarity(there, here), solved)

    def compute_output_shape(self, shapes: Any) -> Any:
        """(b, m, 2)."""
        return (*shapes[0][:-1], 2)


def _similarity(first: Any, second: Any) -> Any:
    products = ops.matmul(first, ops.swapaxes(second, -1, -2))
    squares = [ops.sum(each * each, axis=-1) for each in (first, second)]
    return ops.exp(-ops.maximum(squares[0][:, :, None] + squares[1][:, None, :] - 2 * products, 0) / 2)


def _loss(true: Any, estimated: Any) -> Any:
    """Return the logarithm of each picture's squared error, (b,): a hard picture counts no more than another."""
    return ops.log(ops.mean(ops.square(true - estimated), axis=(1, 2)) + STEADY)


def fit(pictures: Pictures, seed: int, progress: Progress | None = None) -> Spreading:
    """Learn the projection. Keras must be running.

    Args:
        pictures: training photographs.
        seed: of all that is random.
        progress: advances with every step.
    """
    random = np.random.default_rng(seed)
    count, _, _, channels = pictures.described.shape
    spread = np.asarray(pictures.described[:: max(1, count // 64)], np.float32).std(axis=(0, 1, 2))
    scale = np.where(np.arange(channels) < channels - 5, np.maximum(spread, 1e-3), 1).astype(np.float32)
    steps = min(STEPS, STEPS_PER_PICTURE * count)
    layer = Spread(_start(channels, random))
    shapes = (PLACES, channels), (HINTS, channels), (HINTS, 2), (HINTS,)
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer(inputs))
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.Adam(rate), _loss)
    with (progress or Silent()).track("hints, steps", steps) as advance:
        for _ in range(steps):
            drawn = [_draw(pictures, scale, random) for _ in range(BATCH)]
            *given, true = (np.stack(each) for each in zip(*drawn, strict=True))
            model.train_on_batch(given, true)
            advance(1)
    return Spreading(np.asarray(ops.convert_to_numpy(layer.projection), np.float32) / scale[:, None])


def _start(channels: int, random: Random) -> Array:
    """Return a projection that keeps lightness, colours and place, and mixes the features into the other dimensions."""
    features, mixed = channels - 5, DIMENSIONS - 5
    start = np.zeros((channels, DIMENSIONS), np.float32)
    start[:features, :mixed] = (
        np.linalg.qr(random.normal(size=(max(features, mixed), mixed)))[0][:features] / mixed**0.5
    )
    start[features:, mixed:] = np.eye(5)
    return start


def _draw(pictures: Pictures, scale: Array, random: Random) -> tuple[Array, Array, Array, Array, Array]:
    """Return places, hints, differences at the hints, which hints exist, and differences at the places."""
    number = random.integers(len(pictures.described))
    described = np.asarray(pictures.described[number], np.float32) / scale
    true = pictures.true[number]
    differences = (true - pictures.predicted[number]).reshape(-1, 2)
    at = random.permutation(len(differences))[: PLACES + HINTS]
    if random.random() < RECOLOURED and (found := thing(pictures.lightness[number], true, random)):
        angle, strength = random.uniform(0, 2 * np.pi), random.uniform(WEAKEST, STRONGEST)
        inside = found.mask.ravel()
        differences[inside] += strength * np.array([np.cos(angle), np.sin(angle)], np.float32)
        at[0] = random.choice(np.flatnonzero(inside))
    flat = described.reshape(len(differences), -1)
    hints, places = at[:HINTS], at[HINTS:]
    present = (np.arange(HINTS) < random.integers(1, HINTS + 1)).astype(np.float32)
    return flat[places], flat[hints], differences[hints], present, differences[places]
