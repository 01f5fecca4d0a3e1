"""Reading and writing photographs of every format and depth with their metadata."""

import io
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from pipeline.images import originals, writing
from pipeline.images.photographs import UnreadablePhotograph
from pipeline.images.xmp import SOURCE_TYPE

RNG = np.random.default_rng(0)
GRAY16 = RNG.integers(0, 2**16, (20, 30), dtype=np.uint16)
RGB16 = RNG.integers(0, 2**16, (20, 30, 3), dtype=np.uint16)
RGB8 = np.asarray(Image.fromarray(RNG.integers(0, 256, (3, 5, 3), dtype=np.uint8)).resize((30, 20)))
NOTE = "Colours made by a test"


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return originals.read(path)


def png16(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return originals.read(path)


def written(path, original, rgb):
    writing.write(path, original, rgb, NOTE)
    return originals.read(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_tiff_of_16_bits_keeps_every_bit_and_is_upright(tmp_path, compression, orientation):
    path = tmp_path / "a.tif"
    if compression == "lzw":
        assert cv2.imwrite(str(path), RGB16[..., ::-1])  # OpenCV's default
        expected = RGB16
    else:
        tag = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, RGB16, photometric="rgb", compression=compression, extratags=tag)
        expected = {1: RGB16, 3: RGB16[::-1, ::-1], 6: np.rot90(RGB16, -1), 8: np.rot90(RGB16)}[orientation]
    read = originals.read(path)
    assert read.levels.dtype == np.uint16 and np.array_equal(read.levels, expected)
    again = written(tmp_path / "b.tif", read, read.levels[..., ::-1])
    assert np.array_equal(again.levels, expected[..., ::-1])
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert (file.pages[0].compression == 1) == (compression is None)
        assert np.array_equal(file.pages[0].asarray(), expected[..., ::-1])
        assert file.pages[0].tags[274].value == 1


@pytest.mark.parametrize("kind", ["gray", "white is zero", "planes", "alpha", "multiplied alpha"])
def test_tiffs_of_16_bits_of_other_layouts(tmp_path, kind):
    path = tmp_path / "a.tif"
    alpha = np.maximum(GRAY16, 40_000)
    if kind == "gray":
        tifffile.imwrite(path, GRAY16)
    elif kind == "white is zero":
        tifffile.imwrite(path, 65535 - GRAY16, photometric="miniswhite")
    elif kind == "planes":
        tifffile.imwrite(path, np.moveaxis(RGB16, -1, 0), photometric="rgb", planarconfig="separate")
    elif kind == "alpha":
        tifffile.imwrite(path, np.dstack([RGB16, alpha]), photometric="rgb", extrasamples=["unassalpha"])
    else:
        multiplied = np.rint(RGB16 * (alpha[..., None] / 65535)).astype(np.uint16)
        tifffile.imwrite(path, np.dstack([multiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    read = originals.read(path)
    expected = GRAY16 if kind in ("gray", "white is zero") else RGB16
    assert read.levels.shape == expected.shape
    assert np.abs(read.levels.astype(int) - expected).max() <= (1 if kind == "multiplied alpha" else 0)
    assert (read.alpha is not None) == ("alpha" in kind)
    if read.alpha is not None:
        again = written(tmp_path / "b.tif", read, RGB16)
        assert np.array_equal(again.alpha, alpha) and np.array_equal(again.levels, RGB16)


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_a_png_of_16_bits_keeps_every_bit(tmp_path, channels):
    pixels = GRAY16 if channels is None else np.dstack([RGB16, GRAY16])[..., :channels]
    read = png16(tmp_path / "a.png", pixels if channels is None else pixels[..., [2, 1, 0, 3][:channels]])
    assert read.levels.dtype == np.uint16
    assert np.array_equal(read.levels, GRAY16 if channels is None else RGB16)
    again = written(tmp_path / "b.png", read, RGB16)
    assert np.array_equal(again.levels, RGB16)
    assert again.alpha is None if channels != 4 else np.array_equal(again.alpha, GRAY16)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_are_kept_and_the_colours_origin_added(tmp_path, kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Kodak", 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1950:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:tiff="t" tiff:Orientation="6" tiff:Kept="yes"/></rdf:RDF></x:xmpmeta>'
    )
    path = tmp_path / "a"
    with path.open("wb") as file:
        # Pillow leaves parts of EXIF out of a TIFF.
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": text} if kind == "PNG" else {"xmp": xmp}
        Image.fromarray(RGB8).save(file, "JPEG" if kind == "TIFF" else kind, exif=exif, dpi=(300, 200), **options)
    if kind == "TIFF":
        read = replace(originals.read(path), format="TIFF", compressed=True)
        writing.write(path, read, read.levels, "another")
    read = originals.read(path)
    assert read.levels.shape == (30, 20, 3) and read.format == kind and read.kept
    writing.write(tmp_path / "b", read, read.levels, NOTE)
    with Image.open(tmp_path / "b") as image:
        assert (image.format, image.size) == (kind, (20, 30))
        found = image.getexif()
        assert (found[ExifTags.Base.Make], found[ExifTags.Base.Orientation]) == ("Kodak", 1)
        assert found[ExifTags.Base.Software] == NOTE
        assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "1950:01:02 03:04:05"
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        text = image.info["xmp"] if isinstance(image.info["xmp"], str) else image.info["xmp"].decode()
        assert SOURCE_TYPE in text and NOTE in text and "tiff:Orientation" not in text
        assert 'tiff:Kept="yes"' in text
        if kind != "WEBP":
            assert np.allclose([float(dots) for dots in image.info["dpi"]], (200, 300), atol=0.1)
        if kind == "JPEG":
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
            assert max(max(table) for table in image.quantization.values()) <= 12  # quality 95


def test_equal_pictures_give_equal_files_at_any_time(tmp_path):
    read = saved(tmp_path / "a.png", RGB8)
    first = []
    for year in (1999, 2030):
        made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        made[24:26] = struct.pack(">H", year)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ImageCms.ImageCmsProfile, "tobytes", lambda profile, made=made: bytes(made))
            writing.srgb_profile.cache_clear()
            writing.write(tmp_path / "b.png", read, RGB8, NOTE)
        first.append((tmp_path / "b.png").read_bytes())
    writing.srgb_profile.cache_clear()
    assert first[0] == first[1]


@pytest.mark.parametrize("kind", ["bare", "long profile", "XMP that mentions it", "animated"])
@pytest.mark.parametrize("lossless", [True, False])
def test_a_lossless_webp_stays_lossless(tmp_path, kind, lossless):
    srgb = writing.srgb_profile()
    options = {
        "bare": {},
        "long profile": {"icc_profile": srgb + bytes(1_500_001)},
        "XMP that mentions it": {"xmp": b"VP8L" * 3, "icc_profile": srgb},
        "animated": {"save_all": True, "append_images": [Image.fromarray(RGB8[::-1])], "icc_profile": srgb},
    }[kind]
    read = saved(tmp_path / "a.webp", RGB8, lossless=lossless, **options)
    again = written(tmp_path / "b.webp", read, RGB8)
    assert np.array_equal(again.levels, RGB8) == lossless


def test_alpha_stays_and_is_not_mixed_into_the_colours(tmp_path):
    alpha = np.arange(600, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
    read = saved(tmp_path / "a.png", np.dstack([RGB8, alpha]))
    assert np.array_equal(read.levels, RGB8) and np.array_equal(read.alpha, alpha)
    again = written(tmp_path / "b.png", read, 255 - RGB8)
    assert np.array_equal(again.levels, 255 - RGB8) and np.array_equal(again.alpha, alpha)


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_formats_that_cannot_hold_colours_or_their_origin_become_png(tmp_path, kind):
    Image.fromarray(RGB8).save(tmp_path / "a", kind)
    read = originals.read(tmp_path / "a")
    assert (read.format, read.kept) == ("PNG", False)


def test_the_first_of_several_pictures_is_read_with_a_remark(tmp_path):
    pages = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (50, 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    read = originals.read(tmp_path / "a.tif")
    assert (read.levels == 50).all()
    assert len(read.remarks) == 1 and "first of 2" in read.remarks[0]


def test_a_cmyk_jpeg_becomes_colours(tmp_path):
    Image.fromarray(RGB8).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    read = originals.read(tmp_path / "a.jpg")
    assert read.levels.shape == (20, 30, 3) and np.abs(read.levels.astype(int) - RGB8).mean() < 12


@pytest.mark.parametrize("content", [b"text", b"II*\0garbage", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_file_that_is_no_photograph_is_refused(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadablePhotograph):
        originals.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("pixels", [GRAY16, RGB16, RGB8[..., 0], np.dstack([RGB8, RGB8[..., :1]])])
def test_a_tiff_that_lacks_strips_is_refused(tmp_path, pixels):
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, rowsperstrip=5)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for tag in (273, 279):
            offset = file.pages[0].tags[tag].offset
            data[offset + 4 : offset + 8] = struct.pack("<I", 3)  # of 4
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(UnreadablePhotograph):
        originals.read(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_a_truncated_photograph_is_refused(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "jpg":
        Image.fromarray(RGB8).save(path)
    else:
        assert cv2.imwrite(str(path), RGB16)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadablePhotograph):
        originals.read(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY16)
    with pytest.raises(UnreadablePhotograph, match=r"30 x 20 .* 0\.0001 megapixels"):
        originals.read(tmp_path / "a.tif", max_megapixels=0.0001)


def test_exif_too_large_for_a_jpeg_loses_the_maker_notes(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kodak"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"x" * 80_000
    Image.fromarray(RGB8).save(tmp_path / "a.png", exif=exif)
    read = replace(originals.read(tmp_path / "a.png"), format="JPEG")
    writing.write(tmp_path / "b.jpg", read, RGB8, NOTE)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.getexif()[ExifTags.Base.Make] == "Kodak" and image.getexif()[ExifTags.Base.Software] == NOTE
