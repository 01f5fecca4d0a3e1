"""Fuzz tests of all readers: any bytes are read or refused in one line, in bounded time and memory.

They take a few seconds by default. To run them for longer: `make fuzz`, or

    DEEPCOLOR_FUZZ_EXAMPLES=100000 .venv/bin/python -m pytest tests/system/test_fuzz.py -x

Inputs are random bytes, and good files with a few bytes changed, removed or inserted, so they pass the first check.
Files on which a library could crash are also read in this process, because crashes are what we look for.
"""

import contextlib
import io
import json
import os
import resource
import struct

import h5py
import numpy as np
import pytest
import tifffile
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import RGB, encoded, picture
from PIL import Image

from pipeline.config.loading import load_config
from pipeline.config.runs import Run
from pipeline.config.schema import Config
from pipeline.config.sources import HDF5Source, KaggleSource
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset import splits
from pipeline.dataset.sources.open import open_source
from pipeline.images import prepare
from pipeline.images.formats import UnreadablePhotograph
from pipeline.images.photographs import decode
from pipeline.storage.layouts import IMAGES
from pipeline.storage.store import Store

EXAMPLES = int(os.environ.get("DEEPCOLOR_FUZZ_EXAMPLES", "60"))
MOST_MEMORY = 2**30  # bytes that any number of examples may add to the most this process ever held

settings.register_profile(
    "fuzz", max_examples=EXAMPLES, deadline=10_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
fuzzed = settings.get_profile("fuzz")

L, AB = tiny.photographs(1)


@pytest.fixture(autouse=True)
def _bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


@contextlib.contextmanager
def read_or_refused(refusal=InputError):
    try:
        yield
    except refusal as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 2000


@st.composite
def damaged(draw, originals, start=0, stop=None):
    """One of the files, changed at a few positions between `start` and `stop`, where its structure is."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(start, min(stop or len(data), len(data))))
        how = draw(st.sampled_from(["set", "word", "cut", "insert", "end"]))
        if how == "set":
            data[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif how == "word":
            word = draw(st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
            data[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", word)
        elif how == "cut":
            del data[place : place + draw(st.integers(1, 64))]
        elif how == "insert":
            data[place:place] = draw(st.binary(max_size=16))
        else:
            del data[place:]
    return bytes(data)


def npy_bytes(array, version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


NPY = [npy_bytes(L, version) for version in ((1, 0), (2, 0), (3, 0))] + [npy_bytes(L[:0], (1, 0))]
HEADERS = st.sampled_from(
    ["{", "}", "'descr'", ": ", "'|u1'", "'<f8'", "'|O'", "[('a', '|u1')]", ", ", "'fortran_order'", "True", "False",
     "'shape'", "(", ")", "1, 224, 224", "10**9", "-1", "99999999999", "2L", "'", "#", "\n", "\0", "é", "None"]
)  # fmt: skip


MADE_UP = st.lists(HEADERS, max_size=12).map(lambda parts: "".join(parts).encode("latin-1"))


@fuzzed
@given(
    content=st.binary(max_size=300)
    | damaged(NPY, 0, 140)
    | MADE_UP.map(lambda header: b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
)
def test_arrays(tmp_path, content):
    (tmp_path / "gray_scale.npy").write_bytes(content)
    np.save(tmp_path / "ab1.npy", AB)
    with read_or_refused():
        open_source(KaggleSource(kind="kaggle", path=str(tmp_path)), limit=None, scratch=tmp_path).read(0, 1)


def hdf5_bytes(**options):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        file.create_dataset("L", data=L, chunks=(1, 56, 224), compression="gzip")
        file["ab"] = AB
    return stream.getvalue()


@fuzzed
@given(content=st.binary(max_size=300) | damaged([hdf5_bytes(), hdf5_bytes(libver="latest")], 0, 4096))
def test_hdf5(tmp_path, content):
    (tmp_path / "x.h5").write_bytes(content)
    with read_or_refused():
        open_source(HDF5Source(kind="hdf5", path=str(tmp_path / "x.h5")), limit=None, scratch=tmp_path).read(0, 1)


def tiff_bytes(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", **options)
    return stream.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
IMAGES_OF_ALL_KINDS = [
    *(encoded(picture(12, 8), kind, exif=EXIF) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")),
    *(encoded(picture(12, 8), kind) for kind in ("BMP", "JPEG2000", "GIF")),
    encoded(Image.fromarray(RGB).quantize(16)), encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
    encoded(picture(12, 8), "TIFF", compression="tiff_lzw"), encoded(picture(12, 8), "JPEG", progressive=True),
    tiff_bytes(np.uint16(picture(12, 8)) * 257), tiff_bytes(picture(12, 8), tile=(16, 16)),
    tiff_bytes(np.moveaxis(np.uint16(picture(12, 8)), -1, 0), planarconfig="separate"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@fuzzed
@given(content=st.binary(max_size=300) | damaged(IMAGES_OF_ALL_KINDS, 0, 600))
def test_photographs(content):
    with read_or_refused(UnreadablePhotograph):
        pixels = prepare.srgb(decode(content, max_megapixels=4.0, at_least=224))
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size <= 12e6


CONFIGURATION = [(tiny.ROOT / "config" / name).read_bytes() for name in ("config.yaml", "paper.yaml")]


@fuzzed
@given(content=st.binary(max_size=300) | damaged(CONFIGURATION))
def test_configurations(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with read_or_refused():
        assert isinstance(load_config([tmp_path / "x.yaml"]), Config)


@fuzzed
@given(name=st.text() | damaged([b"base_lr2.5e-4_l2-1e-3_bs50_s1_noembed"]).map(os.fsdecode))
def test_run_names(name):
    with read_or_refused():
        assert Run.parse(name).name == name and "/" not in name and name.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A copy of a dataset, with the bytes of its records, manifests and split."""
    folder = tiny.make_dataset(tmp_path_factory.mktemp("fuzz") / "tiny").folder
    names = ("images.json", "images.shards/000000.json", "splits.json", "splits.csv")
    return folder, {name: (folder / name).read_bytes() for name in names}


@fuzzed
@given(data=st.data())
def test_records_manifests_and_splits(split, data):
    folder, originals = split
    name = data.draw(st.sampled_from(sorted(originals)))
    content = damaged([originals[name]]) | st.binary(max_size=99) | JSON.map(lambda value: json.dumps(value).encode())
    (folder / name).write_bytes(data.draw(content))
    store = Store(folder / "images.zarr", IMAGES)
    try:
        for read in (lambda: files.read_json(folder / name), store.manifest, lambda: store.record(0),
                     lambda: store.finished(0), lambda: splits.read(folder / "splits.csv", "x")):  # fmt: skip
            with read_or_refused():
                read()
    finally:
        (folder / name).write_bytes(originals[name])
