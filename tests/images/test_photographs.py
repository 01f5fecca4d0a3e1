"""The decoding of single photographs."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from image_files import RGB, chunk, encoded, picture, put
from PIL import Image, ImageCms

from pipeline.images import prepare
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.photographs import decode, read_bytes

KINDS = {
    "PNG": (RGB, "PNG", {}, 0),
    "WebP": (RGB, "WEBP", {"lossless": True}, 0),
    "BMP": (RGB, "BMP", {}, 0),
    "TIFF": (RGB, "TIFF", {}, 0),
    "TIFF, LZW": (RGB, "TIFF", {"compression": "tiff_lzw"}, 0),
    "JPEG": (RGB, "JPEG", {"quality": 95}, 12),
    "progressive JPEG": (RGB, "JPEG", {"quality": 95, "progressive": True}, 12),
    "CMYK JPEG": (Image.fromarray(RGB).convert("CMYK"), "JPEG", {"quality": 95}, 12),
    "CMYK TIFF": (Image.fromarray(RGB).convert("CMYK"), "TIFF", {}, 1),
    "Lab TIFF": (ImageCms.profileToProfile(Image.fromarray(RGB), ImageCms.createProfile("sRGB"),
                                           ImageCms.createProfile("LAB"), outputMode="LAB"), "TIFF", {}, 16),
    "GIF": (Image.fromarray(RGB).quantize(256), "GIF", {}, 40),
    "palette PNG": (Image.fromarray(RGB).quantize(256), "PNG", {}, 40),
}  # fmt: skip


def decoded(data, *arguments, **options):
    return prepare.srgb(decode(data, *arguments, **options))


@pytest.mark.parametrize(("image", "kind", "options", "tolerance"), KINDS.values(), ids=KINDS)
def test_every_format_gives_its_colours(image, kind, options, tolerance):
    pixels = decoded(encoded(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert pixels.shape == RGB.shape
    error = np.abs(pixels.astype(int) - RGB)
    assert error.max() <= tolerance
    assert error.mean() < 5


def sixteen_bit_png(pixels, colour_type):
    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def sixteen_bit_tiff(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


DEEP = np.random.default_rng(3).integers(0, 65536, (20, 30, 5), dtype=np.uint16)
OPAQUE = np.where(np.arange(4) == 3, 65535, DEEP[..., :4]).astype(np.uint16)
SIXTEEN = {
    "gray PNG": (sixteen_bit_png(DEEP[..., 0], 0), True),
    "RGB PNG": (sixteen_bit_png(DEEP[..., :3], 2), False),
    "RGBA PNG": (sixteen_bit_png(OPAQUE, 6), False),
    "gray TIFF": (sixteen_bit_tiff(DEEP[..., 0], photometric="minisblack"), True),
    "big-endian gray TIFF": (sixteen_bit_tiff(DEEP[..., 0], photometric="minisblack", byteorder=">"), True),
    "RGB TIFF": (sixteen_bit_tiff(DEEP[..., :3], photometric="rgb"), False),
    "deflated RGB TIFF": (sixteen_bit_tiff(DEEP[..., :3], photometric="rgb", compression="zlib"), False),
    "RGB TIFF in planes": (
        sixteen_bit_tiff(np.moveaxis(DEEP[..., :3], -1, 0), photometric="rgb", planarconfig="separate"), False),
    "RGB TIFF with two channels more": (
        sixteen_bit_tiff(DEEP, photometric="rgb", extrasamples=["unspecified"] * 2), False),
}  # fmt: skip


@pytest.mark.parametrize(("data", "gray"), SIXTEEN.values(), ids=SIXTEEN)
def test_sixteen_bits_are_scaled_to_eight(data, gray):
    expected = DEEP[..., [0, 0, 0] if gray else [0, 1, 2]] / 257
    assert np.abs(decoded(data) - expected).max() <= 1


@pytest.mark.parametrize(("extension", "depth"), [(".avif", 10), (".avif", 8)])
def test_bits_that_are_lost_are_reported(extension, depth):
    options = [cv2.IMWRITE_AVIF_DEPTH, depth] if extension == ".avif" else []
    pixels = (np.tile(DEEP[..., :3], (4, 4, 1)) >> (16 - depth)).astype(np.uint8 if depth == 8 else np.uint16)
    fine, data = cv2.imencode(extension, pixels, options)
    photograph = decode(data.tobytes())
    assert fine and photograph.levels.dtype == np.uint8
    assert (f"{depth} bits" in photograph.remark) == (depth > 8)


def test_one_bit_is_black_and_white():
    pixels = decoded(encoded(Image.fromarray(np.eye(8, dtype=bool))))
    np.testing.assert_array_equal(pixels, np.repeat(np.eye(8, dtype=np.uint8)[..., None] * 255, 3, axis=-1))


def transparent(mode):
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:, :30] = 0
    if mode == "P":
        indexed = Image.fromarray(np.where(alpha == 0, 0, 1).astype(np.uint8), "L").convert("P")
        indexed.putpalette([10, 20, 30, 200, 100, 50])
        return encoded(indexed, transparency=0), np.where(alpha[..., None] == 0, 255, np.uint8([200, 100, 50]))
    if mode == "LA":
        image = Image.merge("LA", [Image.fromarray(RGB[..., 0]), Image.fromarray(alpha)])
        return encoded(image), np.where(alpha[..., None] == 0, 255, RGB[..., :1].repeat(3, axis=-1))
    return encoded(np.dstack([RGB, alpha])), np.where(alpha[..., None] == 0, 255, RGB)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_over_white(mode):
    data, expected = transparent(mode)
    np.testing.assert_array_equal(decoded(data), expected)


def test_half_transparency_is_mixed_with_white():
    data = encoded(np.dstack([RGB, np.full(RGB.shape[:2], 51, np.uint8)]))
    assert np.abs(decoded(data) - (0.2 * RGB + 0.8 * 255)).max() <= 1


TURNED = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1), 6: np.rot90(RGB, -1),
          7: RGB[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(RGB)}  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", TURNED)
def test_photographs_are_turned_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    pixels = decoded(encoded(RGB, kind, exif=exif, **options))
    assert pixels.shape == TURNED[orientation].shape
    assert np.abs(pixels.astype(int) - TURNED[orientation]).max() <= (12 if kind == "JPEG" else 0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_ignored():
    pixels = decoded(encoded(RGB, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"))
    np.testing.assert_array_equal(pixels, RGB)


def test_the_embedded_colour_profile_is_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    for data in (encoded(RGB, icc_profile=exchanged),
                 encoded(np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]), icc_profile=exchanged)):  # fmt: skip
        assert np.abs(decoded(data).astype(int) - RGB[..., ::-1]).max() <= 2


@pytest.mark.parametrize("kind", ["broken", "of another colour space"])
def test_an_unusable_colour_profile_is_ignored(kind):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    np.testing.assert_array_equal(decoded(encoded(RGB, icc_profile=lab[:90] if kind == "broken" else lab)), RGB)


UNREADABLE = {
    "text": (b"this is no photograph", "known format"),
    "truncated JPEG": (encoded(picture(600, 400), "JPEG")[:-2000], "truncated"),
    "truncated PNG": (encoded(picture(600, 400))[:-500], "decoded"),
    "broken header": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "known format"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
    "float TIFF": (sixteen_bit_tiff(np.float32(RGB / 255), photometric="rgb"), "float32"),
    "gray float TIFF": (sixteen_bit_tiff(np.float32(RGB[..., 0] / 255)), "white is unknown; save it"),
    "gray 32-bit TIFF": (sixteen_bit_tiff(RGB[..., 0].astype(np.int32) * 10**6), "white is unknown; save it"),
    "truncated TIFF in planes": (SIXTEEN["RGB TIFF in planes"][0][:-100], "truncated"),
}


@pytest.mark.parametrize(("data", "detail"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_files_give_a_reason_in_one_line_without_addresses(data, detail):
    with pytest.raises(UnreadablePhotograph, match=detail) as caught:
        decoded(data)
    assert caught.value.reason == "unreadable"
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


DAMAGED = {
    "TIFF without a picture": b"II*\0\0\0\0\0",
    "TIFF with an empty directory": b"II*\0\x08\0\0\0" + bytes(6),
    "fax TIFF": (lambda data: data[:8] + b"\x5a" * 40 + data[48:])(
        encoded(Image.fromarray(np.eye(64, dtype=bool)), "TIFF", compression="group3")),
    "LZW TIFF": (lambda data: data[:200] + b"\xff" * 400 + data[600:])(
        encoded(RGB, "TIFF", compression="tiff_lzw")),
    "JPEG": encoded(picture(600, 400), "JPEG")[:700] + b"\xff\xd9",
    "JPEG 2000": encoded(RGB, "JPEG2000")[:200],
    "WebP": encoded(RGB, "WEBP")[:60],
    "16-bit PNG": sixteen_bit_png(DEEP[..., :3], 2)[:-400],
    "16-bit PNG, deflated badly": sixteen_bit_png(DEEP[..., :3], 2).replace(b"IDAT\x78", b"IDAT\x00"),
    "AVIF": encoded(RGB, "AVIF")[:-100],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", DAMAGED)
def test_decoders_print_nothing_and_their_errors_say_what_to_think(kind, capfd):
    try:
        decode(DAMAGED[kind])
    except UnreadablePhotograph as error:
        detail = str(error)
        assert detail[-1] != ":" and not detail.startswith(("index", "decoder error"))
        assert not detail.startswith("cannot be decoded") or "damaged" in detail
    assert capfd.readouterr().err == ""


def test_too_many_pixels_are_refused_before_decoding():
    bomb = bytearray(encoded(RGB))
    bomb[16:24] = struct.pack(">II", 50_000, 50_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    with pytest.raises(UnreadablePhotograph, match=r"50000 x 50000 .* 300 megapixels") as caught:
        decoded(bytes(bomb))
    assert caught.value.reason == "too large"
    with pytest.raises(UnreadablePhotograph, match=r"0\.002 megapixels"):
        decoded(encoded(RGB), max_megapixels=0.002)


def test_the_limit_is_ours_and_pillows_own_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(decoded(encoded(RGB, kind)), RGB)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_large_jpeg_is_decoded_smaller_but_at_least_twice_as_large_as_needed():
    data = encoded(picture(1000, 800), "JPEG", quality=95)
    assert decoded(data).shape == (800, 1000, 3)
    assert decoded(data, at_least=100).shape == (200, 250, 3)
    assert decoded(data, at_least=101).shape == (400, 500, 3)


def test_a_file_is_read_whatever_its_extension(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encoded(RGB, "WEBP", lossless=True))
    np.testing.assert_array_equal(decoded(read_bytes(tmp_path / "photo.jpg")), RGB)


def test_a_file_too_long_to_be_a_photograph_is_not_read(tmp_path, monkeypatch):
    put(tmp_path, "film.jpg")
    os.truncate(tmp_path / "film.jpg", 10**8)
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(UnreadablePhotograph, match="100 MB; at most 1 megapixels") as caught:
        read_bytes(tmp_path / "film.jpg", max_megapixels=1)
    assert caught.value.reason == "too large"


def test_a_file_that_cannot_be_opened_gives_a_reason(tmp_path, monkeypatch):
    put(tmp_path, "a.png")

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(UnreadablePhotograph, match="Permission denied"):
        read_bytes(tmp_path / "a.png")
