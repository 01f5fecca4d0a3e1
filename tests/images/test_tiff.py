"""TIFFs of unusual layouts: the result has tags of its own, and other programs read it."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image
from readers import RGB8, exif_block, rewritten

from pipeline.images import originals
from pipeline.images.formats import UnreadablePhotograph

GRAY = np.ascontiguousarray(RGB8[..., 0])
LARGE = np.kron(GRAY, np.ones((4, 4), np.uint8))
DEEP = np.random.default_rng(7).integers(0, 2**16, (20, 30, 3), dtype=np.uint16)
BITS = np.unpackbits(np.random.default_rng(8).integers(0, 256, (20, 4), dtype=np.uint8), axis=1)
CHECKED = (254, 255, 266, 322, 323, 324, 325, 326, 327, 328, 330, 339)  # layout, of which none is ours


def two_pages(path, pixels, **options):
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, **options)
        file.write(pixels[::-1], **options)


def reversed_bits(path):
    """Two bilevel pages whose first pixel is in the lowest bit."""
    rows = np.packbits(BITS, axis=1, bitorder="little").tobytes()
    entries = [(256, 3, 1, struct.pack(">H", 32)), (257, 3, 1, struct.pack(">H", 20)), (258, 3, 1, b"\0\1"),
               (259, 3, 1, b"\0\1"), (262, 3, 1, b"\0\1"), (266, 3, 1, b"\0\2"), (273, 4, 1, struct.pack(">I", 500)),
               (277, 3, 1, b"\0\1"), (278, 3, 1, struct.pack(">H", 20)), (279, 4, 1, struct.pack(">I", len(rows))),
               (296, 3, 1, b"\0\1"), (297, 3, 2, b"\0\0\0\2")]  # fmt: skip
    first = bytearray(exif_block(entries).ljust(500, b"\0") + rows)
    after = 8 + 2 + 12 * len(entries)
    first[after : after + 4] = struct.pack(">I", len(first))
    path.write_bytes(bytes(first) + exif_block(entries)[8:])


def pyramid(path):
    with tifffile.TiffWriter(path) as file:
        file.write(LARGE, tile=(32, 32), subifds=1, resolution=(300, 300))
        file.write(LARGE[::2, ::2], tile=(32, 32), subfiletype=1)
        file.write(LARGE[::4, ::4], tile=(32, 32), subfiletype=1)


KINDS = {
    "tiled": (lambda path: two_pages(path, LARGE, tile=(32, 32)), LARGE),
    "tiled, Deflate, predictor": (
        lambda path: two_pages(path, LARGE, tile=(32, 32), compression="zlib", predictor=True), LARGE),
    "pyramid": (pyramid, LARGE),
    "lowest bit first": (reversed_bits, BITS * np.uint8(255)),
    "int8": (lambda path: two_pages(path, (GRAY // 2).astype(np.int8)), GRAY // 2 * 2 + (GRAY > 127)),
    "another sample": (
        lambda path: two_pages(path, np.dstack([RGB8, GRAY]), photometric="rgb", extrasamples=["unspecified"]), RGB8),
    "gray, another sample": (
        lambda path: two_pages(path, np.dstack([GRAY, GRAY]), photometric="minisblack", planarconfig="contig",
                               extrasamples=["unspecified"]), GRAY),
    "16 bits, tiled": (lambda path: two_pages(path, DEEP, photometric="rgb", tile=(16, 16)), DEEP),
    "BigTIFF": (lambda path: tifffile.imwrite(path, RGB8, photometric="rgb", bigtiff=True), RGB8),
    "ImageJ": (lambda path: tifffile.imwrite(path, np.stack([GRAY, GRAY]), imagej=True), GRAY),
    "OME": (lambda path: tifffile.imwrite(path, np.stack([GRAY, GRAY]), ome=True), GRAY),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_read_by_other_programs(tmp_path, kind):
    make, expected = KINDS[kind]
    make(tmp_path / "a.tif")
    read = originals.read(tmp_path / "a.tif")
    assert read.levels.dtype == expected.dtype and np.array_equal(read.levels, expected) and read.alpha is None
    rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert not [tag for tag in CHECKED if tag in file.pages[0].tags] and not file.is_bigtiff
        assert (317 in file.pages[0].tags) == (file.pages[0].compression != 1)


DESCRIPTIONS = {
    "ImageJ=1.53\nimages=2\nunit=cm\nmin=0.0\nmy caption, f=8\n": "my caption, f=8",
    "ImageJ=1.53\nimages=2\nslices=2\nloop=false\n": None,
    '{"shape": [2, 20, 30], "axes": "QYX", "caption": "mine"}': '{"caption": "mine"}',
    '{"shape": [2, 20, 30]}': None,
    '{"shape": my caption}': 'Caption: {"shape": my caption}',
    "shape=(2, 20, 30)": None,
    "shape=of a heart": "Caption: shape=of a heart",
    "a plain {caption}": "a plain {caption}",
}


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_caption_among_notes_of_layout_is_kept(tmp_path, description):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, description=description, metadata=None)
    image, _ = rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    assert image.tag_v2.get(270) == DESCRIPTIONS[description]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "BigTIFF", "white is zero", "gray and alpha", "signed"])
def test_uncompressed_stays_uncompressed(tmp_path, kind, compression):
    pixels, options = {
        "8 bits": (RGB8, {"photometric": "rgb"}),
        "16 bits": (DEEP, {"photometric": "rgb"}),
        "BigTIFF": (RGB8, {"photometric": "rgb", "bigtiff": True}),
        "white is zero": (DEEP[..., 0], {"photometric": "miniswhite", "byteorder": ">"}),
        "gray and alpha": (DEEP[..., :2], {"extrasamples": ["unassalpha"], "planarconfig": "contig"}),
        "signed": (DEEP.astype(np.int16) & 0x7FFF, {"photometric": "rgb"}),
    }[kind]
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, **options)
    rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert (file.pages[0].compression == 1) == (compression is None)


@pytest.mark.parametrize("big", [False, True])
def test_the_resolution_turns_with_the_photograph(tmp_path, big):
    tag = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb", bigtiff=big, resolution=(300, 200), extratags=tag)
    image, _ = rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    assert image.size == (20, 30) and (image.tag_v2[282], image.tag_v2[283]) == (200, 300)


def test_signed_levels_of_16_bits_keep_their_depth(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1, 16384, 32767]], np.int16))
    assert originals.read(tmp_path / "a.tif").levels.tolist() == [[0, 2, 32769, 65535]]
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-1, 1]], np.int16))
    with pytest.raises(UnreadablePhotograph, match="below zero"):
        originals.read(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore:Metadata Warning")
@pytest.mark.parametrize(("values", "turned"), [((0,), 0), ((9,), 0), ((65535,), 0), ((6, 1), -1), ((9, 6), 0)])
@pytest.mark.parametrize("pixels", [GRAY, DEEP], ids=["8 bits", "16 bits"])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, pixels, values, turned):
    tag = [(274, "H", len(values), values if len(values) > 1 else values[0], True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=tag, photometric=None if pixels.ndim == 2 else "rgb")
    assert np.array_equal(originals.read(tmp_path / "a.tif").levels, np.rot90(pixels, turned))


@pytest.mark.parametrize("pixels", [DEEP[..., 0], DEEP], ids=["gray", "RGB"])
def test_empty_strips_are_missing_pixels(tmp_path, pixels):
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, rowsperstrip=10)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        tag = file.pages[0].tags[279]
        tag.overwrite((tag.value[0], 0))
    with pytest.raises(UnreadablePhotograph, match="truncated"):
        originals.read(tmp_path / "a.tif")


@pytest.mark.parametrize("pixels", [GRAY, DEEP[..., 0]], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"tile": (2, 16, 16)}, {"compression": "zlib"}])
def test_the_first_plane_of_a_volume_is_read_with_a_remark(tmp_path, pixels, options):
    stack = np.stack([pixels, pixels[::-1], pixels[:, ::-1], ~pixels])
    tifffile.imwrite(tmp_path / "a.tif", stack, volumetric=True, photometric="minisblack", **options)
    assert np.array_equal(originals.read(tmp_path / "a.tif").levels, pixels)
    _, remarks = rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    assert "4 planes" in remarks[0]


@pytest.mark.parametrize("tags", [(34361, 34362), (33628,), (34412,), (33560,), (43314,), (33445,), (65420,)])
def test_no_tag_makes_readers_take_the_result_for_a_file_of_an_instrument(tmp_path, tags):
    extra = [(tag, 7, 64, b"\1" * 64, True) for tag in tags] + [(271, 2, 6, "Zeiss", True)]
    tifffile.imwrite(tmp_path / "a.tif", GRAY, extratags=extra)
    image, remarks = rewritten(tmp_path / "a.tif", tmp_path / "b.tif")
    assert not set(tags) & set(image.tag_v2) and image.tag_v2[271] == "Zeiss" and len(remarks) == 1


@pytest.mark.parametrize("others", [["unassalpha", 0], [0, "unassalpha"], ["assocalpha"], ["assocalpha", 0]])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_alpha_is_found_among_other_samples(tmp_path, others, gray, deep):
    colours, full = (DEEP, 65535) if deep else (RGB8, 255)
    colours = colours[..., :1] if gray else colours
    alpha = np.maximum(colours[..., 0], full // 2)
    multiplied = np.rint(colours * (alpha[..., None] / full)).astype(colours.dtype)
    extra = [alpha if each else np.full_like(alpha, 7) for each in others]
    pixels = np.dstack([multiplied if "assocalpha" in others else colours, *extra])
    options = {"photometric": "minisblack" if gray else "rgb", "planarconfig": "contig", "extrasamples": others}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    read = originals.read(tmp_path / "a.tif")
    assert np.array_equal(read.alpha, alpha)
    off = np.abs(read.levels.astype(int) - (colours[..., 0] if gray else colours))
    assert off.max() <= (1 if "assocalpha" in others else 0)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_of_a_compression_that_only_pillow_knows_are_read(tmp_path, compression, orientation, channels):
    pixels = np.dstack([DEEP, DEEP[..., 0]])[..., :channels]
    flat = Image.fromarray(np.ascontiguousarray(pixels.reshape(20, -1)))
    flat.save(tmp_path / "flat.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "flat.tif") as file:
        (start,), (size,) = file.pages[0].dataoffsets, file.pages[0].databytecounts
        scheme = file.pages[0].compression
    shorts = {256: [30], 257: [20], 258: [16] * channels, 259: [scheme], 262: [2 if channels > 1 else 1], 273: [300],
              274: [orientation], 277: [channels], 278: [20], 279: [size], 338: [2] * (channels > 3)}  # fmt: skip
    entries = [
        (tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)) for tag, values in shorts.items() if values
    ]
    data = (tmp_path / "flat.tif").read_bytes()[start : start + size]
    (tmp_path / "a.tif").write_bytes(exif_block(entries, "<").ljust(300, b"\0") + data)
    read = originals.read(tmp_path / "a.tif")
    expected = np.rot90(pixels, -1) if orientation == 6 else pixels
    assert np.array_equal(read.levels, expected[..., 0] if channels == 1 else expected[..., :3])
    assert (read.alpha is None) if channels < 4 else np.array_equal(read.alpha, expected[..., 3])


def ycbcr(cut=0):
    """A TIFF of subsampled colours without compression, all of them gray."""
    blocks = GRAY.reshape(10, 2, 15, 2).swapaxes(1, 2).reshape(10, 15, 4)
    data = np.dstack([blocks, np.full((10, 15, 2), 128, np.uint8)]).tobytes()
    entries = [(256, 3, 1, b"\0\x1e"), (257, 3, 1, b"\0\x14"), (258, 3, 3, b"\0\x08" * 3), (259, 3, 1, b"\0\1"),
               (262, 3, 1, b"\0\6"), (273, 4, 1, struct.pack(">I", 300)), (277, 3, 1, b"\0\3"), (278, 3, 1, b"\0\x14"),
               (279, 4, 1, struct.pack(">I", len(data))), (530, 3, 2, b"\0\2\0\2")]  # fmt: skip
    return (exif_block(entries).ljust(300, b"\0") + data)[: -cut or None]


def test_subsampled_colours_without_compression_are_read(tmp_path):
    (tmp_path / "a.tif").write_bytes(ycbcr())
    assert np.array_equal(originals.read(tmp_path / "a.tif").levels, np.dstack([GRAY] * 3))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("gray", [False, True])
def test_a_jpeg_in_a_tiff_of_the_old_kind_is_read(tmp_path, orientation, gray):
    Image.fromarray(GRAY if gray else RGB8).save(tmp_path / "a.jpg")
    expected, data = np.asarray(Image.open(tmp_path / "a.jpg")), (tmp_path / "a.jpg").read_bytes()
    count = 1 if gray else 3
    shorts = {256: [30], 257: [20], 258: [8] * count, 259: [6], 262: [1 if gray else 6], 273: [300], 274: [orientation],
              277: [count], 278: [20], 279: [len(data)], 512: [1], 513: [300], 514: [len(data)]}  # fmt: skip
    entries = [(tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)) for tag, values in shorts.items()]
    (tmp_path / "a.tif").write_bytes(exif_block(entries, "<").ljust(300, b"\0") + data)
    levels = originals.read(tmp_path / "a.tif").levels
    assert np.array_equal(levels, np.rot90(expected, -1) if orientation == 6 else expected)


def damaged(path, kind):
    if kind == "short strips":
        tifffile.imwrite(path, DEEP[..., 0], rowsperstrip=20)
    elif kind == "short Deflate":
        tifffile.imwrite(path, DEEP[:9, :, 0], compression="zlib")
    elif kind == "short LZW":
        Image.fromarray(np.ascontiguousarray(DEEP[:9, :, 0])).save(path, "TIFF", compression="tiff_lzw")
    elif kind == "subsampled":
        path.write_bytes(ycbcr(cut=100))
    elif kind == "no width":
        path.write_bytes(exif_block([(256, 3, 1, b"\0\0"), (257, 3, 1, b"\0\1"), (273, 3, 1, b"\0\0")]))
    else:
        tifffile.imwrite(path, DEEP)
        path.write_bytes(path.read_bytes()[: {"after 8 bytes": 8, "after 4 bytes": 4}[kind]])
    if kind.startswith("short"):
        with tifffile.TiffFile(path, mode="r+") as file:
            tags = file.pages[0].tags
            if kind == "short strips":
                tags[279].overwrite(tags[279].value[0] - 2)
            else:
                tags[257].overwrite(20)
                tags[278].overwrite(20)


@pytest.mark.parametrize(
    "kind", ["short strips", "short Deflate", "short LZW", "subsampled", "no width", "after 8 bytes", "after 4 bytes"]
)
def test_a_damaged_tiff_is_refused_for_a_reason_in_words(tmp_path, kind):
    damaged(tmp_path / "a.tif", kind)
    with pytest.raises(UnreadablePhotograph, match=r"truncated|damaged|cut off") as refused:
        originals.read(tmp_path / "a.tif")
    assert "Error" not in str(refused.value) and "NONE" not in str(refused.value)


def test_cmyk_of_16_bits_is_reduced_with_a_remark(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([DEEP, DEEP[..., 0]]), photometric="separated")
    read = originals.read(tmp_path / "a.tif")
    assert read.levels.dtype == np.uint8 and "16 bits" in read.remarks[0]


def test_bits_that_differ_between_the_colours_are_refused(tmp_path):
    entries = [(256, 3, 1, b"\0\4"), (257, 3, 1, b"\0\1"), (258, 3, 3, b"\0\5\0\6\0\5"), (259, 3, 1, b"\0\1"),
               (262, 3, 1, b"\0\2"), (273, 4, 1, struct.pack(">I", 200)), (277, 3, 1, b"\0\3"), (278, 3, 1, b"\0\1"),
               (279, 4, 1, struct.pack(">I", 8))]  # fmt: skip
    (tmp_path / "a.tif").write_bytes(exif_block(entries).ljust(200, b"\0") + b"\xf8\0\xff\xff\x07\xe0\0\0")
    with pytest.raises(UnreadablePhotograph, match=r"5, 6, 5.* save it"):
        originals.read(tmp_path / "a.tif")


def test_12_bits_are_scaled_to_16(tmp_path):
    levels = np.array([[0, 1, 2048, 4095]], np.uint16)
    bits = ((levels[..., None] >> np.arange(11, -1, -1)) & 1).astype(np.uint8)
    rows = np.packbits(bits.reshape(1, -1), axis=1).tobytes()
    entries = [(256, 3, 1, b"\0\4"), (257, 3, 1, b"\0\1"), (258, 3, 1, b"\0\x0c"), (259, 3, 1, b"\0\1"),
               (262, 3, 1, b"\0\1"), (273, 4, 1, struct.pack(">I", 200)), (277, 3, 1, b"\0\1"), (278, 3, 1, b"\0\1"),
               (279, 4, 1, struct.pack(">I", len(rows)))]  # fmt: skip
    (tmp_path / "a.tif").write_bytes(exif_block(entries).ljust(200, b"\0") + rows)
    read = originals.read(tmp_path / "a.tif")
    assert read.levels.dtype == np.uint16 and np.abs(read.levels / 65535 - levels / 4095).max() < 2e-5
