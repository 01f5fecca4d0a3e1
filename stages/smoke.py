"""Stage: try a run on a few photographs."""

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.core.errors import InputError
from stages import baselines, colorize, common, embed, evaluate, features, ingest, train

if TYPE_CHECKING:
    from pipeline.config.schema import Config


@common.stage("smoke", "dataset", run=True)
@click.option("--overfit", is_flag=True, help="Train on one batch again and again instead: does the network learn it?")
@click.option(
    "--steps", default=200, show_default=True, type=click.IntRange(2, 100_000), help="Training steps of --overfit."
)
def command(work: common.Work, overfit: bool, steps: int) -> None:
    """Try a run on 20 photographs.

    Goes through every stage from ingest to evaluate and colours a photograph, in a temporary folder that is removed
    again. The exit status is 0 if all of that works. With --overfit, it is 1 if the network does not learn the batch.
    """
    from pipeline.planning import trial

    run, began = work.run, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deepcolor-smoke-") as name:
        folder = Path(name)
        if overfit and run.predictor:
            raise InputError(f"--overfit: expected a run with a network, received {run.name}; leave it out")
        if overfit:
            sys.exit(_overfit(_embedded(trial.one_batch(work.config, run, folder), run.name), steps))
        trying = _embedded(trial.end_to_end(work.config, run, folder), run.name)
        _split(trying)
        for stage in (baselines, train, evaluate):
            common.call(stage.command, trying)
        if not run.predictor:
            _colorize(trying)
    last = "evaluate" if run.predictor else "colorize"
    click.echo(
        f"smoke: {run.name} works from ingest to {last}, in {time.monotonic() - began:.0f} s; with so few "
        "photographs, its scores say nothing",
        err=True,
    )


def _embedded(config: "Config", run: str) -> common.Work:
    """Return the work of a run, with stores of its images and of what its network reads."""
    from pipeline.planning.settings import maps_of_run

    work = common.Work({"run": run})
    work.config = config
    common.call(ingest.command, work)
    common.call(embed.command, work)
    if maps := maps_of_run(config, run):
        common.call(features.command, work, maps=maps)
    return work


def _split(work: common.Work) -> None:
    """Split the images one by one: all of the first may be of one group."""
    from pipeline.dataset import splits
    from pipeline.dataset.index import read_index

    index = [{**row, "group": row["id"]} for row in read_index(work.images)]
    splits.write(index, work.paths.splits, work.config.split, work.images.manifest()["fingerprint"])


def _colorize(work: common.Work) -> None:
    """Colour the first of the photographs, without its colours, with the run."""
    from PIL import Image

    folder = Path(work.config.root)
    photograph = folder / "gray.png"
    Image.fromarray(work.images.read("L", 0, 1)[0]).save(photograph)
    options = {"run": work.paths.results / work.run.name, "out": folder / "coloured", "threads": work.config.threads}
    try:
        click.get_current_context().invoke(colorize.command, photographs=(photograph,), **options)
    except SystemExit as ended:
        if ended.code:
            raise


def _overfit(work: common.Work, steps: int) -> int:
    """Say whether the network of a run learns its images, and return the exit status."""
    run, config = work.run, work.config_of_run
    images, embeddings, maps = work.finished_stores
    work.start_backend(config.training.precision)
    from pipeline.training.overfit import LEARNT, learnt, overfit

    before, after = overfit(
        run, images, embeddings, config.training, steps, features=maps, more_architectures=config.architectures,
        progress=common.progress(),
    )  # fmt: skip
    learns = learnt(before, after)
    click.echo(
        f"smoke: {run.name} {'learns' if learns else 'DOES NOT LEARN'} one batch of {images.rows()} images in {steps} "
        f"steps: mean squared error of a and b {before:.1f} before, {after:.1f} after (expected at most "
        f"{LEARNT * before:.1f})"
    )
    return 0 if learns else 1
