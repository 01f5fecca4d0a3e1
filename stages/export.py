"""Stage: a trained run becomes a SavedModel, an ONNX file or a TFLite file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages import common

if TYPE_CHECKING:
    from pipeline.colorize.export import Precision, Target


@click.command("export", cls=common.Stage)
@click.argument("run", type=common.PATH)
@click.option(
    "--to", "target", required=True, type=click.Choice(["saved_model", "onnx", "tflite"]), help="Which runtime's form."
)
@click.option("--out", type=common.PATH, help="The file or folder to write. Default: exports/<run>, and so on.")
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float16", "int8"]),
    help="Of the weights; others than float32 for tflite alone.",
)
@click.option(
    "--embedding",
    default="inside",
    show_default=True,
    type=click.Choice(["inside", "input"]),
    help="The embedding network inside, or its answer as a second input.",
)
@click.option(
    "--embedding-weights",
    type=common.PATH,
    help="The embedding network's weights. Default: those of the run's dataset.",
)
@click.option("--replace", is_flag=True, help="Replace an export that is there.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Threads to compute with.")
def command(
    run: Path,
    target: "Target",
    out: Path | None,
    precision: "Precision",
    embedding: str,
    embedding_weights: Path | None,
    replace: bool,
    threads: int,
) -> None:
    """Export RUN, the folder results/<run>, as one file or folder that goes from L to ab.

    It is kept only where its runtime answers as Keras does. Beside it, <name>.json tells what made it.
    """
    from pipeline.colorize import export
    from pipeline.core.errors import InputError

    form = export.Form(target, precision, embedding_is_input=embedding == "input")
    path = out or form.default_path(run)
    if not path.name:
        raise InputError(f"--out: expected the name of a new file or folder, received {path}")
    with common.hold(path):
        made = export.export(run, path, form, embedding_weights=embedding_weights, replace=replace, threads=threads)
    check = made["check"]
    ((measure, tolerance),) = check["tolerance"].items()
    click.echo(f"export: {path}, {made['bytes'] / 1e6:.1f} MB, of {made['run']}", err=True)
    click.echo(
        f"export: on {len(check['photographs'])} sample photographs, a and b differ from Keras' by at most "
        f"{check['largest_difference']:.2g} of 255, mean CIEDE2000 {check['ciede2000'][0]:.2g} "
        f"(tolerance: {measure} {tolerance:g}); {export.record_of(path)} tells more",
        err=True,
    )


if __name__ == "__main__":
    command(prog_name="python -m stages.export")
