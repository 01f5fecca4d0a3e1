"""Refusing to overwrite artefacts that were made with other settings."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.core.text import brief

# Settings of a `source` that say where it is. Its contents identify it, and records have digests of these.
PLACES = ("path", "table")


def differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "", between: str = "now ") -> list[str]:
    """List what differs between two nested settings, as ``key: old, now new`` (`between` replaces the "now ").

    The `PLACES` of a source never count as different.
    """
    differences = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            differences += differing(before, after, f"{prefix}{key}.", between)
        elif before != after and not (prefix.endswith("source.") and key in PLACES):
            differences.append(f"{prefix}{key}: {brief(before)!r}, {between}{brief(after)!r}")
    return differences


def kept(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded settings `old` if `new` differ at most in `PLACES`, so that records stay equal; or `new`."""
    return dict(new if differing(old, new) else old)


def refuse_other(what: Path, old: Mapping[str, Any], new: Mapping[str, Any], *, more: Iterable[str] = ()) -> None:
    """Refuse to overwrite an artefact that was made with other settings.

    Args:
        what: the existing file or folder.
        old: the settings that made it; not compared if empty, that is, unknown.
        new: the settings requested now.
        more: other differences, as ``key: old, now new``.

    Raises:
        InputError: settings differ; names them and how to continue.
    """
    if differences := [*(differing(old, new) if old else ()), *more]:
        raise InputError(
            f"{what} was made with other settings or data ({'; '.join(differences)}); to replace it, set replace=true "
            "(--replace); to keep both, set another location (data=..., root=...)"
        )
