"""Predict a photograph's colours at a small size: a run's networks through Keras, or published ones without it."""

import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.colorize import sessions
from pipeline.colorize.refining import Refined
from pipeline.colorize.spreading import Spreading
from pipeline.config.paths import ResultFiles
from pipeline.core import files
from pipeline.core.machine import Precision
from pipeline.images import ab_bins
from pipeline.images.lab import NEUTRAL, UInt8
from pipeline.networks.inputs import ImageBatch, fixed_size, names_of, predict, stored

Float32 = npt.NDArray[np.float32]

LOGITS, FEATURES = "logits", "features"  # outputs of a published network


class Prediction(NamedTuple):
    """What a network predicts for one picture, h and w an integer fraction of L's height and width.

    Attributes:
        ab: a and b (h, w, 2) in 8-bit units, not clipped.
        logits: of classes of colour (h, w, 313); None unless the network is a published one.
        features: what it computed last, (h, w, c); None unless it takes hints.
    """

    ab: Float32
    logits: Float32 | None = None
    features: Float32 | None = None


class Predictor(Protocol):
    """Predicts colours from lightness.

    Attributes:
        size: height and width of the only L that it takes; None if it takes any that `prepare.padded` returns.
        digest: identifies the networks and the temperature.
        spreading: spreads hints; None if the network takes none.
    """

    @property
    def size(self) -> tuple[int, int] | None: ...  # noqa: D102

    @property
    def digest(self) -> str: ...  # noqa: D102

    @property
    def spreading(self) -> Spreading | None: ...  # noqa: D102

    def __call__(self, lightness: UInt8, square: UInt8) -> Prediction:
        """Predict colours.

        Args:
            lightness: L (H, W).
            square: L of the same photograph, (224, 224), for an embedding network.
        """


@dataclass(frozen=True)
class KerasPredictor:
    """A run's networks.

    Attributes:
        network: predicts ab; see `pipeline.networks.builder.build`.
        embed: computes the embedding network's outputs by name from L (n, H, W) uint8; None if the network takes none.
        digest: see `Predictor`.
    """

    network: Any
    embed: Callable[[UInt8], dict[str, Float32]] | None
    digest: str = ""
    spreading: Spreading | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """See `Predictor`."""
        return fixed_size(self.network)

    def __call__(self, lightness: UInt8, square: UInt8) -> Prediction:
        """See `Predictor`."""
        network, repeats = self._smallest
        embedded = self.embed(square[None]) if self.embed else {}
        return Prediction(predict(network, ImageBatch(lightness[None], embedded))[0, ::repeats, ::repeats])

    @cached_property
    def _smallest(self) -> tuple[Any, int]:
        """The network without a bilinear upsampling at its end, and how often it repeats each row and column."""
        from pipeline.networks.builder import before_upsampling, repeats

        if found := before_upsampling(self.network):
            return found[0], 1
        return self.network, 2 if repeats(self.network) else 1


@dataclass(frozen=True)
class OnnxPredictor:
    """A published network of classes; see `pipeline.publishing.publish`.

    Attributes:
        opened: returns the session of ONNX Runtime, which returns `LOGITS`, and `FEATURES` if it can take hints, of an
            L (1, H, W) uint8.
        temperature: at which the classes become colours.
        digest: see `Predictor`.
        spreading: see `Predictor`.
    """

    opened: Callable[[], Any]
    temperature: float
    digest: str
    spreading: Spreading | None = None

    @cached_property
    def session(self) -> Any:
        """See `opened`."""
        return self.opened()

    @property
    def size(self) -> tuple[int, int] | None:
        """See `Predictor`."""
        height, width = self.session.get_inputs()[0].shape[1:]
        return height, width

    def __call__(self, lightness: UInt8, square: UInt8) -> Prediction:
        """See `Predictor`."""
        names = [each.name for each in self.session.get_outputs()]
        found = self.session.run(names, {"lightness": lightness[None]})
        outputs = {name: values[0] for name, values in zip(names, found, strict=True)}
        logits = outputs[LOGITS]
        ab = np.asarray(ab_bins.annealed_mean(logits, self.temperature) + NEUTRAL, np.float32)
        return Prediction(ab, logits, outputs.get(FEATURES))


def open_published(folder: Path, record: Mapping[str, Any], threads: int, temperature: float | None) -> OnnxPredictor:
    """Open a network that `pipeline.publishing.publish` wrote into `folder`.

    Raises:
        InputError: a file is missing or damaged, or the temperature is out of range.
    """
    path = ResultFiles(folder).published
    files.refuse_special(path)
    # In the background, because it takes as long as reading a photograph.
    opening = sessions.opening(path, threads)
    listed = files.read_listing(folder, [path.name])
    if temperature is not None:
        from pipeline.networks import heads

        heads.check_temperature(temperature, "--temperature")
    used = record["published"]["temperature"] if temperature is None else temperature
    digest = f"{listed[path.name]} at temperature {used}"
    return OnnxPredictor(opening.result, used, digest, _spreading(ResultFiles(folder), listed, threads))


def _spreading(published: ResultFiles, listed: Container[str], threads: int) -> Spreading | None:
    """Return what spreads hints, as far as a folder has it; its network is opened for the first hint."""
    if published.spreading.name not in listed:
        return None
    spreading = Spreading.load(published.spreading)
    path = published.refining
    if path.name not in listed:
        return spreading
    files.refuse_changed(path)
    return Refined(spreading.projection, lambda: sessions.opened(path, threads))


def load(
    run: Path, record: Mapping[str, Any], embedding_weights: Path | None, threads: int, temperature: float | None
) -> KerasPredictor:
    """Load a run's networks in the precision that it was trained in; starts Keras unless it is running.

    Raises:
        InputError: a file is damaged, the embedding network is not the run's, or the network has no temperature.
    """
    precision = record["embedding"].get("precision", "float32")
    network, embed = load_networks(run, record, embedding_weights, threads, precision, temperature)
    digest = files.digest_file(ResultFiles(run).model)
    return KerasPredictor(network, embed, digest + ("" if temperature is None else f" at temperature {temperature}"))


def load_networks(
    run: Path,
    record: Mapping[str, Any],
    embedding_weights: Path | None,
    threads: int,
    precision: Precision,
    temperature: float | None = None,
) -> tuple[Any, Any]:
    """Load a run's network, and its `EmbeddingNetwork` or None; start Keras unless it is running."""
    from pipeline.networks import backend

    model = ResultFiles(run).model
    files.refuse_changed(model)
    if "keras" not in sys.modules:
        backend.start(threads, precision)
    from pipeline.embedding import of_run
    from pipeline.networks import builder, saving

    with backend.policy(precision):
        network = builder.with_temperature(saving.load(model), temperature, "--temperature")
        return network, of_run.load(run, record, embedding_weights, stored(names_of(network)))
