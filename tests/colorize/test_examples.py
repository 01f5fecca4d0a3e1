"""Colours in the spirit of an example: what looks alike lends its colour, and what does not lends little."""

import numpy as np
import pytest
from commands import colorize
from PIL import Image
from skimage import data
from tiny import gray_photograph, refused, star

from pipeline.colorize.examples import Example, ExampleFiles, coloured_like
from pipeline.colorize.spreading import Spreading, describe
from pipeline.images import originals, writing, xmp

SIDE = 24
# Of `describe`: two features, lightness, a and b, row and column.
BY_FEATURES = Spreading(np.diag([6, 6, 0.5, 0.2, 0.2, 0.1, 0.1]).astype(np.float32))


def described(of_side):
    """Of a picture with the given feature in its left half, and none in its right one."""
    features = np.zeros((SIDE, SIDE, 2), np.float32)
    features[:, : SIDE // 2, of_side] = 1
    lightness = np.full((SIDE, SIDE), 50, np.float32)
    return describe(features, lightness, np.zeros((SIDE, SIDE, 2), np.float32))


def test_what_looks_alike_takes_the_colour_of_the_example_wherever_it_is_there():
    colours = np.zeros((SIDE, SIDE, 2), np.float32)
    colours[:, : SIDE // 2], colours[:, SIDE // 2 :] = (50, 10), (-20, 40)
    mirrored = Example(described(0)[:, ::-1], colours[:, ::-1])
    found = coloured_like(BY_FEATURES, described(0), np.zeros((SIDE, SIDE, 2), np.float32), mirrored)
    np.testing.assert_allclose(found[:, :10].mean(axis=(0, 1)), (50, 10), atol=5)
    np.testing.assert_allclose(found[:, 14:].mean(axis=(0, 1)), (-20, 40), atol=5)


def test_what_is_not_in_the_example_keeps_its_colour():
    example = Example(described(1)[:, : SIDE // 2], np.full((SIDE, SIDE // 2, 2), 60, np.float32))
    found = coloured_like(BY_FEATURES, described(0), np.zeros((SIDE, SIDE, 2), np.float32), example)
    assert np.abs(found).max() < 3


@pytest.fixture
def cat(tmp_path):
    """A gray photograph of a cat; a folder with it in green, a rocket, a gray one, and a text file."""
    rgb = data.chelsea()
    Image.fromarray(rgb).convert("L").save(tmp_path / "cat.png")
    folder = tmp_path / "examples"
    folder.mkdir()
    Image.fromarray(rgb[..., [1, 0, 2]]).save(folder / "green.png")
    Image.fromarray(data.rocket()).save(folder / "rocket.jpg")
    Image.fromarray(gray_photograph(50, 60)).save(folder / "gray.png")
    (folder / "note.txt").write_text("not a photograph")
    return tmp_path / "cat.png"


def colours(path):
    with Image.open(path) as image:
        return star(np.asarray(image.convert("RGB")))[..., 1:]


@pytest.mark.slow
def test_the_most_similar_example_of_a_folder_lends_its_colours(cat, tmp_path):
    assert colorize(cat, "--out", tmp_path / "plain").exit_code == 0
    for out, like in (("one", "examples/green.png"), ("folder", "examples")):
        result = colorize(cat, "--out", tmp_path / out, "--like", tmp_path / like)
        assert result.exit_code == 0, result.output
    plain, one, folder = (colours(tmp_path / out / "cat.png") for out in ("plain", "one", "folder"))
    assert (one == folder).all()
    assert one[..., 0].mean() < plain[..., 0].mean() - 5  # greener
    assert "1 skipped" in colorize(cat, "--out", tmp_path / "folder", "--like", tmp_path / "examples").stderr
    hinted = colorize(cat, "--out", tmp_path / "h", "--like", tmp_path / "examples", "--hint", "225,150,#3060c0,15")
    assert hinted.exit_code == 0 and colours(tmp_path / "h" / "cat.png")[150, 225, 1] < folder[150, 225, 1] - 20


def test_examples_without_colour_are_refused_before_anything_is_loaded(cat, tmp_path):
    for like in ("examples/gray.png", "examples/note.txt", "nothing", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        refused(colorize(cat, "--out", tmp_path / "out", "--like", tmp_path / like), "--like", like)
    assert not (tmp_path / "out").exists()


def test_examples_are_known_by_their_content(cat, tmp_path):
    before = ExampleFiles(tmp_path / "examples").identity
    (tmp_path / "examples").rename(tmp_path / "moved")
    assert ExampleFiles(tmp_path / "moved").identity == before
    (tmp_path / "moved" / "rocket.jpg").unlink()
    assert ExampleFiles(tmp_path / "moved").identity != before


def test_colours_of_our_own_are_no_examples_of_a_folder(cat, tmp_path):
    green = originals.read(tmp_path / "examples" / "green.png")
    writing.write(tmp_path / "examples" / "ours.png", green, green.levels, f"{xmp.NOTE} in a test")
    assert len(ExampleFiles(tmp_path / "examples").pictures) == 2  # green.png and rocket.jpg
    assert len(ExampleFiles(tmp_path / "examples" / "ours.png").pictures) == 1
