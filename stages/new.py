"""Stage: write a configuration for your own photographs."""

from pathlib import Path

import click

from stages import arguments
from stages.command import Stage


@click.command("new", cls=Stage)
@click.argument("name")
@click.option("--from", "folder", required=True, type=arguments.PATH, help="The folder of photographs.")
@click.option("--replace", is_flag=True, help="Replace an existing NAME.yaml.")
def command(name: str, folder: Path, replace: bool) -> None:
    """Write a configuration for your own photographs.

    Writes NAME.yaml and prints the next commands.
    """
    from pipeline.core import files
    from pipeline.core.errors import InputError
    from pipeline.planning.new_config import new_config

    made = new_config(name, folder.expanduser(), Path.cwd())
    path = Path(f"{name}.yaml")
    if path.is_dir() or (path.exists() and not replace):
        raise InputError(f"{path}: the file exists; add --replace, or choose another name")
    files.write_text(path, made.text)
    click.echo(f"new: {path}, {made.photographs} photographs by file extension, {made.epochs} epochs", err=True)
    click.echo(f"new: {made.plan}", err=True)
    click.echo("\n".join(made.commands))
