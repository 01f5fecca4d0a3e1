"""colorize.csv: a row per file with its outcome, written during the call."""

import contextlib
import csv
import os
from pathlib import Path

from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.core.text import escaped, printable

REPORT = "colorize.csv"
COLUMNS = (
    "file",
    "output",
    "status",
    "detail",
    "partition",
    "made_with",
    "bytes",
    "modified",
    "output_bytes",
    "sha256",
)
EARLIER_COLUMNS = COLUMNS[:-1]  # of reports without digests
DONE, FAILED, STARTED, LEFT_OUT = "done", "failed", "started", "left out"

Row = dict[str, str]


def shown_path(path: Path) -> str:
    """Return how a file is named in the report."""
    return escaped(str(path.absolute()))


class Report:
    """The rows by file. As a context manager, it keeps colorize.csv open and writes each added row at once."""

    def __init__(self, folder: Path) -> None:
        """Read the existing rows.

        Raises:
            InputError: the folder contains a colorize.csv of another program.
        """
        self._path = folder / REPORT
        self.rows = _read(self._path)
        self._others: dict[str, Row] = {}

    def __enter__(self) -> "Report":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = self._others | _read(self._path)  # another call may have ended in the meantime
        self._made_from = {row["output"]: file for file, row in self.rows.items() if row["output"]}
        csv_files.write(self._path, COLUMNS, self.rows.values())
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="", lineterminator="\n")
        return self

    def __exit__(self, *error: object) -> None:
        with files.naming(self._path):
            self._file.close()
        csv_files.write(self._path, COLUMNS, self.rows.values())

    def add(self, row: Row) -> None:
        """Add the row of a file, in place of any earlier one."""
        # Names and messages may contain bytes that are not UTF-8.
        self.rows[row["file"]] = {column: printable(row.get(column, "")) for column in COLUMNS}
        with files.naming(self._path):
            self._writer.writerow(self.rows[row["file"]])
            self._file.flush()

    def take_over(self, other: Path) -> None:
        """Add the rows of a report in a subfolder for files that this one does not have."""
        below = os.path.relpath(other.parent.absolute(), self._path.parent.absolute())
        with contextlib.suppress(InputError):
            for file, row in _read(other).items():
                output = f"{escaped(below)}/{row['output']}" if row["output"] else ""
                self._others.setdefault(file, row | {"output": output})
        self.rows = self._others | self.rows

    def source_of(self, output: str) -> str | None:
        """Return the file from which an output was made before this call."""
        return self._made_from.get(escaped(output))


def _read(path: Path) -> dict[str, Row]:
    """Return the last complete row of each file; a line that was cut off is skipped."""
    if not path.exists():
        return {}
    rows, columns = [], None
    try:
        files.refuse_special(path)
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames
    except (OSError, ValueError, csv.Error):
        columns = None
    if tuple(columns or ()) not in (COLUMNS, EARLIER_COLUMNS):
        raise InputError(
            f"{escaped(str(path))}: expected a report that colorize wrote, received another file or an edited one; "
            "move it away, or change --out"
        )
    whole = (row for row in rows if set(row) == set(columns or ()) and None not in row.values())
    return {row["file"]: {**dict.fromkeys(COLUMNS, ""), **row} for row in whole}
