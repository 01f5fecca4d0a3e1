"""Files and folders of photographs, coloured one by one: what is done stays, and a failure stops nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from skimage.color import rgb2lab

from pipeline import __version__
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.inputs import listed
from pipeline.colorize.membership import UNKNOWN
from pipeline.colorize.reduced import write_comparison
from pipeline.colorize.report import DONE, FAILED, LEFT_OUT, REPORT, STARTED, Report, Row
from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped
from pipeline.images import originals, writing
from pipeline.images.formats import MAX_MEGAPIXELS, UnreadablePhotograph
from pipeline.images.light import Levels

IN_COLOUR = 5.0  # CIE Lab units that a and b spread across their main direction: a toned print has less


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
    photographs, others = listed(inputs, out)
    report = Report(out)  # refused, if at all, before a network is loaded
    names = {name for _, name in photographs}
    work = _Work(out, report, load(), options or Options(), names, partition_of)
    tracked = (progress or Silent()).track("colorize, photographs", len(photographs))
    # In the folder: the one above it may not be the user's.
    with locks.held(out / REPORT), report, tracked as advance:
        for source, reason in others:
            work.leave_out(source, reason)
        for source, name in photographs:
            work.colour(source, name)
            advance(1)
    return work.outcome


class _Work:
    """The photographs of one call."""

    def __init__(
        self,
        out: Path,
        report: Report,
        colorizer: Colorizer,
        options: Options,
        names: set[str],
        partition_of: Callable[[Path], str] | None,
    ) -> None:
        self.outcome = Outcome()
        self._out = out
        self._report = report
        self._colorizer = colorizer
        self._options = options
        self._names = names  # outputs of these names are those files' own
        self._partition_of = partition_of or (lambda photograph: UNKNOWN)
        self._claimed: set[str] = set()
        self._note = f"Colours made by DeepColor {__version__}, run {colorizer.run}; not original"
        self._made_with = files.fingerprint([colorizer.identity, options.compare, options.ab_only])[:16]

    def leave_out(self, source: Path, reason: str) -> None:
        """Report a file that is no photograph."""
        self.outcome.left_out += 1
        self._report.add({"file": _name(source), "status": LEFT_OUT, "detail": reason})

    def colour(self, source: Path, name: str) -> None:
        """Colour one photograph unless that is done; report it, whatever happens."""
        file = _name(source)
        before = self._report.rows.get(file, {})
        row = {"file": file, "made_with": self._made_with}
        try:
            status = source.stat()
            row |= {"bytes": str(status.st_size), "modified": str(status.st_mtime_ns)}
            if done := self._done(name, row, before):
                self._claim(done)
                self.outcome.skipped += 1
                self._report.rows[file] = before | {"status": DONE}
            else:
                row |= self._coloured(source, name, row, before)
                # The photograph is out of memory by now: it may be read once more.
                self._report.add(row | {"status": DONE, "partition": self._partition_of(source)})
                self.outcome.done += 1
            self.outcome.trained_on += self._report.rows[file]["partition"] == "train"
        except Exception as error:  # whatever is wrong with one photograph, the others are coloured
            self.outcome.failed[file] = why_failed(error)
            # What was made before is still there, and still known, unless it was being replaced.
            self._report.add(row | self._report.rows.get(file, {}) | {"status": FAILED, "detail": why_failed(error)})

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
                    elif other := self._report.source_of(output):
                        made = f"it was made of {other}"
                    raise _Refused(f"{path} exists: {made}; add --overwrite, or name another --out")
        self._report.add(row | {"status": STARTED, "output": escaped(output)})
        remarks = list(original.remarks)
        if original.levels.ndim == 3 and _in_colour(original.levels):
            remarks.append("was in colour: its own colours are replaced")
        if not self._options.ab_only:
            rgb = self._colorizer(original.levels, original.alpha, original.reduced)
            with files.written_whole(self._out / output) as temporary:
                writing.write(temporary, original, rgb, self._note)
            if also:
                with files.written_whole(self._out / also[0]) as temporary:
                    write_comparison(temporary, original.levels, rgb)
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


def _in_colour(levels: Levels) -> bool:
    """Whether a photograph has more than the one hue of a toned print."""
    small = cv2.resize(levels, (64, 64), interpolation=cv2.INTER_AREA)
    ab = rgb2lab(small / np.iinfo(levels.dtype).max)[..., 1:].reshape(-1, 2)
    return bool(np.linalg.svd(ab - ab.mean(axis=0), compute_uv=False)[1] / 64 > IN_COLOUR)
