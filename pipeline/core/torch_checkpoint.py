"""Read the tensors of a legacy PyTorch checkpoint without PyTorch, and without running anything that is in it.

The format, written by ``torch.save`` before version 1.6, is five pickles (a magic number, a protocol version, facts of
the machine, the state dict, the keys of its storages) followed by the storages: int64 length, then the raw elements.
Source: ``torch/serialization.py``, ``_legacy_save`` and ``_legacy_load``.
"""

import math
import pickle
import pickletools
import struct
from collections import OrderedDict
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MOST_MEMOISED = 100_000  # a larger index would make the unpickler allocate a table of that size


class _Refused(ValueError):
    """What a checkpoint of tensors alone does not contain."""


# Tuples, because the pickle instruction BUILD can set the attributes of other objects.
class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if type(storage) is not _Storage or any(type(each) is not int or each < 0 for each in numbers):
        raise _Refused("a tensor without a storage, or with a negative offset, shape or stride")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _TensorsOnly(pickle.Unpickler):
    """Resolves the few names that a checkpoint of tensors needs, each to code of this module, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return name
        raise _Refused(f"the name {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size, view = pid
        if kind != "storage" or type(size) is not int or size < 0 or view is not None:
            raise _Refused("a reference to something other than a storage")
        return _Storage(str(key), _DTYPES[dtype], size)


def _unpickle(file: BytesIO) -> Any:
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > _MOST_MEMOISED:
            raise _Refused(f"a memo of {argument} objects")
    file.seek(start)
    return _TensorsOnly(file).load()


def _storages(file: BytesIO, keys: Any, known: dict[str, _Storage]) -> dict[str, npt.NDArray[Any]]:
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(known):
        raise _Refused("other storages than those of its tensors")
    found = {}
    for key in map(str, keys):
        storage = known[key]
        (size,) = struct.unpack("<q", file.read(8))
        if size != storage.size:
            raise _Refused(f"storage {key} with {size} elements, declared with {storage.size}")
        raw = file.read(size * storage.dtype.itemsize)
        found[key] = np.frombuffer(raw, storage.dtype, count=size)
    if file.read(1):
        raise _Refused("bytes after the last storage")
    return found


def _array(tensor: _Tensor, storage: npt.NDArray[Any]) -> npt.NDArray[Any]:
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape or last >= len(storage):
        raise _Refused(f"a tensor of shape {tensor.shape} that is not within its storage")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.array(np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides))


def read(content: bytes, name: str) -> dict[str, npt.NDArray[Any]]:
    """Read a checkpoint that is a flat state dict.

    Args:
        content: the whole file.
        name: of the file, for messages.

    Returns:
        The tensors by name, float32 or int64.

    Raises:
        InputError: the file is truncated, or contains anything but tensors of these types.
    """
    file = BytesIO(content)
    try:
        if _unpickle(file) != _MAGIC or _unpickle(file) != _PROTOCOL or not isinstance(_unpickle(file), dict):
            raise _Refused("another header")
        state, keys = _unpickle(file), _unpickle(file)
        if type(state) is not OrderedDict:
            raise _Refused("another object than a state dict")
        tensors = dict(OrderedDict.items(state))
        if not all(type(each) is _Tensor for each in tensors.values()):
            raise _Refused("other objects than tensors")
        storages = _storages(file, keys, {each.storage.key: each.storage for each in tensors.values()})
        if sum(math.prod(each.shape) for each in tensors.values()) > sum(map(len, storages.values())):
            raise _Refused("tensors with more elements than their storages")
        return {str(key): _array(tensor, storages[tensor.storage.key]) for key, tensor in tensors.items()}
    except Exception as error:  # a pickle that is not one fails in many ways
        received = str(error) or type(error).__name__
        raise InputError(f"{name}: expected a PyTorch checkpoint of nothing but tensors, received {received}") from None
