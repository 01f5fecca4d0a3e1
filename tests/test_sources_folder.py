"""Folders of photographs, and the decoding of single ones."""

import io
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pipeline.config import FolderSource
from pipeline.errors import InputError
from pipeline.lab import from_rgb
from pipeline.photographs import UnreadablePhotograph, centre_square, decode_photograph, open_photograph
from pipeline.sources import folder, open_source


def picture(width=60, height=40, seed=0):
    """A smooth colour picture, (height, width, 3) uint8, that no turning or mirroring leaves as it is."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.array(Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR))


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def put(root, *names, seed=0):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(seed=seed + number)))


def opened(tmp_path, limit=None, scheduler="synchronous", workers=1, **settings):
    root = tmp_path / "photographs"
    values = FolderSource(kind="folder", path=str(root), **settings)
    return open_source(values, limit=limit, scratch=tmp_path / "scratch", scheduler=scheduler, workers=workers)


def ids(source):
    return [info.id for info in source.info(0, source.n)]


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "photographs"
    path.mkdir()
    return path


@pytest.fixture
def decoded(monkeypatch):
    """The number of decodings so far, as the length of a list."""
    calls = []

    def counted(data, *args, **kwargs):
        calls.append(len(data))
        return decode_photograph(data, *args, **kwargs)

    monkeypatch.setattr(folder, "decode_photograph", counted)
    return calls


# ---- single photographs

RGB = picture()
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


@pytest.mark.parametrize(("image", "kind", "options", "tolerance"), KINDS.values(), ids=KINDS)
def test_every_format_gives_its_colours(image, kind, options, tolerance):
    pixels = decode_photograph(encoded(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert pixels.shape == RGB.shape
    error = np.abs(pixels.astype(int) - RGB)
    assert error.max() <= tolerance
    assert error.mean() < 5


def sixteen_bit_png(pixels, colour_type):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

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
    assert np.abs(decode_photograph(data) - expected).max() <= 1


def test_one_bit_is_black_and_white():
    pixels = decode_photograph(encoded(Image.fromarray(np.eye(8, dtype=bool))))
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
def test_transparency_lies_over_white(mode):
    data, expected = transparent(mode)
    np.testing.assert_array_equal(decode_photograph(data), expected)


def test_half_transparency_is_mixed_with_white():
    data = encoded(np.dstack([RGB, np.full(RGB.shape[:2], 51, np.uint8)]))
    assert np.abs(decode_photograph(data) - (0.2 * RGB + 0.8 * 255)).max() <= 1


TURNED = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1), 6: np.rot90(RGB, -1),
          7: RGB[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(RGB)}  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", TURNED)
def test_photographs_are_turned_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    pixels = decode_photograph(encoded(RGB, kind, exif=exif, **options))
    assert pixels.shape == TURNED[orientation].shape
    assert np.abs(pixels.astype(int) - TURNED[orientation]).max() <= (12 if kind == "JPEG" else 0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_ignored():
    pixels = decode_photograph(encoded(RGB, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"))
    np.testing.assert_array_equal(pixels, RGB)


def test_the_embedded_colour_profile_is_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    for data in (encoded(RGB, icc_profile=exchanged),
                 encoded(np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)]), icc_profile=exchanged)):  # fmt: skip
        assert np.abs(decode_photograph(data).astype(int) - RGB[..., ::-1]).max() <= 2


@pytest.mark.parametrize("kind", ["broken", "of another colour space"])
def test_a_useless_colour_profile_is_ignored(kind):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    np.testing.assert_array_equal(
        decode_photograph(encoded(RGB, icc_profile=lab[:90] if kind == "broken" else lab)), RGB
    )


UNREADABLE = {
    "text": (b"this is no photograph", "known format"),
    "truncated JPEG": (encoded(picture(600, 400), "JPEG")[:-2000], "truncated"),
    "truncated PNG": (encoded(picture(600, 400))[:-500], "decoded"),
    "broken header": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "known format"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
    "float TIFF": (sixteen_bit_tiff(np.float32(RGB / 255), photometric="rgb"), "save it as RGB of 8 or 16 bits"),
    "gray float TIFF": (sixteen_bit_tiff(np.float32(RGB[..., 0] / 255)), "white is unknown; save it"),
    "gray 32-bit TIFF": (sixteen_bit_tiff(RGB[..., 0].astype(np.int32) * 10**6), "white is unknown; save it"),
    "truncated TIFF in planes": (SIXTEEN["RGB TIFF in planes"][0][:-100], "truncated"),
}


@pytest.mark.parametrize(("data", "detail"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_says_why_in_a_line_without_addresses(data, detail):
    with pytest.raises(UnreadablePhotograph, match=detail) as caught:
        decode_photograph(data)
    assert caught.value.reason == "unreadable"
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_pixels_are_refused_before_decoding():
    bomb = bytearray(encoded(RGB))
    bomb[16:24] = struct.pack(">II", 50_000, 50_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    with pytest.raises(UnreadablePhotograph, match="50000 x 50000 pixels are more than 300 megapixels") as caught:
        decode_photograph(bytes(bomb))
    assert caught.value.reason == "too large"
    with pytest.raises(UnreadablePhotograph, match=r"0\.002 megapixels"):
        decode_photograph(encoded(RGB), max_megapixels=0.002)


def test_the_limit_is_ours_and_pillows_own_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(decode_photograph(encoded(RGB)), RGB)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_large_jpeg_is_decoded_smaller_but_at_least_twice_as_large_as_needed():
    data = encoded(picture(1000, 800), "JPEG", quality=95)
    assert decode_photograph(data).shape == (800, 1000, 3)
    assert decode_photograph(data, at_least=100).shape == (200, 250, 3)
    assert decode_photograph(data, at_least=101).shape == (400, 500, 3)


def test_the_centre_square_is_the_middle_of_the_resized_photograph():
    rgb = np.random.default_rng(0).integers(0, 256, (448, 900, 3), dtype=np.uint8)
    resized = Image.fromarray(rgb).resize((450, 224), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(centre_square(rgb), np.asarray(resized.crop((113, 0, 337, 224))))
    assert centre_square(rgb[:30, :20]).shape == (224, 224, 3)
    assert centre_square(np.zeros((1, 100_000, 3), np.uint8)).shape == (224, 224, 3)


def test_a_file_is_read_whatever_its_extension(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encoded(RGB, "WEBP", lossless=True))
    np.testing.assert_array_equal(open_photograph(tmp_path / "photo.jpg"), RGB)


def test_a_file_too_long_to_be_a_photograph_is_not_read(tmp_path, monkeypatch):
    put(tmp_path, "film.jpg")
    os.truncate(tmp_path / "film.jpg", 10**8)
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(UnreadablePhotograph, match="a file of 100 MB; at most 1 megapixels") as caught:
        open_photograph(tmp_path / "film.jpg", max_megapixels=1)
    assert caught.value.reason == "too large"


def test_a_file_that_cannot_be_opened_says_so(tmp_path, monkeypatch):
    put(tmp_path, "a.png")

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(UnreadablePhotograph, match=r"^cannot be read: Permission denied$"):
        open_photograph(tmp_path / "a.png")


# ---- folders


def test_photographs_are_sorted_by_path_and_cut_to_the_centre(tmp_path, root):
    put(root, "b/a.png", "B.PNG", "a b.png", "b.png")
    (root / "photo.JPG").write_bytes(encoded(picture(500, 300), "JPEG", quality=95))
    source = opened(tmp_path)
    assert ids(source) == ["B.PNG", "a b.png", "b.png", "b/a.png", "photo.JPG"]
    assert source.info(3, 4)[0].group == source.info(3, 4)[0].source == "b/a.png"
    lightness, ab = source.read(0, 5)
    expected = from_rgb(centre_square(picture(seed=1)))
    np.testing.assert_array_equal(lightness[0], expected[0])
    np.testing.assert_array_equal(ab[0], expected[1])
    assert lightness.shape == (5, 224, 224)
    assert ab.shape == (5, 224, 224, 2)
    assert source.remarks == ()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp", "a.tif", "a.TIFF", "a.bmp", "a.gif"])
def test_every_extension_is_taken(tmp_path, root, name):
    Image.fromarray(RGB).save(root / name)
    assert ids(opened(tmp_path)) == [name]


def test_what_is_left_out_is_remarked_on(tmp_path, root):
    put(root, "good.png", ".hidden.png", ".git/x.png")
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("hello")
    (root / "notes.txt").write_text("hello")
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    (root / "large.png").write_bytes(encoded(picture(200, 100)))
    os.mkfifo(root / "pipe.jpg")
    (root / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to(root)
    source = opened(tmp_path, max_megapixels=0.015)
    assert ids(source) == ["good.png"]
    assert {remark.file: remark.reason for remark in source.remarks} == {
        "empty.jpg": "unreadable", "text.jpg": "unreadable", "notes.txt": "not a photograph", "gray.png": "gray",
        "large.png": "too large", "pipe.jpg": "unreadable", "gone.jpg": "unreadable", "self.jpg": "unreadable",
        "sub/up/": "unreadable", ".hidden.png": "hidden", ".git": "hidden"}  # fmt: skip
    details = {remark.file: remark.detail for remark in source.remarks}
    assert details["gray.png"].endswith("is below gray_below = 2")
    assert "200 x 100" in details["large.png"]
    assert details["empty.jpg"] == "empty file"
    assert str(tmp_path) not in str(source.describe()) + str(source.remarks)
    assert source.describe()["left_out"] == {
        "gray": 1, "hidden": 2, "not a photograph": 1, "too large": 1, "unreadable": 6}  # fmt: skip


def test_names_that_are_no_text_do_no_harm(tmp_path, root):
    names = [b"caf\xe9.png", b"caf\xe8.png", b"two\nlines.png", b"caf\\udce9.png"]
    for seed, name in enumerate(names):
        Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(encoded(picture(seed=seed)))
    source = opened(tmp_path)
    assert len(set(ids(source))) == 4
    assert all(name.isprintable() and name.encode("utf-8") for name in ids(source))
    source.close()
    assert len(source.read(0, 4)[0]) == 4
    assert opened(tmp_path).input_digest(0, 4) == source.input_digest(0, 4)


def test_a_threshold_of_zero_keeps_gray_photographs(tmp_path, root):
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    assert ids(opened(tmp_path, gray_below=0.0)) == ["gray.png"]


def test_nothing_usable_is_refused_with_counts(tmp_path, root):
    with pytest.raises(InputError, match=r"photographs: expected colour photographs .* received no files; set"):
        opened(tmp_path)
    (root / "notes.txt").touch()
    (root / "a.jpg").touch()
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    with pytest.raises(InputError, match="received 1 gray, 1 not a photograph, 1 unreadable; set the dataset's `path`"):
        opened(tmp_path)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"photographs: expected a folder with photographs .*received nothing there; set"
    ):
        opened(tmp_path)
    (tmp_path / "photographs").touch()
    with pytest.raises(InputError, match="received a file; set the dataset's `path`"):
        opened(tmp_path)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_slices_cross_chunks(tmp_path, root, monkeypatch, scheduler):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(7)])
    (root / "3.png").write_bytes(b"")
    source = pickle.loads(pickle.dumps(opened(tmp_path, scheduler=scheduler)))
    assert [info.id for info in source.info(1, 5)] == ["1.png", "2.png", "4.png", "5.png"]
    whole = source.read(0, 6)
    for number, seed in enumerate([0, 1, 2, 4, 5, 6]):
        np.testing.assert_array_equal(whole[0][number], from_rgb(centre_square(picture(seed=seed)))[0])
    np.testing.assert_array_equal(source.read(2, 5)[1], whole[1][2:5])


def test_a_limit_stops_the_scan_early(tmp_path, root, monkeypatch, decoded):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(9)])
    for name in ("0.png", "3.png"):
        (root / name).write_bytes(b"")
    source = opened(tmp_path, limit=2)
    assert ids(source) == ["1.png", "2.png"]
    assert len(decoded) == 2
    assert [remark.file for remark in source.remarks] == ["0.png"]
    assert opened(tmp_path, limit=2, workers=4).remarks == source.remarks
    assert opened(tmp_path, limit=99).n == 7


def test_each_photograph_is_decoded_once(tmp_path, root, decoded):
    put(root, "a.png", "b.png")
    source = opened(tmp_path)
    pixels = source.read(0, 2)
    assert len(decoded) == 2
    source.close()
    assert [path.suffix for path in (tmp_path / "scratch").iterdir()] == [".json"]
    again = opened(tmp_path)
    assert again.input_digest(0, 2) == source.input_digest(0, 2)
    assert again.remarks == source.remarks
    assert len(decoded) == 2
    np.testing.assert_array_equal(again.read(1, 2)[1], pixels[1][1:])
    assert len(decoded) == 3


@pytest.mark.parametrize("change", ["content", "name", "gray_below", "max_megapixels", "damaged verdict"])
def test_what_changes_is_judged_again(tmp_path, root, monkeypatch, decoded, change):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, "a.png", "b.png", "c.png", "d.png")
    before = opened(tmp_path)
    digests = before.input_digest(0, 2), before.input_digest(2, 4)
    if change == "content":
        put(root, "c.png", seed=9)
    elif change == "name":
        (root / "c.png").rename(root / "c2.png")
    elif change == "damaged verdict":
        (tmp_path / "scratch" / "000001.json").write_text("{")
    settings = {"gray_below": {"gray_below": 1.0}, "max_megapixels": {"max_megapixels": 1.0}}.get(change, {})
    after = opened(tmp_path, **settings)
    assert len(decoded) == 4 + (4 if settings else 2)
    assert after.input_digest(0, 2) == digests[0]
    assert (after.input_digest(2, 4) != digests[1]) == (change in ("content", "name"))
    seed = 9 if change == "content" else 2
    np.testing.assert_array_equal(after.read(2, 3)[0][0], from_rgb(centre_square(picture(seed=seed)))[0])


def test_a_killed_scan_goes_on_where_it_was(tmp_path, root, monkeypatch):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(6)])
    calls = []

    def killed(data, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decode_photograph(data, *args, **kwargs)

    monkeypatch.setattr(folder, "decode_photograph", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path)
    source = opened(tmp_path)
    assert len(calls) == 4 + 4
    assert len(source.read(0, 6)[0]) == 6


def test_a_photograph_exchanged_after_closing_is_noticed(tmp_path, root):
    put(root, "a.png")
    source = opened(tmp_path)
    source.close()
    put(root, "a.png", seed=5)
    with pytest.raises(InputError, match=r"a\.png: expected the photograph found at first, .* run this again"):
        source.read(0, 1)


def test_pixels_of_an_earlier_scan_are_never_taken_for_those_of_this_one(tmp_path, root, monkeypatch):
    put(root, "a.png")
    opened(tmp_path)
    put(root, "a.png", seed=5)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(folder, "write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        opened(tmp_path)
    put(root, "a.png")
    np.testing.assert_array_equal(opened(tmp_path).read(0, 1)[0][0], from_rgb(centre_square(picture()))[0])
