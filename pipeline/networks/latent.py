"""Latent variables: a variational autoencoder of ab, conditioned on a feature map of the gray picture.

In training, the variables are drawn from a normal distribution that the true ab gives, and the loss has the divergence
of this distribution from the one that the feature map gives. Elsewhere, the latter's mean gives the one answer, and
draws from it give several.

Source: Kingma and Welling, "Auto-encoding variational Bayes" (2014), with the prior of Sohn, Lee and Yan, "Learning
structured output representation using deep conditional generative models" (2015).
"""

from typing import Any

import keras

from pipeline.networks.inputs import LATENT, REDUCED, WIDTH

LARGEST_LOG = 10.0  # of a variance


@keras.saving.register_keras_serializable(package="deepcolor")
class Latent(keras.layers.Layer):
    """Draws latent variables, and adds the divergence of their distributions to the loss in training.

    Inputs: mean and logarithm of the variance given the true ab, (batch, 2 n); the same given the feature map,
    (batch, 2 n); standard normal noise, (batch, n), which training ignores. Output: (batch, n) float32.

    Args:
        weight: of the Kullback-Leibler divergence in the loss, in nats.
        seed: of the draws in training.
    """

    def __init__(self, weight: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.weight = weight
        self.seed = seed
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """See the class."""
        known, given, noise = inputs
        prior, prior_log_variance = _moments(given)
        if not training:
            return prior + keras.ops.exp(prior_log_variance / 2) * noise
        posterior, log_variance = _moments(known)
        squares = keras.ops.exp(log_variance) + (posterior - prior) ** 2
        distance = squares / keras.ops.exp(prior_log_variance) - 1 + prior_log_variance - log_variance
        self.add_loss(self.weight * keras.ops.mean(keras.ops.sum(distance, axis=-1)) / 2)
        drawn = keras.random.normal(keras.ops.shape(posterior), dtype=posterior.dtype, seed=self.seeds)
        return posterior + keras.ops.exp(log_variance / 2) * drawn

    def compute_output_shape(self, shapes: Any) -> Any:
        """(batch, n)."""
        return shapes[2]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "weight": self.weight, "seed": self.seed}


def _moments(parameters: Any) -> tuple[Any, Any]:
    """Return the mean and the logarithm of the variance, (batch, n) each."""
    mean, logarithm = keras.ops.split(parameters, 2, axis=-1)
    return mean, keras.ops.clip(logarithm, -LARGEST_LOG, LARGEST_LOG)


def reduced(ab: Any) -> Any:
    """Return ab (batch, H, W, 2) in 8-bit units as -1..1 at a `REDUCED`th of its size."""
    scaled = keras.layers.Rescaling(1 / 127, -128 / 127, name="ab_scaled", dtype="float32")(ab)
    return keras.layers.AveragePooling2D(REDUCED, name="ab_reduced", dtype="float32")(scaled)


def parameters(picture: Any, label: str, initializer: keras.initializers.Initializer) -> Any:
    """Return the parameters of a distribution, (batch, 2 `LATENT`) float32, from a picture (batch, h, w, c)."""
    flat = keras.layers.Flatten(name=f"{label}_flat")(picture)
    return keras.layers.Dense(2 * LATENT, kernel_initializer=initializer, dtype="float32", name=label)(flat)


def as_picture(variables: Any, side: int, initializer: keras.initializers.Initializer) -> Any:
    """Return latent variables as a picture, (batch, side, side, `WIDTH`)."""
    dense = keras.layers.Dense(side * side * WIDTH, kernel_initializer=initializer, name="latent_spread")(variables)
    return keras.layers.Reshape((side, side, WIDTH), name="latent_picture")(dense)
