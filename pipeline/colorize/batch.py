"""Files and folders of photographs, coloured one by one: what is done stays, what fails is told and stops nothing."""

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from skimage.color import rgb2lab

from pipeline import __version__
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.membership import UNKNOWN
from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped
from pipeline.dataset.sources.base import files_below
from pipeline.images import originals, writing
from pipeline.images.formats import EXTENSIONS, MAX_MEGAPIXELS, UnreadablePhotograph
from pipeline.images.lab import UInt8
from pipeline.images.light import Levels

REPORT = "colorize.csv"
COLUMNS = (
    "file", "output", "status", "detail", "partition", "made_with", "bytes", "modified", "output_bytes",
)  # fmt: skip
DONE, FAILED, STARTED, LEFT_OUT = "done", "failed", "started", "left out"
COMPARED_SIDE = 1600  # pixels of the longer side of each half of a comparison
IN_COLOUR = 5.0  # CIE Lab units that a and b spread across their main direction: a toned print has less

Row = dict[str, str]


@dataclass(frozen=True)
class Options:
    """What is written, besides what the `Colorizer` decides.

    Attributes:
        compare: a picture of before and after beside each photograph.
        ab_only: a and b alone, as a NumPy file, instead of photographs.
        overwrite: whether files that are there may be replaced.
        max_megapixels: larger photographs are refused.
    """

    compare: bool = False
    ab_only: bool = False
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS


@dataclass
class Outcome:
    """How many photographs were coloured, were there already, failed or are none; and why they failed, by file.

    `trained_on` of those that are coloured are in the run's training partition.
    """

    done: int = 0
    skipped: int = 0
    left_out: int = 0
    trained_on: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def colorize_files(
    inputs: Sequence[Path],
    out: Path,
    load: Callable[[], Colorizer],
    options: Options | None = None,
    progress: Progress | None = None,
    partition_of: Callable[[Path], str] | None = None,
) -> Outcome:
    """Colour photographs, and those below folders, into `out`, which mirrors the folders.

    ``out/colorize.csv`` has a row per file. A photograph that has not changed since it was coloured by the same run
    with the same options is left as it is.

    Args:
        inputs: files, and folders, of which all photographs are taken.
        out: where they go; nothing else is written.
        load: makes the colorizer; called once the inputs are found to be in order.
        options: what to write.
        progress: told of each photograph.
        partition_of: where a photograph was in the run's data, for the report; see `pipeline.colorize.membership`.

    Raises:
        InputError: an input does not exist, `out` lies in a folder of inputs or they in it, or is in use, or has a
            colorize.csv of another kind, or the run cannot be used.
    """
    jobs, others = _listed(inputs, out)
    _known(out / REPORT)  # refused, if at all, before a network is loaded
    colorizer = load()
    work = _Work(out, colorizer, options or Options(), {name for _, name in jobs}, partition_of)
    # In the folder: the one above it may not be the user's.
    with locks.held(out / REPORT), work, (progress or Silent()).track("colorize, photographs", len(jobs)) as advance:
        for source, reason in others:
            work.leave_out(source, reason)
        for source, name in jobs:
            work.colour(source, name)
            advance(1)
    return work.outcome


def _listed(inputs: Iterable[Path], out: Path) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Photographs, each once and with its name below `out`; and what is none, with the reason."""
    jobs: list[tuple[Path, str]] = []
    others: list[tuple[Path, str]] = []
    target = out.resolve()
    seen = set()

    def add(photograph: Path, name: str) -> None:
        if (place := os.path.normpath(photograph.absolute())) not in seen:
            seen.add(place)
            jobs.append((photograph, name))

    for given in inputs:
        place = given.resolve()
        if not given.exists():
            raise InputError(
                f"{escaped(str(given))}: expected a photograph or a folder of them, received nothing there"
            )
        if place.is_relative_to(target) or (given.is_dir() and target.is_relative_to(place)):
            raise InputError(
                f"--out {escaped(str(out))}: expected a folder apart from the photographs, received one that "
                f"{escaped(str(given))} lies in or that lies in it; name another"
            )
        if not given.is_dir():
            add(given, given.name)
            continue
        found, remarks = files_below(given)
        others += [(given / remark.file, f"{remark.reason}: {remark.detail}") for remark in remarks]
        for name in found:
            if (given / name).resolve().is_relative_to(target):
                raise InputError(
                    f"--out {escaped(str(out))}: expected a folder apart from the photographs, received one that the "
                    f"link {escaped(str(given / name))} leads to; name another, or take the link away"
                )
            if Path(name).suffix.lower() in EXTENSIONS:
                add(given / name, name)
            else:
                others.append((given / name, f"not a photograph: expected one of {', '.join(EXTENSIONS)}"))
    return jobs, others


class _Work:
    """The photographs of one call; a context that holds the report open."""

    def __init__(
        self,
        out: Path,
        colorizer: Colorizer,
        options: Options,
        names: set[str],
        partition_of: Callable[[Path], str] | None,
    ) -> None:
        self.outcome = Outcome()
        self._out = out
        self._colorizer = colorizer
        self._options = options
        self._names = names  # outputs of these names are those files' own
        self._partition_of = partition_of or (lambda photograph: UNKNOWN)
        self._claimed: set[str] = set()
        self._note = f"Colours made by DeepColor {__version__}, run {colorizer.run}; not original"
        self._made_with = files.fingerprint([colorizer.identity, options.compare, options.ab_only])[:16]

    def __enter__(self) -> "_Work":
        self._out.mkdir(parents=True, exist_ok=True)
        self._rows = _known(self._out / REPORT)
        self._made_of = {row["output"]: file for file, row in self._rows.items() if row["output"]}
        files.write_csv(self._out / REPORT, COLUMNS, self._rows.values())
        self._file = (self._out / REPORT).open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="", lineterminator="\n")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        files.write_csv(self._out / REPORT, COLUMNS, self._rows.values())

    def leave_out(self, source: Path, reason: str) -> None:
        """Report a file that is no photograph."""
        self.outcome.left_out += 1
        self._tell({"file": _name(source), "status": LEFT_OUT, "detail": reason})

    def colour(self, source: Path, name: str) -> None:
        """Colour one photograph unless that is done; report it, whatever happens."""
        file = _name(source)
        before = self._rows.get(file, {})
        row = {"file": file, "made_with": self._made_with}
        try:
            status = source.stat()
            row |= {"bytes": str(status.st_size), "modified": str(status.st_mtime_ns)}
            if done := self._done(name, row, before):
                self._claim(done)
                self.outcome.skipped += 1
                self._rows[file] = before | {"status": DONE}
            else:
                row |= self._coloured(source, name, row, before)
                # The photograph is out of memory by now: it may be read once more.
                self._tell(row | {"status": DONE, "partition": self._partition_of(source)})
                self.outcome.done += 1
            self.outcome.trained_on += self._rows[file]["partition"] == "train"
        except Exception as error:  # whatever is wrong with one photograph, the others are coloured
            self.outcome.failed[file] = why_failed(error)
            # What was made before is still there, and still known, unless it was being replaced.
            self._tell(row | self._rows.get(file, {}) | {"status": FAILED, "detail": why_failed(error)})

    def _done(self, name: str, row: Row, before: Row) -> str | None:
        """The output that is there already, if it is what this call would write."""
        if not before.get("output_bytes") or any(before[key] != row[key] for key in ("made_with", "bytes", "modified")):
            return None
        for output in (name, _with_png(name), f"{name}.png", f"{name}.ab.npy"):
            path = self._out / output
            if escaped(output) == before["output"] and path.is_file():
                if str(path.stat().st_size) != before["output_bytes"] or (output != name and output in self._names):
                    return None
                if self._options.compare and not (self._out / f"{output}.compare.jpg").is_file():
                    before["output_bytes"] = ""  # unfinished
                    return None
                return output
        return None

    def _coloured(self, source: Path, name: str, row: Row, before: Row) -> Row:
        """Write what is asked for; what there is to report of it."""
        original = originals.read(source, self._options.max_megapixels, self._colorizer.size)
        output = self._output(source, name, original)
        self._claim(output)
        also = [f"{output}.compare.jpg"] if self._options.compare else []
        unfinished = before.get("output") == escaped(output) and not before["output_bytes"]
        if not self._options.overwrite and not unfinished:
            for path in (output, *also):
                if (self._out / path).exists():
                    made = "it was not made by this command"
                    if before.get("output") == escaped(output):
                        made = "it was made by another run or other options, or of a photograph that has changed since"
                    elif escaped(output) in self._made_of:
                        made = f"it was made of {self._made_of[escaped(output)]}"
                    raise _Refused(f"{path} exists: {made}; add --overwrite, or name another --out")
        self._tell(row | {"status": STARTED, "output": escaped(output)})
        remarks = list(original.remarks)
        if original.levels.ndim == 3 and _in_colour(original.levels):
            remarks.append("was in colour: its own colours are replaced")
        if not self._options.ab_only:
            rgb = self._colorizer(original.levels, original.alpha, original.reduced)
            with files.written_whole(self._out / output) as temporary:
                writing.write(temporary, original, rgb, self._note)
            if also:
                with files.written_whole(self._out / also[0]) as temporary:
                    _compare(temporary, original.levels, rgb)
        else:
            ab = self._colorizer.ab(original.levels, original.alpha, original.reduced)
            with files.written_whole(self._out / output) as temporary:
                temporary.write_bytes(files.npy(ab))
        size = (self._out / output).stat().st_size
        return {"output": escaped(output), "detail": "; ".join(remarks), "output_bytes": str(size)}

    def _output(self, source: Path, name: str, original: originals.Original) -> str:
        if self._options.ab_only:
            return f"{name}.ab.npy"
        if original.kept:
            return name
        other = _with_png(name)
        return other if other not in self._names | self._claimed else f"{name}.png"

    def _claim(self, output: str) -> None:
        if output in self._claimed:
            raise _Refused(f"{output} is already the output of another photograph of this call; colour them apart")
        self._claimed.add(output)

    def _tell(self, row: Row) -> None:
        self._rows[row["file"]] = {column: row.get(column, "") for column in COLUMNS}
        self._writer.writerow(self._rows[row["file"]])
        self._file.flush()


class _Refused(Exception):
    """This photograph cannot be written; the message says why."""


def _with_png(name: str) -> str:
    return Path(name).with_suffix(".png").as_posix()


def _name(path: Path) -> str:
    return escaped(str(path.absolute()))


def why_failed(error: Exception) -> str:
    """Why a photograph failed, in a sentence without its place on the disk."""
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f' ({Path(str(error.filename)).name})' if error.filename else ''}"
    plain = isinstance(error, UnreadablePhotograph | InputError | _Refused)
    return " ".join((str(error) if plain else f"{type(error).__name__}: {error}").split())


def _known(report: Path) -> dict[str, Row]:
    """The last whole row of each file; a line that was cut off is as good as none.

    Raises:
        InputError: there is a file of that name that this command did not write.
    """
    if not report.exists():
        return {}
    rows: list[Mapping[str, Any]] = []
    try:
        with report.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames
    except (OSError, ValueError, csv.Error):
        columns = None
    if tuple(columns or ()) != COLUMNS:
        raise InputError(
            f"{escaped(str(report))}: expected the report that colorize writes, received another file, or one that was "
            "changed by hand; move it away, or name another --out"
        )
    return {row["file"]: dict(row) for row in rows if set(row) == set(COLUMNS) and None not in row.values()}


def _in_colour(levels: Levels) -> bool:
    """Whether a photograph has more than the one hue of a toned print."""
    small = cv2.resize(levels, (64, 64), interpolation=cv2.INTER_AREA)
    ab = rgb2lab(small / np.iinfo(levels.dtype).max)[..., 1:].reshape(-1, 2)
    return bool(np.linalg.svd(ab - ab.mean(axis=0), compute_uv=False)[1] / 64 > IN_COLOUR)


def reduced(picture: Levels) -> UInt8:
    """A picture (H, W) or (H, W, 3) of 8 or 16 bits as (h, w, 3) uint8, at most `COMPARED_SIDE` pixels long."""
    height, width = picture.shape[:2]
    scale = min(1, COMPARED_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if small.dtype == np.uint16:
        small = np.rint(small / np.float32(257)).astype(np.uint8)
    return small if small.ndim == 3 else np.dstack([small] * 3)


def _compare(path: Path, before: Levels, after: Levels) -> None:
    halves = np.hstack([reduced(before), reduced(after)])
    Image.fromarray(halves).save(path, "JPEG", quality=writing.QUALITY, subsampling=0)
