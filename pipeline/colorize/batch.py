"""Colour files and folders of photographs one by one: finished ones are skipped, and a failure stops no other."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from pipeline.colorize import inputs as given
from pipeline.colorize.call import Call
from pipeline.colorize.colorizer import Colorizer
from pipeline.colorize.membership import UNKNOWN
from pipeline.colorize.options import Options
from pipeline.colorize.outcome import Outcome
from pipeline.colorize.outputs import NAME
from pipeline.colorize.report import REPORT, Report, shown_path
from pipeline.core import locks
from pipeline.core.errors import InputError
from pipeline.core.progress import Progress, Silent
from pipeline.core.text import escaped


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
    if out is None and options.keep_original:
        raise InputError("--keep-original-beside: expected --out, received none; outputs lie beside their originals")
    outcome, loaded = Outcome(), cache(load)
    places = []
    for folder, paths in ({out: list(inputs)} if out is not None else given.roots(inputs)).items():
        report = Report(folder)  # may refuse, so before the network is loaded
        found = given.listed(paths, folder, beside=out is None)
        if out is None:
            for path, _ in found.others:
                if path.name == REPORT:  # of a call for a subfolder
                    report.take_over(path)
            given.without_outputs(found, {row["output"] for row in report.rows.values()})
        places.append((folder, report, found))
        outcome.formats |= {name: outcome.formats.get(name, 0) + n for name, n in found.formats.items()}
    if not any(found.photographs or found.unreadable for _, _, found in places):
        _refuse_nothing(inputs, outcome.formats)
    options.hints.refuse_unused([name for _, _, found in places for _, name in found.photographs])
    if options.like:
        options.like.check()  # before the network is loaded
    for folder, report, found in places:
        outcome.reports.append(folder / REPORT)
        # The lock is inside the folder, because the folder above may belong to someone else.
        with locks.held(folder / REPORT):
            call = Call(folder, report, loaded(), options, found, partition_of, outcome, beside=out is None)
            tracked = (progress or Silent()).track("colorize, photographs", len(found.photographs))
            with report, tracked as advance:
                for source, reason in found.others:
                    call.leave_out({"file": shown_path(source)}, reason)
                for source, reason in found.unreadable:
                    call.fail({"file": shown_path(source)}, reason)
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
