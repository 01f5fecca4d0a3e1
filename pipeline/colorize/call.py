"""Colour the photographs of one output folder: finished ones are skipped, and a failure stops no other."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import __version__
from pipeline.colorize import tones
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.hints import Hint
from pipeline.colorize.inputs import Inputs
from pipeline.colorize.options import Options
from pipeline.colorize.outcome import IN_COLOUR, OURS, LeftAsItIs, Outcome, why_failed
from pipeline.colorize.outputs import (
    as_png,
    comparison_of,
    is_ours,
    numbered,
    original_of,
    templated,
    variant_of,
    with_ending,
)
from pipeline.colorize.protection import Identity, Refused, identity
from pipeline.colorize.reduced import write_comparison
from pipeline.colorize.report import DONE, FAILED, LEFT_OUT, REPORT, STARTED, Report, Row, shown_path
from pipeline.core import files
from pipeline.core.text import escaped
from pipeline.images import originals, writing, xmp


@dataclass
class Call:
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
        self.written: set[Identity | None] = set()  # of the outputs, also where disks ignore the case of names
        # Outputs with these names are reserved for the photograph itself.
        own = [name for _, name in self.found.photographs]
        self.names = {templated(self.options.name, name) for name in own} | {*(own if self.beside else ())}

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
        hints = self.options.hints.for_photograph(name)
        file, name = shown_path(source), templated(self.options.name, name)
        row = {"file": file, "made_with": self._made_with(hints)}
        try:
            status = source.stat()
            # The second time also changes where a file with the same first one takes its place.
            row |= {"bytes": str(status.st_size), "modified": f"{status.st_mtime_ns} {status.st_ctime_ns}"}
            before = self._before(source, name, row)
            if done := self._done(source, name, row, before):
                outputs = self._outputs(done, name)
                self._claim(outputs)
                self._remember(outputs)
                self.outcome.skipped += 1
                if before["status"] != DONE:  # the remarks were lost by a failure since then
                    row["detail"] = "; ".join(self._read(source)[1])
                self.report.add(before | row | {"sha256": before["sha256"], "status": DONE})
            elif reason := self._left_out_before(source, row, before):
                self._leave_as_it_is(row, reason)
            else:
                row |= self._coloured(source, name, row, before, hints)
                now = source.stat()
                if (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
                    raise Refused("changed while it was coloured; run the same command again")
                # By now the photograph is out of memory, so the membership may read it once more.
                self.report.add(row | {"status": DONE, "partition": self.partition_of(source)})
                self.outcome.done += 1
            self.outcome.trained_on += self.report.rows[file]["partition"] == "train"
        except LeftAsItIs as reason:
            self._leave_as_it_is(row, str(reason))
        except Exception as error:  # the other photographs do not depend on this one
            full = isinstance(error, OSError) and error.errno in files.FULL
            with contextlib.suppress(OSError) if full else contextlib.nullcontext():
                self.fail(row, why_failed(error))
            if full:  # the others would fail too
                raise

    def _made_with(self, hints: Sequence[Hint]) -> str:
        """Return a digest of all that decides the outputs, except the photograph."""
        decisive = [self.colorizer.identity, self.options.compare, self.options.ab_only]
        if self.options.like:
            decisive.append({"like": self.options.like.identity})
        if self.options.keep_original:
            decisive.append("original")
        if self.options.variants > 1:
            decisive.append({"variants": self.options.variants, "seed": self.options.seed})
        if self.options.variant:
            decisive.append({"variant": self.options.variant, "seed": self.options.seed})
        return files.fingerprint(decisive + [hint.as_json() for hint in hints])[:16]

    def _note(self, hints: Sequence[Hint], variant: int) -> str:
        """Return the sentence that an output carries."""
        places = "1 place" if len(hints) == 1 else f"{len(hints)} places"
        chosen = ", colours of an example" if self.options.like else ""
        chosen += f", colours at {places} chosen by a person" if hints else ""
        varied = f", variant {variant + 1}" if variant else ""
        return f"{xmp.NOTE} {__version__}, run {self.colorizer.run}{chosen}; not original{varied}"

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
            if self.options.unique or output == with_ending(name, ".png"):
                others = (numbered(output, number) for number in itertools.count(2))
                yield from itertools.takewhile(lambda other: os.path.lexists(self.out / other), others)

    def _unchanged(self, source: Path, row: Row, before: Row) -> bool:
        """Whether a photograph has the content that it had before."""
        if before.get("bytes") != row["bytes"]:
            return False
        if before["modified"] == row["modified"] and before["file"] == row["file"]:
            return True
        if not before["sha256"]:  # of an earlier version
            return before["modified"].split()[:1] == row["modified"].split()[:1]
        return before["sha256"] == files.digest_file(source)

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
                if not all((self.out / each).is_file() for each in self._outputs(output, name)):
                    before["output_bytes"] = ""  # unfinished
                    return None
                return output
        return None

    def _left_out_before(self, source: Path, row: Row, before: Row) -> str | None:
        """Return the reason for which a photograph is left as it is again, without reading it."""
        if before.get("status") != LEFT_OUT or not self._unchanged(source, row, before):
            return None
        valid = {IN_COLOUR: not self.options.recolor, OURS: not self._is_named(source)}
        return before["detail"] if valid.get(before["detail"]) else None

    def _leave_as_it_is(self, row: Row, reason: str) -> None:
        self.outcome.in_colour += reason == IN_COLOUR
        self.outcome.ours += reason == OURS
        self.leave_out(row, reason)

    def _is_named(self, source: Path) -> bool:
        return os.path.normpath(source.absolute()) in self.found.named

    def _coloured(self, source: Path, name: str, row: Row, before: Row, hints: Sequence[Hint]) -> Row:
        """Write the outputs for a photograph; return their columns of the report."""
        options, note = self.options, self._note(hints, self.options.variant)
        original, remarks = self._read(source)
        output = self._output(name, original, before)
        outputs = self._outputs(output, name)
        self._claim(outputs)
        for each in outputs:
            self.found.protected.refuse(self.out, each)
            if os.path.lexists(self.out / each) and identity(self.out / each, follow_links=False) in self.written:
                raise _taken(each)
        if not options.overwrite and not self._unfinished(output, before):
            self._refuse_existing(outputs, before)
        row["sha256"] = original.sha256
        self.report.add(row | {"status": STARTED, "output": escaped(output)})
        seen = self.colorizer.see(original.levels, original.alpha, original.reduced)
        make = self.colorizer.put_ab if options.ab_only else self.colorizer.put
        colours = make(original.levels, seen.colours(hints, options.variant, options.seed, options.like))
        with files.written_whole(self.out / output) as temporary:
            if options.ab_only:
                files.fill(temporary, files.npy(colours))
            else:
                writing.write(temporary, original, colours, note)
        if options.compare:
            with files.written_whole(self.out / outputs[1]) as temporary:
                write_comparison(temporary, original.levels, colours, note)
        for number in range(2, options.variants + 1):
            colours = make(original.levels, seen.colours(hints, number - 1, options.seed, options.like))
            with files.written_whole(self.out / variant_of(output, number)) as temporary:
                writing.write(temporary, original, colours, self._note(hints, number - 1))
        if options.keep_original:
            with files.written_whole(self.out / original_of(output, name)) as temporary:
                files.fill(temporary, source.read_bytes())
                shutil.copystat(source, temporary)
        self._remember(outputs)
        size = (self.out / output).stat().st_size
        return {"output": escaped(output), "detail": "; ".join(remarks), "output_bytes": str(size)}

    def _read(self, source: Path) -> tuple[originals.Original, list[str]]:
        """Read a photograph and what is to be said about it; refuse our own, and one in colour unless it may be."""
        original = originals.read(source, self.options.max_megapixels, self.colorizer.shorter_side)
        if original.ours and not self._is_named(source):
            raise LeftAsItIs(OURS)
        remarks = list(original.remarks)
        kind = tones.kind_of(original.levels, original.alpha)
        if kind == tones.COLOUR and not self.options.recolor:
            raise LeftAsItIs(IN_COLOUR)
        if kind != tones.GRAY:
            remarks.append(f"{kind}: its own colours are replaced")
        return original, remarks

    def _outputs(self, output: str, name: str) -> list[str]:
        kept = [original_of(output, name)] if self.options.keep_original else []
        variants = [variant_of(output, number) for number in range(2, self.options.variants + 1)]
        return [output, *([comparison_of(output)] if self.options.compare else []), *variants, *kept]

    def _output(self, name: str, original: originals.Original, before: Row) -> str:
        if self.options.ab_only:
            output = with_ending(name, ".ab.npy")
        elif original.kept:
            output = name
        else:
            other = with_ending(name, ".png")
            more = (numbered(other, number) for number in itertools.count(1))
            reserved = self.names | self.claimed
            output = next(each for each in itertools.chain([as_png(name)], more) if each not in reserved)
        if not self.options.unique:
            return output
        return next(
            each for each in (numbered(output, n) for n in itertools.count(1)) if self._free(each, name, before)
        )

    def _free(self, output: str, name: str, before: Row) -> bool:
        """Whether a photograph may have this output without replacing any file."""
        outputs = self._outputs(output, name)
        if self.claimed.intersection(outputs) or self.names.intersection(set(outputs) - {name}):
            return False
        return self._unfinished(output, before) or not any(os.path.lexists(self.out / each) for each in outputs)

    def _claim(self, outputs: list[str]) -> None:
        for output in outputs:
            if output in self.claimed or (output != outputs[0] and output in self.names):
                raise _taken(output)
        self.claimed.update(outputs)

    def _remember(self, outputs: list[str]) -> None:
        """Note which files are outputs of this call, under whatever name."""
        self.written |= {identity(self.out / output, follow_links=False) for output in outputs}

    def _unfinished(self, output: str, before: Row) -> bool:
        """Whether a call was stopped while it wrote this output, and wrote what is there."""
        if before.get("output") != escaped(output) or before["output_bytes"]:
            return False
        path = self.out / output
        return not os.path.lexists(path) or (path.is_file() and is_ours(path))

    def _refuse_existing(self, outputs: list[str], before: Row) -> None:
        for output in outputs:
            if not os.path.lexists(self.out / output):
                continue
            origin = f"by something that {REPORT} does not list"
            if before.get("output") == escaped(outputs[0]):
                origin = "by another run, with other options, or from an earlier version of the photograph"
            elif source := self.report.source_of(outputs[0]):
                origin = f"from {source}"
            raise Refused(f"{output} exists and was made {origin}; add --overwrite or --unique, or change --out")


def _taken(output: str) -> Refused:
    return Refused(f"{output} is already the output of another photograph; add --unique, or colour it elsewhere")
