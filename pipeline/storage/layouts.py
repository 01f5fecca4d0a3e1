"""Which arrays the stores hold."""

from dataclasses import dataclass

from pipeline.images.lab import SIZE


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
    """The arrays of one kind of store, which share their first axis."""

    kind: str
    arrays: tuple[ArrayLayout, ...]


IMAGES = StoreLayout(
    "images",
    (
        ArrayLayout("L", (SIZE, SIZE), "uint8", ("image", "y", "x"), 0),
        ArrayLayout("ab", (SIZE, SIZE, 2), "uint8", ("image", "y", "x", "channel"), 0),
    ),
)


EMBEDDINGS = StoreLayout(
    "embeddings",
    (ArrayLayout("embedding", (1000,), "float32", ("image", "feature"), float("nan")),),
)


LAYOUTS = {layout.kind: layout for layout in (IMAGES, EMBEDDINGS)}
