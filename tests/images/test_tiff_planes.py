"""TIFFs with a plane for each channel, samples besides the colours, and compressions of all kinds."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image
from readers import exif_block

from pipeline.images import light, originals
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.photographs import decode

DEEP = np.random.default_rng(9).integers(0, 2**16, (20, 30, 4), dtype=np.uint16)
ALPHA, MULTIPLIED = 2, 1  # kinds of extra samples
GRAY, RGB, CMYK, YCBCR, LAB = 1, 2, 5, 6, 8


def packed(block, compression):
    """The bytes of a strip, and the number of its compression, as libtiff writes them."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(block)).save(stream, "TIFF", compression=compression, strip_size=2**20)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = file.pages[0]
        (start,), (size,) = page.dataoffsets, page.databytecounts
        return stream.getvalue()[start : start + size], int(page.compression)


def tiff(pixels, photometric, compression, *, extra=(), planar=True, tile=None, more=None):
    """A TIFF of strips of 8 rows, or of tiles, compressed by libtiff."""
    height, width, count = pixels.shape
    across, down = (tile, tile) if tile else (width, 8)
    planes = [pixels[..., number] for number in range(count)] if planar else [pixels.reshape(height, -1)]
    step, parts = across * (1 if planar else count), []
    for plane in planes:
        for top in range(0, height, down):
            for left in range(0, plane.shape[1], step):
                block = plane[top : top + down, left : left + step]
                if tile:
                    block = np.pad(block, ((0, down - block.shape[0]), (0, step - block.shape[1])))
                parts.append(packed(block, compression))
    sizes = [len(data) for data, _ in parts]
    first = 1000
    places = [first + sum(sizes[:number]) for number in range(len(sizes))]
    layout = {322: [tile], 323: [tile], 324: places, 325: sizes} if tile else {273: places, 278: [8], 279: sizes}
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * count, 259: [parts[0][1]], 262: [photometric],
            277: [count], 284: [2 if planar else 1], **layout, **({338: extra} if extra else {}),
            **(more or {})}  # fmt: skip
    entries = [(tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)) for tag, values in sorted(tags.items())]
    return exif_block(entries, "<").ljust(first, b"\0") + b"".join(data for data, _ in parts)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize(("channels", "deep"), [(2, False), (2, True), (3, False), (3, True), (4, False), (4, True)])
def test_a_plane_for_each_channel_is_read(compression, tile, channels, deep):
    pixels = (DEEP if deep else light.eight_bits(DEEP))[..., :channels]
    data = tiff(pixels, GRAY if channels == 2 else RGB, compression, extra=[] if channels == 3 else [ALPHA], tile=tile)
    photograph = decode(data)
    assert np.array_equal(photograph.levels, pixels[..., 0] if channels == 2 else pixels[..., :3])
    assert (photograph.alpha is None) if channels == 3 else np.array_equal(photograph.alpha, pixels[..., -1])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_cmyk_in_planes_is_that_of_interleaved_channels(deep, compression):
    pixels = DEEP if deep else light.eight_bits(DEEP)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="separated")
    planar, together = decode(tiff(pixels, CMYK, compression)), decode(stream.getvalue())
    assert np.array_equal(planar.levels, together.levels) and planar.remark == together.remark
    assert ("16 bits" in planar.remark) == deep


def test_lab_in_planes_is_that_of_interleaved_channels():
    stream = io.BytesIO()
    pixels = np.dstack([light.eight_bits(DEEP[..., 0]), np.full((20, 30, 2), 5, np.uint8)])
    tifffile.imwrite(stream, pixels, photometric="cielab")
    assert np.array_equal(decode(tiff(pixels, LAB, "raw")).levels, decode(stream.getvalue()).levels)


@pytest.mark.parametrize(("order", "big"), [(">", False), ("<", True)])
def test_the_orientation_of_planes_is_applied(tmp_path, order, big):
    planes, tag = np.moveaxis(DEEP[..., :3], -1, 0), [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", compression="zlib",
                     extratags=tag, byteorder=order, bigtiff=big)  # fmt: skip
    assert np.array_equal(originals.read(tmp_path / "a.tif").levels, np.rot90(DEEP[..., :3], -1))


def test_coarser_colours_in_planes_are_refused():
    with pytest.raises(UnreadablePhotograph, match="interleaved"):
        decode(tiff(light.eight_bits(DEEP[..., :3]), YCBCR, "raw"))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "zstd"])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("deep", [False, True])
def test_gray_with_other_samples_stays_gray(compression, tile, deep):
    pixels = (DEEP if deep else light.eight_bits(DEEP))[..., :3]
    photograph = decode(tiff(pixels, GRAY, compression, extra=[0, 0], planar=False, tile=tile))
    assert np.array_equal(photograph.levels, pixels[..., 0]) and photograph.alpha is None


@pytest.mark.parametrize("tile", [None, 16])
def test_gray_that_alpha_multiplies_is_read_to_its_edges(tile):
    gray = light.eight_bits(DEEP[..., 0])
    data = tiff(
        np.dstack([gray, np.full_like(gray, 255)]), GRAY, "tiff_lzw", extra=[MULTIPLIED], planar=False, tile=tile
    )
    assert np.array_equal(decode(data).levels, gray)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_differences_of_neighbours_are_undone(predictor, tile):
    stream = io.BytesIO()
    tifffile.imwrite(stream, DEEP, photometric="rgb", extrasamples=["unassalpha"], compression="zlib",
                     predictor=predictor, tile=tile)  # fmt: skip
    assert np.array_equal(decode(stream.getvalue()).levels, DEEP[..., :3])
    # libtiff's LZW with the same differences; tifffile does not decode it.
    differences = DEEP.copy()
    differences[:, 1:] -= DEEP[:, :-1]
    data = tiff(differences, RGB, "tiff_lzw", extra=[ALPHA], planar=False)
    at = data.index(struct.pack("<HHI", 284, 4, 1))
    data = data[:at] + struct.pack("<HHII", 317, 4, 1, 2) + data[at + 12 :]  # in place of the planar configuration
    assert np.array_equal(decode(data).levels, DEEP[..., :3])


@pytest.mark.parametrize("compression", [34712, 33003, 33005, 50002, 52546, 34933, 22610, 34934, 34887])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("deep", [False, True])
def test_compressions_that_are_not_read_are_refused(compression, count, deep):
    stream = io.BytesIO()
    pixels = DEEP[..., :count] if deep else light.eight_bits(DEEP[..., :count])
    tifffile.imwrite(stream, pixels.squeeze(), photometric="rgb" if count == 3 else "minisblack")
    stream.seek(0)
    with tifffile.TiffFile(stream, mode="r+") as file:
        file.pages[0].tags[259].overwrite(compression)
    with pytest.raises(UnreadablePhotograph, match="save it"):
        decode(stream.getvalue())


@pytest.mark.parametrize("kind", ["half of the last strip", "no last strip", "a changed byte"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("gray", [False, True])
def test_damaged_strips_are_noticed(kind, compression, gray):
    stream = io.BytesIO()
    picture = Image.fromarray(light.eight_bits(DEEP[..., 0] if gray else DEEP[..., :3]))
    picture.save(stream, "TIFF", compression=compression, strip_size=600)
    assert decode(stream.getvalue())
    stream.seek(0)
    with tifffile.TiffFile(stream, mode="r+") as file:
        page = file.pages[0]
        sizes = list(page.databytecounts)
        if kind == "half of the last strip":
            page.tags[279].overwrite([*sizes[:-1], sizes[-1] // 2])
        elif kind == "no last strip":
            page.tags[279].overwrite([*sizes[:-1], 0])
        else:
            if compression != "tiff_adobe_deflate":  # the others have no checksums
                return
            stream.seek(page.dataoffsets[0] + sizes[0] - 1)
            stream.write(b"\x7f")
    with pytest.raises(UnreadablePhotograph, match=r"truncated|damaged"):
        decode(stream.getvalue())


@pytest.mark.parametrize("factor", [1, 257])
def test_a_colour_map_of_8_bits_is_read(factor):
    stream, indices = io.BytesIO(), light.eight_bits(DEEP[..., 0])
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 100)]).astype(np.uint16)
    tifffile.imwrite(stream, indices, photometric="palette", colormap=colours * factor)
    assert np.array_equal(decode(stream.getvalue()).levels, colours.T[indices])


@pytest.mark.parametrize("photometric", [RGB, YCBCR])
def test_black_and_white_of_video_are_stretched(photometric):
    gray = light.eight_bits(DEEP[..., 0])
    luma = np.rint(16 + gray * (219 / 255)).astype(np.uint8)
    others = [luma] * 2 if photometric == RGB else [np.full_like(gray, 128)] * 2
    data = tiff(np.dstack([luma, *others]), photometric, "raw", planar=False, more={530: [1, 1]})
    pairs = (16, 235) * 3 if photometric == RGB else (16, 235, 128, 240, 128, 240)
    rationals = b"".join(struct.pack("<II", value, 1) for value in pairs)
    at = data.index(struct.pack("<HHI", 284, 4, 1))
    data = data[:at] + struct.pack("<HHII", 532, 5, 6, len(data)) + data[at + 12 :] + rationals
    assert np.abs(decode(data).levels - gray[..., None].astype(int)).max() <= 1


def with_black_and_white(pixels, pairs, **options):
    stream = io.BytesIO()
    tag = (532, 5, 6, [number for value in pairs for number in (value, 1)], True)
    tifffile.imwrite(stream, pixels, photometric="rgb", extratags=[tag], **options)
    return decode(stream.getvalue())


VIDEO = np.array([(4112, 60395), (0, 50000), (10000, 65535)])
IN_VIDEO = np.rint(VIDEO[:, 0] + DEEP[..., :3] * ((VIDEO[:, 1] - VIDEO[:, 0]) / 65535)).astype(np.uint16)


@pytest.mark.parametrize("kind", ["plain", "deflate", "planes", "alpha", "multiplied alpha"])
def test_black_and_white_of_16_bits_are_stretched(kind):
    pixels, alpha, options = IN_VIDEO, np.full((20, 30), 65535, np.uint16), {}
    if kind == "deflate":
        options = {"compression": "zlib"}
    elif kind == "planes":
        pixels, options = np.moveaxis(pixels, -1, 0), {"planarconfig": "separate"}
    elif "alpha" in kind:
        pixels = np.dstack([pixels, alpha])
        options = {"extrasamples": ["unassalpha" if kind == "alpha" else "assocalpha"]}
    photograph = with_black_and_white(pixels, VIDEO.ravel().tolist(), **options)
    assert photograph.levels.dtype == np.uint16
    assert np.abs(photograph.levels - DEEP[..., :3].astype(int)).max() <= 1
    assert photograph.alpha is None or np.array_equal(photograph.alpha, alpha)


def test_black_and_white_of_8_bits_in_a_file_of_16_are_taken_for_that():
    levels = np.rint(16 * 257 + DEEP[..., :3] * (219 / 255)).astype(np.uint16)
    assert np.abs(with_black_and_white(levels, (16, 235) * 3).levels - DEEP[..., :3].astype(int)).max() <= 1
    assert np.array_equal(with_black_and_white(DEEP[..., :3], (0, 255) * 3).levels, DEEP[..., :3])
    few = DEEP[..., :3] >> 8  # whose white is 255 indeed
    assert np.array_equal(with_black_and_white(few, (0, 255) * 3).levels, few * 257)


@pytest.mark.parametrize("pairs", [(0, 65535) * 3, (9, 9, 0, 65535, 0, 65535)])
def test_black_and_white_that_change_nothing_or_make_no_sense(pairs):
    assert np.array_equal(with_black_and_white(DEEP[..., :3], pairs).levels, DEEP[..., :3])


@pytest.mark.parametrize("extra", [["unassalpha"], ["unspecified", "unassalpha"]])
def test_black_and_white_of_8_bits_beside_alpha_are_stretched(extra):
    rgb = light.eight_bits(DEEP[..., :3])
    pixels = np.dstack(
        [np.rint(16 + rgb * (219 / 255)).astype(np.uint8)] + [light.eight_bits(DEEP[..., 3])] * len(extra)
    )
    photograph = with_black_and_white(pixels, (16, 235) * 3, extrasamples=extra)
    assert np.abs(photograph.levels - rgb.astype(int)).max() <= 1
    assert np.array_equal(photograph.alpha, light.eight_bits(DEEP[..., 3]))
