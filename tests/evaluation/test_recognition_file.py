"""The file of the true images' classes and features."""

import gc

import numpy as np
import pytest
from tiny_recognition import PARTITIONS, images, known

from pipeline.core.errors import InputError
from pipeline.evaluation import recognition


def test_the_file_is_reproducible_and_read_as_written(tmp_path):
    one, two = tmp_path / "a.npz", tmp_path / "b.npz"
    true = known(*images()[:2], 4)
    recognition.write(one, true)
    recognition.write(two, known(*images()[:2], 4))
    assert one.read_bytes() == two.read_bytes()
    read = recognition.read(one, 10)
    np.testing.assert_array_equal(read.classes, true.classes)
    assert read.classes.dtype == np.int16 and set(read.moments) == set(PARTITIONS)
    for partition, moments in true.moments.items():
        assert read.moments[partition].n == moments.n
        np.testing.assert_array_equal(read.moments[partition].mean, moments.mean)
        np.testing.assert_allclose(read.moments[partition].scatter, moments.scatter, rtol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.filterwarnings("error::ResourceWarning")  # no file stays open
@pytest.mark.parametrize("content", [b"", b"no zip file", "half", "object", "other", None])
def test_a_missing_or_damaged_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "recognition.npz"
    recognition.write(path, known(*images()[:2], 4))
    if content is None:
        path.unlink()
    elif content == "half":
        path.write_bytes(path.read_bytes()[:500])
    elif content == "object":
        np.savez(path, classes=np.array([{}], object))
    elif content == "other":
        np.savez(path, numbers=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"recognition\.npz") as caught:
        recognition.read(path, 10)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()


def test_a_file_for_another_number_of_images_is_refused(tmp_path):
    recognition.write(tmp_path / "a.npz", known(*images()[:2], 4))
    with pytest.raises(InputError, match=r"a\.npz: .* 11 images, .*10"):
        recognition.read(tmp_path / "a.npz", 11)
