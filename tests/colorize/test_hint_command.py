"""Hints from the command line to the written photograph, with the network that comes with DeepColor."""

import json

import cv2
import numpy as np
import pytest
from commands import colorize
from PIL import Image
from tiny import gray_photograph, refused, star

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.core.errors import InputError
from pipeline.images.lab import NEUTRAL

GREEN = "#2e7d32"
STRONG = 20.0  # in a* and b*


def smooth_photograph():
    """Gray (300, 400) uint8 without edges at the places of the hints."""
    return cv2.GaussianBlur(gray_photograph(300, 400), (0, 0), 25)


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "old.png"
    Image.fromarray(smooth_photograph()).save(path)
    return path


def coloured(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info


def test_a_hint_is_met_where_it_is_and_lightness_stays(photograph, tmp_path):
    assert colorize(photograph, "--out", tmp_path / "plain").exit_code == 0
    hinted = colorize(photograph, "--out", tmp_path / "hinted", "--hint", f"200,150,{GREEN}")
    assert hinted.exit_code == 0, hinted.output
    plain, _ = coloured(tmp_path / "plain" / "old.png")
    rgb, info = coloured(tmp_path / "hinted" / "old.png")
    wanted = Hint(0, 0, GREEN).ab
    assert np.linalg.norm(star(rgb)[148:153, 198:203, 1:].mean(axis=(0, 1)) - wanted) < 8
    assert np.linalg.norm(star(plain)[148:153, 198:203, 1:].mean(axis=(0, 1)) - wanted) > STRONG
    assert np.abs(star(rgb)[..., 0] - star(plain)[..., 0]).max() < 1
    assert "1 place chosen by a person" in json.dumps({key: str(value) for key, value in info.items()})


def test_other_hints_are_another_result_and_the_same_ones_are_not(photograph, tmp_path):
    out = tmp_path / "out"
    given = (photograph, "--out", out, "--hint")
    assert "1 coloured" in colorize(*given, f"200,150,{GREEN}").stderr
    assert "1 skipped" in colorize(*given, f"200,150,{GREEN}").stderr
    assert colorize(*given, "200,150,#aa2222").exit_code == 1  # what is there was made with another hint
    assert "1 coloured" in colorize(*given, "200,150,#aa2222", "--overwrite").stderr


def test_a_file_of_hints_colours_only_the_photographs_that_it_names(photograph, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(photograph.read_bytes())
    hints = tmp_path / "hints.json"
    hints.write_text(json.dumps({"a.png": [{"x": 200, "y": 150, "color": GREEN}]}))
    result = colorize(tmp_path / "in", "--out", tmp_path / "out", "--hints", hints)
    assert result.exit_code == 0, result.output
    assert colorize(photograph, "--out", tmp_path / "plain").exit_code == 0
    a, b, plain = (coloured(tmp_path / path)[0] for path in ("out/a.png", "out/b.png", "plain/old.png"))
    assert (b == plain).all() and (a != plain).any()
    hints.write_text(json.dumps({"c.png": []}))
    refused(colorize(tmp_path / "in", "--out", tmp_path / "other", "--hints", hints), "hints.json", "c.png")
    refused(colorize(tmp_path / "in", "--out", tmp_path / "other", "--hint", f"1,1,{GREEN}"), "--hint", "--hints")
    refused(colorize(photograph, "--out", tmp_path / "other", "--hint", "1,1,green"), "--hint", "green")
    assert not (tmp_path / "other").exists()


def test_a_hint_beside_the_photograph_fails_that_photograph(photograph, tmp_path):
    result = colorize(photograph, "--out", tmp_path / "out", "--hint", f"400,150,{GREEN}")
    assert result.exit_code == 1 and "400,150" in result.stderr and not (tmp_path / "out" / "old.png").exists()


def test_a_network_without_hints_refuses_them_and_colours_without(keras, made_run):
    colorizer = Colorizer.load(made_run)
    levels = gray_photograph(60, 80)
    with pytest.raises(InputError, match="--hint"):
        colorizer(levels, hints=[Hint(1, 1, GREEN)])
    assert colorizer(levels).shape == (60, 80, 3)


def framed():
    """A photograph in a white border of 40 pixels."""
    levels = np.full((380, 480), 250, np.uint8)
    levels[40:340, 40:440] = smooth_photograph() // 4 * 3
    return levels


def test_a_hint_inside_a_border_leaves_the_border_gray_and_one_on_it_does_not():
    colorizer, levels = Colorizer.load(), framed()
    seen = colorizer.see(levels)
    inside = colorizer(levels, hints=[Hint(240, 190, GREEN)])
    assert np.ptp(inside[:38].astype(int), axis=-1).max() <= 1
    assert np.linalg.norm(star(inside)[188:193, 238:243, 1:].mean(axis=(0, 1)) - Hint(0, 0, GREEN).ab) < 8
    on_it = colorizer(levels, hints=[Hint(10, 10, "#ffddaa")])
    assert np.linalg.norm(star(on_it)[5:15, 5:15, 1:].mean(axis=(0, 1))) > 2
    assert len(seen.likely(190, 240)) == 8


def test_likely_colours_differ_and_have_the_lightness_of_the_place():
    levels = smooth_photograph()
    seen = Colorizer.load().see(levels)
    offered = seen.likely(150, 200, 6)
    assert len(set(offered)) == 6
    rgb = np.array([[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in offered], np.uint8)
    lightness = star(rgb[None])[0, :, 0]
    assert np.ptp(lightness) < 12 and abs(np.median(lightness) - star(levels)[140:160, 190:210, 0].mean()) < 12


def test_saturation_changes_everything_but_the_hint():
    levels, hints = smooth_photograph(), [Hint(200, 150, GREEN)]
    colorizer = Colorizer.load(saturation=0.0)
    ab = colorizer.ab(levels, hints=hints).astype(float) - NEUTRAL
    assert np.linalg.norm(ab[148:153, 198:203].mean(axis=(0, 1)) - hints[0].ab) < 8
    assert (colorizer.ab(levels) == NEUTRAL).all()
