"""How commands end: after bad input, a signal or a full disk with one line and an exit status, without a traceback."""

import contextlib
import errno
import functools
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from pipeline import WORKFLOW
from pipeline.core import extras, machine, plugins, signals
from pipeline.core.errors import InputError
from pipeline.core.text import printable

# Settings that reduce a stage's memory.
LESS_MEMORY = {
    "ingest": "workers or images_per_shard",
    "embed": "embedding.batch_size",
    "features": "embedding.batch_size",
    "baselines": "evaluation.batch_size",
    "evaluate": "evaluation.batch_size",
    "pictures": "evaluation.batch_size",
    "train": "training.memory_gib, or the run's batch size (_bs)",
    "search": "training.memory_gib, or the experiment's batch_size",
}
# Stages that keep finished parts of their work.
RESUMING = ("ingest", "embed", "features", "train", "search", "colorize")


@contextlib.contextmanager
def refusing_usage() -> Iterator[None]:
    """End with one line if the command line is wrong."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        text = " ".join(error.format_message().split()).removesuffix(".")
        _end(f"error: {text}; see {error.ctx.command_path if error.ctx else 'python -m stages'} --help", 2)


class _Messages(io.FileIO):
    """Standard error, from which messages are lost, but no work, where they are kept on a full disk."""

    def write(self, data: Any, /) -> int:
        """Write as many bytes as possible, and say all were written."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return memoryview(data).nbytes


class Stage(click.Command):
    """A command that reports bad input in one line on standard error and exits with status 2.

    SIGTERM, which a cluster sends, is handled like Ctrl-C. The command also stops when the workflow that called it is
    killed: otherwise it would keep writing beside the stages of the next call.
    """

    make_context = refusing_usage()(click.Command.make_context)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # the shell closed it
                setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the process ends
        if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
            raw = _Messages(sys.stderr.fileno(), "w", closefd=False)
            sys.stderr = io.TextIOWrapper(
                io.BufferedWriter(raw), sys.stderr.encoding, sys.stderr.errors, line_buffering=True
            )
        _log_to_stderr()
        machine.keep_freed()
        try:
            with signals.stopping(self._stopped, _orphaned()):
                plugins.load()
                try:
                    return super().invoke(context)
                except ModuleNotFoundError as error:
                    extras.refuse_missing(self.name or "", error.name)
                    raise
        except InputError as error:
            _end(f"error: {error}", 2)
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, signals.Stopped) else signal.SIGINT
            _end(self._stopped(number), 128 + number)
        except BrokenPipeError:  # whoever reads the output, such as head, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except OSError as error:
            what = error.strerror or str(error)
            name = f"{error.filename}: " if error.filename else ""
            place = "another --out" if "out" in context.params else "another location (data, root)"
            _end(f"error: {name}{what}; {_remedy(error, place)}run the same command again", 2)
        except Exception as error:
            kind = type(error).__name__
            if not isinstance(error, MemoryError) and "ResourceExhausted" not in kind:  # TensorFlow's
                raise
            what = (" ".join(str(error).split()) or kind)[:200]
            less = LESS_MEMORY.get(self.name or "", "limit")
            _end(f"error: {self.name}: out of memory ({what}); lower {less}, then run the same command again", 2)

    def _stopped(self, number: int) -> str:
        word = "interrupted" if number == signal.SIGINT else "stopped"
        if self.name == "smoke":  # which works in a temporary folder
            return f"{self.name}: {word}; nothing was kept"
        if self.name not in RESUMING:
            return f"{self.name}: {word}; nothing is half-written, and the same command starts again"
        return f"{self.name}: {word}; finished work is kept, and the same command resumes from there"


def _remedy(error: OSError, place: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room there; finished work is kept; "
    if error.errno == errno.EFBIG:
        return "the file exceeds the size limit: raise the limit (ulimit -f); "
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"make it writable, or choose {place}; "
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and error.filename:
        path = Path(os.fsdecode(error.filename))
        file = next((each for each in (path, *path.parents) if each.is_file()), path)
        return f"{file} is a file, but a folder was expected: move it away, or choose {place}; "
    return "fix that and "


def _orphaned() -> Callable[[], bool]:
    """Return a function that says whether the workflow that called this command has ended."""
    workflow = os.environ.get(WORKFLOW)
    if not workflow:
        return lambda: False
    from pipeline.core.locks import is_gone

    return functools.partial(is_gone, workflow)


def _end(message: str, status: int) -> NoReturn:
    click.echo(printable(message), err=True)  # names may have any bytes
    sys.exit(status)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("deepcolor")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _LevelFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"
