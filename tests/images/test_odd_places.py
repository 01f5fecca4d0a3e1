"""Texts in places where few programs keep them, or in several: they are carried, or their loss is remarked."""

import re
import struct
import zlib

import pytest
import tifffile
from PIL import Image
from readers import CAPTION, IPTC, RGB8, XMP, exif_block, jpeg, resource, rewritten

from pipeline.images import foreign, jpeg_segments, png

RECORDS_OF_25 = b"Adobe_Photoshop2.5:" + bytes(range(1, 9))  # which bytes of unknown meaning follow
OLD_SEGMENTS = {
    "blocks": RECORDS_OF_25 + resource(0x0404, IPTC),
    "ImageReady's": b"Photoshop 2.5\0" + resource(0x0404, IPTC).replace(b"8BIM", b"PHUT"),
    "records alone": RECORDS_OF_25 + IPTC,
}


@pytest.mark.parametrize("kind", OLD_SEGMENTS)
def test_a_jpeg_keeps_the_iptc_of_early_photoshops(tmp_path, kind):
    jpeg(tmp_path / "a", (0xED, OLD_SEGMENTS[kind]))
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    kinds = [] if kind == "ImageReady's" else [0x0404]  # which Pillow does not know
    assert IPTC in (tmp_path / "b").read_bytes() and list(image.info["photoshop"]) == kinds and remarks == ()


def test_the_caption_of_photoshop_2_is_kept(tmp_path):
    jpeg(tmp_path / "a", (0xED, b"Photoshop 3.0\0" + resource(0x03F0, b"\x07Caption")))
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info["photoshop"][0x03F0].startswith(b"\x07Caption")


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_iptc_that_is_cut_off_is_kept_in_part_with_a_remark(tmp_path, kind):
    whole = resource(0x0404, IPTC + bytes(50))
    cut = whole[: 12 + len(IPTC)]
    if kind == "JPEG":
        jpeg(tmp_path / "a", (0xED, b"Photoshop 3.0\0" + cut))
    else:
        tifffile.imwrite(tmp_path / "a", RGB8, photometric="rgb", extratags=[(34377, 7, len(cut), cut, True)])
    _, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert "IPTC" in remark and resource(0x0404, IPTC) in (tmp_path / "b").read_bytes()


def test_notes_of_a_jpeg_in_segments_of_few_programs_are_kept(tmp_path):
    picture_info, comment = (0xEC, b"[picture info]\r\nMode=Fine\r\n"), (0xEA, b"UNICODE\0" + CAPTION.encode("utf-16"))
    quality, words = b"\0\1\0\4\0\0\0\x32", b"\0\2\0\x0a\0\0\0\3\0A\0n\0n"
    jpeg(tmp_path / "a", picture_info, comment, (0xEC, b"Ducky" + quality + words + b"\0\0"))
    _, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    found = list(jpeg_segments.segments_of((tmp_path / "b").read_bytes()))
    expected = [picture_info, comment, (0xEC, b"Ducky" + words + b"\0\0")]
    assert [segment for segment in found if segment[0] in (0xEA, 0xEC)] == expected and remarks == ()


def test_the_quality_of_a_jpeg_for_the_web_is_not_kept(tmp_path):
    jpeg(tmp_path / "a", (0xEC, b"Ducky\0\1\0\4\0\0\0\x32\0\0"))
    rewritten(tmp_path / "a", tmp_path / "b")
    assert b"Ducky" not in (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("place", ["between scans", "before the end"])
@pytest.mark.parametrize("progressive", [True, False])
def test_texts_after_the_first_scan_of_a_jpeg_are_kept(tmp_path, place, progressive):
    jpeg(tmp_path / "a", progressive=progressive, restart_marker_rows=1)
    data = (tmp_path / "a").read_bytes()
    block = exif_block([(315, 2, 6, b"Annie\0")])
    segments = [(0xFE, CAPTION.encode()), (0xED, b"Photoshop 3.0\0" + resource(0x0404, IPTC)),
                (0xE1, b"Exif\0\0" + block), (0xE1, jpeg_segments.XMP + XMP)]  # fmt: skip
    second = [found.start() for found in re.finditer(b"\xff\xda", data)][1:2]
    assert len(second) == progressive
    at = second[0] if place == "between scans" and second else len(data) - 2
    (tmp_path / "a").write_bytes(data[:at] + jpeg_segments.joined(segments) + data[at:])
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info["comment"] == CAPTION.encode() and IPTC in image.info["photoshop"][0x0404]
    assert image.getexif()[315] == "Annie" and CAPTION.encode() in image.info["xmp"] and remarks == ()


@pytest.mark.parametrize("descriptions", [["Annie"], ["Annie", "Bella"]])
@pytest.mark.parametrize("layout_first", [False, True])
def test_all_captions_of_a_tiff_are_kept_without_the_layout(tmp_path, descriptions, layout_first):
    texts = ['{"shape": [20, 30, 3]}', *descriptions] if layout_first else [*descriptions, '{"shape": [20, 30, 3]}']
    tags = [(270, "s", 0, text, True) for text in texts]
    tifffile.imwrite(tmp_path / "a", RGB8, photometric="rgb", metadata=None, extratags=tags)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.tag_v2[270] == "\n".join(descriptions) and remarks == ()


OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}<Image ID="Image:0">{}</Image></OME>'
BOMB = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 9}">' for level in range(1, 12))


@pytest.mark.parametrize("start", ["", '<?xml version="1.0" encoding="UTF-8"?>'])
def test_a_tiff_keeps_the_words_of_ome(tmp_path, start):
    text = start + OME.format("", "<Description>Annie &amp;\n<![CDATA[<Bella>]]></Description>")
    tifffile.imwrite(tmp_path / "a", RGB8, photometric="rgb", metadata=None, description=text)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.tag_v2[270] == "Annie &\n<Bella>" and remarks == ()


@pytest.mark.parametrize(
    "text",
    [
        OME.format("", "<Description>"),
        f"<?xml version='1.0'?><!DOCTYPE OME [<!ENTITY e0 'x'>{BOMB}]>"
        + OME.format("", "<Description>&e11;</Description>"),
    ],
    ids=["damaged", "a bomb"],
)
def test_ome_that_cannot_be_read_is_remarked(tmp_path, text):
    tifffile.imwrite(tmp_path / "a", RGB8, photometric="rgb", metadata=None, description=text)
    image, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert "ImageDescription" in remark and 270 not in image.tag_v2


def test_the_first_of_several_artists_is_kept_with_a_remark(tmp_path):
    jpeg(tmp_path / "a", exif=b"Exif\0\0" + exif_block([(315, 2, 6, b"Annie\0"), (315, 2, 6, b"Bella\0")]))
    image, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.getexif()[315] == "Annie" and "Artist" in remark


def png_with(path, chunks, where="before"):
    """A PNG with chunks before or after its pixels."""
    Image.fromarray(RGB8).save(path, "PNG")
    data = path.read_bytes()
    at = data.index(b"IDAT") - 4 if where == "before" else len(data) - 12
    more = b"".join(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
                    for name, content in chunks)  # fmt: skip
    path.write_bytes(data[:at] + more + data[at:])


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_png_keeps_all_texts_wherever_they_stand(tmp_path, where):
    texts = [(b"tEXt", b"Title\0first"), (b"tEXt", b"Title\0second"), (b"iTXt", b"Author\0\0\0\0\0A"),
             (b"iTXt", b"Author\0\0\0\0\0B"), (b"zTXt", b"Description\0\0" + zlib.compress(b"c"))]  # fmt: skip
    exif_and_xmp = [(b"eXIf", exif_block([(315, 2, 6, b"Annie\0")])), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]
    png_with(tmp_path / "a", texts + exif_and_xmp, where)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    found = [(name, bytes(content)) for name, content, _ in png.chunks((tmp_path / "b").read_bytes())]
    assert [each for each in found if each in texts] == texts and remarks == ()
    assert image.getexif()[315] == "Annie" and CAPTION in image.text["XML:com.adobe.xmp"]


def box(kind, content):
    return struct.pack(">I", 8 + len(content)) + kind + content


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG, ImageMagick's", "WEBP", "JPEG2000", "JXL", "GIF"])
@pytest.mark.parametrize("same", [True, False])
def test_the_first_of_several_exif_and_xmp_is_kept_with_a_remark(tmp_path, kind, same):
    packets = [XMP, XMP if same else XMP.replace(b"1955", b"1956")]
    blocks = [exif_block([(315, 2, 6, name)]) for name in (b"Annie\0", b"Annie\0" if same else b"Bella\0")]
    path = tmp_path / "a"
    if kind == "JPEG":
        jpeg(
            path, *((0xE1, b"Exif\0\0" + block) for block in blocks), *((0xE1, jpeg_segments.XMP + p) for p in packets)
        )
    elif kind == "JXL":
        assert foreign.plugin(foreign.JPEG_XL)
        Image.fromarray(RGB8).save(path, kind, lossless=True, use_container=True)
        more = [box(b"Exif", bytes(4) + block) for block in blocks] + [box(b"xml ", packet) for packet in packets]
        path.write_bytes(path.read_bytes() + b"".join(more))
    elif kind == "WEBP":
        Image.fromarray(RGB8).save(path, kind, lossless=True, exif=blocks[0], xmp=packets[0])
        for name, content in ((b"EXIF", blocks[1]), (b"XMP ", packets[1])):
            even = content + b"\0" * (len(content) % 2)
            path.write_bytes(path.read_bytes() + struct.pack("<4sI", name, len(content)) + even)
        data = path.read_bytes()
        path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    elif kind == "JPEG2000":
        Image.fromarray(RGB8).save(path, kind)
        uuid = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
        more = [box(b"uuid", b"JpgTiffExif->JP2" + block) for block in blocks]
        path.write_bytes(b"".join([path.read_bytes(), *more, *(box(b"uuid", uuid + packet) for packet in packets)]))
    elif kind == "GIF":
        Image.fromarray(RGB8).quantize(64).save(path, kind)
        end = bytes([1, *range(255, -1, -1), 0])
        more = b"".join(b"\x21\xff\x0bXMP DataXMP" + packet + end for packet in packets)
        path.write_bytes(path.read_bytes()[:-1] + more + b"\x3b")
    else:
        raw = [(b"tEXt", f"Raw profile type {name}\0\n{name}\n{len(it):8}\n{it.hex()}\n".encode())
               for name, it in (("exif", b"Exif\0\0" + blocks[1]), ("xmp", packets[1]))]  # fmt: skip
        own = [(b"eXIf", block) for block in blocks] + [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + p) for p in packets]
        png_with(path, own if kind == "PNG" else raw + own[::2])
    image, remarks = rewritten(path, tmp_path / "b")
    packet = image.info["xmp"] if kind in ("JPEG", "WEBP") else image.text["XML:com.adobe.xmp"].encode()
    assert b"1955" in packet and b"1956" not in packet and (kind == "GIF" or image.getexif()[315] == "Annie")
    names = [name for name in ("EXIF", "XMP") if any(name in remark for remark in remarks)]
    assert names == ([] if same else ["XMP"] if kind == "GIF" else ["EXIF", "XMP"])


@pytest.mark.parametrize(
    "content", [b"XML:com.adobe.xmp\0\1\0\0\0no zlib", b"Raw profile type exif\0\0\0\0\0\nexif\n4\nzz"]
)
def test_xmp_and_exif_of_a_png_that_cannot_be_unpacked_are_remarked(tmp_path, content):
    png_with(tmp_path / "a", [(b"iTXt", content)])
    _, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert ("XMP" if b"xmp" in content else "EXIF") in remark


def test_xml_and_comments_of_a_jpeg_2000_become_texts_of_the_png(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a", "JPEG2000", comment=CAPTION)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes() + box(b"xml ", f"<mets>{CAPTION}</mets>".encode()))
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.text == image.text | {"Comment": CAPTION, "XML": f"<mets>{CAPTION}</mets>"} and remarks == ()


def test_a_text_that_a_gif_draws_is_kept(tmp_path):
    Image.fromarray(RGB8).quantize(64).save(tmp_path / "a", "GIF")
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[:-1] + b"\x21\x01\x0c" + bytes(12) + b"\x05Annie\0\x3b")
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.text["Comment"] == "Annie"


def gif_with(path, name, content):
    """A GIF with an application's extension."""
    Image.fromarray(RGB8).quantize(64).save(path, "GIF")
    block = b"\x21\xff\x0b" + name + bytes([len(content)]) + content + b"\0"
    path.write_bytes(path.read_bytes()[:-1] + block + b"\x3b")


def jpeg_2000_with(path, kind, content):
    Image.fromarray(RGB8).save(path, "JPEG2000")
    path.write_bytes(path.read_bytes() + box(kind, content))


def webp_with(path, name, content):
    Image.fromarray(RGB8).save(path, "WEBP", lossless=True)
    data = path.read_bytes() + struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


UNKNOWN = {
    "APP3": lambda path, content: jpeg(path, (0xE3, b"Meta\0\0" + content)),
    "APP13": lambda path, content: jpeg(path, (0xED, content)),
    "APP1, APP5": lambda path, content: jpeg(path, (0xE5, content), (0xE1, content), (0xE5, content), (0xE1, content)),
    "caPt": lambda path, content: png_with(path, [(b"caPt", content)]),
    "CAPT": lambda path, content: webp_with(path, b"CAPT", content),
    "PROGRAM-1.0": lambda path, content: gif_with(path, b"PROGRAM-1.0", content),
    "asoc": lambda path, content: jpeg_2000_with(path, b"asoc", box(b"lbl ", content)),
    "uuid": lambda path, content: jpeg_2000_with(path, b"uuid", bytes(16) + content),
}


@pytest.mark.parametrize("place", UNKNOWN)
@pytest.mark.parametrize("text", [CAPTION.encode(), CAPTION.encode("utf-16"), None], ids=["UTF-8", "UTF-16", "numbers"])
def test_places_with_texts_that_are_not_understood_are_remarked(tmp_path, place, text):
    UNKNOWN[place](tmp_path / "a", text or bytes(range(200)).translate(None, b" ,.:;/'()-" + bytes(range(48, 123))))
    _, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert len(remarks) == bool(text)
    assert not text or all(name in remarks[0] for name in place.split(", "))


@pytest.mark.parametrize("place", ["the IPTC of a GIF", "the resources of a GIF", "the resources of a JPEG 2000"])
def test_iptc_becomes_a_text_of_the_png(tmp_path, place):
    block = resource(0x0404, IPTC)
    if "JPEG" in place:
        jpeg_2000_with(tmp_path / "a", b"uuid", bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb") + block)
    else:
        name, content = (b"MGKIPTC0000", IPTC) if "IPTC" in place else (b"MGK8BIM0000", block)
        gif_with(tmp_path / "a", name, content)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert block.hex() in image.text["Raw profile type iptc"].replace("\n", "") and remarks == ()
