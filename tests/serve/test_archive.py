"""All coloured photographs of a page in one ZIP file."""

import io
import zipfile

import pytest
from served import OTHER_PAGE, PAGE

from pipeline.serve import archive


def test_all_results_of_a_page_are_downloaded_in_their_folders(site):
    names = ("Box/1950/a.jpg", "Box/1951/a.jpg", "a.jpg", "A.jpg", "写真.tif", "../../etc/passwd", 'C:\\Oma?"s".png')
    keys = [site.add(b"grain %d" % number, name)[1]["key"] for number, name in enumerate(names)]
    bad = site.add(b"bad", "bad.jpg")[1]["key"]
    (other,) = site.keys(b"other", page=OTHER_PAGE)
    site.settled(*keys, bad)
    site.ask("GET", f"/photographs/{keys[0]}/whole/1")
    assert len(site.states(other, page=OTHER_PAGE)) == 1
    status, headers, body = site.ask("GET", f"/coloured.zip?page={PAGE}")
    assert (status, headers["content-type"]) == (200, "application/zip")
    assert headers["content-disposition"] == 'attachment; filename="coloured.zip"'
    packed = zipfile.ZipFile(io.BytesIO(body))
    assert packed.testzip() is None and {entry.compress_type for entry in packed.infolist()} == {zipfile.ZIP_STORED}
    assert {entry.filename: packed.read(entry) for entry in packed.infolist()} == {
        "Box/1950/a-coloured.jpg": b"grain 0 by plain, 1",
        "Box/1951/a-coloured.jpg": b"grain 1 by plain, 1",
        "a-coloured.jpg": b"grain 2 by plain, 1",
        "A-coloured (2).jpg": b"grain 3 by plain, 1",
        "写真-coloured.tif": b"grain 4 by plain, 1",
        "etc/passwd-coloured": b"grain 5 by plain, 1",
        "C_/Oma__s_-coloured.png": b"grain 6 by plain, 1",
    }


def test_large_files_are_packed_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "CHUNK", 1000)
    (tmp_path / "a").write_bytes(bytes(range(250)) * 40)
    pieces = list(archive.zipped([("a", tmp_path / "a"), ("b", tmp_path / "a")]))
    assert len(pieces) > 20 and max(map(len, pieces)) < 1200
    packed = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert packed.read("a") == packed.read("b") == (tmp_path / "a").read_bytes()


def test_a_file_that_was_deleted_ends_the_download(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    pieces = archive.zipped([("a", tmp_path / "a"), ("b", tmp_path / "b")])
    with pytest.raises(FileNotFoundError):
        list(pieces)
