"""How hints are measured: their gain in PSNR, and what arrives on a thing and beside it."""

import csv

import numpy as np
import pytest

from pipeline.colorize.predictors import Prediction
from pipeline.colorize.spreading import Spreading
from pipeline.images import ab_bins, lab
from pipeline.images.lab import NEUTRAL
from pipeline.publishing import measuring

SIDE = 56
CENTRES = [tuple(each) for each in ab_bins.centres()]


class Gray:
    """Predicts gray, and knows as its only feature which half a place is in."""

    def __call__(self, lightness, square):
        features = np.zeros((SIDE, SIDE, 1), np.float32)
        features[:, SIDE // 2 :] = 1
        logits = np.zeros((SIDE, SIDE, 313), np.float32)
        logits[:, : SIDE // 2, CENTRES.index((30, 20))] = logits[:, SIDE // 2 :, CENTRES.index((0, -40))] = 20
        return Prediction(np.full((SIDE, SIDE, 2), NEUTRAL, np.float32), logits, features)


class Images:
    """One picture of a red and a blue half, dark and bright."""

    ab = np.zeros((1, 224, 224, 2), np.uint8)
    ab[:, :, :112], ab[:, :, 112:] = (160, 150), (130, 90)
    L = np.full((1, 224, 224), 90, np.uint8)
    L[:, :, 112:] = 180

    def read_rows(self, name, rows):
        return getattr(self, name)[rows]


# Of `describe`: the feature, lightness, a and b, row and column.
BY_HALF = Spreading(np.diag([9, 0, 0, 0, 0, 0]).astype(np.float32))
EVERYWHERE = Spreading(np.zeros((6, 2), np.float32))


def test_pictures_are_reduced_to_the_size_of_the_prediction():
    pictures = measuring.pictures(Gray(), Images(), [0, 0])
    assert pictures.described.shape == (2, SIDE, SIDE, 6) and pictures.true.shape == (2, SIDE, SIDE, 2)
    assert (pictures.true[0, :, :28] == [32, 22]).all() and (pictures.predicted == 0).all()
    np.testing.assert_allclose(pictures.lightness[1, :, 30:], 180 / 2.55, rtol=1e-5)


def test_the_psnr_without_hints_is_that_of_the_prediction_and_grows_with_hints():
    found = measuring.measure(Gray(), BY_HALF, Images(), [0], 0)
    gray = lab.to_rgb(Images.L, np.full_like(Images.ab, NEUTRAL)).astype(float)
    error = ((gray - lab.to_rgb(Images.L, Images.ab)) ** 2).mean()
    assert found["psnr 0"][0] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-6)
    assert found["psnr 50"][0] > found["psnr 0"][0] + 10


def test_what_stays_on_a_thing_is_told_from_what_goes_everywhere():
    kept = measuring.measure(Gray(), BY_HALF, Images(), [0], 0)
    assert kept["on_thing"][0] > 0.95 and kept["beside"][0] < 0.05 and kept["far"][0] < 0.05
    lost = measuring.measure(Gray(), EVERYWHERE, Images(), [0], 0)
    assert lost["beside"][0] > 0.95 and lost["far"][0] > 0.95


def test_the_best_of_more_variants_is_never_worse():
    found = measuring.measure(Gray(), BY_HALF, Images(), [0], 0)
    best = [found[f"rmse_of_best {count}"][0] for count in measuring.VARIANTS]
    assert best == sorted(best, reverse=True) and best[-1] < best[0]
    assert best[0] == pytest.approx(((Images.ab.astype(float) - NEUTRAL) ** 2).mean(), rel=1e-6)


def test_the_table_has_means_gains_and_intervals_without_photographs_that_have_no_thing(tmp_path):
    random = np.random.default_rng(0)
    psnr = random.normal(20, 3, 40)
    measured = {"psnr 0": psnr, "psnr 5": psnr + 2 + random.normal(0, 0.1, 40), "beside": random.random(40)}
    measured["beside"][:10] = np.nan
    measuring.write(tmp_path / "hints.csv", measured, [str(number) for number in range(40)])
    with (tmp_path / "hints.csv").open() as file:
        rows = {(row["measure"], row["count"]): row for row in csv.DictReader(file)}
    assert list(rows) == [("psnr", "0"), ("psnr", "5"), ("gain", "5"), ("beside", "1")]
    assert float(rows["gain", "5"]["value"]) == pytest.approx((measured["psnr 5"] - psnr).mean(), abs=1e-3)
    assert float(rows["gain", "5"]["low"]) < 2 < float(rows["gain", "5"]["high"])
    assert rows["beside", "1"]["photographs"] == "30"
    assert float(rows["beside", "1"]["value"]) == pytest.approx(np.nanmean(measured["beside"]), abs=1e-3)
    text = measuring.section(tmp_path / "hints.csv")
    assert f"{psnr.mean():.2f} (" in text and f"{np.nanmean(measured['beside']):.2f} (" in text
