"""Photographs in one tone, and photographs in colour."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny import gray_photograph

from pipeline.config.sources import FolderSource
from pipeline.dataset.sources import sample
from pipeline.dataset.sources.folder import judge
from pipeline.images import lab, toning
from pipeline.images.formats import TONED_BELOW
from pipeline.images.photographs import decode, read_bytes
from pipeline.images.prepare import centre_square

TONES = {"sepia": (12, 24), "pale sepia": (4, 8), "cyanotype": (-6, -30), "selenium": (8, -4)}
CURVES = {
    "even": lambda x: np.ones_like(x),
    "midtones": lambda x: 4 * x * (1 - x),
    "shadows": lambda x: 1 - x,
    "split": lambda x: 1 - 1.5 * x,
}


def toned(tone, curve, quality=90):
    """sRGB of a toned photograph, through JPEG."""
    lightness, _ = lab.from_rgb(np.dstack([gray_photograph(448, 448)] * 3))
    weight = CURVES[curve](lightness / 255)[..., None]
    stream = io.BytesIO()
    Image.fromarray(lab.to_rgb(lightness, 128 + weight * TONES[tone])).save(stream, "JPEG", quality=quality)
    return Image.open(stream).resize((224, 224), Image.Resampling.BOX)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("tone", TONES)
def test_a_toned_photograph_is_left_out_as_gray_ones_are(tmp_path, tone, curve):
    toned(tone, curve).save(tmp_path / "a.png")
    verdict, _ = judge(tmp_path, "a.png", FolderSource(path=str(tmp_path)))
    assert verdict.reason == "toned" and f"{TONED_BELOW:g} (toned_below)" in verdict.detail
    verdict, image = judge(tmp_path, "a.png", FolderSource(path=str(tmp_path), toned_below=0.0))
    assert verdict.reason == "" and image is not None


def test_the_sample_photographs_are_in_colour():
    for path in sample.sample_photographs():
        assert toning.spread(*centre_square(decode(read_bytes(path)))) > TONED_BELOW, path.name


def test_a_small_object_makes_a_photograph_one_in_colour():
    levels = np.asarray(toned("sepia", "midtones")).copy()
    levels[90:120, 90:120] = 60, 90, 200
    assert toning.spread(*lab.from_rgb(levels)) > TONED_BELOW


def test_a_gray_photograph_is_not_toned():
    assert toning.spread(*lab.from_rgb(np.dstack([gray_photograph(224, 224)] * 3))) == np.inf


def test_the_default_is_not_recorded():
    assert "toned_below" not in FolderSource(path="p").model_dump()
    assert FolderSource(path="p", toned_below=1.0).model_dump()["toned_below"] == 1.0
