"""The colour encoding against scikit-image, OpenCV's published values and itself."""

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from pipeline.images import lab

GRID = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
GRAYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


@pytest.mark.parametrize("rgb", [GRID, GRAYS], ids=["colours", "grays"])
def test_encoding_is_within_half_a_unit_of_scikit_image(rgb):
    lightness, ab = lab.from_rgb(rgb)
    assert lightness.dtype == ab.dtype == np.uint8
    error = np.abs(lab.decode(lightness, ab) - rgb2lab(rgb))
    assert error[:, 0].max() <= 0.5 / 2.55 + 1e-6
    assert error[:, 1:].max() <= 0.5 + 1e-6


@pytest.mark.parametrize("reds", [slice(0, 256, 51), pytest.param(slice(256), marks=pytest.mark.long)])
def test_every_colour_is_encoded_as_by_scikit_image(reds):
    for red in range(256)[reds]:
        rgb = np.stack(np.meshgrid(red, np.arange(256), np.arange(256)), axis=-1).astype(np.uint8)
        for ours, theirs in zip(lab.from_rgb(rgb), lab.encode(rgb2lab(rgb)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((255, 0, 0), (136, 208, 195)), ((0, 255, 0), (224, 42, 211)), ((0, 0, 255), (82, 207, 20)),
     ((255, 255, 255), (255, 128, 128)), ((0, 0, 0), (0, 128, 128))],
)  # fmt: skip
def test_primaries_have_opencvs_values(rgb, expected):
    lightness, ab = lab.from_rgb(np.array(rgb, np.uint8))
    assert (int(lightness), *ab.tolist()) == expected


def test_every_level_survives_decoding_and_encoding():
    levels = np.arange(256, dtype=np.uint8)
    lightness, ab = lab.encode(lab.decode(levels, np.stack([levels, levels[::-1]], axis=-1)))
    np.testing.assert_array_equal(lightness, levels)
    np.testing.assert_array_equal(ab, np.stack([levels, levels[::-1]], axis=-1))


def test_values_beyond_eight_bits_are_clipped_not_wrapped():
    lightness, ab = lab.encode([[-1.0, -200.0, 200.0], [101.0, 127.6, -128.4]])
    assert lightness.tolist() == [0, 255]
    assert ab.tolist() == [[0, 255], [255, 0]]


def test_colours_survive_the_round_trip_to_lab():
    back = lab.to_rgb(*lab.from_rgb(GRID)).astype(int)
    assert 10 * np.log10(255**2 / np.mean((back - GRID) ** 2)) > 45
    assert np.abs(lab.to_rgb(*lab.from_rgb(GRAYS)).astype(int) - GRAYS).max() <= 1


@pytest.mark.parametrize("levels", [slice(0, 256, 51), pytest.param(slice(256), marks=pytest.mark.long)])
def test_every_colour_is_reconstructed_as_by_scikit_image(levels):
    ab = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).astype(np.uint8)
    for level in range(256)[levels]:
        lightness = np.full(ab.shape[:-1], level, np.uint8)
        expected = np.rint(np.clip(lab2rgb(lab.decode(lightness, ab)), 0, 1) * 255)
        np.testing.assert_array_equal(lab.to_rgb(lightness, ab), expected)


def test_reconstruction_agrees_with_scikit_image_at_every_lightness():
    levels = np.arange(256, dtype=np.uint8)
    ab = np.full((256, 2), (150, 100), np.uint8)
    exact = lab2rgb(np.column_stack([levels / 2.55, np.full(256, 22.0), np.full(256, -28.0)]))
    assert np.abs(lab.to_rgb(levels, ab) - 255 * exact).max() <= 0.5 + 1e-6


def test_predictions_are_rounded_and_clipped_as_if_stored():
    lightness = np.full(3, 150, np.uint8)
    predicted = np.array([[140.4, 119.6], [400.0, -30.0], [127.5, 128.5]], np.float32)
    stored = np.array([[140, 120], [255, 0], [128, 128]], np.uint8)
    np.testing.assert_array_equal(lab.to_rgb(lightness, predicted), lab.to_rgb(lightness, stored))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_counts_as_neutral(value):
    lightness = np.array([90, 200], np.uint8)
    predicted = np.array([[value, value], [160.0, value]])
    neutral = np.array([[128, 128], [160, 128]], np.uint8)
    np.testing.assert_array_equal(lab.to_rgb(lightness, predicted), lab.to_rgb(lightness, neutral))


def test_gray_levels_are_what_lightness_alone_looks_like():
    levels = lab.gray_levels()
    rgb = lab.to_rgb(np.arange(256, dtype=np.uint8), np.full((256, 2), 128, np.uint8))
    assert np.abs(rgb.astype(int) - levels[:, None]).max() <= 1
    assert (levels[0], levels[255]) == (0, 255)
    assert np.all(np.diff(levels.astype(int)) >= 0)
    grays = lab.from_rgb(GRAYS)[0]
    assert np.abs(levels[grays].astype(int) - np.arange(256)).max() <= 1


def test_lightness_is_not_luma():
    blue = np.array([0, 0, 255], np.uint8)
    luma = 0.299 * blue[0] + 0.587 * blue[1] + 0.114 * blue[2]
    assert lab.gray_levels()[lab.from_rgb(blue)[0]] - luma > 40


def test_gray_levels_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        lab.gray_levels()[0] = 1


def test_mean_chroma_is_the_mean_distance_from_neutral():
    assert lab.mean_chroma(np.array([[128, 128], [131, 124]], np.uint8)) == pytest.approx(2.5)
    assert lab.mean_chroma(np.full((2, 2, 2), 128, np.uint8)) == 0
