"""Colours of photographs at a reduced size, at once: the network is asked only the first time."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.colouring import Colouring
from pipeline.colorize.hints import Hint, refuse_outside
from pipeline.colorize.reduced import reduced
from pipeline.images import originals
from pipeline.images.lab import UInt8
from pipeline.serve.jobs import STRIP, Place, Preview, Strip

KEPT = 3  # photographs, about 10 MB each
LONGEST = 1024  # pixels of the longer side
THUMBNAIL = 128  # pixels of the longer side
QUALITY = 85  # of the JPEGs


class _Shown(NamedTuple):
    """A reduced photograph (h, w, 3), its colours, and the size of the photograph."""

    levels: UInt8
    colouring: Colouring
    height: int
    width: int

    def thumbnail(self) -> "_Shown":
        """Return the same at the size of a thumbnail."""
        small = reduced(self.levels, longest=THUMBNAIL)
        return self._replace(levels=small, colouring=self.colouring.resized(*small.shape[:2]))

    def reduced(self, hint: Hint) -> Hint:
        """Return a hint of the photograph for the reduced one."""
        height, width, _ = self.levels.shape
        return hint._replace(
            x=int((hint.x + 0.5) * width / self.width),
            y=int((hint.y + 0.5) * height / self.height),
            radius=hint.radius * width / self.width,
        )


class Previews:
    """Keeps what the network predicts for the latest few photographs."""

    def __init__(self, load: Callable[[Path], Colorizer], max_megapixels: float) -> None:
        """Set what loads the networks of a run, and which photographs are refused."""
        self._load, self._max_megapixels = load, max_megapixels
        self._kept: dict[tuple[Path, Path, float], _Shown] = {}

    def __call__(self, request: Preview | Place | Strip) -> bytes | list[str]:
        """Return a JPEG with the colours, or with `STRIP` variants, or the colours likely at a place, "#rrggbb".

        Raises:
            UnreadablePhotograph: the photograph cannot be read.
            InputError: the run cannot be used or takes no hints, or something is not on the photograph.
        """
        preview = request if isinstance(request, Preview) else request.preview
        shown = self._shown(preview.source, preview.run, preview.saturation)
        hints = [Hint(request.x, request.y, "#000000")] if isinstance(request, Place) else preview.hints
        refuse_outside(hints, shown.height, shown.width)
        if isinstance(request, Strip):
            shown = shown.thumbnail()
        hints = [shown.reduced(hint) for hint in hints]
        if isinstance(request, Place):
            return shown.colouring.likely(hints[0].y, hints[0].x)
        put = self._load(preview.run).put
        variants = range(STRIP) if isinstance(request, Strip) else [preview.variant]
        pictures = [put(shown.levels, shown.colouring.colours(hints, variant)) for variant in variants]
        written = io.BytesIO()
        Image.fromarray(np.vstack(pictures)).save(written, "JPEG", quality=QUALITY, subsampling=0)
        return written.getvalue()

    def _shown(self, source: Path, run: Path, saturation: float) -> _Shown:
        for key in [key for key in self._kept if not key[0].exists()]:  # deleted by their pages
            del self._kept[key]
        key = source, run, saturation
        self._kept[key] = shown = self._kept.pop(key, None) or self._made(*key)
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return shown

    def _made(self, source: Path, run: Path, saturation: float) -> _Shown:
        colorizer = replace(self._load(run), saturation=saturation)
        original = originals.read(source, self._max_megapixels)
        small = reduced(original.levels, original.alpha, LONGEST)
        return _Shown(small, colorizer.see(small), *original.levels.shape[:2])
