"""colorize.csv: what became of each file, a row each, kept while a call is under way."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.core.text import escaped

REPORT = "colorize.csv"
COLUMNS = (
    "file", "output", "status", "detail", "partition", "made_with", "bytes", "modified", "output_bytes",
)  # fmt: skip
DONE, FAILED, STARTED, LEFT_OUT = "done", "failed", "started", "left out"

Row = dict[str, str]


class Report:
    """The rows by file; a context that holds colorize.csv open and adds each row to it at once."""

    def __init__(self, folder: Path) -> None:
        """Read what is there.

        Raises:
            InputError: there is a file of that name that this command did not write.
        """
        self._path = folder / REPORT
        self.rows = _read(self._path)

    def __enter__(self) -> "Report":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = _read(self._path)  # another call may have ended meanwhile
        self._made_of = {row["output"]: file for file, row in self.rows.items() if row["output"]}
        files.write_csv(self._path, COLUMNS, self.rows.values())
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="", lineterminator="\n")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        files.write_csv(self._path, COLUMNS, self.rows.values())

    def add(self, row: Row) -> None:
        """Keep the row of a file, in place of the one before."""
        self.rows[row["file"]] = {column: row.get(column, "") for column in COLUMNS}
        self._writer.writerow(self.rows[row["file"]])
        self._file.flush()

    def source_of(self, output: str) -> str | None:
        """The file that an output was made of before this call."""
        return self._made_of.get(escaped(output))


def _read(path: Path) -> dict[str, Row]:
    """The last whole row of each file; a line that was cut off is as good as none."""
    if not path.exists():
        return {}
    rows: list[Mapping[str, Any]] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames
    except (OSError, ValueError, csv.Error):
        columns = None
    if tuple(columns or ()) != COLUMNS:
        raise InputError(
            f"{escaped(str(path))}: expected the report that colorize writes, received another file, or one that was "
            "changed by hand; move it away, or name another --out"
        )
    return {row["file"]: dict(row) for row in rows if set(row) == set(COLUMNS) and None not in row.values()}
