"""Colour profiles: what is applied to 16 bits, with which precision, and what is ignored."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pipeline.images import icc, originals

RNG = np.random.default_rng(0)
GRAY16 = RNG.integers(0, 2**16, (20, 30), dtype=np.uint16)
RGB16 = RNG.integers(0, 2**16, (20, 30, 3), dtype=np.uint16)


def matrix_profile(gamma):
    """An ICC profile of sRGB's primaries and one gamma, as bytes."""
    s15 = lambda *values: b"".join(struct.pack(">i", round(v * 65536)) for v in values)  # noqa: E731
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    xyz = [(0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733)]
    tags = {f"{c}XYZ": b"XYZ \0\0\0\0" + s15(*v) for c, v in zip("rgb", xyz, strict=True)}
    tags |= {f"{c}TRC": curve for c in "rgb"} | {"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1, 0.8249)}
    table, content = b"", b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name.encode(), 132 + 12 * len(tags) + len(content), len(data))
        content += data
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\2\0\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = s15(0.9642, 1, 0.8249)
    head[:4] = struct.pack(">I", 132 + len(table) + len(content))
    return bytes(head) + struct.pack(">I", len(tags)) + table + content


def test_a_profile_is_applied_with_all_16_bits_as_pillow_applies_it_with_8(tmp_path):
    profile = matrix_profile(1.8)
    ramp = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    pixels = np.dstack([ramp, ramp.T.reshape(20, 30), ramp[::-1]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    eight = Image.fromarray(np.rint(pixels / 257).astype(np.uint8))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(eight, source, target)).astype(float)
    assert np.abs(read.levels / 257 - expected).max() < 4 and np.abs(read.levels / 257 - expected).mean() < 0.7
    assert np.abs(expected - np.asarray(eight)).max() > 15
    assert len(np.unique(read.levels)) > 500 and read.remarks == ()


UNUSABLE = {
    "cut off": lambda: matrix_profile(1.8)[:150],
    "of any bytes": lambda: b"\xff" * 500,
    "Lab": lambda: ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    "of the other kind": None,
}


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize("pixels", [GRAY16, RGB16], ids=["gray", "RGB"])
def test_a_profile_that_cannot_be_applied_leaves_16_bits_as_they_are(tmp_path, pixels, kind):
    other = icc.matrix_profile(None, 1 / 1.8) if pixels.ndim == 3 else matrix_profile(1.8)
    profile = UNUSABLE[kind]() if UNUSABLE[kind] else other
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    assert np.array_equal(read.levels, pixels) and not read.remarks


def test_a_profile_of_tables_is_applied_to_16_bits_with_a_remark(tmp_path):
    corners = b"".join(bytes([255 * number.bit_count() // 3, 128, 128]) for number in range(8))  # of gray in Lab
    lines = bytes(range(256)) * 3
    table = (
        b"mft1\0\0\0\0\3\3\2\0" + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536) + lines + corners + lines
    )
    head = bytearray(matrix_profile(1.8)[:128])
    head[20:24], head[:4] = b"Lab ", struct.pack(">I", 144 + len(table))
    profile = bytes(head) + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    assert read.levels.dtype == np.uint16 and "8 bits" in read.remarks[0]
    assert np.ptp(read.levels, axis=2).max() <= 2 * 257 and np.ptp(read.levels) > 20_000
