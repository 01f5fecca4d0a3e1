"""Preprocessing is the same for ingest, colorize and exports."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_files import encoded, picture
from PIL import Image
from skimage.color import rgb2lab

from pipeline.config.sources import FolderSource
from pipeline.dataset.sources.open import open_source
from pipeline.images import lab, prepare
from pipeline.images.photographs import Photograph, decode
from pipeline.images.prepare import network_shape
from pipeline.storage.layouts import VECTOR


def grained(height, width, seed=0):
    """A photograph (height, width, 3) uint8 with edges and grain, which differ with every way of resizing."""
    rng = np.random.default_rng(seed)
    whole = picture(width, height, seed).astype(float) + rng.normal(0, 25, (height, width, 1))
    whole[:, width // 3 :] *= 0.6
    return np.clip(whole, 0, 255).astype(np.uint8)


def sixteen_bits(levels):
    return cv2.imencode(".png", levels)[1].tobytes()


SQUARE = grained(300, 300)
DEEP = np.random.default_rng(1).integers(0, 2**16, (300, 300, 4), dtype=np.uint16)
FILES = {
    "small.jpg": encoded(grained(256, 256), "JPEG", quality=90),
    "large.jpg": encoded(grained(1100, 1100), "JPEG", quality=90),
    "large.png": encoded(grained(1100, 1100)),
    "transparent.png": encoded(np.dstack([SQUARE, np.indices((300, 300), np.uint8)[1]])),
    "deep.png": sixteen_bits(DEEP[..., :3]),
    "deep and transparent.png": sixteen_bits(DEEP),
    "deep and gray.png": sixteen_bits(DEEP[..., 0]),
    "gray.jpg": encoded(SQUARE[..., 0], "JPEG"),
    "exactly.png": encoded(grained(224, 224)),
}


@pytest.mark.parametrize("name", FILES)
def test_ingest_colorize_and_exports_get_the_same_lightness(keras, made_run, tmp_path, name):
    from pipeline.colorize.batch import colorize_files
    from pipeline.colorize.colorizer import Colorizer
    from pipeline.colorize.options import Options
    from pipeline.colorize.predictors import KerasPredictor

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(FILES[name])
    settings = FolderSource(path=str(tmp_path / "in"), gray_below=0.0)
    stored, _ = open_source(settings, limit=None, scratch=tmp_path / "scratch").read(0, 1)
    seen = []

    def embed(lightness):
        seen.append(lightness)  # for a square, it is what the network sees too
        return {VECTOR: np.zeros((1, 1000), np.float32)}

    watched = Colorizer(KerasPredictor(Colorizer.load(made_run).predictor.network, embed))
    assert colorize_files([tmp_path / "in"], tmp_path / "out", lambda: watched, Options(recolor=True)).failed == {}
    np.testing.assert_array_equal(seen[0][0], stored[0])
    np.testing.assert_array_equal(prepare.lightness_of_file(tmp_path / "in" / name), stored[0])


def test_pillow_and_scikit_image_alone_give_the_same():
    data = encoded(grained(300, 401), "JPEG")
    photograph = Image.open(io.BytesIO(data)).convert("RGB")
    small = np.asarray(photograph.resize((299, 224), Image.Resampling.LANCZOS))
    expected = np.rint(rgb2lab(small)[..., 0] * 2.55).astype(np.uint8)
    np.testing.assert_array_equal(prepare.lightness(decode(data)), expected)


def test_the_centre_square_is_the_middle_of_the_resized_photograph():
    rgb = np.random.default_rng(0).integers(0, 256, (448, 900, 3), dtype=np.uint8)
    resized = Image.fromarray(rgb).resize((450, 224), Image.Resampling.LANCZOS)
    lightness, ab = prepare.centre_square(Photograph(rgb))
    expected = lab.from_rgb(np.asarray(resized.crop((113, 0, 337, 224))))
    np.testing.assert_array_equal(lightness, expected[0])
    np.testing.assert_array_equal(ab, expected[1])
    for odd in (rgb[:30, :20], np.zeros((1, 100_000), np.uint8)):
        assert prepare.centre_square(Photograph(odd))[1].shape == (224, 224, 2)


def test_network_shape_keeps_the_aspect_and_is_bounded():
    assert network_shape(3000, 4000) == (224, 299) and network_shape(4000, 3000) == (299, 224)
    assert network_shape(3000, 4000, size=448) == (448, 597)
    for shape in ((1, 1), (3, 20_000), (1, 1_000_000), (65_000, 1000), (1000, 65_000)):
        height, width = network_shape(*shape)
        assert min(height, width) >= 1 and max(height, 8) * max(width, 8) <= 17 * 224 * 224


@pytest.mark.parametrize("shape", [(224, 299), (8, 8), (2, 101, 150)])
def test_edges_are_repeated_up_to_a_multiple_of_8(shape):
    lightness = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    padded = prepare.padded(lightness)
    assert all(
        0 <= now - before < 8 and now % 8 == 0 for now, before in zip(padded.shape[-2:], shape[-2:], strict=True)
    )
    np.testing.assert_array_equal(padded[..., : shape[-2], : shape[-1]], lightness)
    assert (padded[..., shape[-2] :, : shape[-1]] == lightness[..., -1:, :]).all()


@pytest.mark.parametrize("kind", ["deep PNG", "deep TIFF", "PNG", "orientation 6", "orientation 9"])
def test_the_code_in_the_documentation_reads_what_a_network_receives(tmp_path, monkeypatch, kind):
    document = Path(__file__).parents[2] / "docs" / "export.md"
    block = re.search(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)[1]
    pixels = grained(300, 400)
    if kind.startswith("deep"):
        pixels = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200 + 77)
    exif = Image.Exif()
    exif[274] = int(kind[-1]) if kind[-1].isdigit() else 1
    data = encoded(pixels, "TIFF" if kind == "deep TIFF" else "PNG", exif=exif)
    (tmp_path / "photograph.jpg").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    expected = prepare.lightness_of_file("photograph.jpg")
    assert np.array_equal(names["lightness"][0], expected) and expected.std() > 10
