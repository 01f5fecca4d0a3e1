"""Stage: a local web page that colours photographs."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.images.formats import MAX_MEGAPIXELS
from stages import arguments, common

if TYPE_CHECKING:
    from pipeline.serve.runs import ServedRun


@common.stage("serve")
@click.option(
    "--run",
    "folders",
    multiple=True,
    type=arguments.PATH,
    help="A run's results, results/<run>, or a published network. May be repeated. Default: the network that comes "
    "with DeepColor, and all finished runs of the configuration.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option(
    "--port",
    default=8224,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 chooses a free one.",
)
@click.option(
    "--max-megapixels",
    type=arguments.POSITIVE,
    help=f"Refuse larger photographs. Default: the limit of the configuration's dataset, or else {MAX_MEGAPIXELS:g}.",
)
@click.option(
    "--max-megabytes",
    default=500.0,
    show_default=True,
    type=arguments.POSITIVE,
    help="Refuse larger files.",
)
@arguments.temperature_option
@arguments.weights_option
@arguments.threads_option
def command(
    work: common.Work,
    folders: tuple[Path, ...],
    host: str,
    port: int,
    max_megapixels: float | None,
    max_megabytes: float,
    temperature: float | None,
    embedding_weights: Path | None,
    threads: int,
) -> None:
    """Colour photographs in the browser.

    Serves a local web page. Photographs never leave the machine. Ctrl-C stops the server.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in `colorize`
    with contextlib.suppress(KeyboardInterrupt):  # the intended way to stop
        from pipeline.config.sources import FolderSource
        from pipeline.serve import runs, server
        from pipeline.serve.limits import Limits

        if max_megapixels is None:
            source = work.config.datasets[work.config.dataset]
            max_megapixels = source.max_megapixels if isinstance(source, FolderSource) else MAX_MEGAPIXELS
        server.serve(
            [runs.read(folder) for folder in folders] or runs.offered(work.path("results")),
            host,
            port,
            Limits(upload_bytes=round(max_megabytes * 1e6), max_megapixels=max_megapixels),
            embedding_weights=embedding_weights,
            temperature=temperature,
            threads=threads,
            skip_unusable=not folders,
            ready=_ready,
        )
    click.echo("serve: stopped; all uploaded photographs are deleted", err=True)


def _ready(url: str, runs: "list[ServedRun]") -> None:
    for run in runs:
        click.echo(f"serve: {run.name}, embedding weights: {run.weights}", err=True)
    click.echo(f"serve: open {url} in a browser; Ctrl-C stops it", err=True)
