"""Figures: what the pixels hold, that they repeat, and what is said where there is no number."""

import dataclasses
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pipeline import figures, lab, paper
from pipeline.figures import SweepPoint, colours, pictures, style, sweeps

pytestmark = pytest.mark.filterwarnings("error")

NOTHING = (math.nan, None, None)


def photographs(k: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, predicted ab and true ab."""
    rng = np.random.default_rng(k)
    lightness, ab = lab.from_rgb(rng.integers(0, 256, (k, size, size, 3), np.uint8))
    return lightness, (0.5 * ab + 64).astype(np.float32), ab


def differences(k: int, size: int) -> np.ndarray:
    return np.random.default_rng(k).uniform(0, 60, (k, size, size))


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


def counted(ab: np.ndarray) -> np.ndarray:
    """Histogram of colours (n, 2) in 8-bit units."""
    counts = np.zeros((256, 256), np.int64)
    np.add.at(counts, (ab[:, 0], ab[:, 1]), 1)
    return counts


def cloud(a: float, b: float, spread: float, pixels: int = 5000) -> np.ndarray:
    ab = np.random.default_rng(0).normal((a + 128, b + 128), spread, (pixels, 2))
    return counted(np.clip(ab.round(), 0, 255).astype(int))


def point(run: str = "run", **changes) -> SweepPoint:
    scores = {"accuracy": (0.55, 0.54, 0.57), "ciede2000": (11.0, 10.5, 11.75)}
    settings = {"architecture": "base", "learning_rate": 1e-3, "l2": 0.01, "batch_size": 10, "seed": 0}
    return SweepPoint(**{"run": run, "dataset": "photographs", "embedding": True, **settings, **scores, **changes})


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


def has_colour(picture: np.ndarray, colour: str) -> bool:
    return bool((np.abs(picture - 255 * np.array(to_rgb(colour))).max(-1) < 8).any())


@pytest.fixture
def drawn(monkeypatch):
    """The figures, not saved: that takes longer than drawing them."""
    kept = []
    monkeypatch.setattr(style, "save", lambda figure, path: kept.append(figure))
    return kept


@pytest.fixture
def saved(monkeypatch):
    """The figures, saved too."""
    kept = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept


def texts(thing) -> list[str]:
    return [text.get_text() for text in thing.texts]


def legend(thing) -> list[str]:
    return [text.get_text() for text in thing.get_texts()]


def inside(figure) -> bool:
    """Whether nothing is cut off at the figure's edges."""
    with style.style():
        figure.draw_without_rendering()
        x0, y0, x1, y1 = figure.get_tightbbox().extents
    width, height = figure.get_size_inches()
    return x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height


# Predictions and error maps.


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


@pytest.mark.parametrize("shape", [(32, 32), (20, 33), (300, 240)])
def test_small_pictures_are_enlarged_a_whole_number_of_times(tmp_path, shape):
    lightness, predicted, true = (each[:, : shape[0], : shape[1]] for each in photographs(1, max(shape)))
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["one"], "title")
    times = math.ceil(224 / min(shape))
    enlarged = lab.to_rgb(lightness[0], true[0]).repeat(times, axis=0).repeat(times, axis=1)
    assert len(find(read(tmp_path / "p.png"), enlarged)) == 1


def test_fifty_rows_are_exact_in_every_row(tmp_path):
    lightness, predicted, true = photographs(50, 8)
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["row"] * 50, "title")
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
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title")
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
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, captions, "$title", "$note")
    shown = texts(saved[0])
    assert captions[0] in shown and "猫/写真.jpg    ΔE 3.1" in shown
    long = shown[-1]
    assert len(long) == pictures.LONGEST_LINE and long.startswith("path/") and long.endswith("photo.jpg   ΔE 3.1")
    box = saved[0].texts[-1].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= read(tmp_path / "p.png").shape[1]


def test_a_long_title_takes_two_lines(tmp_path, drawn):
    title = "base_lr1e-3: test images, evenly from the smallest error to the largest"
    figures.predictions(tmp_path / "p.png", *photographs(1, 16), ["one"], title, "note")
    shown = texts(drawn[0])
    assert " ".join(shown[: shown.index("note")]) == title and shown.index("note") == 2
    assert inside(drawn[0])


def test_captions_and_differences_must_match_rows(tmp_path):
    images = photographs(2, 16)
    with pytest.raises(ValueError, match="expected 2 captions, received 1"):
        figures.predictions(tmp_path / "p.png", *images, ["one"], "title")
    with pytest.raises(ValueError, match="expected 2 captions, received 1"):
        figures.errors(tmp_path / "p.png", *images, differences(2, 16), ["one"], "title")
    with pytest.raises(ValueError, match=r"expected differences \(2, 16, 16\), received \(1, 16, 16\)"):
        figures.errors(tmp_path / "p.png", *images, differences(1, 16), ["one", "two"], "title")
    assert list(tmp_path.iterdir()) == []


def test_error_maps_stand_beside_predicted_and_true(tmp_path, saved):
    lightness, predicted, true = photographs(2, 224)
    difference = differences(2, 224)
    names = ["first", "second"]
    figures.errors(tmp_path / "e.png", lightness, predicted, true, difference, names, "t", "note")
    picture = read(tmp_path / "e.png")
    for i in range(2):
        tiles = (
            lab.to_rgb(lightness[i], predicted[i]),
            lab.to_rgb(lightness[i], true[i]),
            figures.pictures.error_colours(difference[i]),
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
    figures.errors(tmp_path / "e.png", lightness, predicted, true, difference, ["first", "second"], "t")
    assert texts(saved[0]).count("no answer:\nnot a number") == 2
    half = pictures.error_colours(difference[1])
    np.testing.assert_array_equal(half[16:], pictures.error_colours(difference[1, 16:]))
    assert set(half[:16].ravel().tolist()) == {170, 255}, "gray and white stripes, which no number has"
    enlarged = half.repeat(7, axis=0).repeat(7, axis=1)
    assert len(find(read(tmp_path / "e.png"), enlarged)) == 1


# Learning curves.


@pytest.mark.parametrize("epochs", [1, 12, 2500])
def test_curves_show_every_epoch(tmp_path, drawn, epochs):
    figures.curves(tmp_path / "c.png", history(epochs), "run", 0.51, paper.RUNS["base_lr1e-4"], "note")
    loss, accuracy = drawn[0].axes
    assert [len(line.get_xdata()) for line in loss.lines] == [epochs] * 2
    assert {line.get_marker() for line in loss.lines} == ({"o", "s"} if epochs < 40 else {""})
    assert loss.get_yscale() == "linear"
    np.testing.assert_array_equal(accuracy.lines[1].get_ydata(), [row["val_accuracy"] for row in history(epochs)])
    assert "note" in texts(drawn[0])


def test_majority_and_paper_are_named_with_their_numbers(tmp_path, drawn):
    figures.curves(tmp_path / "c.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-4"])
    figures.curves(tmp_path / "d.png", history(5), "run", 0.5123, paper.RUNS["base_lr1e-2_bs50"])
    labels = [legend(figure.axes[1].get_legend()) for figure in drawn]
    common = ["training", "validation", "majority answer, validation: 0.5123"]
    assert labels == [[*common, "the paper, validation: 0.5735"], common]
    low, high = drawn[0].axes[1].get_ylim()
    assert low < 0.5123 and high > paper.RUNS["base_lr1e-4"].validation


def test_a_wide_loss_is_drawn_on_a_logarithmic_axis(tmp_path, drawn):
    figures.curves(tmp_path / "c.png", history(20, scale=1000), "run", 0.5)
    assert drawn[0].axes[0].get_yscale() == "log"


def test_a_loss_over_many_decades_names_few_of_them(tmp_path, drawn):
    rows = history(9)
    for row in rows:
        row["loss"] *= 10.0 ** row["epoch"]
    figures.curves(tmp_path / "c.png", rows, "run", 0.5)
    axes = drawn[0].axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and len([tick for tick in axes.get_yticks() if low <= tick <= high]) <= 12


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
    figures.curves(tmp_path / "c.png", rows, "run", 0.5)
    loss, accuracy = drawn[0].axes
    assert np.isfinite(loss.lines[0].get_ydata()).tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(accuracy.lines[0].get_ydata()).all()


@pytest.mark.parametrize(("epochs", "finite"), [(1, False), (1, True), (7, True), (0, True)])
def test_where_a_run_ended_is_marked_at_its_last_epoch(tmp_path, drawn, epochs, finite):
    rows = history(epochs)
    if rows:
        rows[-1] = rows[-1] if finite else dict.fromkeys(rows[-1], math.nan) | {"epoch": epochs}
    figures.curves(tmp_path / "c.png", rows, "run", 0.5, ended="diverged in epoch 9, by step 11")
    assert inside(drawn[0])
    for axes in drawn[0].axes:
        assert texts(axes)[-1] == "diverged in epoch 9, by step 11"
        assert [line for line in axes.lines if list(line.get_xdata()) == [epochs, epochs]], "a line at the last epoch"
        low, high = axes.get_xlim()
        assert low < epochs < high
        assert all(tick <= epochs for tick in axes.get_xticks())
        box = axes.texts[-1].get_window_extent()
        assert box.x0 > axes.transData.transform((epochs, 0))[0], "right of the line, where no curve is"
        assert axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1


# The ab histogram.


def test_chroma_draws_both_histograms_on_one_scale(tmp_path, drawn):
    predicted, true = cloud(5, 10, 3), cloud(5, 10, 20)
    figures.chroma(tmp_path / "h.png", predicted, true, "run", "note")
    left, right, _ = drawn[0].axes
    shown = [axes.images[-1] for axes in (left, right)]
    for image, counts in zip(shown, (predicted, true), strict=True):
        # b upwards, a to the right, empty colours left out.
        np.testing.assert_array_equal(image.get_array().filled(0), counts.T)
        assert image.get_extent() == [-128.5, 127.5, -128.5, 127.5]
        assert image.norm.vmax == max(predicted.max(), true.max())
    assert left.get_title() == f"predicted: mean chroma {colours.mean_chroma(predicted):.1f}"
    assert right.get_title() == f"true: mean chroma {colours.mean_chroma(true):.1f}"
    assert left.get_xlim() == right.get_xlim() == left.get_ylim()
    assert "green to red" in left.get_xlabel() and "blue to yellow" in left.get_ylabel()
    assert inside(drawn[0])


def test_mean_chroma_is_the_distance_from_gray():
    assert colours.mean_chroma(counted(np.array([[131, 132], [128, 128]]))) == 2.5
    assert math.isnan(colours.mean_chroma(np.zeros((256, 256), np.int64)))


def test_the_mean_colour_and_the_true_outlines_are_on_the_predicted_panel(tmp_path, drawn):
    predicted, true = cloud(5, -10, 2), cloud(0, 0, 20)
    figures.chroma(tmp_path / "h.png", predicted, true, "run")
    left = drawn[0].axes[0]
    a, b = next(line for line in left.lines if line.get_marker() == "D").get_data()
    assert a[0] == pytest.approx(5, abs=0.2) and b[0] == pytest.approx(-10, abs=0.2)
    assert legend(left.get_legend())[1:] == ["50 % of the true pixels", "95 % of the true pixels"]
    # A round normal cloud holds half its points within 1.18, and 95 % within 2.45 standard deviations.
    reach = sorted({round(np.hypot(*line.get_paths()[0].vertices.T).mean(), 2) for line in left.collections})
    np.testing.assert_allclose(reach, [1.18 * 20, 2.45 * 20], rtol=0.12)


def test_one_colour_and_missing_answers_are_said(tmp_path, drawn):
    true = cloud(5, 10, 20)
    figures.chroma(tmp_path / "a.png", counted(np.full((5000, 2), 128)), true, "gray")
    figures.chroma(tmp_path / "b.png", cloud(5, 10, 20, pixels=1250), true, "a quarter")
    titles = [figure.axes[0].get_title() for figure in drawn]
    assert titles[0] == "predicted: mean chroma 0.0\none colour everywhere"
    assert titles[1].endswith("\nno answer for 75 % of the pixels")


def test_a_diverged_run_has_no_histogram(tmp_path, drawn):
    nothing = np.zeros((256, 256), np.int64)
    figures.chroma(tmp_path / "h.png", nothing, cloud(5, 10, 20), "run")
    left, right, _ = drawn[0].axes
    assert texts(left) == ["no answer:\nnot a number"] and texts(right) == []
    assert left.get_title() == "predicted" and left.patch.get_hatch()
    figures.chroma(tmp_path / "i.png", nothing, nothing, "run")
    assert [texts(axes) for axes in drawn[1].axes] == [["no answer:\nnot a number"], ["no pixels"]]


def test_every_colour_lies_on_the_panel(tmp_path, drawn):
    figures.chroma(tmp_path / "h.png", counted(np.array([[0, 255], [200, 3]])), cloud(0, 0, 5), "far")
    low, high = drawn[0].axes[0].get_xlim()
    assert low <= -128 and high >= 127


def test_counts_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected counts \(256, 256\), received \(128, 128\)"):
        figures.chroma(tmp_path / "h.png", np.zeros((128, 128), np.int64), cloud(0, 0, 5), "run")


# All runs.


def marks(axes) -> list:
    """What is drawn of each run: all but the reference lines."""
    return [line for line in axes.lines if line.get_marker() != "None"]


def test_sweep_draws_each_run_against_each_setting(tmp_path, drawn):
    points = [
        point("a", learning_rate=1e-2),
        point("b", learning_rate=1e-4, l2=0.0, accuracy=(0.5, None, None), ciede2000=(13.0, None, None)),
        point("c", architecture="arch1", l2=0.1, embedding=False),
    ]
    references = {"majority": 0.51, "mean_ciede2000": 12.5, "gray_ciede2000": 14.0}
    figures.sweep(tmp_path / "s.png", points, **references)
    accuracy, ciede2000 = drawn[0].axes[:3], drawn[0].axes[3:]
    for row, field in ((accuracy, "accuracy"), (ciede2000, "ciede2000")):
        assert "validation" in row[0].get_ylabel()
        for axes in row:
            # Sorted by architecture: c, a, b.
            expected = [getattr(points[i], field)[0] for i in (2, 0, 1)]
            assert [line.get_ydata()[0] for line in marks(axes)] == expected
            ends = [tuple(bar.get_segments()[0][:, 1]) for bar in axes.collections]
            assert ends == [getattr(points[0], field)[1:]] * 2, "b has no interval"
    rates, penalties, names = ciede2000
    ticks = [
        dict(zip([t.get_text() for t in axes.get_xticklabels()], axes.get_xticks(), strict=True)) for axes in ciede2000
    ]
    assert ticks[0] == pytest.approx({"1e-4": -4, "1e-3": -3, "1e-2": -2})
    assert ticks[1] == pytest.approx({"0": -3, "1e-2": -2, "1e-1": -1})
    assert [line.get_xdata()[0] for line in marks(penalties)] == pytest.approx(
        [ticks[1]["1e-1"], ticks[1]["1e-2"], ticks[1]["0"]]
    )
    assert list(ticks[2]) == ["arch1", "base"]
    looks = {(line.get_markeredgecolor(), line.get_marker()) for line in marks(names)}
    assert looks == set(sweeps.LOOKS[:2])
    assert [line.get_ydata()[0] for line in rates.lines if line not in marks(rates)] == [12.5, 14.0]
    (box,) = drawn[0].legends
    assert set(legend(box)) == {
        "arch1",
        "base",
        "open: without embedding",
        "95 % interval",
        "majority answer: 0.51",
        "training images' mean colour: 12.5",
        "gray answer: 14",
    }
    assert texts(drawn[0])[0] == "3 runs, validation images of photographs"


def test_points_of_one_setting_stand_side_by_side(tmp_path, drawn):
    runs = [point(f"r{i:02}") for i in range(16)] + [point("other", learning_rate=1e-2)]
    figures.sweep(tmp_path / "s.png", runs)
    figures.sweep(tmp_path / "t.png", runs[::-1])
    first, second = ([line.get_xdata()[0] for line in marks(figure.axes[0])] for figure in drawn)
    assert first == second, "the order of runs does not matter"
    places = first[1:]  # sorted by run: "other" comes first
    assert len(set(places)) == 16 and np.mean(places) == pytest.approx(-3)
    assert max(places) - min(places) < 1, "less than the way to the next learning rate"


def test_a_diverged_run_is_a_cross_at_the_bad_edge(tmp_path, drawn):
    figures.sweep(tmp_path / "s.png", [point("a"), point("b", accuracy=NOTHING, ciede2000=NOTHING)])
    for axes, edge in zip(drawn[0].axes, (0, 0, 0, 1, 1, 1), strict=True):
        cross = next(line for line in marks(axes) if line.get_marker() == "X")
        assert cross.get_ydata()[0] == edge and cross.get_transform() == axes.get_xaxis_transform()
    assert "diverged: not a number" in legend(drawn[0].legends[0])
    figures.sweep(tmp_path / "t.png", [point("b", accuracy=NOTHING, ciede2000=NOTHING, l2=0.0)])
    assert {text for axes in drawn[1].axes for text in texts(axes)} == {"not a number\nin any run"}


def test_sweep_of_nothing_says_so(tmp_path, drawn):
    figures.sweep(tmp_path / "s.png", [])
    assert {text for axes in drawn[0].axes for text in texts(axes)} == {"no runs"}


def test_long_names_and_many_architectures_stay_on_the_figure(tmp_path, drawn):
    long = [point("run_" * 60 + str(i), architecture="architecture_" * 9 + str(i), l2=i * 0.01) for i in range(12)]
    figures.sweep(tmp_path / "s.png", long, "title " * 60, majority=0.51, mean_ciede2000=12.5, gray_ciede2000=14.0)
    assert inside(drawn[0])
    box = drawn[0].legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= drawn[0].bbox.width and box.y0 >= 0
    assert box.y1 < min(axes.get_tightbbox().y0 for axes in drawn[0].axes)


def test_architectures_differ_by_colour_and_marker():
    assert len({colour for colour, _ in sweeps.LOOKS}) == len({marker for _, marker in sweeps.LOOKS}) == 7


def test_a_sweep_is_of_one_dataset(tmp_path):
    runs = [point("a"), dataclasses.replace(point("b"), dataset="sample")]
    with pytest.raises(ValueError, match="expected runs of one dataset, received photographs, sample"):
        figures.sweep(tmp_path / "s.png", runs)


# Files.


def draw_all(folder):
    images = photographs(2, 16)
    difference = differences(2, 16)
    images[1][1] = difference[1] = np.nan
    figures.curves(folder / "c.png", history(5), "r", 0.51, paper.RUNS["base_lr1e-4"], "n", "diverged in epoch 5")
    figures.predictions(folder / "p.png", *images, ["one", "two"], "title", "note")
    figures.errors(folder / "e.png", *images, difference, ["one", "two"], "title", "note")
    figures.chroma(folder / "h.png", cloud(5, 10, 3), cloud(5, 10, 20), "run")
    figures.sweep(folder / "s.png", [point("a"), point("b", accuracy=NOTHING, ciede2000=NOTHING)], majority=0.51)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
    figures.predictions(tmp_path / "p.png", lightness, predicted, true, ["first", "second"], "title")
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
        figures.save(figure, tmp_path / "f.png")
    assert list(tmp_path.iterdir()) == []
