"""Colour files and folders of photographs one by one: finished ones are skipped, and a failure stops no other."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline import __version__
from pipeline.colorize import inputs as given
from pipeline.colorize import tones
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.inputs import Inputs
from pipeline.colorize.membership import UNKNOWN
from pipeline.colorize.options import Options
from pipeline.colorize.outcome import Outcome, why_failed
from pipeline.colorize.outputs import NAME, as_png, comparison_of, numbered, templated, with_ending
from pipeline.colorize.protection import Refused
from pipeline.colorize.reduced import write_comparison
from pipeline.colorize.report import DONE, FAILED, LEFT_OUT, REPORT, STARTED, Report, Row
from pipeline.core import files, locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped
from pipeline.images import originals, writing

IN_COLOUR = "already in colour: left as it is; --recolor replaces its colours"


def colorize_files(
    inputs: Sequence[Path],
    out: Path | None,
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
        out: the output folder; nothing is written elsewhere. None: beside the photographs; each folder of `inputs`
            then has its own report.
        load: makes the colorizer; called after the inputs are checked.
        options: what to write.
        progress: notified of each photograph.
        partition_of: the partition of the run's data that contains a photograph, for the report; see
            `pipeline.colorize.membership`.

    Raises:
        InputError: an input does not exist, there are no photographs, one of inputs and `out` contains the other, `out`
            is in use or contains a colorize.csv of another program, or the run cannot be used.
        OSError: the disk is full, or `out` cannot be written.
    """
    options = options or Options()
    if out is None and options.name == NAME:
        raise InputError("--out: expected a folder, received none; name one, or add --suffix for outputs beside")
    outcome, loaded = Outcome(), cache(load)
    places = []
    for folder, paths in ({out: list(inputs)} if out is not None else given.roots(inputs)).items():
        report = Report(folder)  # may refuse, so before the network is loaded
        found = given.listed(paths, folder, beside=out is None)
        if out is None:
            given.without_outputs(found, {row["output"] for row in report.rows.values()})
        places.append((folder, report, found))
        outcome.formats |= {name: outcome.formats.get(name, 0) + n for name, n in found.formats.items()}
    if not any(found.photographs or found.unreadable for _, _, found in places):
        _refuse_nothing(inputs, outcome.formats)
    for folder, report, found in places:
        outcome.reports.append(folder / REPORT)
        # The lock is inside the folder, because the folder above may belong to someone else.
        with locks.held(folder / REPORT):
            call = _Call(folder, report, loaded(), options, found, partition_of, outcome, beside=out is None)
            tracked = (progress or Silent()).track("colorize, photographs", len(found.photographs))
            with report, tracked as advance:
                for source, reason in found.others:
                    call.leave_out({"file": _name(source)}, reason)
                for source, reason in found.unreadable:
                    call.fail({"file": _name(source)}, reason)
                for source, name in found.photographs:
                    call.colour(source, name)
                    advance(1)
    return outcome


def _refuse_nothing(inputs: Sequence[Path], formats: dict[str, int]) -> None:
    shown = ", ".join(escaped(str(path)) for path in inputs[:3])
    known = ", ".join(f"{count} {name}" for name, count in formats.items())
    received = f"only files in formats that are not read ({known}); convert them to PNG or TIFF first"
    nothing = "none; name a photograph or a folder of photographs"
    raise InputError(f"{shown}: expected photographs to colour, received {received if known else nothing}")


@dataclass
class _Call:
    """Colours the photographs of one output folder."""

    out: Path
    report: Report
    colorizer: Colorizer
    options: Options
    found: Inputs
    partition_of: Callable[[Path], str]
    outcome: Outcome
    beside: bool

    def __post_init__(self) -> None:
        self.claimed: set[str] = set()
        # Outputs with these names are reserved for the photograph itself.
        own = [name for _, name in self.found.photographs]
        self.names = {templated(self.options.name, name) for name in own} | {*(own if self.beside else ())}
        self.note = f"{writing.NOTE} {__version__}, run {self.colorizer.run}; not original"
        decisive = [self.colorizer.identity, self.options.compare, self.options.ab_only]
        self.made_with = files.fingerprint(decisive)[:16]

    def leave_out(self, row: Row, reason: str) -> None:
        """Report a file that is not coloured on purpose."""
        self.outcome.left_out += 1
        self.report.add(row | {"status": LEFT_OUT, "detail": reason})

    def fail(self, row: Row, reason: str) -> None:
        """Report a file or folder that could not be read, or not be coloured."""
        self.outcome.failed[row["file"]] = reason
        # An earlier output still exists, so its columns stay, unless it was being replaced.
        self.report.add(row | self.report.rows.get(row["file"], {}) | {"status": FAILED, "detail": reason})

    def colour(self, source: Path, name: str) -> None:
        """Colour one photograph unless that is done, and report the outcome."""
        file, name = _name(source), templated(self.options.name, name)
        row = {"file": file, "made_with": self.made_with}
        try:
            status = source.stat()
            row |= {"bytes": str(status.st_size), "modified": str(status.st_mtime_ns)}
            before = self._before(source, name, row)
            if done := self._done(source, name, row, before):
                self._claim(done)
                self.outcome.skipped += 1
                self.report.add(before | row | {"sha256": before["sha256"], "status": DONE})
            elif self._is_left_in_colour(source, row, before):
                self._leave_in_colour(row)
            else:
                row |= self._coloured(source, name, row, before)
                # By now the photograph is out of memory, so the membership may read it once more.
                self.report.add(row | {"status": DONE, "partition": self.partition_of(source)})
                self.outcome.done += 1
            self.outcome.trained_on += self.report.rows[file]["partition"] == "train"
        except _InColourError:
            self._leave_in_colour(row)
        except Exception as error:  # the other photographs do not depend on this one
            full = isinstance(error, OSError) and error.errno in files.FULL
            with contextlib.suppress(OSError) if full else contextlib.nullcontext():
                self.fail(row, why_failed(error))
            if full:  # the others would fail too
                raise

    def _before(self, source: Path, name: str, row: Row) -> Row:
        """Return the row of an earlier call for this photograph, even if it was in another folder then."""
        if own := self.report.rows.get(row["file"]):
            return own
        for output in self._candidates(name):
            moved = self.report.rows.get(self.report.source_of(output) or "", {})
            if moved and self._unchanged(source, row, moved):
                return moved
        return {}

    def _candidates(self, name: str) -> Iterator[str]:
        """Yield the names that the output may have."""
        for output in (name, as_png(name), with_ending(name, ".png"), with_ending(name, ".ab.npy")):
            yield output
            if self.options.unique:
                others = (numbered(output, number) for number in itertools.count(2))
                yield from itertools.takewhile(lambda other: os.path.lexists(self.out / other), others)

    def _unchanged(self, source: Path, row: Row, before: Row) -> bool:
        """Whether a photograph has the content that it had before."""
        if before.get("bytes") != row["bytes"]:
            return False
        if before["modified"] == row["modified"] and (before["file"] == row["file"] or not before["sha256"]):
            return True
        return before["sha256"] != "" and before["sha256"] == files.digest_file(source)

    def _done(self, source: Path, name: str, row: Row, before: Row) -> str | None:
        """Return the existing output if it is what this call would write."""
        if not before.get("output_bytes") or before["made_with"] != row["made_with"]:
            return None
        if not self._unchanged(source, row, before):
            return None
        for output in self._candidates(name):
            path = self.out / output
            if escaped(output) == before["output"] and path.is_file():
                if str(path.stat().st_size) != before["output_bytes"] or (output != name and output in self.names):
                    return None
                if self.options.compare and not (self.out / comparison_of(output)).is_file():
                    before["output_bytes"] = ""  # unfinished
                    return None
                return output
        return None

    def _is_left_in_colour(self, source: Path, row: Row, before: Row) -> bool:
        left = before.get("status") == LEFT_OUT and before["detail"] == IN_COLOUR and not self.options.recolor
        return left and self._unchanged(source, row, before)

    def _leave_in_colour(self, row: Row) -> None:
        self.outcome.in_colour += 1
        self.leave_out(row, IN_COLOUR)

    def _coloured(self, source: Path, name: str, row: Row, before: Row) -> Row:
        """Write the outputs for a photograph; return their columns of the report."""
        options = self.options
        original = originals.read(source, options.max_megapixels, self.colorizer.shorter_side)
        remarks = list(original.remarks)
        colour = tones.own_colour(original.levels, original.alpha)
        if colour > tones.IN_COLOUR and not options.recolor:
            raise _InColourError
        if colour > tones.DOUBTFUL:
            remarks.append(
                f"{'was' if colour > tones.IN_COLOUR else 'perhaps'} in colour: its own colours are replaced"
            )
        output = self._output(name, original, before)
        self._claim(output)
        outputs = [output, *([comparison_of(output)] if options.compare else [])]
        for each in outputs:
            self.found.protected.refuse(self.out, each)
        if not options.overwrite and not _unfinished(output, before):
            self._refuse_existing(outputs, before)
        row["sha256"] = files.digest_file(source)
        self.report.add(row | {"status": STARTED, "output": escaped(output)})
        make = self.colorizer.ab if options.ab_only else self.colorizer
        colours = make(original.levels, original.alpha, original.reduced)
        with files.written_whole(self.out / output) as temporary:
            if options.ab_only:
                files.fill(temporary, files.npy(colours))
            else:
                writing.write(temporary, original, colours, self.note)
        if options.compare:
            with files.written_whole(self.out / outputs[1]) as temporary:
                write_comparison(temporary, original.levels, colours, self.note)
        size = (self.out / output).stat().st_size
        return {"output": escaped(output), "detail": "; ".join(remarks), "output_bytes": str(size)}

    def _output(self, name: str, original: originals.Original, before: Row) -> str:
        if self.options.ab_only:
            output = with_ending(name, ".ab.npy")
        elif original.kept:
            output = name
        else:
            other = as_png(name)
            output = other if other not in self.names | self.claimed else with_ending(name, ".png")
        if not self.options.unique:
            return output
        return next(
            each for each in (numbered(output, n) for n in itertools.count(1)) if self._free(each, name, before)
        )

    def _free(self, output: str, name: str, before: Row) -> bool:
        """Whether a photograph may have this output without replacing any file."""
        if output in self.claimed or (output != name and output in self.names):
            return False
        outputs = [output, *([comparison_of(output)] if self.options.compare else [])]
        return _unfinished(output, before) or not any(os.path.lexists(self.out / each) for each in outputs)

    def _claim(self, output: str) -> None:
        if output in self.claimed:
            raise Refused(f"{output} is already the output of another photograph; add --unique, or colour it elsewhere")
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
            raise Refused(f"{output} exists and was made {origin}; add --overwrite or --unique, or change --out")


class _InColourError(Exception):
    """A colour photograph that is to stay as it is."""


def _unfinished(output: str, before: Row) -> bool:
    return before.get("output") == escaped(output) and not before["output_bytes"]


def _name(path: Path) -> str:
    return escaped(str(path.absolute()))
