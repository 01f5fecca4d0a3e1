"""What all stage commands share: the configuration options, messages, and errors in one line."""

import contextlib
import errno
import json
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from pipeline import WORKFLOW
from pipeline.core import machine
from pipeline.core.errors import InputError

if TYPE_CHECKING:
    from pipeline.config.schema import Config
    from pipeline.core.machine import Precision
    from pipeline.core.progress import Progress
    from pipeline.storage.store import Store

# What decides how much memory a stage takes.
LESS_MEMORY = {
    "ingest": "workers or images_per_shard",
    "embed": "embedding.batch_size",
    "references": "evaluation.batch_size",
    "evaluate": "evaluation.batch_size",
    "train": "training.memory_gib, or the run's batch size (_bs)",
}
DEFAULT_CONFIG = Path("config/config.yaml")

F = TypeVar("F", bound=Callable[..., Any])


class _Path(click.Path):
    """A path; an empty one, as an unset variable of a shell gives it, is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the class."""
        if not os.fspath(value):
            self.fail("expected a path, received nothing", param, ctx)
        return super().convert(value, param, ctx)


class _Positive(click.FloatRange):
    """A number above 0 that is finite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the class."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, received {value}", param, ctx)
        return number


PATH = _Path(path_type=Path, readable=False)  # what cannot be read is told by what reads it
POSITIVE = _Positive(0, min_open=True)


class Stage(click.Command):
    """A command that ends with one line and status 2 on bad input, and with a hint where it is told to stop.

    SIGTERM, as a cluster sends it, is taken as Ctrl-C is. The command also stops when the workflow that called it ends:
    else a workflow that was killed would leave it at work, beside the next call's.
    """

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the command line; see the class."""
        try:
            return super().make_context(*arguments, **more)
        except click.UsageError as error:
            refuse_usage(error)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; see the class."""
        _log_to_stderr()
        machine.keep_freed()
        try:
            with _stopping():
                return super().invoke(context)
        except InputError as error:
            _end(f"error: {error}", 2)
        except Stopped:
            _end(f"{self.name}: stopped; what is finished is kept, and the same command goes on from there", 143)
        except KeyboardInterrupt:
            _end(f"{self.name}: interrupted; what is finished is kept, and the same command goes on from there", 130)
        except OSError as error:
            what = error.strerror or str(error)
            name = f"{error.filename}: " if error.filename else ""
            place = "another --out" if self.name == "colorize" else "another place (data, root)"
            _end(f"error: {name}{what}; {_remedy(error, place)}run the same command again", 2)
        except Exception as error:
            kind = type(error).__name__
            if not isinstance(error, MemoryError) and "ResourceExhausted" not in kind:  # TensorFlow's
                raise
            what = (" ".join(str(error).split()) or kind)[:200]
            less = LESS_MEMORY.get(self.name or "", "limit")
            _end(f"error: {self.name}: out of memory ({what}); lower {less}, then run the same command again", 2)


def refuse_usage(error: click.UsageError) -> NoReturn:
    """End with one line on a command line that is not as expected."""
    text = " ".join(error.format_message().split()).removesuffix(".")
    _end(f"error: {text}; see {error.ctx.command_path if error.ctx else 'python -m stages'} --help", 2)


def _remedy(error: OSError, place: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room there; what is finished is kept; "
    if error.errno == errno.EFBIG:
        return "that is more than one file may have here: raise the limit (ulimit -f); "
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"make it writable, or name {place}; "
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and error.filename:
        path = Path(os.fsdecode(error.filename))
        found = next((place for place in (path, *path.parents) if place.is_file()), path)
        return f"{found} is a file where a folder is needed: move it, or name {place}; "
    return "mend that and "


class Stopped(KeyboardInterrupt):
    """SIGTERM came, or the workflow ended."""


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    """Turn SIGTERM, and the workflow's end, into `Stopped` for the block."""
    before = signal.signal(signal.SIGTERM, _stop)
    if workflow := os.environ.get(WORKFLOW):
        threading.Thread(target=_watch, args=[workflow], daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is under way is to be saved
    raise Stopped


def _watch(workflow: str) -> None:
    """Send this process SIGTERM once the workflow is gone."""
    from pipeline.core.locks import is_gone

    while not is_gone(workflow):
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LevelFormatter("%(message)s"))
    logger = logging.getLogger("deepcolor")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _LevelFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def config_options(function: F) -> F:
    """Add the options --config and --set; `load` reads them."""
    function = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, for example embedding.weights=imagenet. May be repeated.",
    )(function)
    return click.option(
        "--config",
        "configs",
        multiple=True,
        type=PATH,
        help="Configuration file, over config/config.yaml. May be repeated; later ones win.",
    )(function)


replace_option = click.option(
    "--replace", is_flag=True, help="Replace what is there, if it was made with other settings."
)

scheduler_option = click.option(
    "--scheduler", help="How dask runs the work: threads, synchronous, or the address of a scheduler, tcp://host:port."
)


def path_option(name: str, help: str) -> Callable[[F], F]:  # noqa: A002
    """An option that takes a path and defaults to the configuration's place."""
    return click.option(name, type=PATH, help=f"{help} Default: where the configuration has it.")


def load(configs: tuple[Path, ...], assignments: tuple[str, ...], **changes: Any) -> "Config":
    """The workflow's configuration, or config/config.yaml, under `configs`, `assignments` and `changes` that are set.

    Raises:
        InputError: a file or a value is not as expected.
    """
    from pipeline.config import loading

    base: dict[str, Any] = {}
    if given := os.environ.get(loading.VARIABLE):
        try:
            base = dict(json.loads(given))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"{loading.VARIABLE}: expected a configuration as JSON in this environment variable, received {error}; "
                "unset it, or have the workflow set it"
            ) from None
    elif DEFAULT_CONFIG.exists():
        base = loading.read_yaml(DEFAULT_CONFIG)
    asked = {key: value for key, value in changes.items() if value}
    return loading.load_config(configs, assignments, base=base, changes=asked)


def hold(path: Path) -> "contextlib.AbstractContextManager[None]":
    """Hold the lock of what the stage writes; see `pipeline.core.locks.held`."""
    from pipeline.core.locks import held

    return held(path)


def start_backend(config: "Config", precision: "Precision") -> None:
    """Start Keras with the configured number of threads."""
    from pipeline.networks import backend

    backend.start(config.threads, precision)


def progress() -> "Progress":
    """Progress on standard error."""
    from pipeline.core.progress import for_stderr

    return for_stderr()


def image_store(path: Path | None, default: "Store") -> "Store":
    """The store of images at a path, or the configuration's."""
    from pipeline.storage.layouts import IMAGES
    from pipeline.storage.store import Store

    return Store(path, IMAGES) if path else default


def embedding_store(path: Path | None, default: "Store") -> "Store":
    """The store of embeddings at a path, or the configuration's."""
    from pipeline.storage.layouts import EMBEDDINGS
    from pipeline.storage.store import Store

    return Store(path, EMBEDDINGS) if path else default
