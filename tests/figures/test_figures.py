"""Files of figures: equal bytes for equal inputs, the SVG version, and no partial files."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from drawings import NOTHING, cloud, differences, has_colour, history, photographs, point, read

from pipeline.config import paper
from pipeline.figures import colours, learning, pictures, style, sweeps

pytestmark = pytest.mark.filterwarnings("error")


def draw_all(folder):
    images = photographs(2, 16)
    difference = differences(2, 16)
    images[1][1] = difference[1] = np.nan
    learning.curves(folder / "c.png", history(5), "r", 0.51, paper.RUNS["base_lr1e-4"], "n", "diverged in epoch 5")
    pictures.predictions(folder / "p.png", *images, ["one", "two"], "title", "note")
    pictures.errors(folder / "e.png", *images, difference, ["one", "two"], "title", "note")
    colours.chroma(folder / "h.png", cloud(5, 10, 3), cloud(5, 10, 20), "run")
    sweeps.sweep(folder / "s.png", "d", [point("a"), point("b", NOTHING, NOTHING)], {("majority", "accuracy"): 0.51})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_equal_inputs_give_equal_bytes_whatever_the_user_set(tmp_path):
    import matplotlib

    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    files = draw_all(first)
    assert sorted(files) == [f"{name}.{kind}" for name in "cehps" for kind in ("png", "svg")]
    set_by_user = {
        "font.size": 30,
        "savefig.dpi": 37,
        "savefig.bbox": "tight",
        "lines.linewidth": 9,
        "svg.hashsalt": None,
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(set_by_user):
        assert draw_all(second) == files
        assert matplotlib.rcParams["font.size"] == 30
    for name, held in files.items():
        if name.endswith(".png"):
            picture = read(first / name)
            assert min(picture.shape[:2]) >= 480
            if name[0] in "cs":
                assert has_colour(picture, style.BLUE)
        else:
            assert ElementTree.fromstring(held).tag == "{http://www.w3.org/2000/svg}svg"
            assert b"date" not in held.lower() and matplotlib.__version__.encode() not in held


def test_the_vector_version_shows_the_same_places(tmp_path):
    lightness, predicted, true = photographs(2, 16)
    pictures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title")
    height, width = read(tmp_path / "p.png").shape[:2]
    root = ElementTree.parse(tmp_path / "p.svg").getroot()
    points = np.array(root.get("viewBox").split(), float)[2:]
    np.testing.assert_allclose(points * style.DPI / 72, [width, height], atol=0.01)
    images = root.findall(".//{http://www.w3.org/2000/svg}image")
    assert len(images) == 6
    assert {(image.get("width"), image.get("height")) for image in images} == {("16", "16")}, "not enlarged"


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def fail(*arguments, **options):
        raise OSError("disk full")

    figure = Figure()
    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        style.save(figure, tmp_path / "f.png")
    assert list(tmp_path.iterdir()) == []
