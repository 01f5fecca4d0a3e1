"""Colours for a photograph of any size from a trained run."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.colorize import predictors, recolour
from pipeline.colorize.colouring import Colouring, Colours
from pipeline.colorize.hints import Hint
from pipeline.colorize.predictors import Predictor
from pipeline.config.paths import SHIPPED, ResultFiles
from pipeline.core import files, plugins
from pipeline.core.errors import InputError
from pipeline.images import light
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE, NEUTRAL, UInt8
from pipeline.images.light import Levels
from pipeline.images.photographs import Photograph
from pipeline.results.record import read_network_record


@dataclass(frozen=True)
class Colorizer:
    """Colours photographs with trained networks; lightness, size and depth stay the photograph's own.

        coloured = Colorizer.load()(photograph)

    Attributes:
        predictor: predicts the colours at a small size.
        run: the run's name.
        size: shorter side, in pixels, of the photograph as the network sees it; None for 224.
        saturation: factor for a and b, 0..10; 0 gives gray.
        threads: number of strips of a photograph that are coloured at the same time.

    Raises:
        InputError: size or saturation is out of range, or the network takes one size only.
    """

    predictor: Predictor
    _: KW_ONLY
    run: str = ""
    size: int | None = None
    saturation: float = 1.0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.size is not None and self.predictor.size:
            shape = "x".join(map(str, self.predictor.size))
            raise InputError(f"--size: expected none, because this network takes only {shape}, received {self.size}")
        _check_options(self.size, self.saturation)

    @classmethod
    def load(
        cls,
        run: str | Path = SHIPPED,
        embedding_weights: Path | None = None,
        *,
        threads: int = 2,
        temperature: float | None = None,
        **options: Any,
    ) -> "Colorizer":
        """Load a published network, or the run in ``results/<run>/``, which starts Keras unless it is running.

        Args:
            run: the folder; by default, that of the network that comes with DeepColor.
            embedding_weights: the embedding network's weights, if they are not where the run's configuration says.
            threads: see the class.
            temperature: at which predicted classes become colours, low for vivid ones; None: as evaluated.
            options: `size` and `saturation`, see the class.

        Raises:
            InputError: the folder is not a run's or is damaged, the embedding network is not the run's own, or the
                network has no temperature.
        """
        folder = Path(run)
        record = read_network_record(folder)
        _check_options(options.get("size"), options.get("saturation", 1.0))
        published = "published" in record
        if published and options.get("size") is not None:
            raise InputError(f"--size: expected none, because {folder} takes only one, received {options['size']}")
        with complete(folder):
            if published:
                predictor: Predictor = predictors.open_published(folder, record, threads, temperature)
            else:
                plugins.load()
                predictor = predictors.load(folder, record, embedding_weights, threads, temperature)
            return cls(predictor, run=record["run"], threads=threads, **options)

    @property
    def shorter_side(self) -> int:
        """The shorter side, in pixels, of the photograph as the network sees it."""
        return SIZE if self.size is None else self.size

    @property
    def identity(self) -> str:
        """A digest of everything that decides the colours, except the photograph."""
        return files.fingerprint([self.predictor.digest, self.shorter_side, self.saturation])

    def __call__(
        self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None, hints: Sequence[Hint] = ()
    ) -> Levels:
        """Colour a photograph.

        Args:
            photograph: (H, W) gray or (H, W, 3) sRGB, uint8 (0..255) or uint16 (0..65535); only its lightness is used.
            alpha: (H, W) of the same type; the network sees the photograph over white.
            reduced: the photograph at a reduced size, for the network; see `pipeline.images.originals.Original`.
            hints: colours that are wanted at places of the photograph.

        Returns:
            SRGB (H, W, 3) of the same type and L*. Colours outside sRGB lose chroma.

        Raises:
            InputError: the array is not a photograph, a hint is not on it, or the network takes no hints.
        """
        return self.put(photograph, self.see(photograph, alpha, reduced).colours(hints))

    def put(self, photograph: Levels, colours: Colours) -> Levels:
        """Put colours of `see` on the photograph; see `__call__`."""
        return recolour.recolour(photograph, colours.rows, self.threads)

    def ab(
        self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None, hints: Sequence[Hint] = ()
    ) -> UInt8:
        """Return the colours alone, (H, W, 2) uint8 as in `pipeline.images.lab`, without the fit into sRGB."""
        return self.put_ab(photograph, self.see(photograph, alpha, reduced).colours(hints))

    def put_ab(self, photograph: Levels, colours: Colours) -> UInt8:
        """Return colours of `see` on the photograph, alone; see `ab`."""
        out = np.empty((*photograph.shape[:2], 2), np.uint8)

        def strip(start: int, stop: int) -> None:
            values = colours.rows(start, light.lightness_of(photograph[start:stop]))
            for number, plane in enumerate(values):
                out[start:stop, :, number] = np.clip(np.rint(plane + NEUTRAL), 0, 255)

        light.in_strips(strip, photograph.shape, self.threads)
        return out

    def see(self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None) -> Colouring:
        """Predict a photograph's colours, to be had with hints or varied; for the arguments see `__call__`."""
        _check(photograph)
        seen = Photograph(photograph, alpha) if reduced is None else Photograph(reduced)
        return Colouring(self.predictor, photograph, seen, self.shorter_side, self.saturation)


@contextlib.contextmanager
def complete(run: Path) -> Iterator[None]:
    """Report a key that is missing in a run's record as an InputError."""
    try:
        yield
    except KeyError as error:
        path = ResultFiles(run).record
        raise InputError(f"{path}: expected {error}, which is missing; evaluate the run again") from None


def _check_options(size: int | None, saturation: float) -> None:
    if size is not None and not MULTIPLE <= size <= 4096:
        raise InputError(f"--size: expected a number of pixels in {MULTIPLE}..4096, received {size}")
    if not (math.isfinite(saturation) and 0 <= saturation <= 10):
        raise InputError(f"--saturation: expected a factor in 0..10, received {saturation}")


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
