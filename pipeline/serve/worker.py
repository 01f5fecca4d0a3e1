"""Colouring in a separate process: a photograph that takes too much memory or time ends only that process."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from pipeline.colorize.hints import Hints
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.serve.jobs import HINTS, Coloured, Job, Place, Preview, Strip, Whole
from pipeline.serve.refusal import disk_full

LOADED = 2  # runs whose networks stay in memory
MOST_SECONDS = 900.0  # for one photograph
QUALITY = 90  # of the JPEGs that the page shows
MOST_SHOWN = 50e6  # pixels of a photograph at 100 %; browsers need 4 bytes for each
LONGEST_SHOWN = 32_000  # pixels of its longer side

# A terminal sends these to both processes; only the server acts on them.
_TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGHUP}

Report = Callable[[str], None]  # receives the current step in words


class Worker:
    """The process that colours; a new one replaces it after it has ended.

    Only `close` may be called while another thread is asking. If the server is killed, the process deletes `scratch`
    and ends.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        max_megapixels: float,
        embedding_weights: Path | None = None,
        temperature: float | None = None,
        threads: int = 2,
    ) -> None:
        """Set the folder of all jobs, and options of `stages colorize`; the first request starts the process."""
        options = {"embedding_weights": embedding_weights, "temperature": temperature, "threads": threads}
        self._scratch = scratch
        self._arguments = (scratch, max_megapixels, options)
        self._process: Any = None
        self._connection: Any = None
        self._closed = False

    def load(self, run: Path) -> None:
        """Load the networks of a run.

        Raises:
            InputError: they cannot be used, or do not fit in memory.
        """
        self._ask(run, lambda step: None)

    def colour(self, job: Job, report: Report) -> Coloured:
        """Colour a photograph, and report each step.

        Raises:
            InputError: it could not be coloured; the message is for the person who uploaded it.
        """
        coloured: Coloured = self._ask(job, report)
        return coloured

    def preview(self, request: Preview | Place | Strip) -> Any:
        """Return JPEG bytes, or a list of likely colours, "#rrggbb"; see `pipeline.serve.previews`.

        Raises:
            InputError: the photograph cannot be read, the network takes no hints, or a place is not on the
                photograph.
        """
        return self._ask(request, lambda step: None)

    def show(self, whole: Whole) -> None:
        """Write a JPEG in full size.

        Raises:
            InputError: the photograph cannot be read, or the JPEG cannot be written.
        """
        self._ask(whole, lambda step: None)

    def close(self) -> None:
        """End the process at once, whatever it is doing."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _ask(self, request: Path | Job | Whole | Preview | Place | Strip, report: Report) -> Any:
        if self._closed:
            raise InputError("the program is ending")
        if self._process is None or not self._process.is_alive():
            self._start()
        deadline = time.monotonic() + MOST_SECONDS
        try:
            self._connection.send(request)
            while self._connection.poll(max(0.0, deadline - time.monotonic())):
                kind, content = self._connection.recv()
                if kind == "done":
                    return content
                if kind == "failed":
                    raise InputError(content)
                if kind == "full":
                    raise disk_full(self._scratch)
                report(content)
        except (EOFError, OSError):
            self._process.join(5)
            status = self._process.exitcode
            reason = signal.Signals(-status).name if status and status < 0 else f"status {status}"
            raise InputError(
                f"the colouring process ended ({reason}), probably because memory ran out; make the photograph smaller"
            ) from None
        self._process.kill()
        self._process.join()
        raise InputError(f"colouring took more than {MOST_SECONDS / 60:g} minutes; make the photograph smaller")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, *self._arguments), daemon=True)
        resource_tracker.ensure_running()  # starting it below would unblock the signals
        # The new process inherits the mask, until it ignores the signals itself.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL_SIGNALS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()


def _main(connection: Any, scratch: Path, max_megapixels: float, options: dict[str, Any]) -> None:
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # when memory runs out, Linux should kill this process and not the server
        Path("/proc/self/oom_score_adj").write_text("500")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    @lru_cache(maxsize=LOADED)
    def load(run: Path) -> Any:
        from pipeline.colorize.colorizer import Colorizer
        from pipeline.colorize.membership import Membership

        connection.send(("step", "loading the network"))
        return Colorizer.load(run, **options), Membership(run)

    @cache
    def previews() -> Any:
        from pipeline.serve.previews import Previews

        return Previews(lambda run: load(run)[0], max_megapixels)

    with contextlib.suppress(EOFError, ConnectionError):  # the server has ended
        while True:
            request = connection.recv()
            try:
                if isinstance(request, Job):
                    answer: tuple[str, Any] = "done", _colour(request, load, connection, max_megapixels)
                elif isinstance(request, Whole):
                    answer = "done", _write_jpeg(*request, max_megapixels, whole=True)
                elif isinstance(request, Preview | Place | Strip):
                    answer = "done", previews()(request)
                else:
                    load(request)
                    answer = "done", None
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                answer = _problem(error)
            connection.send(answer)
    shutil.rmtree(scratch, ignore_errors=True)


def _problem(error: Exception) -> tuple[str, str]:
    from pipeline.colorize.outcome import why_failed
    from pipeline.images.formats import UnreadablePhotograph

    if isinstance(error, OSError) and error.errno in files.FULL:
        return "full", ""
    remedy = "; make it smaller, or start the program with a larger --max-megapixels"
    too_large = isinstance(error, UnreadablePhotograph) and error.reason == "too large"
    return "failed", why_failed(error) + remedy * too_large


def _colour(job: Job, load: Callable[[Path], Any], connection: Any, max_megapixels: float) -> Coloured:
    from pipeline.colorize.batch import colorize_files
    from pipeline.colorize.options import Options
    from pipeline.colorize.report import COLUMNS, REPORT
    from pipeline.core import csv_files

    if not job.before.exists():
        connection.send(("step", "reading"))
        _write_jpeg(job.source, job.before, max_megapixels)
    colorizer, partition_of = load(job.run)
    colorizer = replace(colorizer, saturation=job.saturation)
    connection.send(("step", "colouring"))
    options = Options(max_megapixels=max_megapixels, recolor=True, hints=Hints(job.hints), variant=job.variant)
    outcome = colorize_files([job.source], job.target, lambda: colorizer, options, partition_of=partition_of)
    for sentence in outcome.failed.values():
        raise InputError(sentence)
    (row,) = csv_files.read(job.target / REPORT, COLUMNS)
    width, height = _write_jpeg(job.target / row["output"], job.after, max_megapixels)
    if job.hints:
        content = {job.name: [hint.as_json() for hint in job.hints]}
        files.write_text(job.target / HINTS, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    remarks = [row["detail"], "the run was trained on this photograph" if outcome.trained_on else ""]
    return Coloured(row["output"], "; ".join(filter(None, remarks)), width, height)


def _write_jpeg(source: Path, target: Path, max_megapixels: float, whole: bool = False) -> tuple[int, int]:
    """Write a JPEG, reduced unless `whole`, transparency over white, and return the photograph's width and height."""
    from PIL import Image

    from pipeline.colorize.reduced import LONGEST_SIDE, reduced
    from pipeline.images import originals, saving

    original = originals.read(source, max_megapixels)
    height, width = original.levels.shape[:2]
    most = max(height, width) * min(1.0, (MOST_SHOWN / (height * width)) ** 0.5)
    longest = min(int(most), LONGEST_SHOWN) if whole else LONGEST_SIDE
    with files.written_whole(target) as temporary:
        small = Image.fromarray(reduced(original.levels, original.alpha, longest))
        saving.save(small, temporary, "JPEG", quality=QUALITY, subsampling=0)
    return width, height
