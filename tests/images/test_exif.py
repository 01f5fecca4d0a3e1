"""EXIF of strangers' photographs goes through as it is stored."""

import struct

import pytest
import tifffile
from PIL import Image
from readers import RGB8, exif_block, rewritten

from pipeline.images import exif, originals

ARTIST, TITLE = "Jürgen Größe, 東京", "Großmutter"


def text(tag, value):
    data = value.encode() + b"\0"
    return tag, 2, len(data), data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_text_keeps_its_encoding(tmp_path, kind, order):
    block = exif_block([text(270, TITLE), text(306, "1955:03:04 05:06:07"), text(315, ARTIST)], order)
    source = tmp_path / "a"
    if kind == "TIFF":
        tags = [(tag, 2, 0, value.encode(), True) for tag, value in ((306, "1955:03:04 05:06:07"), (315, ARTIST))]
        tifffile.imwrite(source, RGB8, photometric="rgb", byteorder=order, extratags=tags, description=TITLE.encode(),
                         metadata=None)  # fmt: skip
    else:
        Image.fromarray(RGB8).save(source, kind, exif=b"Exif\0\0" + block)
    image, remarks = rewritten(source, tmp_path / "b")
    # Pillow takes all text for Latin-1.
    found = {tag: image.getexif()[tag].encode("latin-1").decode() for tag in (270, 306, 315)}
    assert found == {270: TITLE, 306: "1955:03:04 05:06:07", 315: ARTIST}
    assert image.format == kind and remarks == ()
    if kind == "TIFF":
        with tifffile.TiffFile(tmp_path / "b") as file:
            assert file.byteorder == order
            assert file.pages[0].tags[315].value in (ARTIST, ARTIST.encode())


def test_an_avif_that_is_turned_by_its_container_keeps_its_text(tmp_path):
    block = exif_block([text(270, TITLE), (274, 3, 1, struct.pack(">H", 6)), text(315, ARTIST)])
    Image.fromarray(RGB8).save(tmp_path / "a", "AVIF", exif=b"Exif\0\0" + block)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.size == (20, 30) and remarks == ()
    assert image.getexif().get(274, 1) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_odd_entry_loses_nothing_else(tmp_path, kind):
    odd = [
        text(270, TITLE),
        (271, 99, 3, b"abcd"),  # a type that does not exist
        (272, 2, 500, struct.pack(">I", 10**6) + b"\0"),  # beyond the end
        (282, 3, 1, struct.pack(">H", 300)),  # a rational by the standard
        (305, 7, 8, b"a number"),
        (306, 2, 5, b"1955\0"),
        (33432, 129, len(ARTIST.encode()), ARTIST.encode()),  # EXIF 3.0
    ]
    block = bytearray(exif_block(odd))
    block[10 + 2 * 12 + 8 : 10 + 3 * 12] = struct.pack(">I", 10**6)
    Image.fromarray(RGB8).save(tmp_path / "a", kind, exif=b"Exif\0\0" + bytes(block))
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    found = exif.parse(image.info["exif"])
    assert found.main[270].data.decode() == TITLE + "\0" and found.main[306].data == b"1955\0"
    assert found.main[282] == exif.Entry(exif.SHORT, 1, struct.pack(">H", 300))
    assert found.main[33432].data.decode() == ARTIST
    assert 271 not in found.main and 272 not in found.main
    (remark,) = remarks
    assert "Make" in remark and "Model" in remark and "XResolution" not in remark


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("cut", [9, 20, 60])
def test_exif_that_is_cut_off_keeps_what_is_left(tmp_path, cut):
    block = exif_block([(282, 3, 1, struct.pack(">H", 300)), text(315, ARTIST), text(33432, TITLE)])
    Image.fromarray(RGB8).save(tmp_path / "a", "JPEG", exif=b"Exif\0\0" + block[:cut])
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert (282 in exif.parse(image.info["exif"]).main) == (cut >= 20)
    assert "EXIF is damaged" in remarks[0]


def test_directories_within_directories_are_kept(tmp_path):
    every = exif.Exif(">")
    every.main[315] = exif.text(ARTIST)
    every.inner = {
        exif.EXIF: {37510: exif.Entry(exif.UNDEFINED, 12, b"UNICODE\0\x67\x71\x4e\xac")},
        exif.GPS: {2: every.entry(exif.RATIONAL, 48, 1, 8, 1, 30, 1)},
        exif.INTEROP: {1: exif.text("R98")},
    }
    assert exif.parse(exif.encoded(every)) == every
    Image.fromarray(RGB8).save(tmp_path / "a", "PNG", exif=exif.encoded(every))
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    found = image.getexif()
    assert found.get_ifd(exif.GPS)[2] == (48, 8, 30)
    assert found.get_ifd(exif.EXIF)[37510] == b"UNICODE\0\x67\x71\x4e\xac"
    assert found.get_ifd(exif.INTEROP)[1] == "R98"


def test_entries_that_share_bytes_do_not_take_unbounded_memory():
    entries = [(number, 7, 4000, b"") for number in range(1000, 1100)]
    block = bytearray(exif_block(entries) + bytes(5000))
    for row in range(100):
        block[10 + 12 * row + 8 : 10 + 12 * row + 12] = struct.pack(">I", 1300)
    found = exif.parse(bytes(block))
    assert sum(len(entry.data) for entry in found.main.values()) <= len(block) and found.damaged


@pytest.mark.parametrize("orientation", [0, 1, 6, 9, 99])
def test_resolution_and_size_turn_with_the_photograph(tmp_path, orientation):
    entries = [
        (274, 3, 1, struct.pack(">H", orientation)),
        (282, 5, 1, struct.pack(">II", 300, 1)),
        (283, 5, 1, struct.pack(">II", 200, 1)),
        (296, 3, 1, struct.pack(">H", 2)),
    ]
    Image.fromarray(RGB8).save(tmp_path / "a", "JPEG", dpi=(300, 200), exif=b"Exif\0\0" + exif_block(entries))
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    turned = orientation == 6
    assert image.size == ((20, 30) if turned else (30, 20))
    assert image.info["dpi"] == ((200, 300) if turned else (300, 200))
    assert (image.getexif()[282], image.getexif()[283]) == image.info["dpi"]


@pytest.mark.parametrize("dpi", [7e257, -3.0, 0.0])
def test_a_resolution_that_cannot_be_is_not_used(tmp_path, dpi):
    entries = [(tag, 12, 1, struct.pack(">d", dpi)) for tag in (282, 283)] + [(296, 3, 1, struct.pack(">H", 2))]
    Image.fromarray(RGB8).save(tmp_path / "a", "JPEG", exif=b"Exif\0\0" + exif_block(entries))
    assert originals.read(tmp_path / "a").resolution is None
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info["jfif_unit"] == 0
