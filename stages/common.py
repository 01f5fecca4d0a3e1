"""The options that stages share, and what they select: `stage` makes a command whose function receives a `Work`."""

import functools
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.core.errors import InputError
from stages.command import Stage

if TYPE_CHECKING:
    from pipeline.config.runs import Run
    from pipeline.config.schema import Config
    from pipeline.core.machine import Precision
    from pipeline.core.progress import Progress
    from pipeline.storage.store import Store

DEFAULT_CONFIG = Path("config/config.yaml")


class _Path(click.Path):
    """A path. An empty one, from an unset variable of a shell, does not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the class."""
        if not os.fspath(value):
            self.fail("expected a path, received nothing", param, ctx)
        return super().convert(value, param, ctx)


class _Positive(click.FloatRange):
    """A finite number above 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See the class."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, received {value}", param, ctx)
        return number


PATH = _Path(path_type=Path, readable=False)  # whether it can be read is up to the code that reads it
POSITIVE = _Positive(0, min_open=True)
# Options of stages that use a finished run.
threads_option = click.option(
    "--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Number of threads to compute with."
)
weights_option = click.option(
    "--embedding-weights", type=PATH, help="The embedding network's weights. Default: those of the run's dataset."
)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

CONFIG: dict[str, Decorator] = {
    "configs": click.option(
        "--config",
        "configs",
        multiple=True,
        type=PATH,
        help="Configuration file, merged over config/config.yaml. May be repeated; later files win.",
    ),
    "assignments": click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, for example embedding.weights=imagenet. May be repeated.",
    ),
}
# Options that change the configuration.
CHANGES: dict[str, Decorator] = {
    "dataset": click.option("--dataset", help="One of the configuration's datasets."),
    "limit": click.option("--limit", type=click.IntRange(min=1), help="Use only the first images."),
    "scheduler": click.option(
        "--scheduler", help="Where dask runs the work: threads, synchronous, or a scheduler's address, tcp://host:port."
    ),
    "replace": click.option("--replace", is_flag=True, help="Replace existing output made with other settings."),
}
# Options that override a place of the configuration.
PLACES: dict[str, Decorator] = {
    name: click.option(f"--{name}", type=PATH, help=f"{what}  [default: from the configuration]")
    for name, what in {
        "images": "Store of images, ending in .zarr; index.csv and report.csv are beside it.",
        "embeddings": "Store of embeddings, ending in .zarr.",
        "splits": "CSV file of the split.",
        "baselines": "CSV file of the baselines' scores; their other files are beside it.",
        "model": "Folder of the trained run: weights, history, checkpoint.",
        "results": "Folder of all results.",
        "data": "Folder of all datasets.",
    }.items()
}


@dataclass
class Work:
    """What a stage works on: its configuration, its run, and the files that it reads and writes.

    Attributes:
        values: what the command line says, by option.
    """

    values: Mapping[str, Any]

    @cached_property
    def config(self) -> "Config":
        """The configuration, with the changes that options ask for."""
        changes = {key: self.values[key] for key in CHANGES if key in self.values}
        return load(self.values["configs"], self.values["assignments"], **changes)

    @property
    def run_name(self) -> str:
        """The argument RUN."""
        name: str = self.values["run"]
        return name

    def given(self, name: str) -> Path | None:
        """The path that an option names."""
        return self.values.get(name)

    @cached_property
    def run(self) -> "Run":
        """The run; refused here, before anything slow starts, if its name or architecture is unknown."""
        from pipeline.config.runs import find
        from pipeline.networks.notation import resolve

        run = find(self.config, self.run_name)
        resolve(run.architecture, self.config.architectures)
        return run

    @property
    def config_of_run(self) -> "Config":
        """The configuration with the run's own settings."""
        from pipeline.config.runs import layered

        return layered(self.config, self.run)

    @property
    def images(self) -> "Store":
        """The store of images."""
        from pipeline.config.paths import Paths
        from pipeline.storage.layouts import IMAGES
        from pipeline.storage.store import Store

        return Store(path, IMAGES) if (path := self.given("images")) else Paths(self.config).images

    @property
    def embeddings(self) -> "Store":
        """The store of embeddings."""
        from pipeline.config.paths import Paths
        from pipeline.storage.layouts import EMBEDDINGS
        from pipeline.storage.store import Store

        return Store(path, EMBEDDINGS) if (path := self.given("embeddings")) else Paths(self.config).embeddings

    @property
    def finished_stores(self) -> tuple["Store", "Store"]:
        """Images and embeddings; refused here, before anything slow starts, unless both are finished."""
        for store in (self.images, self.embeddings):
            store.manifest()
        return self.images, self.embeddings

    @property
    def model(self) -> Path:
        """The folder of the trained run."""
        from pipeline.config.paths import Paths

        return self.given("model") or Paths(self.config).model(self.run_name)

    def path(self, name: str) -> Path:
        """A path from an option, or else the configuration's of that name."""
        from pipeline.config.paths import Paths

        default: Path = getattr(Paths(self.config), name)
        return self.given(name) or default

    def start_backend(self, precision: "Precision") -> None:
        """Start Keras with the configured number of threads."""
        from pipeline.networks import backend

        backend.start(self.config.threads, precision)


def stage(name: str, *options: str, run: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command of a stage that works on a configuration.

    Args:
        name: the stage.
        options: names of `CHANGES` and `PLACES` that the stage has, besides --config and --set.
        run: whether it has the argument RUN.

    Returns:
        A decorator for a function of a `Work`, and of whatever more options it declares itself.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def call(**values: Any) -> None:
            shared = {key: values.pop(key) for key in (*CONFIG, *options, *(["run"] if run else []))}
            function(Work(shared), **values)

        made: Callable[..., Any] = call
        for option in reversed([*CONFIG, *options]):
            made = {**CONFIG, **CHANGES, **PLACES}[option](made)
        if run:
            made = click.argument("run")(made)
        return click.command(name, cls=Stage)(made)

    return decorate


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
                "unset it; the workflow sets it for its stages"
            ) from None
    elif DEFAULT_CONFIG.exists():
        base = loading.read_yaml(DEFAULT_CONFIG)
    asked = {key: value for key, value in changes.items() if value}
    return loading.load_config(configs, assignments, base=base, changes=asked)


def hold(path: Path) -> AbstractContextManager[None]:
    """Hold the lock of what the stage writes; see `pipeline.core.locks.held`."""
    from pipeline.core.locks import held

    return held(path)


def progress() -> "Progress":
    """Progress on standard error."""
    from pipeline.core.progress import for_stderr

    return for_stderr()
