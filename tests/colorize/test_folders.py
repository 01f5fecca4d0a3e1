"""Folders as people have them: odd names and formats, unreadable parts, photographs that move, outputs beside them."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_files import encoded
from PIL import Image
from skimage.color import lab2rgb
from test_batch import colour, report, shown
from tiny import gray_photograph, star, tree

from pipeline.colorize import outputs
from pipeline.colorize.batch import colorize_files
from pipeline.colorize.options import Options
from pipeline.colorize.report import EARLIER_COLUMNS, REPORT
from pipeline.core import locks
from pipeline.core.errors import InputError
from pipeline.images import foreign

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def rows(out):
    with (out / REPORT).open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def put_gray(path, number=0, kind="PNG", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(gray_photograph(40, 60, number), kind, **options))


def test_links_that_lead_nowhere_and_names_of_any_bytes_stop_no_other(keras, colorizer, folder, tmp_path):
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere.png").symlink_to("absent")
    os.mkfifo(folder / "pipe.png")
    odd = os.fsdecode(b"\xff\n\x1b.png")
    put_gray(folder / odd)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / odd).write_bytes(b"mine")
    (folder / os.fsdecode(b"\xfe.jpg")).write_bytes(b"broken")
    outcome = colour([folder, folder / "loop.png"], tmp_path / "out", colorizer)
    assert outcome.done == 3 and len(outcome.failed) == 5
    assert all((f"{file}: {reason}").isprintable() for file, reason in outcome.failed.items())
    assert {Path(file).name for file, row in rows(tmp_path / "out").items() if row["status"] == "failed"} == {
        "loop.png", "nowhere.png", "pipe.png", r"\udcff\n\x1b.png", r"\udcfe.jpg",
    }  # fmt: skip
    outcome = colour([folder / odd], tmp_path / "new" / odd, colorizer)
    assert outcome.done == 1 and (tmp_path / "new" / odd / odd).is_file()


def test_the_holder_of_a_lock_may_be_called_with_any_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["stages", "colorize", os.fsdecode(b"\xff.png")])
    with locks.held(tmp_path / "a"), pytest.raises(InputError, match=r"colorize .*\.png"), locks.held(tmp_path / "a"):
        pass


def test_a_lock_that_cannot_be_created_is_not_held_by_anyone():
    with pytest.raises(InputError, match=r"/proc/x\.onnx: ") as caught, locks.held(Path("/proc/x.onnx")):
        pass
    assert "in use" not in str(caught.value)


def test_a_folder_that_cannot_be_listed_counts_as_a_failure(keras, colorizer, folder, tmp_path, monkeypatch):
    real = os.scandir

    def scandir(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.left_out) == (2, 0) and list(outcome.failed) == [str(folder / "sub")]
    assert rows(tmp_path / "out")[str(folder / "sub")]["status"] == "failed"
    outcome = colour([folder / "sub"], tmp_path / "other", colorizer)
    assert len(outcome.failed) == 1


@pytest.mark.parametrize(
    ("name", "kind"), [("a.avif", "AVIF"), ("a.jp2", "JPEG2000"), ("a.mpo", "MPO"), ("A.J2K", "JPEG2000")]
)
def test_every_format_that_is_read_is_taken_in_folders(keras, colorizer, tmp_path, name, kind):
    put_gray(tmp_path / "in" / name, kind=kind)
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).done == 1


@pytest.mark.parametrize(("name", "kind"), [("a.heic", "HEIF"), ("a.HIF", "HEIF"), ("a.jxl", "JXL")])
def test_formats_of_installed_plugins_are_taken_in_folders(keras, colorizer, tmp_path, name, kind):
    assert foreign.plugin(foreign.HEIC) and foreign.plugin(foreign.JPEG_XL)
    put_gray(tmp_path / "in" / name, kind=kind)
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).done == 1
    assert rows(tmp_path / "out")[str(tmp_path / "in" / name)]["output"].endswith(".png")


@pytest.fixture
def without_plugins(monkeypatch):
    monkeypatch.setattr(foreign, "plugin", lambda name: None)


@pytest.mark.parametrize(
    ("content", "known"),
    [(HEIC, "HEIC"), (b"\xff\x0a" + bytes(99), "JPEG XL"), (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL"),
     (b"8BPS\0\1" + bytes(99), "Photoshop (PSD)"), (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "Canon raw")],
)  # fmt: skip
def test_other_formats_are_named_wherever_they_are(keras, colorizer, folder, tmp_path, content, known, without_plugins):
    (folder / "photograph.xyz").write_bytes(content)
    (folder / "photograph.jpg").write_bytes(content)
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.left_out, outcome.formats) == (3, 1, {known: 1})
    assert known in rows(tmp_path / "out")[str(folder / "photograph.xyz")]["detail"]
    assert known in outcome.failed[str(folder / "photograph.jpg")]
    assert "convert" in outcome.failed[str(folder / "photograph.jpg")]


def test_nothing_to_colour_is_refused_before_anything_is_loaded(tmp_path, without_plugins):
    (tmp_path / "in").mkdir()
    for content, expected in ((None, "in: "), (HEIC, "1 HEIC")):
        if content:
            (tmp_path / "in" / "a.heic").write_bytes(content)
        with pytest.raises(InputError, match=expected):
            colorize_files([tmp_path / "in"], tmp_path / "out", lambda: pytest.fail("loaded"))
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_is_loaded(folder, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OSError, match="out"):
        colorize_files([folder], tmp_path / "out", lambda: pytest.fail("loaded"))
    with pytest.raises(InputError, match="proc"):
        colorize_files([folder], Path("/proc"), lambda: pytest.fail("loaded"))


@pytest.mark.parametrize("with_digests", [True, False])
def test_photographs_that_moved_are_recognised(keras, colorizer, folder, tmp_path, with_digests):
    out = tmp_path / "out"
    colour([folder], out, colorizer)
    if not with_digests:  # a report of an earlier version
        lines = [[row[column] for column in EARLIER_COLUMNS] for row in rows(out).values()]
        with (out / REPORT).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([EARLIER_COLUMNS, *lines])
    before = tree(out)
    folder.rename(tmp_path / "moved")
    if with_digests:
        for path in (tmp_path / "moved").rglob("*.*"):
            os.utime(path)
    for _ in range(2):
        outcome = colour([tmp_path / "moved"], out, colorizer)
        assert (outcome.done, outcome.skipped, outcome.failed) == (0, 3, {})
    assert {name: content for name, content in tree(out).items() if name != REPORT} == {
        name: content for name, content in before.items() if name != REPORT
    }
    put_gray(tmp_path / "moved" / "a.png", number=9)
    outcome = colour([tmp_path / "moved"], out, colorizer)
    assert outcome.skipped == 2 and list(outcome.failed) == [str(tmp_path / "moved" / "a.png")]


def test_a_copy_with_another_time_is_recognised(keras, colorizer, folder, tmp_path):
    colour([folder], tmp_path / "out", colorizer)
    os.utime(folder / "a.png", (1, 1))
    assert colour([folder], tmp_path / "out", colorizer).skipped == 3


def test_comparisons_of_names_of_any_length(keras, colorizer, tmp_path):
    names = ["ü" * 125 + ".png", "x" * 251 + ".gif", "x" * 250 + "y.gif", os.fsdecode(b"\xff" * 250 + b".png")]
    for number, name in enumerate(names):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(gray_photograph(40, 60, number)).save(tmp_path / "short.gif")
        shutil.move(tmp_path / "short.gif", tmp_path / "in" / name)
    for done, skipped in ((4, 0), (0, 4)):
        outcome = colour([tmp_path / "in"], tmp_path / "out", colorizer, compare=True)
        assert (outcome.done, outcome.skipped, outcome.failed) == (done, skipped, {})
    assert len([name for name in shown(tmp_path / "out") if name.endswith(".compare.jpg")]) == 4
    assert colour([tmp_path / "in"], tmp_path / "ab", colorizer, ab_only=True).failed == {}


@pytest.mark.parametrize("name", ["colour", "{name}{x}", "{name}/a", ".{name}", "{name}\n", "{name}_{name}"])
def test_a_template_must_be_a_name(name):
    with pytest.raises(InputError, match=r"--name: "):
        Options(name=name)


def test_a_template_names_outputs(keras, colorizer, folder, tmp_path):
    for done, skipped in ((3, 0), (0, 3)):
        outcome = colour([folder], tmp_path / "out", colorizer, name="new {name}_colour")
        assert (outcome.done, outcome.skipped) == (done, skipped)
    assert {"new a_colour.png", "new b_colour.jpg", "sub/new a_colour.png"} < set(tree(tmp_path / "out"))


def test_outputs_may_be_beside_the_photographs(keras, colorizer, folder, tmp_path):
    put_gray(folder / "a.gif", number=5, kind="GIF")
    lone = tmp_path / "lone" / "c.png"
    put_gray(lone)
    (tmp_path / "lone" / "d.png").write_bytes(b"not named")
    before = tree(tmp_path)
    inputs = [folder / "sub", lone, folder, folder / "b.jpg"]
    for done, skipped in ((5, 0), (0, 5)):
        outcome = colour(inputs, None, colorizer, name="{name}_colour", compare=True)
        assert (outcome.done, outcome.skipped, outcome.failed) == (done, skipped, {})
        assert outcome.reports == [folder / REPORT, lone.parent / REPORT]
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    outputs_made = {"in/a_colour.png", "in/a_colour.gif.png", "in/b_colour.jpg", "in/sub/a_colour.png"}
    made = {name for name in after if "/." not in name and not name.endswith((".compare.jpg", REPORT))}
    assert made - set(before) == {*outputs_made, "lone/c_colour.png"}
    assert colour(inputs, None, colorizer, name="{name}_colour", compare=True, overwrite=True).failed == {}
    (folder / REPORT).unlink()
    made = {name: content for name, content in tree(tmp_path).items() if "/." not in name and REPORT not in name}
    colour([folder], None, colorizer, name="{name}_colour", overwrite=True)  # outputs are protected even then
    after = tree(tmp_path)
    assert {name: after[name] for name in made} == made
    with pytest.raises(InputError, match=r"--out: "):
        colour([folder], None, colorizer)


def test_an_output_beside_never_replaces_a_photograph(keras, colorizer, tmp_path):
    put_gray(tmp_path / "a.png", number=1)
    put_gray(tmp_path / "mine_a.png", number=2)
    before = tree(tmp_path)
    outcome = colour([tmp_path / "a.png", tmp_path / "mine_a.png"], None, colorizer, name="mine_{name}", overwrite=True)
    after = tree(tmp_path)
    assert {name: after[name] for name in before} == before
    assert outcome.done == 1 and list(outcome.failed) == [str(tmp_path / "a.png")]


def test_unique_names_replace_nothing(keras, colorizer, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    other = tmp_path / "elsewhere" / "a.png"
    put_gray(other, number=8)
    for done, skipped in ((4, 0), (0, 4)):
        outcome = colour([folder, other], out, colorizer, unique=True)
        assert (outcome.done, outcome.skipped, outcome.failed) == (done, skipped, {})
    assert shown(out) == ["a (2).png", "a (3).png", "a.png", "b.jpg", REPORT, "sub"]
    assert (out / "a.png").read_bytes() == b"mine"
    assert report(out)["b.jpg"]["output"] == "b.jpg"
    with pytest.raises(InputError, match=r"--unique: "):
        Options(unique=True, overwrite=True)


def test_names_stay_short_enough_and_apart():
    long = "sub/" + "ü" * 125 + ".png"
    names = {outputs.with_ending(long, ending) for ending in (".png", ".compare.jpg", ".ab.npy")}
    assert all(len(os.fsencode(Path(name).name)) <= 255 and name.startswith("sub/ü") for name in names)
    assert outputs.comparison_of("x" * 250 + "a") != outputs.comparison_of("x" * 250 + "b")
    assert outputs.templated("{name}", "sub/a.b.jpg") == "sub/a.b.jpg"
    assert outputs.templated("{name}_colour", "sub/a.b.jpg") == "sub/a.b_colour.jpg"


def test_a_photograph_that_may_be_in_colour_is_coloured_with_a_remark(keras, colorizer, tmp_path):
    lightness = star(gray_photograph(60, 60))[..., 0]
    tint = np.where(np.indices((60, 60))[1] > 30, 2.0, -2.0)
    picture = np.rint(255 * np.clip(lab2rgb(np.dstack([lightness, tint, tint])), 0, 1)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert colour([tmp_path / "a.png"], tmp_path / "out", colorizer).done == 1
    assert report(tmp_path / "out")["a.png"]["detail"] == "perhaps in colour: its own colours are replaced"
