"""Files are written completely or not at all; unreadable ones give one line."""

import hashlib
import os
import subprocess
import sys
import threading
import time

import pytest
from tiny import tree

from pipeline.core import csv_files, files
from pipeline.core.errors import InputError


def test_a_file_is_replaced_in_one_step_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "one\n")
    files.write_text(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_writer_leaves_the_old_file_and_no_scraps(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), files.written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_the_same_file_take_turns(tmp_path):
    path, second = tmp_path / "a.txt", []

    def write():
        files.write_text(path, "second")
        second.append(path.read_text())

    with files.written_whole(path) as temporary:
        other = threading.Thread(target=write)
        other.start()
        time.sleep(0.3)
        assert not second and temporary.exists()
        temporary.write_text("first")
    other.join(20)
    assert second == ["second"] and list(tmp_path.iterdir()) == [path]


def test_many_processes_write_the_same_file_without_errors(tmp_path):
    program = "import sys; from pathlib import Path; from pipeline.core import files\n"
    program += "for n in range(200): files.write_text(Path(sys.argv[1]), sys.argv[2] * 1000)"
    started = [subprocess.Popen([sys.executable, "-c", program, tmp_path / "a.txt", str(n)]) for n in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]
    assert (tmp_path / "a.txt").read_text() in {str(n) * 1000 for n in range(3)}


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_what_a_killed_process_left_is_replaced_at_once(tmp_path, mode):
    left = tmp_path / ".a.txt.deepcolor.tmp.txt"
    left.write_text("left")
    left.chmod(mode)
    start = time.monotonic()
    files.write_text(tmp_path / "a.txt", "new")
    assert time.monotonic() - start < 10 and [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_the_target_is_not_touched_before_the_block_ends(tmp_path):
    path = tmp_path / "a.npz"
    with files.written_whole(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path and temporary.suffix == ".npz"
    assert path.read_text() == "new"


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert files.canonical_json({"b": [1, None], "a": "ü"}) == '{"a":"ü","b":[1,null]}'
    assert files.fingerprint({"x": 1, "y": 2}) == files.fingerprint({"y": 2, "x": 1})
    assert files.fingerprint({"x": 1}) != files.fingerprint({"x": 2})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_holds_no_number_that_json_has_not(tmp_path, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", {"value": value})
    assert not list(tmp_path.iterdir())


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"name": "Küste", "numbers": [0.1, 1e-300, -3], "none": None}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value


def test_csv_comes_back_as_text_with_unix_line_ends(tmp_path):
    path = tmp_path / "a.csv"
    csv_files.write(path, ("x", "y"), [{"x": 0.1, "y": 'a "b", c'}, {"x": float("nan"), "y": "ü"}])
    assert path.read_bytes() == 'x,y\n0.1,"a ""b"", c"\nnan,ü\n'.encode()
    assert csv_files.read(path, ("y",)) == [{"x": "0.1", "y": 'a "b", c'}, {"x": "nan", "y": "ü"}]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [("a.json", None, "does not exist"), ("a.json", b"{", "is damaged"), ("a.json", b"\xff", "is damaged"),
     ("a.json", b"[1]", "JSON list"), ("a.json", b"[" * 100_000, "is damaged"), ("a.json", b'{"a": 1}\n', "checksum"),
     ("a.csv", None, "does not exist"), ("a.csv", b"", "x, y, received an empty file"),
     ("a.csv", b"x,z\n1,2\n", "x, y, received x, z"), ("a.csv", b"x,y\n\xff,1\n", "expected a CSV file")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, expected):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        files.read_json(path) if name == "a.json" else csv_files.read(path, ("x", "y"))
    assert str(path) in str(caught.value)


def test_digests_are_those_of_the_standard_library(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert files.digest_bytes(b"a", memoryview(b"bc")) == files.digest_file(path) == hashlib.sha256(b"abc").hexdigest()
    assert files.digest_file(path, "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_removing_a_link_keeps_what_it_points_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    files.remove(tmp_path / "link")
    files.remove(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    files.remove(tmp_path / "kept")
    assert not list(tmp_path.iterdir())


def test_a_message_is_one_line():
    assert str(InputError("one\n  two\tthree")) == "one two three"


def test_a_new_folder_takes_the_old_ones_place(tmp_path):
    target = tmp_path / "deep" / "pictures"
    for content in ("first", "second"):
        with files.new_folder(target, ["first"]) as folder:
            assert folder.parent == target.parent and not list(folder.iterdir())
            (folder / content).write_text(content)
        assert tree(target.parent) == {f"pictures/{content}": content.encode()}


def test_a_new_folder_keeps_what_others_put_into_the_old_one(tmp_path):
    target = tmp_path / "results"
    with files.new_folder(target, []) as folder:
        for name in ("scores.csv", "old.csv"):
            (folder / name).write_text("1")
        files.write_listing(folder)
    (target / "sub").mkdir()
    for name in ("notes.md", "sub/mine.png"):
        (target / name).write_text("mine")
    (target / "sub" / "link").symlink_to(target / "notes.md")
    for content in ("2", "3"):
        with files.new_folder(target, files.read_if_whole(target / "files.json")["files"]) as folder:
            (folder / "scores.csv").write_text(content)
            files.write_listing(folder)
        made = tree(target)
        assert files.read_listing(target).keys() == {"scores.csv"}
        del made["files.json"]
        mine = {"notes.md": b"mine", "sub/mine.png": b"mine", "sub/link": b"mine"}
        assert made == {"scores.csv": content.encode(), **mine} and (target / "sub" / "link").is_symlink()


def test_what_a_kill_left_is_known_as_its_own(tmp_path):
    """Killed between the two renames: the old folder has a hidden name, and none has the target's."""
    target = tmp_path / "results"
    with files.new_folder(target) as folder:
        (folder / "old.csv").write_text("1")
        files.write_listing(folder)
    (target / "notes.md").write_text("mine")
    target.rename(tmp_path / ".results.deepcolor.old")
    with files.new_folder(target) as folder:
        (folder / "new.csv").write_text("2")
        files.write_listing(folder)
    assert set(tree(tmp_path)) == {f"results/{name}" for name in ("new.csv", "notes.md", "files.json")}


def test_a_link_to_a_folder_stays_and_one_to_nothing_is_refused(tmp_path):
    (tmp_path / "disk").mkdir()
    link, nowhere = tmp_path / "results", tmp_path / "nowhere"
    link.symlink_to(tmp_path / "disk")
    nowhere.symlink_to(tmp_path / "gone")
    with files.new_folder(link) as folder:
        (folder / "new.csv").write_text("2")
    assert link.is_symlink() and tree(tmp_path / "disk") == {"new.csv": b"2"}
    with pytest.raises(NotADirectoryError, match="nowhere"), files.new_folder(nowhere):
        pass
    assert nowhere.is_symlink() and not (tmp_path / "gone").exists()


def test_a_failure_leaves_the_old_folder(tmp_path):
    target = tmp_path / "pictures"
    with pytest.raises(RuntimeError), files.new_folder(target, []) as folder:
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with files.new_folder(target, []) as folder:
        (folder / "kept").touch()
    with pytest.raises(RuntimeError), files.new_folder(target, []) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert tree(tmp_path) == {"pictures/kept": b""}


def test_a_new_folder_that_cannot_be_put_there_leaves_the_old_one(tmp_path):
    target = tmp_path / "pictures"
    with files.new_folder(target, []) as folder:
        (folder / "kept").touch()
    with pytest.raises(FileNotFoundError), files.new_folder(target, ["kept"]) as folder:
        folder.rmdir()  # so that it cannot be renamed
    assert tree(tmp_path) == {"pictures/kept": b""}


def test_a_new_folder_never_takes_the_place_of_a_file(tmp_path):
    target = tmp_path / "pictures"
    target.write_text("mine")
    with pytest.raises(NotADirectoryError, match="pictures"), files.new_folder(target, []):
        pass
    assert tree(tmp_path) == {"pictures": b"mine"}
