"""DeepColor's own output among photographs, which must not become training images."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pipeline.config.sources import FolderSource, Source
from pipeline.core.errors import InputError
from pipeline.core.text import escaped

# Names that occur together in a folder of ours: results of a run and of all runs, a dataset, and its baselines.
_MARKS = (
    {"files.json", "run.yaml"},
    {"summary.csv", "summary.json"},
    {"images.json", "index.csv", "report.csv"},
    {"baselines.csv", "baselines.json"},
)


def refuse_output_inside(source: Source, outputs: Iterable[Path]) -> None:
    """Refuse a folder of photographs that contains a place of DeepColor's output, or is inside one.

    A folder with a table is not refused, because the table says which photographs are used.

    Raises:
        InputError: names both.
    """
    if not isinstance(source, FolderSource) or source.table is not None:
        return
    folder = Path(source.path).resolve()
    for output in outputs:
        place = output.resolve()
        if place.is_relative_to(folder) or folder.is_relative_to(place):
            how = "contains" if place.is_relative_to(folder) else "is inside"
            raise InputError(
                f"{escaped(source.path)}: expected a folder of photographs apart from DeepColor's output, received one "
                f"that {how} {escaped(str(output))}, whose pictures would become training images; choose another "
                "location (data=..., root=...), or list the photographs in a `table`"
            )


def folders_of_output(files: Iterable[str]) -> list[str]:
    """Return the folders with DeepColor's output, each with a slash at its end, of files given by relative path."""
    marks = set[str]().union(*_MARKS)
    found: dict[str, set[str]] = {}
    for file in files:
        path = PurePosixPath(file)
        if path.name in marks:
            found.setdefault("" if path.parent == PurePosixPath() else f"{path.parent}/", set()).add(path.name)
    return [folder for folder, names in found.items() if any(mark <= names for mark in _MARKS)]
