"""Stage: export a trained run as a SavedModel, an ONNX file or a TFLite file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages import arguments, common
from stages.command import Stage

if TYPE_CHECKING:
    from pipeline.colorize.export import Precision, Target


@click.command("export", cls=Stage)
@click.argument("run", type=arguments.PATH)
@click.option(
    "--to", "target", required=True, type=click.Choice(["saved_model", "onnx", "tflite"]), help="Format to write."
)
@click.option(
    "--out",
    type=arguments.PATH,
    help="File or folder to write. Default: exports/<run> beside results/, with an extension.",
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float16", "int8"]),
    help="Type of the weights; float16 and int8 only with tflite.",
)
@click.option(
    "--embedding",
    default="inside",
    show_default=True,
    type=click.Choice(["inside", "input"]),
    help="Include the embedding network, or take the embedding as a second input.",
)
@arguments.temperature_option
@arguments.weights_option
@click.option("--replace", is_flag=True, help="Replace an existing export.")
@arguments.threads_option
def command(
    run: Path,
    target: "Target",
    out: Path | None,
    precision: "Precision",
    embedding: str,
    temperature: float | None,
    embedding_weights: Path | None,
    replace: bool,
    threads: int,
) -> None:
    """Export a run to TensorFlow, ONNX or TFLite.

    RUN is the folder results/<run>. The export predicts a and b from L. It is kept only if its runtime gives the same
    answers as Keras. <name>.json beside it records its origin.
    """
    from pipeline.colorize import export
    from pipeline.core.errors import InputError

    form = export.Form(target, precision, embedding_is_input=embedding == "input", temperature=temperature)
    path = out or form.default_path(run)
    if not path.name:
        raise InputError(f"--out: expected the name of a file or folder, received {path}")
    with common.hold(path):
        record = export.export(run, path, form, embedding_weights=embedding_weights, replace=replace, threads=threads)
    check = record["check"]
    ((measure, tolerance),) = check["tolerance"].items()
    click.echo(f"export: {path}, {record['bytes'] / 1e6:.1f} MB, from {record['run']}", err=True)
    click.echo(
        f"export: on {len(check['photographs'])} sample photographs, a and b differ from Keras' by at most "
        f"{check['largest_difference']:.2g} of 255, mean CIEDE2000 {check['ciede2000'][0]:.2g} "
        f"(tolerance: {measure} {tolerance:g}); details in {export.record_of(path)}",
        err=True,
    )
