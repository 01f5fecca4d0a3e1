"""How an existing artefact differs from the one requested, and the refusal that follows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError


def differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "", between: str = "now ") -> list[str]:
    """List what differs between two nested settings, as ``key: old, now new`` (`between` replaces the "now ")."""
    found = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differing(before, after, f"{prefix}{key}.", between)
        elif before != after:
            found.append(f"{prefix}{key}: {before!r}, {between}{after!r}")
    return found


def refuse_other(
    what: Path, old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "", more: Iterable[str] = ()
) -> None:
    """Refuse to overwrite something that was made with other settings.

    Args:
        what: the existing file or folder.
        old: the settings that made it; empty if unknown, and then not compared.
        new: the settings requested now.
        prefix: put before each key that differs.
        more: other differences, as ``key: old, now new``.

    Raises:
        InputError: something differs; names what, and the ways to continue.
    """
    if differences := [*(differing(old, new, prefix) if old else ()), *more]:
        raise InputError(
            f"{what} was made with other settings ({'; '.join(differences)}); to replace it, set replace=true "
            "(--replace); to keep both, name another place (data=..., root=...)"
        )
