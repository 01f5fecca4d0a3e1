"""Contact sheets of images, and plots of the values in stores."""

import json
import shutil

import numpy as np
import pytest
from inspected import embed, labels, opened, stands_in
from tiny import pixels, refused

from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.figures import caches
from pipeline.images import lab
from pipeline.inspection import neighbours, views

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("kind", ["images", "embeddings"])
def test_a_sheet_shows_gray_and_true_pixels_whichever_store_is_named(inspect, prepared, kind):
    result = inspect(prepared.folder / f"{kind}.zarr", "--sheet", "out.png", "--rows", "1,13-14", "--json")
    assert json.loads(result.stdout) == {"sheet": {"of": 3, "path": "out.png", "rows": [1, 13, 14]}}
    assert "shows 3 images\n" in result.stderr
    picture = pixels("out.png")
    for row in (1, 13, 14):
        lightness, ab = (prepared.images.read_rows(name, [row])[0] for name in ("L", "ab"))
        gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
        assert stands_in(gray, picture) == stands_in(lab.to_rgb(lightness, ab), picture) == 1


def test_from_too_many_images_evenly_spaced_ones_are_drawn(drawn, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "MOST_TILES", 5)
    assert views.draw_sheet(opened(prepared), range(15), tmp_path / "x.png") == [0, 4, 7, 10, 14]
    assert drawn[0].texts[0].get_text() == "tiny: 5 of 15 images, evenly spaced"
    assert views.draw_sheet(opened(prepared), range(5), tmp_path / "x.png") == [0, 1, 2, 3, 4]
    assert drawn[1].texts[0].get_text() == "tiny: 5 images"


def test_labels_show_id_row_partition_and_duplicate(drawn, dataset, tmp_path):
    index = dataset.folder / "index.csv"
    rows = csv_files.read(index, ("id", "group", "source", "digest", "flags"))
    rows[4]["flags"] = "duplicate"
    csv_files.write(index, list(rows[0]), rows)
    manifest = files.read_json(dataset.images.manifest_path)
    manifest["files"]["index.csv"] = files.digest_file(index)
    files.write_json(dataset.images.manifest_path, manifest)
    views.draw_sheet(opened(dataset), [4], tmp_path / "x.png")
    partition = next(name for name in ("train", "validation", "test") if 4 in dataset.rows(name))
    assert labels(drawn[0]) == [rows[4]["id"], f"row 4, {partition}, duplicate"]
    (dataset.folder / "splits.csv").unlink()
    views.draw_sheet(opened(dataset), [4], tmp_path / "x.png")
    assert labels(drawn[1]) == [rows[4]["id"], "row 4, duplicate"]
    dataset.images.manifest_path.unlink()
    views.draw_sheet(opened(dataset), [4], tmp_path / "x.png")
    assert labels(drawn[2]) == ["row 4"]


@pytest.mark.parametrize("number", [1, 2, 9, 13, 100])
def test_long_labels_stay_inside_their_tile(drawn, tmp_path, number):
    plain = np.zeros((16, 16), np.uint8)
    tile = caches.Tile(plain, np.stack([plain] * 2, -1), ["W" * 300, "row 1, train"], "-")
    caches.sheet(tmp_path / "x.png", [tile] * number, "a title of words " * 20, "a note of words " * 30)
    figure = drawn[0]
    figure.draw_without_rendering()
    boxes = [text.get_clip_box().extents for text in figure.axes[0].texts]
    headings = [text.get_window_extent().extents for text in figure.texts]
    pictures = [image.get_window_extent().extents for image in figure.axes[0].images]
    assert len(boxes) == len(pictures) == 2 * number
    width, height = figure.get_size_inches() * figure.dpi
    for box in [*boxes, *headings, *pictures]:
        assert box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
    places = np.array([*boxes, *pictures])
    for place, box in enumerate(places):
        others = np.delete(places, place, axis=0)
        apart = (others[:, :2] >= box[2:] - 1).any(1) | (others[:, 2:] <= box[:2] + 1).any(1)
        assert apart.all()
    assert min(box[1] for box in headings) > places[:, 3].max()


def test_the_plot_shows_every_pixel_value_and_the_embeddings_spectrum(drawn, inspect, dataset):
    values = np.random.default_rng(1).normal(0, np.linspace(1, 9, 1000), (15, 1000)) + 5
    values[6] = np.nan
    embed(dataset, values)
    result = inspect(dataset.embeddings.path, "--plot", "out.png", "--json")
    centred = np.delete(values, 6, axis=0).astype(np.float32) - np.delete(values, 6, axis=0).astype(np.float32).mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)[:13]
    share = singular / singular.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    printed = json.loads(result.stdout)["plot"]
    assert (printed["images"], printed["embeddings"]) == (15, 14)
    assert printed["effective_rank"] == pytest.approx(rank, rel=1e-4)
    figure = drawn[0]
    assert "1 embeddings with NaN or infinity" in figure.texts[1].get_text()
    assert "Lite0, ImageNet" in figure.texts[1].get_text()
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["L", "a", "b", "norms", "spectrum"]
    lightness, ab = (dataset.images.read(name, 0, 15) for name in ("L", "ab"))
    for name, channel in (("L", lightness), ("a", ab[..., 0]), ("b", ab[..., 1])):
        shares = panels[name].patches[0].get_data().values
        np.testing.assert_allclose(shares, np.bincount(channel.ravel(), minlength=256) / channel.size)
    drawn_share = panels["spectrum"].lines[0].get_ydata()
    np.testing.assert_allclose(drawn_share, singular**2 / (singular**2).sum(), rtol=1e-4)
    for line, of in zip(panels["norms"].patches, (np.delete(values, 6, axis=0), centred), strict=True):
        counts, edges, _ = line.get_data()
        np.testing.assert_array_equal(counts, np.histogram(np.linalg.norm(of, axis=1), edges)[0])


@pytest.mark.parametrize(("missing", "left"), [("images", ["norms", "spectrum"]), ("embeddings", ["L", "a", "b"])])
def test_the_plot_needs_only_one_store(drawn, inspect, dataset, missing, left):
    shutil.rmtree(dataset.folder / f"{missing}.zarr")
    there = "embeddings" if missing == "images" else "images"
    assert inspect(dataset.folder / f"{there}.zarr", "--plot", "out.png").exit_code == 0
    assert [axes.get_title() for axes in drawn[0].axes] == left
    assert f"no {missing}.zarr" in drawn[0].texts[1].get_text()
    if missing == "images":
        refused(inspect(dataset.embeddings.path, "--sheet", "out.png"), "expected images.zarr")
    else:
        refused(inspect(dataset.images.path, "--neighbours", "0"), "expected embeddings.zarr")


def test_nothing_of_a_plot_is_cut_off(drawn, prepared, tmp_path):
    views.draw_contents(opened(prepared), tmp_path / "x.png")
    figure = drawn[0]
    figure.draw_without_rendering()
    x0, y0, x1, y1 = figure.get_tightbbox().extents
    assert x0 >= 0 and y0 >= 0 and (x1, y1) <= tuple(figure.get_size_inches())
    heading = min(text.get_window_extent().y0 for text in figure.texts)
    assert heading > max(axes.title.get_window_extent().y1 for axes in figure.axes)


def test_equal_embeddings_have_no_spectrum_and_no_neighbours(drawn, dataset, tmp_path):
    alike = embed(dataset, np.full((15, 1000), 3.0))
    assert views.draw_contents(alike, tmp_path / "x.png")["embeddings"] == 15
    assert [text.get_text() for text in drawn[0].axes[-1].texts] == ["all embeddings are equal"]
    with pytest.raises(InputError, match="differs from the mean"):
        neighbours.nearest(alike, 0, 3)
