"""Which arrays the stores hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.images.lab import SIZE

VECTOR = "embedding"  # the output that every embedding network has


@dataclass(frozen=True)
class ArrayLayout:
    """One array of a store: `row` is the shape of one image's entry, `dimensions` names all axes."""

    name: str
    row: tuple[int, ...]
    dtype: str
    dimensions: tuple[str, ...]
    fill: float


@dataclass(frozen=True)
class StoreLayout:
    """The arrays of one kind of store, which share their first axis; without `arrays`, those that are on disk."""

    kind: str
    arrays: tuple[ArrayLayout, ...] = ()


IMAGES = StoreLayout(
    "images",
    (
        ArrayLayout("L", (SIZE, SIZE), "uint8", ("image", "y", "x"), 0),
        ArrayLayout("ab", (SIZE, SIZE, 2), "uint8", ("image", "y", "x", "channel"), 0),
    ),
)

EMBEDDINGS = StoreLayout("embeddings")  # for reading; which outputs of which network it holds, the store itself says

LAYOUTS = {layout.kind: layout for layout in (IMAGES, EMBEDDINGS)}


def embeddings(outputs: Mapping[str, tuple[int, ...]]) -> StoreLayout:
    """A store of these outputs of an embedding network: the vector, and maps (height, width, channels) in float16.

    Args:
        outputs: shapes of one image's entry by name.
    """

    def array(name: str, row: tuple[int, ...]) -> ArrayLayout:
        if name == VECTOR:
            return ArrayLayout(name, row, "float32", ("image", "feature"), float("nan"))
        return ArrayLayout(name, row, "float16", ("image", "y", "x", "channel"), float("nan"))

    return StoreLayout(EMBEDDINGS.kind, tuple(array(name, row) for name, row in outputs.items()))


def on_disk(path: Path) -> tuple[ArrayLayout, ...]:
    """The arrays of a store of embeddings that is there, the vector first; the shape of a row is left empty.

    The vector belongs to every store: where its folder was deleted, it is missing, and not unknown.
    """
    others = sorted(place.name for place in path.glob("*/") if place.name != VECTOR)
    return embeddings(dict.fromkeys((VECTOR, *others), ())).arrays
