"""Histograms of predicted and true colours."""

import math

import numpy as np
import pytest
from drawings import cloud, counted, inside, legend, texts

from pipeline.figures import colours

pytestmark = pytest.mark.filterwarnings("error")


def test_chroma_draws_both_histograms_on_one_scale(tmp_path, drawn):
    predicted, true = cloud(5, 10, 3), cloud(5, 10, 20)
    colours.chroma(tmp_path / "h.png", predicted, true, "run", "note")
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
    colours.chroma(tmp_path / "h.png", predicted, true, "run")
    left = drawn[0].axes[0]
    a, b = next(line for line in left.lines if line.get_marker() == "D").get_data()
    assert a[0] == pytest.approx(5, abs=0.2) and b[0] == pytest.approx(-10, abs=0.2)
    assert legend(left.get_legend())[1:] == ["50 % of the true pixels", "95 % of the true pixels"]
    # A round normal cloud holds half its points within 1.18, and 95 % within 2.45 standard deviations.
    reach = sorted({round(np.hypot(*line.get_paths()[0].vertices.T).mean(), 2) for line in left.collections})
    np.testing.assert_allclose(reach, [1.18 * 20, 2.45 * 20], rtol=0.12)


def test_one_colour_and_missing_answers_are_said(tmp_path, drawn):
    true = cloud(5, 10, 20)
    colours.chroma(tmp_path / "a.png", counted(np.full((5000, 2), 128)), true, "gray")
    colours.chroma(tmp_path / "b.png", cloud(5, 10, 20, pixels=1250), true, "a quarter")
    titles = [figure.axes[0].get_title() for figure in drawn]
    assert titles[0] == "predicted: mean chroma 0.0\none colour everywhere"
    assert titles[1].endswith("\nno answer for 75 % of the pixels")


def test_a_diverged_run_has_no_histogram(tmp_path, drawn):
    nothing = np.zeros((256, 256), np.int64)
    colours.chroma(tmp_path / "h.png", nothing, cloud(5, 10, 20), "run")
    left, right, _ = drawn[0].axes
    assert texts(left) == ["no answer:\nnot a number"] and texts(right) == []
    assert left.get_title() == "predicted" and left.patch.get_hatch()
    colours.chroma(tmp_path / "i.png", nothing, nothing, "run")
    assert [texts(axes) for axes in drawn[1].axes] == [["no answer:\nnot a number"], ["no pixels"]]


def test_every_colour_lies_on_the_panel(tmp_path, drawn):
    colours.chroma(tmp_path / "h.png", counted(np.array([[0, 255], [200, 3]])), cloud(0, 0, 5), "far")
    low, high = drawn[0].axes[0].get_xlim()
    assert low <= -128 and high >= 127


def test_counts_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected counts \(256, 256\), received \(128, 128\)"):
        colours.chroma(tmp_path / "h.png", np.zeros((128, 128), np.int64), cloud(0, 0, 5), "run")
