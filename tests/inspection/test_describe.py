"""Looking into stores: sheets, spreads of values, neighbours; and by hand, as the page has it."""

import json
import re
import shutil

import numpy as np
import pytest
from tiny import INCEPTION, ROOT, pixels, python, refused

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.figures import caches
from pipeline.images import lab
from pipeline.inspection import neighbours, views
from pipeline.inspection.dataset import Dataset, open_dataset, select
from pipeline.storage.store import Store

pytestmark = pytest.mark.filterwarnings("error")


def opened(dataset):
    return open_dataset(str(dataset.images.path))


def embed(dataset, values):
    """The dataset with these embeddings."""
    store = Store(dataset.embeddings.path, INCEPTION.layout())
    for shard in range(store.shard_count()):
        kept = {key: store.record(shard)[key] for key in ("settings", "input")}
        store.write_shard(shard, {"embedding": values[slice(*store.span(shard))].astype(np.float32)}, **kept)
    store.complete({"images": dataset.images.manifest()["fingerprint"]})
    return opened(dataset)


def stands_in(tile, picture):
    corners = np.argwhere((picture == tile[0, 0]).all(-1)).tolist()
    height, width = tile.shape[:2]
    return sum(np.array_equal(picture[y : y + height, x : x + width], tile) for y, x in corners)


# Sheets.


@pytest.mark.parametrize("kind", ["images", "embeddings"])
def test_a_sheet_holds_gray_and_true_pixels_from_either_store(inspect, prepared, kind):
    result = inspect(prepared.folder / f"{kind}.zarr", "--sheet", "out.png", "--rows", "1,13-14", "--json")
    assert json.loads(result.stdout) == {"sheet": {"of": 3, "path": "out.png", "rows": [1, 13, 14]}}
    assert "shows 3 images\n" in result.stderr
    picture = pixels("out.png")
    for row in (1, 13, 14):
        lightness, ab = (prepared.images.read_rows(name, [row])[0] for name in ("L", "ab"))
        gray = lab.gray_levels()[lightness][..., None].repeat(3, axis=-1)
        assert stands_in(gray, picture) == stands_in(lab.to_rgb(lightness, ab), picture) == 1


def test_images_are_chosen_by_row_id_or_partition(prepared):
    dataset = opened(prepared)
    ids = [row["id"] for row in dataset.index]
    assert select(dataset) == list(range(15))
    assert select(dataset, "3, 0-2,14") == [3, 0, 1, 2, 14]
    assert select(dataset, ids=[ids[4], ids[2], "7"]) == [4, 2, 7]
    for partition in ("train", "validation", "test"):
        assert select(dataset, partition=partition) == prepared.rows(partition).tolist()


@pytest.mark.parametrize("rows", ["15", "5-4", "-1", "x", "", "1,,2", "0-99999999999", "٣"])
def test_rows_that_are_not_there_are_refused(inspect, prepared, rows):
    result = inspect(prepared.images.path, "--sheet", "out.png", "--rows", rows or ",")
    refused(result, "--rows: expected numbers from 0 to 14")


def test_too_many_images_are_thinned_evenly_and_it_says_so(drawn, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "MOST_TILES", 5)
    assert views.draw_sheet(opened(prepared), range(15), tmp_path / "x.png") == [0, 4, 7, 10, 14]
    assert drawn[0].texts[0].get_text() == "tiny: 5 of 15 images, evenly spaced"
    assert views.draw_sheet(opened(prepared), range(5), tmp_path / "x.png") == [0, 1, 2, 3, 4]
    assert drawn[1].texts[0].get_text() == "tiny: 5 images"


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_labels_say_id_row_partition_and_duplicate(drawn, dataset, tmp_path):
    index = dataset.folder / "index.csv"
    rows = files.read_csv(index, ("id", "group", "source", "digest", "flags"))
    rows[4]["flags"] = "duplicate"
    files.write_csv(index, list(rows[0]), rows)
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
def test_labels_lie_apart_and_inside_their_tile_however_long(drawn, tmp_path, number):
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


# Spreads.


def test_the_plot_shows_every_pixel_value_and_the_embeddings_spectrum(drawn, inspect, dataset):
    values = np.random.default_rng(1).normal(0, np.linspace(1, 9, 1000), (15, 1000)) + 5
    values[6] = np.nan
    embed(dataset, values)
    result = inspect(dataset.embeddings.path, "--plot", "out.png", "--json")
    centred = np.delete(values, 6, axis=0).astype(np.float32) - np.delete(values, 6, axis=0).astype(np.float32).mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)[:13]
    share = singular / singular.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    told = json.loads(result.stdout)["plot"]
    assert (told["images"], told["embeddings"]) == (15, 14)
    assert told["effective_rank"] == pytest.approx(rank, rel=1e-4)
    figure = drawn[0]
    assert "1 embeddings with NaN or infinity" in figure.texts[1].get_text()
    assert "RANDOM" in figure.texts[1].get_text()
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
def test_the_plot_does_with_one_store(drawn, inspect, dataset, missing, left):
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


# Neighbours.


def test_neighbours_are_the_nearest_by_cosine_less_the_mean(dataset):
    # What all have in common is much larger than what tells them apart.
    values = np.random.default_rng(2).normal(0, 1, (15, 1000)) + 50
    values[9] = values[2] + 0.3 * (values[9] - 50)
    centred = values - values.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    distances = 1 - unit @ unit[2]
    found = neighbours.nearest(embed(dataset, values), 2, 8)
    assert [each.row for each in found] == np.argsort(distances)[1:9].tolist() and found[0].row == 9
    np.testing.assert_allclose([each.distance for each in found], np.sort(distances)[1:9], atol=1e-4)


def test_neighbours_leave_out_what_is_not_finite_and_flag_what_is_trivial(dataset):
    values = np.random.default_rng(2).normal(0, 1, (15, 1000))
    values[4, 7] = np.inf
    made = embed(dataset, values)
    index = [{**row} for row in made.index]
    index[1]["group"] = index[5]["group"] = index[0]["group"]
    index[5]["digest"] = index[0]["digest"]
    made = Dataset(made.name, made.images, made.embeddings, index)
    found = neighbours.nearest(made, 0, 99)
    assert sorted(each.row for each in found) == sorted(set(range(15)) - {0, 4})
    relations = {each.row: each.relation for each in found if each.relation}
    assert relations == {1: neighbours.SAME_GROUP, 5: neighbours.SAME_IMAGE}
    with pytest.raises(InputError, match="row 4: expected a finite embedding"):
        neighbours.nearest(made, 4, 3)


def test_neighbours_are_listed_and_drawn(inspect, prepared):
    name = opened(prepared).index[3]["id"]
    expected = neighbours.nearest(opened(prepared), 3, 2)
    result = inspect(prepared.images.path, "--neighbours", name, "--count", "2", "--to", "near.png")
    lines = result.stdout.splitlines()
    ids = [opened(prepared).index[each.row]["id"] for each in expected]
    assert [line.split() for line in lines] == [[f"{e.distance:.3f}", i] for e, i in zip(expected, ids, strict=True)]
    picture = pixels("near.png")
    for row in (3, *(each.row for each in expected)):
        lightness, ab = (prepared.images.read_rows(array, [row])[0] for array in ("L", "ab"))
        assert stands_in(lab.to_rgb(lightness, ab)[5:-5, 5:-5], picture) == 1  # a frame lies over the edge
    result = inspect(prepared.images.path, "--neighbours", name, "--count", "2", "--json")
    told = json.loads(result.stdout)["neighbours"]
    assert told["row"] == 3 and [each["row"] for each in told["nearest"]] == [each.row for each in expected]
    again = pixels("near.png")
    inspect(prepared.embeddings.path, "--neighbours", "3", "--count", "2", "--to", "near.png")
    assert np.array_equal(again, pixels("near.png"))


def test_the_figure_of_neighbours_says_what_distance_and_which_weights(drawn, prepared, tmp_path):
    dataset = opened(prepared)
    index = [{**row, "group": "one"} for row in dataset.index]
    dataset = Dataset("tiny", dataset.images, dataset.embeddings, index)
    (found,) = neighbours.nearest(dataset, 3, 1)
    neighbours.draw_neighbours(dataset, 3, [found], tmp_path / "x.png")
    text = " ".join(each.get_text() for each in drawn[0].texts)
    assert "1 − cosine" in text and "subtracting the mean" in text and "RANDOM" in text and index[3]["id"] in text
    name, row = index[found.row]["id"], found.row
    asked = [index[3]["id"], "row 3: the query image", "group one"]
    assert labels(drawn[0]) == [*asked, name, f"row {row}: distance {found.distance:.3f}", "group one, same group"]
    assert [patch.get_linestyle() for patch in drawn[0].axes[0].patches] == ["-", ":"]


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rows", "3"], ["--rows, --id and --partition", "--sheet PNG"]),
        (["--to", "x.png"], ["--to and --count", "--neighbours ID"]),
        (["--sheet", "x.jpg"], ["x.jpg: expected", ".png"]),
        (["--plot", "x"], ["x: expected", ".png"]),
        (["--neighbours", "nobody"], ["image 'nobody': expected an id", "0 to 14"]),
        (["--neighbours", "15"], ["image '15'"]),
        (["--sheet", "x.png", "--id", "nobody"], ["image 'nobody'"]),
        (["--sheet", "x.png", "--partition", "tset"], ["'tset' is not one of 'train', 'validation', 'test'"]),
        (["--sheet", "x.png", "--rows", ""], ["--rows: expected numbers from 0 to 14"]),
        (["--sheet", "x.png", "--plot", "./x.png"], ["--sheet, --plot and --to"]),
        (["--count", "3"], ["--to and --count", "--neighbours ID"]),
        (["--sheet", "x.png", "--partition", "test", "--rows", "1"], ["expected one of --rows, --id and --partition"]),
    ],
)
def test_what_makes_no_sense_is_refused_and_writes_nothing(inspect, prepared, tmp_path, arguments, expected):
    refused(inspect(prepared.images.path, *arguments), *expected)
    assert not list(tmp_path.iterdir())


def test_a_url_is_refused_in_a_line_that_shows_how_to_open_it(inspect):
    url = "https://example.org/images.zarr"
    refused(inspect(url), url, f'zarr.open_group("{url}"')


def test_stores_that_do_not_belong_together_are_refused(inspect, dataset):
    Store(dataset.embeddings.path, INCEPTION.layout()).complete({"images": "0" * 64})
    refused(inspect(dataset.images.path, "--plot", "x.png"), "embeddings.zarr: expected embeddings of the 15 images")


def test_a_damaged_shard_is_named_and_the_old_picture_stays(inspect, dataset, tmp_path):
    path = dataset.images.shard_file("ab", 1)
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "x.png").write_bytes(b"before")
    refused(inspect(dataset.images.path, "--sheet", "x.png", "--rows", "14"), "(ab of images 8 to 14) is damaged")
    assert (tmp_path / "x.png").read_bytes() == b"before"
    assert inspect(dataset.images.path, "--sheet", "x.png", "--rows", "0").exit_code == 0  # in another shard


# By hand.


def test_the_page_shows_the_script_and_what_it_prints(prepared):
    page = (ROOT / "docs" / "caches.md").read_text()
    script = (ROOT / "docs" / "caches.py").read_text().split('"""', 2)[2]
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert code.split() == script.split()
    done = python(ROOT / "docs" / "caches.py", prepared.folder)
    assert done.returncode == 0, done.stderr
    shown = "".join(re.findall(r"```text\n(.*?)```", page, re.DOTALL))

    def plain(text):  # names and numbers are those of another dataset
        return [re.sub(r"[\w.-]*\d[\w.-]*", "#", re.sub(r"[\[\]()]", " ", line)).split() for line in text.splitlines()]

    assert plain(done.stdout) == plain(shown)
    near = neighbours.nearest(opened(prepared), 3, 3)
    index = opened(prepared).index
    line = f"nearest to {index[3]['id']} are {' '.join(index[each.row]['id'] for each in near)}"
    assert line in done.stdout.splitlines()
