"""Tables as Parquet files, beside CSV files with the same rows."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import InputError


def write_beside(table: Path, types: Mapping[str, str]) -> Path:
    """Write the rows of a CSV file into a Parquet file beside it, completely or not at all.

    An empty cell of a number is null, and ``nan`` is NaN. Equal rows give equal bytes.

    Args:
        table: the CSV file, with a header line.
        types: Arrow's name of each column's type, for example "string", "int64" or "double".

    Returns:
        The Parquet file, named after the CSV file.

    Raises:
        InputError: a column is missing, or a cell is no such number.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    convert = csv.ConvertOptions(
        column_types={name: pa.type_for_alias(kind) for name, kind in types.items()},
        include_columns=[*types],
        null_values=[""],
        strings_can_be_null=False,
    )
    try:
        rows = csv.read_csv(table, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=convert)
    except pa.ArrowInvalid as error:
        raise InputError(f"{table}: expected {', '.join(types)}, received: {' '.join(str(error).split())}") from None
    path = table.with_suffix(".parquet")
    with files.written_whole(path) as temporary:
        parquet.write_table(rows.combine_chunks(), temporary, compression="zstd")
    return path
