"""Bad input of every kind that came to mind: one clear line, exit code 2, and nothing written, or a reported skip."""

import csv
import io
import os
import pickle
import shutil
import signal
import socket
import struct
import tempfile
import zlib
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import tiny
import zarr
from click.testing import CliRunner
from image_files import RGB, encoded, picture
from PIL import Image, ImageCms

from pipeline.core import files
from stages.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")

L, AB = tiny.photographs(2)
KAGGLE, HDF5, FOLDER = (
    ("ingest", "--dataset", "x", "--set", f"datasets.x={{kind: {kind}, path: {path}}}")
    for kind, path in (("kaggle", "archive"), ("hdf5", "arrays.h5"), ("folder", "photos"))
)
MARK = "executed"  # what a payload would create in the working folder


class Payload:
    def __reduce__(self):
        return os.mkdir, (MARK,)


def entries(folder):
    """What lies below a folder, links, pipes and locks included, with sizes and times of change."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in ["", *names]:
            status = os.lstat(os.path.join(where, name))
            found[os.path.join(where, name)] = (
                status.st_mode,
                status.st_size if name else 0,
                name and status.st_mtime_ns,
            )
    return found


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def late(*_):
        raise RuntimeError("bad input made the stage wait")

    def call(arguments):
        before = signal.signal(signal.SIGALRM, late)
        signal.alarm(20)
        try:
            result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="stages")
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        assert "Traceback" not in result.output and isinstance(result.exception, SystemExit | None), result.exception
        assert not os.path.lexists(MARK)
        return result

    return call


def put(path, content):
    """Bytes, an array, or what a function makes there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    elif isinstance(content, np.ndarray):
        with path.open("wb") as file:
            np.save(file, content)
    else:
        path.write_bytes(content)


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def loop(path):
    path.symlink_to(path)


def plug(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path has at most 107 bytes
        made.bind(path.name)
        os.chdir(here)


# Kaggle's arrays


def npy(header, data=b"", version=(1, 0), length=None):
    text = header if isinstance(header, bytes) else header.encode("latin-1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + text + data


def described(shape="(2, 224, 224)", descr="'|u1'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def objects(path):
    np.save(path, np.array([Payload(), Payload()], object), allow_pickle=True)


def archived(path):
    with path.open("wb") as file:
        np.savez(file, L)


GOOD_NPY = npy(described(), L.tobytes())
HUGE = npy(described(), version=(2, 0), length=2**32 - 1)

# id: (L, what the message says beside the file's name); None leaves the file away.
WRONG_L = {
    "empty": (b"", "unpack the archive again"),
    "cut in the magic": (GOOD_NPY[:4], "unpack"),
    "cut in the header": (GOOD_NPY[:40], "unpack"),
    "cut in the rows": (GOOD_NPY[:-1], "a truncated file"),
    "text": (b"hello, world\n", "unpack"),
    "a web page": (b"<!DOCTYPE html><title>404</title>", "unpack"),
    "pickle": (pickle.dumps(Payload(), protocol=0), "never opened"),
    "pickle, binary": (pickle.dumps(Payload()), "never opened"),
    "objects": (objects, "never opened"),
    "npz": (archived, "save each array with np.save"),
    "broken zip": (b"PK\x03\x04garbage", "np.save"),
    "a trillion rows": (npy(described("(1000000000000, 224, 224)")), "truncated"),
    "more rows than numbers": (npy(described("(" + "9" * 60 + ", 224, 224)")), "unpack"),
    "a product that overflows": (npy(described("(4611686018427387904, 4, 4)"), L.tobytes()), "unpack"),
    "rows below zero": (npy(described("(-2, 224, 224)"), L.tobytes()), "unpack"),
    "rows True": (npy(described("(True, 224, 224)"), L.tobytes()), "unpack"),
    "rows as float": (npy(described("(2.0, 224, 224)"), L.tobytes()), "unpack"),
    "header shorter than said": (npy("x", length=65535), "unpack"),
    "header of 4 GiB": (HUGE, "a header too long"),
    "header of many spaces": (npy(described() + " " * 99_999, L.tobytes(), (2, 0)), "a header too long"),
    "header of parentheses": (npy("(" * 9000), "unpack"),
    "header of signs": (npy("-" * 9000 + "1"), "unpack"),
    "header of digits": (npy("9" * 9000), "unpack"),
    "header that calls": (npy(f"__import__('os').mkdir('{MARK}')\n"), "unpack"),
    "header of NULs": (npy("\0" * 64), "unpack"),
    "header not UTF-8": (npy(b"\xff" + described().encode(), L.tobytes(), (3, 0)), "unpack"),
    "unknown version": (npy(described(), L.tobytes(), (9, 0)), "unpack"),
    "unknown dtype": (npy(described(descr="'zz'"), L.tobytes()), "unpack"),
    "nested dtype": (npy(described(descr="[" * 90 + "]" * 90), L.tobytes()), "unpack"),
    "structured": (np.zeros((2, 224, 224), [("a", "u1")]), "expected L of shape (n, 224, 224), uint8"),
    "dtype of no bytes": (npy(described(descr="'|V0'")), "expected L of shape"),
    "text as dtype": (L.astype("U3"), "received <U3"),
    "big-endian": (L.astype(">u2"), "received >u2"),
    "floats": (L / np.float32(2.55), "np.rint(L * 2.55)"),
    "complex": (L.astype(np.complex64), "received complex64"),
    "L* unscaled": (L // 3, "evidently L* (0..100)"),
    "rank 2": (L[0], "save the array again in that shape"),
    "no axes": (np.array(200, np.uint8), "received the shape ()"),
    "no rows": (L[:0], "received no rows"),
    "colour images": (np.repeat(L[..., None], 3, -1), "kind folder"),
    "ab instead": (AB, "received the shape (2, 224, 224, 2)"),
    "a folder": (folder, "received none"),
    "a pipe": (pipe, "received no file"),
    "endless": (endless, "received no file"),
    "a link to itself": (loop, "received no file"),
    "a socket": (plug, "received no file"),
    "missing": (None, "received none"),
}
# id: (parts of ab, the file named, what the message says beside)
WRONG_AB = {
    "too few rows": ([AB[:1]], "gray_scale.npy", "received 2 of L and 1 of ab"),
    "too many rows": ([AB, AB], "gray_scale.npy", "received 2 of L and 4 of ab"),
    "differing width": ([AB[:1], AB[1:, :, :100]], "ab2.npy", "received the shape (1, 224, 100, 2)"),
    "channels first": ([np.moveaxis(AB, -1, 1)], "ab1.npy", "np.moveaxis(ab, 1, -1)"),
    "images last": ([np.moveaxis(AB, 0, -1)], "ab1.npy", "received the shape (224, 224, 2, 2)"),
    "NaN": ([np.full(AB.shape, np.nan, np.float32)], "ab1.npy", "received float32"),
    "signed": ([(AB.astype(int) - 128).astype(np.int8)], "ab1.npy", "received int8"),
    "without the offset": ([AB - np.uint8(128)], "ab1.npy", "without the offset"),
    "objects": ([objects], "ab1.npy", "never opened"),
    "second truncated": ([AB[:1], GOOD_NPY[:-9]], "ab2.npy", "truncated"),
    "none": ([], "archive", "ab1.npy, ab2.npy … below it, received none"),
}


def kaggle(lightness, parts):
    def prepare(root):
        (root / "archive").mkdir()
        for name, content in [("gray_scale", lightness), *((f"ab{n}", part) for n, part in enumerate(parts, 1))]:
            if content is not None:
                put(root / "archive" / f"{name}.npy", content)
        return KAGGLE

    return prepare


def with_a_gap(number):
    def prepare(root):
        kaggle(L, [AB])(root)
        put(root / "archive" / f"ab{number}.npy", AB)
        return KAGGLE

    return prepare


CASES = {f"L, {name}": (kaggle(content, [AB]), "gray_scale.npy", said) for name, (content, said) in WRONG_L.items()}
CASES |= {f"ab, {name}": (kaggle(L, parts), *said) for name, (parts, *said) in WRONG_AB.items()}
CASES["ab, a part numbered 10**30"] = with_a_gap(10**30), "archive", "received ab2.npy missing"
CASES["ab, a part numbered 0"] = with_a_gap(0), "archive", "ab0.npy as well"


# HDF5


def hdf5(make):
    """`make`: bytes, a function of a path, or one of an open file that holds ab."""

    def prepare(root):
        path = root / "arrays.h5"
        if isinstance(make, bytes) or make in (folder, pipe, endless, loop):
            put(path, make)
        else:
            os.mkfifo(root / "pipe")
            with h5py.File(path, "w") as file:
                file["ab"] = AB
                make(file)
        return HDF5

    return prepare


def dataset(**options):
    return lambda file: file.create_dataset("L", **({"shape": (2, 224, 224), "dtype": "u1"} | options))


def link(to):
    return lambda file: file.__setitem__("L", to)


def virtual(source):
    def make(file):
        layout = h5py.VirtualLayout((2, 224, 224), "u1")
        layout[:] = h5py.VirtualSource(source, "L", (2, 224, 224))
        file.create_virtual_dataset("L", layout, fillvalue=200)

    return make


def chunked(direct=b"junk", filters=(), chunk=(1, 224, 224), rows=2):
    def make(file):
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk(chunk)
        for code in filters:
            plan.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (6,))
        space = h5py.h5s.create_simple((rows, 224, 224), (h5py.h5s.UNLIMITED, 224, 224))
        made = h5py.h5d.create(file.id, b"L", h5py.h5t.STD_U8LE, space, plan)
        if direct:
            made.write_direct_chunk((0, 0, 0), direct, 0)

    return make


def sparse(file):
    """A billion rows in a few bytes."""
    del file["ab"]
    for name, shape, fill in (("L", (10**9, 224, 224), 200), ("ab", (10**9, 224, 224, 2), 128)):
        file.create_dataset(name, shape, "u1", chunks=(1, *shape[1:]), fillvalue=fill)


def hdf5_bytes():
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["L"], file["ab"] = L, AB
    return stream.getvalue()


GOOD_HDF5 = hdf5_bytes()
LINK = "received a file with a link named L"
ELSEWHERE = "rows lie in other files; write them anew"
# id: (the file, what the message says beside its name)
WRONG_HDF5 = {
    "empty": (b"", "make the file again"),
    "text": (b"hello", "make the file again"),
    "npy": (GOOD_NPY, "make the file again"),
    "signature only": (GOOD_HDF5[:8], "make the file again"),
    "truncated": (GOOD_HDF5[:-5], "truncated file"),
    "broken superblock": (GOOD_HDF5[:8] + b"\xff" * 900, "make the file again"),
    "a folder": (folder, "received no file"),
    "a pipe": (pipe, "received no file"),
    "endless": (endless, "received no file"),
    "a link to itself": (loop, "received no file"),
    "no L": (lambda file: None, "received a file with ab; write or rename L"),
    "L a group": (lambda file: file.create_group("L"), "write or rename L"),
    "L a type": (link(np.dtype("u1")), "write or rename L"),
    "many names": (lambda file: [file.create_group(f"g{n}") for n in range(500)], "write or rename L"),
    "names of control characters": (lambda file: file.create_group("a\x1b[31m\nb"), r"a\x1b[31m\nb"),
    "external link": (link(h5py.ExternalLink("/etc/passwd", "/L")), LINK),
    "external link to a pipe": (link(h5py.ExternalLink("pipe", "/L")), LINK),
    "soft link to itself": (link(h5py.SoftLink("/L")), LINK),
    "soft link to nothing": (link(h5py.SoftLink("/nothing")), LINK),
    "rows in /etc/passwd": (dataset(external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]), ELSEWHERE),
    "rows in a pipe": (dataset(external=[("pipe", 0, h5py.h5f.UNLIMITED)]), ELSEWHERE),
    "rows in another file": (virtual("pipe"), ELSEWHERE),
    "rows in themselves": (virtual("."), ELSEWHERE),
    "unknown filter": (chunked(filters=[32001]), "the filter 32001, which is not installed here"),
    "chunk that is not gzip": (chunked(filters=[h5py.h5z.FILTER_DEFLATE]), "make or copy the file again"),
    "chunk of 2 GB": (
        chunked(filters=[h5py.h5z.FILTER_DEFLATE], chunk=(40_000, 224, 224)),
        "chunks of 2007040000 bytes",
    ),
    "a billion rows of nothing": (sparse, "received 0 of 1000000000 chunks"),
    "never written": (dataset(fillvalue=200), "received 0 of 100352 bytes"),
    "objects": (dataset(dtype=h5py.special_dtype(vlen=str)), "received object"),
    "references": (dataset(dtype=h5py.ref_dtype), "received object"),
    "compound": (dataset(dtype=[("a", "u1")]), "dataset L: expected L of shape"),
    "opaque": (dataset(dtype="V1"), "received |V1"),
    "arrays as elements": (dataset(shape=(2,), dtype=np.dtype(("u1", (224, 224)))), "received the shape (2,)"),
    "big-endian": (dataset(data=L.astype(">u2"), dtype=">u2"), "received >u2"),
    "floats": (dataset(data=L / 2.55, dtype="f8"), "np.rint(L * 2.55)"),
    "no space": (link(h5py.Empty("u1")), "received the shape ()"),
    "scalar": (link(np.uint8(3)), "received the shape ()"),
    "no rows": (dataset(shape=(0, 224, 224)), "received no rows"),
    "rank 2": (dataset(data=L[0], shape=L[0].shape), "received the shape (224, 224)"),
    "of different length": (dataset(data=L[:1], shape=(1, 224, 224)), "received 1 of L and 2 of ab"),
}
CASES |= {f"HDF5, {name}": (hdf5(make), "arrays.h5", said) for name, (make, said) in WRONG_HDF5.items()}


# Photographs: of a folder with nothing else in it


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
BOMB = zlib.compress(bytes(50_000_000), 9)
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
    "PNG, compressed text of 50 MB": (png(WIDTH, HEIGHT, more=chunk(b"zTXt", b"c\0\0" + BOMB)), UNREADABLE),
    "PNG, profile of 50 MB": (png(WIDTH, HEIGHT, more=chunk(b"iCCP", b"c\0\0" + BOMB)), UNREADABLE),
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


def photographs(**content):
    def prepare(root):
        (root / "photos").mkdir()
        for name, each in content.items():
            put(root / "photos" / name, each)
        return FOLDER

    return prepare


def maze(root):
    """Folders of two links to the next: as many paths as there are numbers of 30 bits."""
    folders = [root / "photos" / str(number) for number in range(30)]
    for path in folders:
        path.mkdir(parents=True)
    for path, following in pairwise(folders):
        (path / "a").symlink_to(following)
        (path / "b").symlink_to(following)
    return FOLDER


CASES |= {
    f"photograph, {name}": (photographs(**{"a.jpg": content}), "photos: expected colour photographs", said)
    for name, (content, said) in WRONG_PHOTOGRAPHS.items()
}
CASES |= {
    "photographs, none": (photographs(), "photos: expected colour photographs", "received no files; set the dataset's"),
    "photographs, all gray": (photographs(**{f"{n}.png": encoded(RGB[..., n]) for n in range(3)}), "photos", "3 gray"),
    "photographs, a maze of links": (maze, "photos: expected colour photographs", "received 58 unreadable"),
    "photographs, a file": (lambda root: put(root / "photos", b"x") or FOLDER, "photos: expected a folder", "a file"),
    "photographs, nothing": (lambda root: FOLDER, "photos: expected a folder", "received nothing there"),
}  # fmt: skip


# Configuration


def configured(content):
    def prepare(root):
        put(root / "mine.yaml", content.encode() if isinstance(content, str) else content)
        return ("ingest", "--config", "mine.yaml")

    return prepare


FILE = "expected a YAML file"
WRONG_CONFIGURATIONS = {
    "unknown key": ("epochs: 3", "epochs: unknown key; see config/config.yaml"),
    "unknown nested key": ("training: {epoch: 3}", "training.epoch: unknown key"),
    "no key": ("'': 3", "(empty): unknown key"),
    "3000 unknown keys": ("\n".join(f"k{n}: 1" for n in range(3000)), "those there are; and 2990 more"),
    "key of control characters": (r'"\e[31mred": 1', "?[31mred: unknown key"),
    "key that is a number": ("1: 1", "1: Keys should be strings"),
    "key that is a list": ("? [1, 2]\n: 1", FILE),
    "key twice": ("limit: 3\nlimit: 4", "the key 'limit' twice"),
    "wrong type": ("limit: [3]", "limit: Input should be a valid integer, received [3]"),
    "nothing for a section": ("training: null", "training: "),
    "word for a number": ("limit: three", "limit: Input should be a valid integer, received 'three'"),
    "fraction for a whole": ("limit: 3.0", "received 3.0"),
    "yes for a number": ("limit: yes", "received True"),
    "date for a number": ("limit: 2001-01-01", "limit: "),
    "not a number": ("split: {train: .nan}", "split.train: Input should be a finite number"),
    "nan as a word": ("split: {train: nan}", "received 'nan'"),
    "infinite": ("training: {checkpoint_seconds: .inf}", "training.checkpoint_seconds: "),
    "negative epochs": ("training: {epochs: -1}", "training.epochs: Input should be greater than or equal to 1"),
    "shares of more than 1": ("split: {train: 0.7}", "split: expected train + validation + test to be 1"),
    "a share of 0": ("split: {train: 0.8, test: 0}", "split.test: "),
    "400 digits": (f"limit: {'9' * 400}", "limit: Input should be less than 2147483648"),
    "5000 digits": (f"limit: {'9' * 5000}", FILE),
    "a trillion threads": ("threads: 1000000000000", "threads: "),
    "an enormous shard": ("images_per_shard: 80000000000000000000000", "images_per_shard: "),
    "megapixels below zero": ("datasets: {x: {kind: folder, path: p, max_megapixels: -3}}", "x.max_megapixels: "),
    "unknown dataset": ("dataset: nope", "dataset: expected one of sample, received 'nope'"),
    "unknown kind": ("datasets: {x: {kind: zip}}", "datasets.x: "),
    "dataset outside": ("dataset: ..\ndatasets: {..: {kind: sample}}", "dataset: "),
    "dataset below": ("dataset: a/b\ndatasets: {a/b: {kind: sample}}", "dataset: "),
    "dataset of two lines": ('dataset: "a\\n"\ndatasets: {"a\\n": {kind: sample}}', "dataset: "),
    "dataset of 300 letters": (f"dataset: {'a' * 300}\ndatasets: {{{'a' * 300}: {{}}}}", "at most 100 characters"),
    "NUL in a path": (r'data: "a\0b"', "data: expected a path"),
    "half a character in a path": (r'data: "a\ud800b"', "data: "),
    "Python object": (f"limit: !!python/object/apply:os.mkdir [{MARK}]", FILE),
    "Python name": ("limit: !!python/name:os.system", FILE),
    "Python module": ("limit: !!python/module:antigravity", FILE),
    "unknown tag": ("limit: !mine 3", FILE),
    "tab": ("training:\n\tepochs: 3", FILE),
    "no mapping": ("- 1", "expected keys and values, received list"),
    "binary": (bytes(range(256)), FILE),
    "UTF-16": ("limit: 3".encode("utf-16"), FILE),
    "byte-order mark": (b"\xef\xbb\xbflimit: -1", "limit: Input should be greater than or equal to 1, received -1"),
    "500 brackets": ("root: " + "[" * 500 + "]" * 500, FILE),
    "within itself": ("training: &a {training: *a}", "training.training: unknown key"),
    "a folder": (folder, FILE),
    "a pipe": (pipe, "received a pipe or device"),
    "endless": (endless, "received a pipe or device"),
    "a link to itself": (loop, FILE),
}  # fmt: skip
CASES |= {
    f"configuration, {name}": (configured(content), "mine.yaml: ", said)
    for name, (content, said) in WRONG_CONFIGURATIONS.items()
}


def given(*arguments, file=None):
    def prepare(root):
        if file:
            put(root / file, b"x")
        return arguments

    return prepare


CASES |= {
    "--config, missing": (given("ingest", "--config", "absent.yaml"), "absent.yaml: there is no such", "config.yaml"),
    "--set without =": (given("ingest", "--set", "limit"), "--set 'limit'", "expected KEY=VALUE"),
    "--set with NUL": (given("ingest", "--set", "root=\0"), r"--set 'root=\x00'", "expected a YAML value"),
    "--set of 3000 parts": (given("ingest", *["--set", ".".join("a" * 3000) + "=1"] * 2), "--set", "very many"),
    "--set into a number": (given("ingest", "--set", "limit.x=1"), "limit: ", "received {'x': 1}"),
    "data is a file": (given("ingest", "--set", "data=f", file="f"), "f/sample", "Not a directory"),
    "data below a file": (given("ingest", "--set", "data=f/x", file="f"), "f/x/sample", "Not a directory"),
    "root is a file": (given("summary", "--set", "root=f", file="f"), "f/results", "Not a directory"),
    "data with too long a name": (given("ingest", "--set", f"data={'a' * 300}"), "a" * 300, "File name too long"),
}  # fmt: skip
NAMES = {
    "nothing": ("", "expected <architecture>_lr"),
    "misspelt": ("bas_lr1e-4", "architecture 'bas': expected one of base, arch1, arch2, arch3"),
    "upper case": ("BASE_LR1e-4", "expected <architecture>_lr"),
    "another spelling": ("base_lr0.0001", "'base_lr1e-4'"),
    "outside": ("../base_lr1e-4", "expected <architecture>_lr"),
    "dots": ("..", "expected <architecture>_lr"),
    "absolute": ("/tmp/base_lr1e-4", "expected <architecture>_lr"),
    "of two lines": ("base_lr1e-4\n", r"run name 'base_lr1e-4\n'"),
    "NUL": ("base_lr1e-4\0", r"'base_lr1e-4\x00'"),
    "escape": ("\x1b[31m", r"'\x1b[31m'"),
    "not UTF-8": ("\udcff", r"'\udcff'"),
    "not finite": ("base_lrnan", "expected <architecture>_lr"),
    "no step": ("base_lr0", "expected a learning rate over 0"),
    "tiny step": ("base_lr1e-99999999", "expected a learning rate over 0"),
    "no batch": ("base_lr1e-4_bs0", "expected a batch size of 1 to 1000000"),
    "100000 letters": ("a" * 100_000, "at most 200 characters, received 100000"),
    "100000 digits": ("base_lr0." + "0" * 100_000 + "1", "at most 200 characters"),
    "100000 parts": ("_".join(["s1"] * 50_000), "at most 200 characters"),
}
CASES |= {f"run, {name}": (given("train", run), "rchitecture", said) for name, (run, said) in NAMES.items()}
for _name in (
    "100000 letters",
    "100000 digits",
    "100000 parts",
    "no step",
    "tiny step",
    "no batch",
    "another spelling",
):
    CASES[f"run, {_name}"] = (CASES[f"run, {_name}"][0], "run name ", CASES[f"run, {_name}"][2])


def test_there_are_at_least_eighty_cases():
    assert len(CASES) >= 80


def assert_refused(result, *expected):
    """One line, after those that show progress."""
    *shown, last = result.stderr.strip().split("\n")
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert all(line.startswith("scanning photographs: ") for line in shown), result.stderr
    assert last.startswith("error: ") and len(last) < 1500 and last.isprintable(), last
    for part in expected:
        assert part in last


@pytest.mark.parametrize(("prepare", "named", "said"), CASES.values(), ids=CASES)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(call, tmp_path, prepare, named, said):
    arguments = prepare(tmp_path)
    before = entries(tmp_path)
    assert_refused(call(arguments), named, said)
    assert entries(tmp_path) == before


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
    assert "ingest: 1 images" in result.stderr and not reported(tmp_path)


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


@pytest.mark.parametrize("order", ["C", "F"])
def test_fortran_order_is_simply_read(call, tmp_path, order):
    result = call(kaggle(np.asarray(L, order=order), [np.asarray(AB, order=order)])(tmp_path))
    assert result.exit_code == 0 and "ingest: 2 images" in result.stderr


@pytest.mark.parametrize("prepare", [kaggle(L, [AB]), photographs(**{"a.png": PNG})], ids=["arrays", "photographs"])
def test_a_folder_that_may_not_be_read_is_named(call, monkeypatch, prepare):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        monkeypatch.chdir(root)
        arguments = prepare(root)
        (source,) = root.iterdir()
        source.rename(root / "away")
        assert_refused(call(arguments), "nothing there")  # also imports what another user may not read
        (root / "away").rename(source)
        source.chmod(0)
        me = os.geteuid()
        os.seteuid(me or 65534)  # root may read everything
        try:
            result = call(arguments)
        finally:
            os.seteuid(me)
            source.chmod(0o700)
        assert_refused(result, source.name, "a folder that you may not read; set the dataset's `path`")
        assert list(root.iterdir()) == [source]


# Stores, tables and weights


def zarr_2(path):
    zarr.open_group(path, mode="w", zarr_format=2).create_array("L", shape=(2,), dtype="u1")


def foreign(path):
    zarr.open_group(path, mode="w", zarr_format=3, attributes={"deepcolor": "yes"})


def of_another_format(path):
    path.with_suffix(".json").unlink()
    group = zarr.open_group(path, mode="r+", zarr_format=3)
    value = {**group.attrs.asdict()["deepcolor"], "format": 99}
    value.pop(files.CHECKSUM)
    group.attrs.put({"deepcolor": {**value, files.CHECKSUM: files.fingerprint(value)}})


def metadata(text):
    return lambda path: [path.mkdir(), (path / "zarr.json").write_text(text)]


# id: (what is made in the place of images.zarr, what the message says beside its name)
WRONG_STORES = {
    "zarr 2": (zarr_2, "expected a"),
    "a foreign group": (foreign, "received another zarr group"),
    "an empty folder": (folder, "expected a zarr store of DeepColor, received none; run the stage that makes it"),
    "nothing": (lambda path: None, "expected a zarr store of DeepColor, received none; run the stage that makes it"),
    "a file": (lambda path: path.write_bytes(b"x"), "expected a zarr store of DeepColor"),
    "a pipe": (pipe, "expected a zarr store of DeepColor"),
    "no JSON": (metadata("{"), "expected a zarr store of DeepColor"),
    "deep JSON": (metadata("[" * 100_000), "expected a zarr store of DeepColor"),
    "another format": (of_another_format, "expected store format 2, received 99"),
}


@pytest.mark.parametrize(("make", "said"), WRONG_STORES.values(), ids=WRONG_STORES)
def test_what_is_no_store_of_ours_is_not_shown(call, dataset, make, said):
    path = dataset.images.path
    if make is not of_another_format:
        shutil.rmtree(path)
    make(path)
    before = entries(dataset.folder)
    assert_refused(call(["inspect", path]), str(path), said)
    assert entries(dataset.folder) == before


@pytest.mark.parametrize("make", [zarr_2, foreign, metadata("{"), metadata("[" * 100_000), metadata("{}")])
def test_what_is_no_store_of_ours_is_not_overwritten(call, tmp_path, make):
    make(tmp_path / "mine.zarr")
    before = entries(tmp_path)
    assert_refused(call(["ingest", "--images", "mine.zarr", "--limit", "2"]), "mine.zarr")
    assert entries(tmp_path) == before


def test_a_store_of_another_format_is_not_overwritten(call, dataset):
    of_another_format(dataset.images.path)
    before = entries(dataset.folder)
    assert_refused(call(["ingest", "--images", dataset.images.path]), "images.zarr", "expected store format 2")
    assert entries(dataset.folder) == before


# id: (a file of a dataset, its new content, the stage that reads it)
WRONG_TABLES = {
    "manifest, empty": ("images.json", b"", "split"),
    "manifest, a list": ("images.json", b"[1]", "split"),
    "manifest, deep": ("images.json", b"[" * 100_000, "split"),
    "manifest, of nothing": ("images.json", b"{}", "split"),
    "manifest, a number": ("images.json", b'{"fingerprint": ' + b"9" * 5000 + b"}", "split"),
    "manifest, not UTF-8": ("images.json", b"\xff", "split"),
    "manifest, a folder": ("images.json", folder, "split"),
    "manifest, a pipe": ("images.json", pipe, "split"),
    "index, empty": ("index.csv", b"", "split"),
    "index, other columns": ("index.csv", b"a,b\n1,2\n", "split"),
    "index, few rows": ("index.csv", b"id,group,source,digest,flags\na,a,a,a,\n", "split"),
    "index, rows cut short": ("index.csv", b"id,group,source,digest,flags\n" + b"a\n" * 15, "split"),
    "index, an endless field": ("index.csv", b'id,group,source,digest,flags\n"' + b"a" * 200_000, "split"),
    "index, NUL": ("index.csv", b"id,group,source,digest,flags\n" + b"\0" * 99, "split"),
    "index, a pipe": ("index.csv", pipe, "split"),
    "split, cut": ("splits.csv", b"index,id,group,partition\n0,a,a,train\n", "baselines"),
    "split, its manifest cut": ("splits.json", b'{"sha256": ', "baselines"),
}


@pytest.mark.parametrize(("name", "content", "stage"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_damaged_table_is_named(call, dataset, name, content, stage):
    for each in [name, *(["splits.csv", "splits.json"] if stage == "split" else [])]:
        (dataset.folder / each).unlink()
    put(dataset.folder / name, content)
    before = entries(dataset.folder)
    result = call([stage, "--set", "dataset=tiny", "--set", "datasets.tiny={kind: sample}"])
    assert_refused(result, name)
    assert entries(dataset.folder) == before


@pytest.mark.parametrize(("copies", "images"), [(1, 2), (5, 5)], ids=["two images", "one image five times"])
def test_fewer_groups_than_partitions_are_refused(call, tmp_path, copies, images):
    arrays = (L, AB) if copies == 1 else (L[[0] * images], AB[[0] * images])
    assert call(kaggle(arrays[0], [arrays[1]])(tmp_path)).exit_code == 0
    before = entries(tmp_path)
    result = call(["split", "--set", "dataset=x", "--set", "datasets.x={kind: sample}"])
    groups = len({row.tobytes() for row in arrays[0]})
    expected = f"received {groups} ({images} images); add photographs"
    assert_refused(result, "split: expected at least 3 groups of images", expected)
    assert entries(tmp_path) == before


@pytest.mark.parametrize(
    ("weights", "said"),
    [("absent.h5", "is not a file"), ("weights.txt", "expected random, imagenet or the path of an .h5 file"),
     ("folder.h5", "is not a file"), ("pipe.h5", "is not a file"), ("imagenet\0", "expected random, imagenet or")],
)  # fmt: skip
def test_weights_that_are_no_file_are_refused(call, dataset, tmp_path, weights, said):
    (tmp_path / "folder.h5").mkdir()
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "mine.yaml").write_text(
        f'dataset: tiny\ndatasets: {{tiny: {{kind: sample}}}}\nembedding: {{weights: "{weights}"}}'.replace("\0", "\\0")
    )
    before = entries(tmp_path)
    assert_refused(call(["baselines", "--config", "mine.yaml"]), "embedding.weights: ", said)
    assert entries(tmp_path) == before


def other_network(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file["dense/kernel"] = np.zeros((3, 4), np.float32)


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", GOOD_HDF5[:-5], GOOD_HDF5, other_network],
    ids=["empty", "text", "cut", "arrays", "other"],
)
def test_weights_of_another_kind_are_refused(call, dataset, tmp_path, content, keras):
    for path in [*dataset.folder.glob("embed*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    put(tmp_path / "weights.h5", content)
    before = entries(tmp_path)
    settings = ["dataset=tiny", "datasets.tiny={kind: sample}", "embedding.weights=weights.h5"]
    result = call(["embed", *(part for setting in settings for part in ("--set", setting))])
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: embedding.weights: ")
    assert "weights.h5 does not hold the weights of Inception-ResNet-v2" in last
    assert entries(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["colorise"], ["--nonsense"], ["colorize"], ["train"], ["colorize", "a.jpg", "--run", "r", "--out"],
        ["colorize", "", "--run", "r", "--out", "o"], ["colorize", "a.jpg", "--run", "r", "--out", ""],
        *(["colorize", "a.jpg", "--run", "r", "--out", "o", "--max-megapixels", x] for x in ("-1", "0", "nan", "inf")),
        *(["serve", "--max-megabytes", x] for x in ("nan", "inf", "0", "x")), ["serve", "--max-megapixels", "nan"],
        ["report", "--results", ""], ["report", "--data", "nowhere"], ["verify", ""], ["inspect", "x", "--count", "0"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_is_refused_in_one_line(call, tmp_path, arguments):
    assert_refused(call(arguments), "")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_with_the_option_that_names_it(call, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "full").touch()
    result = call(["colorize", "a.jpg", "--run", "results/x", "--out", "full/out"])
    assert result.exit_code == 2 and "(data, root)" not in result.stderr
