"""Train the network that keeps the colours of hints on their things; see `pipeline.colorize.refining`.

A step draws photographs with 1 to 50 hints. In half of them, all hints have the true colours, and the answer should be
the photograph. In the other half, a thing has another colour: it should arrive on the thing, and not beyond a strong
edge.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from pipeline.colorize.refining import HINTED, OWN, inputs
from pipeline.colorize.spreading import Spreading
from pipeline.core.progress import Progress, Silent
from pipeline.publishing.simulated import Pictures, Random, beyond, thing

FILTERS = (24, 32, 48, 48)  # of the halved resolutions
OPEN, SHUT = 3.0, -6.0  # logits of the gates before training
LARGEST = 5.0  # of those logits
STEPS, STEPS_PER_PICTURE = 1500, 2  # the most, and for few pictures
BATCH = 8  # pictures in a step
HINTS, OTHERS = 50, 20  # at most, of true colours; and beside a thing of another colour
RECOLOURED = 0.5  # share of the pictures in which a thing has another colour
ALONE = 0.6  # share of those in which only that is hinted at
CENTRED = 0.7  # share of the other pictures with hints around the centre, as in `simulated.patches`
STRONGEST, WEAKEST = 60.0, 15.0  # difference of another colour
OUTSIDE, FAR, UNSURE = 2.0, 1.0, 0.05  # weights of what is beyond an edge, near and far, and of neither; a thing's is 1
RATE, WARM = 2e-3, 100  # of Adam, after so many steps, falling to 0 along a cosine
LONGEST = 1.0  # gradient
STEADY, SOFT = 4.0, 0.1  # added to the squared error before its logarithm; below which an error counts as its square

Array = npt.NDArray[np.float32]


class Drawn(NamedTuple):
    """A picture with hints: the network's inputs, the changes that its gates are for, and how it is judged.

    Attributes:
        given: see `refining.inputs`.
        changes: of `Spread`, those of the regression and at the most similar hint, (h, w, 4).
        wanted: the change that is right (h, w, 2), the weights of the places (h, w, 1) whose sum counts, and how strong
            the other colour is (h, w, 1), 0 if all colours are true.
    """

    given: Array
    changes: Array
    wanted: Array


def train(pictures: Pictures, spreading: Spreading, seed: int, progress: Progress | None = None) -> keras.Model:
    """Return a network from `refining.inputs` (b, h, w, c) to gates (b, h, w, 2). Keras must be running.

    Args:
        pictures: training photographs.
        spreading: of their network.
        seed: of all that is random.
        progress: advances with every step.
    """
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    count, *shape, _ = pictures.described.shape
    network = build((shape[0], shape[1]), spreading.projection.shape[1])
    changes = keras.Input((*shape, 4))
    gates = network.output
    refined = gates[..., :1] * changes[..., :2] + gates[..., 1:] * changes[..., 2:]
    model = keras.Model([network.input, changes], refined)
    steps = min(STEPS, STEPS_PER_PICTURE * count)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=RATE, warmup_steps=min(WARM, steps // 2))
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=LONGEST), loss)
    with (progress or Silent()).track("hints on things, steps", steps) as advance:
        for _ in range(steps):
            drawn = [draw(pictures, spreading, random) for _ in range(BATCH)]
            given, changed, wanted = (np.stack(each) for each in zip(*drawn, strict=True))
            model.train_on_batch([given, changed], wanted)
            advance(1)
    return network


def build(shape: tuple[int, int], descriptors: int) -> keras.Model:
    """Return an untrained network for pictures of a shape: convolutions at halved resolutions, and back."""
    given = keras.Input((*shape, OWN + 2 * descriptors))
    seen = _convolved(_convolved(given, FILTERS[0], side=1), FILTERS[0])
    larger = []
    for filters in FILTERS[1:]:
        larger.append(seen)
        seen = _convolved(_convolved(seen, filters, strides=2), filters)
    for before in reversed(larger):
        _, height, width, filters = before.shape
        seen = layers.UpSampling2D(interpolation="bilinear")(layers.Conv2D(filters, 1)(seen))
        seen = _convolved(seen[:, :height, :width] + before, filters)
    seen = layers.LayerNormalization()(seen)
    shares = []
    for start in (OPEN, SHUT):
        logits = layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(start))(seen)
        # Bounded, because a saturated sigmoid would learn nothing more.
        shares.append(ops.sigmoid(LARGEST * logits / (LARGEST + ops.abs(logits))))
    hinted = given[..., HINTED : HINTED + 1]  # there, the regression's change stays
    gates = [ops.maximum(shares[0], hinted), shares[1] * (1 - hinted)]
    return keras.Model(given, ops.concatenate(gates, axis=-1))


def _convolved(seen: Any, filters: int, *, side: int = 3, strides: int = 1) -> Any:
    return layers.Conv2D(filters, side, strides, padding="same", activation="relu")(seen)


def loss(wanted: Any, refined: Any) -> Any:
    """Return how wrong the changes (b, h, w, 2) of pictures are, (b,); for `wanted` see `Drawn`.

    Of true colours, the logarithm of the squared error: a hard picture counts no more than another. Of another colour,
    the error relative to its strength, and not its square: so a place gets it or does not.
    """
    true, weights, strength = wanted[..., :2], wanted[..., 2], wanted[..., 3]
    squared = ops.sum(ops.square(refined - true), axis=-1)
    usual = ops.log(ops.sum(weights * squared, axis=(1, 2)) / 2 + STEADY)
    relative = ops.sqrt(squared / ops.square(ops.maximum(strength, 1)) + SOFT**2) - SOFT
    return ops.where(strength[:, 0, 0] > 0, ops.sum(weights * relative, axis=(1, 2)), usual)


def draw(pictures: Pictures, spreading: Spreading, random: Random) -> Drawn:
    """Draw a picture and its hints; half of the pictures are mirrored."""
    number, step = random.integers(len(pictures.described)), random.choice([1, -1])
    described, lightness, predicted, true = (
        np.asarray(each[number, :, ::step], np.float32)
        for each in (pictures.described, pictures.lightness, pictures.predicted, pictures.true)
    )
    shape, wanted = np.array(lightness.shape), true - predicted
    weights, strength = np.full(lightness.shape, 1 / lightness.size, np.float32), 0.0
    found = thing(lightness, true, random) if random.random() < RECOLOURED else None
    if found is None:
        count = int(np.exp(random.uniform(0, np.log(HINTS + 1))))
        places = random.random((count, 2)) * shape
        if random.random() < CENTRED:
            places = np.clip(random.normal(shape / 2, shape / 4, (count, 2)), 0, shape - 1)
        cells = places.astype(np.intp)
    else:
        angle, strength = random.uniform(0, 2 * np.pi), random.uniform(WEAKEST, STRONGEST)
        cells = random.choice(np.argwhere(found.mask), 1)
        if random.random() < ALONE:
            wanted = np.zeros_like(wanted)
        else:
            others = int(np.exp(random.uniform(0, np.log(OTHERS))))
            cells = np.concatenate([(random.random((others, 2)) * shape).astype(np.intp), cells])
        wanted[found.mask] += np.float32(strength) * np.array([np.cos(angle), np.sin(angle)], np.float32)
        weights *= UNSURE
        for mask, weight in zip((found.mask, *beyond(found, lightness, true)), (1, OUTSIDE, FAR), strict=True):
            weights[mask] += weight / max(int(mask.sum()), 1)
    at = tuple(cells.T)
    spread = spreading.spread(described, predicted, cells, predicted[at] + wanted[at])
    given = inputs(described, spread)
    changes = np.concatenate([spread.change, spread.nearest], axis=-1, dtype=np.float32)
    facts = np.stack([weights, np.full_like(weights, strength)], axis=-1)
    return Drawn(given, changes, np.concatenate([wanted, facts], axis=-1))
