"""The photographs of scikit-image as a source."""

import pickle
from collections import Counter

import numpy as np
import pytest
import skimage
from PIL import Image

from pipeline.config.sources import SampleSource
from pipeline.core.errors import InputError
from pipeline.dataset.sources.open import open_source
from pipeline.dataset.sources.sample import sample_photographs
from pipeline.images.lab import from_rgb, mean_chroma


def sample(tmp_path, limit=None):
    return open_source(SampleSource(), limit=limit, scratch=tmp_path)


def test_there_are_125_images_of_nine_photographs(tmp_path):
    source = sample(tmp_path)
    infos = source.info(0, source.n)
    assert source.n == len(infos) == 125
    assert len({info.id for info in infos}) == 125
    cuts = Counter(info.id.split("-")[0] for info in infos)
    assert list(cuts) == [path.stem for path in sample_photographs()]
    assert cuts == {"astronaut": 16, "chelsea": 8, "coffee": 13, "hubble_deep_field": 17, "ihc": 16,
                    "motorcycle_left": 13, "motorcycle_right": 13, "retina": 16, "rocket": 13}  # fmt: skip
    assert source.remarks == ()
    assert source.describe()["images"] == 125


def test_the_two_views_of_the_motorcycle_are_one_group(tmp_path):
    groups = {info.id.split("-")[0]: info.group for info in sample(tmp_path).info(0, 125)}
    assert groups["motorcycle_left"] == groups["motorcycle_right"] == "motorcycle"
    assert len(set(groups.values())) == 8


def test_a_cut_matches_the_position_in_its_source(tmp_path):
    source = sample(tmp_path)
    number = next(i for i, info in enumerate(source.info(0, 125)) if info.id == "astronaut-512-3")
    assert source.info(number, number + 1)[0].source == (
        "scikit-image astronaut.png, shorter side 512, cut at (288, 288)"
    )
    rgb = np.asarray(Image.open(sample_photographs()[0]))[288:, 288:]
    lightness, ab = source.read(number, number + 1)
    np.testing.assert_array_equal(lightness[0], from_rgb(rgb)[0])
    np.testing.assert_array_equal(ab[0], from_rgb(rgb)[1])


def test_every_image_is_distinct_and_in_colour(tmp_path):
    source = sample(tmp_path)
    lightness, ab = source.read(0, source.n)
    assert lightness.shape == (125, 224, 224)
    assert ab.shape == (125, 224, 224, 2)
    assert lightness.dtype == ab.dtype == np.uint8
    assert len({row.tobytes() for row in lightness}) == 125
    assert min(mean_chroma(row) for row in ab) > 2
    again = source.read(60, 70)
    np.testing.assert_array_equal(again[0], lightness[60:70])
    np.testing.assert_array_equal(again[1], ab[60:70])


def test_a_limit_takes_the_first_images(tmp_path):
    whole, first = sample(tmp_path), sample(tmp_path, limit=10)
    assert first.n == 10
    assert first.info(0, 10) == whole.info(0, 10)
    assert first.input_digest(0, 10) == whole.input_digest(0, 10) != whole.input_digest(0, 11)


def test_the_source_survives_pickling(tmp_path):
    source = sample(tmp_path, limit=3)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read(1, 3)[1], source.read(1, 3)[1])


def test_a_photograph_that_is_not_installed_is_named(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    Image.new("RGB", (300, 300)).save(tmp_path / "data" / "astronaut.png")
    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(InputError, match=r"chelsea\.png: "):
        sample(tmp_path)
