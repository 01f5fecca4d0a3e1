"""What several stages share; `stage` makes a command whose function receives a `Work`."""

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import SINCE, WORKFLOW
from pipeline.core.errors import InputError
from pipeline.core.progress import for_stderr
from stages.arguments import CHANGES, CONFIG, PLACES
from stages.command import Stage

if TYPE_CHECKING:
    from pipeline.config.paths import Paths
    from pipeline.config.runs import Run
    from pipeline.config.schema import Config
    from pipeline.core.machine import Precision
    from pipeline.evaluation.untrained import Untrained
    from pipeline.storage.store import Store
    from pipeline.tracking.trackers import Tracking

DEFAULT_CONFIG = Path("config/config.yaml")
progress = for_stderr


@dataclasses.dataclass
class Work:
    """The configuration, run and paths of a command line.

    Attributes:
        options: values of the command line, by option.
    """

    options: Mapping[str, Any]

    @cached_property
    def config(self) -> "Config":
        """The workflow's configuration, or else config/config.yaml, with the changes that the options make.

        Raises:
            InputError: a file is missing, or a value is invalid.
        """
        from pipeline.config import loading, yaml_files

        base: dict[str, Any] = {}
        if from_workflow := os.environ.get(loading.VARIABLE):
            try:
                base = dict(json.loads(from_workflow))
            except (ValueError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{loading.VARIABLE}: expected a configuration as JSON in this environment variable, received "
                    f"{error}; unset it (only the workflow sets it)"
                ) from None
        elif DEFAULT_CONFIG.exists():
            base = yaml_files.read_yaml(DEFAULT_CONFIG)
            base = loading.with_experiment_files(base, DEFAULT_CONFIG.with_name("experiments"))
        changes = {key: self.options[key] for key in CHANGES if self.options.get(key)}
        return loading.load_config(self.options["configs"], self.options["assignments"], base=base, changes=changes)

    @cached_property
    def paths(self) -> "Paths":
        """The configuration's paths."""
        from pipeline.config.paths import Paths

        return Paths(self.config)

    @cached_property
    def run(self) -> "Run":
        """The run; an unknown name, architecture or predictor is refused here, before slow work starts."""
        from pipeline.config.runs import find
        from pipeline.networks.notation import of_run

        run = find(self.config, self.options["run"])
        if run.predictor:
            from pipeline.evaluation import untrained

            return untrained.checked(run)
        of_run(run, self.config.architectures)
        return run

    @property
    def untrained(self) -> "Untrained | None":
        """The predictor of a run that needs no training."""
        if not self.run.predictor:
            return None
        from pipeline.evaluation import untrained

        return untrained.of_run(self.run)

    @property
    def config_of_run(self) -> "Config":
        """The configuration with the run's own settings."""
        from pipeline.config.runs import layered

        return layered(self.config, self.run)

    @property
    def images(self) -> "Store":
        """The store of images."""
        return self._store("images", self.paths.images)

    @property
    def embeddings(self) -> "Store":
        """The store of embeddings."""
        return self._store("embeddings", self.paths.embeddings)

    @property
    def features(self) -> "Store":
        """The store of feature maps."""
        return self._store("features", self.paths.features)

    def _store(self, name: str, default: "Store") -> "Store":
        path = self.options.get(name)
        return type(default)(path, default.layout) if path else default

    @property
    def finished_stores(self) -> tuple["Store", "Store", "Store | None"]:
        """Images, embeddings, and the feature maps of a run that reads any.

        Raises:
            InputError: one of them is unfinished, which is thus refused before slow work starts.
        """
        from pipeline.planning.settings import maps_of_run

        features = self.features if maps_of_run(self.config, self.run.name) else None
        for store in filter(None, (self.images, self.embeddings, features)):
            store.manifest()
        return self.images, self.embeddings, features

    @property
    def model(self) -> Path:
        """The folder of the trained run."""
        return self.options.get("model") or self.paths.model(self.options["run"])

    def path(self, name: str) -> Path:
        """Return the path that the option `name` gives, or else the configuration's."""
        default: Path = getattr(self.paths, name)
        return self.options.get(name) or default

    def start_backend(self, precision: "Precision") -> None:
        """Start Keras with the configured number of threads."""
        from pipeline.networks import backend

        backend.start(self.config.threads, precision)


def stage(name: str, *options: str, run: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Turn a function of a `Work` into the command of a stage.

    Args:
        name: the stage.
        options: keys of `CHANGES` and `PLACES`, added to --config and --set.
        run: whether it takes the argument RUN.

    Returns:
        A decorator. Options that the function declares itself are passed on as arguments.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def call(**values: Any) -> None:
            shared = {key: values.pop(key) for key in (*CONFIG, *options, *(["run"] if run else []))}
            function(Work(shared), **values)

        decorated: Callable[..., Any] = call
        for option in reversed([*CONFIG, *options]):
            decorated = {**CONFIG, **CHANGES, **PLACES}[option](decorated)
        if run:
            decorated = click.argument("run")(decorated)
        return click.command(name, cls=Stage)(decorated)

    return decorate


def call(command: click.Command, work: Work, **values: Any) -> None:
    """Call the function of a stage with another command line's `work`, and with the values of its own options."""
    function: Any = command.callback
    function.__wrapped__(work, **values)


@contextlib.contextmanager
def tracking(work: Work) -> "Iterator[Tracking]":
    """Open the trackers of a run for the block; those whose packages are missing are refused."""
    from pipeline.tracking.trackers import Tracking

    opened = Tracking(work.config_of_run.training.trackers, Path(work.config.root), work.model)
    try:
        yield opened
    finally:
        opened.close()


def hold(path: Path) -> AbstractContextManager[None]:
    """Hold the lock of what the stage writes; a workflow's stage waits for it. See `pipeline.core.locks.held`."""
    from pipeline.core.locks import held

    return held(path, wait=WORKFLOW in os.environ)


def made_meanwhile(work: Work, stage: str, maps: Collection[str] = ()) -> bool:
    """Whether another workflow has just made what the stage would make; if so, say it.

    To be asked while holding the lock: another workflow may have planned the same work, and Snakemake's plan is not
    changed once it runs.
    """
    if SINCE not in os.environ:
        return False
    from pipeline.planning import due

    run = work.options.get("run", "")
    made = due.made_meanwhile(work.config, stage, run, maps)
    if made:
        click.echo(f"{stage}{' ' * bool(run)}{run}: another workflow has made it meanwhile; nothing to do", err=True)
    return made
