"""Tables as CSV files with a header line."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core import files
from pipeline.core.errors import InputError


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header line, completely or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read rows as text by column name.

    Raises:
        InputError: the file or one of `columns` is missing.
    """
    try:
        files.refuse_special(path)
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not {*columns} <= {*(reader.fieldnames or ())}:
                raise InputError(
                    f"{path}: expected the columns {', '.join(columns)}, received "
                    f"{', '.join(reader.fieldnames or ['an empty file'])}; create the file again"
                )
            return list(reader)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV file, received: {error}; create the file again") from None
