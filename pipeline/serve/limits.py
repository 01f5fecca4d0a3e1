"""What the server accepts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.images.formats import MAX_MEGAPIXELS
from pipeline.serve.refusal import NO_ROOM, TOO_MANY, Refusal


@dataclass(frozen=True)
class Limits:
    """What the server accepts.

    Attributes:
        waiting: how many at once may wait to be coloured for the first time, over all pages.
        photographs: how many are kept at once, with those that are coloured.
        upload_bytes: size of one photograph's file.
        max_megapixels: size of one photograph.
        total_bytes: size of all files including results; an attempt that has started may exceed it.
        seconds: how long a photograph is kept after its page last asked about it.
    """

    waiting: int = 20
    photographs: int = 5000
    upload_bytes: int = 500_000_000
    max_megapixels: float = MAX_MEGAPIXELS
    total_bytes: int = 8_000_000_000
    seconds: float = 1800.0


def refuse_too_many(kept: int, waiting: int, limits: Limits) -> None:
    """Refuse another photograph beside those that are kept, of which some wait for the first time.

    Raises:
        Refusal: there are too many.
    """
    if waiting >= limits.waiting:
        raise Refusal(TOO_MANY, f"expected at most {limits.waiting} photographs to wait at once; try again soon")
    if kept >= limits.photographs:
        raise Refusal(
            NO_ROOM,
            f"expected at most {limits.photographs} photographs with the coloured ones; download and remove some",
        )


def refuse_full(size: int, limits: Limits) -> None:
    """Refuse more work once all files together have `size` bytes.

    Raises:
        Refusal: they reach the limit.
    """
    if size >= limits.total_bytes:
        raise Refusal(
            NO_ROOM,
            f"expected less than {limits.total_bytes / 1e9:g} GB of photographs and results, received "
            f"{size / 1e9:g} GB; download and remove some",
        )


def refuse_without_room(folder: Path, size: int) -> None:
    """Refuse an upload of `size` bytes that does not fit on the disk.

    Raises:
        Refusal: it does not.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Refusal(
            NO_ROOM,
            f"expected {size / 1e6:.1f} MB of room for the photograph, received {free / 1e6:.1f} MB on the disk of "
            f"{folder}; delete files there or remove photographs from this page, then try again",
        )
