"""Colours in the spirit of a colour photograph: what looks alike in it, to the network, lends its colour.

The photograph to colour is divided into regions. Each place of a region takes the mean colour of the example's places,
weighted by how alike they are; the region takes the mean of these, the more so the more alike they are, and it spreads
like a hint.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.colorize import tones
from pipeline.colorize.spreading import Floats, Spreading, product, similarity
from pipeline.colorize.variants import middle_of, regions
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import files_below
from pipeline.images import originals, prepare
from pipeline.images.formats import MAX_MEGAPIXELS, SIZE, UnreadablePhotograph, is_photograph
from pipeline.images.lab import NEUTRAL, UInt8
from pipeline.images.photographs import Photograph

MOST = 1000  # photographs in a folder of examples
SHARP = 4  # exponent of the similarity in the mean of colours
EVERY = 4  # rows and columns between the places by which the nearest of several examples is found

Describe = Callable[[UInt8], npt.NDArray[np.float32]]  # from L (224, 224) to what `spreading.describe` returns


class Example(NamedTuple):
    """A colour photograph as the network sees it: `spreading.describe` of it, and its a* and b* (h, w, 2)."""

    described: npt.NDArray[np.float32]
    ab: npt.NDArray[np.float32]


class Examples(Protocol):
    """Colour photographs, of which each photograph takes the one that is most like it."""

    @property
    def identity(self) -> str:
        """A digest of the photographs."""

    def check(self) -> None:
        """Raise an InputError if they cannot be used."""

    def nearest(self, spreading: Spreading, described: Floats, describe: Describe, lightness: UInt8) -> Example:
        """Return the most similar one to a photograph.

        Args:
            spreading: of the network.
            described: `spreading.describe` of the photograph.
            describe: describes others.
            lightness: L (224, 224) of the photograph.
        """


@dataclass(frozen=True)
class ExampleFiles:
    """A colour photograph, or a folder of them, alike by what the network describes.

    Raises:
        InputError: there is no photograph in colour, or there are too many.
    """

    path: Path
    _known: list[Example] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def files(self) -> list[Path]:
        """The photographs."""
        if not self.path.is_dir():
            if not self.path.exists():
                raise InputError(f"--like: expected a colour photograph or a folder, but {self.path} does not exist")
            return [self.path]
        names, _ = files_below(self.path)
        found = [self.path / name for name in names if is_photograph(name)]
        if not 0 < len(found) <= MOST:
            raise InputError(f"--like {self.path}: expected 1 to {MOST} photographs, received {len(found)}")
        return found

    @cached_property
    def identity(self) -> str:
        """A digest of the photographs."""
        return files.fingerprint([files.digest_file(path) for path in self.files])

    def check(self) -> None:
        """See `Examples`."""
        _ = self.pictures

    def nearest(self, spreading: Spreading, described: Floats, describe: Describe, lightness: UInt8) -> Example:
        """See `Examples`."""
        found = self._described(describe)
        if len(found) == 1:
            return found[0]
        there = _descriptors(spreading, described[::EVERY, ::EVERY])
        alike = [
            similarity(there, _descriptors(spreading, each.described[::EVERY, ::EVERY])).max(axis=1).mean()
            for each in found
        ]
        return found[int(np.argmax(alike))]

    @cached_property
    def pictures(self) -> list[tuple[UInt8, UInt8]]:
        """L (224, 224) and ab (224, 224, 2) of those in colour."""
        found = [picture for path in self.files if (picture := self._read(path))]
        if not found:
            raise InputError(f"--like {escaped(str(self.path))}: expected a photograph in colour, received none")
        return found

    def _described(self, describe: Describe) -> list[Example]:
        if not self._known:
            self._known.extend(example_of(describe, *picture) for picture in self.pictures)
        return self._known

    def _read(self, path: Path) -> tuple[UInt8, UInt8] | None:
        """Read a photograph; None if it is not in colour, or cannot be read and is one of a folder."""
        try:
            original = originals.read(path, MAX_MEGAPIXELS, SIZE)
        except UnreadablePhotograph as error:
            if self.path.is_dir():
                return None
            raise InputError(f"--like {escaped(str(path))}: expected a colour photograph, received: {error}") from None
        if original.ours and self.path.is_dir():
            return None
        if tones.kind_of(original.levels, original.alpha) != tones.COLOUR:
            return None
        whole = original.reduced if original.reduced is not None else original.levels
        return prepare.squashed(Photograph(whole))


def example_of(describe: Describe, lightness: UInt8, ab: UInt8) -> Example:
    """Describe a colour photograph, L (224, 224) and ab (224, 224, 2)."""
    described = describe(lightness)
    rows, columns = described.shape[:2]
    blocks = ab.reshape(rows, SIZE // rows, columns, SIZE // columns, 2)
    return Example(described, blocks.mean(axis=(1, 3), dtype=np.float32) - np.float32(NEUTRAL))


def coloured_like(spreading: Spreading, described: Floats, ab: Floats, example: Example) -> npt.NDArray[np.float32]:
    """Return a* and b* (h, w, 2) in the spirit of an example.

    Args:
        spreading: of the network.
        described: see `spreading.describe`.
        ab: predicted a* and b* (h, w, 2).
        example: the colour photograph.
    """
    region = regions(np.asarray(product(described, spreading.projection), np.float32))
    here, there = _descriptors(spreading, described), _descriptors(spreading, example.described)
    own, colours = ab.reshape(-1, 2), example.ab.reshape(-1, 2)
    places, wanted = [], []
    for each in np.unique(region):
        inside = np.flatnonzero(region.ravel() == each)
        alike = similarity(here[inside], there)
        weights = alike**SHARP
        trust = alike.max(axis=1)
        lent = product(weights, colours) / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        colour = (lent * trust[:, None]).sum(axis=0) / max(float(trust.sum()), 1e-12)
        middle = inside[middle_of(here[inside])]
        places.append(np.unravel_index(middle, region.shape))
        wanted.append(own[middle] + trust.mean() * (colour - own[inside].mean(axis=0)))
    return np.asarray(spreading(described, ab, np.array(places, np.intp), np.array(wanted)), np.float32)


def _descriptors(spreading: Spreading, described: Floats) -> Floats:
    """Return descriptors (n, d) without the place, and with half of the predicted colour's part."""
    counts = np.ones(len(spreading.projection))
    counts[-4:-2], counts[-2:] = 0.5, 0
    flat = described.reshape(-1, described.shape[-1])
    return np.asarray(product(flat, spreading.projection * counts[:, None]), np.float64)
