"""CIEDE2000 against the published pairs and scikit-image."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from tiny_metrics import ciede2000, pictures

from pipeline.evaluation import metrics
from pipeline.images import lab

# Sharma, Wu and Dalal 2005, table 1: two CIE Lab colours and their CIEDE2000 difference.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([line.split() for line in SHARMA.split("\n") if line], float)


@pytest.mark.parametrize("pair", PAIRS, ids=[str(i) for i in range(1, len(PAIRS) + 1)])
def test_ciede2000_of_sharmas_pairs(pair):
    first, second = pair[:3].reshape(1, 1, 1, 3), pair[3:6].reshape(1, 1, 1, 3)
    assert metrics.ciede2000_of_lab(first, second)[0] == pytest.approx(pair[6], abs=5.1e-5)


def test_ciede2000_of_rgb_is_the_mean_over_pixels():
    # sRGB red against green: 86.61 (Lindbloom's calculator); the other half of the image is identical.
    red, green = np.zeros((2, 1, 2, 2, 3), np.uint8)
    red[..., 0] = green[..., 1] = 255
    green[:, 0] = red[:, 0]
    assert ciede2000(red, green)[0] == pytest.approx(86.61 / 2, abs=0.02)


def test_ciede2000_map_equals_scikit_image_pixel_by_pixel():
    first, second = rgb2lab(pictures(1)), rgb2lab(pictures(2))
    differences = metrics.ciede2000_map(first, second)
    assert differences.shape == (3, 13, 17) and differences.dtype == np.float64
    np.testing.assert_array_equal(differences, deltaE_ciede2000(first, second))
    np.testing.assert_allclose(metrics.ciede2000_of_lab(first, second), differences.mean(axis=(1, 2)), rtol=1e-14)


def test_sharmas_table_is_complete():
    assert PAIRS.shape == (34, 7)


def test_the_round_trip_through_stored_lab_is_hardly_visible():
    rgb = pictures(6)
    assert np.all(ciede2000(lab.to_rgb(*lab.from_rgb(rgb)), rgb) < 1)
