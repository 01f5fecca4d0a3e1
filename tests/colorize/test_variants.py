"""Variants: different from each other, coherent over regions, the same for the same seed."""

import numpy as np
import pytest
from commands import colorize
from PIL import Image
from tiny import gray_photograph, refused, star

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.spreading import Spreading, describe
from pipeline.colorize.variants import regions, varied
from pipeline.images import ab_bins
from pipeline.images.lab import NEUTRAL

SIDE = 30
# Of `describe`: a feature by which halves are told apart, lightness, a and b, row and column.
BY_HALF = Spreading(np.diag([9, 0, 0, 0, 0.1, 0.1]).astype(np.float32))


def halves():
    """What is known of a picture: on the left, red and blue are as likely; on the right, green is certain."""
    right = np.zeros((SIDE, SIDE), bool)
    right[:, SIDE // 2 :] = True
    ab = np.zeros((SIDE, SIDE, 2), np.float32)
    described = describe(right[..., None].astype(np.float32), np.full((SIDE, SIDE), 50, np.float32), ab)
    centres = [tuple(each) for each in ab_bins.centres()]
    logits = np.full((SIDE, SIDE, len(centres)), -30, np.float32)
    for colour in ((60, 40), (20, -60)):
        logits[~right, centres.index(colour)] = 0
    logits[right, centres.index((-50, 40))] = 0
    ab[right] = -50, 40
    return right, described, ab, logits


def test_variants_differ_where_the_network_is_unsure_and_agree_where_it_is_sure():
    right, described, ab, logits = halves()
    found = [varied(BY_HALF, described, ab, logits, number, 0) for number in range(1, 8)]
    left_a = np.array([each[~right].mean(axis=0) for each in found])
    assert (left_a[:, 1] > 10).any() and (left_a[:, 1] < -20).any()  # some red, some blue
    for each in found:
        np.testing.assert_allclose(each[right].mean(axis=0), (-50, 40), atol=1)
        assert each[~right].std(axis=0).max() < 2  # one colour over the region


def test_a_variant_depends_on_its_number_and_the_seed_only():
    _, described, ab, logits = halves()
    assert (varied(BY_HALF, described, ab, logits, 3, 5) == varied(BY_HALF, described, ab, logits, 3, 5)).all()
    assert (varied(BY_HALF, described, ab, logits, 3, 5) != varied(BY_HALF, described, ab, logits, 3, 6)).any()


def test_regions_are_of_alike_places():
    right, described, _, _ = halves()
    found = regions(np.asarray(described @ BY_HALF.projection, np.float32))
    assert found.shape == (SIDE, SIDE) and not {*found[right]} & {*found[~right]}


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "in" / "old.png"
    path.parent.mkdir()
    Image.fromarray(gray_photograph(120, 160)).save(path)
    return path


def rgb_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_command_writes_variants_beside_the_answer(photograph, tmp_path):
    assert colorize(photograph, "--out", tmp_path / "one").exit_code == 0
    for out, more in (("two", 2), ("four", 4)):
        result = colorize(photograph, "--out", tmp_path / out, "--variants", more)
        assert result.exit_code == 0 and "1 coloured" in result.stderr, result.output
    plain = rgb_of(tmp_path / "one" / "old.png")
    assert (rgb_of(tmp_path / "four" / "old.png") == plain).all()
    variants = [rgb_of(tmp_path / "four" / f"old.variant-{number}.png") for number in (2, 3, 4)]
    assert (rgb_of(tmp_path / "two" / "old.variant-2.png") == variants[0]).all()
    assert not (tmp_path / "two" / "old.variant-3.png").exists()
    for each in variants:
        assert np.abs(star(each)[..., 1:] - star(plain)[..., 1:]).mean() > 0.5
        assert np.abs(star(each)[..., 0] - star(plain)[..., 0]).max() < 1.5
    assert "1 skipped" in colorize(photograph, "--out", tmp_path / "four", "--variants", 4).stderr
    (tmp_path / "four" / "old.variant-3.png").unlink()
    assert "1 coloured" in colorize(photograph, "--out", tmp_path / "four", "--variants", 4).stderr
    assert (rgb_of(tmp_path / "four" / "old.variant-3.png") == variants[1]).all()


def test_variants_beside_are_no_photographs_for_the_next_call(photograph):
    folder = photograph.parent
    assert "1 coloured" in colorize(folder, "--suffix", "_colour", "--variants", 3).stderr
    again = colorize(folder, "--suffix", "_colour", "--variants", 3)
    assert "0 coloured, 1 skipped, 0 failed, 0 left out" in again.stderr, again.stderr


def test_wrong_numbers_of_variants_are_refused(photograph, tmp_path):
    for wrong in (["--variants", 0], ["--variants", 9], ["--variants", 2, "--ab-only"]):
        refused(colorize(photograph, "--out", tmp_path / "out", *wrong), "--variants")


def test_hints_hold_in_every_variant():
    from pipeline.colorize.hints import Hint

    levels = np.full((224, 224), 120, np.uint8) + (np.arange(224) // 8).astype(np.uint8)
    colorizer = Colorizer.load()
    seen, hint = colorizer.see(levels), Hint(112, 112, "#2e7d32")
    for variant in (0, 1, 2):
        ab = colorizer.put_ab(levels, seen.colours([hint], variant)).astype(float) - NEUTRAL
        assert np.linalg.norm(ab[110:114, 110:114].mean(axis=(0, 1)) - hint.ab) < 8


def test_the_original_is_kept_beside_its_output_byte_for_byte(photograph, tmp_path):
    with Image.open(photograph) as image:
        image.save(photograph.with_suffix(".gif"))
    photograph.unlink()
    given = (photograph.parent, "--out", tmp_path / "out", "--keep-original-beside")
    assert "1 coloured" in colorize(*given).stderr
    kept = tmp_path / "out" / "old.original.gif"
    assert kept.read_bytes() == photograph.with_suffix(".gif").read_bytes() and (tmp_path / "out" / "old.png").exists()
    assert "1 skipped" in colorize(*given).stderr
    kept.unlink()
    assert "1 coloured" in colorize(*given).stderr and kept.exists()
    refused(colorize(photograph.parent, "--suffix", "_x", "--keep-original-beside"), "--keep-original-beside", "--out")
