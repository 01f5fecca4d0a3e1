"""Writing legacy PyTorch checkpoints, also wrong ones, without PyTorch."""

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


class Name:
    """Pickles as a reference to a global of any module, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Storage:
    def __init__(self, kind, key, size):
        self.pid = ("storage", Name("torch", kind), key, "cpu", size, None)


class _Pickler(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def persistent_id(self, each):
        return each.pid if isinstance(each, Storage) else None

    def save_name(self, each):
        self.write(b"c" + each.module.encode() + b"\n" + each.name.encode() + b"\n")

    dispatch[Name] = save_name

    def save_call(self, each):
        self.save(each.function)
        self.save(each.arguments)
        self.write(pickle.REDUCE)

    dispatch[Call] = save_call


def pickled(each):
    file = io.BytesIO()
    _Pickler(file, 2).dump(each)
    return file.getvalue()


REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def tensor(key, shape, strides, *, offset=0, kind="FloatStorage", size=None):
    size = int(np.prod(shape)) if size is None else size
    return Call(REBUILD, Storage(kind, key, size), offset, shape, strides, False, OrderedDict())


def checkpoint(state, storages, *, magic=MAGIC, more=b""):
    """A legacy checkpoint; storages are arrays by key."""
    header = pickled(magic) + pickled(1001) + pickled({"little_endian": True})
    raw = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())
    return header + pickled(state) + pickled(list(storages)) + raw + more


def of_arrays(arrays):
    """A checkpoint of contiguous arrays, by name."""
    state = OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        strides = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
        kind = "LongStorage" if array.dtype == np.int64 else "FloatStorage"
        state[name] = tensor(str(number), array.shape, tuple(strides), kind=kind)
    return checkpoint(state, {str(number): np.ascontiguousarray(each) for number, each in enumerate(arrays.values())})
