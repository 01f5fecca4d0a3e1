"""JPEG 2000 of every depth."""

import base64

import cv2
import numpy as np
import pytest

from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.photographs import decode

# OpenJPEG wrote them without loss, 4 x 2 pixels whose levels rise evenly from 0 to white through all channels.
RISING = {
    (1, 1): "|4;u>04V?f0000400002000000000000004000020000000000009620sm3}3;+NC0RR951ONg5TmS?>2>)aNB>(|Ka%Ew3Wn>^?c_2@"
            "4Wo}APMMofZWpZ<AZ*CwmE;TMR|BwI*0000001^NJ|C7-G2A}`g",
    (1, 9): "|4;u>04V?f0000400002000000000000004000020000000000009UA0sm3}3;+NC0RR951ONg5TmS?>NdII2B>(|Ka%Ew3Wn>^?c_2@"
            "4Wo}APMMofZWpZ<AZ*CwmE;TMR|BwI*0000002=@S|C8UCPzTBuXV3}CmgY_W*#",
    (2, 16): "|4;u>04x9i000040000200000000000000400002000000000000IvI0S^HI|55-900001000C800IA800cmQ|6~9q00BdCWnpw>WFTU"
             "BAWv{*Zc0!^M<8}(a&u{KZXhx)H7+#&kN^q*00000IsgIxli&D|m<P%hX4@W@*tBw(Ap`ZIa!96s&-^e%20+8ew0H%mNx0C~F?i6|Z~xf",
    (3, 4): "|4;u>051Rl000040000200000000000000400002000000000000RR70RsU60|5d5QUDA90003200aa80smY81VAAFWB?@q0Yh?SVRU6"
            "=AYyqSPjF>!N>D{dAa-SPb7^mGATlmBE;Rp;015yA0000U00IA#-yl#2#!vX4!XOJj!XO5p|Je",
    (3, 12): "|4;u>051Rl000040000200000000000000400002000000000000RpF0Sf^E3jqQDQUDA90003200aa80smY81VCW_WB?@q0Yh?SVRU6"
             "=AYyqSPjF>!N>D{dAa-SPb7^mGATlmBE;Rp;015yA0000t00IA#&*V4;K*P;Eb}d+E8?I(MZ^8Hk00G#7v_u#c)4})z00@wlv_u#c)Bo8",
}  # fmt: skip


@pytest.mark.parametrize(("channels", "depth"), [key for key in RISING if key[0] != 2])
def test_white_of_every_depth_is_white(channels, depth):
    photograph = decode(base64.b85decode(RISING[channels, depth]))
    kind = np.uint16 if depth > 8 else np.uint8
    rising = np.rint(np.linspace(0, 2**depth - 1, 8 * channels)) / (2**depth - 1) * np.iinfo(kind).max
    assert photograph.levels.dtype == kind and photograph.remark == ""
    assert np.array_equal(photograph.levels.ravel(), np.rint(rising)) and photograph.levels.max() == np.iinfo(kind).max


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_keep_every_bit(channels):
    pixels = np.random.default_rng(0).integers(0, 2**16, (80, 90, channels), dtype=np.uint16)
    pixels[:5] = 65535
    data = cv2.imencode(".jp2", pixels, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()
    photograph = decode(data)
    found = photograph.levels.reshape(80, 90, -1)
    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels[..., :1] if channels == 1 else pixels[..., 2::-1])
    assert (photograph.alpha is None) if channels < 4 else np.array_equal(photograph.alpha, pixels[..., 3])
    with pytest.raises(UnreadablePhotograph, match="truncated"):
        decode(data[: len(data) // 2])


def test_deep_gray_with_alpha_is_refused():
    with pytest.raises(UnreadablePhotograph, match=r"16 bits in 2 channels.* convert it"):
        decode(base64.b85decode(RISING[2, 16]))
