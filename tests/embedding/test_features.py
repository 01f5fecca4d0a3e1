"""The store of feature maps: made, resumed, extended, refused and repaired as every store."""

import shutil
from unittest import mock

import numpy as np
import pytest
from tiny import make_dataset, tree

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry
from pipeline.inspection.describe import describe, open_store
from pipeline.inspection.verify import verify
from pipeline.storage.layouts import FEATURES
from pipeline.storage.store import Store

TOY = schema.Embedding(network="toy", weights="random", batch_size=4)


def build(weights, activation):
    import keras

    photograph = keras.Input((32, 32, 3))
    fine = keras.layers.Conv2D(5, 3, strides=2, padding="same", activation="relu")(photograph)
    coarse = keras.layers.Conv2D(7, 3, strides=2, padding="same")(fine)
    vector = keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(coarse))
    return keras.Model(photograph, {"embedding": vector, "fine": fine, "coarse": coarse})


@pytest.fixture
def dataset(keras, tmp_path):
    """A dataset of 15 images with embeddings of a toy network that has two feature maps."""
    from pipeline.embedding.embed import embed

    entry = registry.Entry(
        name="toy", label="Toy", build=build, preprocess=lambda levels: levels / 255.0, preprocessing="x / 255",
        side=32, outputs={"embedding": (6,), "fine": (16, 16, 5), "coarse": (8, 8, 7)}, flops=1e5, parameters=600,
    )  # fmt: skip
    with mock.patch.dict(registry.ENTRIES):
        registry.register(entry)
        made = make_dataset(tmp_path / "data" / "tiny")
        embed(made.images, made.embeddings, TOY, replace=True)
        yield made


def features(dataset, *maps, embedding=TOY, **options):
    """Compute the maps as the stage does; the number of shards written."""
    from pipeline.embedding.embed import embed

    store = Store(dataset.folder / "features.zarr", FEATURES)
    outputs = recipe.maps(embedding, maps, store.attributes().get("settings", {}))
    return embed(dataset.images, store, embedding, outputs=outputs, **options)


def test_maps_are_the_networks_outputs_in_half_precision_without_the_vector(dataset):
    from pipeline.embedding import network

    before = tree(dataset.embeddings.path), dataset.embeddings.manifest_path.read_bytes()
    assert (features(dataset), features(dataset)) == (2, 0)
    assert (tree(dataset.embeddings.path), dataset.embeddings.manifest_path.read_bytes()) == before
    store = Store(dataset.folder / "features.zarr", FEATURES)
    assert sorted(array.name for array in store.arrays) == ["coarse", "fine"]
    saved = dataset.folder / "embedding_network.weights.h5"
    expected = network.load(TOY, saved, ("fine", "coarse"))(dataset.images.read("L", 0, 15))
    for name, values in expected.items():
        assert store.array(name).dtype == np.float16 and np.ptp(values) > 0
        np.testing.assert_array_equal(store.read(name, 0, 15), values.astype(np.float16))
    manifest = store.manifest()
    assert manifest["settings"] == recipe.settings(TOY, 8, ("fine", "coarse"))
    assert manifest["weights"] == dataset.embeddings.manifest()["weights"]
    described = describe(open_store(store.path))
    assert (described["kind"], described["complete"]) == ("features", True)
    assert described["arrays"]["fine"]["shape"] == [15, 16, 16, 5]


def test_a_store_grows_by_the_maps_that_it_lacks_and_keeps_those_it_has(dataset):
    assert features(dataset, "coarse") == 2
    store = Store(dataset.folder / "features.zarr", FEATURES)
    before, maps = tree(store.path / "coarse"), store.manifest()["maps"]
    assert [array.name for array in store.arrays] == ["coarse"]
    assert features(dataset, "fine") == 2
    store = Store(dataset.folder / "features.zarr", FEATURES)
    assert tree(store.path / "coarse") == before and store.manifest()["maps"] == {**store.manifest()["maps"], **maps}
    assert store.manifest()["settings"]["outputs"] == ["fine", "coarse"]
    assert features(dataset, "coarse") == 0


def test_other_settings_and_maps_are_refused(dataset):
    features(dataset, "coarse")
    before = tree(dataset.folder)
    other = TOY.model_copy(update={"batch_size": 8})
    with pytest.raises(InputError, match=r"embeddings\.zarr .*batch_size: 4, now 8.* run embed"):
        features(dataset, embedding=other)
    shutil.move(dataset.embeddings.path, dataset.folder / "away")
    with pytest.raises(InputError, match=r"features\.zarr .*batch_size: 4, now 8.*--replace"):
        features(dataset, "coarse", embedding=other)
    shutil.move(dataset.folder / "away", dataset.embeddings.path)
    with pytest.raises(InputError, match=r"Toy: expected one of the maps fine, coarse, received embedding"):
        features(dataset, "embedding")
    with pytest.raises(InputError, match=r"with feature maps, received inception_resnet_v2"):
        recipe.maps(schema.Embedding(network="inception_resnet_v2"), (), {})
    assert tree(dataset.folder) == before


def test_values_beyond_half_precision_are_refused(dataset, monkeypatch):
    from pipeline.embedding import embed

    values = {"coarse": np.full((8, 8, 8, 7), 7e4, np.float32)}
    monkeypatch.setattr(embed, "_network", lambda *_: lambda lightness: values)
    with pytest.raises(InputError, match=r"features\.zarr: .* coarse between .* images 0 to 7"):
        features(dataset, "coarse", scheduler="synchronous")
    assert not (dataset.folder / "features.json").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_named_never_read_and_repaired_by_the_same_command(dataset):
    features(dataset)
    whole = tree(dataset.folder)
    store = Store(dataset.folder / "features.zarr", FEATURES)
    path = store.shard_file("fine", 1)
    flip(path)
    with pytest.raises(InputError, match=r"fine of images 8 to 14\) is damaged"):
        Store(store.path, FEATURES).read("fine", 8, 15)
    _, damages = verify([dataset.folder])
    assert [str(damage) for damage in damages] == [f"{path} (images 8 to 14): damaged"]
    note = dataset.folder / ".features.zarr.lost"
    assert note.exists()
    note.unlink()
    assert features(dataset) == 1
    assert tree(dataset.folder) == whole


def test_each_file_of_the_store_is_verified(dataset):
    features(dataset)
    paths = [dataset.folder / name for name in tree(dataset.folder) if name.startswith("features.")]
    assert len(paths) == 10  # the manifest, 2 records, 3 of metadata, 4 of shards
    for path in paths:
        content = path.read_bytes()
        flip(path)
        assert path in [damage.path for damage in verify([dataset.folder])[1]]
        (dataset.folder / ".features.zarr.lost").unlink()
        path.write_bytes(content)
        features(dataset)


@pytest.mark.parametrize("lost", ["fine", "coarse"])
def test_a_deleted_map_is_named_and_computed_again(dataset, lost):
    features(dataset)
    whole = tree(dataset.folder)
    shutil.rmtree(dataset.folder / "features.zarr" / lost)
    with pytest.raises(InputError, match=rf"{lost}/zarr\.json"):
        Store(dataset.folder / "features.zarr", FEATURES).manifest()
    assert Store(dataset.folder / "features.zarr", FEATURES).missing_shards() == [0]
    assert {str(damage.path.relative_to(dataset.folder)) for damage in verify([dataset.folder])[1]} >= {
        f"features.zarr/{lost}/zarr.json", f"features.zarr/{lost}/c/1/0/0/0",
    }  # fmt: skip
    (dataset.folder / ".features.zarr.lost").unlink()
    assert features(dataset) == 2
    assert tree(dataset.folder) == whole


def test_a_replacement_that_was_killed_leaves_no_map_of_another_network(dataset):
    features(dataset)
    whole = tree(dataset.folder)
    store = dataset.folder / "features.zarr"
    (store / "zarr.json").unlink()
    shutil.copytree(store / "fine", store / "other")
    assert features(dataset) == 0
    assert tree(dataset.folder) == whole
    assert files.read_json(dataset.folder / "features.json")["settings"]["outputs"] == ["fine", "coarse"]
