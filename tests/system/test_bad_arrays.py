"""Bad arrays of Kaggle's archive and of HDF5 files: one clear line, exit code 2, and nothing written."""

import os
import pickle
import struct

import h5py
import numpy as np
import pytest
from bad_input import (
    AB,
    GOOD_HDF5,
    HDF5,
    KAGGLE,
    MARK,
    L,
    Payload,
    check_refused,
    endless,
    folder,
    kaggle,
    loop,
    pipe,
    plug,
    put,
)


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
    "L* unscaled": (L // 3, "probably L* (0..100)"),
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
    "without the offset": ([AB - np.uint8(128)], "ab1.npy", "the offset of 128"),
    "objects": ([objects], "ab1.npy", "never opened"),
    "second truncated": ([AB[:1], GOOD_NPY[:-9]], "ab2.npy", "truncated"),
    "none": ([], "archive", "ab1.npy, ab2.npy … below it, received none"),
}


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


def hdf5(make):
    """Prepare a file; `make` is bytes, a function of a path, or a function of an open file that contains ab."""

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


LINK = "received a file with a link named L"
ELSEWHERE = "dataset L: expected rows stored in this file"
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


@pytest.mark.parametrize(("prepare", "named", "said"), CASES.values(), ids=CASES)
def test_a_bad_array_is_refused_in_one_line_and_nothing_is_written(call, tmp_path, prepare, named, said):
    check_refused(call, tmp_path, prepare, named, said)


@pytest.mark.parametrize("order", ["C", "F"])
def test_fortran_order_is_simply_read(call, tmp_path, order):
    result = call(kaggle(np.asarray(L, order=order), [np.asarray(AB, order=order)])(tmp_path))
    assert result.exit_code == 0 and "ingest: 2 images" in result.stderr
