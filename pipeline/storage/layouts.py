"""The arrays of each kind of store."""

from collections.abc import Iterable, Mapping
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

# For reading: these stores themselves record their network and its outputs.
EMBEDDINGS = StoreLayout("embeddings")
FEATURES = StoreLayout("features")  # feature maps without the vector

LAYOUTS = {layout.kind: layout for layout in (IMAGES, EMBEDDINGS, FEATURES)}


def of_outputs(outputs: Mapping[str, tuple[int, ...]]) -> StoreLayout:
    """Return the layout for outputs of an embedding network; `outputs` maps names to the shapes of one image's entry.

    The vector is stored as float32, feature maps (height, width, channels) as float16.
    """

    def array(name: str, row: tuple[int, ...]) -> ArrayLayout:
        if name == VECTOR:
            return ArrayLayout(name, row, "float32", ("image", "feature"), float("nan"))
        return ArrayLayout(name, row, "float16", ("image", "y", "x", "channel"), float("nan"))

    kind = EMBEDDINGS.kind if VECTOR in outputs else FEATURES.kind
    return StoreLayout(kind, tuple(array(name, row) for name, row in outputs.items()))


def on_disk(path: Path, kind: str, recorded: Iterable[str]) -> tuple[ArrayLayout, ...]:
    """Return the arrays of an existing store of a network's outputs, the vector first, without their row shapes.

    Args:
        path: the store.
        kind: its kind; every store of embeddings has the vector.
        recorded: arrays that a record names; their folders may have been deleted.
    """
    names = {*(folder.name for folder in path.glob("*/")), *recorded} - {VECTOR}
    vector = [VECTOR] if kind == EMBEDDINGS.kind else []
    return of_outputs(dict.fromkeys([*vector, *sorted(names)], ())).arrays
