"""Other colourings on the page: the strip, and one of them in full size."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny import gray_photograph

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.colorize.membership import Membership
from pipeline.colorize.options import Options
from pipeline.config.paths import SHIPPED
from pipeline.core.errors import InputError
from pipeline.serve.jobs import STRIP, Job, Preview, Strip
from pipeline.serve.previews import Previews
from pipeline.serve.worker import _colour

HINTS = (Hint(60, 40, "#c02020"),)


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer.load()


@pytest.fixture
def source(tmp_path):
    Image.fromarray(gray_photograph(120, 160)).save(tmp_path / "old.png")
    return tmp_path / "old.png"


def test_a_variant_is_coloured_as_the_command_does(colorizer, source, tmp_path):
    from stages.colorize import command

    job = Job(source, *(tmp_path / name for name in ("before.jpg", "1", "1.jpg")), SHIPPED, 1.0, HINTS, 2, "old.png")
    to_nobody = SimpleNamespace(send=lambda step: None)
    coloured = _colour(job, lambda run: (colorizer, Membership(run)), to_nobody, max_megapixels=1)
    arguments = [source, "--out", tmp_path / "out", "--variants", 3, "--hint", "60,40,#c02020"]
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    content = (job.target / coloured.file).read_bytes()
    assert content == (tmp_path / "out" / "old.variant-3.png").read_bytes()
    assert content != (tmp_path / "out" / "old.variant-2.png").read_bytes()


@pytest.mark.parametrize("border", [0, 16])
def test_the_strip_has_the_answer_and_variants_with_the_hints(colorizer, source, border):
    Image.fromarray(np.pad(gray_photograph(120 - 2 * border, 160 - 2 * border), border, constant_values=236)).save(
        source
    )
    previews = Previews(lambda run: colorizer, 1)
    preview = Preview(source, SHIPPED, 1.0, HINTS)
    strip = np.asarray(Image.open(io.BytesIO(previews(Strip(preview)))), float).reshape(STRIP, 96, 128, 3)
    for number in range(STRIP):
        large = Image.open(io.BytesIO(previews(preview._replace(variant=number)))).resize((128, 96))
        apart = np.abs(strip - np.asarray(large, float)).mean(axis=(1, 2, 3))
        assert np.argmin(apart) == number and apart[number] < 3, apart
    assert (np.ptp(strip[:, :8, :8], axis=-1).max() < 6) == bool(border)


def test_a_chosen_variant_reaches_the_worker(site):
    (key,) = site.keys(b"grain")
    assert site.settled(key)[0]["variant"] == 0
    _, headers, body = site.hinted(key, "strip", json.dumps([{"x": 1, "y": 0, "color": "#102030"}]))
    assert (headers["content-type"], body) == ("image/jpeg", b"strip with 1 hints")
    site.hinted(key, "preview", "", variant=7)
    assert site.painter.jobs[-1].variant == 7
    assert site.hinted(key, "colour", "", variant=2)[0] == 204
    (state,) = site.settled(key)
    assert state["variant"] == site.painter.jobs[-1].variant == 2 and state["result"]["number"] == 2


def test_wrong_numbers_of_variants_are_refused(site):
    (key,) = site.keys(b"grain")
    site.settled(key)
    for wrong in (-1, 8, 1.5, "x", ""):
        for what in ("colour", "preview", "strip"):
            assert site.hinted(key, what, "", variant=wrong)[0] == 409
    assert len(site.painter.jobs) == 1
    for options in ({"variant": -1}, {"variant": 8}, {"variant": 1, "variants": 2}):
        with pytest.raises(InputError, match="variant"):
            Options(**options)
