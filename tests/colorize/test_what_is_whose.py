"""Files of the person's, outputs and reports are told apart, whatever they are called."""

import os

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb
from test_batch import colour, report, shown
from test_folders import put_gray, rows
from tiny import gray_photograph, star

from pipeline.colorize import call
from pipeline.colorize.report import REPORT
from pipeline.core.errors import InputError


def beside(folder, colorizer, suffix, **options):
    return colour([folder], None, colorizer, name=f"{{name}}{suffix}", **options)


def test_files_that_are_called_like_temporary_ones_stay(keras, colorizer, tmp_path):
    for name in ("a.jpg", ".a_colour.jpg.tmp.jpg", ".a.jpg.tmp.jpg"):
        put_gray(tmp_path / "in" / name, kind="JPEG")
    before = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    assert beside(tmp_path / "in", colorizer, "_colour").failed == {}
    assert all((tmp_path / "in" / name).read_bytes() == content for name, content in before.items())
    files = sorted((tmp_path / "in").glob(".a.jpg.tmp.jpg")) + [tmp_path / "in" / "a.jpg"]
    assert colour(files, tmp_path / "out", colorizer).done == 2
    assert shown(tmp_path / "out") == ["a.jpg", REPORT] and (tmp_path / "out" / ".a.jpg.tmp.jpg").is_file()


def test_a_file_in_the_place_of_an_unfinished_output_is_not_replaced(keras, colorizer, folder, tmp_path, monkeypatch):
    with monkeypatch.context() as stopped:
        stopped.setattr(call.writing, "write", lambda *given: 1 / 0)
        assert len(colour([folder], tmp_path / "out", colorizer).failed) == 3
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert outcome.done == 2 and list(outcome.failed) == [str(folder / "a.png")]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_comparison_never_takes_another_photograph_s_place(keras, colorizer, tmp_path, overwrite):
    for number, name in enumerate(("a.jpg", "a.jpg.compare.jpg")):
        put_gray(tmp_path / "in" / name, number, "JPEG")
    outcome = colour([tmp_path / "in"], tmp_path / "out", colorizer, compare=True, overwrite=overwrite)
    assert outcome.done == 1 and list(outcome.failed) == [str(tmp_path / "in" / "a.jpg")]
    assert "another photograph" in outcome.failed[str(tmp_path / "in" / "a.jpg")]
    outcome = colour([tmp_path / "in"], tmp_path / "out", colorizer, compare=True, unique=True)
    assert outcome.failed == {}
    assert Image.open(tmp_path / "out" / "a.jpg.compare.jpg").size == Image.open(tmp_path / "in" / "a.jpg").size


def test_outputs_beside_are_no_photographs_whatever_the_suffix(keras, colorizer, tmp_path):
    put_gray(tmp_path / "in" / "x.png")
    for suffix in ("_c", "_d", "_d", "_c"):
        assert beside(tmp_path / "in", colorizer, suffix, overwrite=True).failed == {}
    assert shown(tmp_path / "in") == [REPORT, "x.png", "x_c.png", "x_d.png"]


def test_a_folder_takes_over_what_a_call_for_its_subfolder_did(keras, colorizer, tmp_path, monkeypatch):
    put_gray(tmp_path / "in" / "sub" / "a.jpg", kind="JPEG")
    put_gray(tmp_path / "in" / "b.jpg", 1, "JPEG")
    monkeypatch.chdir(tmp_path / "in")
    assert beside(tmp_path / "in" / "sub", colorizer, "_colour").done == 1
    for place, skipped in ((tmp_path / "in", 1), (tmp_path / "in", 2)):
        outcome = beside(place, colorizer, "_colour")
        assert (outcome.skipped, outcome.failed) == (skipped, {})
    assert shown(tmp_path / "in") == ["b.jpg", "b_colour.jpg", REPORT, "sub"]
    assert shown(tmp_path / "in" / "sub") == ["a.jpg", "a_colour.jpg", REPORT]


def test_colours_that_are_replaced_are_told(keras, colorizer, tmp_path):
    lightness = star(gray_photograph(60, 60))[..., :1]
    for name, (a, b) in {"sepia": (5, 20), "orange": (30, 50), "gray": (0, 0)}.items():
        picture = lab2rgb(np.dstack([lightness / 2 + 25, np.full_like(lightness, a), np.full_like(lightness, b)]))
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(tmp_path / "in" / f"{name}.png")
    colour([tmp_path / "in"], tmp_path / "out", colorizer)
    found = report(tmp_path / "out")
    assert found["sepia.png"]["detail"].startswith("toned") and found["gray.png"]["detail"] == ""
    assert found["orange.png"]["status"] == "left out" and "--recolor" in found["orange.png"]["detail"]
    colour([tmp_path / "in"], tmp_path / "out", colorizer, recolor=True)
    assert report(tmp_path / "out")["orange.png"]["detail"].startswith("was in colour")


def test_a_folder_that_cannot_be_searched_stops_no_other(keras, colorizer, folder, tmp_path, monkeypatch):
    def refusing(real):
        def stat(path, *given, **options):
            if str(path).endswith("sub/a.png"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *given, **options)

        return stat

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert outcome.done == 2 and list(outcome.failed) == [str(folder / "sub" / "a.png")]


def test_a_pipe_in_the_report_s_place_is_refused(folder, tmp_path):
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / REPORT)
    with pytest.raises(InputError, match=REPORT):
        colour([folder], tmp_path / "out", None)


def test_remarks_return_after_a_failure(keras, colorizer, tmp_path):
    frames = [Image.fromarray(gray_photograph(30, 40, number)) for number in range(3)]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "a.gif", save_all=True, append_images=frames[1:])
    file = str(tmp_path / "in" / "a.gif")
    for options, failed in (({}, 0), ({"compare": True}, 1), ({}, 0)):
        assert len(colour([tmp_path / "in"], tmp_path / "out", colorizer, **options).failed) == failed
    row = rows(tmp_path / "out")[file]
    assert row["status"] == "done" and row["detail"].startswith("the first of 3 pictures")


def test_photographs_that_change_places_are_noticed(keras, colorizer, tmp_path):
    for number, name in enumerate(("a.tif", "b.tif")):
        put_gray(tmp_path / "in" / name, number, "TIFF")
        os.utime(tmp_path / "in" / name, (1e9, 1e9))
    assert (tmp_path / "in" / "a.tif").stat().st_size == (tmp_path / "in" / "b.tif").stat().st_size
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).done == 2
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).skipped == 2
    (tmp_path / "in" / "a.tif").rename(tmp_path / "c.tif")
    (tmp_path / "in" / "b.tif").rename(tmp_path / "in" / "a.tif")
    (tmp_path / "c.tif").rename(tmp_path / "in" / "b.tif")
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).skipped == 0
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer, overwrite=True).done == 2


def test_every_photograph_of_one_name_has_an_output(keras, colorizer, tmp_path):
    for number, (name, kind) in enumerate((("a.gif", "GIF"), ("a.png", "PNG"), ("a.gif.png", "PNG"))):
        put_gray(tmp_path / "in" / name, number, kind)
    for skipped in (0, 3):
        outcome = colour([tmp_path / "in"], tmp_path / "out", colorizer)
        assert (outcome.failed, outcome.skipped) == ({}, skipped)
    assert shown(tmp_path / "out") == ["a.gif (2).png", "a.gif.png", "a.png", REPORT]


@pytest.mark.parametrize("recolor", [False, True])
def test_outputs_of_earlier_calls_are_no_photographs_of_another_one(keras, colorizer, tmp_path, recolor):
    for name, kind in (("a.jpg", "JPEG"), ("b.png", "PNG"), ("c.tif", "TIFF"), ("d.webp", "WEBP"), ("e.avif", "AVIF")):
        put_gray(tmp_path / "in" / name, kind=kind)
    assert beside(tmp_path / "in", colorizer, "_colour", compare=True).done == 5
    (tmp_path / "in" / REPORT).unlink()
    for done, skipped in ((5, 0), (0, 5)):
        outcome = colour([tmp_path / "in"], tmp_path / "out", colorizer, recolor=recolor)
        assert (outcome.done, outcome.skipped, outcome.failed, outcome.ours) == (done, skipped, {}, 10)
    assert shown(tmp_path / "out") == ["a.jpg", "b.png", "c.tif", REPORT, "d.webp", "e.avif"]
    (row,) = (row for file, row in rows(tmp_path / "out").items() if file.endswith("a_colour.jpg"))
    assert row["status"] == "left out" and "coloured by DeepColor" in row["detail"]
    named = [tmp_path / "in", tmp_path / "in" / ".." / "in" / "a_colour.jpg"]
    outcome = colour(named, tmp_path / "out", colorizer, recolor=True)
    assert (outcome.done, outcome.ours) == (1, 9) and "a_colour.jpg" in shown(tmp_path / "out")


def test_an_output_beside_whose_photograph_is_gone_is_no_photograph(keras, colorizer, tmp_path):
    put_gray(tmp_path / "in" / "a.png")
    assert beside(tmp_path / "in", colorizer, "_colour").done == 1
    (tmp_path / "in" / REPORT).unlink()
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "b.png")
    outcome = beside(tmp_path / "in", colorizer, "_colour")
    assert (outcome.done, outcome.ours) == (1, 1)
    assert shown(tmp_path / "in") == ["a_colour.png", "b.png", "b_colour.png", REPORT]
