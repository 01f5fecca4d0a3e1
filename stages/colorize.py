"""Stage: colour photographs."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.core import machine
from pipeline.images.formats import MAX_MEGAPIXELS, SIZE
from stages import arguments, common
from stages.command import Stage

if TYPE_CHECKING:
    from pipeline.colorize.examples import Examples

SHOWN = 20  # failures that are printed; the report lists all


@click.command("colorize", cls=Stage)
@click.argument("photographs", nargs=-1, required=True, type=arguments.PATH)
@click.option(
    "--run",
    type=arguments.PATH,
    help="A run's results, results/<run>, or a published network. Default: the network that comes with DeepColor.",
)
@click.option(
    "--out",
    type=arguments.PATH,
    help="Folder for the coloured photographs. Default: beside the photographs, which needs --suffix or --name.",
)
@click.option("--suffix", help="Text after the name of each output, such as _colour.")
@click.option("--name", help="Name of each output, in which {name} stands for the photograph's, such as {name}_colour.")
@click.option("--unique", is_flag=True, help="Number an output whose name is taken, as in 'a (2).jpg'.")
@click.option(
    "--size",
    type=int,
    help="Shorter side, in pixels, of the picture that the network sees; only for networks that take any size. "
    f"Default: {SIZE}.",
)
@click.option("--saturation", default=1.0, show_default=True, help="Factor on the strength of the colours.")
@click.option(
    "--hint",
    "given",
    multiple=True,
    metavar="X,Y,#RRGGBB[,RADIUS]",
    help="The colour wanted at a place of the photograph, in pixels of the upright photograph. May be repeated.",
)
@click.option("--hints", "hints_file", type=arguments.PATH, help="JSON file of hints, for one or several photographs.")
@click.option(
    "--like",
    type=arguments.PATH,
    help="Take colours from an example: a colour photograph, or the most similar one of a folder or of a dataset "
    "(data/<dataset>); auto uses the dataset of config/config.yaml.",
)
@click.option("--variants", default=1, show_default=True, help="How many colourings of each to write, up to 8.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the variants after the first."
)
@click.option("--compare", is_flag=True, help="Also write a before-and-after picture of each.")
@click.option("--keep-original-beside", "keep", is_flag=True, help="Also copy each photograph, as '<name>.original'.")
@click.option("--ab-only", is_flag=True, help="Write only the a and b channels, as NumPy files.")
@click.option("--recolor", is_flag=True, help="Replace the colours of colour photographs too.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--max-megapixels",
    default=MAX_MEGAPIXELS,
    show_default=True,
    type=arguments.POSITIVE,
    help="Refuse larger photographs.",
)
@arguments.temperature_option
@arguments.weights_option
@arguments.threads_option
def command(
    photographs: tuple[Path, ...],
    run: Path | None,
    out: Path | None,
    suffix: str | None,
    name: str | None,
    unique: bool,
    size: int | None,
    saturation: float,
    given: tuple[str, ...],
    hints_file: Path | None,
    like: Path | None,
    variants: int,
    seed: int,
    compare: bool,
    keep: bool,
    ab_only: bool,
    recolor: bool,
    overwrite: bool,
    max_megapixels: float,
    temperature: float | None,
    embedding_weights: Path | None,
    threads: int,
) -> None:
    """Colour photographs.

    PHOTOGRAPHS are files or folders. Photographs that are already coloured are skipped, and colour photographs are left
    as they are. colorize.csv, in OUT or else beside the photographs, lists the outcome of each file. The exit status is
    0 if none failed, otherwise 1.
    """
    # OpenBLAS' threads take time to start, and would compete with those that colour strips.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with machine.uncollected():
        from pipeline.colorize import sessions
        from pipeline.config.paths import SHIPPED, ResultFiles

        if run is None:
            sessions.begin(ResultFiles(SHIPPED).published, threads)
        from pipeline.colorize.batch import colorize_files
        from pipeline.colorize.colorizer import Colorizer
        from pipeline.colorize.hints import Hints
        from pipeline.colorize.membership import Membership
        from pipeline.colorize.options import Options
        from pipeline.colorize.outputs import NAME
        from pipeline.core.errors import InputError
        from pipeline.core.text import escaped

    run = run or SHIPPED
    seen = {"size": size, "saturation": saturation, "temperature": temperature}
    load = partial(Colorizer.load, run, embedding_weights, threads=threads, **seen)
    if suffix and name:
        raise InputError("--suffix: expected no suffix together with --name; leave out one of the two")
    template = name or f"{NAME}{suffix or ''}"
    options = Options(
        compare=compare,
        ab_only=ab_only,
        overwrite=overwrite,
        max_megapixels=max_megapixels,
        recolor=recolor,
        name=template,
        unique=unique,
        hints=Hints.of(given, hints_file),
        variants=variants,
        seed=seed,
        like=_examples(like, embedding_weights, threads) if like else None,
        keep_original=keep,
    )
    outcome = colorize_files(photographs, out, load, options, common.progress(), Membership(run))
    for file, reason in list(outcome.failed.items())[:SHOWN]:
        click.echo(f"failed: {file}: {reason}", err=True)
    if len(outcome.failed) > SHOWN:
        click.echo(f"failed: {len(outcome.failed) - SHOWN} more", err=True)
    click.echo(
        f"colorize: {outcome.done} coloured, {outcome.skipped} skipped, {len(outcome.failed)} failed, "
        f"{outcome.left_out} left out; see {', '.join(escaped(str(report)) for report in outcome.reports)}",
        err=True,
    )
    if outcome.in_colour:
        click.echo(f"colorize: {outcome.in_colour} left out as already in colour; --recolor colours them", err=True)
    if outcome.ours:
        click.echo(
            f"colorize: {outcome.ours} left out because DeepColor coloured them; to include one, give its own path",
            err=True,
        )
    if outcome.formats:
        known = ", ".join(f"{count} {name}" for name, count in outcome.formats.items())
        click.echo(
            f"colorize: left out because their format is not read: {known}; convert them to PNG or TIFF first", err=True
        )
    if outcome.trained_on:
        click.echo(
            f"colorize: {outcome.trained_on} of the photographs are in the run's training data (`partition` in the "
            "report), so they do not show how it does on new ones",
            err=True,
        )
    sys.exit(1 if outcome.failed else 0)


def _examples(like: Path, weights: Path | None, threads: int) -> "Examples":
    """Return the examples that `--like` names."""
    from pipeline.colorize.examples import ExampleFiles
    from pipeline.storage.layouts import IMAGES

    if str(like) == "auto":
        from pipeline.config import loading
        from pipeline.config.paths import Paths

        like = Paths(loading.load_config([common.DEFAULT_CONFIG])).directory
    elif not (like / f"{IMAGES.kind}.zarr").is_dir():
        return ExampleFiles(like)
    from pipeline.colorize.similar import Dataset

    return Dataset(like, weights, threads)
