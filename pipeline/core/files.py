"""Writing files completely or not at all, and their digests."""

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core import temporary_files
from pipeline.core.errors import InputError

CHECKSUM = "checksum"  # key in every JSON file: the fingerprint of everything else in it
LISTING = "files.json"  # file with the digests of the other files in its folder
REPAIR = "run `python -m stages verify`, then the command that wrote it"
FULL = (errno.ENOSPC, errno.EDQUOT)  # error numbers of a disk, or a share of it, without room
# Errors that concern the disk rather than the file.
_DISK_ERRORS = (*FULL, errno.EFBIG, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make disk errors in the block name `path`, because most libraries name no file, or a temporary one.

    Raises:
        OSError: the disk is full, read-only or otherwise limited.
    """
    try:
        yield
    except Exception as error:
        raised: BaseException | None = error
        while raised:  # h5py gives the number as text and raises further errors
            match = re.search(r"\berrno = ([0-9]+)", str(raised))
            number = int(match[1]) if match else raised.errno if isinstance(raised, OSError) else None
            if number in _DISK_ERRORS:
                raise OSError(number, os.strerror(number), str(path)) from error
            raised = raised.__cause__ or raised.__context__
        raise


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path`; if the block fails, remove it.

    The temporary name is fixed, so the next writer removes what a killed process left behind; it waits for a process
    that still writes there. A link is not followed.
    """
    temporary = _hidden(path, f"tmp{path.suffix}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_files.created(temporary):
            yield temporary
            sync(temporary)
            temporary.replace(path)


@contextlib.contextmanager
def new_folder(path: Path, own: Iterable[str] | None = None) -> Iterator[Path]:
    """Yield a new folder beside `path` and let it replace `path`; if the block fails, remove it.

    Files of the old folder that are neither `own` nor hidden are kept. Where `path` is a link to a folder, that folder
    is replaced.

    Args:
        path: the folder.
        own: relative paths of files that are not kept; None: those in the old folder's `LISTING`.

    Raises:
        OSError: `path` is a file, or a link to nothing.
    """
    if os.path.lexists(path) and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    path = path.resolve() if path.is_symlink() else path
    temporary, old = _hidden(path, "tmp"), _hidden(path, "old")

    def clean_up() -> None:
        if old.exists() and not old.is_symlink() and not path.exists():  # stopped between the two renames
            old.rename(path)
        for folder in (temporary, old):
            with contextlib.suppress(OSError):
                remove(folder)

    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clean_up()
        if own is None:
            own = read_if_whole(path / LISTING).get("files", ())
        try:
            temporary.mkdir()
            yield temporary
            if path.exists():
                _keep_foreign(path, temporary, own)
                path.rename(old)
            temporary.rename(path)
        finally:
            clean_up()


def _hidden(path: Path, ending: str) -> Path:
    """Return a name beside `path` that nobody else gives to a file."""
    ending = f".deepcolor.{ending}"
    short = len(os.fsencode(path.name + ending)) < 255  # file systems allow 255 bytes
    return path.with_name(f".{path.name if short else digest_bytes(os.fsencode(path.name))}{ending}")


def _keep_foreign(old: Path, new: Path, own: Iterable[str]) -> None:
    """Copy the files of `old` that are neither `own`, nor hidden, nor in `new`, into `new`."""
    for name in _shown(old).keys() - {*own, LISTING} - _shown(new).keys():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old / name, new / name, follow_symlinks=False)


def refuse_changed(path: Path) -> None:
    """Refuse a file that does not match the listing of its folder, if there is one.

    Raises:
        InputError: the file is missing, damaged or not listed, or the listing is damaged.
    """
    if (path.parent / LISTING).exists():
        read_listing(path.parent, [path.name])


def fill(path: Path, content: bytes | memoryview) -> None:
    """Write `content` into a file, to be followed by `sync`; raise OSError unless all of it was taken."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        if os.fstat(file.fileno()).st_size != memoryview(content).nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def sync(path: Path) -> None:
    """Wait until a file is on the disk; raise OSError if it does not get there."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content`, completely or not at all."""
    with written_whole(path) as temporary:
        fill(temporary, content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, completely or not at all."""
    write_bytes(path, text.encode())


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as readable JSON with its own checksum, completely or not at all."""
    write_text(path, _sealed(value))


def _sealed(value: Mapping[str, Any]) -> str:
    value = {**value, CHECKSUM: fingerprint(value)}
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read a file written by `write_json`.

    Raises:
        InputError: the file is missing or was changed.
    """
    try:
        refuse_special(path)
        text = path.read_bytes().decode()
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError(f"a JSON {type(value).__name__}")
        checksum = value.pop(CHECKSUM, None)
        if text != _sealed(value):
            raise ValueError(f"a checksum mismatch ({checksum})")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged or was edited: expected unchanged JSON, received {error}; {REPAIR}"
        ) from None
    return value


def read_if_whole(path: Path) -> dict[str, Any]:
    """Like `read_json`, but return an empty dict if the file is missing or damaged."""
    with contextlib.suppress(InputError):
        return read_json(path)
    return {}


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder by relative path, except hidden files and the listing."""
    return {name: digest_file(path) for name, path in _shown(folder).items() if path.name != LISTING}


def _shown(folder: Path) -> dict[str, Path]:
    """Return every file below a folder by relative path, except hidden ones."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in found.items() if path.is_file() and "/." not in f"/{name}"}


def damaged(
    folder: Path, expected: Mapping[str, str], advance: Callable[[], object] = lambda: None
) -> Iterator[tuple[str, str]]:
    """Yield name and problem of each file whose digest differs from `expected` (digest by relative path).

    Calls `advance` after each file.
    """
    for name, digest in expected.items():
        path = folder / name
        try:
            problem = "" if digest_file(path) == digest else "damaged"
        except (FileNotFoundError, NotADirectoryError):
            problem = "missing"
        except OSError as error:
            problem = f"unreadable ({error.strerror})"
        if problem:
            yield name, problem
        advance()


def refuse_damaged(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise an InputError for the first file whose digest differs from `expected` (digest by relative path)."""
    for name, problem in damaged(folder, expected):
        raise InputError(f"{folder / name} is {problem}: expected SHA-256 {expected[name]}; {REPAIR}")


def write_listing(folder: Path) -> None:
    """Write the digests of a folder's files into its `LISTING`."""
    write_json(folder / LISTING, {"files": digests(folder)})


def read_listing(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return the digests in a folder's listing, after checking the files `names`.

    Raises:
        InputError: the listing is missing, or a file is unlisted, missing or damaged.
    """
    listed: dict[str, str] = read_json(folder / LISTING)["files"]
    for name in names or ():
        if name not in listed:
            raise InputError(f"{folder / LISTING} does not list {name}; {REPAIR}")
        refuse_damaged(folder, {name: listed[name]})
    return listed


def npy(array: npt.NDArray[Any]) -> memoryview:
    """Return the bytes of an ``.npy`` file, because `numpy.save` hides that a disk is full."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getbuffer()


def digest_bytes(*parts: bytes | memoryview) -> str:
    """Return the SHA-256 of the concatenated parts in hexadecimal."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def refuse_special(path: Path) -> None:
    """Refuse pipes and devices, from which reading may never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "expected a regular file", str(path))


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file in hexadecimal; raise OSError if it is missing or no regular file."""
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value in hexadecimal."""
    return digest_bytes(canonical_json(value).encode())


def remove(path: Path) -> None:
    """Remove a file or folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
