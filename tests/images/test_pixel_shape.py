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


def of_exif(path, unit, *, jfif, orientation=1, numbers=(300, 150)):
    entries = [(274, 3, 1, struct.pack(">H", orientation)), (282, 5, 1, struct.pack(">II", numbers[0], 1)),
               (283, 5, 1, struct.pack(">II", numbers[1], 1)), (296, 3, 1, struct.pack(">H", unit))]  # fmt: skip
    Image.fromarray(RGB8).save(path, "JPEG", exif=b"Exif\0\0" + exif_block(entries))
    data = path.read_bytes()
    path.write_bytes(data if jfif else data[:2] + data[4 + int.from_bytes(data[4:6], "big") :])


@pytest.mark.parametrize("jfif", [True, False])
@pytest.mark.parametrize(
    ("unit", "orientation", "expected"),
    [
        (2, 1, (1, (300, 150))),
        (2, 6, (1, (150, 300))),
        (3, 1, (1, (762, 381))),
        (1, 1, (0, (2, 1))),
        (1, 6, (0, (1, 2))),
    ],
)
def test_both_resolutions_of_exif_are_kept(tmp_path, unit, orientation, expected, jfif):
    of_exif(tmp_path / "a", unit, orientation=orientation, jfif=jfif)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert (image.info["jfif_unit"], image.info["jfif_density"]) == expected and remarks == ()


def test_exif_without_a_unit_states_no_resolution_of_square_pixels(tmp_path):
    of_exif(tmp_path / "a", 1, jfif=True, numbers=(300, 300))
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert (image.info["jfif_unit"], image.info["jfif_density"]) == (0, (1, 1))


@pytest.mark.parametrize(("kind", "numbers", "expected"),
                         [("PNG", (1, 2), (1, 2)), ("PNG", (40, 30), (4, 3)), ("BMP", (1, 2), (1, 2)),
                          ("PNG", (1, 1), None), ("PNG", (1, 2**31 - 1), None)])  # fmt: skip
def test_numbers_too_small_for_a_resolution_are_a_shape(tmp_path, kind, numbers, expected):
    Image.fromarray(RGB8).save(tmp_path / "a", kind, dpi=tuple(number * 0.0254 for number in numbers))
    data = (tmp_path / "a").read_bytes()
    if kind == "BMP":
        (tmp_path / "a").write_bytes(data[:38] + struct.pack("<II", *numbers) + data[46:])
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info.get("aspect") == expected and "dpi" not in image.info and remarks == ()


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
