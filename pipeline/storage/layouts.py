"""The arrays of each kind of store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.images.formats import SIZE

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
    """The arrays of one kind of store, which share their first axis. Empty `arrays` stands for those on disk."""

    kind: str
    arrays: tuple[ArrayLayout, ...] = ()


IMAGES = StoreLayout(
    "images",
    (
        ArrayLayout("L", (SIZE, SIZE), "uint8", ("image", "y", "x"), 0),
        ArrayLayout("ab", (SIZE, SIZE, 2), "uint8", ("image", "y", "x", "channel"), 0),
    ),
)

EMBEDDINGS = StoreLayout("embeddings")  # for reading; the store itself records its network and outputs

LAYOUTS = {layout.kind: layout for layout in (IMAGES, EMBEDDINGS)}


def embeddings(outputs: Mapping[str, tuple[int, ...]]) -> StoreLayout:
    """Return the layout for outputs of an embedding network; `outputs` maps names to the shapes of one image's entry.

    The vector is stored as float32, feature maps (height, width, channels) as float16.
    """

    def array(name: str, row: tuple[int, ...]) -> ArrayLayout:
        if name == VECTOR:
            return ArrayLayout(name, row, "float32", ("image", "feature"), float("nan"))
        return ArrayLayout(name, row, "float16", ("image", "y", "x", "channel"), float("nan"))

    return StoreLayout(EMBEDDINGS.kind, tuple(array(name, row) for name, row in outputs.items()))


def on_disk(path: Path) -> tuple[ArrayLayout, ...]:
    """Return the arrays of an existing store of embeddings, the vector first, without their row shapes.

    Every store has the vector, even if its folder was deleted.
    """
    others = sorted(folder.name for folder in path.glob("*/") if folder.name != VECTOR)
    return embeddings(dict.fromkeys((VECTOR, *others), ())).arrays
