"""Nearest neighbours among the embeddings."""

import json

import numpy as np
import pytest
from inspected import embed, labels, opened, stands_in
from tiny import pixels

from pipeline.core.errors import InputError
from pipeline.images import lab
from pipeline.inspection import neighbours
from pipeline.inspection.dataset import Dataset

pytestmark = pytest.mark.filterwarnings("error")


def test_neighbours_are_nearest_by_cosine_after_subtracting_the_mean(dataset):
    # The common mean is much larger than the differences.
    values = np.random.default_rng(2).normal(0, 1, (15, 1000)) + 50
    values[9] = values[2] + 0.3 * (values[9] - 50)
    centred = values - values.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    distances = 1 - unit @ unit[2]
    nearest = neighbours.nearest(embed(dataset, values), 2, 8)
    assert [each.row for each in nearest] == np.argsort(distances)[1:9].tolist() and nearest[0].row == 9
    np.testing.assert_allclose([each.distance for each in nearest], np.sort(distances)[1:9], atol=1e-4)


def test_neighbours_exclude_nan_and_flag_trivial_ones(dataset):
    values = np.random.default_rng(2).normal(0, 1, (15, 1000))
    values[4, 7] = np.inf
    made = embed(dataset, values)
    index = [{**row} for row in made.index]
    index[1]["group"] = index[5]["group"] = index[0]["group"]
    index[5]["digest"] = index[0]["digest"]
    made = Dataset(made.name, made.images, made.embeddings, index)
    nearest = neighbours.nearest(made, 0, 99)
    assert sorted(each.row for each in nearest) == sorted(set(range(15)) - {0, 4})
    relations = {each.row: each.relation for each in nearest if each.relation}
    assert relations == {1: neighbours.SAME_GROUP, 5: neighbours.SAME_IMAGE}
    with pytest.raises(InputError, match="row 4: "):
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
    printed = json.loads(result.stdout)["neighbours"]
    assert printed["row"] == 3 and [each["row"] for each in printed["nearest"]] == [each.row for each in expected]
    again = pixels("near.png")
    inspect(prepared.embeddings.path, "--neighbours", "3", "--count", "2", "--to", "near.png")
    assert np.array_equal(again, pixels("near.png"))


def test_the_figure_of_neighbours_explains_distance_and_weights(drawn, prepared, tmp_path):
    dataset = opened(prepared)
    index = [{**row, "group": "one"} for row in dataset.index]
    dataset = Dataset("tiny", dataset.images, dataset.embeddings, index)
    (nearest,) = neighbours.nearest(dataset, 3, 1)
    neighbours.draw_neighbours(dataset, 3, [nearest], tmp_path / "x.png")
    text = " ".join(each.get_text() for each in drawn[0].texts)
    assert "1 − cosine" in text and "subtracting the mean" in text and "ImageNet" in text and index[3]["id"] in text
    name, row = index[nearest.row]["id"], nearest.row
    asked = [index[3]["id"], "row 3: the query image", "group one"]
    assert labels(drawn[0]) == [*asked, name, f"row {row}: distance {nearest.distance:.3f}", "group one, same group"]
    assert [patch.get_linestyle() for patch in drawn[0].axes[0].patches] == ["-", ":"]
