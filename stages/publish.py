"""Stage: publish a trained run, so that photographs can be coloured with it without Keras."""

from pathlib import Path

import click

from stages import arguments, common
from stages.command import Stage


@click.command("publish", cls=Stage)
@click.argument("run", type=arguments.PATH)
@click.option("--out", required=True, type=arguments.PATH, help="Folder to write.")
@click.option("--replace", is_flag=True, help="Replace an existing folder of a published network.")
@arguments.threads_option
def command(run: Path, out: Path, replace: bool, threads: int) -> None:
    """Publish a run as a folder that colours photographs without Keras.

    RUN is the folder results/<run> of a network that predicts classes for pictures of one size, such as color. OUT is
    kept only if it colours sample photographs as Keras does. Pass it to colorize or serve as --run.
    """
    from pipeline.publishing.publish import publish

    with common.hold(out):
        facts = publish(run, out, replace=replace, threads=threads, progress=common.progress())
    click.echo(
        f"publish: {out}, network of {facts['bytes'] / 1e6:.1f} MB; colours differ from Keras' by at most "
        f"{max(facts['ciede2000']):.2g} (mean CIEDE2000 of a sample photograph)",
        err=True,
    )
