"""Stage: a configuration for a folder of photographs of one's own."""

from pathlib import Path

import click

from stages import common


@click.command("new", cls=common.Stage)
@click.argument("name")
@click.option("--from", "folder", required=True, type=common.PATH, help="The folder of photographs.")
@click.option("--replace", is_flag=True, help="Replace NAME.yaml, if it is there.")
def command(name: str, folder: Path, replace: bool) -> None:
    """Write NAME.yaml, a configuration to train on the photographs of a folder, and say what to do next."""
    from pipeline.core import files
    from pipeline.core.errors import InputError
    from pipeline.planning.new_config import new_config

    made = new_config(name, folder.expanduser(), Path.cwd())
    path = Path(f"{name}.yaml")
    if path.is_dir() or (path.exists() and not replace):
        raise InputError(f"{path}: expected no such file, received one; add --replace, or take another name")
    files.write_text(path, made.text)
    click.echo(
        f"new: {made.photographs} photographs found by their extension; {path} trains {made.epochs} epochs", err=True
    )
    click.echo(f"new: {made.plan}", err=True)
    click.echo("\n".join(made.commands))


if __name__ == "__main__":
    command(prog_name="python -m stages.new")
