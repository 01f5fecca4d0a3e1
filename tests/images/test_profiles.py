"""Colour profiles: what is applied to 16 bits, with which precision, and what is ignored."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from image_files import chunk
from PIL import Image, ImageCms

from pipeline.images import icc, originals, photographs
from pipeline.images.formats import UnreadablePhotograph

RNG = np.random.default_rng(0)
GRAY16 = RNG.integers(0, 2**16, (20, 30), dtype=np.uint16)
RGB16 = RNG.integers(0, 2**16, (20, 30, 3), dtype=np.uint16)


def matrix_profile(gamma):
    """An ICC profile of sRGB's primaries and one gamma, as bytes."""
    s15 = lambda *values: b"".join(struct.pack(">i", round(v * 65536)) for v in values)  # noqa: E731
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    xyz = [(0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733)]
    tags = {f"{c}XYZ": b"XYZ \0\0\0\0" + s15(*v) for c, v in zip("rgb", xyz, strict=True)}
    tags |= {f"{c}TRC": curve for c in "rgb"} | {"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1, 0.8249)}
    table, content = b"", b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name.encode(), 132 + 12 * len(tags) + len(content), len(data))
        content += data
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\2\0\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = s15(0.9642, 1, 0.8249)
    head[:4] = struct.pack(">I", 132 + len(table) + len(content))
    return bytes(head) + struct.pack(">I", len(tags)) + table + content


def test_a_profile_is_applied_with_all_16_bits_as_pillow_applies_it_with_8(tmp_path):
    profile = matrix_profile(1.8)
    ramp = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    pixels = np.dstack([ramp, ramp.T.reshape(20, 30), ramp[::-1]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    eight = Image.fromarray(np.rint(pixels / 257).astype(np.uint8))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(eight, source, target)).astype(float)
    assert np.abs(read.levels / 257 - expected).max() < 4 and np.abs(read.levels / 257 - expected).mean() < 0.7
    assert np.abs(expected - np.asarray(eight)).max() > 15
    assert len(np.unique(read.levels)) > 500 and read.remarks == ()


UNUSABLE = {
    "cut off": lambda: matrix_profile(1.8)[:150],
    "of any bytes": lambda: b"\xff" * 500,
    "Lab": lambda: ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    "of the other kind": None,
}


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize("pixels", [GRAY16, RGB16], ids=["gray", "RGB"])
def test_a_profile_that_cannot_be_applied_leaves_16_bits_as_they_are(tmp_path, pixels, kind):
    other = icc.matrix_profile(None, 1 / 1.8) if pixels.ndim == 3 else matrix_profile(1.8)
    profile = UNUSABLE[kind]() if UNUSABLE[kind] else other
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    assert np.array_equal(read.levels, pixels) and not read.remarks


def test_a_profile_of_tables_is_applied_to_16_bits_with_a_remark(tmp_path):
    corners = b"".join(bytes([255 * number.bit_count() // 3, 128, 128]) for number in range(8))  # of gray in Lab
    lines = bytes(range(256)) * 3
    table = (
        b"mft1\0\0\0\0\3\3\2\0" + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536) + lines + corners + lines
    )
    head = bytearray(matrix_profile(1.8)[:128])
    head[20:24], head[:4] = b"Lab ", struct.pack(">I", 144 + len(table))
    profile = bytes(head) + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", iccprofile=profile)
    read = originals.read(tmp_path / "a.tif")
    assert read.levels.dtype == np.uint16 and "8 bits" in read.remarks[0]
    assert np.ptp(read.levels, axis=2).max() <= 2 * 257 and np.ptp(read.levels) > 20_000


RAMP = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (20, 1))


def png(*chunks, mode="L"):
    stream = io.BytesIO()
    Image.fromarray(RAMP).convert(mode).save(stream, "PNG")
    data = stream.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def raw_png(keyword):
    content = matrix_profile(1.8)
    text = f"\n{keyword}\n{len(content):8}\n{content.hex()}\n".encode()
    return png(chunk(b"zTXt", f"Raw profile type {keyword}\0\0".encode() + zlib.compress(text)), mode="RGB")


def jp2():
    stream = io.BytesIO()
    Image.fromarray(RAMP).convert("RGB").save(stream, "JPEG2000")
    data = stream.getvalue()
    colours = b"\2\0\0" + matrix_profile(1.8)
    old = data.index(b"colr") - 4
    size = int.from_bytes(data[old : old + 4], "big")
    data = data[:old] + struct.pack(">I", 8 + len(colours)) + b"colr" + colours + data[old + size :]
    header = data.index(b"jp2h") - 4
    longer = int.from_bytes(data[header : header + 4], "big") + 8 + len(colours) - size
    return data[:header] + struct.pack(">I", longer) + data[header + 4 :]


def bmp(embedded):
    """Version 5 of the header with a profile, or version 4 with primaries and a gamma, of rows from below."""
    content = matrix_profile(1.8) if embedded else b""
    pixels = np.ascontiguousarray(np.pad(np.dstack([RAMP[::-1]] * 3).reshape(20, -1), ((0, 0), (0, 2)))).tobytes()
    size = 124 if embedded else 108
    info = struct.pack("<IiiHHIIiiII", size, 30, 20, 1, 24, 0, len(pixels), 0, 0, 0, 0) + bytes(16)
    ends = [round(value * 2**30) for value in (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)]
    info += b"DEBM" if embedded else bytes(4)
    info += struct.pack("<9i3I", *ends, *[round(1.8 * 65536)] * 3)
    info += struct.pack("<4I", 4, size + len(pixels), len(content), 0) if embedded else b""
    head = struct.pack("<2sIHHI", b"BM", 14 + size + len(pixels) + len(content), 0, 0, 14 + size)
    return head + info + pixels + content


def gif():
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, "GIF")
    data, profile = stream.getvalue(), matrix_profile(1.8)
    parts = [profile[at : at + 255] for at in range(0, len(profile), 255)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    at = 13 + 3 * 2 ** (1 + data[10] % 8)  # after the table of colours
    return data[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[at:]


STATED = {
    "the text of a PNG, icc": lambda: raw_png("icc"),
    "the text of a PNG, icm": lambda: raw_png("icm"),
    "a JP2": jp2,
    "a BMP of version 5": lambda: bmp(embedded=True),
    "a GIF": gif,
    "the gamma of a BMP": lambda: bmp(embedded=False),
}


@pytest.mark.parametrize("place", STATED)
def test_a_profile_is_applied_wherever_a_format_keeps_it(place):
    levels = photographs.decode(STATED[place]()).levels
    light = (RAMP / 255) ** 1.8
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    # Near black, Pillow's conversion is coarse.
    assert (
        np.abs(levels - np.dstack([expected] * 3))[:, 4:].max() <= 2
        and abs(levels[..., 0] - RAMP.astype(int)).max() > 8
    )


@pytest.mark.parametrize(("named", "same"), [((1, 13), True), ((12, 13), False), ((9, 8), False)])
def test_the_primaries_that_a_png_names_are_applied(named, same):
    pixels = np.dstack([RAMP] * 3)
    pixels[:, :10] = (200, 30, 60)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    data = stream.getvalue()
    data = data[:33] + chunk(b"cICP", bytes([*named, 0, 1])) + data[33:]
    assert np.array_equal(photographs.decode(data).levels, pixels) == same


@pytest.mark.parametrize("transfer", [16, 18])
def test_pictures_for_hdr_displays_are_refused(transfer):
    with pytest.raises(UnreadablePhotograph, match=r"HDR.* convert it"):
        photographs.decode(png(chunk(b"cICP", bytes([9, transfer, 0, 1]))))
    stream = io.BytesIO()
    Image.fromarray(RAMP).convert("RGB").save(stream, "AVIF")
    data = bytearray(stream.getvalue())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", 9, transfer)
    with pytest.raises(UnreadablePhotograph, match=r"HDR.* convert it"):
        photographs.decode(bytes(data))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF of 16 bits"])
@pytest.mark.parametrize(("transfer", "refused"), [(13, False), (16, True), (18, True)])
def test_profiles_for_hdr_displays_are_refused(kind, transfer, refused):
    made = bytearray(icc.matrix_profile((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), None))
    count = int.from_bytes(made[128:132], "big")
    for at in range(132, 132 + 12 * count, 12):
        made[at + 4 : at + 8] = (int.from_bytes(made[at + 4 : at + 8], "big") + 12).to_bytes(4, "big")
    entry = struct.pack(">4sII", b"cicp", len(made) + 12, 12)
    made[128:132] = struct.pack(">I", count + 1)
    made[132 + 12 * count : 132 + 12 * count] = entry
    made += b"cicp" + bytes(4) + bytes([9, transfer, 0, 1])
    made[:4] = struct.pack(">I", len(made))
    stream, pixels = io.BytesIO(), np.dstack([RAMP] * 3)
    if kind == "TIFF of 16 bits":
        tifffile.imwrite(stream, pixels.astype(np.uint16) * 257, photometric="rgb", iccprofile=bytes(made))
    else:
        Image.fromarray(pixels).save(stream, kind, icc_profile=bytes(made))
    if refused:
        with pytest.raises(UnreadablePhotograph, match=r"HDR.* convert it"):
            photographs.decode(stream.getvalue())
    else:
        levels = photographs.decode(stream.getvalue()).levels
        assert abs(levels / np.iinfo(levels.dtype).max - pixels / 255).max() < 0.02
