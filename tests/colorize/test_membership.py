"""Photographs of a run's data are recognised by file or pixels, and doubtful ones are `unknown`."""

import csv
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage
import yaml
from click.testing import CliRunner
from PIL import Image
from tiny import make_dataset

from pipeline.colorize.batch import colorize_files
from pipeline.colorize.membership import Membership
from pipeline.colorize.options import Options
from pipeline.colorize.report import REPORT
from pipeline.config import schema
from pipeline.config.sources import FolderSource, KaggleSource, SampleSource
from pipeline.core import csv_files, files
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.dataset.ingest import ingest
from pipeline.dataset.sources.open import open_source
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

PHOTOGRAPHS = 12


def coloured(path, seed, size=(260, 300)):
    """Save a smooth picture in warm colours."""
    small = np.random.default_rng(seed).uniform(60, 255, (6, 6, 3)) * (1.0, 0.8, 0.5)
    picture = Image.fromarray(small.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=90)


def make_run(root, store, split, source):
    """``results/<run>/`` with a record of the data."""
    record = {
        "run": "dot_lr1e-3",
        "settings": {"images": {"source": source.model_dump()}},
        "fingerprints": {"images": store.manifest()["fingerprint"], "split": splits.fingerprint(split)},
        "configuration": {"data": str(store.path.parents[1]), "dataset": store.path.parent.name},
    }
    result = root / "results" / "dot_lr1e-3"
    result.mkdir(parents=True)
    (result / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(result)
    return result


def make_data(folder, source, **options):
    """Images of a source and their split; the store."""
    store = Store(folder / "images.zarr", IMAGES)
    ingest(source, store, images_per_shard=8, scheduler="synchronous", **options)
    splits.write(read_index(store), folder / "splits.csv", schema.Split(), store.manifest()["fingerprint"])
    return store


def partitions(store):
    """The partition of every image, by id."""
    return {row["id"]: row["partition"] for row in csv_files.read(store.path.with_name("splits.csv"), splits.COLUMNS)}


@pytest.fixture(scope="module")
def _made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for number in range(PHOTOGRAPHS):
        coloured(root / "photos" / f"sub {number % 2}" / f"{number}.{'png' if number % 3 else 'jpg'}", number)
    source = FolderSource(kind="folder", path=str(root / "photos"))
    make_run(root, store := make_data(root / "data" / "mine", source), root / "data" / "mine" / "splits.csv", source)
    assert set(partitions(store).values()) == set(splits.PARTITIONS)
    return root


@pytest.fixture
def root(_made, tmp_path):
    """Photographs, their data and a run; the run's data are found beside its results."""
    root = shutil.copytree(_made, tmp_path / "made")
    path = root / "results" / "dot_lr1e-3" / "run.yaml"
    record = yaml.safe_load(path.read_text())
    record["configuration"]["data"] = "data"
    record["settings"]["images"]["source"]["path"] = str(root / "photos")
    path.write_text(yaml.safe_dump(record))
    files.write_listing(path.parent)
    return root


@pytest.fixture
def membership(root):
    return Membership(root / "results" / "dot_lr1e-3")


@pytest.fixture
def store(root):
    return Store(root / "data" / "mine" / "images.zarr", IMAGES)


def forget_files(root):
    shutil.rmtree(root / "data" / "mine" / "images.scratch")


@pytest.mark.parametrize("known_by", ["file", "picture"])
def test_every_photograph_of_the_data_is_recognised_anywhere(root, membership, store, known_by, tmp_path):
    if known_by == "picture":
        forget_files(root)
    for name, partition in partitions(store).items():
        elsewhere = shutil.copy(root / "photos" / name, tmp_path / f"other name{Path(name).suffix}")
        assert membership(root / "photos" / name) == membership(Path(elsewhere)) == partition


def test_the_same_pixels_in_another_file_are_recognised_and_other_pixels_are_not(root, membership, store, tmp_path):
    name, partition = next((n, p) for n, p in partitions(store).items() if n.endswith(".png") and p == "train")
    with Image.open(root / "photos" / name) as image:
        image.save(tmp_path / "again.tif")
        image.save(tmp_path / "again.jpg", quality=80)
        image.convert("L").save(tmp_path / "gray.png")
        image.convert("L").convert("RGB").save(tmp_path / "gray.jpg")
    coloured(tmp_path / "stranger.png", 99)
    found = {
        name: membership(tmp_path / name) for name in ("again.tif", "again.jpg", "gray.png", "gray.jpg", "stranger.png")
    }
    assert found == {
        "again.tif": partition, "again.jpg": "none", "gray.png": "unknown", "gray.jpg": "unknown",
        "stranger.png": "none",
    }  # fmt: skip


def test_unreadable_and_missing_files_are_unknown(membership, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    assert membership(tmp_path / "broken.jpg") == membership(tmp_path / "absent.jpg") == "unknown"


def test_where_ingest_decoded_with_another_version_only_files_are_known(root, store, tmp_path):
    manifest = files.read_json(store.manifest_path)
    manifest["versions"]["pillow"] = "1.0"
    files.write_json(store.manifest_path, manifest)
    membership = Membership(root / "results" / "dot_lr1e-3")
    for name, partition in partitions(store).items():
        assert membership(root / "photos" / name) == partition
    coloured(tmp_path / "stranger.png", 99)
    assert membership(tmp_path / "stranger.png") == "unknown"


def test_a_file_that_was_scanned_after_ingest_is_not_recognised(root, membership, store):
    name, partition = next((n, p) for n, p in partitions(store).items() if n.endswith(".png"))
    whole = shutil.copy(root / "photos" / name, root / "before.png")
    coloured(root / "photos" / name, 99)
    source = FolderSource(kind="folder", path=str(root / "photos"))
    open_source(source, limit=None, scratch=store.path.with_suffix(".scratch"), scheduler="synchronous")
    assert membership(root / "photos" / name) == "none"
    assert membership(Path(whole)) == partition


def damage(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: shutil.rmtree(data), "not found"),
        (lambda data: damage(data / "index.csv"), "index.csv is damaged"),
        (lambda data: damage(data / "splits.csv"), "splits.csv is damaged"),
        (lambda data: splits.write(
            read_index(Store(data / "images.zarr", IMAGES)), data / "splits.csv", schema.Split(seed=9),
            files.read_json(data / "images.json")["fingerprint"], replace=True,
        ), "other images or another split"),
        (lambda data: (data.parents[1] / "results/dot_lr1e-3/run.yaml").write_text("{}"), "run.yaml is damaged"),
    ],
)  # fmt: skip
def test_without_the_runs_own_data_everything_is_unknown_and_the_log_says_why(root, membership, change, reason, caplog):
    change(root / "data" / "mine")
    with caplog.at_level(logging.INFO, "deepcolor"):
        photographs = [path for path in (root / "photos").rglob("*.*") if path.is_file()]
        assert {membership(path) for path in photographs} == {"unknown"}
    (message,) = [record.message for record in caplog.records]
    assert reason in message


def test_images_that_came_as_arrays_are_compared_with_nothing(tmp_path, caplog):
    dataset = make_dataset(tmp_path / "data" / "tiny")
    source = KaggleSource(kind="kaggle", path="archive")
    coloured(tmp_path / "a.png", 0)
    with caplog.at_level(logging.INFO, "deepcolor"):
        assert Membership(make_run(tmp_path, dataset.images, dataset.splits, source))(tmp_path / "a.png") == "unknown"
    assert "(kaggle)" in caplog.text


def test_the_photographs_that_the_sample_is_cut_from_are_known(tmp_path):
    store = make_data(tmp_path / "data" / "sample", source := SampleSource(), limit=48)
    membership = Membership(make_run(tmp_path, store, tmp_path / "data" / "sample" / "splits.csv", source))
    ids = partitions(store)
    folder = Path(skimage.__file__).parent / "data"
    stems = {name.split("-")[0] for name in ids}
    assert len(stems) >= 3
    for stem in stems:
        (path,) = folder.glob(f"{stem}.*")
        assert membership(path) == ids[f"{stem}-224-0"]
    with Image.open(folder / "coffee.png") as image:
        image.save(tmp_path / "again.bmp")
        image.resize((100, 100)).save(tmp_path / "small.png")
    coloured(tmp_path / "stranger.png", 99)
    assert membership(tmp_path / "again.bmp") == ids["coffee-224-0"]
    assert membership(tmp_path / "small.png") == membership(tmp_path / "stranger.png") == "none"
    assert membership(folder / "camera.png") == "unknown"  # gray


# In the report


class Gray:
    """A colorizer that needs no network."""

    run, identity, shorter_side = "dot_lr1e-3", "gray", 224

    def see(self, levels, alpha=None, reduced=None):
        return SimpleNamespace(colours=lambda *_: None)

    def put(self, levels, colours):
        return levels if levels.ndim == 3 else np.dstack([levels] * 3)


def report(out):
    with (out / REPORT).open(newline="") as file:
        return {Path(row["file"]).name: row["partition"] for row in csv.DictReader(file)}


def test_the_report_has_the_partition_of_what_is_coloured(root, membership, store, tmp_path):
    coloured(root / "photos" / "stranger.png", 99)
    (root / "photos" / "broken.jpg").write_bytes(b"broken")
    expected = {Path(name).name: partition for name, partition in partitions(store).items()}
    count = list(expected.values()).count("train")
    for done, skipped in ((PHOTOGRAPHS + 1, 0), (0, PHOTOGRAPHS + 1)):
        outcome = colorize_files(
            [root / "photos"], tmp_path / "out", Gray, Options(recolor=True), partition_of=membership
        )
        assert (outcome.done, outcome.skipped, outcome.trained_on) == (done, skipped, count)
        assert report(tmp_path / "out") == {**expected, "stranger.png": "none", "broken.jpg": ""}
    assert set(report(tmp_path / "out").values()) == {*splits.PARTITIONS, "none", ""}


def test_without_a_run_to_ask_the_partition_is_unknown(root, tmp_path):
    outcome = colorize_files([root / "photos"], tmp_path / "out", Gray, Options(recolor=True))
    assert outcome.trained_on == 0 and set(report(tmp_path / "out").values()) == {"unknown"}


def test_the_command_says_that_the_run_was_trained_on_some(root, store, tmp_path, monkeypatch):
    from pipeline.colorize.colorizer import Colorizer
    from stages.colorize import command

    monkeypatch.setattr(Colorizer, "load", lambda *given, **options: Gray())
    names = {partition: root / "photos" / name for name, partition in partitions(store).items()}
    given = ["--recolor", "--run", str(root / "results" / "dot_lr1e-3"), "--out"]
    result = CliRunner().invoke(command, [*map(str, names.values()), *given, str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    assert "colorize: 1 of the photographs are in the run's training data" in result.stderr
    assert sorted(report(tmp_path / "out").values()) == ["test", "train", "validation"]
    result = CliRunner().invoke(command, [str(names["test"]), *given, str(tmp_path / "test")])
    assert result.exit_code == 0 and "training data" not in result.stderr
