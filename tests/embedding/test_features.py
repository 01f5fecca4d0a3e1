"""The store of feature maps: made, resumed, extended, refused and repaired as every store."""

import json
import shutil

import numpy as np
import pytest
from tiny import tree
from toy_maps import EMBEDDING, compute
from toy_maps import store as store_of

from pipeline.config import schema
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.inspection.verify import verify


def test_maps_are_the_networks_outputs_in_half_precision_without_the_vector(mapped):
    from pipeline.embedding import network

    before = tree(mapped.embeddings.path), mapped.embeddings.manifest_path.read_bytes()
    assert (compute(mapped), compute(mapped)) == (2, 0)
    assert (tree(mapped.embeddings.path), mapped.embeddings.manifest_path.read_bytes()) == before
    store = store_of(mapped)
    assert sorted(array.name for array in store.arrays) == ["coarse", "fine"]
    saved = mapped.folder / "embedding_network.weights.h5"
    expected = network.load(EMBEDDING, saved, ("fine", "coarse"))(mapped.images.read("L", 0, 15))
    for name, values in expected.items():
        assert store.array(name).dtype == np.float16 and np.ptp(values) > 0
        np.testing.assert_array_equal(store.read(name, 0, 15), values.astype(np.float16))
    manifest = store.manifest()
    assert manifest["settings"] == recipe.settings(EMBEDDING, 8, ("fine", "coarse"))
    assert manifest["weights"] == mapped.embeddings.manifest()["weights"]


def test_inspect_describes_maps_and_finds_the_other_stores_beside_them(mapped, inspect):
    compute(mapped)
    path = store_of(mapped).path
    described = json.loads(inspect(path, "--json").stdout)
    assert (described["kind"], described["complete"], described["shards_finished"]) == ("features", True, 2)
    fine = described["arrays"]["fine"]
    assert (fine["shape"], fine["dtype"], fine["not_finite"]) == ([15, 16, 16, 5], "float16", 0)
    assert fine["min"] == 0 < fine["max"] and fine["bytes_raw"] == 15 * 16 * 16 * 5 * 2
    assert "features, complete, 2 of 2 shards" in inspect(path).stdout
    found = json.loads(inspect(path, "--json", "--neighbours", "3", "--sheet", "sheet.png").stdout)
    assert len(found["neighbours"]["nearest"]) == 8 and len(found["sheet"]["rows"]) == 15


def test_a_store_grows_by_the_maps_that_it_lacks_and_keeps_those_it_has(mapped):
    assert compute(mapped, "coarse") == 2
    store = store_of(mapped)
    before, maps = tree(store.path / "coarse"), store.manifest()["maps"]
    assert [array.name for array in store.arrays] == ["coarse"]
    assert compute(mapped, "fine") == 2
    store = store_of(mapped)
    assert tree(store.path / "coarse") == before and store.manifest()["maps"] == {**store.manifest()["maps"], **maps}
    assert store.manifest()["settings"]["outputs"] == ["fine", "coarse"]
    assert compute(mapped, "coarse") == 0


def test_other_settings_and_maps_are_refused(mapped):
    compute(mapped, "coarse")
    before = tree(mapped.folder)
    other = EMBEDDING.model_copy(update={"batch_size": 8})
    with pytest.raises(InputError, match=r"embeddings\.zarr .*batch_size: 4, now 8.* run embed"):
        compute(mapped, embedding=other)
    shutil.move(mapped.embeddings.path, mapped.folder / "away")
    with pytest.raises(InputError, match=r"features\.zarr .*batch_size: 4, now 8.*--replace"):
        compute(mapped, "coarse", embedding=other)
    shutil.move(mapped.folder / "away", mapped.embeddings.path)
    with pytest.raises(InputError, match=r"Toy: .*fine, coarse, .*embedding"):
        compute(mapped, "embedding")
    with pytest.raises(InputError, match=r"inception_resnet_v2"):
        recipe.maps(schema.Embedding(network="inception_resnet_v2"), (), {})
    assert tree(mapped.folder) == before


def test_values_beyond_half_precision_are_refused(mapped, monkeypatch):
    from pipeline.embedding import embed

    values = {"coarse": np.full((8, 8, 8, 7), 7e4, np.float32)}
    monkeypatch.setattr(embed, "_network", lambda *_: lambda lightness: values)
    with pytest.raises(InputError, match=r"features\.zarr: .* coarse between .* images [08] to (7|14)\b"):
        compute(mapped, "coarse", scheduler="synchronous")
    assert not (mapped.folder / "features.json").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_named_never_read_and_repaired_by_the_same_command(mapped):
    compute(mapped)
    whole = tree(mapped.folder)
    store = store_of(mapped)
    path = store.shard_file("fine", 1)
    flip(path)
    with pytest.raises(InputError, match=r"fine of images 8 to 14\)"):
        store_of(mapped).read("fine", 8, 15)
    _, damages = verify([mapped.folder])
    assert [str(damage) for damage in damages] == [f"{path} (images 8 to 14): damaged"]
    note = mapped.folder / ".features.zarr.lost"
    assert note.exists()
    note.unlink()
    assert compute(mapped) == 1
    assert tree(mapped.folder) == whole


def test_each_file_of_the_store_is_verified(mapped):
    compute(mapped)
    paths = [mapped.folder / name for name in tree(mapped.folder) if name.startswith("features.")]
    assert len(paths) == 10  # the manifest, 2 records, 3 of metadata, 4 of shards
    for path in paths:
        content = path.read_bytes()
        flip(path)
        assert path in [damage.path for damage in verify([mapped.folder])[1]]
        (mapped.folder / ".features.zarr.lost").unlink()
        path.write_bytes(content)
        compute(mapped)


@pytest.mark.parametrize("lost", ["fine", "coarse"])
def test_a_deleted_map_is_named_and_computed_again(mapped, lost):
    compute(mapped)
    whole = tree(mapped.folder)
    shutil.rmtree(mapped.folder / "features.zarr" / lost)
    with pytest.raises(InputError, match=rf"{lost}/zarr\.json"):
        store_of(mapped).manifest()
    assert store_of(mapped).missing_shards() == [0]
    assert {str(damage.path.relative_to(mapped.folder)) for damage in verify([mapped.folder])[1]} >= {
        f"features.zarr/{lost}/zarr.json", f"features.zarr/{lost}/c/1/0/0/0",
    }  # fmt: skip
    (mapped.folder / ".features.zarr.lost").unlink()
    assert compute(mapped) == 2
    assert tree(mapped.folder) == whole


def test_a_replacement_that_was_killed_leaves_no_map_of_another_network(mapped):
    compute(mapped)
    whole = tree(mapped.folder)
    store = mapped.folder / "features.zarr"
    (store / "zarr.json").unlink()
    shutil.copytree(store / "fine", store / "other")
    assert compute(mapped) == 0
    assert tree(mapped.folder) == whole
    assert files.read_json(mapped.folder / "features.json")["settings"]["outputs"] == ["fine", "coarse"]
