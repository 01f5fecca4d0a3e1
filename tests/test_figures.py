"""Figures: what the pixels hold, that they repeat, and what is said where there is no number."""

import math

import numpy as np
import pytest
from PIL import Image

from pipeline import figures, lab, paper

pytestmark = pytest.mark.filterwarnings("error")


def photographs(k: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, predicted ab and true ab."""
    rng = np.random.default_rng(k)
    lightness, ab = lab.from_rgb(rng.integers(0, 256, (k, size, size, 3), np.uint8))
    return lightness, (0.5 * ab + 64).astype(np.float32), ab


def history(epochs: int, scale: float = 1.0) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "loss": 300 + scale * 100 / epoch,
            "mse": 290.0,
            "accuracy": 0.5 + 0.1 * epoch / epochs,
            "val_loss": 310 + scale * 100 / epoch,
            "val_mse": 300.0,
            "val_accuracy": 0.5 + 0.05 * epoch / epochs,
        }
        for epoch in range(1, epochs + 1)
    ]


def find(picture: np.ndarray, tile: np.ndarray) -> list[tuple[int, int]]:
    """Every (top, left) where `tile` stands in `picture`, pixel for pixel."""
    height, width = tile.shape[:2]
    corners = np.argwhere((picture == tile[0, 0]).all(-1))
    return [(y, x) for y, x in corners.tolist() if np.array_equal(picture[y : y + height, x : x + width], tile)]


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert not {"Software", "Creation Time", "date"} & set(image.info)
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures that are saved."""
    kept = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept


def texts(thing) -> list[str]:
    return [text.get_text() for text in thing.texts]


def test_rows_hold_gray_predicted_and_true_pixels(tmp_path):
    lightness, predicted, true = photographs(2, 224)
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title", "note")
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


def test_small_pictures_are_enlarged_a_whole_number_of_times(tmp_path):
    lightness, predicted, true = photographs(1, 32)
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["one"], "title")
    enlarged = lab.to_rgb(lightness[0], true[0]).repeat(7, axis=0).repeat(7, axis=1)
    assert len(find(read(tmp_path / "p.png"), enlarged)) == 1


def test_fifty_rows_fit(tmp_path):
    lightness, predicted, true = photographs(50, 8)
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["row"] * 50, "title")
    picture = read(tmp_path / "p.png")
    assert picture.shape[0] > 50 * 224
    last = lab.to_rgb(lightness[-1], true[-1]).repeat(28, axis=0).repeat(28, axis=1)
    assert len(find(picture[-300:], last)) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_not_a_number_is_no_picture(tmp_path, drawn, bad):
    lightness, predicted, true = photographs(2, 32)
    gray = lab.gray_levels()[lightness[0]][..., None].repeat(3, axis=-1).repeat(7, axis=0).repeat(7, axis=1)
    predicted[0] = bad
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title")
    picture = read(tmp_path / "p.png")
    assert texts(drawn[0]).count("no answer:\nnot a number") == 1
    ((top, left),) = find(picture, gray)
    tile = picture[top : top + 224, left + 224 + figures.GAP :][:, :224]
    white = (tile == 255).all(-1).mean()
    assert 0.5 < white < 0.98, "hatched, not a picture and not empty"
    second = lab.to_rgb(lightness[1], predicted[1]).repeat(7, axis=0).repeat(7, axis=1)
    assert len(find(picture, second)) == 1


def test_captions_are_text_and_never_markup(tmp_path, drawn):
    lightness, predicted, true = photographs(3, 16)
    captions = ["costs $\\frac{1}$", "猫/写真.jpg\n   ΔE 3.1", "path/" * 60 + "photo.jpg   ΔE 3.1"]
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, captions, "$title", "$note")
    shown = texts(drawn[0])
    assert captions[0] in shown and "猫/写真.jpg    ΔE 3.1" in shown
    long = shown[-1]
    assert len(long) == figures.LONGEST_LINE and long.startswith("path/") and long.endswith("photo.jpg   ΔE 3.1")
    box = drawn[0].texts[-1].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= read(tmp_path / "p.png").shape[1]


def test_captions_must_match_rows(tmp_path):
    with pytest.raises(ValueError, match="expected 2 captions, received 1"):
        figures.predictions(tmp_path / "p.png", *photographs(2, 16), ["one"], "title")
    assert not (tmp_path / "p.png").exists()


@pytest.mark.parametrize("epochs", [1, 12, 2500])
def test_curves_show_every_epoch(tmp_path, drawn, epochs):
    figures.curves(tmp_path / "c.png", history(epochs), "run", 0.51, paper.RUNS["base_lr1e-4"], "note")
    picture = read(tmp_path / "c.png")
    assert picture.shape[0] >= 480 and picture.shape[1] >= 1000
    loss, accuracy = drawn[0].axes
    assert [len(line.get_xdata()) for line in loss.lines] == [epochs] * 2
    assert {line.get_marker() for line in loss.lines} == ({"o", "s"} if epochs < 40 else {""})
    assert loss.get_yscale() == "linear"
    np.testing.assert_array_equal(accuracy.lines[1].get_ydata(), [row["val_accuracy"] for row in history(epochs)])
    for colour in (figures.TRAIN["color"], figures.VALIDATION["color"]):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(picture.astype(int) - wanted).max(-1) < 8).any()


def test_majority_and_paper_are_named_with_their_numbers(tmp_path, drawn):
    figures.curves(tmp_path / "c.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-4"])
    figures.curves(tmp_path / "d.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-2_bs50"])
    labels = [[text.get_text() for text in figure.axes[1].get_legend().get_texts()] for figure in drawn]
    common = ["training", "validation", "majority answer, validation: 0.5123"]
    assert labels == [[*common, "the paper, validation: 0.5735"], common]
    low, high = drawn[0].axes[1].get_ylim()
    assert low < 0.5123 and high > paper.RUNS["base_lr1e-4"].validation


def test_a_wide_loss_is_drawn_on_a_logarithmic_axis(tmp_path, drawn):
    figures.curves(tmp_path / "c.png", history(20, scale=1000), "run", 0.5)
    assert drawn[0].axes[0].get_yscale() == "log"


def test_a_history_without_numbers_says_so(tmp_path, drawn):
    nothing = [dict.fromkeys(history(1)[0], math.nan) | {"epoch": epoch} for epoch in (1, 2)]
    nothing[1]["loss"] = math.inf
    figures.curves(tmp_path / "c.png", nothing, "run", math.nan)
    figures.curves(tmp_path / "d.png", [], "run", math.nan)
    assert [texts(axes) for axes in drawn[0].axes] == [["not a number in any epoch"]] * 2
    assert [texts(axes) for axes in drawn[1].axes] == [["no epochs"]] * 2


def test_a_diverged_loss_stops_while_accuracy_goes_on(tmp_path, drawn):
    rows = history(6)
    for row in rows[3:]:
        row["loss"] = row["val_loss"] = math.nan
    figures.curves(tmp_path / "c.png", rows, "run", 0.5, note="diverged in epoch 4")
    loss, accuracy = drawn[0].axes
    assert np.isfinite(loss.lines[0].get_ydata()).tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(accuracy.lines[0].get_ydata()).all()
    assert drawn[0].get_supxlabel() == "diverged in epoch 4"


def test_equal_inputs_give_equal_bytes_whatever_the_user_set(tmp_path):
    import matplotlib

    def draw(name):
        figures.curves(tmp_path / f"c{name}", history(5), "run", 0.51, paper.RUNS["base_lr1e-4"], "note")
        figures.predictions(tmp_path / f"p{name}", *photographs(1, 32), ["one"], "title", "note")
        return (tmp_path / f"c{name}").read_bytes(), (tmp_path / f"p{name}").read_bytes()

    first = draw("1.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 37, "savefig.bbox": "tight", "lines.linewidth": 9}):
        assert draw("2.png") == first
        assert matplotlib.rcParams["font.size"] == 30
