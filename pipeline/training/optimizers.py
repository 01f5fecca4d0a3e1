"""The optimiser of a training, and its learning rate by step."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from pipeline.config import schema


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly in the first steps, and then stays or falls.

    Step t, counted from 0, has the rate r x (t + 1) / w while t < w = `warmup` steps, and then r x f, where f is:

    - 1, or
    - with `until`, (1 + cos(pi x (t - w) / (until - w))) / 2, half a cosine, or
    - with `every`, decay ^ ((t - w) / every), whose exponent is rounded down if the rate falls in `stairs`.

    It depends on the step alone, so that runs can resume.
    """

    def __init__(
        self,
        rate: float,
        warmup: int,
        until: int | None = None,
        decay: float = 1.0,
        every: float | None = None,
        stairs: bool = False,
    ) -> None:
        self.rate = rate
        self.warmup = warmup
        self.until = until
        self.decay = decay
        self.every = every
        self.stairs = stairs

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, float32."""
        step = ops.cast(step, "float32")
        after = 1.0
        if self.until is not None:
            done = (step - self.warmup) / max(1, self.until - self.warmup)
            after = 0.5 * (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0)))
        elif self.every is not None:
            done = ops.maximum(step - self.warmup, 0.0) / self.every
            after = ops.power(self.decay, ops.floor(done) if self.stairs else done)
        return self.rate * ops.where(step < self.warmup, (step + 1) / max(1, self.warmup), after)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(vars(self))


def optimizer(
    model: keras.Model, learning_rate: float, training: schema.Training, steps: int
) -> keras.optimizers.Optimizer:
    """Return the optimiser of a training; by default Adam with a constant rate, which is the paper's.

    Args:
        model: whose biases and other vectors AdamW does not let decay.
        learning_rate: the rate, or its highest value.
        training: names the optimiser, its schedule and clipping.
        steps: of an epoch.
    """
    rate: Any = learning_rate
    if training.schedule != "constant" or training.warmup_epochs:
        rate = Rate(learning_rate, round(training.warmup_epochs * steps), **_falling(training, steps))
    options: dict[str, Any] = {"global_clipnorm": training.clip_norm} if training.clip_norm else {}
    if training.ema_decay:
        options |= {"use_ema": True, "ema_momentum": training.ema_decay}
    if training.optimizer == "adam":
        made = keras.optimizers.Adam(rate, **options)
    elif training.optimizer == "adamw":
        made = keras.optimizers.AdamW(rate, weight_decay=training.weight_decay, **options)
        made.exclude_from_weight_decay(var_list=[each for each in model.trainable_variables if len(each.shape) < 2])
    if training.ema_decay:
        # Keras would put the averages in the weights' place after each `fit`, of which a resumed run calls more.
        made.finalize_variable_values = lambda var_list: None
    return made


def _falling(training: schema.Training, steps: int) -> dict[str, Any]:
    if training.schedule == "cosine":
        return {"until": training.epochs * steps}
    if training.schedule == "constant":
        return {}
    every = training.decay_epochs * steps
    return {"decay": training.decay, "every": every, "stairs": training.schedule == "step"}


def take_averages(model: keras.Model) -> None:
    """Put the moving averages of the trainable weights, which the optimiser keeps after each step, in their place."""
    optimizer = model.optimizer
    type(optimizer).finalize_variable_values(optimizer, model.trainable_variables)
    for variable in model.trainable_variables:  # on JAX, it would share its memory with the average
        variable.assign(np.array(ops.convert_to_numpy(variable)))
