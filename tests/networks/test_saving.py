"""Saved networks predict the same, and their bytes depend only on the network."""

import json
import zipfile

import numpy as np
import pytest
from tiny import DOT, python

from pipeline.core.errors import InputError

MAKE = """
import sys
from pathlib import Path
from pipeline.networks import backend
backend.start(2)
from pipeline.networks import builder
from pipeline.networks import saving
junk = [object() for _ in range(12345)]  # other addresses in memory
print(saving.load(Path(sys.argv[1])).count_params(), *({"matplotlib", "pandas"} & set(sys.modules)))
saving.save(builder.build("arch3", seed=4, start_at=(130.0, 140.0)), Path(sys.argv[2]))
"""


@pytest.fixture
def model(keras):
    from pipeline.networks import builder

    return builder.build("arch3", seed=4, start_at=(130.0, 140.0))


def predict(model, size=16):
    rng = np.random.default_rng(0)
    lightness = rng.integers(0, 256, (2, size, size, 1), dtype=np.uint8)
    return np.asarray(model.predict_on_batch([lightness, rng.normal(size=(2, 1000)).astype(np.float32)]))


def test_a_loaded_network_predicts_the_same_bits(model, tmp_path):
    from pipeline.networks import saving

    saving.save(model, tmp_path / "model.keras")
    loaded = saving.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded), predict(model))
    assert loaded.count_params() == 249_170
    assert sum(map(float, loaded.losses)) == pytest.approx(sum(map(float, model.losses)))


@pytest.mark.slow
def test_another_process_loads_the_file_and_saves_the_same_bytes(model, tmp_path):
    from pipeline.networks import saving

    saving.save(model, tmp_path / "here.keras")
    done = python("-c", MAKE, tmp_path / "here.keras", tmp_path / "there.keras")
    assert (done.returncode, done.stdout.split()) == (0, ["249170"]), done.stderr
    assert (tmp_path / "there.keras").read_bytes() == (tmp_path / "here.keras").read_bytes()


@pytest.mark.parametrize("status", ["finished", "diverged in epoch 1"])
def test_a_network_whose_training_diverged_is_refused(model, tmp_path, status):
    from pipeline.networks import saving

    (tmp_path / "run.yaml").write_text(f"status: {status}\nepochs: 1\nbest_epoch: 1\n")
    kernel = model.get_layer("encoder_1").kernel
    saving.save(model, tmp_path / "model.keras")
    if status == "finished":
        assert saving.load(tmp_path / "model.keras").count_params() == 249_170
        kernel.assign(np.where(np.arange(kernel.shape[-1]) == 1, np.nan, kernel))
        saving.save(model, tmp_path / "model.keras")
    with pytest.raises(InputError, match=rf"^{tmp_path}/model\.keras: .*diverged"):
        saving.load(tmp_path / "model.keras")


def test_the_file_contains_no_dates_and_no_memory_addresses(model, tmp_path):
    from pipeline.networks import saving

    saving.save(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        text = "".join(archive.read(name).decode() for name in ("metadata.json", "config.json"))
        assert json.loads(archive.read("config.json"))["config"]["name"] == "arch3"
    assert "date_saved" not in text and "shared_object_id" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_other_weights_are_other_bytes(model, tmp_path):
    from pipeline.networks import saving

    saving.save(model, tmp_path / "one.keras")
    model.get_layer("ab").bias.assign([1.0, 2.0])
    saving.save(model, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() != (tmp_path / "two.keras").read_bytes()


def test_mixed_precision_and_custom_architectures_survive(keras, tmp_path):
    from pipeline.networks import builder, saving

    keras.config.set_dtype_policy("mixed_bfloat16")
    model = builder.build("dot", architectures=DOT, start_at=(128.0, 128.0))
    saving.save(model, tmp_path / "model.keras")
    expected = predict(model)
    keras.config.set_dtype_policy("float32")
    loaded = saving.load(tmp_path / "model.keras")
    assert loaded.get_layer("fusion_1").compute_dtype == "bfloat16"
    np.testing.assert_array_equal(predict(loaded), expected)


def changed(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def renamed(old, new):
    return lambda members: {**members, "config.json": members["config.json"].replace(old, new)}


def test_a_model_saved_before_the_modules_moved_is_loaded(model, tmp_path):
    from pipeline.networks import saving

    path = tmp_path / "model.keras"
    saving.save(model, path)
    before = path.read_bytes()
    changed(path, renamed(b'"module": "pipeline.networks.layers"', b'"module": "pipeline.architectures"'))
    assert path.read_bytes() != before and b"pipeline.networks" not in path.read_bytes()
    np.testing.assert_array_equal(predict(saving.load(path)), predict(model))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (renamed(b'"class_name": "Conv2D"', b'"class_name": "Lambda"'), "keras.layers.Lambda"),
        (renamed(b'"module": "keras.layers"', b'"module": "os"'), "os.Conv2D"),
        (
            renamed(b'"module": "pipeline.networks.layers"', b'"module": "pipeline.core.files"'),
            "pipeline.core.files.Fusion",
        ),
        (lambda members: {**members, "assets/x.py": b"import os"}, "other files (assets/x.py)"),
        (lambda members: {**members, "config.json": b"{"}, "Expecting property name"),
        (lambda members: {**members, "config.json": b"[" * 100_000}, "maximum recursion depth"),
        (lambda members: {}, "other files (config.json, metadata.json, model.weights.h5)"),
        (lambda members: {**members, "config.json": b" " * (2**24 + 1)}, "a config.json of 16777217 bytes"),
    ],
)
def test_a_file_with_anything_else_is_not_loaded(model, tmp_path, change, reason):
    from pipeline.networks import saving

    path = tmp_path / "model.keras"
    saving.save(model, path)
    changed(path, change)
    with pytest.raises(InputError) as caught:
        saving.load(path)
    assert str(caught.value).startswith(f"{path}: ") and reason in str(caught.value)


def test_a_file_that_is_not_an_archive_is_refused(tmp_path):
    from pipeline.networks import saving

    for content in (b"", b"PK", b"x" * 1000):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.keras: "):
            saving.load(tmp_path / "model.keras")
