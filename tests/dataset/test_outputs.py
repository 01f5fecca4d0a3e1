"""DeepColor's own output is no photograph to learn from."""

import pytest
from image_files import picture, put
from PIL import Image

from pipeline.colorize.reduced import write_comparison
from pipeline.config.sources import FolderSource
from pipeline.core.errors import InputError
from pipeline.dataset.ingest import ingest
from pipeline.dataset.sources.open import open_source
from pipeline.images import originals, writing, xmp
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store


@pytest.fixture
def root(tmp_path):
    put(tmp_path / "photographs", "a.png", "b.png")
    return tmp_path / "photographs"


def opened(root, **settings):
    source = FolderSource(path=str(root), **settings)
    return open_source(source, limit=None, scratch=root.parent / "scratch")


def ids(source):
    return [info.id for info in source.info(0, source.n)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photograph_that_deepcolor_coloured_is_left_out(root, tmp_path, kind):
    Image.fromarray(picture()).save(tmp_path / "before", kind)
    original = originals.read(tmp_path / "before")
    writing.write(root / f"c.{kind.lower()}", original, picture(seed=9), f"{xmp.NOTE} 0.1, run x; not original")
    source = opened(root)
    assert ids(source) == ["a.png", "b.png"]
    (remark,) = source.remarks
    assert remark.file.startswith("c.") and remark.reason == "made by DeepColor"


def test_a_comparison_is_left_out(root):
    write_comparison(root / "a.compare.jpg", picture(), picture(seed=9), xmp.NOTE)
    assert ids(opened(root)) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("marks", "made"),
    [
        (["files.json", "run.yaml"], "pictures/000001.jpg"),
        (["summary.csv", "summary.json"], "report/run/000001.jpg"),
        (["baselines.csv", "baselines.json"], "pictures/true/000001.jpg"),
    ],
)
def test_pictures_of_results_are_left_out_wherever_they_are(root, marks, made):
    place = root / "sub" / "old"
    put(place, made)
    put(root / "sub", "older.png", seed=7)
    (place / marks[0]).touch()
    assert len(ids(opened(root))) == 4  # one such name alone says nothing
    (place / marks[1]).touch()
    source = opened(root)
    assert ids(source) == ["a.png", "b.png", "sub/older.png"]
    assert {remark.file for remark in source.remarks if remark.reason == "made by DeepColor"} == {
        f"sub/old/{name}" for name in (made, *marks)
    }


@pytest.mark.parametrize("place", ["inside", "around"])
def test_photographs_and_output_are_kept_apart(root, tmp_path, place):
    store = Store(tmp_path / "data" / "images.zarr", IMAGES)
    results = root / "sub" / "results" if place == "inside" else root.parent
    with pytest.raises(InputError, match=r"photographs: .*results|photographs: .*is inside"):
        ingest(FolderSource(path=str(root)), store, outputs=[results])
    assert not store.records.exists()
    table = tmp_path / "table.csv"
    table.write_text("file\na.png\nb.png\n")
    ingest(FolderSource(path=str(root), table=str(table)), store, outputs=[results])
    with pytest.raises(InputError, match=r"contains .*images\.zarr"):
        ingest(FolderSource(path=str(root)), Store(root / "data" / "images.zarr", IMAGES))
