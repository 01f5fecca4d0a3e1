"""Photographs coloured in a process of their own: one that takes all memory, or never ends, ends nothing else."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.errors import InputError

LOADED = 2  # runs whose networks are kept in memory
MOST_SECONDS = 900.0  # for one photograph
QUALITY = 90  # of the reduced pictures

# What a terminal sends to all its processes is for the one that serves to answer.
_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}

Tell = Callable[[str], None]


class Job(NamedTuple):
    """A photograph to colour.

    Attributes:
        source: its file.
        before: where a reduced JPEG of it goes, unless it is there.
        target: the folder for the coloured one, and what `stages colorize` says of it.
        after: where a reduced JPEG of that goes.
        run: ``results/<run>/``.
        saturation: what a and b are multiplied by.
    """

    source: Path
    before: Path
    target: Path
    after: Path
    run: Path
    saturation: float


class Coloured(NamedTuple):
    """The file that was written, in the job's `target`; remarks; the size in pixels."""

    file: str
    remarks: str
    width: int
    height: int


class Failed(Exception):
    """A photograph was not coloured; the message is a sentence for whoever brought it."""


class Worker:
    """The process; a context that ends it. It is made anew when it ended by itself.

    Meant for one thread, except for `stop`. When this process is killed, the other one removes `scratch` and ends.
    """

    def __init__(
        self, scratch: Path, *, max_megapixels: float, embedding_weights: Path | None = None, threads: int = 2
    ) -> None:
        """Start nothing yet; the arguments are those of `stages colorize`, `scratch` the folder of all jobs."""
        self._given = (scratch, max_megapixels, embedding_weights, threads)
        self._process: Any = None
        self._connection: Any = None
        self._stopped = False

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def load(self, run: Path) -> None:
        """Load the networks of a run.

        Raises:
            InputError: they cannot be used, or do not fit in memory.
        """
        try:
            self._ask(run, lambda step: None)
        except Failed as failed:
            raise InputError(str(failed)) from None

    def colour(self, job: Job, tell: Tell) -> Coloured:
        """Colour a photograph; `tell` is told of each step.

        Raises:
            Failed: says why.
        """
        done: Coloured = self._ask(job, tell)
        return done

    def stop(self) -> None:
        """End the process at once, whatever it does."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _ask(self, what: Path | Job, tell: Tell) -> Any:
        if self._stopped:
            raise Failed("the program is ending")
        if self._process is None or not self._process.is_alive():
            self._start()
        until = time.monotonic() + MOST_SECONDS
        try:
            self._connection.send(what)
            while self._connection.poll(max(0.0, until - time.monotonic())):
                kind, told = self._connection.recv()
                if kind == "step":
                    tell(told)
                elif kind == "failed":
                    raise Failed(told)
                else:
                    return told
        except (EOFError, OSError):
            self._process.join(5)
            raise Failed(
                f"the program that colours was ended ({_ending(self._process.exitcode)}): most likely there is not "
                "enough memory for this photograph; make it smaller"
            ) from None
        self._process.kill()
        self._process.join()
        raise Failed(f"it took more than {MOST_SECONDS / 60:g} minutes, and was given up; make it smaller")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, *self._given), daemon=True)
        resource_tracker.ensure_running()  # else started below, which ends what is blocked
        # The mask is inherited, and holds until the new process ignores them itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()


def _ending(status: int | None) -> str:
    if status is None or status >= 0:
        return f"status {status}"
    return signal.Signals(-status).name


def _main(connection: Any, scratch: Path, max_megapixels: float, weights: Path | None, threads: int) -> None:
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # where memory runs out, Linux is to end this process, and not the other
        Path("/proc/self/oom_score_adj").write_text("500")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    @lru_cache(maxsize=LOADED)
    def load(run: Path) -> Any:
        from pipeline.colorize.colorizer import Colorizer
        from pipeline.colorize.membership import Membership

        connection.send(("step", "loading the network"))
        return Colorizer.load(run, embedding_weights=weights, threads=threads), Membership(run)

    with contextlib.suppress(EOFError, ConnectionError):  # the other process is gone
        while True:
            asked = connection.recv()
            try:
                done = _colour(asked, load, connection, max_megapixels) if isinstance(asked, Job) else load(asked)
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                connection.send(("failed", _why(error)))
            else:
                connection.send(("done", done if isinstance(asked, Job) else None))
    shutil.rmtree(scratch, ignore_errors=True)


def _why(error: Exception) -> str:
    from pipeline.colorize.batch import why_failed

    return str(error) if isinstance(error, Failed) else why_failed(error)


def _colour(job: Job, load: Callable[[Path], Any], connection: Any, max_megapixels: float) -> Coloured:
    from pipeline.colorize.batch import Options, colorize_files
    from pipeline.colorize.report import COLUMNS, REPORT
    from pipeline.core import files

    if not job.before.exists():
        connection.send(("step", "reading"))
        _reduce(job.source, job.before, max_megapixels)
    colorizer, partition_of = load(job.run)
    colorizer = replace(colorizer, saturation=job.saturation)
    connection.send(("step", "colouring"))
    options = Options(max_megapixels=max_megapixels)
    outcome = colorize_files([job.source], job.target, lambda: colorizer, options, partition_of=partition_of)
    for sentence in outcome.failed.values():
        raise Failed(sentence)
    (row,) = files.read_csv(job.target / REPORT, COLUMNS)
    width, height = _reduce(job.target / row["output"], job.after, max_megapixels)
    remarks = [row["detail"], "the run was trained on this photograph" if outcome.trained_on else ""]
    return Coloured(row["output"], "; ".join(filter(None, remarks)), width, height)


def _reduce(source: Path, target: Path, max_megapixels: float) -> tuple[int, int]:
    """Write a reduced picture, transparency over white; width and height of the whole one."""
    from PIL import Image

    from pipeline.colorize.reduced import reduced
    from pipeline.core import files
    from pipeline.images import originals

    original = originals.read(source, max_megapixels)
    with files.written_whole(target) as temporary:
        small = Image.fromarray(reduced(original.levels, original.alpha))
        small.save(temporary, "JPEG", quality=QUALITY, subsampling=0)
    return original.levels.shape[1], original.levels.shape[0]
