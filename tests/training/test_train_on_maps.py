"""Runs whose networks read feature maps are trained on the maps of their own images and network."""

import shutil

import numpy as np
import pytest
import toy_maps
from tiny_training import assert_same

from pipeline.config.runs import Run
from pipeline.config.schema import Training
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset.fingerprints import outputs_of

FINE = "fine-dot_lr1e-3_bs4"


@pytest.fixture
def train(keras, mapped, tmp_path):
    """Compute the map that the run reads, train it for two epochs, and return its folder."""
    toy_maps.compute(mapped, "fine")

    def train(folder="run", *, features=True, **options):
        from pipeline.training.train import train

        keras.utils.clear_session(free_memory=False)
        directory = tmp_path / "models" / folder
        train(
            Run.parse(FINE), *mapped.sources, directory, Training(checkpoint_seconds=1e6, **options),
            features=toy_maps.store(mapped) if features else None, more_architectures=toy_maps.ARCHITECTURES,
        )  # fmt: skip
        return directory

    return train


def rewrite(dataset, name, values):
    """Replace a map, with records and manifest that match."""
    store = toy_maps.store(dataset, name)
    facts = {key: store.manifest()[key] for key in ("images", "weights")}
    for shard in range(store.shard_count()):
        kept = {key: store.record(shard)[key] for key in ("settings", "input")}
        store.write_shard(shard, {name: values[slice(*store.span(shard))]}, **kept)
    maps = {name: files.fingerprint([store.record(shard)["files"][name] for shard in range(store.shard_count())])}
    store.complete({**facts, "maps": maps})


@pytest.mark.slow
def test_maps_that_exceed_the_memory_are_mapped_from_disk_and_give_the_same_weights(train, mapped, monkeypatch):
    from pipeline.training import train as training

    loaded, load = [], training.load
    monkeypatch.setattr(training, "load", lambda *args: loaded.append(load(*args)) or loaded[-1])
    assert_same(train("memory"), train("disk", memory_gib=0.0))
    for examples, kind in zip(loaded, (np.ndarray, np.memmap), strict=True):
        maps = examples["train"].embedded["fine"]
        assert type(maps) is kind and maps.dtype == np.float16
        np.testing.assert_array_equal(maps, toy_maps.store(mapped).read_rows("fine", mapped.rows("train")))
    images = 12 * 3 * 224**2  # with the maps, 12 images take 2.5 KiB each more
    monkeypatch.setattr(training, "load", lambda *args: loaded.append(load(*args)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train("both", memory_gib=images / 2**30)
    assert type(loaded[-1]["train"].embedded["fine"]) is np.memmap


def test_a_run_depends_on_the_maps_that_it_reads_and_on_no_others(train, mapped):
    directory = train()
    fingerprints = files.read_json(directory / "settings.json")["fingerprints"]
    assert sorted(fingerprints) == ["embeddings", "features.fine", "images", "split"]
    before = (directory / "history.csv").read_bytes()
    toy_maps.compute(mapped, "coarse")
    train()  # finds itself finished
    assert (directory / "history.csv").read_bytes() == before
    shutil.rmtree(toy_maps.store(mapped).path)
    shutil.rmtree(toy_maps.store(mapped).records)
    toy_maps.compute(mapped, "fine")
    values = toy_maps.store(mapped).read("fine", 0, 15)
    rewrite(mapped, "fine", values + np.float16(1))
    with pytest.raises(InputError, match=r"data\.features\.fine: .*--replace"):
        train()


def test_stores_that_do_not_belong_together_are_refused(train, mapped):
    stores = mapped.images, mapped.embeddings, toy_maps.store(mapped)
    assert outputs_of(["embedding", "fine"], *stores) == {"embedding": stores[1], "fine": stores[2]}
    assert outputs_of(["embedding"], *stores[:2]) == {"embedding": stores[1]}
    with pytest.raises(InputError, match=r"features\.zarr: .*fine, coarse.* fine.* features coarse"):
        outputs_of(["fine", "coarse"], *stores)
    with pytest.raises(ValueError, match="fine"):
        train(features=False)

    from pipeline.embedding.embed import embed

    other = toy_maps.EMBEDDING.model_copy(update={"seed": 5})
    embed(mapped.images, mapped.embeddings, other, replace=True)
    with pytest.raises(InputError, match=r"features\.zarr: .*embeddings\.zarr.*seed: 5, but 0.* features .*--replace"):
        train()
    assert toy_maps.compute(mapped, "fine", embedding=other, replace=True) == 2
    toy_maps.store(mapped, "fine").complete({"images": "others"})
    with pytest.raises(InputError, match=r"features\.zarr .* others\b.* features"):
        train()


def test_a_flipped_bit_in_a_map_stops_training(train, mapped):
    path = toy_maps.store(mapped).shard_file("fine", 0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fine of images 0 to 7\)"):
        train()
