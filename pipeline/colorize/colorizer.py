"""Colours for a photograph of any size, by a trained run."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.colorize import recolour
from pipeline.colorize.upsampling import Upsampling
from pipeline.config.paths import ResultFiles
from pipeline.core import files, plugins
from pipeline.core.errors import InputError
from pipeline.images import light, prepare
from pipeline.images.formats import SIZE
from pipeline.images.lab import MULTIPLE, NEUTRAL, UInt8
from pipeline.images.light import Levels
from pipeline.images.photographs import Photograph
from pipeline.networks.inputs import ImageBatch, names_of, predict, stored
from pipeline.results.record import read_record


class Colorizer:
    """Puts a trained network's colours on photographs; lightness, size and depth stay the photograph's own.

        coloured = Colorizer.load("results/base_lr1e-4")(photograph)

    Attributes:
        run: the run's name.
        size: the photograph's shorter side, in pixels, as the network sees it.
        identity: of what decides the colours besides the photograph and the number of threads.
    """

    def __init__(
        self,
        network: Any,
        embed: Callable[[UInt8], dict[str, npt.NDArray[np.float32]]] | None,
        *,
        run: str = "",
        identity: str = "",
        size: int = SIZE,
        saturation: float = 1.0,
        threads: int = 2,
    ) -> None:
        """Of networks that are there.

        Args:
            network: from L and an embedding to ab; see `pipeline.networks.builder.build`.
            embed: the embedding network's outputs by name, of L (n, H, W) uint8; None where the network takes none.
            run: the run's name.
            identity: of the networks.
            size: the photograph's shorter side, in pixels, as the network sees it; trained at 224.
            saturation: what a and b are multiplied by; 0 is gray.
            threads: strips of a photograph that are coloured side by side.

        Raises:
            InputError: size or saturation is out of range.
        """
        if not MULTIPLE <= size <= 4096:
            raise InputError(f"--size: expected a number of pixels in {MULTIPLE}..4096, received {size}")
        if not (math.isfinite(saturation) and 0 <= saturation <= 10):
            raise InputError(f"--saturation: expected a factor in 0..10, received {saturation}")
        from pipeline.networks.builder import repeats

        self.run = run
        self.identity = files.fingerprint([identity, size, saturation])
        self._networks = identity
        self._network = network
        self._embed = embed
        self.size = size
        self._saturation = saturation
        self._threads = threads
        # Every value then stands for two by two equal ones.
        self._doubled = repeats(network)

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        embedding_weights: Path | None = None,
        size: int = SIZE,
        saturation: float = 1.0,
        threads: int = 2,
    ) -> "Colorizer":
        """Load a run; starts Keras unless that was done.

        Args:
            run: ``results/<run>/``.
            embedding_weights: the file of the embedding network's weights, if it is not where the run says.
            size: see the constructor, as of the others.
            saturation: see the constructor.
            threads: also those that Keras is started with.

        Raises:
            InputError: it is no run's folder, is damaged, or was trained with another embedding network.
        """
        from pipeline.networks import backend

        plugins.load()
        folder = Path(run)
        where = ResultFiles(folder)
        record = read_record(folder)
        files.refuse_changed(where.model)
        precision = record["embedding"].get("precision", "float32")
        if "keras" not in sys.modules:
            backend.start(threads, precision)
        from pipeline.embedding import of_run
        from pipeline.networks import saving

        try:
            with backend.policy(precision):
                network = saving.load(where.model)
                embed = of_run.load(folder, record, embedding_weights, stored(names_of(network)))
        except KeyError as error:
            raise InputError(f"{where.record}: expected {error}, which is missing; evaluate the run again") from None
        identity = files.digest_file(where.model)
        return cls(
            network, embed, run=record["run"], identity=identity, size=size, saturation=saturation, threads=threads
        )

    def with_saturation(self, saturation: float) -> "Colorizer":
        """The same networks, their a and b multiplied by another factor; raises as the constructor."""
        return Colorizer(
            self._network,
            self._embed,
            run=self.run,
            identity=self._networks,
            size=self.size,
            saturation=saturation,
            threads=self._threads,
        )

    def __call__(self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None) -> Levels:
        """Colour a photograph.

        Args:
            photograph: (H, W) gray or (H, W, 3) sRGB, uint8 (0..255) or uint16 (0..65535); of colours, the lightness
                counts.
            alpha: (H, W) of the same type: where it is low, the network sees white.
            reduced: the same photograph as its file is decoded for a network, where that is not at full size; see
                `pipeline.images.originals.Original`.

        Returns:
            SRGB (H, W, 3) of the same type. Its L* is the photograph's; what would lie outside sRGB has less chroma.

        Raises:
            InputError: the array is no photograph.
        """
        _check(photograph)
        return recolour.recolour(photograph, self._colours(photograph, alpha, reduced).rows, self._threads)

    def ab(self, photograph: Levels, alpha: Levels | None = None, reduced: Levels | None = None) -> UInt8:
        """The colours alone, (H, W, 2) uint8 as in `pipeline.images.lab`, before any goes to fit into sRGB."""
        _check(photograph)
        colours = self._colours(photograph, alpha, reduced)
        out = np.empty((*photograph.shape[:2], 2), np.uint8)

        def strip(start: int, stop: int) -> None:
            values = colours.rows(start, light.lightness_of(photograph[start:stop]))
            for number, plane in enumerate(values):
                out[start:stop, :, number] = np.clip(np.rint(plane + NEUTRAL), 0, 255)

        light.in_strips(strip, photograph.shape, self._threads)
        return out

    def _colours(self, photograph: Levels, alpha: Levels | None, reduced: Levels | None) -> Upsampling:
        """The network's a* and b*, to be had at the photograph's size."""
        height, width = photograph.shape[:2]
        seen = Photograph(photograph, alpha) if reduced is None else Photograph(reduced)
        shown = prepare.network_shape(height, width, self.size)
        small = prepare.lightness(seen, shown)
        embedded = {}
        if self._embed is not None:
            # As in training, where the embedding network is given a square of 224 pixels.
            square = small if shown == (SIZE, SIZE) else prepare.lightness(seen, (SIZE, SIZE))
            embedded = self._embed(square[None])
        padded = prepare.padded(small)
        (ab,) = predict(self._network, ImageBatch(padded[None], embedded))
        ab = np.clip(np.nan_to_num(ab, nan=NEUTRAL, posinf=NEUTRAL, neginf=NEUTRAL), 0, 255) - np.float32(NEUTRAL)
        guide = padded.astype(np.float32) / np.float32(2.55)
        step = 2 if self._doubled else 1
        if self._doubled:
            rows, columns = guide.shape
            guide = guide.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
        values = ab[::step, ::step] * np.float32(self._saturation)
        return Upsampling(values, guide, (height, width), extent=(shown[0] / step, shown[1] / step))


def _check(photograph: Any) -> None:
    received = f"{getattr(photograph, 'shape', '')} {getattr(photograph, 'dtype', type(photograph).__name__)}".strip()
    if (
        not isinstance(photograph, np.ndarray)
        or photograph.dtype not in (np.uint8, np.uint16)
        or photograph.ndim not in (2, 3)
        or photograph.shape[2:] not in ((), (3,))
        or 0 in photograph.shape
    ):
        raise InputError(f"photograph: expected (H, W) or (H, W, 3) of uint8 or uint16, received {received}")
