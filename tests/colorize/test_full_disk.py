"""A disk that fills up while photographs are coloured leaves no incomplete picture behind."""

import os
import resource
import shutil

import numpy as np
import pytest
from commands import colorize
from PIL import Image
from small_disk import Disk
from tiny import gray_photograph

from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.reduced import write_comparison
from pipeline.core import files
from pipeline.images import jpeg, originals, writing

NOTE = "Colours made by DeepColor"


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


@pytest.fixture
def at_most():
    """Limit the size of a file, beyond which a write is cut off as on a full disk; Python ignores SIGXFSZ."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def noisy(levels=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, levels, (90, 130, 3)).astype(dtype)


def a_coloured_photograph(name, tmp_path, **options):
    Image.fromarray(noisy()).save(tmp_path / name, **options)
    original = originals.read(tmp_path / name)
    return lambda path: writing.write(path, original, original.levels, NOTE)


FORMATS = {
    "JPEG": ("a.jpg", {}),
    "PNG": ("a.png", {}),
    "TIFF": ("a.tif", {}),
    "TIFF, compressed": ("a.tif", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("a.webp", {"quality": 90}),
    "WebP, lossless": ("a.webp", {"lossless": True}),
    "AVIF": ("a.avif", {}),
}


@pytest.mark.parametrize("kind", [*FORMATS, "comparison", "picture of a result", "array", "text"])
def test_a_picture_that_is_cut_off_is_noticed_in_every_format(kind, tmp_path, at_most):
    if kind in FORMATS:
        name, options = FORMATS[kind]
        write = a_coloured_photograph(name, tmp_path, **options)
    else:
        write = {
            "comparison": lambda path: write_comparison(path, noisy(), noisy(), ""),
            "picture of a result": lambda path: jpeg.write_jpeg(path, noisy()),
            "array": lambda path: path.write_bytes(files.npy(noisy())),
            "text": lambda path: files.write_text(path, "ü" * 9000),
        }[kind]
    whole = tmp_path / "whole"
    whole.mkdir()
    write(whole / "picture.jpg")
    content = (whole / "picture.jpg").read_bytes()
    out = tmp_path / "out"
    for size in [len(content) - 1, len(content) // 2, *np.random.default_rng(1).integers(1, len(content), 8)]:
        at_most(int(size))
        with pytest.raises(OSError, match="File too large"), files.written_whole(out / "picture.jpg") as temporary:
            write(temporary)
        assert list(out.iterdir()) == []
    at_most(len(content))
    with files.written_whole(out / "picture.jpg") as temporary:
        write(temporary)
    assert (out / "picture.jpg").read_bytes() == content


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_call_on_a_full_disk_ends_with_a_line_and_goes_on_with_room(
    made_run, colorizer, disk, tmp_path, monkeypatch, ending
):
    monkeypatch.setattr(Colorizer, "load", lambda *_, **__: colorizer)  # loading takes most of a call
    root, whole = tmp_path / "in", tmp_path / "whole"
    root.mkdir()
    for number in range(3):
        Image.fromarray(gray_photograph(120, 160, number)).save(root / f"{number}.{ending}")
    given = (root, "--run", made_run, "--compare", "--out")
    assert colorize(*given, whole).exit_code == 0
    need = sum(-(-path.stat().st_size // 4096) * 4 for path in whole.iterdir())
    stopped = 0
    for room in range(0, need, 8):
        disk.remount("size=64m")
        out = disk.path / "out"
        shutil.rmtree(out, ignore_errors=True)
        disk.leave(room)
        done = colorize(*given, out)
        if done.exit_code:
            stopped += 1
            (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert done.exit_code == 2 and line.startswith(f"error: {disk.path}{os.sep}out"), done.stderr
            assert "No space left on device; make room there" in line and "Traceback" not in done.stderr
        for path in out.rglob("[!.]*.[jp][pn]g"):
            assert path.read_bytes() == (whole / path.name).read_bytes()
        disk.remount("size=64m")
        assert colorize(*given, out).exit_code == 0
        for path in whole.glob("[!.]*.[jp][pn]g"):
            assert (out / path.name).read_bytes() == path.read_bytes()
    assert stopped > 3
