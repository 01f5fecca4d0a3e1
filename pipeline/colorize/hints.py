"""Hints: colours that a person wants at places of a photograph."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError
from pipeline.core.text import escaped
from pipeline.images import lab

MOST = 200  # hints for one photograph
SHAPE = "X,Y,#RRGGBB or X,Y,#RRGGBB,RADIUS"
COVERED = 9  # cells of the network's picture that stand for one hint
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
_HINT = re.compile(
    rf"(?P<x>\d{{1,6}}),(?P<y>\d{{1,6}}),(?P<color>{_COLOUR.pattern})(?:,(?P<radius>\d{{1,6}}(?:\.\d{{1,6}})?))?",
    re.ASCII,
)
_KEYS = {"x", "y", "color", "radius"}


class Hint(NamedTuple):
    """A colour at a place.

    Attributes:
        x: column, in pixels of the upright photograph.
        y: row.
        color: "#rrggbb" in sRGB; the photograph keeps its lightness, so only the hue and chroma count.
        radius: of the spot that has this colour, in pixels.
    """

    x: int
    y: int
    color: str
    radius: float = 0.0

    @property
    def ab(self) -> npt.NDArray[np.float32]:
        """A* and b*, (2,)."""
        rgb = np.frombuffer(bytes.fromhex(self.color[1:]), np.uint8)
        return np.asarray(lab.from_rgb(rgb[None])[1][0], np.float32) - np.float32(lab.NEUTRAL)

    def as_json(self) -> dict[str, Any]:
        """Return what `read` reads."""
        return {"x": self.x, "y": self.y, "color": self.color} | ({"radius": self.radius} if self.radius else {})


def parse(text: str) -> Hint:
    """Read a hint of the command line, see `SHAPE`."""
    if not (match := _HINT.fullmatch(text)):
        raise InputError(f"--hint: expected {SHAPE}, such as 120,80,#2e7d32, received {text!r}")
    return Hint(int(match["x"]), int(match["y"]), match["color"].lower(), float(match["radius"] or 0))


@dataclass(frozen=True)
class Hints:
    """The hints of a call.

    Attributes:
        only: for the only photograph of the call.
        by_name: for photographs by their name, or by their path below the folder that was given.
        origin: where `by_name` comes from, for messages.
    """

    only: tuple[Hint, ...] = ()
    by_name: Mapping[str, tuple[Hint, ...]] = field(default_factory=dict)
    origin: str = "--hints"

    @classmethod
    def of(cls, given: Sequence[str], path: Path | None) -> "Hints":
        """Return the hints of the command line and of a file; see `loaded`.

        Raises:
            InputError: something is no hint, or the file cannot be read.
        """
        only = tuple(parse(text) for text in given)
        return cls(only) if path is None else cls.loaded(_read(path), str(path), only)

    @classmethod
    def loaded(cls, content: bytes, origin: str, only: Sequence[Hint] = ()) -> "Hints":
        """Return the hints of a file, and others for the only photograph of the call.

        The file is JSON: a list of hints, ``{"x": 120, "y": 80, "color": "#2e7d32", "radius": 5}`` with an optional
        radius, for a single photograph; or an object of such lists by photograph.

        Args:
            content: of the file.
            origin: the file, in messages.
            only: more hints.

        Raises:
            InputError: something is no hint.
        """
        values = _decoded(content, origin)
        if isinstance(values, list):
            return cls((*_listed(values, origin), *only))
        by_name = {name: _listed(hints, f"{origin}: {escaped(name)}") for name, hints in values.items()}
        return cls(tuple(only), by_name, origin)

    def refuse_unused(self, names: Sequence[str]) -> None:
        """Refuse hints if it is not clear which of the photographs `names` they are for."""
        if self.only and len(names) != 1:
            raise InputError(
                f"--hint: expected a single photograph, received {len(names)}; give hints by photograph with --hints"
            )
        called = Counter(Path(name).name for name in names)
        for name in self.by_name:
            if name not in names and not called[name]:
                raise InputError(
                    f"{self.origin}: expected the names of photographs of this call, or their paths below the folder, "
                    f"received {escaped(name)}"
                )
            if name not in names and called[name] > 1:
                raise InputError(
                    f"{self.origin}: expected the path of one photograph, but {called[name]} are called "
                    f"{escaped(name)}; write their paths below the folder"
                )

    def for_photograph(self, name: str) -> tuple[Hint, ...]:
        """Return the hints for the photograph with a name, as a path below the given folder."""
        named = self.by_name.get(name, self.by_name.get(Path(name).name, ()))
        return (*named, *self.only)


def refuse_outside(hints: Sequence[Hint], height: int, width: int) -> None:
    """Refuse hints that are not on a photograph of this size, or too many of them."""
    if len(hints) > MOST:
        raise InputError(f"--hint: expected at most {MOST} hints for a photograph, received {len(hints)}")
    for hint in hints:
        if not (hint.x < width and hint.y < height):
            raise InputError(
                f"--hint: expected a place on the photograph, whose x is 0..{width - 1} and y is 0..{height - 1}, "
                f"received {hint.x},{hint.y}"
            )


def cell_of(
    row: int, column: int, shape: tuple[int, int], small: tuple[int, int], extent: tuple[float, float]
) -> tuple[int, int]:
    """Return the row and column of the cell with the middle of a pixel; for the arguments see `cells`."""
    down, across = ((at + 0.5) * n / size for at, n, size in zip((row, column), extent, shape, strict=True))
    return min(int(down), small[0] - 1), min(int(across), small[1] - 1)


def cells(
    hints: Sequence[Hint], shape: tuple[int, int], small: tuple[int, int], extent: tuple[float, float]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the cells of the network's picture that hints cover, (k, 2) as row and column, and their ab (k, 2).

    Args:
        hints: of a photograph.
        shape: its height and width.
        small: height and width of the network's picture.
        extent: how many of its rows and columns the photograph covers.
    """
    scale = np.array(extent) / shape
    centres = np.argwhere(np.ones(small, bool)) + 0.5
    places, colours = [], []
    for hint in hints:
        at = np.array([hint.y + 0.5, hint.x + 0.5])
        own = cell_of(hint.y, hint.x, shape, small, extent)
        inside = centres[(((centres / scale - at) ** 2).sum(axis=1) <= hint.radius**2)]
        chosen = inside[np.linspace(0, len(inside) - 1, min(len(inside), COVERED)).astype(int)].astype(int)
        found = [*chosen, own]
        places += found
        colours += [hint.ab] * len(found)
    return np.array(places, np.intp).reshape(-1, 2), np.array(colours, np.float32).reshape(-1, 2)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"--hints: expected a JSON file, received {path}: {error.strerror}") from None


def _decoded(content: bytes, origin: str) -> list[Any] | dict[str, Any]:
    try:
        values = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--hints: expected JSON, received {origin}: {error}") from None
    if not isinstance(values, list | dict):
        raise InputError(f"{origin}: expected a list of hints, or one for each photograph, received {values!r:.40}")
    return values


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
        raise ValueError(f"the key {escaped(twice[0])} occurs twice")
    return dict(pairs)


def _listed(content: Any, where: str) -> tuple[Hint, ...]:
    if not isinstance(content, list):
        raise InputError(f"{where}: expected a list of hints, received {content!r:.40}")
    return tuple(_hint(each, f"{where}: hint {number}") for number, each in enumerate(content, 1))


def _hint(content: Any, where: str) -> Hint:
    given = content if isinstance(content, dict) else {}
    x, y, color, radius = (given.get(key, 0) for key in ("x", "y", "color", "radius"))
    if (
        not {"x", "y", "color"} <= given.keys() <= _KEYS
        or not all(type(each) is int and 0 <= each < 10**6 for each in (x, y))
        or not (isinstance(color, str) and _COLOUR.fullmatch(color))
        or not (type(radius) in (int, float) and 0 <= radius < 10**6)
    ):
        example = '{"x": 120, "y": 80, "color": "#2e7d32"}'
        raise InputError(f"{where}: expected {example} with an optional radius, received {content!r:.80}")
    return Hint(x, y, color.lower(), float(radius))
