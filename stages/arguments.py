"""Types of arguments, and options that several stages share."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class _Path(click.Path):
    """A path; an empty one, from an unset shell variable, is refused rather than read as the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("expected a path, received nothing", param, ctx)
        return super().convert(value, param, ctx)


class _StorePath(_Path):
    """A path ending in .zarr."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        if path.suffix != ".zarr":
            self.fail(f"expected a name ending in .zarr, received {path}", param, ctx)
        return path


class _Positive(click.FloatRange):
    """A finite number above 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, received {value}", param, ctx)
        return number


PATH = _Path(path_type=Path, readable=False)  # the code that opens the file reports whether it is readable
STORE = _StorePath(path_type=Path, readable=False)
POSITIVE = _Positive(0, min_open=True)

# Options of stages that use a finished run.
threads_option = click.option(
    "--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Number of CPU threads."
)
temperature_option = click.option(
    "--temperature",
    type=float,
    help="For runs that predict classes: low for the likeliest colour, 1 for the mean. Default: as evaluated.",
)
weights_option = click.option(
    "--embedding-weights", type=PATH, help="Weights of the embedding network. Default: those of the run's dataset."
)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

CONFIG: dict[str, Decorator] = {
    "configs": click.option(
        "--config",
        "configs",
        multiple=True,
        type=PATH,
        help="Configuration file, merged over config/config.yaml. May be repeated; later files take precedence.",
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
    "dataset": click.option("--dataset", help="Name of a dataset in the configuration."),
    "limit": click.option("--limit", type=click.IntRange(min=1), help="Use only the first LIMIT images."),
    "scheduler": click.option(
        "--scheduler", help="Where dask runs the tasks: threads, synchronous, or a scheduler at tcp://host:port."
    ),
    "replace": click.option("--replace", is_flag=True, help="Replace existing output made with other settings."),
}
# Options that override a path of the configuration.
PLACES: dict[str, Decorator] = {
    name: click.option(
        f"--{name}", type=STORE if ".zarr" in what else PATH, help=f"{what}  [default: from the configuration]"
    )
    for name, what in {
        "images": "Image store, ending in .zarr; index.csv and report.csv are beside it.",
        "embeddings": "Embedding store, ending in .zarr.",
        "features": "Store of feature maps, ending in .zarr; used only by runs whose networks read maps.",
        "splits": "CSV file of the split.",
        "baselines": "CSV file of the baseline scores; the other baseline files are beside it.",
        "model": "Folder of the trained run: weights, history, checkpoint.",
        "results": "Folder of all results.",
        "data": "Folder of all datasets.",
    }.items()
}
