"""Find the partition of a run's data that contains a photograph."""

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from pipeline.config.paths import ResultFiles
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.images.formats import UnreadablePhotograph
from pipeline.results.record import read_record

UNKNOWN = "unknown"
LISTED = ("file", "sha256", "partition")  # columns of the photographs of a published network, before others

log = logging.getLogger("deepcolor")


class Membership:
    """Returns the partition of a run's data that contains a photograph.

    A photograph belongs to the data if an ingested file has the same bytes, or if ingest would give it the same L, a
    and b as an image. Photographs of a published network are recognised by their bytes alone. The data are read with
    the first photograph; only digests stay in memory.
    """

    def __init__(self, result: Path) -> None:
        """Take the run in ``results/<run>/``, or the folder of a published network."""
        self._result = result

    def __call__(self, photograph: Path) -> str:
        """Return one of `PARTITIONS`, "none" or "unknown".

        "unknown" means that the data are not available or came as arrays; that the photograph is gray (digests are of
        colours) or ingest would leave it out; or that it is not recognised and ingest ran with other versions of
        `versions.DECODED_BY`.
        """
        if self._images is None:
            return UNKNOWN
        try:
            return self._images(photograph)
        except (InputError, UnreadablePhotograph, OSError, MemoryError):
            return UNKNOWN

    @cached_property
    def _images(self) -> Callable[[Path], str] | None:
        try:
            return _read(self._result)
        except KeyError as error:
            reason = f"{ResultFiles(self._result).record} lacks {error}"
        except (InputError, OSError) as error:
            reason = str(error)
        log.info("colorize: unknown which photographs the run was trained on: %s", reason)
        return None


def _read(result: Path) -> Callable[[Path], str]:
    """Read a run's data.

    Raises:
        InputError: they are missing, damaged, not those of the run, or were read from arrays.
        KeyError: run.yaml is incomplete.
    """
    if ResultFiles(result).published.exists():
        return _Published(ResultFiles(result).photographs)
    from pipeline.colorize import ingested  # which reads stores

    return ingested.read(result, read_record(result))


class _Published:
    """Returns the partition of a photograph that a published network lists."""

    def __init__(self, path: Path) -> None:
        """Take the table of photographs."""
        self._path, self._text = path, path.read_bytes()

    @cached_property
    def _partitions(self) -> dict[str, str]:
        return {row["sha256"]: row["partition"] for row in csv_files.read(self._path, LISTED)}

    def __call__(self, photograph: Path) -> str:
        digest = files.digest_file(photograph)
        # Parsing the table takes longer than reading it, and strangers' photographs are not in it.
        return self._partitions[digest] if digest.encode() in self._text else UNKNOWN
