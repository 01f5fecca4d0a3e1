"""What a network predicts for one photograph. Hints change its colours without asking the network again."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.colorize.borders import Box, Framed, inside_of, within
from pipeline.colorize.examples import Examples, coloured_like
from pipeline.colorize.hints import Hint, cell_of, cells, refuse_outside
from pipeline.colorize.predictors import Prediction, Predictor
from pipeline.colorize.spreading import describe
from pipeline.colorize.upsampling import Float, Upsampling
from pipeline.colorize.variants import varied
from pipeline.core.errors import InputError
from pipeline.images import ab_bins, lab, prepare
from pipeline.images.formats import SIZE
from pipeline.images.lab import NEUTRAL, UInt8
from pipeline.images.light import Levels
from pipeline.images.photographs import Photograph

Colours = Upsampling | Framed

APART = 15.0  # of colours that are offered, in a* and b*


@dataclass(frozen=True)
class Seen:
    """A part of a photograph, or all of it, and what a network predicts for it.

    Attributes:
        shape: its height and width in pixels of the photograph.
        guide: L* (h, w) at the size of the prediction.
        prediction: of the network.
        extent: rows and columns of the prediction that the part covers; the others are padding.
    """

    shape: tuple[int, int]
    guide: Float
    prediction: Prediction
    extent: tuple[float, float]

    @property
    def small(self) -> tuple[int, int]:
        """Height and width of the prediction."""
        return self.guide.shape[0], self.guide.shape[1]

    @cached_property
    def ab(self) -> Float:
        """The predicted a* and b*, (h, w, 2)."""
        ab = np.nan_to_num(self.prediction.ab, nan=NEUTRAL, posinf=NEUTRAL, neginf=NEUTRAL)
        return np.asarray(np.clip(ab, 0, 255) - np.float32(NEUTRAL))


class Colouring:
    """The colours of one photograph, as often as wanted with other hints.

    Args:
        predictor: predicts the colours at a small size.
        levels: the photograph, (H, W) or (H, W, 3).
        photograph: the same at any size, at least as large as the network sees it.
        shorter_side: of the picture that the network sees, if it takes any size.
        saturation: factor for a and b, except at hints.
    """

    def __init__(
        self,
        predictor: Predictor,
        levels: Levels,
        photograph: Photograph,
        shorter_side: int,
        saturation: float,
    ) -> None:
        self._predictor, self._photograph = predictor, photograph
        self._shorter_side, self._saturation = shorter_side, saturation
        self._shape = levels.shape[0], levels.shape[1]
        # As in training, the embedding network receives a square of 224 pixels.
        self._square = prepare.lightness(photograph, (SIZE, SIZE))
        self._box = inside_of(levels, self._square)

    def colours(
        self, hints: Sequence[Hint] = (), variant: int = 0, seed: int = 0, examples: Examples | None = None
    ) -> Colours:
        """Return a* and b*, upsampled to the photograph's size on demand; a border gets none, unless a hint is on it.

        Args:
            hints: wanted colours.
            variant: 0 for the predicted colours, otherwise the number of other ones, see `variants`.
            seed: of the variants.
            examples: colour photographs, of which the most similar one lends its colours.

        Raises:
            InputError: the network takes no hints, one is not on the photograph, or no example is in colour.
        """
        if (hints or variant or examples) and not self._predictor.spreading:
            option = "--hint" if hints else "--variants" if variant else "--like"
            raise InputError(
                f"{option}: expected a published network, such as the one that comes with DeepColor, received another; "
                "leave out --run, or publish the run"
            )
        refuse_outside(hints, *self._shape)
        box = self._box
        if box is None or any(not box.contains(hint.y, hint.x) for hint in hints):
            return self._upsampled(self.whole, hints, variant, seed, examples)
        moved = [hint._replace(x=hint.x - box.left, y=hint.y - box.top) for hint in hints]
        return Framed(self._upsampled(self.inside, moved, variant, seed, examples), box)

    def likely(self, row: int, column: int, count: int = 8) -> list[str]:
        """Return colours that the network finds likely at a pixel, as "#rrggbb" of its lightness, likeliest first.

        Args:
            row: of the pixel, in the photograph.
            column: likewise.
            count: at most this many, which differ by `APART`.
        """
        box = self._box
        seen = self.inside if box and box.contains(row, column) else self.whole
        if box and box.contains(row, column):
            row, column = row - box.top, column - box.left
        down, across = cell_of(row, column, seen.shape, seen.small, seen.extent)
        logits = seen.prediction.logits
        if logits is None:
            return []
        shares = np.exp(logits[down, across] - logits[down, across].max())
        chosen: list[Float] = []
        for number in np.argsort(-shares, kind="stable"):
            ab = ab_bins.centres()[number]
            if all(np.linalg.norm(ab - other) >= APART for other in chosen):
                chosen.append(ab)
            if len(chosen) == count:
                break
        lightness = np.full(len(chosen), seen.guide[down, across] * 2.55)
        rgb = lab.to_rgb(lightness, np.array(chosen) + NEUTRAL)
        return [f"#{bytes(each).hex()}" for each in rgb]

    def resized(self, height: int, width: int) -> "Colouring":
        """Return the colours of the photograph at another size, for which the network is not asked again."""
        other, box = copy(self), self._box
        other._shape = height, width
        if box:
            down, across = height / self._shape[0], width / self._shape[1]
            # A border takes less than half of each side, so something is always left inside.
            top, bottom, left, right = box
            box = other._box = Box(round(top * down), round(bottom * down), round(left * across), round(right * across))
            other.inside = replace(self.inside, shape=(box.bottom - box.top, box.right - box.left))
        other.whole = replace(self.whole, shape=(height, width))
        return other

    @cached_property
    def whole(self) -> Seen:
        """The whole photograph."""
        return self._see(self._shape, self._photograph, self._square)

    @cached_property
    def inside(self) -> Seen:
        """What is inside the border, or all without one."""
        if (box := self._box) is None:
            return self.whole
        inner = within(self._photograph, box, self._shape)
        shape = box.bottom - box.top, box.right - box.left
        return self._see(shape, inner, prepare.lightness(inner, (SIZE, SIZE)))

    def _upsampled(
        self, seen: Seen, hints: Sequence[Hint], variant: int, seed: int, examples: Examples | None
    ) -> Upsampling:
        values, spreading = seen.ab, self._predictor.spreading
        _, logits, features = seen.prediction
        if (hints or variant or examples) and spreading and features is not None:
            described = describe(features, seen.guide, seen.ab)
            if variant and logits is not None:
                values = varied(spreading, described, values, logits, variant, seed)
            if examples:
                example = examples.nearest(spreading, described, self._describe, self._square)
                values = coloured_like(spreading, described, values, example)
            values = values * np.float32(self._saturation)
            if hints:
                at, wanted = cells(hints, seen.shape, seen.small, seen.extent)
                values = spreading.hinted(described, values, at, wanted)
        else:
            values = values * np.float32(self._saturation)
        return Upsampling(values, seen.guide, seen.shape, extent=seen.extent)

    def _describe(self, lightness: UInt8) -> Float:
        """Describe L (224, 224) of another photograph."""
        seen = self._see(lightness.shape, Photograph(lightness), lightness)
        return describe(np.asarray(seen.prediction.features), seen.guide, seen.ab)

    def _see(self, shape: tuple[int, int], photograph: Photograph, square: UInt8) -> Seen:
        shown = self._predictor.size or prepare.network_shape(*shape, self._shorter_side)
        small = square if shown == (SIZE, SIZE) else prepare.lightness(photograph, shown)
        padded = prepare.padded(small)
        prediction = self._predictor(padded, square)
        rows, columns = prediction.ab.shape[:2]
        step = len(padded) // rows
        guide = padded.astype(np.float32) / np.float32(2.55)
        if step > 1:
            guide = guide.reshape(rows, step, columns, step).mean(axis=(1, 3))
        return Seen(shape, guide, prediction, (shown[0] / step, shown[1] / step))
