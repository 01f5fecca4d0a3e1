"""Photographs are never replaced, through whatever path outputs would reach them."""

import os
import subprocess

import pytest
from PIL import Image
from small_disk import REQUIRED
from test_batch import colour, report, shown
from tiny import gray_photograph, tree

from pipeline.core import files
from pipeline.core.errors import InputError


@pytest.fixture
def mounted():
    """Mount a folder at a second place, which only root may do."""
    places = []

    def mount(folder, place):
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "--bind", folder, place], capture_output=True, text=True)
        if done.returncode:
            end = pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip
            end(f"a folder cannot be mounted here: {done.stderr.strip()}")
        places.append(place)

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["link", "mount"])
def test_nothing_is_written_through_a_folder_below_the_output_that_leads_to_photographs(
    keras, colorizer, folder, tmp_path, mounted, kind, overwrite
):
    out, before = tmp_path / "out", tree(folder)
    out.mkdir()
    if kind == "link":
        (out / "sub").symlink_to(folder / "sub")
    else:
        mounted(folder / "sub", out / "sub")
    outcome = colour([folder], out, colorizer, overwrite=overwrite, compare=True)
    assert outcome.done == 2 and list(outcome.failed) == [str(folder / "sub" / "a.png")]
    assert str(out / "sub") in outcome.failed[str(folder / "sub" / "a.png")]
    assert tree(folder) == before


def test_a_link_below_the_output_that_leads_elsewhere_is_not_followed_either(keras, colorizer, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert outcome.done == 2 and len(outcome.failed) == 1 and shown(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(("mount", "out"), [("in", ""), ("in/sub", ""), ("in", "new"), ("in/sub", "new/er"), (".", "")])
def test_a_second_mount_of_the_photographs_is_no_separate_folder(
    keras, colorizer, folder, tmp_path, tmp_path_factory, mounted, mount, out
):
    place = tmp_path_factory.mktemp("place")
    before = tree(tmp_path)
    mounted(tmp_path / mount, place)
    with pytest.raises(InputError, match=r"--out "):
        colour([folder], place / out, colorizer, overwrite=True)
    assert tree(tmp_path) == before


def test_an_output_that_is_a_photograph_under_another_name_stays(keras, colorizer, folder, tmp_path):
    out, before = tmp_path / "out", tree(folder)
    (out / "sub").mkdir(parents=True)
    (out / "a.png").hardlink_to(folder / "a.png")
    (out / "b.jpg").symlink_to(folder / "b.jpg")
    outcome = colour([folder], out, colorizer)
    assert outcome.done == 1 and len(outcome.failed) == 2
    assert tree(folder) == before and (out / "b.jpg").is_symlink()
    outcome = colour([folder], out, colorizer, overwrite=True)  # replaces the link, not its target
    assert list(outcome.failed) == [str(folder / "a.png")]
    assert tree(folder) == before and not (out / "b.jpg").is_symlink()


def test_links_named_like_temporary_files_keep_their_targets(keras, colorizer, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    target = tmp_path / "mine.png"
    target.write_bytes(b"mine")
    for name in (
        ".a.png.deepcolor.tmp.png",
        ".colorize.csv.deepcolor.tmp.csv",
        ".colorize.csv.holder",
        "..colorize.csv.holder.deepcolor.tmp.holder",
    ):
        (out / name).symlink_to(target)
    assert colour([folder], out, colorizer).failed == {}
    assert target.read_bytes() == b"mine" and report(out)["a.png"]["status"] == "done"
    assert not (out / "a.png").is_symlink()


def test_a_link_in_the_lock_s_place_is_not_written_through(keras, colorizer, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "out" / ".colorize.csv.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="colorize"):
        colour([folder], tmp_path / "out", colorizer)
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("name", [".pictures.deepcolor.tmp", ".pictures.deepcolor.old"])
def test_a_folder_s_link_named_like_a_temporary_one_keeps_its_target(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    (tmp_path / name).symlink_to(tmp_path / "mine")
    for content in ("first", "second"):
        with files.new_folder(tmp_path / "pictures", ("first",)) as folder:
            (folder / content).touch()
    assert tree(tmp_path) == {"mine/file": b"mine", "pictures/second": b""}


def test_a_photograph_s_own_folder_may_contain_the_output(keras, colorizer, folder, tmp_path):
    Image.fromarray(gray_photograph(30, 30, 7)).save(folder / "sub" / "other.png")
    assert colour([folder / "a.png"], folder / "new", colorizer).failed == {}
    assert shown(folder / "new") == ["a.png", "colorize.csv"]
