"""Files that appear whole or not at all, and digests of what they hold."""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, remove it if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp{path.suffix}")
    # Made by the system with the process' umask, unlike tempfile's files, which are private.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; it takes the place of `path` if the block succeeds, and is removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    old = temporary.with_suffix(".old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON file, received: {error}; delete it to have it made again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, received {type(value).__name__}")
    return value


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header line, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read rows as text by column name.

    Raises:
        InputError: the file is missing or a column of `columns` is.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise InputError(
                    f"{path}: expected the columns {', '.join(columns)}, "
                    f"received {', '.join(reader.fieldnames or ['an empty file'])}; make the file again"
                )
            return list(reader)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV file, received: {error}; make the file again") from None


def digest_bytes(*parts: bytes | memoryview) -> str:
    """SHA-256, in hexadecimal, of the parts one after the other."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON value."""
    return digest_bytes(canonical_json(value).encode())


def remove(path: Path) -> None:
    """Remove a file or a directory if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
