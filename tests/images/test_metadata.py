"""XMP, IPTC, comments and texts, from where strangers' programs keep them."""

import hashlib
import re
import struct
import zlib
from xml.etree import ElementTree

import pytest
import tifffile
from PIL import Image, IptcImagePlugin, PngImagePlugin
from readers import CAPTION, IPTC, NOTE, RDF, RGB8, XMP, exif_block, jpeg, resource, rewritten

from pipeline.images import exif, jpeg_segments, originals, png, writing, xmp

TITLE = (2, 120)


def test_a_jpeg_keeps_iptc_and_its_comments_but_no_thumbnail(tmp_path):
    resources = resource(0x040C, b"thumbnail!" * 9) + resource(0x0404, IPTC) + resource(0x03ED, bytes(16))
    comments = [(0xFE, "erste Zeile: ü".encode("latin-1")), (0xFE, b"second")]
    jpeg(tmp_path / "a", (0xED, b"Photoshop 3.0\0" + resources), *comments)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert IptcImagePlugin.getiptcinfo(image)[TITLE] == CAPTION.encode() and remarks == ()
    assert set(image.info["photoshop"]) == {0x0404}
    found = jpeg_segments.segments_of((tmp_path / "b").read_bytes())
    assert [content for marker, content in found if marker == 0xFE] == [content for _, content in comments]


def test_iptc_in_several_segments_is_joined(tmp_path):
    long = resource(0x0404, IPTC + b"\x1c\2\x78\x80\x04" + struct.pack(">I", 90_000) + b"x" * 90_000)
    jpeg(tmp_path / "a", *((0xED, b"Photoshop 3.0\0" + long[at : at + 65_000]) for at in range(0, len(long), 65_000)))
    rewritten(tmp_path / "a", tmp_path / "b")
    found = [part for marker, part in jpeg_segments.segments_of((tmp_path / "b").read_bytes()) if marker == 0xED]
    assert len(found) == 2 and b"".join(part.removeprefix(b"Photoshop 3.0\0") for part in found) == long


def test_extended_xmp_is_kept(tmp_path):
    more = b"<more>" + b"y" * 100_000 + b"</more>"
    digest = hashlib.md5(more).hexdigest().upper().encode()
    packet = XMP.replace(b" dc:title", b' xmlns:xmpNote="n" xmpNote:HasExtendedXMP="' + digest + b'" dc:title')
    parts = [(0xE1, jpeg_segments.EXTENDED_XMP + digest + struct.pack(">II", len(more), at) + more[at : at + 60_000])
             for at in range(0, len(more), 60_000)]  # fmt: skip
    jpeg(tmp_path / "a", *parts, xmp=packet)
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    found = list(jpeg_segments.segments_of((tmp_path / "b").read_bytes()))
    assert [segment for segment in found if segment[1].startswith(jpeg_segments.EXTENDED_XMP)] == parts
    assert digest in image.info["xmp"] and CAPTION.encode() in image.info["xmp"] and NOTE.encode() in image.info["xmp"]


def test_extended_xmp_is_kept_beside_a_packet_that_fills_its_segment(tmp_path):
    more = b"<more>" + b"y" * 500 + b"</more>"
    digest = hashlib.md5(more).hexdigest().upper().encode()
    packet = XMP.replace(b" dc:title", b' xmlns:xmpNote="n" xmpNote:HasExtendedXMP="' + digest + b'" dc:title')
    room = jpeg_segments.LIMIT - len(jpeg_segments.XMP) - len(packet) - 7
    packet = packet.replace(b"</rdf:RDF>", b"<!--" + b"z" * room + b"--></rdf:RDF>")
    part = (0xE1, jpeg_segments.EXTENDED_XMP + digest + struct.pack(">II", len(more), 0) + more)
    jpeg(tmp_path / "a", part, xmp=packet)
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.info["xmp"] == packet and image.info["comment"] == NOTE.encode()
    assert part in list(jpeg_segments.segments_of((tmp_path / "b").read_bytes()))


def test_xmp_that_fills_its_segment_becomes_extended_xmp(tmp_path):
    packet = XMP.replace(b"</rdf:RDF>", b"<!--" + b"z" * 65_200 + b"--></rdf:RDF>")
    jpeg(tmp_path / "a", xmp=packet)
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    digest = re.search(rb'HasExtendedXMP="(\w+)"', image.info["xmp"])[1]
    found = jpeg_segments.segments_of((tmp_path / "b").read_bytes())
    parts = [part.removeprefix(jpeg_segments.EXTENDED_XMP) for _, part in found
             if part.startswith(jpeg_segments.EXTENDED_XMP)]  # fmt: skip
    assert b"".join(part[40:] for part in parts) == packet
    assert hashlib.md5(packet).hexdigest().upper().encode() == digest == parts[0][:32]


@pytest.mark.parametrize("tag", [270, 37500, 37510])
def test_exif_that_fills_its_segment_loses_nothing_to_our_note(tmp_path, tag):
    found = exif.Exif(main={315: exif.text("Annie")})
    entries = found.main if tag == 270 else found.inner.setdefault(exif.EXIF, {})
    room = jpeg_segments.LIMIT - len(b"Exif\0\0") - len(exif.encoded(found)) - 60
    entries[tag] = exif.Entry(exif.UNDEFINED, room, b"c" * room)
    jpeg(tmp_path / "a", exif=b"Exif\0\0" + exif.encoded(found))
    original = originals.read(tmp_path / "a")
    writing.write(tmp_path / "b", original, RGB8, "Colours made by DeepColor in a test of full segments")
    again = originals.read(tmp_path / "b").metadata.exif
    assert (again.main | again.inner.get(exif.EXIF, {}))[tag].data == b"c" * room and 315 in again.main
    assert original.remarks == () and xmp.is_coloured((tmp_path / "b").read_bytes())


def test_exif_in_several_segments_is_shortened_with_a_remark(tmp_path):
    found = exif.Exif(main={315: exif.text("Annie")})
    found.inner[exif.EXIF] = {37500: exif.Entry(exif.UNDEFINED, 80_000, b"m" * 80_000)}
    block = exif.encoded(found)
    jpeg(tmp_path / "a", *((0xE1, b"Exif\0\0" + block[at : at + 60_000]) for at in range(0, len(block), 60_000)))
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert "MakerNote" in remarks[0] and len(remarks) == 1 and image.getexif()[315] == "Annie"


@pytest.mark.parametrize("chunk", ["iTXt", "packed iTXt", "zTXt", "tEXt"])
def test_xmp_of_a_png_is_kept_however_it_is_stored(tmp_path, chunk):
    info = PngImagePlugin.PngInfo()
    raw = f"\nxmp\n{len(XMP):8}\n{XMP.hex()}\n"
    if "iTXt" in chunk:
        info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=chunk != "iTXt")
    else:
        info.add_text("Raw profile type xmp", raw, zip=chunk == "zTXt")
    Image.fromarray(RGB8).save(tmp_path / "a", "PNG", pnginfo=info)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert CAPTION in image.text["XML:com.adobe.xmp"] and NOTE in image.text["XML:com.adobe.xmp"] and remarks == ()
    assert "Raw profile type xmp" not in image.text


def test_exif_and_iptc_of_a_png_in_imagemagicks_form_are_kept(tmp_path):
    block = b"Exif\0\0" + exif_block([(270, 2, len(CAPTION.encode()) + 1, CAPTION.encode() + b"\0")])
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    iptc = resource(0x0404, IPTC)
    info.add_text("Raw profile type iptc", f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n", zip=True)
    Image.fromarray(RGB8).save(tmp_path / "a", "PNG", pnginfo=info)
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.getexif()[270].encode("latin-1").decode() == CAPTION
    assert iptc.hex() in image.text["Raw profile type iptc"]


def test_a_gif_keeps_xmp_and_comment_in_the_png(tmp_path):
    Image.fromarray(RGB8).quantize(64).save(tmp_path / "a", "GIF", comment=CAPTION.encode())
    data = (tmp_path / "a").read_bytes()
    end = bytes([1, *range(255, -1, -1), 0])
    (tmp_path / "a").write_bytes(data[:-1] + b"\x21\xff\x0bXMP DataXMP" + XMP + end + b"\x3b")
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.format == "PNG" and image.text["Comment"] == CAPTION and remarks == ()
    assert CAPTION in image.text["XML:com.adobe.xmp"] and NOTE in image.text["XML:com.adobe.xmp"]


def test_a_jpeg_2000_keeps_xmp_exif_and_iptc_in_the_png(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a", "JPEG2000")
    block = exif_block([(270, 2, len(CAPTION.encode()) + 1, CAPTION.encode() + b"\0")])
    boxes = [(bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), XMP), (b"JpgTiffExif->JP2", block),
             (bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"), IPTC)]  # fmt: skip
    more = b"".join(struct.pack(">I", 24 + len(content)) + b"uuid" + name + content for name, content in boxes)
    data = (tmp_path / "a").read_bytes()
    first = struct.unpack(">I", data[12:16])[0] + 12  # after the boxes jP and ftyp
    (tmp_path / "a").write_bytes(data[:first] + more + data[first:])
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.format == "PNG" and CAPTION in image.text["XML:com.adobe.xmp"] and remarks == ()
    assert image.getexif()[270].encode("latin-1").decode() == CAPTION
    assert IPTC.hex() in image.text["Raw profile type iptc"].replace("\n", "")


@pytest.mark.parametrize("tag", [33723, 34377])
def test_a_tiff_keeps_iptc(tmp_path, tag):
    data = IPTC if tag == 33723 else resource(0x040C, bytes(99)) + resource(0x0404, IPTC)
    tifffile.imwrite(tmp_path / "a", RGB8, photometric="rgb", extratags=[(tag, 7, len(data), data, True)])
    rewritten(tmp_path / "a", tmp_path / "b")
    with tifffile.TiffFile(tmp_path / "b") as file:
        found = bytes(file.pages[0].tags[tag].value)
    assert found == (IPTC if tag == 33723 else resource(0x0404, IPTC))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_xmp_in_exif_is_kept(tmp_path, kind):
    Image.fromarray(RGB8).save(tmp_path / "a", kind, exif=exif_block([(700, 1, len(XMP), XMP)]))
    image, _ = rewritten(tmp_path / "a", tmp_path / "b")
    assert XMP[:150] in (tmp_path / "b").read_bytes() and 700 not in image.getexif()


def test_a_gif_that_is_cut_off_after_its_picture_is_no_matter(tmp_path):
    Image.fromarray(RGB8).quantize(64).save(tmp_path / "a", "GIF", comment=CAPTION.encode())
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert image.text["Comment"] == CAPTION and remarks == ()


XMP_KINDS = ["utf-16", "utf-16-le", "utf-32", "utf-32-be", "latin-1", "empty RDF", "r", "r-d.f", "", "comment", "CDATA"]


@pytest.mark.parametrize("kind", XMP_KINDS)
def test_xmp_of_other_forms_is_kept(tmp_path, kind):
    packet, kept = XMP, CAPTION.encode()
    if kind.startswith("utf"):
        packet = XMP.decode().encode(kind)
    elif kind == "latin-1":
        packet, kept = XMP.decode().encode("latin-1"), CAPTION.encode("latin-1")
    elif kind == "empty RDF":
        packet, kept = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}/></x:xmpmeta>'.encode(), b"</x:xmpmeta>"
    elif kind == "":
        packet = f'<RDF {RDF.replace(":rdf", "")}><Description xmlns:d="d" d:title="{CAPTION}"/></RDF>'.encode()
    elif kind in ("comment", "CDATA"):
        hidden = {"comment": b"<!-- </rdf:RDF> -->", "CDATA": b"<x><![CDATA[</rdf:RDF>]]></x>"}[kind]
        packet = XMP.replace(b"<rdf:Description", hidden + b"<rdf:Description", 1)
    else:
        packet = XMP.replace(b"rdf:", kind.encode() + b":").replace(b"xmlns:rdf", b"xmlns:" + kind.encode())
    Image.fromarray(RGB8).save(tmp_path / "a", "WEBP", xmp=packet)
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b")
    assert kept in image.info["xmp"] and NOTE.encode() in image.info["xmp"] and remarks == ()
    if kind != "latin-1":
        root = ElementTree.fromstring(image.info["xmp"])
        outer = root if kind == "" else root[0]
        assert outer.tag.endswith("RDF") and NOTE in outer[-1].attrib.values()
        assert outer[-1].tag == outer.tag.replace("}RDF", "}Description")


def test_xmp_that_is_none_is_left_out_with_a_remark(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a", "WEBP", xmp=b"garbage")
    image, (remark,) = rewritten(tmp_path / "a", tmp_path / "b")
    assert "XMP" in remark and NOTE.encode() in image.info["xmp"] and b"garbage" not in image.info["xmp"]


def test_a_text_that_unpacks_to_gigabytes_takes_no_memory():
    packed = zlib.compress(bytes(2**27), 9)
    assert png.text_of(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed) == (b"XML:com.adobe.xmp", b"")
