"""Folders of photographs are coloured whatever is in them."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb
from tiny import gray_photograph, star

from pipeline.colorize.batch import colorize_files
from pipeline.colorize.options import Options
from pipeline.colorize.report import COLUMNS, REPORT
from pipeline.core import files
from pipeline.core.errors import InputError


def colour(inputs, out, colorizer, **options):
    return colorize_files(inputs, out, lambda: colorizer, Options(**options))


def report(out):
    with (out / REPORT).open(newline="") as file:
        return {
            Path(row["file"]).name if "sub" not in row["file"] else "sub/a.png": row for row in csv.DictReader(file)
        }


def test_a_folder_is_mirrored_and_done_once(keras, made_run, colorizer, folder, tmp_path):
    (folder / "note.txt").write_text("no photograph")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed, outcome.left_out) == (3, 0, {}, 1)
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("[!.]*") if p.is_file()}
    assert made == {"a.png", "b.jpg", "sub/a.png", REPORT}
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["a.png", "a.png", "b.jpg", "note.txt"]
    rows = report(tmp_path / "out")
    assert tuple(rows["a.png"]) == COLUMNS
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done", "b.jpg": "done", "sub/a.png": "done", "note.txt": "left out",
    }  # fmt: skip
    times = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (tmp_path / "out").rglob("*.[pj]*g")}
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped) == (0, 3)
    assert times == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in times}
    with Image.open(tmp_path / "out" / "sub" / "a.png") as image:
        assert f"run {made_run.name}" in image.info["Software"] and "not original" in image.getexif()[305]


def shown(folder):
    """The names of the files that are not hidden, as the lock is."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_one_bad_file_does_not_stop_the_rest_and_is_tried_again(keras, colorizer, folder, tmp_path):
    good = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(b"broken")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, list(outcome.failed)) == (2, [str(folder / "a.png")])
    assert report(tmp_path / "out")["a.png"]["detail"] == next(iter(outcome.failed.values()))
    assert not (tmp_path / "out" / "a.png").exists()
    (folder / "a.png").write_bytes(good)
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed) == (1, 2, {})


def test_nothing_is_overwritten_unless_asked(keras, colorizer, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert outcome.done == 2 and "a.png exists and was made by something that" in outcome.failed[str(folder / "a.png")]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    outcome = colour([folder], tmp_path / "out", colorizer, overwrite=True)
    assert (outcome.done, outcome.skipped) == (1, 2)
    Image.fromarray(gray_photograph(50, 50)).save(folder / "b.jpg")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert "earlier version" in outcome.failed[str(folder / "b.jpg")] and outcome.skipped == 2
    outcome = colour([folder], tmp_path / "out", colorizer, compare=True)
    assert len(outcome.failed) == 3 and "by another run" in outcome.failed[str(folder / "a.png")]
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.skipped, list(outcome.failed)) == (2, [str(folder / "b.jpg")])


def test_what_failed_half_way_is_done_again(keras, colorizer, folder, tmp_path, monkeypatch):
    from pipeline.colorize import call

    monkeypatch.setattr(call, "write_comparison", lambda *given: 1 / 0)
    outcome = colour([folder], tmp_path / "out", colorizer, compare=True)
    assert set(outcome.failed.values()) == {"ZeroDivisionError: division by zero"} and len(outcome.failed) == 3
    monkeypatch.undo()
    assert colour([folder], tmp_path / "out", colorizer, compare=True).done == 3


@pytest.mark.parametrize("same_size", [False, True])
def test_a_photograph_that_is_replaced_meanwhile_is_not_taken_for_done(
    keras, colorizer, folder, tmp_path, monkeypatch, same_size
):
    from pipeline.colorize import call

    photograph, out = folder / "a.png", tmp_path / "out"
    old, status, write = photograph.read_bytes(), photograph.stat(), call.writing.write
    new = (folder / "sub" / "a.png").read_bytes() if not same_size else old[:-1] + b"\0"

    def replaced(path, original, *given):
        write(path, original, *given)
        if photograph.read_bytes() == old and original.sha256 == files.digest_bytes(old):
            photograph.write_bytes(new)
            if same_size:
                os.utime(photograph, ns=(status.st_atime_ns, status.st_mtime_ns))

    monkeypatch.setattr(call.writing, "write", replaced)
    outcome = colour([photograph], out, colorizer)
    assert outcome.done == same_size and list(outcome.failed) == ([] if same_size else [str(photograph)])
    assert report(out)["a.png"]["sha256"] == files.digest_bytes(old)
    if not same_size:
        assert colour([photograph], out, colorizer).done == 1
        assert report(out)["a.png"]["sha256"] == files.digest_bytes(new)


@pytest.mark.parametrize("name", ["a.png", ".a.png.deepcolor.tmp.png"])
def test_a_folder_in_the_place_of_an_output_is_named_with_a_remedy(keras, colorizer, folder, tmp_path, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    outcome = colour([folder / "a.png"], tmp_path / "out", colorizer, overwrite=True)
    (reason,) = outcome.failed.values()
    assert f"({name}); move this folder away" in reason


def test_photographs_of_one_name_do_not_meet(keras, colorizer, tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for number, name in enumerate(["a.png", "a.gif", "b.gif"]):
        Image.fromarray(gray_photograph(40, 60, number)).save(root / name)
    for skipped in (0, 3):
        outcome = colour([root], tmp_path / "out", colorizer)
        assert (outcome.skipped, outcome.failed) == (skipped, {})
    assert set(shown(tmp_path / "out")) == {"a.png", "a.gif.png", "b.png", REPORT}
    for name, number in (("a.png", 0), ("a.gif.png", 1), ("b.png", 2)):
        picture = np.asarray(Image.open(tmp_path / "out" / name))
        own = star(gray_photograph(40, 60, number))[..., 0]
        assert np.abs(star(picture)[..., 0] - own).max() <= 1
    other = tmp_path / "elsewhere" / "a.png"
    other.parent.mkdir()
    Image.fromarray(gray_photograph(40, 60, 5)).save(other)
    outcome = colour([root, other], tmp_path / "out", colorizer, overwrite=True)
    assert "already the output of another photograph" in outcome.failed[str(other)]


def test_a_disk_that_ignores_case_keeps_both_outputs(keras, colorizer, tmp_path, monkeypatch):
    from pipeline.colorize import call

    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for number, name in enumerate(["A.png", "a.png"]):
        Image.fromarray(gray_photograph(40, 60, number)).save(root / name)
    write = call.writing.write

    def also_in_lower_case(path, *given):
        write(path, *given)
        (out / "a.png").hardlink_to(path)  # so the second name leads to the first output

    monkeypatch.setattr(call.writing, "write", also_in_lower_case)
    colour([root], out, colorizer, overwrite=True)
    assert {name: row["status"] for name, row in report(out).items()} == {"A.png": "done", "a.png": "failed"}
    assert (out / "a.png").samefile(out / "A.png")
    monkeypatch.undo()
    again = colour([root], out, colorizer, overwrite=True)
    assert (again.skipped, len(again.failed)) == (1, 1) and (out / "a.png").samefile(out / "A.png")


def test_a_photograph_that_is_named_twice_is_coloured_once(keras, colorizer, folder, tmp_path):
    for done, skipped in ((3, 0), (0, 3)):
        outcome = colour([folder, folder / "sub", folder / "b.jpg"], tmp_path / "out", colorizer)
        assert (outcome.done, outcome.skipped, outcome.failed) == (done, skipped, {})
    assert shown(tmp_path / "out") == ["a.png", "b.jpg", REPORT, "sub"]


def test_an_output_gives_way_to_the_photograph_of_that_name(keras, colorizer, tmp_path):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    Image.fromarray(gray_photograph(40, 60, 1)).save(root / "a.gif")
    assert colour([root], out, colorizer).done == 1 and shown(out) == ["a.png", REPORT]
    Image.fromarray(gray_photograph(40, 60, 2)).save(root / "a.png")
    outcome = colour([root], out, colorizer)
    assert outcome.done == 1 and shown(out) == ["a.gif.png", "a.png", REPORT]
    assert f"a.png exists and was made from {root / 'a.gif'}" in outcome.failed[str(root / "a.png")]
    outcome = colour([root], out, colorizer, overwrite=True)
    assert (outcome.done, outcome.skipped, outcome.failed) == (1, 1, {})


def test_a_report_of_another_kind_is_left_alone(keras, colorizer, folder, tmp_path):
    mine = tmp_path / "out" / REPORT
    mine.parent.mkdir()
    for text in ("my,own\n1,2\n", (";".join(("file", "output", "status")) + "\n"), "\0"):
        mine.write_text(text)
        with pytest.raises(InputError, match=r"colorize\.csv: "):
            colour([folder], mine.parent, colorizer, overwrite=True)
        assert mine.read_text() == text and shown(mine.parent) == [REPORT]


def test_a_comparison_that_was_removed_is_made_again(keras, colorizer, folder, tmp_path):
    colour([folder], tmp_path / "out", colorizer, compare=True)
    (tmp_path / "out" / "b.jpg.compare.jpg").unlink()
    outcome = colour([folder], tmp_path / "out", colorizer, compare=True)
    assert (outcome.done, outcome.skipped, outcome.failed) == (1, 2, {})
    assert (tmp_path / "out" / "b.jpg.compare.jpg").exists()


def test_a_name_may_be_as_long_as_the_disk_takes(keras, colorizer, tmp_path):
    name = "ü" * 125 + ".png"  # 254 bytes
    Image.fromarray(gray_photograph(40, 60)).save(tmp_path / "short.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "short.png").rename(tmp_path / "in" / name)
    assert colour([tmp_path / "in"], tmp_path / "out", colorizer).failed == {}
    assert shown(tmp_path / "out") == sorted([REPORT, name])


def test_the_current_folder_may_be_the_place(keras, colorizer, folder, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert colour([folder], Path(), colorizer).done == 3
    assert shown(tmp_path / "here") == ["a.png", "b.jpg", REPORT, "sub"]


def test_a_killed_call_is_gone_on_with(keras, colorizer, folder, tmp_path):
    out = tmp_path / "out"
    colour([folder], out, colorizer)
    complete = (out / REPORT).read_text()
    lines = complete.splitlines(keepends=True)
    started = lines[1].replace(",done,", ",started,").rsplit(",", 2)[0] + ",,\n"
    (out / REPORT).write_text("".join([lines[0], started, *lines[2:-1], lines[-1][:40]]))
    stray = out / "sub" / ".a.png.deepcolor.tmp.png"
    stray.touch()
    (out / "sub" / "a.png").unlink()  # the line that was cut off
    outcome = colour([folder], out, colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed) == (2, 1, {})
    assert not stray.exists()
    assert {name: row["status"] for name, row in report(out).items()} == dict.fromkeys(report(out), "done")


def test_outputs_never_land_among_the_photographs(keras, colorizer, folder, tmp_path):
    for inputs, out in (
        ([folder], folder),
        ([folder], folder / "new"),
        ([folder / "a.png"], folder),
        ([folder], tmp_path),
    ):
        with pytest.raises(InputError, match=r"--out "):
            colour(inputs, out, colorizer)
    (folder / "sub" / "done").symlink_to(tmp_path / "out")  # also where a link leads to the outputs
    colour([folder], tmp_path / "elsewhere", colorizer)
    (tmp_path / "elsewhere").rename(tmp_path / "out")
    for inputs in ([folder], [folder / "sub"]):
        with pytest.raises(InputError, match=r"--out .* the link .*sub/done/a\.png"):
            colour(inputs, tmp_path / "out", colorizer, overwrite=True)
    files.remove(tmp_path / "out")
    files.remove(folder / "sub" / "done")
    with pytest.raises(InputError, match=r"absent\.jpg: "):
        colour([folder / "absent.jpg"], tmp_path / "out", colorizer)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.png", "a.png", "b.jpg", "in", "sub"]


def test_a_comparison_shows_before_and_after(keras, colorizer, folder, tmp_path):
    colour([folder / "a.png"], tmp_path / "out", colorizer, compare=True)
    picture = np.asarray(Image.open(tmp_path / "out" / "a.png.compare.jpg")).astype(int)
    assert picture.shape == (40, 120, 3)
    before, after = (np.ptp(half, axis=-1).mean() for half in (picture[:, :58], picture[:, 62:]))
    assert before < 1.5 and after > 10


def test_ab_alone_are_the_predicted_ones(keras, colorizer, folder, tmp_path):
    colour([folder / "a.png"], tmp_path / "out", colorizer, ab_only=True)
    found = np.load(tmp_path / "out" / "a.png.ab.npy")
    assert found.dtype == np.uint8 and np.array_equal(found, colorizer.ab(gray_photograph(40, 60, 0)))
    assert shown(tmp_path / "out") == ["a.png.ab.npy", REPORT]


def test_a_colour_photograph_stays_as_it_is_unless_asked_and_a_toned_one_is_coloured(keras, colorizer, tmp_path):
    gray = gray_photograph(60, 60)
    coloured = lab2rgb(np.dstack([star(gray)[..., 0], 60 * (np.indices((60, 60)) > 30).transpose(1, 2, 0) - 30]))
    for name, picture in (("toned", lab2rgb(star(gray) + (0, 5, 20))), ("coloured", coloured)):
        Image.fromarray(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    both, out = [tmp_path / "toned.png", tmp_path / "coloured.png"], tmp_path / "out"
    for done, skipped in ((1, 0), (0, 1)):
        outcome = colour(both, out, colorizer)
        assert (outcome.done, outcome.skipped, outcome.left_out, outcome.in_colour) == (done, skipped, 1, 1)
        assert shown(out) == [REPORT, "toned.png"] and outcome.failed == {}
    rows = report(out)
    assert rows["toned.png"]["detail"].startswith("toned")
    assert rows["coloured.png"]["status"] == "left out" and "already in colour" in rows["coloured.png"]["detail"]
    outcome = colour(both, out, colorizer, recolor=True)
    assert (outcome.done, outcome.skipped, outcome.left_out) == (1, 1, 0)
    assert report(out)["coloured.png"]["detail"] == "was in colour: its own colours are replaced"
    assert colour(both, out, colorizer).skipped == 2
