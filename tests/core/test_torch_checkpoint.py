"""The checkpoint reader: tensors alone come out, and nothing that is in a file ever runs."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_checkpoints import MAGIC, Call, Name, checkpoint, pickled, tensor

from pipeline.core import torch_checkpoint
from pipeline.core.errors import InputError
from pipeline.embedding import efficientnet_lite0

ROW = np.arange(6, dtype="<f4")


def test_tensors_come_out_with_their_shapes_strides_and_types():
    state = OrderedDict(
        weight=tensor("1", (2, 3), (3, 1)),
        turned=tensor("2", (2, 3), (1, 2)),
        count=tensor("3", (), (), kind="LongStorage", size=1),
        part=tensor("4", (2,), (1,), offset=3, size=6),
    )
    storages = {"1": ROW, "2": ROW, "3": np.array([7], "<i8"), "4": ROW}
    found = torch_checkpoint.read(checkpoint(state, storages), "x.pth")
    np.testing.assert_array_equal(found["weight"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["turned"], [[0, 2, 4], [1, 3, 5]])
    assert found["count"] == 7 and found["count"].dtype == np.int64
    np.testing.assert_array_equal(found["part"], [3, 4])


@pytest.mark.parametrize(
    "state",
    [
        OrderedDict(a=Call(Name("os", "mkdir"), "ran")),
        OrderedDict(a=Call(Name("builtins", "eval"), "__import__('os').mkdir('ran')")),
        OrderedDict(a=Call(Name("torch", "load"), "x")),
        OrderedDict(a=Name("torch", "HalfStorage")),
        OrderedDict(a=3),
        OrderedDict(a=[tensor("1", (6,), (1,))]),
        {"state_dict": OrderedDict(a=tensor("1", (6,), (1,)))},
        [tensor("1", (6,), (1,))],
        OrderedDict(a=tensor("1", (7,), (1,), size=6)),
        OrderedDict(a=tensor("1", (2, 3), (6, 1), size=6)),
        OrderedDict(a=tensor("1", (2,), (1,), offset=5, size=6)),
        OrderedDict(a=tensor("1", (2,), (1,), offset=-1, size=6)),
        OrderedDict(a=tensor("1", (2,), (-1,), offset=5, size=6)),
        OrderedDict(a=tensor("1", (6, 1000000), (1, 0), size=6)),
        OrderedDict(a=tensor("1", (0,), (1,), size=6)),
        OrderedDict(a=tensor("1", (6,), (1,), size=2**60)),
        OrderedDict(a=tensor("2", (6,), (1,))),
        OrderedDict(a=tensor("1", (6,), (1,)), b=tensor("1", (6,), (1,))),
    ],
)
def test_anything_but_tensors_within_their_storages_is_refused(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"x\.pth"):
        torch_checkpoint.read(checkpoint(state, {"1": ROW}), "x.pth")
    assert not any(tmp_path.iterdir())


def test_attributes_set_by_the_pickle_cannot_move_a_tensor():
    """The instruction BUILD sets attributes; a tensor does not have any that can be set."""
    inner = pickled(tensor("1", (6,), (1,)))[2:-1]
    moved = inner + pickled({"offset": -4096, "shape": (10**6,)})[2:-1] + pickle.BUILD
    state = pickled(OrderedDict(a=None))
    content = checkpoint(OrderedDict(a=None), {"1": ROW})
    assert content.count(state) == 1
    with pytest.raises(InputError, match=r"x\.pth"):
        torch_checkpoint.read(content.replace(state, state.replace(pickle.NONE, moved, 1)), "x.pth")


def test_a_huge_memo_is_refused_before_it_is_allocated():
    bomb = b"\x80\x02" + b"Nr" + struct.pack("<I", 2**31 - 1) + b"."
    with pytest.raises(InputError, match="memo"):
        torch_checkpoint.read(bomb, "x.pth")


def test_a_file_cut_anywhere_is_refused():
    content = checkpoint(OrderedDict(a=tensor("1", (2, 3), (3, 1))), {"1": ROW})
    for length in range(len(content)):
        with pytest.raises(InputError, match=r"x\.pth"):
            torch_checkpoint.read(content[:length], "x.pth")


def test_a_changed_byte_gives_an_array_or_one_line():
    content = checkpoint(OrderedDict(a=tensor("1", (2, 3), (3, 1))), {"1": ROW})
    draws = np.random.default_rng(0)
    for _ in range(2000):
        changed = bytearray(content)
        changed[draws.integers(len(content))] = draws.integers(256)
        try:
            found = torch_checkpoint.read(bytes(changed), "x.pth")
        except InputError:
            continue
        assert all(array.nbytes <= 64 for array in found.values())


@pytest.mark.parametrize("wrong", [b"", b"PK\x03\x04", pickled(MAGIC), checkpoint(OrderedDict(), {}, magic=1)])
def test_other_files_are_refused(wrong):
    with pytest.raises(InputError, match=r"x\.pth"):
        torch_checkpoint.read(wrong, "x.pth")


def test_bytes_after_the_last_storage_are_refused():
    with pytest.raises(InputError, match="after the last storage"):
        torch_checkpoint.read(checkpoint(OrderedDict(a=tensor("1", (6,), (1,))), {"1": ROW}, more=b"x"), "x.pth")


def test_a_zip_checkpoint_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(Call(Name("os", "mkdir"), "ran")))
    with pytest.raises(InputError, match=r"x\.pth"):
        torch_checkpoint.read(file.getvalue(), "x.pth")


def test_the_installed_checkpoint_has_every_tensor_of_the_network():
    tensors = torch_checkpoint.read(efficientnet_lite0.checkpoint_path().read_bytes(), "installed")
    assert len(tensors) == 296
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in tensors.values())
