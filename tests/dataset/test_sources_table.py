"""Tables that choose and group the photographs of a folder, and settings of such a source."""

import numpy as np
import pytest
from folders import ids, opened, square
from image_files import encoded, picture, put
from PIL import Image

from pipeline.config.sources import FolderSource
from pipeline.core.errors import InputError
from pipeline.images import lab


def test_a_table_chooses_and_groups_photographs(tmp_path, root):
    put(root, "a.png", "sub/b.png", "c.png", "unlisted.png", ".hidden.png")
    (root / "notes.txt").touch()
    table = tmp_path / "table.csv"
    table.write_text("group,file,author\npair,sub/b.png,B\n,c.png,C\npair,a.png,A\n")
    source = opened(tmp_path, table=str(table))
    infos = source.info(0, source.n)
    assert [(info.id, info.group) for info in infos] == [("a.png", "pair"), ("c.png", "c.png"), ("sub/b.png", "pair")]
    assert source.remarks == ()
    np.testing.assert_array_equal(source.read(2, 3)[0][0], square(1)[0])
    assert ids(opened(tmp_path, table=str(table), limit=2)) == ["a.png", "c.png"]


def test_photographs_are_cropped_or_squashed(tmp_path, root):
    wide = np.repeat(picture(seed=1), 2, axis=1)
    (root / "a.png").write_bytes(encoded(wide))
    whole = np.asarray(Image.fromarray(wide).resize((224, 224), Image.Resampling.LANCZOS))
    cropped = opened(tmp_path).read(0, 1)
    squashed = opened(tmp_path, crop="squash").read(0, 1)  # not the pixels of the first scan
    for array, expected in zip(squashed, lab.from_rgb(whole), strict=True):
        np.testing.assert_array_equal(array[0], expected)
    assert (squashed[0] != cropped[0]).any()
    assert opened(tmp_path, crop="squash").describe()["crop"] == "squash" and "crop" not in opened(tmp_path).describe()


def test_settings_without_a_table_are_those_of_older_records():
    assert set(FolderSource(path="p").model_dump()) == {"kind", "path", "gray_below", "max_megapixels"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file\na.png\nc.png\nb.png\n", "2 are missing; the first is b.png"),
        ("photograph\na.png\n", "column"),
        ("file\na.png\na.png\n", "a.png again in row 3"),
        ("file\n../a.png\n", "row 2"),
        ("file\n/etc/a.png\n", "row 2"),
        ("file\nsub//a.png\n", "row 2"),
        ("file,group\n,x\n", "row 2"),
        ("file\n", "without rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, root, text, named):
    put(root, "a.png")
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=r"table\.csv.*") as caught:
        opened(tmp_path, table=str(table))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"photographs: .*`path`"):
        opened(tmp_path)
    (tmp_path / "photographs").touch()
    with pytest.raises(InputError, match=r"photographs: .*a file; .*`path`"):
        opened(tmp_path)
