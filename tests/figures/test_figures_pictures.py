"""Figures of predictions and errors: what the pixels hold, and what is no picture."""

import math

import numpy as np
import pytest
from drawings import differences, find, inside, photographs, read, texts

from pipeline.figures import pictures
from pipeline.images import lab

pytestmark = pytest.mark.filterwarnings("error")


def test_rows_hold_gray_predicted_and_true_pixels(tmp_path):
    lightness, predicted, true = photographs(2, 224)
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title", "note")
    picture = read(tmp_path / "p.png")
    places = []
    for i in range(2):
        gray = lab.gray_levels()[lightness[i]][..., None].repeat(3, axis=-1)
        tiles = (gray, lab.to_rgb(lightness[i], predicted[i]), lab.to_rgb(lightness[i], true[i]))
        found = [find(picture, tile) for tile in tiles]
        assert [len(each) for each in found] == [1, 1, 1]
        places.append([each[0] for each in found])
    tops, lefts = np.array(places)[..., 0], np.array(places)[..., 1]
    assert (tops == tops[:, :1]).all() and tops[1, 0] - tops[0, 0] >= 224
    assert (lefts == lefts[:1]).all() and (np.diff(lefts[0]) >= 224).all()


@pytest.mark.parametrize("shape", [(32, 32), (20, 33), (300, 240)])
def test_small_pictures_are_enlarged_a_whole_number_of_times(tmp_path, shape):
    lightness, predicted, true = (each[:, : shape[0], : shape[1]] for each in photographs(1, max(shape)))
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, ["one"], "title")
    times = math.ceil(224 / min(shape))
    enlarged = lab.to_rgb(lightness[0], true[0]).repeat(times, axis=0).repeat(times, axis=1)
    assert len(find(read(tmp_path / "p.png"), enlarged)) == 1


def test_fifty_rows_are_exact_in_every_row(tmp_path):
    lightness, predicted, true = photographs(50, 8)
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, ["row"] * 50, "title")
    picture = read(tmp_path / "p.png")
    step = 224 + pictures.CAPTION
    for i in range(50):
        bottom = picture.shape[0] - pictures.MARGIN - (49 - i) * step - pictures.CAPTION
        row = picture[bottom - 224 : bottom]
        expected = lab.to_rgb(lightness[i], true[i]).repeat(28, axis=0).repeat(28, axis=1)
        np.testing.assert_array_equal(row[:, -pictures.MARGIN - 224 : -pictures.MARGIN], expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_not_a_number_is_no_picture(tmp_path, saved, bad):
    lightness, predicted, true = photographs(2, 32)
    gray = lab.gray_levels()[lightness[0]][..., None].repeat(3, axis=-1).repeat(7, axis=0).repeat(7, axis=1)
    predicted[0] = bad
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title")
    picture = read(tmp_path / "p.png")
    assert texts(saved[0]).count("no answer:\nnot a number") == 1
    ((top, left),) = find(picture, gray)
    tile = picture[top : top + 224, left + 224 + pictures.GAP :][:, :224]
    white = (tile == 255).all(-1).mean()
    assert 0.5 < white < 0.98, "hatched, not a picture and not empty"
    second = lab.to_rgb(lightness[1], predicted[1]).repeat(7, axis=0).repeat(7, axis=1)
    assert len(find(picture, second)) == 1


def test_captions_are_text_and_never_markup(tmp_path, saved):
    lightness, predicted, true = photographs(3, 16)
    captions = ["costs $\\frac{1}$", "猫/写真.jpg\n   ΔE 3.1", "path/" * 60 + "photo.jpg   ΔE 3.1"]
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, captions, "$title", "$note")
    shown = texts(saved[0])
    assert captions[0] in shown and "猫/写真.jpg    ΔE 3.1" in shown
    long = shown[-1]
    assert len(long) == pictures.LONGEST_LINE and long.startswith("path/") and long.endswith("photo.jpg   ΔE 3.1")
    box = saved[0].texts[-1].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= read(tmp_path / "p.png").shape[1]


def test_a_long_title_takes_two_lines(tmp_path, drawn):
    title = "base_lr1e-3: test images, evenly from the smallest error to the largest"
    pictures.predictions(tmp_path / "p.png", *photographs(1, 16), ["one"], title, "note")
    shown = texts(drawn[0])
    assert " ".join(shown[: shown.index("note")]) == title and shown.index("note") == 2
    assert inside(drawn[0])


def test_captions_and_differences_must_match_rows(tmp_path):
    images = photographs(2, 16)
    with pytest.raises(ValueError, match=r"\b2\b.*\b1\b"):
        pictures.predictions(tmp_path / "p.png", *images, ["one"], "title")
    with pytest.raises(ValueError, match=r"\b2\b.*\b1\b"):
        pictures.errors(tmp_path / "p.png", *images, differences(2, 16), ["one"], "title")
    with pytest.raises(ValueError, match=r"expected differences \(2, 16, 16\), received \(1, 16, 16\)"):
        pictures.errors(tmp_path / "p.png", *images, differences(1, 16), ["one", "two"], "title")
    assert list(tmp_path.iterdir()) == []


def test_error_maps_stand_beside_predicted_and_true(tmp_path, saved):
    lightness, predicted, true = photographs(2, 224)
    difference = differences(2, 224)
    names = ["first", "second"]
    pictures.errors(tmp_path / "e.png", lightness, predicted, true, difference, names, "t", "note")
    picture = read(tmp_path / "e.png")
    for i in range(2):
        tiles = (
            lab.to_rgb(lightness[i], predicted[i]),
            lab.to_rgb(lightness[i], true[i]),
            pictures.error_colours(difference[i]),
        )
        (places,) = np.transpose([find(picture, tile) for tile in tiles], (1, 0, 2))
        assert (places[:, 0] == places[0, 0]).all() and (np.diff(places[:, 1]) >= 224).all()
    assert {"predicted", "true", "difference (CIEDE2000)", "0", "40 and more"} <= set(texts(saved[0]))


def test_error_colours_are_one_scale_that_survives_gray_print():
    rising = pictures.error_colours(np.linspace(0, 40, 64)[None])[0]
    luminance = rising @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all() and luminance[-1] - luminance[0] > 200
    np.testing.assert_array_equal(pictures.error_colours(np.array([[40.0, 41.0, 1e9]]))[0], rising[[-1] * 3])
    np.testing.assert_array_equal(pictures.error_colours(np.array([[0.0]]))[0], rising[[0]])


def test_a_difference_that_is_not_a_number_is_no_error(tmp_path, saved):
    lightness, predicted, true = photographs(2, 32)
    difference = differences(2, 32)
    predicted[0] = difference[0] = np.nan
    difference[1, :16] = np.nan
    pictures.errors(tmp_path / "e.png", lightness, predicted, true, difference, ["first", "second"], "t")
    assert texts(saved[0]).count("no answer:\nnot a number") == 2
    half = pictures.error_colours(difference[1])
    np.testing.assert_array_equal(half[16:], pictures.error_colours(difference[1, 16:]))
    assert set(half[:16].ravel().tolist()) == {170, 255}, "gray and white stripes, which no number has"
    enlarged = half.repeat(7, axis=0).repeat(7, axis=1)
    assert len(find(read(tmp_path / "e.png"), enlarged)) == 1
