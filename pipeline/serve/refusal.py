"""Requests that are refused, with the HTTP status that says so."""

from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import InputError

TOO_MANY, TOO_LARGE, BUSY, NO_ROOM = 429, 413, 503, 507


class Refusal(InputError):
    """A request that is refused; the message is for the person at the page.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gone(Refusal):
    """There is no such photograph, or no longer."""

    def __init__(self) -> None:
        super().__init__(404, "the program no longer has this photograph; choose it again")


def disk_full(folder: Path) -> Refusal:
    """Return the refusal of what does not fit on the disk of a folder."""
    return Refusal(
        NO_ROOM,
        f"expected room for the photograph and its result, received a full disk (that of {folder}); "
        "delete files there or remove photographs from this page, then try again",
    )


def not_stored(folder: Path, error: OSError) -> Refusal:
    """Return the refusal of a photograph that could not be written into a folder."""
    if error.errno in files.FULL:
        return disk_full(folder)
    return Refusal(500, f"the photograph cannot be stored in {folder}: {error.strerror}")
