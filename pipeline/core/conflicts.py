"""What differs between what is there and what is asked for, in words."""

from collections.abc import Mapping
from typing import Any

WAYS_OUT = "to replace it, set replace=true (--replace); to keep both, name another place (data=..., root=...)"


def differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "", between: str = "now ") -> list[str]:
    """What differs between two nested settings, one ``key: old, now new`` each, or with another word `between` them."""
    found = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differing(before, after, f"{prefix}{key}.", between)
        elif before != after:
            found.append(f"{prefix}{key}: {before!r}, {between}{after!r}")
    return found
