"""Folders of photographs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from folders import ids, opened, square
from image_files import RGB, encoded, picture, put
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.dataset.sources import folder, scratch
from pipeline.images import foreign, originals
from pipeline.images.photographs import Photograph, decode
from pipeline.images.prepare import centre_square


@pytest.fixture
def decoded(monkeypatch):
    """The number of decodings so far, as the length of a list."""
    calls = []

    def counted(data, *args, **kwargs):
        calls.append(len(data))
        return decode(data, *args, **kwargs)

    monkeypatch.setattr(folder, "decode", counted)
    return calls


def test_photographs_are_sorted_by_path_and_cut_to_the_centre(tmp_path, root):
    put(root, "b/a.png", "B.PNG", "a b.png", "b.png")
    (root / "photo.JPG").write_bytes(encoded(picture(500, 300), "JPEG", quality=95))
    source = opened(tmp_path)
    assert ids(source) == ["B.PNG", "a b.png", "b.png", "b/a.png", "photo.JPG"]
    assert source.info(3, 4)[0].group == source.info(3, 4)[0].source == "b/a.png"
    lightness, ab = source.read(0, 5)
    expected = square(1)
    np.testing.assert_array_equal(lightness[0], expected[0])
    np.testing.assert_array_equal(ab[0], expected[1])
    assert lightness.shape == (5, 224, 224)
    assert ab.shape == (5, 224, 224, 2)
    assert source.remarks == ()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp", "a.tif", "a.TIFF", "a.bmp", "a.gif"])
def test_every_extension_is_read(tmp_path, root, name):
    Image.fromarray(RGB).save(root / name)
    assert ids(opened(tmp_path)) == [name]


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "MPO", "HEIF", "JXL"])
def test_formats_that_colorize_reads_are_ingested_with_the_same_pixels(tmp_path, root, kind):
    assert foreign.plugin(foreign.HEIC) and foreign.plugin(foreign.JPEG_XL)
    extension = {"JPEG2000": "JP2", "HEIF": "HEIC"}.get(kind, kind)
    content = encoded(picture(300, 240), kind)
    (root / f"a.{extension}").write_bytes(content)
    source = opened(tmp_path)
    assert ids(source) == [f"a.{extension}"]
    expected = centre_square(Photograph(originals.read(root / f"a.{extension}").levels))
    assert all(np.array_equal(had[0], want) for had, want in zip(source.read(0, 1), expected, strict=True))


def test_a_format_that_is_not_read_is_named(tmp_path, root, monkeypatch):
    monkeypatch.setattr(foreign, "plugin", lambda name: None)
    put(root, "good.png")
    (root / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    (root / "b.psd").write_bytes(b"8BPS\0\1" + bytes(100))
    remarks = opened(tmp_path).remarks
    assert [(remark.file, remark.reason) for remark in remarks] == [
        ("a.heic", "not a photograph"), ("b.psd", "not a photograph"),
    ]  # fmt: skip
    assert "HEIC" in remarks[0].detail and "formats" in remarks[0].detail and "PSD" in remarks[1].detail


def test_each_file_left_out_becomes_a_remark(tmp_path, root):
    put(root, "good.png", ".hidden.png", ".git/x.png")
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("hello")
    (root / "notes.txt").write_text("hello")
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    (root / "large.png").write_bytes(encoded(picture(200, 100)))
    os.mkfifo(root / "pipe.jpg")
    (root / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to(root)
    source = opened(tmp_path, max_megapixels=0.015)
    assert ids(source) == ["good.png"]
    assert {remark.file: remark.reason for remark in source.remarks} == {
        "empty.jpg": "unreadable", "text.jpg": "unreadable", "notes.txt": "not a photograph", "gray.png": "gray",
        "large.png": "too large", "pipe.jpg": "unreadable", "gone.jpg": "unreadable", "self.jpg": "unreadable",
        "sub/up/": "unreadable", ".hidden.png": "hidden", ".git": "hidden"}  # fmt: skip
    details = {remark.file: remark.detail for remark in source.remarks}
    assert details["gray.png"].endswith("is below gray_below = 2")
    assert "200 x 100" in details["large.png"]
    assert details["empty.jpg"] == "empty file"
    assert str(tmp_path) not in str(source.describe()) + str(source.remarks)
    assert source.describe()["left_out"] == {
        "gray": 1, "hidden": 2, "not a photograph": 1, "too large": 1, "unreadable": 6}  # fmt: skip


def test_names_that_are_not_utf8_are_escaped(tmp_path, root):
    names = [b"caf\xe9.png", b"caf\xe8.png", b"two\nlines.png", b"caf\\udce9.png"]
    for seed, name in enumerate(names):
        Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(encoded(picture(seed=seed)))
    source = opened(tmp_path)
    assert len(set(ids(source))) == 4
    assert all(name.isprintable() and name.encode("utf-8") for name in ids(source))
    source.close()
    assert len(source.read(0, 4)[0]) == 4
    assert opened(tmp_path).input_digest(0, 4) == source.input_digest(0, 4)


def test_a_threshold_of_zero_keeps_gray_photographs(tmp_path, root):
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    assert ids(opened(tmp_path, gray_below=0.0)) == ["gray.png"]


def test_a_folder_without_usable_photographs_is_refused_with_counts(tmp_path, root):
    with pytest.raises(InputError, match=r"photographs: .*no files"):
        opened(tmp_path)
    (root / "notes.txt").touch()
    (root / "a.jpg").touch()
    (root / "gray.png").write_bytes(encoded(RGB[..., 0]))
    with pytest.raises(InputError, match=r"1 gray, 1 not a photograph, 1 unreadable; .*`path`"):
        opened(tmp_path)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_slices_cross_chunks(tmp_path, root, monkeypatch, scheduler):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(7)])
    (root / "3.png").write_bytes(b"")
    source = pickle.loads(pickle.dumps(opened(tmp_path, scheduler=scheduler)))
    assert [info.id for info in source.info(1, 5)] == ["1.png", "2.png", "4.png", "5.png"]
    whole = source.read(0, 6)
    for number, seed in enumerate([0, 1, 2, 4, 5, 6]):
        np.testing.assert_array_equal(whole[0][number], square(seed)[0])
    np.testing.assert_array_equal(source.read(2, 5)[1], whole[1][2:5])


def test_a_limit_stops_the_scan_early(tmp_path, root, monkeypatch, decoded):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(9)])
    for name in ("0.png", "3.png"):
        (root / name).write_bytes(b"")
    source = opened(tmp_path, limit=2)
    assert ids(source) == ["1.png", "2.png"]
    assert len(decoded) == 2
    assert [remark.file for remark in source.remarks] == ["0.png"]
    assert opened(tmp_path, limit=2, workers=4).remarks == source.remarks
    assert opened(tmp_path, limit=99).n == 7


def test_each_photograph_is_decoded_once(tmp_path, root, decoded):
    put(root, "a.png", "b.png")
    source = opened(tmp_path)
    pixels = source.read(0, 2)
    assert len(decoded) == 2
    source.close()
    assert [path.suffix for path in (tmp_path / "scratch").iterdir()] == [".json"]
    again = opened(tmp_path)
    assert again.input_digest(0, 2) == source.input_digest(0, 2)
    assert again.remarks == source.remarks
    assert len(decoded) == 2
    np.testing.assert_array_equal(again.read(1, 2)[1], pixels[1][1:])
    assert len(decoded) == 3


def test_a_flipped_bit_in_cached_pixels_is_detected(tmp_path, root, decoded):
    put(root, "a.png", "b.png")
    source = opened(tmp_path)
    whole = source.read(0, 2)
    (part,) = (tmp_path / "scratch").glob("*.npy")
    content = bytearray(part.read_bytes())
    for position in (3, 100, len(content) - 1):
        content[position] ^= 1
        part.write_bytes(content)
        again = source.read(0, 2)
        assert [np.array_equal(*pair) for pair in zip(again, whole, strict=True)] == [True, True]
        content[position] ^= 1
    assert len(decoded) == 2 + 3 * 2


@pytest.mark.parametrize("change", ["content", "name", "gray_below", "max_megapixels", "damaged verdict", "a bit"])
def test_changed_files_are_judged_again(tmp_path, root, monkeypatch, decoded, change):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, "a.png", "b.png", "c.png", "d.png")
    before = opened(tmp_path)
    digests = before.input_digest(0, 2), before.input_digest(2, 4)
    if change == "content":
        put(root, "c.png", seed=9)
    elif change == "name":
        (root / "c.png").rename(root / "c2.png")
    elif change == "damaged verdict":
        (tmp_path / "scratch" / "000001.json").write_text("{")
    elif change == "a bit":
        verdict = tmp_path / "scratch" / "000001.json"
        verdict.write_text(verdict.read_text().replace("d.png", "e.png"))
    settings = {"gray_below": {"gray_below": 1.0}, "max_megapixels": {"max_megapixels": 1.0}}.get(change, {})
    after = opened(tmp_path, **settings)
    assert len(decoded) == 4 + (4 if settings else 1 if change in ("content", "name") else 2)
    assert after.input_digest(0, 2) == digests[0]
    assert (after.input_digest(2, 4) != digests[1]) == (change in ("content", "name"))
    seed = 9 if change == "content" else 2
    np.testing.assert_array_equal(after.read(2, 3)[0][0], square(seed)[0])


def test_verdicts_of_a_folder_that_was_larger_are_forgotten(tmp_path, root, monkeypatch):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, "a.png", "b.png", "c.png")
    opened(tmp_path)
    (root / "a.png").unlink()
    put(root, "c.png", seed=9)
    digests = {verdict.path: verdict.digest for verdict in opened(tmp_path).scratch.verdicts(0)}
    assert scratch.known_files(tmp_path / "scratch") == digests


def test_a_killed_scan_resumes(tmp_path, root, monkeypatch):
    monkeypatch.setattr(folder, "FILES_PER_CHUNK", 2)
    put(root, *[f"{i}.png" for i in range(6)])
    calls = []

    def killed(data, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decode(data, *args, **kwargs)

    monkeypatch.setattr(folder, "decode", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path)
    source = opened(tmp_path)
    assert len(calls) == 4 + 4
    assert len(source.read(0, 6)[0]) == 6


def test_a_photograph_replaced_after_closing_is_refused(tmp_path, root):
    put(root, "a.png")
    source = opened(tmp_path)
    source.close()
    put(root, "a.png", seed=5)
    with pytest.raises(InputError, match=r"a\.png: "):
        source.read(0, 1)


def test_pixels_of_an_earlier_scan_are_never_used(tmp_path, root, monkeypatch):
    put(root, "a.png")
    opened(tmp_path)
    put(root, "a.png", seed=5)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scratch, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        opened(tmp_path)
    put(root, "a.png")
    np.testing.assert_array_equal(opened(tmp_path).read(0, 1)[0][0], square()[0])
