"""Stage: a page in the browser that colours photographs."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.images.formats import MAX_MEGAPIXELS
from stages import common

if TYPE_CHECKING:
    from pipeline.serve.runs import ServedRun


@click.command("serve", cls=common.Stage)
@click.option(
    "--run",
    "folders",
    multiple=True,
    type=common.PATH,
    help="A run's results: results/<run>. May be repeated. Default: all finished runs of the configuration.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="An address that only this machine can reach.")
@click.option("--port", default=8224, show_default=True, type=click.IntRange(0, 65535), help="0 for any free one.")
@click.option(
    "--max-megapixels",
    type=common.POSITIVE,
    help="Refuse larger photographs. Default: as the configuration's folder of photographs has it, else "
    f"{MAX_MEGAPIXELS:g}.",
)
@click.option(
    "--max-megabytes",
    default=500.0,
    show_default=True,
    type=common.POSITIVE,
    help="Refuse larger files.",
)
@click.option(
    "--embedding-weights",
    type=common.PATH,
    help="The embedding network's weights. Default: those of the runs' datasets.",
)
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Threads to compute with.")
@common.config_options
def command(
    folders: tuple[Path, ...],
    host: str,
    port: int,
    max_megapixels: float | None,
    max_megabytes: float,
    embedding_weights: Path | None,
    threads: int,
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
) -> None:
    """Serve a page on this machine that colours the photographs dropped on it.

    Nothing leaves the machine. Ctrl-C ends it.
    """
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        from pipeline.config.paths import Paths
        from pipeline.config.schema import FolderSource
        from pipeline.core.errors import InputError

        try:
            from pipeline.serve import runs, server
        except ModuleNotFoundError as error:
            missing = str(error.name).partition(".")[0]
            if missing not in ("starlette", "uvicorn", "anyio", "h11"):
                raise
            raise InputError(
                f"serve: expected the packages of the extra deepcolor[serve], received no {missing}; "
                "in DeepColor's folder: pip install '.[serve]'"
            ) from None
        from pipeline.serve.queue import Limits

        config = common.load(configs, assignments)
        if max_megapixels is None:
            source = config.datasets[config.dataset]
            max_megapixels = source.max_megapixels if isinstance(source, FolderSource) else MAX_MEGAPIXELS
        found = [runs.read(folder) for folder in folders] or runs.finished(Paths(config).results)
        server.serve(
            found,
            host,
            port,
            Limits(upload_bytes=round(max_megabytes * 1e6), max_megapixels=max_megapixels),
            embedding_weights=embedding_weights,
            threads=threads,
            skip_unusable=not folders,
            ready=_ready,
        )
    click.echo("serve: ended, and all photographs are removed", err=True)


def _ready(url: str, runs: "list[ServedRun]") -> None:
    for run in runs:
        click.echo(f"serve: {run.name}, embedding weights: {run.weights}", err=True)
    click.echo(f"serve: open {url} in a browser; Ctrl-C ends it", err=True)


if __name__ == "__main__":
    command(prog_name="python -m stages.serve")
