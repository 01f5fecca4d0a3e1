"""The optimiser of a training, and its learning rate by step."""

import math
from typing import Any

import keras
from keras import ops

from pipeline.config import schema


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly in the first steps, and then stays or falls along half a cosine to 0.

    Step t, counted from 0, has the rate r x (t + 1) / w while t < w = `warmup` steps, and then r or, with `until`
    steps, r x (1 + cos(pi x (t - w) / (until - w))) / 2. It depends on the step alone, so that runs can resume.
    """

    def __init__(self, rate: float, warmup: int, until: int | None) -> None:
        self.rate = rate
        self.warmup = warmup
        self.until = until

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, float32."""
        step = ops.cast(step, "float32")
        after = 1.0
        if self.until is not None:
            done = (step - self.warmup) / max(1, self.until - self.warmup)
            after = 0.5 * (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0)))
        return self.rate * ops.where(step < self.warmup, (step + 1) / max(1, self.warmup), after)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"rate": self.rate, "warmup": self.warmup, "until": self.until}


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
    if training.schedule == "cosine" or training.warmup_epochs:
        until = training.epochs * steps if training.schedule == "cosine" else None
        rate = Rate(learning_rate, round(training.warmup_epochs * steps), until)
    options: dict[str, Any] = {"global_clipnorm": training.clip_norm} if training.clip_norm else {}
    if training.optimizer == "adam":
        return keras.optimizers.Adam(rate, **options)
    made = keras.optimizers.AdamW(rate, weight_decay=training.weight_decay, **options)
    made.exclude_from_weight_decay(var_list=[each for each in model.trainable_variables if len(each.shape) < 2])
    return made
