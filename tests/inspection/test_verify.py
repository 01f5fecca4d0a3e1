"""Damage is detected by `verify` and by every reader, and repaired by the ordinary stages, byte for byte."""

import shutil
import subprocess
import sys

import fake_results
import numpy as np
import pytest
import tiny
from click.testing import CliRunner

from pipeline.config.sources import KaggleSource
from pipeline.core import files, lost
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.dataset.ingest import ingest
from pipeline.inspection.verify import verify
from pipeline.results.page import write_report
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store
from pipeline.training import checkpoints
from stages.verify import command


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def bits(path, count, seed=0):
    return np.random.default_rng((seed, len(path.name))).integers(0, 8 * path.stat().st_size, count).tolist()


@pytest.fixture
def intact(referenced, tmp_path):
    """A complete dataset, and the folder of an interrupted training."""
    folder = shutil.copytree(referenced.folder, tmp_path / "data" / "tiny")
    run = tmp_path / "models" / "dot_lr1e-3"
    run.mkdir(parents=True)
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((), np.int64)]
    for _ in range(2):
        checkpoints.save(run / "checkpoint.npz", checkpoints.Checkpoint(arrays, arrays, [], arrays, {"epochs": 1}))
    files.write_json(run / "settings.json", {"run": "dot_lr1e-3"})
    (run / "best.weights.h5").write_bytes(bytes(range(256)))
    digest = files.digest_file(run / "best.weights.h5")
    files.write_json(run / "training.json", {"files": {"best.weights.h5": digest}, "epochs": 1})
    return tiny.Dataset(folder), run


def written(*folders):
    """Return the bytes of every file except locks, by path."""
    return {folder / name: content for folder in folders for name, content in tiny.tree(folder).items()}


def test_intact_files_are_reported_as_intact(intact, tmp_path):
    before = written(tmp_path)
    total, damages = verify([tmp_path])
    assert (damages, written(tmp_path)) == ([], before)
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"all {total} files" in result.stderr


def restore(root, content):
    for note in root.rglob(".*.lost"):
        note.unlink()
    for path, whole in content.items():
        if not path.exists() or path.read_bytes() != whole:
            path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_200_of_200_flipped_bits_are_found(intact, tmp_path, seed):
    """Each file once, then random ones; every bit of a file is equally likely."""
    dataset, run = intact
    before = written(dataset.folder, run)
    rng = np.random.default_rng(seed)
    paths = sorted(before)
    for number in range(200):
        path = paths[number if number < len(paths) else rng.integers(len(paths))]
        flip(path, int(rng.integers(8 * len(before[path]))))
        _, damages = verify([run if run in path.parents else dataset.folder])
        assert path in {damage.path for damage in damages}, path
        restore(tmp_path, before)


def read_everything(dataset, run):
    """Read the files of a dataset and a run as the stages do."""
    for layout, path in ((IMAGES, dataset.images.path), (EMBEDDINGS, dataset.embeddings.path)):
        store = Store(path, layout)
        store.manifest()
        store.attributes()
        for array in store.arrays:
            for _ in store.read_spans(array.name):
                pass
    from pipeline.evaluation.baselines import read_baselines

    images = Store(dataset.images.path, IMAGES)
    read_index(images)
    splits.read(dataset.splits, images.manifest()["fingerprint"])
    read_baselines(dataset.baselines, images, dataset.splits)
    files.read_json(run / "settings.json")
    files.refuse_damaged(run, files.read_json(run / "training.json")["files"])
    if not all(map(checkpoints.whole, run.glob("checkpoint*.npz"))):
        raise InputError("a checkpoint is damaged")


@pytest.mark.slow
def test_no_stage_reads_a_flipped_bit(intact, tmp_path):
    """200 of 200, in files that stages read. No stage reads pictures and report.csv; checkpoints have checksums of
    their own, and are used if only their file of digests is damaged."""
    dataset, run = intact
    read_everything(dataset, run)
    skipped = ("/pictures/", "report.csv", "embedding_network", "checkpoint.json")
    everything = written(dataset.folder, run).items()
    before = {path: content for path, content in everything if not any(part in str(path) for part in skipped)}
    rng = np.random.default_rng(7)
    paths = sorted(before)
    for _ in range(200):
        path = paths[rng.integers(len(paths))]
        flip(path, int(rng.integers(8 * len(before[path]))))
        with pytest.raises(InputError):
            read_everything(dataset, run)
        path.write_bytes(before[path])


def test_damage_is_named_with_its_images_and_repaired_by_ingest(tmp_path):
    dataset = tiny.make_dataset(tmp_path / "data" / "tiny", n=20)
    source = KaggleSource(kind="kaggle", path=str(tmp_path / "data" / "tiny-archive"))
    whole = written(dataset.folder)
    flip(dataset.images.shard_file("ab", 1), 999)
    dataset.images.shard_file("L", 2).unlink()
    result = CliRunner().invoke(command, [str(dataset.images.path)])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{dataset.images.shard_file('ab', 1)} (images 8 to 15): damaged",
        f"{dataset.images.shard_file('L', 2)} (images 16 to 19): missing",
    ]
    assert lost.notes(dataset.images.path) and not lost.notes(dataset.embeddings.path)
    with pytest.raises(InputError, match=r"000001\.json .*python -m stages verify"):
        Store(dataset.images.path, IMAGES).manifest()
    assert ingest(source, dataset.images, images_per_shard=8) == 2
    lost.path_of(dataset.images.path).unlink(missing_ok=True)
    assert written(dataset.folder) == whole


@pytest.mark.parametrize("name", ["zarr.json", "L/zarr.json", "ab/zarr.json"])
def test_damaged_metadata_are_written_again_without_any_shard(tmp_path, name):
    dataset = tiny.make_dataset(tmp_path / "data" / "tiny", n=20)
    source = KaggleSource(kind="kaggle", path=str(tmp_path / "data" / "tiny-archive"))
    whole = written(dataset.folder)
    path = dataset.images.path / name
    for bit in bits(path, 12):
        flip(path, bit)
        with pytest.raises(InputError, match=r"zarr\.json is damaged"):
            Store(dataset.images.path, IMAGES).manifest()
        if bit % 2:  # with verify, and without
            assert [damage.path for damage in verify([dataset.folder])[1]] == [path]
            lost.path_of(dataset.images.path).unlink(missing_ok=True)
        assert ingest(source, dataset.images, images_per_shard=8) == 0
        assert written(dataset.folder) == whole


def test_a_store_in_use_is_left_alone(intact):
    dataset, _ = intact
    flip(dataset.images.shard_file("ab", 0), 999)
    # Another process holds the lock, because one process may take it twice.
    code = f"""
from pathlib import Path
from pipeline.core import locks
with locks.held(Path({str(dataset.images.path)!r})):
    print("held", flush=True); input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tiny.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        result = CliRunner().invoke(command, [str(dataset.images.path)])
        holder.communicate("\n")
    assert (
        result.exit_code == 1
        and f"not verified: {dataset.images.path} is in use by process {holder.pid}" in result.stdout
    )
    assert dataset.images.record(0) and not lost.notes(dataset.images.path)


@pytest.mark.usefixtures("intact")
def test_a_folder_in_the_place_of_any_file_is_found_and_the_rest_is_read(tmp_path):
    total, _ = verify([tmp_path])
    whole = written(tmp_path)
    for path in whole:
        path.unlink()
        path.mkdir()
        count, damages = verify([tmp_path])
        assert any(str(path) in str(damage) for damage in damages), path
        assert count == total or path.suffix == ".json" or ".shards" in str(path), path
        path.rmdir()
        restore(tmp_path, whole)
    assert verify([tmp_path]) == (total, [])


@pytest.mark.usefixtures("intact")
def test_files_that_should_be_there_are_missed(tmp_path):
    whole = written(tmp_path)
    expected = [path for path in whole if "previous" not in path.name]
    assert {"settings.json", "checkpoint.npz", "checkpoint.json", "embedding_network.json"} <= {
        path.name for path in expected
    }
    for path in expected:
        path.unlink()
        damages = verify([tmp_path])[1]
        assert any(str(path) in str(damage) for damage in damages), path
        restore(tmp_path, whole)


def test_links_are_followed_and_named_where_they_lead_nowhere(intact, tmp_path):
    dataset, _ = intact
    total, _ = verify([tmp_path])
    elsewhere = dataset.folder.rename(tmp_path.parent / f"{tmp_path.name}-scratch")
    dataset.folder.symlink_to(elsewhere)
    (dataset.folder / "again").symlink_to(tmp_path)
    assert verify([tmp_path]) == (total, [])
    flip(dataset.images.shard_file("ab", 0), 999)
    (damage,) = verify([tmp_path])[1]
    assert damage.path == dataset.images.shard_file("ab", 0)
    shutil.rmtree(elsewhere)
    (damage,) = verify([tmp_path])[1]
    assert damage.path == dataset.folder and str(elsewhere) in damage.wrong


def test_whole_files_of_another_run_or_dataset_are_found(intact, tmp_path):
    dataset, run = intact
    training = files.read_json(run / "training.json")
    files.write_json(run / "training.json", {**training, "settings": {"run": "dot_lr1e-3"}})
    assert verify([tmp_path])[1] == []
    other = run.rename(run.with_name("dot_lr1e-2"))
    assert [damage.path for damage in verify([other])[1]] == [other]
    manifest = files.read_json(dataset.embeddings.manifest_path)
    files.write_json(dataset.embeddings.manifest_path, {**manifest, "images": "0" * 64})
    assert dataset.embeddings.path in [damage.path for damage in verify([dataset.folder])[1]]


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_place_without_files_of_deepcolor_is_refused(tmp_path, name):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    result = CliRunner().invoke(command, [str(tmp_path / name)])
    assert result.exit_code == 2 and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_a_folder_named_report_may_belong_to_the_user(intact, tmp_path):
    (tmp_path / "mine" / "report").mkdir(parents=True)
    (tmp_path / "mine" / "report" / "thesis.txt").write_text("mine")
    dataset, _ = intact
    shutil.copytree(tmp_path / "mine", dataset.folder / "mine")
    assert verify([dataset.folder])[1] == []
    assert [path.name for path in (dataset.folder / "mine").rglob("*")] == ["report", "thesis.txt"]


def test_a_report_without_its_manifest_is_reported(tmp_path):
    fake = fake_results.Fake(tmp_path / "results", tmp_path / "data")
    files.write_listing(fake_results.add_run(fake, "base_lr1e-4", images=2))
    write_report(fake.results, fake.pictures)
    assert verify([fake.results])[1] == []
    (fake.results / "report.json").unlink()
    (damage,) = verify([fake.results])[1]
    assert str(damage).startswith(f"{fake.results / 'report.json'}: missing")


def test_an_unfinished_store_is_reported(intact):
    dataset, _ = intact
    dataset.images.manifest_path.unlink()
    assert [str(damage) for damage in verify([dataset.images.path])[1]] == [
        f"{dataset.images.manifest_path}: missing: the output is unfinished, or was partly deleted"
    ]
    assert dataset.images.record(0)
