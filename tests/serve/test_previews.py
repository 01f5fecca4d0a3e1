"""Previews: colours with hints at a reduced size."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.colorize.predictors import Prediction
from pipeline.colorize.spreading import Spreading
from pipeline.core.errors import InputError
from pipeline.images.formats import UnreadablePhotograph
from pipeline.serve.jobs import Place, Preview
from pipeline.serve.previews import Previews

RUN = Path("results/run")
NEAR = Spreading(np.diag([0, 0, 0, 0, 8, 8])[:, 4:].astype(np.float32))  # two places are alike if they are near


class Gray:
    """A network that predicts gray, and finds class 100 of colour likely."""

    size, digest = (224, 224), ""

    def __init__(self, spreading):
        self.spreading, self.asked = spreading, 0

    def __call__(self, lightness, square):
        self.asked += 1
        logits = np.zeros((56, 56, 313), np.float32)
        logits[..., 100] = 9
        return Prediction(np.full((56, 56, 2), 128, np.float32), logits, np.zeros((56, 56, 1), np.float32))


@pytest.fixture
def source(tmp_path):
    Image.effect_noise((2000, 1500), 30).save(tmp_path / "photograph", "PNG", compress_level=1)
    return tmp_path / "photograph"


def redness(jpeg):
    rgb = np.asarray(Image.open(io.BytesIO(jpeg)), float)
    assert rgb.shape == (768, 1024, 3)
    return (rgb[..., 0] - rgb[..., 2]).reshape(6, 128, 8, 128).mean(axis=(1, 3))


def test_a_hint_changes_the_colours_where_it_is_and_the_network_is_asked_once(source):
    network = Gray(NEAR)
    previews = Previews(lambda run: Colorizer(network), 10)
    plain = redness(previews(Preview(source, RUN, 1.0)))
    red = redness(previews(Preview(source, RUN, 1.0, (Hint(1875, 1375, "#d03020"),))))
    assert np.abs(plain).max() < 4 and red[5, 7] > 60 and np.abs(red[:3, :4]).max() < 4
    (first, *others) = previews(Place(Preview(source, RUN, 1.0), 1999, 1499))
    assert first.startswith("#") and len(first) == 7 and first not in others and len(others) == 7
    assert network.asked == 1
    source.unlink()
    with pytest.raises(UnreadablePhotograph):
        previews(Preview(source, RUN, 1.0))


def test_what_is_outside_or_too_many_is_refused(source):
    previews = Previews(lambda run: Colorizer(Gray(NEAR)), 10)
    for place in ((2000, 0), (0, 1500)):
        with pytest.raises(InputError, match=f"{place[0]},{place[1]}"):
            previews(Place(Preview(source, RUN, 1.0), *place))
        with pytest.raises(InputError, match=f"{place[0]},{place[1]}"):
            previews(Preview(source, RUN, 1.0, (Hint(*place, "#ffffff"),)))
    with pytest.raises(InputError, match="201"):
        previews(Preview(source, RUN, 1.0, (Hint(0, 0, "#ffffff"),) * 201))


def test_a_network_without_hints_refuses_them(source):
    previews = Previews(lambda run: Colorizer(Gray(None)), 10)
    assert np.abs(redness(previews(Preview(source, RUN, 1.0)))).max() < 4
    with pytest.raises(InputError, match="--hint"):
        previews(Preview(source, RUN, 1.0, (Hint(0, 0, "#ffffff"),)))


def test_the_latest_photographs_are_kept(tmp_path):
    network = Gray(NEAR)
    previews = Previews(lambda run: Colorizer(network), 10)
    for name in ("a", "b", "a", "c", "d", "a", "b"):
        Image.effect_noise((40, 30), 30).save(tmp_path / name, "PNG")
        previews(Preview(tmp_path / name, RUN, 1.0))
    assert network.asked == 5
