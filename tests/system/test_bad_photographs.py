"""Bad photographs: a reported skip, or one clear line, exit code 2, and nothing written."""

import csv
import io
import os
import struct
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bad_input import (
    AB,
    FOLDER,
    L,
    assert_refused,
    check_refused,
    endless,
    entries,
    folder,
    kaggle,
    loop,
    photographs,
    pipe,
    plug,
    put,
)
from image_files import RGB, chunk, encoded, picture
from PIL import Image, ImageCms


def png(width, height, data=None, more=b""):
    rows = b"".join(b"\0" + row.tobytes() for row in RGB) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def bmp(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif(width, height, *frame):
    image = b"\x2c" + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x4c\x01\0" if frame else b""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + image + b";"


def tiff(pixels=RGB, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **({"photometric": "rgb", "metadata": None} | options))
    return bytearray(stream.getvalue())


def retagged(tag, value, pixels=RGB, field=8):
    data = tiff(pixels)
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<I", data, entry + field, value)
    return bytes(data)


def jpeg(width, height):
    data = bytearray(JPEG)
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def oversized(path):
    path.touch()
    os.truncate(path, 2**43)  # sparse: to read it would take hours


PNG, JPEG = encoded(RGB), encoded(RGB, "JPEG")
DEEP = np.random.default_rng(3).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
BOMB = zlib.compress(bytes(80_000_000), 9)
WIDTH, HEIGHT = RGB.shape[1::-1]
UNREADABLE, TOO_LARGE, GRAY = "1 unreadable; set", "1 too large; set", "1 gray; set"
WRONG_PHOTOGRAPHS = {
    "zero bytes": (b"", UNREADABLE),
    "text": (b"hello", UNREADABLE),
    "truncated JPEG": (encoded(picture(600, 400), "JPEG")[:-2000], UNREADABLE),
    "JPEG header only": (JPEG[:20], UNREADABLE),
    "JPEG without a scan": (JPEG[: JPEG.index(b"\xff\xda")], UNREADABLE),
    "JPEG start and end": (b"\xff\xd8\xff\xd9", UNREADABLE),
    "JPEG of fill bytes": (b"\xff\xd8" + b"\xff" * 1000, UNREADABLE),
    "JPEG of 65535 x 65535": (jpeg(65535, 65535), TOO_LARGE),
    "JPEG of 0 x 0": (jpeg(0, 0), UNREADABLE),
    "truncated PNG": (PNG[:-40], UNREADABLE),
    "PNG of 50000 x 50000": (png(50_000, 50_000, b""), TOO_LARGE),
    "PNG of 2**31 x 2**31": (png(2**31 - 1, 2**31 - 1, b""), TOO_LARGE),
    "PNG of 0 x 0": (png(0, 0), UNREADABLE),
    "PNG with a broken checksum": (PNG[:30] + b"\0\0" + PNG[32:], UNREADABLE),
    "PNG, compressed text of 80 MB": (png(WIDTH, HEIGHT, more=chunk(b"zTXt", b"c\0\0" + BOMB)), UNREADABLE),
    "PNG, profile of 80 MB": (png(WIDTH, HEIGHT, more=chunk(b"iCCP", b"c\0\0" + BOMB)), UNREADABLE),
    "GIF without frames": (gif(10, 10), UNREADABLE),
    "GIF, frame of 65535 x 65535": (gif(1, 1, 0, 0, 65535, 65535), TOO_LARGE),
    "GIF, frame far away": (gif(1, 1, 65535, 65535, 1, 1), TOO_LARGE),
    "BMP header only": (b"BM" + b"\0" * 60, UNREADABLE),
    "BMP of negative size": (bmp(-(2**31), -(2**31)), TOO_LARGE),
    "TIFF header only": (b"II*\0", UNREADABLE),
    "BigTIFF, broken": (b"II+\0\x08\0\0\0" + b"\xff" * 8, UNREADABLE),
    "TIFF, huge width": (retagged(256, 2**31), TOO_LARGE),
    "TIFF, huge count": (retagged(258, 2**32 - 1, field=4), UNREADABLE),
    "TIFF, rows outside": (retagged(273, 2**32 - 1), UNREADABLE),
    "TIFF, deep, rows missing": (retagged(257, 29_000, DEEP), UNREADABLE),
    "TIFF, deep, 60000 samples": (retagged(277, 60_000, DEEP), UNREADABLE),
    "TIFF, deep, unknown compression": (retagged(259, 34_712, DEEP), UNREADABLE),
    "TIFF, floats": (bytes(tiff(np.float32(RGB / 255))), UNREADABLE),
    "WebP, broken": (b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\0" * 30, UNREADABLE),
    "AVIF, broken": (b"\0\0\0\x18ftypavif" + b"\0" * 20, UNREADABLE),
    "JPEG 2000, broken": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40, UNREADABLE),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNREADABLE),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNREADABLE),
    "PDF": (b"%PDF-1.7\n", UNREADABLE),
    "one bit": (encoded(Image.fromarray(np.eye(8, dtype=bool))), GRAY),
    "16 bits of gray": (encoded(Image.fromarray(DEEP[..., 0])), GRAY),
    "gray": (encoded(RGB[..., 0]), GRAY),
    "transparent all over": (encoded(np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])), GRAY),
    "8 TB": (oversized, TOO_LARGE),
    "a pipe": (pipe, UNREADABLE),
    "endless": (endless, UNREADABLE),
    "the kernel's log, which waits": (lambda path: path.symlink_to("/proc/kmsg"), UNREADABLE),
    "a link to itself": (loop, UNREADABLE),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), UNREADABLE),
    "a socket": (plug, UNREADABLE),
    "an empty folder of that name": (folder, "received no files"),
}


def maze(root):
    """Nested folders, each with two links to the next, which give 2**30 paths."""
    folders = [root / "photos" / str(number) for number in range(30)]
    for path in folders:
        path.mkdir(parents=True)
    for path, following in pairwise(folders):
        (path / "a").symlink_to(following)
        (path / "b").symlink_to(following)
    return FOLDER


CASES = {
    f"photograph, {name}": (photographs(**{"a.jpg": content}), "photos: expected colour photographs", said)
    for name, (content, said) in WRONG_PHOTOGRAPHS.items()
}
CASES |= {
    "photographs, none": (photographs(), "photos: expected colour photographs", "received no files; set the dataset's"),
    "photographs, all gray": (photographs(**{f"{n}.png": encoded(RGB[..., n]) for n in range(3)}), "photos", "3 gray"),
    "photographs, a maze of links": (maze, "photos: expected colour photographs", "received 58 unreadable"),
    "photographs, a file": (lambda root: put(root / "photos", b"x") or FOLDER, "photos: expected a folder", "a file"),
    "photographs, nothing": (lambda root: FOLDER, "photos: expected a folder", "received no such folder"),
}  # fmt: skip


@pytest.mark.parametrize(("prepare", "named", "said"), CASES.values(), ids=CASES)
def test_a_bad_folder_of_photographs_is_refused_in_one_line_and_nothing_is_written(
    call, tmp_path, prepare, named, said
):
    check_refused(call, tmp_path, prepare, named, said)


# What is wrong with one photograph is no reason to refuse the others.

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SECOND = Image.fromarray(picture(seed=3))
CMYK = Image.fromarray(RGB).convert("CMYK")
ODD = {
    "PNG named JPEG": PNG,
    "1 x 1": encoded(picture(1, 1)),
    "20000 x 3": encoded(picture(20_000, 3)),
    "animated GIF": encoded(Image.fromarray(RGB), "GIF", save_all=True, append_images=[SECOND]),
    "animated PNG": encoded(Image.fromarray(RGB), save_all=True, append_images=[SECOND]),
    "CMYK, broken profile": encoded(CMYK, "JPEG", icc_profile=SRGB[:80]),
    "CMYK, profile of RGB": encoded(CMYK, "JPEG", icc_profile=SRGB),
    "palette": encoded(Image.fromarray(RGB).quantize(256)),
    "alpha": encoded(np.dstack([RGB, np.full(RGB.shape[:2], 200, np.uint8)])),
    "16 bits": bytes(tiff(DEEP)),
    "EXIF of 20 MB": encoded(RGB, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 20_000_000),
    "EXIF within itself": encoded(RGB, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\1\0\0\0\x08\0\0\0\x08"),
    "TIFF of 500 pages": bytes(tiff(np.stack([RGB[:4, :4]] * 500))),
    "PNG, text of 5 MB": png(WIDTH, HEIGHT, more=chunk(b"tEXt", b"a\0" + b"x" * 1_000_000) * 5),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_odd_photographs_are_simply_read(call, tmp_path, content):
    photographs(**{"a.jpg": content})(tmp_path)
    result = call(FOLDER)
    assert result.exit_code == 0, result.stderr
    assert "ingest: 1 image in" in result.stderr and not reported(tmp_path)


def reported(root):
    with (root / "data" / "x" / "report.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["reason"], row["detail"]) for row in csv.DictReader(file)}


def test_every_bad_photograph_is_reported_and_the_good_one_is_taken(call, tmp_path):
    prepare = photographs(
        **{"good.png": PNG},
        **{f"{name.replace('/', ' ')}.jpg": content for name, (content, _) in WRONG_PHOTOGRAPHS.items()},
    )
    (tmp_path / "outside").mkdir()
    arguments = prepare(tmp_path)
    (tmp_path / "photos" / "up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "beside").symlink_to(tmp_path / "outside")
    result = call([*arguments, "--set", "scheduler=synchronous"])
    assert result.exit_code == 0, result.stderr
    found = reported(tmp_path)
    assert len(found) == len(WRONG_PHOTOGRAPHS) - 1 + 1  # an empty folder is nothing; the link up is reported
    for name, (_, said) in WRONG_PHOTOGRAPHS.items():
        if not said.startswith("received"):
            reason, detail = found[f"{name}.jpg"]
            assert reason == said.split("; ")[0].removeprefix("1 ") and detail.isprintable() and 0 < len(detail) < 300
    assert found["up/"] == ("unreadable", "a link to a folder that is listed already")


NASTY = [
    "a b.png", "it's \"one\".png", "two\nlines.png", "back\\slash.png", "$(mkdir executed).png", "-rf.png", "..png",
    "; mkdir executed;.png", "...png", "\x1b[31mred.png", "\udcff.png", "\u202egnp.png", "a" * 250 + ".png",
    "%s{0}.png",
]  # fmt: skip


def test_names_are_never_run_never_escape_and_are_told_printably(call, tmp_path):
    photographs(**{name: encoded(picture(seed=seed)) for seed, name in enumerate(NASTY)})(tmp_path)
    before = entries(tmp_path / "photos")
    result = call(FOLDER)
    assert result.exit_code == 0, result.stderr
    assert "12 images" in result.stderr and set(reported(tmp_path)) == {"..png", "...png"}
    index = (tmp_path / "data" / "x" / "index.csv").read_text(encoding="utf-8")
    assert len(index.splitlines()) == 13 and index.replace("\n", "").isprintable()
    assert entries(tmp_path / "photos") == before
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "data"}


@pytest.mark.parametrize("prepare", [kaggle(L, [AB]), photographs(**{"a.png": PNG})], ids=["arrays", "photographs"])
def test_a_folder_that_may_not_be_read_is_named(call, monkeypatch, prepare):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        monkeypatch.chdir(root)
        arguments = prepare(root)
        (source,) = root.iterdir()
        source.rename(root / "away")
        assert_refused(call(arguments), "no such folder")  # also imports what another user may not read
        (root / "away").rename(source)
        source.chmod(0)
        me = os.geteuid()
        os.seteuid(me or 65534)  # root may read everything
        try:
            result = call(arguments)
        finally:
            os.seteuid(me)
            source.chmod(0o700)
        assert_refused(result, source.name, "`path`")
        assert list(root.iterdir()) == [source]
