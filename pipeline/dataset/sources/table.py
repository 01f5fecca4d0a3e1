"""The table of a folder's dataset: the photographs to use, their groups and their partitions."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipeline.config.partitions import PARTITIONS
from pipeline.config.sources import FolderSource
from pipeline.core import csv_files
from pipeline.core.errors import InputError
from pipeline.core.files import fingerprint
from pipeline.core.text import escaped

FILE, GROUP, PARTITION = "file", "group", "partition"


def read_table(settings: FolderSource) -> dict[str, str] | None:
    """Return the group of each listed file, by its path below the folder, sorted; None if there is no table.

    A file without a group is a group of its own.

    Raises:
        InputError: the table is missing or empty, or lists a file twice or outside of the folder.
    """
    if settings.table is None:
        return None
    where = f"{escaped(settings.table)} (the dataset's `table`)"
    if not Path(settings.table).is_file():
        raise InputError(f"{where}: expected a CSV file with the column {FILE}, received no such file")
    groups: dict[str, str] = {}
    for line, row in enumerate(csv_files.read(Path(settings.table), [FILE]), start=2):
        name = row[FILE] or ""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name:
            raise InputError(
                f"{where}: expected paths below the dataset's `path`, such as sub/photo.jpg, received "
                f"{escaped(name)!r} in row {line}"
            )
        if name in groups:
            raise InputError(f"{where}: expected each file once, received {escaped(name)} again in row {line}")
        groups[name] = row.get(GROUP) or name
    if not groups:
        raise InputError(f"{where}: expected photographs, received a table without rows")
    return dict(sorted(groups.items()))


def table_digest(settings: FolderSource) -> str:
    """Return the SHA-256 of a table's files, groups and partitions, whatever other columns it has.

    Raises:
        InputError: as `read_table` and `read_partitions`.
    """
    groups, partitions = read_table(settings), read_partitions(settings)
    return fingerprint([groups, partitions] if partitions else groups)


def read_partitions(settings: FolderSource) -> dict[str, str]:
    """Return the partitions that a table gives, by path of the file; empty if there are none.

    Raises:
        InputError: the table is missing, or a partition is unknown.
    """
    if settings.table is None:
        return {}
    given = {}
    for line, row in enumerate(csv_files.read(Path(settings.table), [FILE]), start=2):
        if partition := row.get(PARTITION):
            if partition not in PARTITIONS:
                raise InputError(
                    f"{escaped(settings.table)} (the dataset's `table`): expected a {PARTITION} of "
                    f"{', '.join(PARTITIONS)} or none, received {escaped(partition)!r} in row {line}"
                )
            given[row[FILE]] = partition
    return given


def existing_files(root: Path, groups: Mapping[str, str], settings: FolderSource) -> list[str]:
    """Return the listed files, or raise an InputError if some are not in the folder."""
    if missing := [name for name in groups if not (root / name).is_file()]:
        raise InputError(
            f"{escaped(str(settings.table))}: expected its {len(groups)} photographs below {escaped(str(root))}, but "
            f"{len(missing)} are missing; the first is {escaped(missing[0])}; set the dataset's `path` or `table`"
        )
    return list(groups)
