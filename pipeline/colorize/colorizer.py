"""Colours for a photograph of any size from a trained run."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.colorize import recolour
from pipeline.colorize.upsampling import Upsampling
from pipeline.config.paths import ResultFiles
from pipeline.core import files, plugins
from pipeline.core.errors import InputError
from pipeline.core.machine import Precision
from pipeline.images import light, prepare
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE, NEUTRAL, UInt8
from pipeline.images.light import Levels
from pipeline.images.photographs import Photograph
from pipeline.networks.inputs import ImageBatch, fixed_size, names_of, predict, stored
from pipeline.results.record import read_record


@dataclass(frozen=True)
class Colorizer:
    """Colours photographs with trained networks; lightness, size and depth stay the photograph's own.

        coloured = Colorizer.load("results/base_lr1e-4")(photograph)

    Attributes:
        network: predicts ab from L and an embedding; see `pipeline.networks.builder.build`.
        embed: computes the embedding network's outputs by name from L (n, H, W) uint8; None if the network takes none.
        run: the run's name.
        digest: identifies the networks.
        size: shorter side, in pixels, of the photograph as the network sees it.
        saturation: factor for a and b, 0..10; 0 gives gray.
        threads: number of strips of a photograph that are coloured at the same time.

    Raises:
        InputError: size or saturation is out of range.
    """

    network: Any
    embed: Callable[[UInt8], dict[str, npt.NDArray[np.float32]]] | None
    _: KW_ONLY
    run: str = ""
    digest: str = ""
    size: int = SIZE
    saturation: float = 1.0
    threads: int = 2

    def __post_init__(self) -> None:
        if not MULTIPLE <= self.size <= 4096:
            raise InputError(f"--size: expected a number of pixels in {MULTIPLE}..4096, received {self.size}")
        if not (math.isfinite(self.saturation) and 0 <= self.saturation <= 10):
            raise InputError(f"--saturation: expected a factor in 0..10, received {self.saturation}")

    @classmethod
    def load(
        cls,
        run: str | Path,
        embedding_weights: Path | None = None,
        *,
        threads: int = 2,
        temperature: float | None = None,
        **options: Any,
    ) -> "Colorizer":
        """Load the run in ``results/<run>/``, and start Keras with `threads` unless it is running.

        Args:
            run: the folder.
            embedding_weights: the embedding network's weights, if they are not where the run's configuration says.
            threads: see the class.
            temperature: at which predicted classes become colours, low for vivid ones; None: as evaluated.
            options: `size` and `saturation`, see the class.

        Raises:
            InputError: the folder is not a run's or is damaged, the embedding network is not the run's own, or the
                network has no temperature.
        """
        plugins.load()
        folder = Path(run)
        record = read_record(folder)
        with complete(folder):
            precision = record["embedding"].get("precision", "float32")
            network, embed = load_networks(folder, record, embedding_weights, threads, precision, temperature)
            digest = files.digest_file(ResultFiles(folder).model)
            digest += "" if temperature is None else f" at temperature {temperature}"
            return cls(network, embed, run=record["run"], digest=digest, threads=threads, **options)

    @property
    def identity(self) -> str:
        """A digest of everything that decides the colours, except the photograph."""
        return files.fingerprint([self.digest, self.size, self.saturation])

    def __call__(self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None) -> Levels:
        """Colour a photograph.

        Args:
            photograph: (H, W) gray or (H, W, 3) sRGB, uint8 (0..255) or uint16 (0..65535); only its lightness is used.
            alpha: (H, W) of the same type; the network sees the photograph over white.
            reduced: the photograph at a reduced size, for the network; see `pipeline.images.originals.Original`.

        Returns:
            SRGB (H, W, 3) of the same type and L*. Colours outside sRGB lose chroma.

        Raises:
            InputError: the array is not a photograph.
        """
        return recolour.recolour(photograph, self._colours(photograph, alpha, reduced).rows, self.threads)

    def ab(self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None) -> UInt8:
        """Return the colours alone, (H, W, 2) uint8 as in `pipeline.images.lab`, without the fit into sRGB."""
        colours = self._colours(photograph, alpha, reduced)
        out = np.empty((*photograph.shape[:2], 2), np.uint8)

        def strip(start: int, stop: int) -> None:
            values = colours.rows(start, light.lightness_of(photograph[start:stop]))
            for number, plane in enumerate(values):
                out[start:stop, :, number] = np.clip(np.rint(plane + NEUTRAL), 0, 255)

        light.in_strips(strip, photograph.shape, self.threads)
        return out

    def _colours(self, photograph: Levels, alpha: Levels | None, reduced: Levels | None) -> Upsampling:
        """Predict a* and b*, upsampled to the photograph's size on demand."""
        _check(photograph)
        height, width = photograph.shape[:2]
        seen = Photograph(photograph, alpha) if reduced is None else Photograph(reduced)
        shown = fixed_size(self.network) or prepare.network_shape(height, width, self.size)
        small = prepare.lightness(seen, shown)
        embedded = {}
        if self.embed is not None:
            # As in training, the embedding network receives a square of 224 pixels.
            square = small if shown == (SIZE, SIZE) else prepare.lightness(seen, (SIZE, SIZE))
            embedded = self.embed(square[None])
        padded = prepare.padded(small)
        network, step = self._smallest
        (ab,) = predict(network, ImageBatch(padded[None], embedded))
        ab = np.clip(np.nan_to_num(ab, nan=NEUTRAL, posinf=NEUTRAL, neginf=NEUTRAL), 0, 255) - np.float32(NEUTRAL)
        guide = padded.astype(np.float32) / np.float32(2.55)
        if step > 1:
            rows, columns = guide.shape
            guide = guide.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
            ab = ab[:: len(ab) // len(guide), :: len(ab) // len(guide)]
        values = ab * np.float32(self.saturation)
        return Upsampling(values, guide, (height, width), extent=(shown[0] / step, shown[1] / step))

    @cached_property
    def _smallest(self) -> tuple[Any, int]:
        """The network, without a bilinear upsampling at its end, and the side in pixels of L of a predicted value."""
        from pipeline.networks.builder import before_upsampling, repeats

        return before_upsampling(self.network) or (self.network, 2 if repeats(self.network) else 1)


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


@contextlib.contextmanager
def complete(run: Path) -> Iterator[None]:
    """Report a key that is missing in a run's record as an InputError."""
    try:
        yield
    except KeyError as error:
        path = ResultFiles(run).record
        raise InputError(f"{path}: expected {error}, which is missing; evaluate the run again") from None


def _check(photograph: Any) -> None:
    if (
        not isinstance(photograph, np.ndarray)
        or photograph.dtype not in (np.uint8, np.uint16)
        or photograph.ndim not in (2, 3)
        or photograph.shape[2:] not in ((), (3,))
        or 0 in photograph.shape
    ):
        received = [getattr(photograph, "shape", ""), getattr(photograph, "dtype", type(photograph).__name__)]
        raise InputError(
            f"photograph: expected (H, W) or (H, W, 3) of uint8 or uint16, received {' '.join(map(str, received))}"
        )
