"""HEIC and JPEG XL, which the packages of the extra `formats` read."""

import base64
import io
import struct
import sys
import tracemalloc

import brotli
import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from readers import RGB8, exif_block, rewritten

from pipeline.images import foreign, jpeg_xl, originals, photographs
from pipeline.images.formats import UnreadablePhotograph

ARTIST = "Jürgen Größe, 東京"
EXIF = exif_block([(274, 3, 1, b"\0\x06\0\0"), (315, 2, len(ARTIST.encode()) + 1, ARTIST.encode() + b"\0")])
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
# libjxl's encoder wrote it of 24 x 16 pixels, red at the upper left, blue in the lower half, else black, with
# orientation 6, which it moves from EXIF into the picture's own header.
TURNED = base64.b85decode(
    b"0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ0000xYItm8{|W;w5Kvqa2m%2BlmJT@ixmJIc+41MOy&h*0B~kA1@H%?+=dDgBU!O7<Zv-r4-{h"
)


@pytest.fixture(autouse=True)
def plugins():
    assert foreign.plugin(foreign.HEIC) and foreign.plugin(foreign.JPEG_XL)


def saved(path, image, kind, **options):
    image.save(path, kind, **options)
    return path


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_a_photograph_is_read_upright_with_its_metadata(tmp_path, kind):
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", quality=95, exif=b"Exif\0\0" + EXIF)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        # A JPEG within a JPEG XL keeps its orientation in EXIF.
        options = {"lossless_jpeg": True} if kind == "JXL" else {"quality": -1, "chroma": 444, "exif": EXIF}
        saved(tmp_path / "a", jpeg, kind, **options)
    expected = photographs.decode((tmp_path / "a.jpg").read_bytes()).levels.astype(int)
    levels = originals.read(tmp_path / "a").levels
    assert levels.shape == expected.shape == (30, 20, 3) and abs(levels - expected).max() <= 4
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b.png")
    assert image.getexif()[315].encode("latin-1").decode() == ARTIST and image.getexif().get(274, 1) == 1
    assert image.format == "PNG" and remarks == ()


def test_the_orientation_of_a_jpeg_xl_is_applied_once():
    levels = photographs.decode(TURNED).levels
    assert levels.shape == (24, 16, 3)
    assert [levels[2, 13].tolist(), levels[2, 2].tolist(), levels[20, 13].tolist()] == [
        [255, 0, 0], [0, 0, 255], [0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
def test_metadata_in_boxes_of_a_jpeg_xl_are_kept(tmp_path, compressed):
    saved(tmp_path / "a", Image.fromarray(RGB8), "JXL", lossless=True, exif=EXIF, xmp=XMP, use_container=True,
          compress_metadata=compressed)  # fmt: skip
    assert (b"brob" in (tmp_path / "a").read_bytes()) == compressed
    image, remarks = rewritten(tmp_path / "a", tmp_path / "b.png")
    assert image.getexif()[315].encode("latin-1").decode() == ARTIST and b"xmpmeta" in image.info["xmp"]
    assert remarks == () and np.array_equal(np.asarray(image), RGB8[..., ::-1])


def test_metadata_that_unpack_to_gigabytes_are_left_out(tmp_path):
    packer = brotli.Compressor(quality=1)
    content = b"xml " + b"".join([*(packer.process(bytes(2**20)) for _ in range(512)), packer.finish()])
    data = TURNED + struct.pack(">I4s", 8 + len(content), b"brob") + content
    (tmp_path / "a").write_bytes(data)
    tracemalloc.start()
    read = originals.read(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 2**26 and read.levels.shape == (24, 16, 3) and "left out" in read.remarks[0]


def test_a_depth_that_is_lost_is_remarked(tmp_path):
    deep = np.arange(40 * 64 * 3, dtype=np.uint16).reshape(40, 64, 3) * 8
    pillow_heif.from_bytes(mode="RGB;16", size=(64, 40), data=deep.tobytes()).save(tmp_path / "a.heic", quality=-1)
    assert photographs.decode((tmp_path / "a.heic").read_bytes()).remark == "its 10 bits a channel were reduced to 8"
    gray = saved(tmp_path / "a.jxl", Image.fromarray(deep[..., 0]), "JXL", lossless=True).read_bytes()
    assert jpeg_xl.header_of(gray).depth == 16
    photograph = photographs.decode(gray)
    linear = deep[..., 0] / 65535  # as the plugin writes 16 bits
    expected = 65535 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert abs(photograph.levels - expected).max() < 20 and photograph.remark == ""


@given(
    st.integers(1, 700), st.integers(1, 700), st.booleans(), st.sampled_from([None, 1.2, 4 / 3, 1.5, 16 / 9, 1.25, 2])
)
def test_the_size_in_the_header_of_a_jpeg_xl(height, width, container, ratio):
    size = (int(height * ratio) if ratio else width, height)
    file = io.BytesIO()
    Image.new("L", size).save(file, "JXL", use_container=container, effort=1)
    assert jpeg_xl.header_of(file.getvalue()) == jpeg_xl.Header(size)


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_too_large_and_damaged_files_are_refused(tmp_path, kind):
    data = saved(tmp_path / "a", Image.fromarray(RGB8), kind, use_container=True).read_bytes()
    with pytest.raises(UnreadablePhotograph, match=r"30 x 20 pixels") as caught:
        photographs.decode(data, max_megapixels=0.0005)
    assert caught.value.reason == "too large"
    for length in (12, 20, 30, len(data) // 2, len(data) - 3):
        with pytest.raises(UnreadablePhotograph):
            photographs.decode(data[:length])


@pytest.mark.parametrize(("module", "known"), [("pillow_heif", foreign.HEIC), ("pillow_jxl", foreign.JPEG_XL)])
def test_without_its_package_a_format_is_named_with_what_to_install(tmp_path, monkeypatch, module, known):
    path = saved(tmp_path / "a", Image.fromarray(RGB8), {foreign.HEIC: "HEIF"}.get(known, "JXL"))
    monkeypatch.setattr(foreign, "plugin", foreign.plugin.__wrapped__)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnreadablePhotograph, match=rf"{known}.*formats.*convert"):
        originals.read(path)


def test_deep_gray_with_alpha_is_refused():
    # libjxl's encoder wrote it of 4 x 2 pixels and 16 bits; the plugin returns their bytes as levels.
    data = base64.b85decode(
        b"0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AOKNy*WB&>WaQp~<0E!j?2oMke$N)<iixpCAFx2E)^nwAlvOJOK0K32e"
        b"00V#|ktC8tl1LIs`aXZyu(2VwZ~5CtysK0m"
    )
    with pytest.raises(UnreadablePhotograph, match=r"alpha and 16 bits.* convert it"):
        photographs.decode(data)


# Of 2 x 2 pixels of half the highest level, by libjxl's encoder.
FOR_HDR_DISPLAYS = {
    "PQ": "{|X2Y0R-gHAr1!s004jp1OWgr081E)6~akD9)JJ<00",
    "HLG": "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AD{6RbWB&>W5CJ~`c?JMI1^@s6fCvNu05kwg7>gA`iURQf1ONa4",
    "PQ of gray": "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AC~A0YWB&>W5CK0x(IE~80001h2m}EDEC5Rw"
    "ixonO0&xNW00",
    "PQ with alpha": "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AFlu;gWB&>W5DPzo9{`FDaX0_~000CC5D)-B"
    "081E)6^<KR0Qdn2000mG00",
    "4000 cd/m²": "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AD{6RbWB&>W5CJ~`MFaF2000000tf^F05kwg"
    "7>gA`iURQf1ONa4",
}


@pytest.mark.parametrize("kind", FOR_HDR_DISPLAYS)
def test_a_jpeg_xl_for_hdr_displays_is_refused(kind):
    with pytest.raises(UnreadablePhotograph, match=rf"HDR.*{kind.split()[0]}.*convert it"):
        photographs.decode(base64.b85decode(FOR_HDR_DISPLAYS[kind]))


def test_light_above_white_in_a_jpeg_xl_is_lost_with_a_remark():
    # Of 2 x 2 pixels, whose red is 0.5, green 2 and blue 0.
    data = base64.b85decode(
        b"0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AGirEjWB&>W5OM&;g$M)z0CWIL7>gCc0*rA1000mC3;+PY4*&pK0H~S+0"
        b"0000"
    )
    assert jpeg_xl.header_of(data) == jpeg_xl.Header((2, 2), 32, floating=True)
    photograph = photographs.decode(data)
    assert abs(photograph.levels - np.array([127.5, 255, 0])).max() <= 1 and "brighter than white" in photograph.remark
