"""A toy embedding network with two feature maps, inputs that read them, and a store of these maps."""

from pipeline.config import schema
from pipeline.embedding import recipe, registry
from pipeline.networks import inputs
from pipeline.storage.layouts import FEATURES
from pipeline.storage.store import Store

EMBEDDING = schema.Embedding(network="toy", weights="random", batch_size=4)
_DOT = {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4", "decoder": "4 ^ 4 ^ 2 ^"}
ARCHITECTURES = {
    "fine-dot": schema.Architecture(**_DOT, inputs=["L", "corner", "embedding"]),
    "coarse-dot": schema.Architecture(**_DOT, inputs=["L", "centre"]),
}


def build(weights, activation):
    import keras

    photograph = keras.Input((32, 32, 3))
    fine = keras.layers.Conv2D(5, 3, strides=2, padding="same", activation="relu")(photograph)
    coarse = keras.layers.Conv2D(7, 3, strides=2, padding="same")(fine)
    vector = keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(coarse))
    return keras.Model(photograph, {"embedding": vector, "fine": fine, "coarse": coarse})


def register():
    entry = registry.Entry(
        name="toy", label="Toy", build=build, preprocess=lambda levels: levels / 255.0, preprocessing="x / 255",
        side=32, outputs={"embedding": (6,), "fine": (16, 16, 5), "coarse": (8, 8, 7)}, flops=1e5, parameters=600,
    )  # fmt: skip
    registry.register(entry)
    corner = inputs.Input("corner", (5,), "float32", lambda batch: batch.embedded["fine"][:, 0, 0], ("fine",))
    centre = inputs.Input("centre", (7,), "float32", lambda batch: batch.embedded["coarse"][:, 4, 4], ("coarse",))
    inputs.register(corner)
    inputs.register(centre)


def store(dataset, *maps):
    """The store of maps; to write it, name its maps."""
    return Store(dataset.folder / "features.zarr", registry.ENTRIES["toy"].layout(maps) if maps else FEATURES)


def compute(dataset, *maps, embedding=EMBEDDING, **options):
    """Compute the maps as the stage does; the number of shards written."""
    from pipeline.embedding.embed import embed

    outputs = recipe.maps(embedding, maps, store(dataset).attributes().get("settings", {}))
    return embed(dataset.images, store(dataset), embedding, outputs=outputs, **options)
