"""Registries: entries by name that a module named in DEEPCOLOR_PLUGINS can extend."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from pipeline.core.errors import InputError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Registry(dict[str, T]):
    """Entries by name, in the order of registration. ``registry[name]`` raises InputError for an unknown name."""

    def __init__(self, kind: str, key: str) -> None:
        """Create an empty registry.

        Args:
            kind: what an entry is, for error messages.
            key: where a user chooses an entry, for error messages.
        """
        super().__init__()
        self._kind = kind
        self._key = key

    def register(self, entry: T) -> None:
        """Add an entry under its name; registering an equal entry again has no effect.

        Raises:
            InputError: another entry has this name.
        """
        if self.setdefault(entry.name, entry) != entry:
            raise InputError(f"{self._kind} {entry.name}: another {self._kind} has this name; choose a different one")

    def __missing__(self, name: str) -> T:
        return self.find(name, self._key)

    def find(self, name: str, key: str) -> T:
        """Return an entry; `key` is where the user chose it, for the InputError about an unknown name."""
        if name in self:
            return self[name]
        raise InputError(
            f"{key}: expected one of {', '.join(self)}, received {name!r}; if it is your own, name its module in "
            "DEEPCOLOR_PLUGINS"
        )

    def chosen(self, choice: str | Mapping[str, Any], key: str) -> tuple[T, dict[str, Any]]:
        """Return the entry that a configuration chooses, by its name or by a mapping that adds options, and these."""
        options = {"name": choice} if isinstance(choice, str) else dict(choice)
        return self.find(options.pop("name"), key), options
