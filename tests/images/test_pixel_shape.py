"""Pixels that are not square stay so, or that is remarked."""

import struct
import zlib

import pytest
import tifffile
from PIL import Image
from readers import RGB8, exif_block, rewritten


def with_wide_pixels(path, kind, unit=0):
    """A photograph whose pixels are half as high as wide: two of them down are as long as one across."""
    picture = Image.fromarray(RGB8)
    if kind == "JPEG":
        picture.save(path, kind, dpi=(1, 2), exif=b"Exif\0\0" + exif_block([(274, 3, 1, b"\0\6\0\0")]))
    elif kind == "GIF":
        picture.quantize(64).save(path, kind)
    elif kind == "TIFF":
        tifffile.imwrite(path, RGB8, photometric="rgb", resolution=(100, 200), resolutionunit="none")
    elif kind == "PNG":
        picture.save(path, kind, dpi=(2.54, 5.08))
    data = bytearray(path.read_bytes())
    if kind == "PNG":
        at = data.index(b"pHYs")
        chunk = b"pHYs" + struct.pack(">IIB", 100, 200, 0)
        data[at : at + 17] = chunk + struct.pack(">I", zlib.crc32(chunk))
    if kind == "JPEG":
        data[13] = unit
    elif kind == "GIF":
        data[12] = 128 - 15
    path.write_bytes(data)


@pytest.mark.parametrize("unit", [0, 1, 2])  # no picture has 1 and 2 dots in an inch or a centimetre
def test_a_jpeg_keeps_the_shape_of_its_pixels_and_turns_it(tmp_path, unit):
    with_wide_pixels(tmp_path / "a", "JPEG", unit)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert (image.info["jfif_unit"], image.info["jfif_density"]) == (0, (2, 1)) and remarks == ()


@pytest.mark.parametrize(("kind", "density"), [("PNG", (100, 200)), ("GIF", (64, 128))])
def test_a_png_has_the_shape_of_the_pixels(tmp_path, kind, density):
    with_wide_pixels(tmp_path / "a", kind)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info["aspect"] == density and "dpi" not in image.info and remarks == ()


def test_a_tiff_keeps_the_shape_of_its_pixels(tmp_path):
    with_wide_pixels(tmp_path / "a", "TIFF")
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert [image.tag_v2[tag] for tag in (282, 283, 296)] == [100, 200, 1] and remarks == ()


def test_pixels_of_an_avif_that_are_not_square_are_remarked(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a", "AVIF")
    data = (tmp_path / "a").read_bytes()
    # Takes the place of the property that tells the bits of three channels, which is as long.
    at = data.index(b"pixi") - 4
    (size,) = struct.unpack_from(">I", data, at)
    assert size == 16
    (tmp_path / "a").write_bytes(data[:at] + struct.pack(">I4sII", 16, b"pasp", 2, 1) + data[at + 16 :])
    _, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert "2:1" in remark
