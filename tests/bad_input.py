"""What tests of bad input share: special files, sources of images, and how a refusal looks."""

import io
import os
import socket
from pathlib import Path

import h5py
import numpy as np
import tiny

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


def kaggle(lightness, parts):
    def prepare(root):
        (root / "archive").mkdir()
        for name, content in [("gray_scale", lightness), *((f"ab{n}", part) for n, part in enumerate(parts, 1))]:
            if content is not None:
                put(root / "archive" / f"{name}.npy", content)
        return KAGGLE

    return prepare


def photographs(**content):
    def prepare(root):
        (root / "photos").mkdir()
        for name, each in content.items():
            put(root / "photos" / name, each)
        return FOLDER

    return prepare


def given(*arguments, file=None):
    def prepare(root):
        if file:
            put(root / file, b"x")
        return arguments

    return prepare


def assert_refused(result, *expected):
    """One line, after those that show progress."""
    *shown, last = result.stderr.strip().split("\n")
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert all(line.startswith("scanning photographs: ") for line in shown), result.stderr
    assert last.startswith("error: ") and len(last) < 1500 and last.isprintable(), last
    for part in expected:
        assert part in last, last


def check_refused(call, folder, prepare, named, said):
    """What `prepare` makes in the folder is refused by name, and nothing is written."""
    arguments = prepare(folder)
    before = entries(folder)
    assert_refused(call(arguments), named, said)
    assert entries(folder) == before


def hdf5_bytes():
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["L"], file["ab"] = L, AB
    return stream.getvalue()


GOOD_HDF5 = hdf5_bytes()
