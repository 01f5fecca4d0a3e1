"""Heads: what a network predicts, the loss of a prediction, and how it becomes ab.

To add a head, call `register` in a module named in DEEPCOLOR_PLUGINS; an architecture selects it with its setting
`head`. This module never imports Keras.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import atanh
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pipeline.config.loading import check_values
from pipeline.config.values import TEMPERATURES, HeadChoice, Real, Section, Temperature
from pipeline.core.errors import InputError
from pipeline.core.registry import Registry
from pipeline.images import ab_bins
from pipeline.images.lab import NEUTRAL

if TYPE_CHECKING:
    import keras

NO_TEMPERATURE = "expected a run whose head predicts classes, received one without a temperature; leave it out"
BINS = 32  # of chroma and of hue
RAREST = 1e-7  # the least frequency of a class in a prior: its logarithm and its inverse stay finite


class Options(Section):
    """The options of a head: none."""


@dataclass(frozen=True)
class Head:
    """The last convolution of a network, its loss and its decoding.

    Attributes:
        name: in architectures.
        filters: number of channels of the prediction (batch, H, W, filters).
        activation: of the last convolution, by Keras' name.
        loss: the name of a Keras loss, or a function of the true ab (batch, H, W, 2), 0..255, and the prediction, in
            `keras.ops`.
        decode: makes the Keras layers that turn the prediction into ab (batch, H, W, 2) in 8-bit units, applied in
            order. Training works without them; a saved network ends with them. Name the layers, and use
            ``keras.layers.UpSampling2D`` or `pipeline.networks.layers.BilinearUpsampling` for any resizing. None if
            the prediction is ab.
        start: turns the mean (a, b) of the training images into the initial bias of the last convolution; None for
            zeros.
        scale: pixels of L per pixel of the prediction, in each direction.
        words: the loss in words.
        judged_by: the measure of the validation images that is smallest at the best epoch: the MSE of ab, or the loss.
        temperature: of the decoding by `layers.AnnealedMean`, which can be changed after training; None for heads
            without that layer.
        options: the settings that a configuration can change; the head itself has their defaults.
        configure: returns the head with other options.
        fit: counts of the training images' colours (see `pipeline.dataset.statistics`) -> the head to train with, and
            arrays to keep with the run. None for heads that do not depend on these colours.
        changes: the options that differ from the defaults.
    """

    name: str
    filters: int
    activation: str
    loss: str | Callable[[Any, Any], Any]
    decode: Callable[[], Sequence["keras.layers.Layer"]] | None = None
    start: Callable[[tuple[float, float]], Sequence[float]] | None = None
    scale: int = 1
    words: str = "a loss of its own"
    judged_by: Literal["mse", "loss"] = "mse"
    temperature: float | None = None
    options: type[Options] = Options
    configure: Callable[[Any], "Head"] | None = None
    fit: Callable[[npt.NDArray[np.int64]], "Fit"] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choice(self) -> HeadChoice:
        """The head as a configuration chooses it: its name, or a mapping that adds options that are not defaults."""
        return {"name": self.name, **self.changes} if self.changes else self.name


Fit = tuple[Head, Mapping[str, npt.NDArray[Any]]]


HEADS: Registry[Head] = Registry("head", "architectures.*.head")
register = HEADS.register


def choose(choice: HeadChoice, key: str = "architectures.*.head") -> Head:
    """Return the head that a configuration chooses, with its options.

    Args:
        choice: the name of a head, or a mapping with its name and options.
        key: where the configuration has it, for error messages.

    Raises:
        InputError: the head or an option is unknown, or an option's value is wrong.
    """
    kind, given = HEADS.chosen(choice, key)
    options = check_values(kind.options, given, key)
    changes = options.model_dump(exclude_defaults=True)
    return replace(kind.configure(options), changes=changes) if kind.configure and changes else kind


def refuse_temperature(choice: HeadChoice, temperature: float | None, key: str) -> None:
    """Raise an InputError if a temperature is set, but the head has none."""
    if temperature is not None and choose(choice).temperature is None:
        raise InputError(f"{key}: {NO_TEMPERATURE}")


def check_temperature(temperature: float | None, key: str) -> None:
    """Raise an InputError if a temperature is set, but out of range."""
    low, high = TEMPERATURES
    if temperature is not None and not low <= temperature <= high:
        raise InputError(f"{key}: expected a number in {low:g}..{high:g}, received {temperature}")


class _Error(Options):
    """Options of heads that predict a and b themselves."""

    loss: Literal["mse", "l1", "huber"] = "mse"
    delta: Annotated[Real, Field(gt=0)] = 10.0

    @model_validator(mode="after")
    def _delta_is_of_huber(self) -> "_Error":
        if "delta" in self.model_fields_set and self.loss != "huber":
            raise ValueError(f"delta: expected with loss: huber only, received loss: {self.loss}; leave it out")
        return self

    def of(self, centre: float, scale: float) -> Callable[[Any, Any], Any]:
        """Return the loss of a prediction of ``(ab - centre) / scale``."""

        def loss(ab: Any, predicted: Any) -> Any:
            from pipeline.networks import losses

            return losses.error((ab - centre) / scale, predicted, self.loss, self.delta)

        return loss

    @property
    def words(self) -> str:
        """The loss in words."""
        if self.loss == "huber":
            return f"Huber loss (delta {self.delta:g}) of a and b"
        return f"mean {'squared' if self.loss == 'mse' else 'absolute'} error of a and b"


class _TanhError(_Error):
    delta: Annotated[Real, Field(gt=0)] = 0.1


def _regression(options: _Error) -> Head:
    loss = "mse" if options.loss == "mse" else options.of(0.0, 1.0)
    return Head(
        "regression", 2, "relu", loss, start=lambda mean_ab: mean_ab,
        words=options.words, options=_Error, configure=_regression,
    )  # fmt: skip


def _tanh(options: _TanhError) -> Head:
    def decode() -> Sequence["keras.layers.Layer"]:
        import keras

        return [keras.layers.Rescaling(127.0, float(NEUTRAL), name="ab")]

    def start(mean_ab: tuple[float, float]) -> Sequence[float]:
        return [atanh(min(max((value - NEUTRAL) / 127, -0.99), 0.99)) for value in mean_ab]

    return Head(
        "tanh", 2, "tanh", options.of(NEUTRAL, 127.0), decode, start,
        words=f"{options.words}, divided by 127", options=_TanhError, configure=_tanh,
    )  # fmt: skip


class _Classes(Options):
    """Options of the head `classes`; see `ab_bins` and `losses.cross_entropy`."""

    neighbours: Annotated[int, Field(ge=1, le=313)] = 5
    sigma: Annotated[Real, Field(gt=0)] = 5.0
    rebalancing: Annotated[Real, Field(ge=0, le=1)] = 0.5
    power: Annotated[Real, Field(ge=0, le=10)] = 1.0
    label_smoothing: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    temperature: Temperature = 0.38
    skip_gray: bool = False


def _classes(options: _Classes, weights: npt.NDArray[np.float64] | None = None) -> Head:
    """Make the head `classes`; without `weights` of the classes, all weigh 1."""
    scale = 4

    def loss(ab: Any, logits: Any) -> Any:
        from pipeline.networks import losses

        of_classes = np.ones(len(ab_bins.centres())) if weights is None else weights
        own = options.model_dump(include={"neighbours", "sigma", "label_smoothing", "skip_gray"})
        return losses.cross_entropy(ab, logits, of_classes.astype(np.float32), scale=scale, **own)

    def decode() -> Sequence["keras.layers.Layer"]:
        from pipeline.networks.layers import AnnealedMean, BilinearUpsampling

        return [AnnealedMean(options.temperature, name="annealed_mean"), BilinearUpsampling(scale, name="ab")]

    def fit(counts: npt.NDArray[np.int64]) -> Fit:
        prior = np.maximum(ab_bins.prior(counts, options.neighbours, options.sigma), RAREST)
        prior /= prior.sum()
        weights = ab_bins.class_weights(prior, options.rebalancing, options.power)
        head = replace(_classes(options, weights), start=lambda mean_ab: np.log(prior).tolist())
        return replace(head, changes=options.model_dump(exclude_defaults=True)), {
            "bins": ab_bins.centres(), "prior": prior, "weights": weights
        }  # fmt: skip

    return Head(
        "classes", len(ab_bins.centres()), "linear", loss, decode, scale=scale, judged_by="loss",
        words=f"cross-entropy over {len(ab_bins.centres())} classes of colour", temperature=options.temperature,
        options=_Classes, configure=_classes, fit=fit,
    )  # fmt: skip


class _HueAndChroma(Options):
    """Options of the head `hue_chroma`; see `losses.hue_and_chroma` and `layers.HueAndChroma`."""

    largest: Annotated[Real, Field(gt=0)] = 128.0
    hue_weight: Annotated[Real, Field(ge=0)] = 5.0
    fading: Annotated[Real, Field(gt=0)] = 0.03


def _hue_and_chroma(options: _HueAndChroma) -> Head:
    scale = 4

    def loss(ab: Any, logits: Any) -> Any:
        from pipeline.networks import losses

        return losses.hue_and_chroma(ab, logits, scale=scale, largest=options.largest, hue_weight=options.hue_weight)

    def decode() -> Sequence["keras.layers.Layer"]:
        from pipeline.networks.layers import BilinearUpsampling, HueAndChroma

        median = HueAndChroma(options.largest, options.fading, name="hue_and_chroma")
        return [median, BilinearUpsampling(scale, name="ab")]

    return Head(
        "hue_chroma", 2 * BINS, "linear", loss, decode, scale=scale, judged_by="loss",
        words=f"cross-entropy over {BINS} bins of chroma and {BINS} of hue", options=_HueAndChroma,
        configure=_hue_and_chroma,
    )  # fmt: skip


# The first is the paper's.
for _head in (
    _regression(_Error()),
    _tanh(_TanhError()),
    _classes(_Classes()),
    _hue_and_chroma(_HueAndChroma()),
):
    register(_head)
