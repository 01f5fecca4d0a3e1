"""Colour files and folders of photographs one by one: finished ones are skipped, and a failure stops no other."""

import contextlib
import os
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
from pipeline.colorize.protection import Protected, Refused
from pipeline.colorize.reduced import write_comparison
from pipeline.colorize.report import DONE, FAILED, LEFT_OUT, REPORT, STARTED, Report, Row
from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped
from pipeline.images import originals, writing
from pipeline.images.formats import MAX_MEGAPIXELS, UnreadablePhotograph
from pipeline.images.light import Levels

IN_COLOUR = 5.0  # CIE Lab units: spread of a and b across their main direction, above that of any toned print


@dataclass(frozen=True)
class Options:
    """What to write.

    Attributes:
        compare: write a before-and-after picture of each photograph too.
        ab_only: write only a and b, as NumPy files.
        overwrite: replace existing files.
        max_megapixels: refuse larger photographs.

    Raises:
        InputError: both `compare` and `ab_only` are set.
    """

    compare: bool = False
    ab_only: bool = False
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        if self.compare and self.ab_only:
            raise InputError("--compare: expected coloured photographs, received --ab-only; leave out one of the two")


@dataclass
class Outcome:
    """Counts of files by outcome, and the reasons for failures by file.

    `trained_on` counts the photographs that are in the run's training partition.
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
    partition_of: Callable[[Path], str] = lambda photograph: UNKNOWN,
) -> Outcome:
    """Colour photographs, and those in folders with all subfolders, into `out`, which mirrors the folders.

    ``out/colorize.csv`` has a row per file. A photograph is skipped if it is unchanged since the same run coloured it
    with the same options.

    Args:
        inputs: files and folders.
        out: the output folder; nothing is written elsewhere.
        load: makes the colorizer; called after the inputs are checked.
        options: what to write.
        progress: notified of each photograph.
        partition_of: the partition of the run's data that contains a photograph, for the report; see
            `pipeline.colorize.membership`.

    Raises:
        InputError: an input does not exist, one of inputs and `out` contains the other, `out` is in use or contains a
            colorize.csv of another program, or the run cannot be used.
        OSError: the disk is full, or `out` cannot be written.
    """
    photographs, others, protected = listed(inputs, out)
    report = Report(out)  # may refuse, so before the network is loaded
    names = {name for _, name in photographs}
    call = _Call(out, report, load(), options or Options(), names, protected, partition_of)
    tracked = (progress or Silent()).track("colorize, photographs", len(photographs))
    # The lock is inside the folder, because the folder above may belong to someone else.
    with locks.held(out / REPORT), report, tracked as advance:
        for source, reason in others:
            call.leave_out(source, reason)
        for source, name in photographs:
            call.colour(source, name)
            advance(1)
    return call.outcome


@dataclass
class _Call:
    """One call of `colorize_files`; outputs called like one of `names` are reserved for that photograph."""

    out: Path
    report: Report
    colorizer: Colorizer
    options: Options
    names: set[str]
    protected: Protected
    partition_of: Callable[[Path], str]
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.claimed: set[str] = set()
        self.note = f"{writing.NOTE} {__version__}, run {self.colorizer.run}; not original"
        decisive = [self.colorizer.identity, self.options.compare, self.options.ab_only]
        self.made_with = files.fingerprint(decisive)[:16]

    def leave_out(self, source: Path, reason: str) -> None:
        """Report a file that is not a photograph."""
        self.outcome.left_out += 1
        self.report.add({"file": _name(source), "status": LEFT_OUT, "detail": reason})

    def colour(self, source: Path, name: str) -> None:
        """Colour one photograph unless that is done, and report the outcome."""
        file = _name(source)
        before = self.report.rows.get(file, {})
        row = {"file": file, "made_with": self.made_with}
        try:
            status = source.stat()
            row |= {"bytes": str(status.st_size), "modified": str(status.st_mtime_ns)}
            if done := self._done(name, row, before):
                self._claim(done)
                self.outcome.skipped += 1
                self.report.rows[file] = before | {"status": DONE}
            else:
                row |= self._coloured(source, name, row, before)
                # By now the photograph is out of memory, so the membership may read it once more.
                self.report.add(row | {"status": DONE, "partition": self.partition_of(source)})
                self.outcome.done += 1
            self.outcome.trained_on += self.report.rows[file]["partition"] == "train"
        except Exception as error:  # the other photographs do not depend on this one
            reason = self.outcome.failed[file] = why_failed(error)
            full = isinstance(error, OSError) and error.errno in files.FULL
            with contextlib.suppress(OSError) if full else contextlib.nullcontext():
                # An earlier output still exists, so its columns stay, unless it was being replaced.
                self.report.add(row | self.report.rows.get(file, {}) | {"status": FAILED, "detail": reason})
            if full:  # the others would fail too
                raise

    def _done(self, name: str, row: Row, before: Row) -> str | None:
        """Return the existing output if it is what this call would write."""
        if not before.get("output_bytes") or any(before[key] != row[key] for key in ("made_with", "bytes", "modified")):
            return None
        for output in (name, _with_png(name), f"{name}.png", f"{name}.ab.npy"):
            path = self.out / output
            if escaped(output) == before["output"] and path.is_file():
                if str(path.stat().st_size) != before["output_bytes"] or (output != name and output in self.names):
                    return None
                if self.options.compare and not (self.out / f"{output}.compare.jpg").is_file():
                    before["output_bytes"] = ""  # unfinished
                    return None
                return output
        return None

    def _coloured(self, source: Path, name: str, row: Row, before: Row) -> Row:
        """Write the outputs for a photograph; return their columns of the report."""
        options = self.options
        original = originals.read(source, options.max_megapixels, self.colorizer.shorter_side)
        output = self._output(name, original)
        self._claim(output)
        comparison = f"{output}.compare.jpg"
        unfinished = before.get("output") == escaped(output) and not before["output_bytes"]
        outputs = [output, *([comparison] if options.compare else [])]
        for each in outputs:
            self.protected.refuse(self.out, each)
        if not options.overwrite and not unfinished:
            self._refuse_existing(outputs, before)
        self.report.add(row | {"status": STARTED, "output": escaped(output)})
        remarks = list(original.remarks)
        if original.levels.ndim == 3 and _in_colour(original.levels):
            remarks.append("was in colour: its own colours are replaced")
        make = self.colorizer.ab if options.ab_only else self.colorizer
        colours = make(original.levels, original.alpha, original.reduced)
        with files.written_whole(self.out / output) as temporary:
            if options.ab_only:
                temporary.write_bytes(files.npy(colours))
            else:
                writing.write(temporary, original, colours, self.note)
        if options.compare:
            with files.written_whole(self.out / comparison) as temporary:
                write_comparison(temporary, original.levels, colours, self.note)
        size = (self.out / output).stat().st_size
        return {"output": escaped(output), "detail": "; ".join(remarks), "output_bytes": str(size)}

    def _output(self, name: str, original: originals.Original) -> str:
        if self.options.ab_only:
            return f"{name}.ab.npy"
        if original.kept:
            return name
        other = _with_png(name)
        return other if other not in self.names | self.claimed else f"{name}.png"

    def _claim(self, output: str) -> None:
        if output in self.claimed:
            raise Refused(f"{output} is already the output of another photograph; colour the two in separate folders")
        self.claimed.add(output)

    def _refuse_existing(self, outputs: list[str], before: Row) -> None:
        for output in outputs:
            if not os.path.lexists(self.out / output):
                continue
            origin = "not by this command"
            if before.get("output") == escaped(outputs[0]):
                origin = "by another run, with other options, or from an earlier version of the photograph"
            elif source := self.report.source_of(outputs[0]):
                origin = f"from {source}"
            raise Refused(f"{output} exists and was made {origin}; add --overwrite, or change --out")


def _with_png(name: str) -> str:
    return Path(name).with_suffix(".png").as_posix()


def _name(path: Path) -> str:
    return escaped(str(path.absolute()))


def why_failed(error: Exception) -> str:
    """Return why a photograph failed, in one line without its folder."""
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f' ({Path(str(error.filename)).name})' if error.filename else ''}"
    plain = isinstance(error, UnreadablePhotograph | InputError | Refused)
    return " ".join((str(error) if plain else f"{type(error).__name__}: {error}").split())


def _in_colour(levels: Levels) -> bool:
    """Whether a photograph has more than the one hue of a toned print."""
    small = cv2.resize(levels, (64, 64), interpolation=cv2.INTER_AREA)
    ab = rgb2lab(small / np.iinfo(levels.dtype).max)[..., 1:].reshape(-1, 2)
    return bool(np.linalg.svd(ab - ab.mean(axis=0), compute_uv=False)[1] / 64 > IN_COLOUR)
