"""PNG's chunks: gamma and chromaticities, transparent colours, animations, 16 bits a channel."""

import struct
import zlib

import numpy as np
import pytest
from image_files import chunk
from PIL import Image, PngImagePlugin
from readers import RGB8, rewritten

from pipeline.images import originals, writing
from pipeline.images.formats import UnreadablePhotograph

RAMP = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(pixels, depth, colour_type, *before, after=()):
    """A PNG of rows of samples (H, W) or (H, W, C) in `depth` bits, with chunks before and after the pixels."""
    rows = pixels.reshape(len(pixels), -1)
    if depth == 16:
        data = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        data = b"".join(b"\0" + np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], len(pixels), depth, colour_type, 0, 0, 0))
    parts = [head, *before, chunk(b"IDAT", zlib.compress(data)), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def read(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    return originals.read(tmp_path / "a.png")


def srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("gamma", [1.0, 0.25, 2.5])
@pytest.mark.parametrize("colour_type", [0, 2, 4])
def test_gamma_is_applied(tmp_path, depth, gamma, colour_type):
    full = 2**depth - 1
    levels = RAMP.astype(np.uint16) * (full // 255)
    opaque = np.full_like(levels, full)
    pixels = {0: levels, 2: np.dstack([levels] * 3), 4: np.dstack([levels, opaque])}[colour_type]
    found = read(tmp_path, png(pixels, depth, colour_type, gama(gamma))).levels
    expected = srgb((levels / full) ** (1 / gamma))
    first = found if found.ndim == 2 else found[..., 0]
    assert found.dtype == (np.uint8 if depth == 8 else np.uint16) and (found.ndim == 3) == (colour_type == 2)
    assert np.abs(first / full - expected).max() < (1.2 / 255 if depth == 8 else 3 / 65535 + 1e-4)


def test_chromaticities_are_applied_with_gamma(tmp_path):
    red = np.tile(np.uint8([[120, 60, 60]]), (2, 2, 1))
    found = read(tmp_path, png(red, 8, 2, gama(1 / 2.2), chrm(ADOBE))).levels[0, 0]
    assert found[0] > 130 and abs(int(found[1]) - int(found[2])) <= 2
    deep = read(tmp_path, png(red.astype(np.uint16) * 257, 16, 2, gama(1 / 2.2), chrm(ADOBE))).levels[0, 0]
    assert np.abs(deep / 257 - found).max() < 1.5
    gray = np.full((2, 2, 3), 100, np.uint8)  # white stays white
    assert np.abs(read(tmp_path, png(gray, 8, 2, gama(1 / 2.2), chrm(ADOBE))).levels.astype(int) - 100).max() <= 1


SAME = {
    "sRGB's": [gama(0.45455), chrm(SRGB)],
    "the chunk sRGB": [chunk(b"sRGB", b"\0"), gama(1.0)],
    "zero": [gama(0)],
    "absurd": [gama(20_000)],
    "no colours": [chrm([0] * 8)],
    "colours on a line": [chrm([0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.4, 0.4])],
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("depth", [8, 16])
def test_gamma_that_says_nothing_changes_no_bit(tmp_path, kind, depth):
    pixels = RGB8.astype(np.uint16) * (257 if depth == 16 else 1)
    assert np.array_equal(read(tmp_path, png(pixels, depth, 2, *SAME[kind])).levels, pixels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_gray_is_kept(tmp_path, depth):
    full = 2**depth - 1
    levels = np.array([[0, full, full // 2, 0]], np.uint16)
    for key in (0, full):
        found = read(tmp_path, png(levels, depth, 0, chunk(b"tRNS", struct.pack(">H", key))))
        most = np.iinfo(found.levels.dtype).max
        assert np.array_equal(found.alpha, np.where(levels == key, 0, most))
        assert np.abs(found.levels / most - levels / full).max() < 0.003
        image, _ = rewritten(tmp_path / "a.png", tmp_path / "b.png")
        assert image.mode == "RGBA"


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_is_kept(tmp_path, depth):
    pixels = RGB8.astype(np.uint16) * (257 if depth == 16 else 1)
    found = read(tmp_path, png(pixels, depth, 2, chunk(b"tRNS", struct.pack(">3H", *pixels[3, 4].tolist()))))
    expected = np.where((pixels == pixels[3, 4]).all(axis=-1), 0, np.iinfo(found.levels.dtype).max)
    assert np.array_equal(found.levels, pixels) and np.array_equal(found.alpha, expected)


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
def test_16_bits_of_an_animation_are_those_of_the_default_picture(tmp_path, colour_type):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    pixels = np.random.default_rng(1).integers(0, 2**16, (9, 7, channels), dtype=np.uint16)
    other = b"".join(b"\0" + row.astype(">u2").tobytes() for row in (pixels[::-1] ^ 0xFFFF).reshape(9, -1))
    control = struct.pack(">IIIIIHHBB", 0, 7, 9, 0, 0, 1, 10, 0, 0)
    frames = [chunk(b"fcTL", control), chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(other))]
    data = png(pixels, 16, colour_type, chunk(b"acTL", struct.pack(">II", 1, 0)), after=frames)
    found = read(tmp_path, data)
    colours = pixels[..., 0] if channels < 3 else pixels[..., :3]
    assert np.array_equal(found.levels, colours) and (found.alpha is None) == (channels % 2 == 1)
    assert found.alpha is None or np.array_equal(found.alpha, pixels[..., -1])


@pytest.mark.parametrize("kind", ["RGB", "RGBA"])
def test_interlaced_16_bits_are_read(tmp_path, kind):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(2).integers(0, 2**16, (11, 13, len(kind)), dtype=np.uint16)
    parts = []
    for x, y, right, down in PASSES:
        parts += [b"\0" + row.astype(">u2").tobytes() for row in pixels[y::down, x::right]]
    head = struct.pack(">IIBBBBB", 13, 11, 16, 2 if kind == "RGB" else 6, 0, 0, 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(parts)))
                     + chunk(b"IEND", b""))  # fmt: skip
    assert np.array_equal(originals.read(path).levels, pixels[..., :3])


@pytest.mark.parametrize(("depth", "colour_type"), [(1, 0), (8, 0), (8, 2), (16, 0), (16, 2), (16, 6)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_rows_that_end_early_are_found(tmp_path, depth, colour_type, interlaced):
    bits = depth * {0: 1, 2: 3, 6: 4}[colour_type]
    steps = PASSES if interlaced else [(0, 0, 1, 1)]
    lines = [len(range(x, 13, right)) for x, y, right, down in steps for _ in range(y, 11, down)]
    rows = [b"\0" + b"\x55" * ((columns * bits + 7) // 8) for columns in lines]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 13, 11, depth, colour_type, 0, 0, interlaced))

    def written(data):
        cut = len(data) // 2
        parts = [head, *(chunk(b"IDAT", part) for part in (data[:cut], data[cut:])), chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    assert read(tmp_path, written(zlib.compress(b"".join(rows)))).levels.shape[:2] == (11, 13)
    for short in (rows[:-1], rows[:4]):
        with pytest.raises(UnreadablePhotograph, match="truncated"):
            read(tmp_path, written(zlib.compress(b"".join(short))))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("after", [False, True])
def test_long_texts_and_profiles_are_legal(tmp_path, depth, after):
    profile = writing.srgb_profile() + bytes(3_000_000)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"caption" * 1_000_000))
    before = [chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)), *([] if after else [text])]
    pixels = RGB8.astype(np.uint16) * (257 if depth == 16 else 1)
    found = read(tmp_path, png(pixels, depth, 2, *before, after=[text] if after else ()))
    assert np.array_equal(found.levels, pixels) and text[8:-4] == found.metadata.chunks[0][1] and not found.remarks


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_a_text_or_profile_that_unpacks_to_gigabytes_is_refused(tmp_path, name):
    with pytest.raises(UnreadablePhotograph, match="64 MiB"):
        read(tmp_path, png(RGB8.astype(np.uint16), 8, 2, chunk(name, b"x\0\0" + zlib.compress(bytes(2**27)))))


def test_a_flipped_bit_in_16_bits_is_found(tmp_path):
    data = bytearray(png(RGB8.astype(np.uint16) * 257, 16, 2))
    data[-30] ^= 1
    with pytest.raises(UnreadablePhotograph, match="damaged"):
        read(tmp_path, bytes(data))


@pytest.mark.parametrize("after", [False, True])
def test_texts_and_the_time_are_kept(tmp_path, after):
    texts = [
        chunk(b"tEXt", b"Title\0Grandmother"),
        chunk(b"iTXt", b"Description\0\0\0de\0Beschreibung\0" + "Große Feier".encode()),
        chunk(b"zTXt", b"Author\0\0" + zlib.compress("Jürgen".encode("latin-1"))),
        chunk(b"tEXt", b"Software\0another"),
        chunk(b"tIME", bytes([7, 163, 3, 4, 5, 6, 7])),
    ]
    read(tmp_path, png(RGB8, 8, 2, *([] if after else texts), after=texts if after else []))
    image, remarks = rewritten(tmp_path / "a.png", tmp_path / "b.png")
    assert isinstance(image, PngImagePlugin.PngImageFile) and remarks == ()
    assert (image.text["Title"], image.text["Description"], image.text["Author"]) == (
        "Grandmother", "Große Feier", "Jürgen")  # fmt: skip
    assert image.text["Description"].lang == "de"
    assert chunk(b"tIME", bytes([7, 163, 3, 4, 5, 6, 7])) in (tmp_path / "b.png").read_bytes()
    assert "another" not in image.text["Software"]
    assert Image.open(tmp_path / "b.png").size == (30, 20)
