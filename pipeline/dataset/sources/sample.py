"""The colour photographs installed with scikit-image, cut into more than a hundred images."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.core.files import digest_bytes, digest_file, fingerprint
from pipeline.dataset.sources.base import ImageInfo, Source
from pipeline.images import prepare
from pipeline.images.formats import SIZE, UnreadablePhotograph
from pipeline.images.lab import ENCODING, UInt8, from_rgb
from pipeline.images.photographs import Photograph, decode, read_bytes

NAMES = (
    "astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png",
    "motorcycle_right.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
SHORTER_SIDES = (SIZE, 288, 370, 512)
GROUPS = {"motorcycle_left": "motorcycle", "motorcycle_right": "motorcycle"}  # two views of one scene


@dataclass(frozen=True)
class Cut:
    """A square of `SIZE` pixels at (x, y) of a photograph reduced to `width` x `height`."""

    photograph: Path
    number: int
    width: int
    height: int
    x: int
    y: int

    @property
    def info(self) -> ImageInfo:
        """The name of this image."""
        stem, side = self.photograph.stem, min(self.width, self.height)
        return ImageInfo(
            id=f"{stem}-{side}-{self.number}",
            group=GROUPS.get(stem, stem),
            source=f"scikit-image {self.photograph.name}, shorter side {side}, cut at ({self.x}, {self.y})",
        )

    def encoded(self, photograph: Photograph) -> tuple[UInt8, UInt8]:
        """Return L (224, 224) and ab (224, 224, 2) uint8 of this cut."""
        reduced = prepare.resized(photograph, self.height, self.width)
        return from_rgb(reduced[self.y : self.y + SIZE, self.x : self.x + SIZE])


def sample_photographs() -> list[Path]:
    """Return the photographs' files, or raise an InputError if one is not installed."""
    folder = Path(skimage.__file__).parent / "data"
    for name in NAMES:
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name}: expected a photograph that scikit-image installs, received no file; "
                "install scikit-image again, or use another dataset"
            )
    return [folder / name for name in NAMES]


class SamplePhotographs(Source):
    """See `Source`."""

    def __init__(self, limit: int | None = None) -> None:
        self._cuts = [cut for path in sample_photographs() for cut in _cuts(path, *_size(path))][:limit]
        self.n = len(self._cuts)

    def describe(self) -> dict[str, Any]:
        """Return kind, file names and counts."""
        return {"kind": "sample", "files": sorted({cut.photograph.name for cut in self._cuts}), "images": self.n}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Return the names of the images start..stop."""
        return [cut.info for cut in self._cuts[start:stop]]

    @cached_property
    def _digests(self) -> dict[Path, str]:
        return {path: digest_file(path) for path in {cut.photograph for cut in self._cuts}}

    def input_digest(self, start: int, stop: int) -> str:
        """Return the SHA-256 of the photographs' bytes and the cuts."""
        cuts = self._cuts[start:stop]
        rows = [[self._digests[cut.photograph], cut.width, cut.height, cut.x, cut.y] for cut in cuts]
        return digest_bytes(fingerprint([ENCODING, SIZE, rows]).encode())

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """See `Source.read`."""
        cuts = self._cuts[start:stop]
        lightness, ab = np.empty((len(cuts), SIZE, SIZE), np.uint8), np.empty((len(cuts), SIZE, SIZE, 2), np.uint8)
        path = None
        for row, cut in enumerate(cuts):
            if cut.photograph != path:
                path = cut.photograph
                with _readable(path):
                    photograph = decode(read_bytes(path))
            lightness[row], ab[row] = cut.encoded(photograph)
        return lightness, ab


def first_cut(path: Path) -> UInt8 | None:
    """Return the first image cut from any photograph: Lab (224, 224, 3) uint8, or None if it is too small.

    Raises:
        UnreadablePhotograph: the photograph cannot be decoded.
    """
    photograph = decode(read_bytes(path))
    height, width = photograph.levels.shape[:2]
    cut = next(_cuts(path, width, height), None)
    return np.dstack(cut.encoded(photograph)) if cut else None


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnreadablePhotograph, OSError, SyntaxError) as error:
        raise InputError(f"{path}: expected a photograph, received: {error}; install scikit-image again") from None


def _size(path: Path) -> tuple[int, int]:
    with _readable(path), Image.open(path) as image:
        return image.size


def _cuts(path: Path, width: int, height: int) -> Iterator[Cut]:
    shorter = min(width, height)
    for side in SHORTER_SIDES:
        if side <= shorter:
            size = round(width * side / shorter), round(height * side / shorter)
            for number, (x, y) in enumerate(_places(*size)):
                yield Cut(path, number, *size, x, y)


def _places(width: int, height: int) -> list[tuple[int, int]]:
    right, bottom = width - SIZE, height - SIZE
    if min(right, bottom) > 0:
        return [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]
    # Along the longer axis; a nearly square photograph has no room for three different cuts.
    room = max(right, bottom)
    count = 1 if room == 0 else 2 if room < SIZE // 4 else 3
    steps = [room * step // max(count - 1, 1) for step in range(count)]
    return [(step, 0) if right else (0, step) for step in steps]
