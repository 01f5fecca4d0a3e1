"""The colour photographs that scikit-image installs, cut into more than a hundred images."""

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
from pipeline.dataset.sources.base import ImageInfo, Remark
from pipeline.images import prepare
from pipeline.images.formats import SIZE, UnreadablePhotograph
from pipeline.images.lab import ENCODING, UInt8
from pipeline.images.photographs import Photograph, decode, read_bytes

NAMES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
SHORTER_SIDES = (SIZE, 288, 370, 512)
# Two views of one scene.
GROUPS = {"motorcycle_left": "motorcycle", "motorcycle_right": "motorcycle"}


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
        """Names of this image."""
        stem, side = self.photograph.stem, min(self.width, self.height)
        return ImageInfo(
            id=f"{stem}-{side}-{self.number}",
            group=GROUPS.get(stem, stem),
            source=f"scikit-image {self.photograph.name}, shorter side {side}, cut at ({self.x}, {self.y})",
        )


def sample_photographs() -> list[Path]:
    """The photographs' files.

    Raises:
        InputError: one is not installed.
    """
    folder = Path(skimage.__file__).parent / "data"
    for name in NAMES:
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name}: expected a photograph that scikit-image installs, received nothing there; "
                "install scikit-image again, or choose another dataset"
            )
    return [folder / name for name in NAMES]


class SamplePhotographs:
    """See `pipeline.dataset.sources.base.Source`."""

    remarks: tuple[Remark, ...] = ()

    def __init__(self, limit: int | None = None) -> None:
        self._cuts = [cut for path in sample_photographs() for cut in _cuts(path)][:limit]

    @property
    def n(self) -> int:
        """How many images there are."""
        return len(self._cuts)

    def describe(self) -> dict[str, Any]:
        """Kind, file names and counts."""
        return {"kind": "sample", "files": sorted({cut.photograph.name for cut in self._cuts}), "images": self.n}

    def info(self, start: int, stop: int) -> list[ImageInfo]:
        """Names of the images start..stop."""
        return [cut.info for cut in self._cuts[start:stop]]

    @cached_property
    def _digests(self) -> dict[Path, str]:
        return {path: digest_file(path) for path in {cut.photograph for cut in self._cuts}}

    def input_digest(self, start: int, stop: int) -> str:
        """SHA-256 of the photographs' bytes and the cuts."""
        cuts = self._cuts[start:stop]
        rows = [[self._digests[cut.photograph], cut.width, cut.height, cut.x, cut.y] for cut in cuts]
        return digest_bytes(fingerprint([ENCODING, SIZE, rows]).encode())

    def read(self, start: int, stop: int) -> tuple[UInt8, UInt8]:
        """Images start..stop: L (k, 224, 224) and ab (k, 224, 224, 2) uint8."""
        cuts = self._cuts[start:stop]
        lightness, ab = np.empty((len(cuts), SIZE, SIZE), np.uint8), np.empty((len(cuts), SIZE, SIZE, 2), np.uint8)
        opened: tuple[Path, Photograph] | None = None
        for row, cut in enumerate(cuts):
            if opened is None or opened[0] != cut.photograph:
                opened = cut.photograph, _open(cut.photograph)
            lightness[row], ab[row] = _encoded(opened[1], cut)
        return lightness, ab

    def close(self) -> None:
        """Nothing to remove."""


def first_cut(photograph: Path) -> UInt8 | None:
    """The first image that would be cut from a photograph, any: Lab (224, 224, 3) uint8; None if it is too small.

    Raises:
        UnreadablePhotograph: says why.
    """
    whole = decode(read_bytes(photograph))
    height, width = whole.levels.shape[:2]
    cut = next(_cuts_of(photograph, width, height), None)
    return np.dstack(_encoded(whole, cut)) if cut else None


def _encoded(photograph: Photograph, cut: Cut) -> tuple[UInt8, UInt8]:
    reduced = prepare.resized(photograph, cut.height, cut.width)
    return prepare.encoded(reduced[cut.y : cut.y + SIZE, cut.x : cut.x + SIZE])


def _open(path: Path) -> Photograph:
    try:
        return decode(read_bytes(path))
    except UnreadablePhotograph as error:
        raise InputError(f"{path}: expected a photograph, received: {error}; install scikit-image again") from None


def _cuts(path: Path) -> Iterator[Cut]:
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path}: expected a photograph, received: {error}; install scikit-image again") from None
    yield from _cuts_of(path, width, height)


def _cuts_of(path: Path, width: int, height: int) -> Iterator[Cut]:
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
    # Along the longer axis: a nearly square photograph has no room for three that differ.
    room = max(right, bottom)
    count = 1 if room == 0 else 2 if room < SIZE // 4 else 3
    steps = [room * step // max(count - 1, 1) for step in range(count)]
    return [(step, 0) if right else (0, step) for step in steps]
